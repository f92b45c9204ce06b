//! Writing one file out of sight: in memory while it is small, else as the parts of an upload.

use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Hasher, Kind, Path, Sink, State, Tag, Why};
use tokio::sync::OwnedSemaphorePermit;

use crate::client::Label;
use crate::fault::unavailable;
use crate::object::Bucket;
use crate::upload::Upload;

/// Writes one path.
pub struct S3Sink {
    bucket: Arc<Bucket>,
    path: Path,
    body: Body,
}

enum Body {
    /// Its bytes, and the room they take.
    Small(Vec<u8>, Option<OwnedSemaphorePermit>),
    Large(Box<Upload>),
}

/// Begins to write `content` for `path`.
pub(crate) async fn begin(
    bucket: Arc<Bucket>,
    path: Path,
    content: &Content,
    resume: u64,
) -> Result<S3Sink, Fault> {
    bucket.keys.placeable(&path)?;
    if content.kind != Kind::File {
        let text = format!("`{path}` can't be kept: S3 has files only, no symbolic links");
        return Err(Fault::new(FaultKind::Unsupported, text));
    }
    let body = if content.size <= bucket.part_bytes(content.size) {
        let room = bucket.requests.room(content.size).await;
        Body::Small(Vec::with_capacity(content.size as usize), room)
    } else {
        Body::Large(Box::new(Upload::begin(Arc::clone(&bucket), &path, content, resume).await?))
    };
    Ok(S3Sink { bucket, path, body })
}

/// What other programs are told about a content.
pub(crate) fn label(content: &Content) -> Label {
    let mtime_ns = content.wanted_mtime_ns();
    Label { is_file: true, mtime_ns, checksum: content.checksum }
}

/// Whether what was written may be placed later on: the service was away, or full.
fn may_pass(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Unavailable | FaultKind::Full | FaultKind::RateLimited)
}

impl Sink for S3Sink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        match &self.body {
            Body::Small(..) => Ok((0, Hasher::default())),
            Body::Large(upload) => Ok(upload.resumed()),
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        match &mut self.body {
            Body::Small(body, _) => {
                if body.len() + bytes.len() > body.capacity() {
                    let text = format!("more bytes came for `{}` than were told", self.path);
                    return Err(Fault::new(FaultKind::Corrupt, text));
                }
                body.extend_from_slice(&bytes);
                Ok(())
            }
            Body::Large(upload) => upload.write(bytes).await,
        }
    }

    async fn place(self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let Self { bucket, path, body } = self;
        match body {
            Body::Small(body, room) => {
                let way = bucket.clear(&path, expect, Why::Replaced).await?;
                let put = bucket.put(&way.key, body.into(), &label(&content), &way.expect).await;
                drop(room);
                match put {
                    Ok(state) => Ok(placed(&bucket, &path, &way.key, state, &content).await),
                    Err(refusal) => Err(bucket.close(&path, &way, &refusal).await),
                }
            }
            Body::Large(mut upload) => {
                let placed = place_large(&bucket, &path, &mut upload, &content, expect).await;
                match &placed {
                    Ok(_) => upload.forget().await,
                    Err(fault) if may_pass(fault) => {}
                    Err(_) => upload.abort().await,
                }
                if let Ok(state) = &placed {
                    bucket.recent.keep_own(&bucket.keys.file(&path), Some(state.tag));
                }
                placed
            }
        }
    }

    async fn discard(self) {
        if let Body::Large(mut upload) = self.body {
            upload.abort().await;
        }
    }
}

async fn place_large(
    bucket: &Bucket,
    path: &Path,
    upload: &mut Upload,
    content: &Content,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    upload.finish().await?;
    if upload.size() != content.size {
        return Err(unavailable(format!("`{path}` has another size than was written")));
    }
    let way = bucket.clear(path, expect, Why::Replaced).await?;
    match bucket.complete(upload.id(), upload.parts(), content.size, &way.expect).await {
        Ok((state, etag)) => {
            upload.keep_parts(etag).await;
            Ok(placed(bucket, path, &way.key, state, content).await)
        }
        Err(refusal) => Err(bucket.close(path, &way, &refusal).await),
    }
}

async fn placed(
    bucket: &Bucket,
    path: &Path,
    key: &str,
    mut state: State,
    content: &Content,
) -> State {
    bucket.mark_parent(path).await;
    bucket.recent.keep_own(key, Some(state.tag));
    state.content.checksum = content.checksum;
    state
}
