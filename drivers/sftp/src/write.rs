//! Writing one path: a small content waits in memory until it is placed, a larger one goes to a
//! temporary file that a later attempt can take up again.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use onitu_plug::{Content, Fault, FaultKind, Hasher, Kind, Path, Sink, State, Tag, limits};
use tokio::sync::OwnedSemaphorePermit;

use crate::area::new_name;
use crate::change::{no_bytes, place, to_its_end};
use crate::client::Remote;
use crate::fault::{Failure, changed, fault, lost};
use crate::lane::{Answer, Handle};
use crate::name;
use crate::read;
use crate::reuse::{Piece, Reuse};
use crate::state::{Standing, There, seconds};
use crate::temp::{Ready, Temp, dress};
use crate::wire::Attrs;
use crate::wire::request::{Request, open};

/// So much is written before the server is asked to flush it: what a later attempt can rely on, and
/// less to do at the end.
const FLUSH_BYTES: u64 = 64 * 1024 * 1024;
/// Writes of one file that are under way at once.
const WRITES_MAX: usize = 32;

/// Writes one path.
pub struct SftpSink {
    remote: Arc<Remote>,
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
    handle: Arc<Handle>,
    length: u64,
    /// Whether it may stay, to be resumed.
    is_kept: bool,
    unflushed: u64,
    under_way: VecDeque<Answer>,
    /// Compares what is written with what it replaces.
    reuse: Option<Box<Reuse>>,
}

impl SftpSink {
    /// Begins to write; see [`onitu_plug::Plug::write`].
    pub(crate) async fn begin(
        remote: Arc<Remote>,
        path: Path,
        content: Content,
        resume: u64,
    ) -> Result<Self, Fault> {
        name::check(&path)?;
        if content.kind == Kind::Directory {
            return Err(no_bytes(&path));
        }
        let written = Written::Memory { pieces: Vec::new(), room: None, length: 0 };
        let mut sink = Self { remote, path, resume, written };
        if content.size > limits::INLINE_BYTES_MAX {
            let mut file = sink.open_temp(content.size).await?;
            let at = (&*file.handle, file.length);
            file.reuse = Reuse::begin(&sink.remote, &sink.path, &content, at).await.map(Box::new);
            sink.written = Written::File(file);
        }
        Ok(sink)
    }

    /// Opens the file that is written in several attempts; one that is longer than `most` is begun
    /// anew. The bytes of an attempt whose connection was lost may still be on their way into it:
    /// they are the same as those of this one.
    async fn open_temp(&self, most: u64) -> Result<File, Fault> {
        let hash = Tag::of(self.path.as_str().as_bytes());
        let full = self.remote.own(&format!("tmp/resume-{:016x}-{hash:?}", self.resume));
        let opened = async {
            let lane = self.remote.lane();
            let flags = open::READ | open::WRITE | open::CREATE;
            let attrs = Attrs { permissions: Some(0o666), ..Attrs::default() };
            let handle = lane.open(Request::open(&full, flags, &attrs)).await?;
            let there = self.remote.opened(&handle).await?;
            let mut length = there.state().map_or(0, |state| state.content.size);
            if length > most {
                let empty = Attrs { size: Some(0), ..Attrs::default() };
                lane.tell(Request::fsetstat(handle.raw(), &empty)).await?;
                length = 0;
            }
            Ok((handle, length))
        };
        let (handle, length) = match opened.await {
            Ok(opened) => opened,
            Err(failure) => return Err(self.remote.not_written(&self.path, failure).await),
        };
        Ok(File {
            temp: Some(Temp::new(&self.remote, full)),
            handle: Arc::new(handle),
            length,
            is_kept: true,
            unflushed: 0,
            under_way: VecDeque::new(),
            reuse: None,
        })
    }

