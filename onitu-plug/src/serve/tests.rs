//! The sending half alone, asked by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use onitu_core::bus::{Bus, Dealer, Delivery, Endpoint, MemoryBus};
use onitu_core::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, INLINE_BYTES_MAX};
use onitu_core::message::{Answer, Ask, Open, decode, encode};
use onitu_core::{Checksum, FaultKind, Kind, Path, State, Tag};
use tokio::task::JoinSet;

use super::{TRANSFERS_MAX, serve};
use crate::transfer::tests::fake::{Fake, Knobs};

const MIB: usize = 1024 * 1024;

struct Asker {
    fake: Fake,
    dealer: Dealer,
    _serving: JoinSet<()>,
}

impl Asker {
    async fn new() -> Self {
        let (bus, fake) = (MemoryBus::new(1), Fake::default());
        let at = Endpoint("contents".to_owned());
        let (router, plug) = (bus.router(&at).await.expect("free"), Arc::new(fake.clone()));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let _ = serve(plug, router, crate::Hints::default()).await;
        });
        Self { fake, dealer: bus.dealer(&at), _serving: serving }
    }

    fn put(&self, size: usize) -> State {
        self.fake.put(&file(), Kind::File, vec![7; size])
    }

    async fn ask(&self, ask: &Ask) {
        self.say(vec![encode(ask)]).await;
    }

    async fn say(&self, frames: Vec<Bytes>) {
        self.dealer.sender().send(frames).await.expect("there");
    }

    async fn open(&self, open: Open) {
        self.ask(&Ask::Open { opens: vec![open] }).await;
    }

    /// The next answer with its bytes, if one comes within a minute.
    async fn answer(&mut self) -> Option<(Answer, Bytes)> {
        let heard = tokio::time::timeout(Duration::from_mins(1), self.dealer.recv()).await.ok()?;
        let Ok(Delivery::Message(frames)) = heard else { panic!("{heard:?}") };
        let body = frames.get(1).cloned().unwrap_or_default();
        Some((decode(&frames[0]).expect("an answer"), body))
    }

    async fn refusal(&mut self) -> FaultKind {
        match self.answer().await {
            Some((Answer::Refused { fault, .. }, _)) => fault.kind,
            other => panic!("{other:?}"),
        }
    }

    /// Sizes of the chunks that come without new credit.
    async fn chunks(&mut self) -> Vec<usize> {
        let mut sizes = Vec::new();
        while let Some((Answer::Chunk { .. }, body)) = self.answer().await {
            sizes.push(body.len());
        }
        sizes
    }
}

fn file() -> Path {
    Path::new("file").expect("valid")
}

fn open(id: u64, tag: Tag) -> Open {
    let (chunk_bytes, credit_bytes) = (CHUNK_BYTES_MIN, 8 * CHUNK_BYTES_MIN);
    Open { id, path: file(), tag, offset: 0, chunk_bytes, credit_bytes, checksum: None }
}

#[tokio::test(start_paused = true)]
async fn a_small_file_comes_whole_with_its_checksum() {
    let mut asker = Asker::new().await;
    let size = usize::try_from(INLINE_BYTES_MAX).expect("small");
    let state = asker.put(size);
    asker.open(open(5, state.tag)).await;
    let Some((Answer::Whole { items }, body)) = asker.answer().await else { panic!("not whole") };
    assert_eq!((items.len(), items[0].id), (1, 5));
    assert_eq!(items[0].content.checksum, Some(Checksum::of(&body)));
    assert_eq!(body.len(), size);
}

#[tokio::test(start_paused = true)]
async fn a_large_file_comes_in_chunks_within_the_credit() {
    let mut asker = Asker::new().await;
    let state = asker.put(MIB + 1);
    asker.open(open(5, state.tag)).await;
    assert!(matches!(asker.answer().await, Some((Answer::Opened { id: 5, .. }, _))));
    for at in 0..8 {
        let Some((Answer::Chunk { offset, .. }, body)) = asker.answer().await else { panic!() };
        assert_eq!((offset, body.len()), (at * u64::from(CHUNK_BYTES_MIN), 65_536));
    }
    let bytes = u32::try_from(MIB).expect("small");
    asker.ask(&Ask::Credit { id: 5, bytes, chunk_bytes: bytes }).await;
    let Some((Answer::Chunk { .. }, body)) = asker.answer().await else { panic!("no chunk") };
    assert_eq!(body.len(), MIB / 2 + 1, "the new chunk size holds at once");
    let Some((Answer::End { checksum, .. }, _)) = asker.answer().await else { panic!("no end") };
    assert_eq!(checksum, Checksum::of(&vec![7; MIB + 1]));
}

#[tokio::test(start_paused = true)]
async fn hostile_numbers_are_bounded() {
    let mut asker = Asker::new().await;
    let state = asker.put(64 * MIB);
    let (chunk_bytes, credit_bytes) = (u32::MAX, u32::MAX);
    asker.open(Open { chunk_bytes, credit_bytes, ..open(1, state.tag) }).await;
    for _ in 0..10 {
        asker.ask(&Ask::Credit { id: 1, bytes: u32::MAX, chunk_bytes: u32::MAX }).await;
    }
    assert!(matches!(asker.answer().await, Some((Answer::Opened { .. }, _))));
    let Some((_, body)) = asker.answer().await else { panic!("no chunk") };
    assert_eq!(body.len(), CHUNK_BYTES_MAX as usize);
    asker.ask(&Ask::Close { id: 1 }).await;
    while asker.answer().await.is_some() {}

    let chunk_bytes = 0;
    asker.open(Open { chunk_bytes, credit_bytes: 100_000, ..open(2, state.tag) }).await;
    assert!(matches!(asker.answer().await, Some((Answer::Opened { .. }, _))));
    assert_eq!(asker.chunks().await, [65_536, 34_464]);
}

