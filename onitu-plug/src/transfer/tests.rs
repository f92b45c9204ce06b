//! Both halves of a transfer over the bus in memory, against a storage with knobs.

pub(crate) mod fake;
mod faults;
#[cfg(feature = "process")]
mod real;
mod resume;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::limits::{CREDIT_BYTES, INLINE_BYTES_MAX};
use onitu_core::message::Origin;
use onitu_core::{Checksum, Content, Fault, Kind, Media, Path, ServiceId, State};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::fake::{Fake, Knobs, Passed, Relay};
use super::{Puller, Wanted};
use crate::serve::serve;

const SOURCE: ServiceId = ServiceId(1);
const MIB: usize = 1024 * 1024;
const INLINE: usize = INLINE_BYTES_MAX as usize;

/// A source and a destination on one bus.
pub(crate) struct Pair {
    bus: MemoryBus,
    source: Fake,
    here: Fake,
    puller: Puller,
    serving: JoinSet<()>,
    relay: Option<Relay>,
}

impl Pair {
    /// Connected straight.
    async fn new(seed: u64) -> Self {
        let mut pair = Self::apart(seed);
        pair.serve_at(&Endpoint::contents(SOURCE)).await;
        pair
    }

    /// Connected through a relay.
    async fn relayed(tamper: impl FnMut(&mut Vec<Bytes>) + Send + 'static) -> Self {
        let mut pair = Self::apart(1);
        let hidden = Endpoint("hidden".to_owned());
        pair.serve_at(&hidden).await;
        let front = Endpoint::contents(SOURCE);
        pair.relay = Some(Relay::new(&pair.bus, &front, &hidden, tamper).await);
        pair
    }

    /// Not connected yet.
    fn apart(seed: u64) -> Self {
        let bus = MemoryBus::new(seed);
        let puller = Puller::new(Arc::new(bus.clone()));
        let (source, here) = (Fake::default(), Fake::default());
        Self { bus, source, here, puller, serving: JoinSet::new(), relay: None }
    }

    async fn serve_at(&mut self, at: &Endpoint) {
        let router = self.bus.router(at).await.expect("free");
        let plug = Arc::new(self.source.clone());
        self.serving.spawn(async move {
            let _ = serve(plug, router, crate::Hints::default()).await;
        });
    }

    /// Serves at `bytes_per_s`.
    async fn serve_slowly(&mut self, bytes_per_s: u64) {
        self.serving.shutdown().await;
        let router = self.bus.router(&Endpoint::contents(SOURCE)).await.expect("free");
        let limit = onitu_core::Limit { bytes_per_s, between: None };
        let plug = Arc::new(crate::limited::Limited::over(self.source.clone(), Some(limit)));
        self.serving.spawn(async move {
            let _ = serve(plug, router, crate::Hints::default()).await;
        });
    }

    async fn restart_source(&mut self) {
        self.serving.shutdown().await;
        self.serve_at(&Endpoint::contents(SOURCE)).await;
    }

    fn passed(&self) -> &Passed {
        &self.relay.as_ref().expect("relayed").passed
    }

    async fn fetch(&self, path: &Path, state: State) -> Result<State, Fault> {
        let from = Origin { service: SOURCE, tag: state.tag };
        self.puller
            .attempt(&self.here, &wanted(path, state.content), from)
            .await
            .map_err(|failure| failure.fault)
    }

    /// Fetches in a task of its own.
    fn spawn(&self, path: &Path, state: State) -> tokio::task::JoinHandle<Result<State, Fault>> {
        let (puller, here) = (self.puller.clone(), self.here.clone());
        let wanted = wanted(path, state.content);
        let from = Origin { service: SOURCE, tag: state.tag };
        tokio::spawn(async move {
            puller.attempt(&here, &wanted, from).await.map_err(|failure| failure.fault)
        })
    }

    /// Nothing stands at the destination and nothing is left over there.
    fn assert_nothing_placed(&self) {
        assert!(self.here.inner().files.is_empty(), "something was put in place");
    }
}

fn wanted(path: &Path, content: Content) -> Wanted {
    let (path, source_name) = (path.clone(), "laptop".to_owned());
    Wanted { path, content, expect: None, revision: 3, source_name }
}

fn path(text: &str) -> Path {
    Path::new(text).expect("valid")
}

/// Bytes that differ from place to place, and with the length.
fn noise(length: usize) -> Bytes {
    static BLOCK: OnceLock<Vec<u8>> = OnceLock::new();
    let block = BLOCK.get_or_init(|| {
        let mut block = vec![0; MIB];
        fastrand::Rng::with_seed(1).fill(&mut block);
        block
    });
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let (at, left) = (bytes.len(), length - bytes.len());
        bytes.extend_from_slice(&block[..left.min(MIB)]);
        bytes[at] = bytes[at].wrapping_add((at / MIB + length) as u8);
    }
    bytes.into()
}