    /// Takes the next bytes in memory, if there is room.
    fn keep(&mut self, bytes: &Bytes) -> bool {
        let Written::Memory { pieces, room, length } = &mut self.written else { return false };
        if *length + bytes.len() as u64 > limits::INLINE_BYTES_MAX {
            return false;
        }
        let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(self.remote.buffer()).try_acquire_many_owned(count) else {
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

    /// Moves what waits in memory to a temporary file: it is more than was said, or than there is
    /// room for.
    async fn spill(&mut self) -> Result<(), Fault> {
        // What an earlier attempt left wasn't counted when `resumed` was asked.
        let mut file = self.open_temp(0).await?;
        let memory = std::mem::replace(&mut self.written, Written::Nothing);
        let Written::Memory { pieces, .. } = memory else { return Ok(()) };
        for piece in pieces {
            file.write(&self.remote, &self.path, piece).await?;
        }
        self.written = Written::File(file);
        Ok(())
    }
}

impl File {
    async fn write(&mut self, remote: &Remote, path: &Path, bytes: Bytes) -> Result<(), Fault> {
        match self.try_write(remote, bytes).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.failed(remote, path, failure).await),
        }
    }

    async fn failed(&mut self, remote: &Remote, path: &Path, failure: Failure) -> Fault {
        if matches!(failure, Failure::Refused(..))
            && let Some(reuse) = &self.reuse
        {
            reuse.doubt(remote);
        }
        let fault = remote.not_written(path, failure).await;
        // Room on a full disk is worth more than a head start.
        self.is_kept &= fault.kind == FaultKind::Unavailable;
        fault
    }

    async fn try_write(&mut self, remote: &Remote, mut bytes: Bytes) -> Result<(), Failure> {
        let Some(mut reuse) = self.reuse.take() else { return self.send(remote, bytes).await };
        let mut done = Ok(());
        while done.is_ok()
            && let Some(piece) = reuse.take(self.length, &mut bytes).await
        {
            done = match piece {
                Piece::Send(bytes) => self.send(remote, bytes).await,
                Piece::Copy(length) => {
                    let copy = reuse.copy(self.handle.raw(), self.length, length);
                    self.request(copy, length, None).await
                }
            };
        }
        self.reuse = Some(reuse);
        done
    }

    async fn send(&mut self, remote: &Remote, mut bytes: Bytes) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let most = self.handle.lane().write_max as usize;
            let piece = bytes.split_to(bytes.len().min(most));
            let count = piece.len() as u64;
            let room = Arc::clone(&remote.outbound).acquire_many_owned(count as u32).await;
            let request = Request::write(self.handle.raw(), self.length, piece);
            self.request(request, count, room.ok()).await?;
        }
        Ok(())
    }

    /// Sends a request that makes the file `count` bytes longer.
    async fn request(
        &mut self,
        request: Request,
        count: u64,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Failure> {
        let lane = self.handle.lane();
        while self.under_way.len() >= WRITES_MAX
            && let Some(oldest) = self.under_way.pop_front()
        {
            oldest.done().await?;
        }
        self.under_way.push_back(lane.send_with(request, room).await?);
        self.length += count;
        self.unflushed += count;
        if self.unflushed >= FLUSH_BYTES && lane.extensions().fsync {
            self.unflushed = 0;
            let [flushed] = lane.send([Request::fsync(self.handle.raw())]).await?;
            self.under_way.push_back(flushed);
        }
        Ok(())
    }

    /// Gives it up for good. When this returns, nobody can resume it.
    async fn discard(&mut self) {
        self.is_kept = false;
        if let Some(temp) = self.temp.take() {
            temp.remove().await;
        }
    }

    /// Makes it ready to be placed.
    async fn finish(
        &mut self,
        remote: &Remote,
        content: &Content,
        old: Option<&Standing>,
    ) -> Result<Done, Failure> {
        if let Some(rest) = self.reuse.as_mut().map(|reuse| reuse.rest()) {
            self.send(remote, rest).await?;
        }
        while let Some(oldest) = self.under_way.pop_front() {
            oldest.done().await?;
        }
        finish(&self.handle, None, content, old).await
    }
}

