//! Writing one path: a small content waits in memory for the commit thread, a larger one goes to
//! a temporary file that a later attempt can take up again.

use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Hasher, Kind, Path, Sink, State, Tag, limits};
use rustix::fs::{fdatasync, fsync};
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::change::{Body, Work};
use crate::client::Root;
use crate::commit::Commit;
use crate::fault::{changed, fault, lost};
use crate::name;
use crate::read::{read_at, write_all};
use crate::state;
use crate::temp::Temp;

/// A given-up temporary file shorter than this isn't worth keeping.
const RESUME_BYTES_MIN: u64 = 1024 * 1024;
/// So much is written before the disk is asked to begin with it, so that the flush at the end of
/// a large file isn't the time it takes to write all of it.
const FLUSH_BYTES: u64 = 64 * 1024 * 1024;

/// Writes one path.
pub struct LocalSink {
    root: Arc<Root>,
    commit: Arc<Commit>,
    path: Path,
    resume: u64,
    written: Written,
}

enum Written {
    Memory {
        pieces: Vec<Bytes>,
        room: Option<OwnedSemaphorePermit>,
        length: u64,
    },
    File(File),
    /// Placed or discarded.
    Nothing,
}

struct File {
    temp: Option<Temp>,
    length: u64,
    /// Whether it may stay, to be resumed.
    is_kept: bool,
    /// Bytes since the last flush was begun, and that flush.
    unflushed: u64,
    flushing: Option<JoinHandle<Result<(), Errno>>>,
}

impl LocalSink {
    /// Begins to write; see [`onitu_plug::Plug::write`].
    pub(crate) async fn begin(
        root: Arc<Root>,
        commit: Arc<Commit>,
        path: Path,
        content: Content,
        resume: u64,
    ) -> Result<Self, Fault> {
        name::check(&path)?;
        if content.kind == Kind::Directory {
            let text = format!("`{path}` is to be a directory: it has no bytes to write");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        if root.folds() {
            let (root, path) = (Arc::clone(&root), path.clone());
            let checked = spawn_blocking(move || {
                root.refuse_twin(&path).map_err(|errno| fault("write", &path, errno))
            });
            checked.await.map_err(|_| lost("a call"))??;
        }
        let small = content.size <= limits::INLINE_BYTES_MAX;
        let written = Written::Memory { pieces: Vec::new(), room: None, length: 0 };
        let mut sink = Self { root, commit, path, resume, written };
        if !small {
            sink.written = Written::File(sink.open_temp(content.size).await?);
        }
        Ok(sink)
    }

    async fn open_temp(&self, most: u64) -> Result<File, Fault> {
        let (root, path) = (Arc::clone(&self.root), self.path.clone());
        let hash = Tag::of(path.as_str().as_bytes());
        let name = format!("resume-{:016x}-{hash:?}", self.resume);
        let opened = spawn_blocking(move || {
            let area = root.area_before(&path)?;
            Temp::resumable(area, name, most).map_err(|errno| fault("write", &path, errno))
        });
        let (temp, length) = opened.await.map_err(|_| lost("a write"))??;
        Ok(File { temp: Some(temp), length, is_kept: true, unflushed: 0, flushing: None })
    }

    /// Moves what waits in memory to a temporary file: it is more than was said, or than there is
    /// room for.
    async fn spill(&mut self) -> Result<(), Fault> {
        // What an earlier attempt left wasn't counted when `resumed` was asked.
        let mut file = self.open_temp(0).await?;
        let memory = std::mem::replace(&mut self.written, Written::Nothing);
        let Written::Memory { pieces, .. } = memory else { return Ok(()) };
        for piece in pieces {
            file.write(&self.path, piece).await?;
        }
        self.written = Written::File(file);
        Ok(())
    }

    /// Takes the next bytes in memory, if there is room.
    fn keep(&mut self, bytes: &Bytes) -> bool {
        let Written::Memory { pieces, room, length } = &mut self.written else { return false };
        if *length + bytes.len() as u64 > limits::INLINE_BYTES_MAX {
            return false;
        }
        let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(self.root.buffer()).try_acquire_many_owned(count) else {
            return false;
        };
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        pieces.push(bytes.clone());
        *length += bytes.len() as u64;
        true
    }
}

impl File {
    async fn write(&mut self, path: &Path, bytes: Bytes) -> Result<(), Fault> {
        let file = self.temp.as_ref().and_then(Temp::open_file).map(Arc::clone);
        let file = file.ok_or_else(|| lost("a write"))?;
        let (at, count) = (self.length, bytes.len() as u64);
        let shared = Arc::clone(&file);
        let done = spawn_blocking(move || write_all(&file, &bytes, at));
        if let Err(errno) = done.await.map_err(|_| lost("a write"))? {
            // Room on a full disk is worth more than a head start.
            self.is_kept &= !matches!(errno, Errno::NOSPC | Errno::DQUOT);
            return Err(fault("write", path, errno));
        }
        self.length += count;
        self.unflushed += count;
        let idle = self.flushing.as_ref().is_none_or(JoinHandle::is_finished);
        if self.unflushed >= FLUSH_BYTES && idle {
            self.flushed(path).await?;
            self.unflushed = 0;
            self.flushing = Some(spawn_blocking(move || fdatasync(&shared)));
        }
        Ok(())
    }

