//! The safety brake over services in memory, on a paused clock: what takes a minute takes no time,
//! and what is late is exactly so late.

#![allow(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::clock;
use onitu_core::held::{Approval, Held, Review, Share, Verdict};
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::ServiceState;
use onitu_core::store::{MemoryStore, Registry, Store};
use onitu_core::{FaultKind, Mode, Path, Service, ServiceId};
use onitu_driver_memory::{Faults, Memory, MemoryService};
use onitu_plug::{Post, keep};
use onitu_referee::Referee;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Longer than anything takes to come to rest.
const LIMIT: Duration = Duration::from_mins(5);

/// Services in memory, the first of them `a`, kept in step by the real Referee and runtime.
struct House {
    store: MemoryStore,
    bus: MemoryBus,
    services: Vec<(Service, MemoryService)>,
    drivers: Vec<JoinHandle<()>>,
}

impl House {
    /// `a` with these options and this mode, `b` with none, and `count` files in both.
    async fn new(mode: Mode, options: &[(&str, Share)], count: usize) -> Self {
        clock::simulate(1_700_000_000_000);
        let (store, bus) = (MemoryStore::new(), MemoryBus::new(7));
        let options = options
            .iter()
            .map(|(name, share)| ((*name).to_owned(), serde_json::to_value(share).unwrap()));
        let services = [
            service(1, "a", mode, options.collect()),
            service(2, "b", Mode::Sync, BTreeMap::new()),
        ];
        let services = services.map(|service| (service, MemoryService::new())).into();
        let mut house = Self { store, bus, services, drivers: Vec::new() };
        for at in 0..count {
            house.write(usize::from(mode == Mode::Backup), at, "precious");
        }
        house.store.set_up().await.unwrap();
        let services = house.services.iter().map(|(service, _)| service.clone()).collect();
        let registry = Registry { version: 1, services, ..Registry::default() };
        house.store.set_registry(&registry).await.unwrap();
        let (store, bus) = (Arc::new(house.store.clone()), Arc::new(house.bus.clone()));
        tokio::spawn(async move { Referee::new(store, bus, 1).run().await.map(drop) });
        for at in 0..house.services.len() {
            house.start(at);
        }
        house.rest().await;
        assert_eq!((house.files(0), house.files(1)), (count, count));
        house
    }

    fn start(&mut self, at: usize) {
        let (service, storage) = self.services[at].clone();
        let bus = Arc::new(self.bus.clone());
        let post = Post { service, store: Arc::new(self.store.clone()), bus };
        self.drivers.insert(
            at,
            tokio::spawn(async move {
                match Box::pin(keep::<Memory, _>(post, move |_| {
                    <Memory>::try_begin(storage.clone())
                }))
                .await {}
            }),
        );
    }

    async fn restart(&mut self, at: usize) {
        let driver = self.drivers.remove(at);
        driver.abort();
        let _ = driver.await;
        self.start(at);
    }

    fn storage(&self, at: usize) -> &MemoryService {
        &self.services[at].1
    }

    fn write(&self, at: usize, name: usize, text: &str) {
        self.storage(at).write(&path(name), format!("{text} {name}"), false).unwrap();
    }

    fn remove(&self, names: impl IntoIterator<Item = usize>) {
        for name in names {
            self.storage(0).remove(&path(name));
        }
    }

    /// Files on a service.
    fn files(&self, at: usize) -> usize {
        (0..1_000).filter(|name| self.storage(at).thing(&path(*name)).is_some()).count()
    }

    async fn ask(&self, at: usize, request: Request) -> Option<Reply> {
        let requester = self.bus.requester(&Endpoint::control(self.services[at].0.id));
        let answer = requester.request(encode(&request), Duration::from_secs(2)).await.ok()?;
        decode(&answer).ok()
    }

