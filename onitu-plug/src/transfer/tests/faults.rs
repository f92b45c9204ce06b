//! What goes wrong on the way, at the source and here: nothing false is ever put in place.

use onitu_core::FaultKind;
use onitu_core::bus::Weather;
use onitu_core::message::{Answer, decode};

use super::*;
use crate::transfer::Side;

fn with(change: impl FnOnce(&mut Knobs)) -> Knobs {
    let mut knobs = Knobs::default();
    change(&mut knobs);
    knobs
}

#[tokio::test(start_paused = true)]
async fn a_bit_flipped_on_the_way_is_found() {
    for size in [1, INLINE, INLINE + 1, 5 * MIB] {
        let mut flipped = false;
        let pair = Pair::relayed(move |frames| {
            if let (Some(body), false) = (frames.get_mut(1), flipped) {
                let mut bytes = body.to_vec();
                bytes[0] ^= 4;
                *body = bytes.into();
                flipped = true;
            }
        })
        .await;
        let path = path("file");
        let state = pair.source.put(&path, Kind::File, noise(size));
        let fault = pair.fetch(&path, state).await.expect_err("it was flipped");
        assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
        assert!(fault.message.contains("`laptop`") && fault.message.contains("`file`"), "{fault}");
        pair.assert_nothing_placed();
        assert!(pair.here.inner().kept.is_empty(), "what is corrupt was kept");
        pair.fetch(&path, state).await.expect("the next attempt begins from nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bit_that_rotted_at_the_source_is_found_by_the_records_checksum() {
    for size in [10, 5 * MIB] {
        let pair = Pair::new(1).await;
        let path = path("file");
        let mut state = pair.source.put(&path, Kind::File, noise(size));
        state.content.checksum = Some(Checksum::of(&noise(size)));
        pair.source.turn(with(|knobs| knobs.flip_at = Some(9)));
        let fault = pair.fetch(&path, state).await.expect_err("it rotted");
        assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
        pair.assert_nothing_placed();
        pair.source.turn(Knobs::default());
        pair.fetch(&path, state).await.expect("it is sound again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_changes_in_the_middle_ends_the_transfer() {
    for (size, at) in [(100, 100), (INLINE, 0), (20 * MIB, 3 * MIB), (20 * MIB, 20 * MIB)] {
        let pair = Pair::new(1).await;
        let path = path("dir/file");
        let state = pair.source.put(&path, Kind::File, noise(size));
        pair.source.turn(with(|knobs| knobs.change_at = Some(at as u64)));
        let from = Origin { service: SOURCE, tag: state.tag };
        let wanted = wanted(&path, state.content);
        let failure = pair.puller.attempt(&pair.here, &wanted, from).await.expect_err("changed");
        assert_eq!((failure.side, failure.fault.kind), (Side::Source, FaultKind::Changed));
        let message = &failure.fault.message;
        assert!(message.contains("`laptop`") && message.contains("`dir/file`"), "{message}");
        pair.assert_nothing_placed();
        assert!(pair.here.inner().kept.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_changed_is_left_alone() {
    for size in [100, 5 * MIB] {
        let pair = Pair::new(1).await;
        let path = path("file");
        pair.here.put(&path, Kind::File, "the user's");
        let state = pair.source.put(&path, Kind::File, noise(size));
        let from = Origin { service: SOURCE, tag: state.tag };
        let wanted = wanted(&path, state.content);
        let failure = pair.puller.attempt(&pair.here, &wanted, from).await.expect_err("changed");
        assert_eq!((failure.side, failure.fault.kind), (Side::Here, FaultKind::Changed));
        assert_eq!(pair.here.bytes(&path), Some(Bytes::from("the user's")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_ends_early_or_promises_something_else_is_not_believed() {
    let pair = Pair::new(1).await;
    for (at, size) in [50, INLINE, INLINE + 1, 3 * MIB].into_iter().enumerate() {
        let path = path(&format!("file {at}"));
        let state = pair.source.put(&path, Kind::File, noise(size));
        pair.source.turn(with(|knobs| knobs.cut_at = Some(size as u64 - 1)));
        let fault = pair.fetch(&path, state).await.expect_err("cut");
        assert_eq!(fault.kind, FaultKind::Changed, "{fault}");
        pair.source.turn(Knobs::default());
        let mut other = state;
        other.content.size += 1;
        let fault = pair.fetch(&path, other).await.expect_err("of another size");
        assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
        let mut other = state;
        other.content.kind = Kind::Symlink;
        let fault = pair.fetch(&path, other).await.expect_err("of another kind");
        assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
        let mut other = state;
        other.content.kind = Kind::Directory;
        let fault = pair.fetch(&path, other).await.expect_err("no bytes to fetch");
        assert_eq!(fault.kind, FaultKind::Bug, "{fault}");
        pair.assert_nothing_placed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_is_given_up_within_the_limit() {
    for (size, silent_from) in [(100, 0), (5 * MIB, 0), (20 * MIB, 3 * MIB)] {
        let pair = Pair::new(1).await;
        let path = path("file");
        let state = pair.source.put(&path, Kind::File, noise(size));
        pair.source.turn(with(|knobs| knobs.silent_from = Some(silent_from as u64)));
        let before = tokio::time::Instant::now();
        let fault = pair.fetch(&path, state).await.expect_err("silent");
        assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
        assert!(before.elapsed() < Duration::from_secs(16), "{:?}", before.elapsed());
        pair.assert_nothing_placed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_gives_little_at_a_time_is_waited_for() {
    let mut pair = Pair::new(1).await;
    pair.serve_slowly(3_000).await;
    for size in [INLINE, 5 * INLINE] {
        let path = path(&format!("of {size} bytes"));
        let state = pair.source.put(&path, Kind::File, noise(size));
        let before = tokio::time::Instant::now();
        pair.fetch(&path, state).await.expect("fetched");
        let least = Duration::from_secs(size as u64 / 3_000 - 2);
        assert!(before.elapsed() >= least, "{:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_not_there_is_unavailable_and_found_when_it_comes() {
    let mut pair = Pair::apart(1);
    let path = path("file");
    let state = pair.source.put(&path, Kind::File, noise(100));
    let before = tokio::time::Instant::now();
    let fault = pair.fetch(&path, state).await.expect_err("nobody there");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    assert!(before.elapsed() < Duration::from_secs(25), "{:?}", before.elapsed());
    let fetch = pair.spawn(&path, state);
    tokio::time::sleep(Duration::from_secs(2)).await;
    pair.serve_at(&Endpoint::contents(SOURCE)).await;
    fetch.await.expect("no panic").expect("fetched");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_sends_more_than_it_may_is_given_up() {
    let flood = noise(9 * MIB);
    let pair = Pair::relayed(move |frames| {
        if let Ok(Answer::Chunk { .. }) = decode(&frames[0]) {
            frames[1] = flood.clone();
        }
    })
    .await;
    let path = path("file");
    let state = pair.source.put(&path, Kind::File, noise(20 * MIB));
    let fault = pair.fetch(&path, state).await.expect_err("too much");
    assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
    pair.assert_nothing_placed();
}

#[tokio::test(start_paused = true)]
async fn damaged_answers_are_dropped() {
    let mut damaged = 0;
    let pair = Pair::relayed(move |frames| {
        damaged += 1;
        if damaged < 3 {
            *frames = if damaged == 1 { vec![] } else { vec![Bytes::from_static(b"\x01junk")] };
        }
    })
    .await;
    let path = path("file");
    let state = pair.source.put(&path, Kind::File, noise(100));
    for _ in 0..2 {
        let fault = pair.fetch(&path, state).await.expect_err("no answer that can be read");
        assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    }
    pair.fetch(&path, state).await.expect("the connection is still good");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_fetch_places_nothing_and_the_source_stops() {
    for size in [100, 30 * MIB] {
        let pair = Pair::relayed(|_| {}).await;
        let path = path("file");
        let state = pair.source.put(&path, Kind::File, noise(size));
        let slow = Duration::from_secs(1);
        pair.source.turn(with(|knobs| knobs.read_delay = slow));
        let fetch = pair.spawn(&path, state);
        until(|| !pair.source.inner().reads.is_empty()).await;
        fetch.abort();
        assert!(fetch.await.is_err_and(|error| error.is_cancelled()));
        tokio::time::sleep(Duration::from_secs(3)).await;
        let passed = pair.passed().body_bytes();
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(pair.passed().body_bytes(), passed, "the source went on");
        assert_eq!(pair.puller.progress(), []);
        pair.assert_nothing_placed();
    }
}

#[tokio::test(start_paused = true)]
async fn in_any_weather_the_exact_bytes_are_placed_or_nothing() {
    let (mut placed, mut failed) = (0, 0);
    for seed in 0..50 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new(seed).await;
        pair.bus.set_weather(Weather {
            reset_dealer: rng.f64() * 0.1,
            delay: rng.f64(),
            delay_by: Duration::ZERO..=Duration::from_millis(rng.u64(0..2_000)),
            ..Weather::default()
        });
        let mut fetches = Vec::new();
        for at in 0..rng.usize(1..12) {
            let size = if rng.bool() { rng.usize(0..INLINE) } else { rng.usize(0..4 * MIB) };
            let (path, bytes) = (path(&format!("{at}")), noise(size));
            let mut state = pair.source.put(&path, Kind::File, bytes.clone());
            state.content.checksum = rng.bool().then(|| Checksum::of(&bytes));
            fetches.push((pair.spawn(&path, state), path, bytes));
        }
        if rng.u8(0..4) == 0 {
            let changed = path("0");
            tokio::time::sleep(Duration::from_millis(rng.u64(0..1_000))).await;
            pair.source.put(&changed, Kind::File, noise(rng.usize(0..INLINE)));
        }
        if rng.u8(0..4) == 0 {
            pair.restart_source().await;
        }
        for (fetch, path, bytes) in fetches {
            match fetch.await.expect("no panic") {
                Ok(state) => {
                    assert_eq!(pair.here.bytes(&path), Some(bytes.clone()), "seed {seed}");
                    assert_eq!(state.content.checksum, Some(Checksum::of(&bytes)), "seed {seed}");
                    placed += 1;
                }
                Err(fault) => {
                    assert_eq!(pair.here.bytes(&path), None, "seed {seed}: {fault}");
                    let expected = [FaultKind::Unavailable, FaultKind::Changed];
                    assert!(expected.contains(&fault.kind), "seed {seed}: {fault}");
                    failed += 1;
                }
            }
        }
    }
    assert!(placed > 100 && failed > 5, "{placed} placed, {failed} failed: no weather at all");
}

#[tokio::test(start_paused = true)]
async fn an_overtaken_fetch_ends_at_once_and_leaves_nothing() {
    for size in [100, 30 * MIB] {
        let pair = Pair::relayed(|_| {}).await;
        let path = path("file");
        let state = pair.source.put(&path, Kind::File, noise(size));
        let slow = Duration::from_secs(1);
        pair.source.turn(with(|knobs| knobs.read_delay = slow));
        let wanted = wanted(&path, state.content);
        let from = Origin { service: SOURCE, tag: state.tag };
        // When something is written already, or at least on its way.
        let overtaken = async {
            until(|| size == 100 || pair.here.inner().bytes_written > 0).await;
        };
        let begin = tokio::time::Instant::now();
        let fetched = pair.puller.fetch(&pair.here, &wanted, from, overtaken).await;
        let failure = fetched.map(|_| ()).expect_err("overtaken");
        assert_eq!((failure.side, failure.fault.kind), (Side::Here, FaultKind::Changed));
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let passed = pair.passed().body_bytes();
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(pair.passed().body_bytes(), passed, "the source went on");
        assert_eq!(pair.puller.progress(), []);
        pair.assert_nothing_placed();
        assert!(pair.here.inner().kept.is_empty(), "what nobody wants was kept");
    }
}
