//! Reading one path in one state: every byte told belongs to that state, or `Changed` is told.
//!
//! Reads run ahead of whoever takes the bytes, so that the link is full however long it is.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use onitu_plug::{Checksum, Content, Fault, FaultKind, Hasher, Kind, Path, Source, Tag, limits};
use tokio::sync::OwnedSemaphorePermit;

use crate::client::Remote;
use crate::fault::{Failure, changed, fault};
use crate::lane::{Answer, Handle};
use crate::name;
use crate::state::There;
use crate::wire::Attrs;
use crate::wire::request::{Request, open as flags};

/// Bytes that are asked for ahead, for one reader.
const AHEAD_BYTES: u64 = 4 * 1024 * 1024;

/// Reads one path in one state.
pub struct SftpSource {
    remote: Arc<Remote>,
    path: Path,
    tag: Tag,
    content: Content,
    body: Body,
}

enum Body {
    /// A small file or a link, read when it was opened.
    Memory(Bytes),
    /// A larger file.
    File(Stream),
}

/// Bytes of an open file on their way.
struct Stream {
    file: Arc<Handle>,
    asked: VecDeque<Asked>,
    /// What came and wasn't taken yet.
    ready: Bytes,
    /// Up to where was asked, and where the file ends.
    offset: u64,
    end: u64,
}

struct Asked {
    answer: Answer,
    offset: u64,
    want: u32,
    _room: Option<OwnedSemaphorePermit>,
}

impl Stream {
    fn new(file: Arc<Handle>, offset: u64, end: u64) -> Self {
        Self { file, asked: VecDeque::new(), ready: Bytes::new(), offset, end }
    }

    /// Asks ahead, as far as there is room.
    async fn ask(&mut self, remote: &Remote) -> Result<(), Failure> {
        let most = u64::from(self.file.lane().read_max);
        while self.offset < self.end && (self.asked.len() as u64) * most < AHEAD_BYTES {
            let want = (self.end - self.offset).min(most) as u32;
            let room = Arc::clone(&remote.inbound).try_acquire_many_owned(want).ok();
            // Without room one at a time is asked for, so that each reader goes on.
            if room.is_none() && !self.asked.is_empty() {
                break;
            }
            let read = Request::read(self.file.raw(), self.offset, want);
            let [answer] = self.file.lane().send([read]).await?;
            self.asked.push_back(Asked { answer, offset: self.offset, want, _room: room });
            self.offset += u64::from(want);
        }
        Ok(())
    }

    /// The next bytes; [`None`] if the file ended before its end.
    async fn next(&mut self, remote: &Remote, max: usize) -> Result<Option<Bytes>, Failure> {
        if self.ready.is_empty() {
            self.ask(remote).await?;
            let Some(Asked { answer, offset, want, .. }) = self.asked.pop_front() else {
                return Ok(Some(Bytes::new()));
            };
            let Some(bytes) = answer.data().await? else { return Ok(None) };
            let got = bytes.len() as u64;
            self.ready = bytes;
            if got < u64::from(want) {
                // A server may send less than was asked for.
                let rest = read_range(&self.file, offset + got, u64::from(want) - got).await?;
                if got + rest.len() as u64 != u64::from(want) {
                    return Ok(None);
                }
                self.ready = [&self.ready[..], &rest].concat().into();
            }
        }
        Ok(Some(self.ready.split_to(self.ready.len().min(max))))
    }
}

