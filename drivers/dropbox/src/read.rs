//! Reading one file in one state.

use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Path, Source, Tag};
use reqwest::Response;
use serde_json::json;

use crate::fault::{Refusal, changed};
use crate::folder::{Folder, There};
use crate::hash::Running;
use crate::name;
use crate::state::Thing;
use crate::trash::Line;

/// How often a download that broke off is begun again where it ended.
const RESUMES_MAX: u32 = 5;

/// Reads one path of a Dropbox.
pub struct DropboxSource {
    folder: Arc<Folder>,
    path: Path,
    /// In which state it must still be in the end; none for what is in the trash.
    tag: Option<Tag>,
    content: Content,
    /// A revision never changes, whatever becomes of the path.
    rev: String,
    offset: u64,
    download: Option<Response>,
    /// Arrived and not asked for yet.
    rest: Bytes,
    resumes: u32,
    /// Of all that was told, if that begins with the first byte; and what it must be in the end.
    hash: Option<Running>,
    expected: String,
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
    Ok(DropboxSource {
        folder,
        path,
        tag: Some(tag),
        content,
        rev: thing.rev,
        offset,
        download: None,
        rest,
        resumes,
        hash: (offset == 0).then(Running::default),
        expected: thing.hash,
    })
}

/// Opens what a line of the trash stands for; what Dropbox has forgotten is `NotFound`.
pub(crate) async fn revision(folder: &Arc<Folder>, line: &Line) -> Result<DropboxSource, Fault> {
    let arg = json!({ "path": format!("rev:{}", line.rev) });
    let download = folder.client.download(&arg, 0).await.map_err(|refusal| {
        if refusal.has("not_found") {
            let text = format!("Dropbox no longer has what stood at `{}`", line.path);
            return Fault::new(FaultKind::NotFound, text);
        }
        refusal.fault("read", &line.path)
    })?;
    let told = download.headers().get("dropbox-api-result").and_then(|it| it.to_str().ok());
    let told = told.and_then(|text| serde_json::from_str(text).ok());
    let thing = told.and_then(|metadata| Thing::read(&metadata)).ok_or_else(|| {
        let text = format!("Dropbox doesn't say what stood at `{}`", line.path);
        Fault::new(FaultKind::Unavailable, text)
    })?;
    Ok(DropboxSource {
        folder: Arc::clone(folder),
        path: line.path.clone(),
        tag: None,
        content: thing.state.content,
        rev: line.rev.clone(),
        offset: 0,
        download: Some(download),
        rest: Bytes::new(),
        resumes: 0,
        hash: Some(Running::default()),
        expected: thing.hash,
    })
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
    async fn end(&mut self) -> Result<Bytes, Fault> {
        if self.hash.take().is_some_and(|hash| hash.finish() != self.expected) {
            let text = format!("other bytes of `{}` arrived than Dropbox has", self.path);
            return Err(Fault::new(FaultKind::Corrupt, text));
        }
        let Some(tag) = self.tag else { return Ok(Bytes::new()) };
        match self.folder.find(&self.path).await? {
            There::Is(thing) if thing.state.tag == tag => Ok(Bytes::new()),
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
        let bytes = self.rest.split_to(length);
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes);
        }
        Ok(bytes)
    }
}