/// A file that is written, dressed and durable.
struct Done {
    state: State,
    /// The second in which it was written, by the server's clock.
    now_s: u32,
}

/// Writes `bytes` (of a file whose bytes aren't written yet), dresses the file and makes it durable;
/// tells what it is then.
async fn finish(
    handle: &Handle,
    bytes: Option<Bytes>,
    content: &Content,
    old: Option<&Standing>,
) -> Result<Done, Failure> {
    let (lane, raw) = (handle.lane(), handle.raw());
    let stat = || Request::fstat(raw);
    let first = bytes.map_or_else(stat, |bytes| Request::write(raw, 0, bytes));
    let now_s = onitu_plug::clock::now_ms() / 1_000;
    let attrs = dress(content, old, u32::try_from(now_s).unwrap_or(u32::MAX));
    let flush = if lane.extensions().fsync { Request::fsync(raw) } else { stat() };
    let requests = [first, stat(), Request::fsetstat(raw, &attrs), flush, stat()];
    let [first, natural, dressed, flushed, last] = lane.send(requests).await?;
    let answered = |reply| match reply {
        crate::wire::reply::Reply::Attrs(_) => Ok(()),
        reply if reply.is_ok() => Ok(()),
        reply => Err(crate::lane::refused(reply)),
    };
    answered(first.wait().await?)?;
    let natural = natural.attrs().await?.ok_or(Failure::Odd)?;
    dressed.done().await?;
    answered(flushed.wait().await?)?;
    let last = last.attrs().await?.ok_or(Failure::Odd)?;
    if let Some(owner) = old.and_then(|old| old.attrs.owner).filter(|it| Some(*it) != last.owner) {
        // Kept where this user may give files away; elsewhere the copy is ours.
        let attrs = Attrs { owner: Some(owner), ..Attrs::default() };
        let _ = lane.tell(Request::fsetstat(raw, &attrs)).await;
    }
    let state = There::of(&last, b"").state().ok_or(Failure::Odd)?;
    Ok(Done { state, now_s: natural.mtime_s() })
}

/// Places a small content: the temporary file is made while the place is looked at.
async fn place_small(
    remote: Arc<Remote>,
    path: Path,
    content: Content,
    bytes: Bytes,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    if content.kind == Kind::Symlink {
        return place_link(&remote, &path, bytes, expect).await;
    }
    let full = remote.own(&new_name());
    let flags = open::WRITE | open::CREATE | open::EXCLUSIVE;
    let mode = if content.executable { 0o777 } else { 0o666 };
    let attrs = Attrs { permissions: Some(mode), ..Attrs::default() };
    let open = Request::open(&full, flags, &attrs);
    let (there, opened) = tokio::join!(remote.enter(&path, expect), remote.lane().open(open));
    let handle = match opened {
        Ok(handle) => handle,
        Err(failure) => {
            there?;
            return Err(remote.not_written(&path, failure).await);
        }
    };
    let temp = Temp::new(&remote, full);
    let there = there?;
    if !there.is(expect) {
        return Err(changed(&path));
    }
    let done = write_small(&handle, bytes, &content, Remote::kept(&there)).await;
    drop(handle);
    let done = match done {
        Ok(done) => done,
        Err(failure) => return Err(remote.not_written(&path, failure).await),
    };
    put(&remote, &path, &content, (temp, done), &there).await
}

async fn write_small(
    handle: &Handle,
    mut bytes: Bytes,
    content: &Content,
    old: Option<&Standing>,
) -> Result<Done, Failure> {
    let lane = handle.lane();
    let most = lane.write_max as usize;
    if bytes.len() <= most {
        return finish(handle, Some(bytes), content, old).await;
    }
    let mut offset = 0;
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(most));
        let count = piece.len() as u64;
        lane.tell(Request::write(handle.raw(), offset, piece)).await?;
        offset += count;
    }
    finish(handle, None, content, old).await
}

