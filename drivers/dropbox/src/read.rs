//! Reading one file in one state.

use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Path, Source, Tag};
use reqwest::Response;
use serde_json::json;

use crate::fault::{Refusal, changed};
use crate::folder::{Folder, There};
use crate::name;

/// How often a download that broke off is begun again where it ended.
const RESUMES_MAX: u32 = 5;

/// Reads one path of a Dropbox.
pub struct DropboxSource {
    folder: Arc<Folder>,
    path: Path,
    tag: Tag,
    content: Content,
    /// A revision never changes, whatever becomes of the path.
    rev: String,
    offset: u64,
    download: Option<Response>,
    /// Arrived and not asked for yet.
    rest: Bytes,
    resumes: u32,
}

/// Opens `path` in the state `tag`.
pub(crate) async fn open(
    folder: Arc<Folder>,
    path: Path,
    tag: Tag,
    offset: u64,
) -> Result<DropboxSource, Fault> {
    if path.is_root() || name::is_own(&path) {
        return Err(changed(&path));
    }
    let thing = match folder.find(&path).await? {
        There::Is(thing) if thing.state.tag == tag => thing,
        There::Nothing => {
            folder.verify().await?;
            return Err(changed(&path));
        }
        _ => return Err(changed(&path)),
    };
    if thing.is_folder() {
        let text = format!("`{path}` is a directory, it has no bytes");
        return Err(Fault::new(FaultKind::Unsupported, text));
    }
    let content = thing.told()?.content;
    let (rest, resumes) = (Bytes::new(), 0);
    let rev = thing.rev;
    Ok(DropboxSource { folder, path, tag, content, rev, offset, download: None, rest, resumes })
}

impl DropboxSource {
    async fn begin(&self) -> Result<Response, Fault> {
        let arg = json!({ "path": format!("rev:{}", self.rev) });
        self.folder.client.download(&arg, self.offset).await.map_err(|refusal| {
            // The revision is gone, with whatever was said of the path.
            if refusal.is("path/not_found") {
                changed(&self.path)
            } else {
                refusal.fault("read", &self.path)
            }
        })
    }

    /// The next bytes that arrive; nothing at the end of what was downloaded.
    async fn arrive(&mut self) -> Result<Bytes, Fault> {
        loop {
            if self.download.is_none() {
                self.download = Some(self.begin().await?);
            }
            let Some(download) = &mut self.download else { continue };
            match download.chunk().await {
                Ok(Some(bytes)) => return Ok(bytes),
                Ok(None) => return Ok(Bytes::new()),
                Err(_) if self.resumes < RESUMES_MAX => {
                    self.resumes += 1;
                    self.download = None;
                }
                Err(error) => {
                    let refusal = Refusal::Lost(error.without_url().to_string());
                    return Err(refusal.fault("read", &self.path));
                }
            }
        }
    }

    /// The end is only told of the state that was asked for.
    async fn end(&self) -> Result<Bytes, Fault> {
        match self.folder.find(&self.path).await? {
            There::Is(thing) if thing.state.tag == self.tag => Ok(Bytes::new()),
            _ => Err(changed(&self.path)),
        }
    }
}

impl Source for DropboxSource {
    fn content(&self) -> Content {
        self.content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        if self.rest.is_empty() && self.offset < self.content.size {
            self.rest = self.arrive().await?;
            if self.rest.is_empty() {
                let text = format!("the download of `{}` ended too early", self.path);
                return Err(Fault::new(FaultKind::Unavailable, text));
            }
        }
        let length = self.rest.len().min(max as usize);
        if length == 0 {
            return self.end().await;
        }
        self.offset += length as u64;
        Ok(self.rest.split_to(length))
    }
}