    async fn activity(&self) -> Option<Vec<u64>> {
        let mut all = Vec::new();
        for at in 0..self.services.len() {
            match self.ask(at, Request::Settle).await {
                Some(Reply::Settled { idle: true, activity }) => all.push(activity),
                _ => return None,
            }
        }
        Some(all)
    }

    /// Waits as `onitu wait` does.
    async fn rest(&self) {
        let begin = Instant::now();
        loop {
            let before = self.activity().await;
            let pending = self.store.counts().await.unwrap().pending;
            let is_done = pending.values().all(|count| *count == 0);
            if is_done && before.is_some() && self.activity().await == before {
                return;
            }
            assert!(begin.elapsed() < LIMIT, "no rest: {pending:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is held on `a` once everything else is in step.
    async fn held(&self) -> Option<Held> {
        self.rest().await;
        let reports = self.store.reports().await.unwrap();
        let report = &reports[&ServiceId(1)];
        assert_eq!(report.held.is_some(), report.state == ServiceState::Held, "{report:?}");
        report.held
    }

    async fn decide(&self, verdict: Verdict, seen: Option<Held>) -> Reply {
        let approval = Approval { verdict: Some(verdict), seen };
        self.ask(0, Request::Brake(approval)).await.unwrap()
    }

    async fn review(&self) -> Review {
        match self.ask(0, Request::Brake(Approval::default())).await {
            Some(Reply::Held(review)) => *review,
            other => panic!("{other:?}"),
        }
    }
}

fn service(
    id: u16,
    name: &str,
    mode: Mode,
    options: BTreeMap<String, serde_json::Value>,
) -> Service {
    let (name, driver) = (name.to_owned(), "memory".to_owned());
    Service { id: ServiceId(id), name, driver, mode, paused: false, options }
}

fn path(name: usize) -> Path {
    let directory = ["", "album/", "album/deep/", "notes/"][name % 4];
    Path::new(&format!("{directory}{name}")).unwrap()
}

fn removed(removed: u64, of: u64) -> Held {
    Held { removed, changed: 0, of }
}

async fn forty() -> House {
    House::new(Mode::Sync, &[], 40).await
}

#[tokio::test(start_paused = true)]
async fn a_lone_removal_is_everywhere_within_25_ms() {
    let house = forty().await;
    for name in 0..10 {
        let begin = Instant::now();
        house.remove([name]);
        while house.storage(1).thing(&path(name)).is_some() {
            assert!(begin.elapsed() < Duration::from_millis(25), "{:?}", begin.elapsed());
            sleep(Duration::from_micros(100)).await;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_judged_as_a_whole_even_if_it_takes_its_time() {
    let house = forty().await;
    for name in 0..30 {
        house.remove([name]);
        // Slower after the first ones, as where a disk is busy.
        sleep(Duration::from_millis(if name < 4 { 10 } else { 200 })).await;
    }
    assert_eq!(house.held().await, Some(removed(30, 40)));
    assert_eq!(house.files(1), 40, "nothing of it was told");
}

#[tokio::test(start_paused = true)]
async fn removals_one_by_one_count_for_a_minute() {
    let house = forty().await;
    for name in 0..20 {
        house.remove([name]);
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!((house.held().await, house.files(1)), (None, 20));
    house.remove([20]);
    assert_eq!(house.held().await, Some(removed(1, 40)));
    assert_eq!(house.files(1), 20);
    house.decide(Verdict::Approve, None).await;
    assert_eq!((house.held().await, house.files(1)), (None, 19));
    // What was approved doesn't count, and the minute is over.
    sleep(Duration::from_mins(1)).await;
    house.remove(21..30);
    assert_eq!((house.held().await, house.files(1)), (None, 10));
}

#[tokio::test(start_paused = true)]
async fn files_made_and_removed_again_and_again_are_nobodys_loss() {
    let house = House::new(Mode::Sync, &[], 22).await;
    for name in 100..160 {
        house.write(0, name, "for a moment");
        sleep(Duration::from_millis(200)).await;
        house.remove([name]);
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!((house.held().await, house.files(1)), (None, 22));
}

#[tokio::test(start_paused = true)]
async fn a_rename_whose_halves_are_seen_apart_is_none_of_the_brakes_business() {
    let house = forty().await;
    for seed in 0..5 {
        let faults = Faults { seed, hint_delay_ms_max: 2_000, ..Faults::default() };
        house.storage(0).misbehave(faults);
        let names = ["album", "photos", "pictures", "slides", "prints", "scans"];
        let (from, to) = (names[seed as usize], names[seed as usize + 1]);
        house.storage(0).rename(&Path::new(from).unwrap(), &Path::new(to).unwrap()).unwrap();
        sleep(Duration::from_secs(3)).await;
        assert_eq!(house.held().await, None);
        assert_eq!(
            house.storage(1).tree().keys().collect::<Vec<_>>(),
            house.storage(0).tree().keys().collect::<Vec<_>>()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_found_under_another_name_is_a_rename_even_when_it_was_held() {
    let house = forty().await;
    // The user takes the files away and brings them back elsewhere.
    let storage = house.storage(0);
    storage.set_online(false);
    for name in 0..30 {
        storage.rename(&path(name), &Path::new(&format!(".onitu/{name}")).unwrap()).unwrap();
    }
    storage.set_online(true);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(house.held().await, Some(removed(30, 40)));
    for name in 0..29 {
        let back = Path::new(&format!("back/{name}")).unwrap();
        storage.rename(&Path::new(&format!(".onitu/{name}")).unwrap(), &back).unwrap();
    }
    assert_eq!(house.held().await, Some(removed(1, 40)), "one is still missing");
    assert!(house.storage(1).thing(&Path::new("back/7").unwrap()).is_some());
    let last = Path::new(".onitu/29").unwrap();
    storage.rename(&last, &path(29)).unwrap();
    assert_eq!(house.held().await, None);
    assert_eq!(house.storage(1).tree().len(), house.storage(0).tree().len() - 1, "`.onitu` aside");
}

#[tokio::test(start_paused = true)]
async fn an_approval_decides_about_what_was_shown() {
    let house = forty().await;
    house.remove(0..30);
    let shown = house.held().await.unwrap();
    let review = house.review().await;
    assert_eq!((review.held, review.sample.len()), (shown, Review::SAMPLE_MAX));
    assert_eq!(
        review.removed_bytes,
        (0..30).map(|at| format!("precious {at}").len() as u64).sum::<u64>()
    );
    let directories: Vec<_> =
        review.directories.iter().map(|it| (it.path.as_str(), it.files)).collect();
    assert_eq!(directories, [("album", 15), ("", 8), ("notes", 7)]);

    house.remove([30]);
    house.rest().await;
    let answer = house.decide(Verdict::Approve, Some(shown)).await;
    assert!(matches!(answer, Reply::Refused(_)), "{answer:?}");
    let shown = house.held().await.unwrap();
    assert_eq!((shown, house.files(1)), (removed(31, 40), 40));
    assert_eq!(house.decide(Verdict::Approve, Some(shown)).await, Reply::Done);
    assert_eq!((house.held().await, house.files(1)), (None, 9));
    let answer = house.decide(Verdict::Approve, None).await;
    assert!(matches!(answer, Reply::Refused(_)), "nothing is held: {answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_brings_back_what_nobody_brought_back_meanwhile() {
    let house = forty().await;
    house.remove(0..30);
    assert_eq!(house.held().await, Some(removed(30, 40)));
    house.write(0, 3, "anew");
    house.write(1, 5, "edited elsewhere");
    assert_eq!(house.held().await, Some(removed(28, 40)));
    house.decide(Verdict::Reject, None).await;
    assert_eq!((house.held().await, house.files(0), house.files(1)), (None, 40, 40));
    assert_eq!(house.storage(0).tree(), house.storage(1).tree());
}

#[tokio::test(start_paused = true)]
async fn what_a_failing_scan_does_not_find_again_is_still_held() {
    let house = forty().await;
    house.remove(0..30);
    assert_eq!(house.held().await, Some(removed(30, 40)));
    let kinds = vec![FaultKind::Denied];
    house.storage(0).misbehave(Faults { half_listing: 1.0, kinds, ..Faults::default() });
    for _ in 0..3 {
        house.ask(0, Request::Rescan).await;
        sleep(Duration::from_secs(5)).await;
        let reports = house.store.reports().await.unwrap();
        assert_eq!(reports[&ServiceId(1)].held, Some(removed(30, 40)));
    }
    house.storage(0).behave();
    assert_eq!((house.held().await, house.files(1)), (Some(removed(30, 40)), 40));
}

#[tokio::test(start_paused = true)]
async fn what_was_held_is_judged_again_by_the_next_driver() {
    let mut house = forty().await;
    house.remove(0..30);
    assert_eq!(house.held().await, Some(removed(30, 40)));
    house.restart(0).await;
    assert_eq!(house.held().await, Some(removed(30, 40)));
    // Asked for, and killed while it is being told.
    house.decide(Verdict::Approve, None).await;
    house.restart(0).await;
    if house.held().await.is_none() {
        assert_eq!(house.files(1), 10);
    } else {
        house.decide(Verdict::Reject, None).await;
        assert_eq!((house.held().await, house.files(0), house.files(1)), (None, 40, 40));
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_renews_what_is_held() {
    let house = forty().await;
    house.remove(0..30);
    assert_eq!(house.held().await, Some(removed(30, 40)));
    house.ask(0, Request::Rescan).await;
    assert_eq!(house.held().await, Some(removed(30, 40)));
    // Put back behind everybody's back.
    house.storage(0).misbehave(Faults {
        lose_hint: 1.0,
        rescan_delay_ms_max: 900_000,
        ..Faults::default()
    });
    for name in 0..30 {
        house.write(0, name, "precious");
    }
    house.ask(0, Request::Rescan).await;
    assert_eq!(house.held().await, None);
    assert_eq!(house.storage(0).tree(), house.storage(1).tree());
}

#[tokio::test(start_paused = true)]
async fn a_source_is_braked_and_a_backup_gets_its_files_back() {
    let house = House::new(Mode::Source, &[], 40).await;
    house.remove(0..40);
    assert_eq!(house.held().await, Some(removed(40, 40)));
    assert_eq!(house.files(1), 40);

    let house = House::new(Mode::Backup, &[], 40).await;
    house.remove(0..40);
    assert_eq!((house.held().await, house.files(0), house.files(1)), (None, 40, 40));
}

#[tokio::test(start_paused = true)]
async fn edits_are_held_only_if_wanted_and_each_file_counts_once() {
    let share = Share::Percent(30);
    let house = House::new(Mode::Sync, &[("max_change", share)], 40).await;
    for round in 0..50 {
        house.write(0, 1, &format!("round {round}"));
        sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(house.held().await, None, "it is always the same file");
    for name in 10..30 {
        house.write(0, name, "ciphertext");
    }
    assert_eq!(house.held().await, Some(Held { removed: 0, changed: 20, of: 40 }));
    // Saved once more, it is still one file; put back as it was, it is none.
    house.write(0, 10, "ciphertext again");
    house.remove(0..3);
    assert_eq!(house.held().await, Some(Held { removed: 0, changed: 20, of: 40 }));
    assert_eq!(house.files(1), 37, "removals go on");
    house.decide(Verdict::Reject, None).await;
    assert_eq!((house.held().await, house.files(0)), (None, 37));
    assert_eq!(house.storage(0).tree(), house.storage(1).tree());

    let free = forty().await;
    for name in 0..40 {
        free.write(0, name, "ciphertext");
    }
    assert_eq!(free.held().await, None);
    assert_eq!(free.storage(0).tree(), free.storage(1).tree());
}
