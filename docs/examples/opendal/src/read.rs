//! Reading one file in one state.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use onitu_plug::{Bytes, Content, Fault, FaultKind, Path, Source, Tag};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::fault::{Refusal, changed, fault};
use crate::folder::Folder;
use crate::name;

/// Bytes that take longer don't come.
const LIMIT: Duration = Duration::from_mins(1);

/// Reads one path in one state.
pub struct OpendalSource {
    folder: Arc<Folder>,
    path: Path,
    tag: Tag,
    content: Content,
    /// Where the next byte stands, and where the last one did.
    offset: u64,
    bytes: Option<Mutex<opendal::FuturesBytesStream>>,
    /// Arrived and not asked for yet.
    rest: Bytes,
}

/// Opens `path` if its tag is `tag`.
pub(crate) async fn open(
    folder: Arc<Folder>,
    path: Path,
    tag: Tag,
    offset: u64,
) -> Result<OpendalSource, Fault> {
    if path.is_root() || name::check(&path).is_err() {
        return Err(changed(&path));
    }
    let there = folder.look(&path).await?;
    let Some(state) = there.state().filter(|_| there.is(Some(tag))) else {
        return Err(changed(&path));
    };
    if there.thing().is_some_and(|it| it.is_directory()) {
        let text = format!("`{path}` is a directory: it has no bytes to read");
        return Err(Fault::new(FaultKind::Unsupported, text));
    }
    let size = state.content.size;
    let bytes = if offset < size {
        Some(Mutex::new(match folder.client.stream(path.as_str(), offset, size).await {
            Err(Refusal::Missing) => return Err(changed(&path)),
            bytes => bytes.map_err(|refusal| fault("read", &path, &refusal))?,
        }))
    } else {
        None
    };
    let (content, rest) = (state.content, Bytes::new());
    Ok(OpendalSource { folder, path, tag, content, offset, bytes, rest })
}

impl OpendalSource {
    /// What the server sends next; empty at its end.
    async fn arrived(&mut self) -> Result<Bytes, Fault> {
        let Some(bytes) = &mut self.bytes else { return Ok(Bytes::new()) };
        let next = timeout(LIMIT, bytes.get_mut().try_next()).await;
        match next {
            Ok(Ok(piece)) => Ok(piece.unwrap_or_default()),
            // Shorter than it was, perhaps; what stands there now tells.
            Ok(Err(error)) => {
                self.still().await?;
                let refusal = Refusal::Lost(error.to_string());
                Err(fault("read", &self.path, &refusal))
            }
            Err(_) => {
                let refusal = Refusal::Lost("no bytes in time".to_owned());
                Err(fault("read", &self.path, &refusal))
            }
        }
    }

    /// Fails if the path isn't in the state that is read.
    async fn still(&self) -> Result<(), Fault> {
        let there = self.folder.look(&self.path).await?;
        if there.is(Some(self.tag)) { Ok(()) } else { Err(changed(&self.path)) }
    }
}

impl Source for OpendalSource {
    fn content(&self) -> Content {
        self.content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        if self.rest.is_empty() {
            self.rest = self.arrived().await?;
        }
        let bytes = self.rest.split_to(self.rest.len().min(max as usize));
        self.offset += bytes.len() as u64;
        if bytes.is_empty() {
            self.still().await?;
            if self.offset < self.content.size {
                return Err(changed(&self.path));
            }
        }
        Ok(bytes)
    }
}