/// Waits, in simulated time, until `condition` holds.
async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came so far");
}

#[tokio::test(start_paused = true)]
async fn a_content_of_any_size_arrives_as_it_was() {
    let pair = Pair::new(1).await;
    for size in [0, 1, INLINE - 1, INLINE, INLINE + 1, 3 * MIB + 1, 20 * MIB] {
        let (path, bytes) = (path(&format!("of/{size}")), noise(size));
        let state = pair.source.put(&path, Kind::File, bytes.clone());
        let placed = pair.fetch(&path, state).await.expect("fetched");
        assert_eq!(pair.here.bytes(&path), Some(bytes.clone()), "{size} bytes");
        assert_eq!(placed.content.checksum, Some(Checksum::of(&bytes)));
        assert_eq!(placed.content.mtime_ns, 7);
    }
    assert!(pair.here.inner().kept.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_link_travels_as_its_text() {
    let pair = Pair::new(1).await;
    let (path, text) = (path("link"), Bytes::from("../elsewhere/…"));
    let state = pair.source.put(&path, Kind::Symlink, text.clone());
    let placed = pair.fetch(&path, state).await.expect("fetched");
    assert_eq!((placed.content.kind, pair.here.bytes(&path)), (Kind::Symlink, Some(text)));
}

#[tokio::test(start_paused = true)]
async fn the_orders_attributes_are_placed_not_the_sources() {
    let pair = Pair::new(1).await;
    let path = path("tool");
    let mut state = pair.source.put(&path, Kind::File, noise(9));
    (state.content.mtime_ns, state.content.executable) = (99, true);
    let placed = pair.fetch(&path, state).await.expect("fetched");
    assert_eq!((placed.content.mtime_ns, placed.content.executable), (99, true));
}

#[tokio::test(start_paused = true)]
async fn small_files_share_messages() {
    let pair = Pair::relayed(|_| {}).await;
    let mut fetches = Vec::new();
    for at in 0..500 {
        let path = path(&format!("many/{at}"));
        let state = pair.source.put(&path, Kind::File, noise(4096));
        fetches.push(pair.spawn(&path, state));
    }
    for fetch in fetches {
        fetch.await.expect("no panic").expect("fetched");
    }
    assert_eq!(pair.here.inner().files.len(), 500);
    let (asks, answers) = (pair.passed().asks(), pair.passed().answers());
    assert!(asks <= 4, "{asks} messages to open 500 files");
    assert!(answers <= 20, "{answers} messages with 500 files");
}

#[tokio::test(start_paused = true)]
async fn a_lone_small_file_costs_one_message_each_way_and_no_waiting() {
    let pair = Pair::relayed(|_| {}).await;
    let path = path("lone");
    let state = pair.source.put(&path, Kind::File, noise(4096));
    let before = tokio::time::Instant::now();
    pair.fetch(&path, state).await.expect("fetched");
    assert_eq!((pair.passed().asks(), pair.passed().answers()), (1, 1));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn credit_bounds_the_bytes_under_way_while_the_storage_stalls() {
    let pair = Pair::relayed(|_| {}).await;
    let writes = Arc::new(Semaphore::new(0));
    pair.here.turn(Knobs { writes: Some(writes.clone()), ..Knobs::default() });
    let (path, bytes) = (path("large"), noise(30 * MIB));
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    let fetch = pair.spawn(&path, state);
    let window = CREDIT_BYTES as usize;
    until(|| pair.passed().body_bytes() == window).await;
    // Far longer than any patience: the puller's signs of life keep the transfer.
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(pair.passed().body_bytes(), window);
    writes.add_permits(4);
    until(|| pair.here.inner().bytes_written > 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let written = usize::try_from(pair.here.inner().bytes_written).expect("small");
    assert!(pair.passed().body_bytes() <= window + written);
    writes.add_permits(10_000);
    fetch.await.expect("no panic").expect("fetched");
    assert_eq!(pair.here.bytes(&path), Some(bytes));
}

#[tokio::test(start_paused = true)]
async fn progress_tells_of_large_transfers_only() {
    let pair = Pair::new(1).await;
    pair.here.turn(Knobs { write_delay: Duration::from_millis(100), ..Knobs::default() });
    let (large, small) = (path("large"), path("small"));
    let state = pair.source.put(&large, Kind::File, noise(30 * MIB));
    let fetch = pair.spawn(&large, state);
    let state = pair.source.put(&small, Kind::File, noise(100));
    let other = pair.spawn(&small, state);
    until(|| pair.puller.progress().first().is_some_and(|shown| shown.done_bytes > 0)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let shown = pair.puller.progress();
    assert_eq!(shown.len(), 1);
    assert_eq!((&shown[0].path, shown[0].from.as_str()), (&large, "laptop"));
    assert_eq!(shown[0].size_bytes, 30 * MIB as u64);
    let rate = shown[0].bytes_per_s;
    assert!((MIB as u64..60 * MIB as u64).contains(&rate), "{rate} bytes/s");
    assert!(shown[0].eta_s.is_some_and(|eta| eta < 30));
    for fetch in [fetch, other] {
        fetch.await.expect("no panic").expect("fetched");
    }
    assert_eq!(pair.puller.progress(), []);
}

#[tokio::test(start_paused = true)]
async fn a_slow_way_gets_small_chunks_and_a_fast_one_large_ones() {
    let sizes = Arc::new(std::sync::Mutex::new(Vec::new()));
    for (delay_ms, expected) in [(0, 4 * MIB), (30, MIB / 2), (400, MIB / 16)] {
        let seen = sizes.clone();
        let pair = Pair::relayed(move |frames| {
            if let Some(body) = frames.get(1) {
                seen.lock().expect("sound").push(body.len());
            }
        })
        .await;
        // One wait for each 256 KiB.
        let read_delay = Duration::from_millis(delay_ms);
        let knobs = Knobs { read_delay, piece_max: Some(1 << 18), ..Knobs::default() };
        pair.source.turn(if delay_ms == 0 { Knobs::default() } else { knobs });
        let path = path("large");
        let state = pair.source.put(&path, Kind::File, noise(40 * MIB));
        pair.fetch(&path, state).await.expect("fetched");
        let sizes = std::mem::take(&mut *sizes.lock().expect("sound"));
        assert_eq!(sizes[sizes.len() - 3], expected, "with {delay_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_nobody_uses_is_closed_and_made_again() {
    let pair = Pair::new(1).await;
    let path = path("file");
    let state = pair.source.put(&path, Kind::File, noise(9));
    pair.fetch(&path, state).await.expect("fetched");
    let lines = || pair.puller.lines(|lines| lines.len());
    assert_eq!(lines(), 1);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(pair.puller.progress(), []);
    assert_eq!(lines(), 0);
    pair.here.inner().files.clear();
    pair.fetch(&path, state).await.expect("fetched again");
}

#[tokio::test(start_paused = true)]
async fn more_large_transfers_than_the_memory_allows_wait_for_each_other() {
    let pair = Pair::relayed(|_| {}).await;
    let writes = Arc::new(Semaphore::new(0));
    pair.here.turn(Knobs { writes: Some(writes.clone()), ..Knobs::default() });
    let mut fetches = Vec::new();
    for at in 0..60 {
        let path = path(&format!("large/{at}"));
        let state = pair.source.put(&path, Kind::File, noise(2 * MIB));
        fetches.push(pair.spawn(&path, state));
    }
    let under_way = until_quiet(pair.passed()).await;
    assert!(under_way <= super::STREAM_BYTES_MAX, "{under_way} bytes under way");
    assert!(under_way > super::STREAM_BYTES_MAX * 3 / 4, "{under_way} bytes under way");
    // Small files don't wait behind them.
    let path = path("empty");
    let state = pair.source.put(&path, Kind::File, noise(0));
    pair.fetch(&path, state).await.expect("fetched");
    writes.add_permits(100_000);
    for fetch in fetches {
        fetch.await.expect("no panic").expect("fetched");
    }
}

/// Waits until no more bytes come and tells how many came.
async fn until_quiet(passed: &Passed) -> usize {
    let mut before = usize::MAX;
    while passed.body_bytes.load(Ordering::Relaxed) != before {
        before = passed.body_bytes();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    before
}

#[tokio::test(start_paused = true)]
async fn what_travels_tells_its_media_type_where_its_name_does_not() {
    let pair = Pair::new(1).await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    for (name, size, expected) in [
        ("photo", INLINE, Media::named("image/png")),
        ("large", 3 * MIB, Media::named("image/png")),
        ("photo.png", INLINE, None),
        ("large.png", 3 * MIB, None),
    ] {
        let bytes = [&png[..], &noise(size)].concat();
        let state = pair.source.put(&path(name), Kind::File, bytes.clone());
        let placed = pair.fetch(&path(name), state).await.expect("fetched");
        assert_eq!(placed.content.media, expected, "{name}");
        // What is on record of it stays.
        let again = path(&format!("again-{name}"));
        let state = pair.source.put(&again, Kind::File, bytes);
        let known = Content { media: Some(Media::NONE), ..state.content };
        let placed = pair.fetch(&again, State { content: known, ..state }).await;
        assert_eq!(placed.expect("fetched").content.media, Some(Media::NONE), "{name}");
    }
}
