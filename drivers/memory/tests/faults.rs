//! The storage misbehaves as it is told, and always the same way for the same seed.

use std::time::Duration;

use onitu_driver_memory::{Faults, Memory, MemoryService, Thing};
use onitu_plug::{
    Checksum, Content, Fault, FaultKind, Found, Gathered, Hint, Hints, Kind, Path, Plug, Sink,
    Source, State,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

fn at(text: &str) -> Path {
    Path::new(text).expect("a valid path")
}

fn content(bytes: &[u8]) -> Content {
    let checksum = Some(Checksum::of(bytes));
    Content {
        kind: Kind::File,
        size: bytes.len() as u64,
        mtime_ns: 7,
        executable: false,
        checksum,
        media: None,
    }
}

async fn place(plug: &Memory, path: &str, bytes: &[u8]) -> Result<State, Fault> {
    let content = content(bytes);
    let mut sink = plug.write(&at(path), &content, 1).await?;
    sink.resumed().await?;
    sink.write(bytes.to_vec().into()).await?;
    sink.place(content, None).await
}

async fn list(plug: &Memory, directory: &str) -> (Vec<Found>, Result<(), Fault>) {
    let (sender, mut receiver) = mpsc::channel(64);
    let listed = plug.list(&at(directory), sender).await;
    let mut found = Vec::new();
    while let Some(page) = receiver.recv().await {
        found.extend(page);
    }
    (found, listed)
}

/// What is hinted at until nothing comes for a moment.
async fn hinted(hints: &Hints) -> Gathered {
    timeout(Duration::from_millis(1), hints.take()).await.unwrap_or_default()
}

fn watched(service: &MemoryService) -> (Hints, tokio::task::JoinHandle<Result<(), Fault>>) {
    let (plug, hints) = (Memory::over(service.clone()), Hints::default());
    let told = hints.clone();
    (hints, tokio::spawn(async move { plug.watch(told).await }))
}

/// Everything that goes wrong in a hundred calls.
async fn log_of(seed: u64) -> Vec<String> {
    let service = MemoryService::new();
    let plug = Memory::over(service.clone());
    service.misbehave(Faults {
        seed,
        fail: 0.2,
        lose_answer: 0.2,
        delay_ms_max: 50,
        ..Faults::default()
    });
    let mut log = Vec::new();
    for number in 0..100 {
        let begun = tokio::time::Instant::now();
        let placed = place(&plug, &format!("file {number}"), b"bytes").await;
        log.push(format!("{:?} {:?}", placed.map(|it| it.tag), begun.elapsed()));
    }
    log.push(format!("{:?}", service.tree()));
    log
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_faults() {
    assert_eq!(log_of(1).await, log_of(1).await);
    assert_ne!(log_of(1).await, log_of(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_may_or_may_not_have_had_its_effect() {
    let mut placed = 0;
    for seed in 0..200 {
        let service = MemoryService::new();
        let plug = Memory::over(service.clone());
        let mut sink = plug.write(&at("file"), &content(b"bytes"), 1).await.expect("no fault yet");
        sink.write("bytes".into()).await.expect("no fault yet");
        service.misbehave(Faults { seed, delay_ms_max: 100, ..Faults::default() });
        let placing = sink.place(content(b"bytes"), None);
        if timeout(Duration::from_millis(100), placing).await.is_err() {
            placed += usize::from(service.thing(&at("file")).is_some());
            let whole = service.read(&at("file")).is_none_or(|bytes| bytes == "bytes");
            assert!(whole, "half of an effect");
        }
    }
    assert!((20..180).contains(&placed), "{placed} of 200 dropped calls had their effect");
}

#[tokio::test]
async fn a_lost_answer_had_its_effect() {
    let service = MemoryService::new();
    let plug = Memory::over(service.clone());
    let mut sink = plug.write(&at("file"), &content(b"bytes"), 1).await.expect("no fault yet");
    sink.write("bytes".into()).await.expect("no fault yet");
    let kinds = vec![FaultKind::Unavailable];
    service.misbehave(Faults { lose_answer: 1.0, kinds, ..Faults::default() });
    let fault = sink.place(content(b"bytes"), None).await.expect_err("the answer is lost");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert_eq!(service.read(&at("file")).as_deref(), Some(&b"bytes"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_lost_hint_becomes_a_rescan() {
    let service = MemoryService::new();
    let (hints, watch) = watched(&service);
    tokio::task::yield_now().await;
    service.misbehave(Faults { lose_hint: 1.0, rescan_delay_ms_max: 500, ..Faults::default() });
    service.write(&at("file"), "bytes", false).expect("room for it");
    let gathered = timeout(Duration::from_millis(501), hints.take()).await.expect("a rescan");
    assert!(gathered.rescan.is_some() && gathered.paths.is_empty(), "{gathered:?}");
    watch.abort();
}

#[tokio::test(start_paused = true)]
async fn settling_brings_late_hints() {
    let service = MemoryService::new();
    let (hints, watch) = watched(&service);
    tokio::task::yield_now().await;
    service.misbehave(Faults { hint_delay_ms_max: 60_000, ..Faults::default() });
    for number in 0..50 {
        service.write(&at(&format!("file {number}")), "", false).expect("room for it");
    }
    let early = hinted(&hints).await;
    assert!(early.paths.len() < 25, "{} of 50 hints were not late", early.paths.len());
    Memory::over(service).settle().await.expect("no fault");
    assert_eq!(early.paths.len() + hinted(&hints).await.paths.len(), 50);
    watch.abort();
}

#[tokio::test]
async fn a_broken_watch_says_so() {
    let service = MemoryService::new();
    let (hints, watch) = watched(&service);
    tokio::task::yield_now().await;
    service.misbehave(Faults { break_watch: 1.0, ..Faults::default() });
    service.write(&at("file"), "bytes", false).expect("room for it");
    let ended = watch.await.expect("no panic").expect_err("it broke");
    assert_eq!(ended.kind, FaultKind::Unavailable);
    assert!(hinted(&hints).await.paths.is_empty());
}

#[tokio::test]
async fn a_half_listing_fails() {
    let service = MemoryService::new();
    for number in 0..1_500 {
        service.write(&at(&format!("many/{number}")), "", false).expect("room for it");
    }
    let plug = Memory::over(service.clone());
    let mut counts = Vec::new();
    for seed in 0..50 {
        service.misbehave(Faults { seed, half_listing: 0.5, ..Faults::default() });
        let (found, listed) = list(&plug, "many").await;
        assert_eq!(listed.is_ok(), found.len() == 1_500, "{} entries: {listed:?}", found.len());
        counts.push(found.len());
    }
    assert!(counts.contains(&1_500) && counts.iter().any(|&count| count > 0 && count < 1_500));
}

#[tokio::test]
async fn a_flipped_bit_is_found_by_the_checksum() {
    let service = MemoryService::new();
    service.write(&at("file"), vec![0; 10_000], false).expect("room for it");
    let plug = Memory::over(service.clone());
    let state = plug.look(&at("file")).await.expect("no fault").expect("it is there");
    service.misbehave(Faults { corrupt_read: 1.0, ..Faults::default() });
    let mut source = plug.read(&at("file"), state.tag, 0).await.expect("no fault");
    let chunk = source.next(10_000).await.expect("no fault");
    let flipped: u32 = chunk.iter().map(|byte| byte.count_ones()).sum();
    assert_eq!((chunk.len(), flipped), (10_000, 1));
    assert_ne!(Checksum::of(&chunk), Checksum::of(&[0; 10_000]));
    assert_eq!(service.read(&at("file")).expect("it is there"), vec![0; 10_000]);
}

#[tokio::test]
async fn a_crash_tears_what_is_half_written_and_the_rest_resumes() {
    let mut shortest = 1_000;
    for seed in 0..20 {
        let service = MemoryService::new();
        let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let content = content(&bytes);
        let plug = Memory::over(service.clone());
        let mut sink = plug.write(&at("file"), &content, 9).await.expect("no fault");
        sink.write(bytes.clone().into()).await.expect("no fault");
        drop((sink, plug));
        assert_eq!(service.half_written(), 1);
        service.misbehave(Faults { seed, tear_part: 0.5, ..Faults::default() });
        let plug = Memory::over(service.clone());
        let mut sink = plug.write(&at("file"), &content, 9).await.expect("no fault");
        let (count, mut hasher) = sink.resumed().await.expect("no fault");
        let rest = &bytes[usize::try_from(count).expect("small")..];
        hasher.update(rest);
        assert_eq!(Some(hasher.finish()), content.checksum);
        sink.write(rest.to_vec().into()).await.expect("no fault");
        sink.place(content, None).await.expect("no fault");
        assert_eq!(service.read(&at("file")).expect("placed"), bytes);
        assert_eq!(service.half_written(), 0);
        shortest = shortest.min(count);
    }
    assert!(shortest < 900, "nothing was torn");
}

#[tokio::test]
async fn an_old_writer_writes_no_more_when_a_new_one_took_over() {
    let plug = Memory::over(MemoryService::new());
    let mut old = plug.write(&at("file"), &content(b"bytes"), 9).await.expect("no fault");
    let mut new = plug.write(&at("file"), &content(b"bytes"), 9).await.expect("no fault");
    new.write("bytes".into()).await.expect("no fault");
    let fault = old.write("other".into()).await.expect_err("it was overtaken");
    assert_eq!(fault.kind, FaultKind::Cancelled);
    old.discard().await;
    new.place(content(b"bytes"), None).await.expect("no fault");
}

#[tokio::test]
async fn a_full_storage_refuses_and_keeps_what_it_has() {
    let service = MemoryService::new();
    let plug = Memory::over(service.clone());
    place(&plug, "first", b"12345").await.expect("room for it");
    service.set_capacity(Some(9));
    let fault = place(&plug, "second", b"12345").await.expect_err("no room");
    assert_eq!(fault.kind, FaultKind::Full);
    assert_eq!(service.tree().len(), 1);
    service.set_capacity(None);
    place(&plug, "second", b"12345").await.expect("room again");
}

#[tokio::test]
async fn an_edit_in_the_same_tick_keeps_the_tag() {
    let service = MemoryService::new();
    let plug = Memory::over(service.clone());
    service.write(&at("file"), "first", false).expect("room for it");
    let before = plug.look(&at("file")).await.expect("no fault");
    service.misbehave(Faults { same_tick: 1.0, ..Faults::default() });
    service.write(&at("file"), "other", false).expect("room for it");
    assert_eq!(plug.look(&at("file")).await.expect("no fault"), before);
    service.write(&at("file"), "longer", false).expect("room for it");
    assert_ne!(plug.look(&at("file")).await.expect("no fault"), before);
}

#[tokio::test]
async fn a_tree_moved_out_is_hinted_at_by_its_top_and_one_removed_by_all() {
    let service = MemoryService::new();
    for path in ["out/a/file", "gone/a/file"] {
        service.write(&at(path), "bytes", false).expect("room for it");
    }
    let (hints, watch) = watched(&service);
    tokio::task::yield_now().await;
    service.take_out(&at("out"));
    let paths: Vec<_> = hinted(&hints).await.paths.into_iter().collect();
    assert_eq!(paths, [(at("out"), Hint::Tree)]);
    service.remove(&at("gone"));
    let paths: Vec<_> = hinted(&hints).await.paths.into_keys().collect();
    assert_eq!(paths, [at("gone"), at("gone/a"), at("gone/a/file")]);
    assert_eq!(service.tree().len(), 0);
    watch.abort();
}

#[tokio::test]
async fn a_user_is_refused_what_a_file_system_refuses() {
    let service = MemoryService::new();
    service.write(&at("directory/file"), "bytes", true).expect("room for it");
    assert!(service.write(&at("directory/file/below"), "", false).is_err());
    assert!(service.write(&at("directory"), "", false).is_err());
    assert!(service.rename(&at("directory"), &at("directory/below")).is_err());
    assert!(service.rename(&at("missing"), &at("other")).is_err());
    service.rename(&at("directory"), &at("a/b")).expect("nothing is in the way");
    let file = service.thing(&at("a/b/file")).expect("it moved with its directory");
    assert!(matches!(file, Thing::File { executable: true, .. }), "{file:?}");
    assert_eq!(service.tree().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_listing_may_lag_behind_what_a_look_tells() {
    let service = MemoryService::new();
    service.write(&at("d/old"), "x", false).unwrap();
    let plug = Memory::over(service.clone());
    service.set_list_lag(Duration::from_secs(1));
    service.misbehave(Faults { seed: 3, ..Faults::default() });
    service.write(&at("d/new"), "y", false).unwrap();
    service.remove(&at("d/old"));
    let names = |found: Vec<Found>| -> Vec<String> {
        found
            .into_iter()
            .map(|found| match found {
                Found::Entry { name, .. } | Found::Problem { name, .. } => name,
            })
            .collect()
    };
    assert_eq!(names(list(&plug, "d").await.0), ["old"]);
    assert!(plug.look(&at("d/new")).await.unwrap().is_some());
    assert!(plug.look(&at("d/old")).await.unwrap().is_none());
    plug.settle().await.unwrap();
    assert_eq!(names(list(&plug, "d").await.0), ["new"]);
}

#[tokio::test]
async fn what_goes_without_ever_having_been_told_of_is_noticed() {
    let service = MemoryService::new();
    let plug = Memory::over(service.clone());
    service.write(&at("x"), "seen", false).unwrap();
    let state = plug.look(&at("x")).await.unwrap().unwrap();
    plug.remove(&at("x"), state.tag).await.unwrap();
    assert!(service.work().unseen.is_empty());
    assert_eq!((service.work().writes, service.work().reads), (1, 0));
    // An order that knew the tag of what nobody has seen: a twin storage gives it away.
    let blind = MemoryService::new();
    blind.write(&at("x"), "seen", false).unwrap();
    Memory::over(blind.clone()).remove(&at("x"), state.tag).await.unwrap();
    assert_eq!(blind.work().unseen, [(at("x"), "seen".into())]);
}