/// Opens `path` if its tag is `tag`.
pub(crate) async fn open(
    remote: Arc<Remote>,
    path: Path,
    tag: Tag,
    offset: u64,
) -> Result<SftpSource, Fault> {
    if name::is_own(&path) || path.is_root() {
        return Err(changed(&path));
    }
    let failed = |failure: &Failure| match failure {
        failure if failure.is_missing() => changed(&path),
        failure => fault("read", &path, failure),
    };
    // Looked at before it is opened: the server would wait for ever for a pipe.
    let there = remote.peek(&path).await?;
    let Some(content) = there.state().filter(|_| there.is(Some(tag))).map(|it| it.content) else {
        return Err(changed(&path));
    };
    let full = remote.full(&path);
    let body = match content.kind {
        Kind::Directory => {
            let text = format!("`{path}` is a directory: it has no bytes to read");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        Kind::Symlink => {
            let text = remote.link(&full).await.map_err(|it| failed(&it))?;
            if Some(Checksum::of(&text)) != content.checksum {
                return Err(changed(&path));
            }
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
            Body::Memory(text.slice(from..))
        }
        Kind::File => {
            let request = Request::open(&full, flags::READ, &Attrs::default());
            let file = remote.lane().open(request).await.map_err(|it| failed(&it))?;
            if !remote.opened(&file).await.map_err(|it| failed(&it))?.is(Some(tag)) {
                return Err(changed(&path));
            }
            let from = offset.min(content.size);
            if content.size > limits::INLINE_BYTES_MAX {
                Body::File(Stream::new(Arc::new(file), from, content.size))
            } else {
                let left = content.size - from;
                let bytes = read_range(&file, from, left).await.map_err(|it| failed(&it))?;
                if bytes.len() as u64 != left {
                    return Err(changed(&path));
                }
                Body::Memory(bytes.into())
            }
        }
    };
    Ok(SftpSource { remote, path, tag, content, body })
}

impl Source for SftpSource {
    fn content(&self) -> Content {
        self.content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        let max = max as usize;
        let bytes = match &mut self.body {
            Body::Memory(bytes) => bytes.split_to(bytes.len().min(max)),
            Body::File(stream) => {
                let next = stream.next(&self.remote, max).await;
                let next = next.map_err(|failure| fault("read", &self.path, &failure))?;
                next.ok_or_else(|| changed(&self.path))?
            }
        };
        if bytes.is_empty() {
            self.remote.still(&self.path, self.tag).await?;
        }
        Ok(bytes)
    }
}

/// The bytes of an open file from `offset` on; fewer than `want` only at its end. For small ones:
/// all of them are held in memory.
pub(crate) async fn read_range(file: &Handle, offset: u64, want: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(want as usize);
    while (bytes.len() as u64) < want {
        let left = want - bytes.len() as u64;
        let most = left.min(u64::from(file.lane().read_max)) as u32;
        let read = Request::read(file.raw(), offset + bytes.len() as u64, most);
        let [answer] = file.lane().send([read]).await?;
        match answer.data().await? {
            Some(more) if !more.is_empty() => bytes.extend_from_slice(&more),
            _ => break,
        }
    }
    bytes.truncate(want as usize);
    Ok(bytes)
}

/// The hash of the first `length` bytes of an open file; an error if it has fewer.
pub(crate) async fn hash(
    remote: &Remote,
    file: Arc<Handle>,
    length: u64,
) -> Result<Hasher, Failure> {
    let mut stream = Stream::new(file, 0, length);
    let mut hasher = Hasher::default();
    loop {
        let bytes = stream.next(remote, usize::MAX).await?.ok_or(Failure::Odd)?;
        if bytes.is_empty() {
            return Ok(hasher);
        }
        hasher.update(&bytes);
    }
}

/// The checksum of the file or link at `full`, of which `there` was just told.
pub(crate) async fn checksum(
    remote: &Remote,
    full: &[u8],
    there: &There,
) -> Result<Checksum, Failure> {
    let content = there.state().map(|state| state.content);
    match content.map(|content| content.kind) {
        Some(Kind::File) => {
            let request = Request::open(full, flags::READ, &Attrs::default());
            let file = remote.lane().open(request).await?;
            let length = content.map_or(0, |content| content.size);
            Ok(hash(remote, Arc::new(file), length).await?.finish())
        }
        Some(Kind::Symlink) => Ok(Checksum::of(&remote.link(full).await?)),
        Some(Kind::Directory) | None => Ok(Hasher::default().finish()),
    }
}

/// What `there` is, or the fault of something that can't be synchronized.
pub(crate) fn told(path: &Path, there: &There) -> Result<Option<onitu_plug::State>, Fault> {
    match there {
        There::Other(what) => Err(name::not_synchronized(path.as_str(), what)),
        there => Ok(there.state()),
    }
}
