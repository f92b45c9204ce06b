//! Reading one object in one state: by ranges, some of them ahead of the reader.

use std::collections::VecDeque;
use std::sync::Arc;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use onitu_plug::{Bytes, Content, Fault, FaultKind, Path, Source, Tag};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::client::{Expect, etag};
use crate::fault::{Refusal, changed, unavailable};
use crate::key::{can_be_asked, is_own};
use crate::object::{Bucket, file, tag};

/// Bytes of one request.
const RANGE: u64 = 8 * 1024 * 1024;
/// Ranges fetched ahead of the one that is read.
const AHEAD_MAX: usize = 3;

/// Bytes that were fetched ahead, and the room they take.
type Fetched = (Bytes, OwnedSemaphorePermit);

/// A request ahead of the reader; given up when dropped.
struct Ahead(JoinHandle<Result<Fetched, Fault>>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads one path in one state.
pub struct S3Source {
    bucket: Arc<Bucket>,
    path: Path,
    etag: String,
    tag: Tag,
    content: Content,
    /// How far it was read, and asked for.
    at: u64,
    asked: u64,
    /// The range that is read as it comes.
    stream: Option<ByteStream>,
    chunk: Bytes,
    room: Option<OwnedSemaphorePermit>,
    ahead: VecDeque<Ahead>,
}

/// The size of the whole object, which the answer to a request for a range tells.
fn whole_size(found: &GetObjectOutput, from: u64) -> Option<u64> {
    match found.content_range() {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        // A server that knows no ranges sends everything.
        None => found.content_length()?.try_into().ok().filter(|_| from == 0),
    }
}

/// Opens `path` from `offset` if its tag is `expected`.
pub(crate) async fn open(
    bucket: Arc<Bucket>,
    path: Path,
    expected: Tag,
    offset: u64,
) -> Result<S3Source, Fault> {
    if is_own(&path) || path.is_root() {
        return Err(changed(&path));
    }
    let key = bucket.keys.file(&path);
    if !can_be_asked(&key) {
        return Err(changed(&path));
    }
    let range = (offset, offset.saturating_add(RANGE - 1));
    let (found, size, stream) =
        match bucket.requests.get(&key, Some(range), &Expect::Anything).await {
            Ok(found) => {
                let size = whole_size(&found, offset).ok_or_else(|| {
                    let text =
                        format!("can't read `{path}` from the middle: the server sends no ranges");
                    Fault::new(FaultKind::Unsupported, text)
                })?;
                (etag(found.e_tag()).unwrap_or_default(), size, Some(found))
            }
            // There is no byte from there on, or none at all.
            Err(refusal) if refusal.status == Some(416) => {
                let found = bucket.requests.head(&key).await;
                let found = found.map_err(|refusal| refusal.fault("read", &path))?;
                let found = found.filter(|it| it.size <= offset).ok_or_else(|| changed(&path))?;
                (found.etag, found.size, None)
            }
            Err(refusal) => return Err(refused(&bucket, &path, &refusal).await),
        };
    if tag(&found, size) != expected {
        return Err(changed(&path));
    }
    let is_whole = stream.as_ref().is_some_and(|found| found.content_range().is_none());
    let asked = if is_whole { size } else { size.min(offset.saturating_add(RANGE)) };
    Ok(S3Source {
        content: file(&found, size, None).content,
        bucket,
        path,
        etag: found,
        tag: expected,
        at: offset.min(size),
        asked,
        stream: stream.map(|found| found.body),
        chunk: Bytes::new(),
        room: None,
        ahead: VecDeque::new(),
    })
}

/// Why an object couldn't be read.
async fn refused(bucket: &Bucket, path: &Path, refusal: &Refusal) -> Fault {
    if refusal.is_unmet() {
        return changed(path);
    }
    bucket.refused(refusal, "read", path, &bucket.keys.file(path)).await
}

impl S3Source {
    fn next_range(&mut self) -> (u64, u64) {
        let from = self.asked;
        self.asked = self.content.size.min(from + RANGE);
        (from, self.asked - 1)
    }

    /// Asks for a range of the state that is read.
    async fn ask(
        bucket: &Bucket,
        path: &Path,
        state: &str,
        range: (u64, u64),
    ) -> Result<GetObjectOutput, Fault> {
        let (key, expect) = (bucket.keys.file(path), Expect::Etag(state.to_owned()));
        match bucket.requests.get(&key, Some(range), &expect).await {
            Ok(found) if etag(found.e_tag()).as_deref() == Some(state) => Ok(found),
            Ok(_) => Err(changed(path)),
            Err(refusal) => Err(refused(bucket, path, &refusal).await),
        }
    }

    /// Fetches ranges ahead, as many as there is room for.
    fn fetch_ahead(&mut self) {
        while self.ahead.len() < AHEAD_MAX && self.asked < self.content.size {
            let Some(room) = self.bucket.requests.room_now(RANGE) else { return };
            let range = self.next_range();
            let (bucket, path) = (Arc::clone(&self.bucket), self.path.clone());
            let state = self.etag.clone();
            self.ahead.push_back(Ahead(tokio::spawn(async move {
                let found = Self::ask(&bucket, &path, &state, range).await?;
                let bytes = found.body.collect().await.map_err(|error| cut_off(&path, &error))?;
                Ok((bytes.into_bytes(), room))
            })));
        }
    }

    /// Nothing is left to read: it must still be what was read.
    async fn end(&self) -> Result<Bytes, Fault> {
        let found = self.bucket.requests.head(&self.bucket.keys.file(&self.path)).await;
        match found.map_err(|refusal| refusal.fault("read", &self.path))? {
            Some(found) if found.state().tag == self.tag => Ok(Bytes::new()),
            _ => Err(changed(&self.path)),
        }
    }
}

fn cut_off(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    unavailable(format!("can't read `{path}`: the answer was cut off: {error}"))
}

impl Source for S3Source {
    fn content(&self) -> Content {
        self.content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        loop {
            if !self.chunk.is_empty() {
                let bytes = self.chunk.split_to(self.chunk.len().min(max as usize));
                self.at += bytes.len() as u64;
                return Ok(bytes);
            }
            self.room = None;
            self.fetch_ahead();
            if let Some(stream) = &mut self.stream {
                match stream.next().await {
                    Some(Ok(bytes)) => self.chunk = bytes,
                    Some(Err(error)) => return Err(cut_off(&self.path, &error)),
                    None => self.stream = None,
                }
            } else if let Some(mut ahead) = self.ahead.pop_front() {
                let fetched = (&mut ahead.0).await;
                let (bytes, room) = fetched.map_err(|error| cut_off(&self.path, &error))??;
                (self.chunk, self.room) = (bytes, Some(room));
            } else if self.at >= self.content.size {
                return self.end().await;
            } else if self.at < self.asked {
                return Err(cut_off(&self.path, &"bytes are missing"));
            } else {
                let range = self.next_range();
                let found = Self::ask(&self.bucket, &self.path, &self.etag, range).await?;
                self.stream = Some(found.body);
            }
        }
    }
}