    /// How the flush that was begun ended. The kernel tells an error to one flush only, so none may
    /// be passed over; and what it was about isn't on the disk, so it is begun anew.
    async fn flushed(&mut self, path: &Path) -> Result<(), Fault> {
        let Some(flushing) = self.flushing.as_mut() else { return Ok(()) };
        let flushed = flushing.await.map_err(|_| lost("a flush"));
        self.flushing = None;
        flushed?.map_err(|errno| {
            self.is_kept = false;
            fault("write", path, errno)
        })
    }
}

impl Sink for LocalSink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        let Written::File(file) = &self.written else { return Ok((0, Hasher::default())) };
        let (open, length) =
            (file.temp.as_ref().and_then(Temp::open_file).map(Arc::clone), file.length);
        let open = open.ok_or_else(|| lost("a write"))?;
        let path = self.path.clone();
        let reading = spawn_blocking(move || {
            let (mut hasher, mut offset) = (Hasher::default(), 0);
            while offset < length {
                let want = (length - offset).min(1024 * 1024) as usize;
                let bytes = read_at(&open, want, offset)?;
                if bytes.is_empty() {
                    return Err(Errno::IO);
                }
                offset += bytes.len() as u64;
                hasher.update(&bytes);
            }
            Ok(hasher)
        });
        let hasher = reading.await.map_err(|_| lost("a read"))?;
        Ok((length, hasher.map_err(|errno| fault("resume", &path, errno))?))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        if bytes.is_empty() || self.keep(&bytes) {
            return Ok(());
        }
        if matches!(self.written, Written::Memory { .. }) {
            self.spill().await?;
        }
        match &mut self.written {
            Written::File(file) => file.write(&self.path, bytes).await,
            _ => Err(lost("a write")),
        }
    }

    async fn place(mut self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let body = match std::mem::replace(&mut self.written, Written::Nothing) {
            Written::Memory { pieces, room, .. } => Body::Bytes(pieces, room),
            Written::File(mut file) => {
                file.flushed(&self.path).await?;
                let temp = file.temp.take().ok_or_else(|| lost("a write"))?;
                let (root, path) = (Arc::clone(&self.root), self.path.clone());
                let finished =
                    spawn_blocking(move || finish(&root, &path, temp, &content, expect)).await;
                finished.map_err(|_| lost("a write"))??
            }
            Written::Nothing => return Err(lost("a write")),
        };
        let work = Work::Place { path: self.path.clone(), content, expect, body };
        self.commit.ask(work).await?.ok_or_else(|| lost("a placement"))
    }

    async fn discard(mut self) {
        self.written = match std::mem::replace(&mut self.written, Written::Nothing) {
            // Dropped with its file, which is removed.
            Written::File(mut file) => {
                drop(file.temp.take());
                Written::Nothing
            }
            _ => Written::Nothing,
        };
    }
}

/// Makes a large file ready to be placed: flushed here, where nobody waits for its gigabytes.
fn finish(
    root: &Root,
    path: &Path,
    temp: Temp,
    content: &Content,
    expect: Option<Tag>,
) -> Result<Body, Fault> {
    let failed = |errno| fault("write", path, errno);
    let old = match root.parent(path) {
        Ok(parent) => Some(root.at(&parent, path).map_err(failed)?),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(failed(errno)),
    };
    if !old.as_ref().map_or(expect.is_none(), |there| there.is(expect)) {
        return Err(changed(path));
    }
    let old = old.as_ref().and_then(state::There::standing);
    let state = temp.dress(content, old).map_err(failed)?;
    fsync(temp.file()).map_err(failed)?;
    Ok(Body::Written(temp.closed(), state))
}

impl Drop for File {
    fn drop(&mut self) {
        let is_kept = self.is_kept && self.length >= RESUME_BYTES_MIN;
        if let Some(temp) = self.temp.as_mut().filter(|_| is_kept) {
            temp.leave();
        }
    }
}
