//! The real Referee and drivers between a service with exact names and one that folds them: of two
//! twins neither is lost, whoever made them and whatever is killed meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::MemoryBus;
use onitu_core::store::{MemoryStore, Registry, Store};
use onitu_core::{Mode, Path, Service, ServiceId, twin};
use onitu_driver_memory::{Able, Everything, Folding, Memory, MemoryService, Thing};
use onitu_plug::{Post, keep};
use onitu_referee::Referee;
use tokio::task::JoinHandle;

/// Longer than everything takes; the clock is paused, so nobody waits for it.
const LIMIT: Duration = Duration::from_mins(10);

struct House {
    store: MemoryStore,
    bus: MemoryBus,
    exact: MemoryService,
    folding: MemoryService,
    running: Vec<JoinHandle<()>>,
    starts: u64,
}

fn service(number: u16) -> Service {
    let (name, driver) = (format!("s{number}"), "memory".to_owned());
    let (mode, options) = (Mode::Sync, BTreeMap::new());
    Service { id: ServiceId(number), name, driver, mode, paused: false, options }
}

fn at(text: &str) -> Path {
    Path::new(text).expect("a path")
}

impl House {
    async fn new() -> Self {
        let (store, bus) = (MemoryStore::new(), MemoryBus::new(1));
        let services = vec![service(1), service(2)];
        store.set_up().await.expect("set up");
        store
            .set_registry(&Registry { version: 1, services, ..Registry::default() })
            .await
            .expect("told");
        let (exact, folding) = (MemoryService::new(), MemoryService::of::<Folding>());
        let running = Vec::new();
        let mut house = Self { store, bus, exact, folding, running, starts: 0 };
        house.start();
        house
    }

    fn start(&mut self) {
        self.starts += 1;
        let (store, bus) = (Arc::new(self.store.clone()), Arc::new(self.bus.clone()));
        let referee = Referee::new(store, bus, self.starts);
        let referee = tokio::spawn(async move {
            let end = referee.run().await;
            panic!("the referee ended: {end:?}");
        });
        let drivers = [
            self.driver::<Everything>(service(1), self.exact.clone()),
            self.driver::<Folding>(service(2), self.folding.clone()),
        ];
        self.running = drivers.into_iter().chain([referee]).collect();
    }

    fn driver<A: Able>(&self, service: Service, storage: MemoryService) -> JoinHandle<()> {
        let (store, bus) = (Arc::new(self.store.clone()), Arc::new(self.bus.clone()));
        let post = Post { service, store, bus };
        tokio::spawn(async move {
            let never =
                Box::pin(keep(post, move |_| Memory::<A>::try_begin(storage.clone()))).await;
            match never {}
        })
    }

    /// Kills everything and starts it again.
    async fn restart(&mut self) {
        for task in self.running.drain(..) {
            task.abort();
            let _ = task.await;
        }
        self.start();
    }

    /// What a service holds, by path: bytes, or nothing for a directory.
    fn paths(service: &MemoryService) -> BTreeMap<Path, Option<Vec<u8>>> {
        let bytes = |thing| match thing {
            Thing::File { bytes, .. } => Some(bytes.to_vec()),
            _ => None,
        };
        let tree = service.tree().into_iter();
        tree.map(|(held, thing)| (twin::decode_path(&held), bytes(thing))).collect()
    }