async fn place_link(
    remote: &Remote,
    path: &Path,
    text: Bytes,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    let there = remote.enter(path, expect).await?;
    if !there.is(expect) {
        return Err(changed(path));
    }
    place(remote, Ready::Link(text), path, &there).await?;
    let placed = remote.peek(path).await?;
    placed.state().filter(|it| it.content.kind == Kind::Symlink).ok_or_else(|| changed(path))
}

/// Puts a written file in its place.
async fn put(
    remote: &Remote,
    path: &Path,
    content: &Content,
    (temp, done): (Temp, Done),
    there: &There,
) -> Result<State, Fault> {
    let Done { mut state, now_s } = done;
    if state.content.size != content.size {
        let (is, size) = (state.content.size, content.size);
        let text = format!("`{path}` should have {size} bytes, {is} were written");
        return Err(Fault::new(FaultKind::Corrupt, text));
    }
    remote.placed.note(path);
    place(remote, Ready::File(temp, state), path, there).await?;
    remote.fresh.note(path, seconds(state.content.mtime_ns), now_s);
    state.content.checksum = content.checksum;
    Ok(state)
}

/// Places a large content.
async fn place_large(
    remote: Arc<Remote>,
    path: Path,
    content: Content,
    mut file: File,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    let there = match remote.enter(&path, expect).await {
        Ok(there) if there.is(expect) => there,
        Ok(_) => {
            file.discard().await;
            return Err(changed(&path));
        }
        Err(fault) => {
            if fault.kind != FaultKind::Unavailable {
                file.discard().await;
            }
            return Err(fault);
        }
    };
    let done = match file.finish(&remote, &content, Remote::kept(&there)).await {
        Ok(done) => done,
        Err(failure) => return Err(file.failed(&remote, &path, failure).await),
    };
    if let Some((reuse, temp)) = file.reuse.take().zip(file.temp.as_ref())
        && let Err(fault) = reuse.verify(&remote, &path, temp.full(), &content).await
    {
        file.discard().await;
        return Err(fault);
    }
    let temp = file.temp.take().ok_or_else(|| lost("a write"))?;
    drop(file);
    put(&remote, &path, &content, (temp, done), &there).await
}

impl Sink for SftpSink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        let Written::File(file) = &self.written else { return Ok((0, Hasher::default())) };
        let length = file.length;
        let handle = Arc::clone(&file.handle);
        let hasher = read::hash(&self.remote, handle, length).await;
        Ok((length, hasher.map_err(|failure| fault("resume", &self.path, &failure))?))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        if bytes.is_empty() || self.keep(&bytes) {
            return Ok(());
        }
        if matches!(self.written, Written::Memory { .. }) {
            self.spill().await?;
        }
        match &mut self.written {
            Written::File(file) => file.write(&self.remote, &self.path, bytes).await,
            _ => Err(lost("a write")),
        }
    }

    async fn place(mut self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let path = self.path.clone();
        match std::mem::replace(&mut self.written, Written::Nothing) {
            Written::Memory { pieces, room, .. } => {
                to_its_end(&self.remote, |remote| async move {
                    let _room = room;
                    let bytes = match <[Bytes; 1]>::try_from(pieces) {
                        Ok([only]) => only,
                        Err(pieces) => pieces.concat().into(),
                    };
                    place_small(remote, path, content, bytes, expect).await
                })
                .await
            }
            Written::File(file) => {
                to_its_end(&self.remote, |remote| place_large(remote, path, content, file, expect))
                    .await
            }
            Written::Nothing => Err(lost("a write")),
        }
    }

    async fn discard(mut self) {
        if let Written::File(file) = &mut self.written {
            file.discard().await;
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(temp) = self.temp.as_mut().filter(|_| self.is_kept && self.length > 0) {
            temp.leave();
        }
    }
}
