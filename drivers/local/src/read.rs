//! Reading one path in one state: every byte told belongs to that state, or `Changed` is told.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Kind, Path, Source, Tag, limits};
use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, Mode, OFlags, fadvise, openat, readlinkat};
use rustix::io::{Errno, pread, pwrite};
use tokio::task::spawn_blocking;

use crate::client::Root;
use crate::fault::{changed, fault, lost};
use crate::name;
use crate::spelling::TWIN;
use crate::state::{self, There};

/// Reads one path in one state.
pub struct LocalSource {
    root: Arc<Root>,
    path: Path,
    tag: Tag,
    content: Content,
    body: Body,
}

enum Body {
    /// A small file or a link, read when it was opened.
    Memory(Bytes),
    /// A larger file, and how far it is read.
    File(Arc<OwnedFd>, u64),
}

/// Opens `path` if its tag is `tag`. Blocks.
pub(crate) fn open(
    root: Arc<Root>,
    path: Path,
    tag: Tag,
    offset: u64,
) -> Result<LocalSource, Fault> {
    if name::is_own(&path) || path.is_root() {
        return Err(changed(&path));
    }
    let failed = |errno| match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | TWIN => changed(&path),
        errno => fault("read", &path, errno),
    };
    let dir = root.parent(&path).map_err(failed)?;
    // Asked before opening: opening a device or a pipe may do something already.
    let there = root.at(&dir, &path).map_err(failed)?;
    let Some(content) = there.state().filter(|_| there.is(Some(tag))).map(|state| state.content)
    else {
        root.verify()?;
        return Err(changed(&path));
    };
    let body = match content.kind {
        Kind::Directory => {
            let text = format!("`{path}` is a directory: it has no bytes to read");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        Kind::Symlink => {
            let target = readlinkat(&dir, path.name(), Vec::new()).map_err(failed)?.into_bytes();
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(target.len());
            Body::Memory(Bytes::from(target).slice(from..))
        }
        Kind::File => {
            open_file(&dir, &path, tag, &content, offset).map_err(|errno| match errno {
                None => changed(&path),
                Some(errno) => failed(errno),
            })?
        }
    };
    Ok(LocalSource { root, path, tag, content, body })
}

/// [`None`] means that it isn't the file that was asked for.
fn open_file(
    dir: &OwnedFd,
    path: &Path,
    tag: Tag,
    content: &Content,
    offset: u64,
) -> Result<Body, Option<Errno>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(dir, path.name(), flags | OFlags::CLOEXEC, Mode::empty())?;
    let is_it = |file: &OwnedFd| Ok::<_, Errno>(state::of(file)?.is(Some(tag)));
    if !is_it(&file)? {
        return Err(None);
    }
    let left = content.size.saturating_sub(offset);
    if content.size > limits::INLINE_BYTES_MAX {
        // Only advice: without it the file is read all the same.
        let _ = fadvise(&file, offset, None, Advice::Sequential);
        return Ok(Body::File(Arc::new(file), offset));
    }
    let bytes = read_at(&file, left as usize, offset)?;
    let whole = bytes.len() as u64 == left && is_it(&file)?;
    if whole { Ok(Body::Memory(bytes.into())) } else { Err(None) }
}

impl Source for LocalSource {
    fn content(&self) -> Content {
        self.content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        let (root, path, tag) = (Arc::clone(&self.root), self.path.clone(), self.tag);
        match &mut self.body {
            Body::Memory(bytes) if !bytes.is_empty() => {
                Ok(bytes.split_to(bytes.len().min(max as usize)))
            }
            // A look is two system calls on what was in the cache a moment ago: a hop to another
            // thread would cost ten times as much, for each of many small files.
            Body::Memory(_) => root.still(&path, tag).map(|()| Bytes::new()),
            Body::File(file, offset) => {
                let left = self.content.size.saturating_sub(*offset);
                let want = usize::try_from(left).unwrap_or(usize::MAX).min(max as usize);
                let (file, from) = (Arc::clone(file), *offset);
                let bytes = spawn_blocking(move || {
                    if want == 0 {
                        return root.still(&path, tag).map(|()| Bytes::new());
                    }
                    let failed = |errno| fault("read", &path, errno);
                    let bytes = read_at(&file, want, from).map_err(failed)?;
                    let unchanged = state::of(&file).map_err(failed)?.is(Some(tag));
                    if bytes.len() == want && unchanged {
                        Ok(bytes.into())
                    } else {
                        Err(changed(&path))
                    }
                })
                .await
                .map_err(|_| lost("a read"))??;
                *offset += bytes.len() as u64;
                Ok(bytes)
            }
        }
    }
}

/// The next `want` bytes from `offset`; fewer only at the end of the file.
pub(crate) fn read_at(file: impl AsFd, want: usize, offset: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::with_capacity(want);
    while bytes.len() < want {
        let at = offset + bytes.len() as u64;
        match pread(&file, spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    bytes.truncate(want);
    Ok(bytes)
}

/// All of a small file of Onitu's own; longer than `max` it is not one.
pub(crate) fn read_all(file: impl AsFd, max: usize) -> Result<Vec<u8>, Errno> {
    let bytes = read_at(file, max, 0)?;
    if bytes.len() == max { Err(Errno::FBIG) } else { Ok(bytes) }
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all(file: impl AsFd, bytes: &[u8], offset: u64) -> Result<(), Errno> {
    let mut done = 0;
    while done < bytes.len() {
        match pwrite(&file, &bytes[done..], offset + done as u64) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// What `there` is, or the fault of something that can't be synchronized.
pub(crate) fn told(path: &Path, there: &There) -> Result<Option<onitu_plug::State>, Fault> {
    match there {
        There::Other(what) => Err(name::not_synchronized(path.as_str(), what)),
        there => Ok(there.state()),
    }
}