    /// Waits until both hold exactly these files, and still do so some time later.
    async fn hold(&self, files: &[(&str, &str)]) {
        let mut wanted = BTreeMap::new();
        for (path, bytes) in files {
            let path = at(path);
            let parents = std::iter::successors(path.parent(), Path::parent);
            wanted.extend(parents.filter(|it| !it.is_root()).map(|parent| (parent, None)));
            wanted.insert(path, Some(bytes.as_bytes().to_vec()));
        }
        let are_right =
            || [&self.exact, &self.folding].into_iter().all(|it| Self::paths(it) == wanted);
        let outcome = tokio::time::timeout(LIMIT, async {
            let mut right = 0;
            while right < 100 {
                right = if are_right() { right + 1 } else { 0 };
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(
            outcome.await.is_ok(),
            "wanted {files:?}, there is {:?} and {:?}",
            self.exact.tree().keys(),
            self.folding.tree().keys()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn twins_made_on_an_exact_service_are_both_on_the_folding_one() {
    let house = House::new().await;
    house.exact.write(&at("a.txt"), "one", false).expect("written");
    house.hold(&[("a.txt", "one")]).await;
    house.exact.write(&at("A.txt"), "other", false).expect("written");
    house.hold(&[("a.txt", "one"), ("A.txt", "other")]).await;
    house.exact.write(&at("A.txt"), "edited", false).expect("written");
    house.exact.write(&at("a.txt"), "edited too", false).expect("written");
    house.hold(&[("a.txt", "edited too"), ("A.txt", "edited")]).await;
    house.exact.remove(&at("a.txt"));
    house.hold(&[("A.txt", "edited")]).await;
}

#[tokio::test(start_paused = true)]
async fn twins_that_appear_together_are_both_kept() {
    let house = House::new().await;
    let files = [("caf\u{e9}", "composed"), ("cafe\u{301}", "decomposed"), ("CAFÉ", "large")];
    for (path, bytes) in files {
        house.exact.write(&at(path), bytes, false).expect("written");
    }
    house.hold(&files).await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_encoded_file_arrives_as_one_of_the_twin() {
    let house = House::new().await;
    for (path, bytes) in [("docs/a", "one"), ("Docs/a", "other")] {
        house.exact.write(&at(path), bytes, false).expect("written");
    }
    house.hold(&[("docs/a", "one"), ("Docs/a", "other")]).await;
    let tree = house.folding.tree();
    let encoded = tree.keys().find(|held| twin::decode(held.name()).is_some()).expect("one is");
    let meant = twin::decode_path(encoded);
    let inside = encoded.join("new").expect("a path");
    house.folding.write(&inside, "made there", false).expect("written");
    let new = meant.join("new").expect("a path");
    house.hold(&[("docs/a", "one"), ("Docs/a", "other"), (new.as_str(), "made there")]).await;
    house.folding.remove(encoded);
    let left = if meant == at("docs") { ("Docs/a", "other") } else { ("docs/a", "one") };
    house.hold(&[left]).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_spelled_anew_is_renamed_everywhere() {
    let house = House::new().await;
    house.exact.write(&at("readme"), "bytes", false).expect("written");
    house.hold(&[("readme", "bytes")]).await;
    house.exact.rename(&at("readme"), &at("README")).expect("renamed");
    house.hold(&[("README", "bytes")]).await;
    assert!(house.folding.tree().contains_key(&at("README")), "under its own name");
    house.folding.rename(&at("README"), &at("ReadMe")).expect("renamed");
    house.hold(&[("ReadMe", "bytes")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_twins_as_they_were() {
    let mut house = House::new().await;
    let files = [("a/x", "one"), ("A/x", "other"), ("A/X", "third")];
    for (path, bytes) in files {
        house.exact.write(&at(path), bytes, false).expect("written");
    }
    house.hold(&files).await;
    let held: Vec<Path> = house.folding.tree().into_keys().collect();
    house.restart().await;
    house.hold(&files).await;
    house.exact.write(&at("A/x"), "edited", false).expect("written");
    house.hold(&[("a/x", "one"), ("A/x", "edited"), ("A/X", "third")]).await;
    assert_eq!(house.folding.tree().into_keys().collect::<Vec<_>>(), held);
    assert!(house.exact.trash().is_empty(), "nothing came back");
}

#[tokio::test(start_paused = true)]
async fn two_services_that_already_have_twins_lose_neither() {
    let mut house = House::new().await;
    house.restart().await;
    house.exact.write(&at("Notes"), "exact's", false).expect("written");
    house.folding.write(&at("notes"), "folding's", false).expect("written");
    house.hold(&[("Notes", "exact's"), ("notes", "folding's")]).await;
}
