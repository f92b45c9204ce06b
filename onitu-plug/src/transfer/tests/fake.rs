//! A storage in memory with knobs, and a relay that watches what passes on the bus.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use onitu_core::bus::{Bus, Delivery, Endpoint, Frames, MemoryBus};
use onitu_core::manifest::Manifest;
use onitu_core::{Content, Fault, FaultKind, Hasher, Kind, Path, State, Tag};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::hints::Hints;
use crate::plug::{Listing, Plug, Setting, Sink, Source};

/// What shall go wrong.
#[derive(Clone, Default)]
pub(crate) struct Knobs {
    /// Each piece is read so slowly.
    pub(crate) read_delay: Duration,
    /// Pieces are never larger.
    pub(crate) piece_max: Option<u32>,
    /// The byte at this offset comes out wrong.
    pub(crate) flip_at: Option<u64>,
    /// The file is found changed once so many bytes were read.
    pub(crate) change_at: Option<u64>,
    /// The source ends here, without a word.
    pub(crate) cut_at: Option<u64>,
    /// Reading never answers from here on.
    pub(crate) silent_from: Option<u64>,
    /// Each write waits for one permit.
    pub(crate) writes: Option<Arc<Semaphore>>,
    /// Each write takes so long.
    pub(crate) write_delay: Duration,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) knobs: Knobs,
    pub(crate) files: BTreeMap<Path, (State, Bytes)>,
    /// What interrupted writes left, by path and resume key.
    pub(crate) kept: BTreeMap<(Path, u64), Vec<u8>>,
    /// Path and offset of each read that was opened.
    pub(crate) reads: Vec<(Path, u64)>,
    pub(crate) bytes_written: u64,
}

/// A storage in memory; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Inner>>);

impl Fake {
    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn turn(&self, knobs: Knobs) {
        self.inner().knobs = knobs;
    }

    /// Puts a file there and tells its state, without a checksum.
    pub(crate) fn put(&self, path: &Path, kind: Kind, bytes: impl Into<Bytes>) -> State {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        let content =
            Content { kind, size, mtime_ns: 7, executable: false, checksum: None, media: None };
        let mut inner = self.inner();
        let serial = inner.files.len();
        let tag = Tag::of(format!("{path} {size} {serial}").as_bytes());
        let state = State { content, tag };
        inner.files.insert(path.clone(), (state, bytes));
        state
    }

    pub(crate) fn bytes(&self, path: &Path) -> Option<Bytes> {
        self.inner().files.get(path).map(|(_, bytes)| bytes.clone())
    }
}

pub(crate) struct FakeSource {
    fake: Fake,
    path: Path,
    tag: Tag,
    content: Content,
    bytes: Bytes,
    at: u64,
}

impl Source for FakeSource {
    fn content(&self) -> Content {
        self.content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        let knobs = self.fake.inner().knobs.clone();
        if !knobs.read_delay.is_zero() {
            tokio::time::sleep(knobs.read_delay).await;
        }
        if knobs.silent_from.is_some_and(|from| self.at >= from) {
            std::future::pending::<()>().await;
        }
        let same = self.fake.inner().files.get(&self.path).is_some_and(|(s, _)| s.tag == self.tag);
        if !same || knobs.change_at.is_some_and(|at| self.at >= at) {
            return Err(Fault::new(FaultKind::Changed, "it changed while it was read"));
        }
        let end = knobs.cut_at.unwrap_or(u64::MAX).min(self.content.size);
        let length = u64::from(max.min(knobs.piece_max.unwrap_or(u32::MAX))).min(end - self.at);
        let from = usize::try_from(self.at).expect("small");
        let mut piece = self.bytes.slice(from..from + usize::try_from(length).expect("small"));
        if let Some(flip) = knobs.flip_at.and_then(|at| at.checked_sub(self.at))
            && flip < length
        {
            let mut flipped = piece.to_vec();
            flipped[usize::try_from(flip).expect("small")] ^= 1;
            piece = flipped.into();
        }
        self.at += length;
        Ok(piece)
    }
}

pub(crate) struct FakeSink {
    fake: Fake,
    path: Path,
    key: u64,
    bytes: Option<Vec<u8>>,
}

impl Drop for FakeSink {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes.take() {
            self.fake.inner().kept.insert((self.path.clone(), self.key), bytes);
        }
    }
}