#[tokio::test(start_paused = true)]
async fn one_puller_never_has_more_unconfirmed_than_its_bound() {
    let mut asker = Asker::new().await;
    let state = asker.put(16 * MIB);
    let credit_bytes = u32::try_from(16 * MIB).expect("small");
    let opens = (0..20)
        .map(|id| Open { credit_bytes, chunk_bytes: CHUNK_BYTES_MAX, ..open(id, state.tag) })
        .collect();
    asker.ask(&Ask::Open { opens }).await;
    let mut sent = 0;
    let window = Duration::from_secs(20);
    while let Ok(heard) = tokio::time::timeout(window, asker.dealer.recv()).await {
        let Ok(Delivery::Message(frames)) = heard else { panic!("{heard:?}") };
        sent += frames.iter().skip(1).map(Bytes::len).sum::<usize>();
    }
    assert_eq!(sent, super::PEER_BYTES_MAX);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_refused() {
    let mut asker = Asker::new().await;
    let state = asker.put(MIB);
    asker.open(open(1, Tag([0; 6]))).await;
    assert_eq!(asker.refusal().await, FaultKind::Changed);
    asker.open(Open { path: Path::root(), ..open(2, state.tag) }).await;
    assert_eq!(asker.refusal().await, FaultKind::Changed);
    for offset in [MIB as u64 + 1, u64::MAX] {
        asker.open(Open { offset, ..open(offset, state.tag) }).await;
        assert_eq!(asker.refusal().await, FaultKind::Changed);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_read_change_nothing() {
    let mut asker = Asker::new().await;
    let state = asker.put(10);
    let outside = b"\x01\x81\xa4open\x91\x01".as_slice();
    for junk in [&b""[..], b"\x01", b"\x09abc", b"\x01\xc1\xff", outside] {
        asker.say(vec![Bytes::from_static(junk)]).await;
    }
    asker.say(vec![]).await;
    asker.ask(&Ask::Credit { id: 77, bytes: 1, chunk_bytes: 1 }).await;
    asker.ask(&Ask::Close { id: 77 }).await;
    asker.ask(&Ask::Ping).await;
    assert!(matches!(asker.answer().await, Some((Answer::Pong, _))));
    asker.open(open(1, state.tag)).await;
    assert!(matches!(asker.answer().await, Some((Answer::Whole { .. }, _))));
}

#[tokio::test(start_paused = true)]
async fn an_open_heard_twice_is_served_once() {
    let mut asker = Asker::new().await;
    let state = asker.put(MIB);
    asker.ask(&Ask::Open { opens: vec![open(1, state.tag), open(1, state.tag)] }).await;
    assert!(matches!(asker.answer().await, Some((Answer::Opened { .. }, _))));
    assert_eq!(asker.chunks().await.len(), 8);
    assert_eq!(asker.fake.inner().reads.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_puller_that_says_nothing_more_is_given_up() {
    let mut asker = Asker::new().await;
    let state = asker.put(MIB);
    asker.open(open(1, state.tag)).await;
    while asker.answer().await.is_some() {}
    // More than half a minute has passed: this credit comes too late.
    asker.ask(&Ask::Credit { id: 1, bytes: 1 << 20, chunk_bytes: 1 << 20 }).await;
    assert!(asker.answer().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_keeps_a_stalled_transfer() {
    let mut asker = Asker::new().await;
    let state = asker.put(MIB);
    asker.open(open(1, state.tag)).await;
    for _ in 0..9 {
        assert!(asker.answer().await.is_some());
    }
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        asker.ask(&Ask::Credit { id: 1, bytes: 0, chunk_bytes: 1 << 20 }).await;
    }
    asker.ask(&Ask::Credit { id: 1, bytes: 1 << 20, chunk_bytes: 1 << 20 }).await;
    assert!(matches!(asker.answer().await, Some((Answer::Chunk { .. }, _))));
    assert!(matches!(asker.answer().await, Some((Answer::End { .. }, _))));
}

#[tokio::test(start_paused = true)]
async fn more_transfers_than_the_bound_are_asked_to_come_back() {
    let mut asker = Asker::new().await;
    let state = asker.put(10);
    asker.fake.turn(Knobs { silent_from: Some(0), ..Knobs::default() });
    let total = TRANSFERS_MAX as u64 + 3;
    let opens: Vec<_> = (0..total).map(|id| open(id, state.tag)).collect();
    for opens in opens.chunks(500) {
        asker.ask(&Ask::Open { opens: opens.to_vec() }).await;
    }
    for _ in 0..3 {
        let Some((Answer::Refused { id, fault }, _)) = asker.answer().await else { panic!() };
        assert_eq!(fault.kind, FaultKind::RateLimited);
        assert!(id >= TRANSFERS_MAX as u64 && fault.retry_after_ms.is_some());
    }
    assert_eq!(asker.fake.inner().reads.len(), super::READS_MAX);
}
