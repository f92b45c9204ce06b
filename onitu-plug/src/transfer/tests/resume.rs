//! What was interrupted goes on where it was.

use onitu_core::bus::Weather;
use onitu_core::message::{Answer, decode, encode};

use super::*;

/// Fetches until `reached` bytes are written, then cancels.
async fn interrupt(pair: &Pair, path: &Path, state: State, reached: usize) {
    let delay = Duration::from_millis(20);
    pair.here.turn(Knobs { write_delay: delay, ..Knobs::default() });
    let fetch = pair.spawn(path, state);
    until(|| pair.here.inner().bytes_written >= reached as u64).await;
    fetch.abort();
    assert!(fetch.await.is_err_and(|error| error.is_cancelled()));
    pair.here.turn(Knobs::default());
}

fn kept(pair: &Pair) -> usize {
    pair.here.inner().kept.values().map(Vec::len).sum()
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_fetch_sends_only_the_rest() {
    let pair = Pair::relayed(|_| {}).await;
    let (path, bytes) = (path("large"), noise(20 * MIB));
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    interrupt(&pair, &path, state, 8 * MIB).await;
    let (kept, before) = (kept(&pair), pair.passed().body_bytes());
    assert!(kept >= 8 * MIB);
    pair.fetch(&path, state).await.expect("fetched");
    assert_eq!(pair.passed().body_bytes() - before, 20 * MIB - kept);
    assert_eq!(pair.here.bytes(&path), Some(bytes));
    let reads = pair.source.inner().reads.clone();
    assert_eq!(reads[1..], [(path.clone(), kept as u64), (path, 0)]);
}

#[tokio::test(start_paused = true)]
async fn another_content_is_not_built_on_the_old_ones_beginning() {
    let pair = Pair::new(1).await;
    let path = path("large");
    let state = pair.source.put(&path, Kind::File, noise(20 * MIB));
    interrupt(&pair, &path, state, 8 * MIB).await;
    let bytes = noise(20 * MIB + 1);
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    pair.fetch(&path, state).await.expect("fetched");
    assert_eq!(pair.here.bytes(&path), Some(bytes));
}

#[tokio::test(start_paused = true)]
async fn leftovers_that_went_bad_are_thrown_away() {
    let pair = Pair::new(1).await;
    let (path, bytes) = (path("large"), noise(20 * MIB));
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    interrupt(&pair, &path, state, 8 * MIB).await;
    pair.here.inner().kept.values_mut().for_each(|bytes| bytes[17] ^= 1);
    pair.fetch(&path, state).await.expect_err("a bad beginning is noticed");
    pair.assert_nothing_placed();
    assert_eq!(kept(&pair), 0);
    pair.fetch(&path, state).await.expect("fetched");
    assert_eq!(pair.here.bytes(&path), Some(bytes));
}

#[tokio::test(start_paused = true)]
async fn leftovers_longer_than_the_content_are_thrown_away() {
    let pair = Pair::new(1).await;
    let (path, bytes) = (path("large"), noise(MIB));
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    interrupt(&pair, &path, state, 1).await;
    pair.here.inner().kept.values_mut().for_each(|bytes| bytes.resize(MIB + 1, 0));
    pair.fetch(&path, state).await.expect("fetched");
    assert_eq!(pair.here.bytes(&path), Some(bytes));
}

#[tokio::test(start_paused = true)]
async fn leftovers_that_are_complete_are_verified_and_placed() {
    let pair = Pair::relayed(|_| {}).await;
    let (path, bytes) = (path("large"), noise(5 * MIB));
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    interrupt(&pair, &path, state, 1).await;
    pair.here.inner().kept.values_mut().for_each(|kept| *kept = bytes.to_vec());
    let before = pair.passed().body_bytes();
    pair.fetch(&path, state).await.expect("fetched");
    assert_eq!(pair.passed().body_bytes(), before);
    assert_eq!(pair.here.bytes(&path), Some(bytes));
}

#[tokio::test(start_paused = true)]
async fn a_long_beginning_is_checked_without_the_puller_giving_up() {
    let pair = Pair::new(1).await;
    let (path, bytes) = (path("large"), noise(40 * MIB));
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    interrupt(&pair, &path, state, 30 * MIB).await;
    // 4 s for each 4 MiB of the beginning: much longer than the puller bears silence.
    let read_delay = Duration::from_secs(4);
    pair.source.turn(Knobs { read_delay, ..Knobs::default() });
    pair.fetch(&path, state).await.expect("fetched");
    assert_eq!(pair.here.bytes(&path), Some(bytes));
}

#[tokio::test(start_paused = true)]
async fn a_chunk_lost_on_the_way_is_asked_for_again() {
    for lost in [1, 5, 20] {
        let mut chunks = 0;
        let pair = Pair::relayed(move |frames| {
            if matches!(decode(&frames[0]), Ok(Answer::Chunk { .. })) {
                chunks += 1;
                if chunks == lost {
                    *frames = vec![encode(&Answer::Pong)];
                }
            }
        })
        .await;
        let (path, bytes) = (path("large"), noise(5 * MIB));
        let state = pair.source.put(&path, Kind::File, bytes.clone());
        pair.fetch(&path, state).await.expect("fetched");
        assert_eq!(pair.here.bytes(&path), Some(bytes));
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_restarts_in_the_middle_goes_on() {
    let mut pair = Pair::new(1).await;
    pair.here.turn(Knobs { write_delay: Duration::from_millis(50), ..Knobs::default() });
    let (path, bytes) = (path("large"), noise(30 * MIB));
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    let fetch = pair.spawn(&path, state);
    for reached in [3 * MIB, 20 * MIB] {
        until(|| pair.here.inner().bytes_written >= reached as u64).await;
        pair.restart_source().await;
    }
    fetch.await.expect("no panic").expect("fetched");
    assert_eq!(pair.here.bytes(&path), Some(bytes));
    assert_eq!(pair.here.inner().bytes_written, 30 * MIB as u64, "nothing was sent for nothing");
    assert_eq!(pair.source.inner().reads.len(), 5, "three openings, two beginnings");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_always_breaks_is_given_up_and_the_rest_is_kept() {
    let pair = Pair::new(1).await;
    let (path, bytes) = (path("large"), noise(30 * MIB));
    let state = pair.source.put(&path, Kind::File, bytes.clone());
    pair.bus.set_weather(Weather { reset_dealer: 0.3, ..Weather::default() });
    let mut attempts = 0;
    while let Err(fault) = pair.fetch(&path, state).await {
        attempts += 1;
        assert_eq!(fault.kind, onitu_core::FaultKind::Unavailable, "{fault}");
        assert!(attempts < 100, "no progress at all");
    }
    assert!(attempts > 0, "the weather was too good");
    assert_eq!(pair.here.bytes(&path), Some(bytes));
    assert_eq!(pair.here.inner().bytes_written, 30 * MIB as u64);
}