impl Sink for FakeSink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        let bytes = self.bytes.as_ref().expect("not over");
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        Ok((bytes.len() as u64, hasher))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let knobs = self.fake.inner().knobs.clone();
        if let Some(writes) = knobs.writes {
            writes.acquire().await.expect("open").forget();
        }
        if !knobs.write_delay.is_zero() {
            tokio::time::sleep(knobs.write_delay).await;
        }
        self.fake.inner().bytes_written += bytes.len() as u64;
        self.bytes.as_mut().expect("not over").extend_from_slice(&bytes);
        Ok(())
    }

    async fn place(mut self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let bytes = self.bytes.take().expect("not over");
        assert_eq!(bytes.len() as u64, content.size, "verified before");
        let mut inner = self.fake.inner();
        if inner.files.get(&self.path).map(|(state, _)| state.tag) != expect {
            return Err(Fault::new(FaultKind::Changed, "something else stands here"));
        }
        let tag = Tag::of(format!("placed {} {content:?}", self.path).as_bytes());
        let state = State { content: Content { checksum: None, ..content }, tag };
        inner.files.insert(self.path.clone(), (state, bytes.into()));
        Ok(state)
    }

    async fn discard(mut self) {
        self.bytes = None;
    }
}

fn unsupported<T>() -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Unsupported, "not needed by these tests"))
}

impl Plug for Fake {
    type Options = ();
    type Source = FakeSource;
    type Sink = FakeSink;

    fn manifest() -> Manifest {
        unreachable!("nobody asks")
    }
    async fn connect((): (), _: Setting) -> Result<Self, Fault> {
        Ok(Self::default())
    }
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn watch(&self, _: Hints) -> Result<(), Fault> {
        std::future::pending().await
    }
    async fn settle(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn list(&self, _: &Path, _: Listing) -> Result<(), Fault> {
        unsupported()
    }
    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        Ok(self.inner().files.get(path).map(|(state, _)| *state))
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<FakeSource, Fault> {
        let mut inner = self.inner();
        inner.reads.push((path.clone(), offset));
        match inner.files.get(path) {
            Some((state, bytes)) if state.tag == tag && offset <= state.content.size => {
                let (content, bytes) = (state.content, bytes.clone());
                Ok(FakeSource {
                    fake: self.clone(),
                    path: path.clone(),
                    tag,
                    content,
                    bytes,
                    at: offset,
                })
            }
            _ => Err(Fault::new(FaultKind::Changed, "it has another tag")),
        }
    }

    async fn write(&self, path: &Path, _: &Content, resume: u64) -> Result<FakeSink, Fault> {
        let kept = self.inner().kept.remove(&(path.clone(), resume)).unwrap_or_default();
        Ok(FakeSink { fake: self.clone(), path: path.clone(), key: resume, bytes: Some(kept) })
    }

    async fn make_directory(&self, _: &Path, _: Option<Tag>) -> Result<State, Fault> {
        unsupported()
    }
    async fn set_attributes(&self, _: &Path, _: Tag, _: &Content) -> Result<State, Fault> {
        unsupported()
    }
    async fn rename(&self, _: &Path, _: Tag, _: &Path, _: Option<Tag>) -> Result<State, Fault> {
        unsupported()
    }
    async fn remove(&self, _: &Path, _: Tag) -> Result<(), Fault> {
        unsupported()
    }
}

/// What passed a [`Relay`].
#[derive(Default)]
pub(crate) struct Passed {
    pub(crate) asks: AtomicUsize,
    pub(crate) answers: AtomicUsize,
    pub(crate) body_bytes: AtomicUsize,
}

impl Passed {
    pub(crate) fn asks(&self) -> usize {
        self.asks.load(Ordering::Relaxed)
    }
    pub(crate) fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }
    pub(crate) fn body_bytes(&self) -> usize {
        self.body_bytes.load(Ordering::Relaxed)
    }
}

/// Stands between one dealer and a router: counts messages and may change answers.
pub(crate) struct Relay {
    pub(crate) passed: Arc<Passed>,
    _task: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn new(
        bus: &MemoryBus,
        front: &Endpoint,
        back: &Endpoint,
        mut tamper: impl FnMut(&mut Frames) + Send + 'static,
    ) -> Self {
        let passed = Arc::new(Passed::default());
        let (seen, mut task) = (passed.clone(), JoinSet::new());
        let mut front = bus.router(front).await.expect("free");
        let mut back = bus.dealer(back);
        task.spawn(async move {
            let (say, mut peer) = (front.sender(), None);
            loop {
                tokio::select! {
                    asked = front.recv() => {
                        let (from, frames) = asked.expect("the relay owns it");
                        peer = Some(from);
                        seen.asks.fetch_add(1, Ordering::Relaxed);
                        back.sender().send(frames).await.expect("there");
                    }
                    answered = back.recv() => {
                        let Ok(Delivery::Message(mut frames)) = answered else { return };
                        seen.answers.fetch_add(1, Ordering::Relaxed);
                        let bodies = frames.iter().skip(1).map(Bytes::len).sum();
                        seen.body_bytes.fetch_add(bodies, Ordering::Relaxed);
                        tamper(&mut frames);
                        let to = peer.clone().expect("asked before");
                        say.send((to, frames)).await.expect("there");
                    }
                }
            }
        });
        Self { passed, _task: task }
    }
}
