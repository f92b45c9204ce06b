//! Orders that meet something that is ignored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::ignore::{IgnoreSet, IgnoreText};
use onitu_core::message::{Action, Batch, Event, Order, Reply, Request, decode, encode};
use onitu_core::store::{MemoryStore, Store};
use onitu_core::{Mode, Path, Service, ServiceId, Shard, Tag};
use onitu_driver_memory::{Memory, MemoryService, Thing};
use onitu_plug::{Post, keep};

#[allow(dead_code, reason = "other tests need the rest")]
mod calm;
use calm::Calm;

const ID: ServiceId = ServiceId(1);

fn at(text: &str) -> Path {
    Path::new(text).expect("a valid path")
}

/// Gives the orders, and asks for everything that was told in the shard of `path`.
async fn ask(bus: &MemoryBus, epoch: u64, path: &Path, orders: Vec<Order>) -> (u64, Vec<Batch>) {
    let (acknowledged, replay, cancel) = (Vec::new(), vec![(Shard::of(path), 0)], Vec::new());
    let request = encode(&Request::Orders { epoch, acknowledged, replay, orders, cancel });
    let requester = bus.requester(&Endpoint::orders(ID));
    let answer = requester.request(request, Duration::from_secs(5)).await.expect("an answer");
    match decode::<Reply>(&answer).expect("readable") {
        Reply::Taken { epoch, batches } => (epoch, batches),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_removed_is_gone_where_something_ignored_has_its_place() {
    let (storage, bus, store) = (MemoryService::new(), MemoryBus::new(1), MemoryStore::new());
    store.set_up().await.expect("set up");
    let files = BTreeMap::from([(Path::root(), IgnoreText::of(b"build/\n"))]);
    let set = IgnoreSet { version: 1, files, ..IgnoreSet::default() };
    store.set_ignoring(&set).await.expect("published");
    let build = at("build");
    storage.write(&at("build/x.o"), "made", false).expect("written");
    let service = Service {
        id: ID,
        name: "nas".to_owned(),
        driver: "memory".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::new(),
    };
    let post = Post { service, store: Arc::new(store), bus: Arc::new(bus.clone()) };
    let plug = storage.clone();
    let driver = tokio::spawn(keep::<Memory, _>(post, move |_| <Memory>::try_begin(plug.clone())));
    let (epoch, _) = ask(&bus, 0, &build, Vec::new()).await;
    // A file `build` may have been brought here before its driver died, and was deleted elsewhere.
    let action = Action::Remove { expect: Tag::UNKNOWN };
    ask(&bus, epoch, &build, vec![Order { id: 7, path: build.clone(), action }]).await;
    let told = async {
        loop {
            let (_, batches) = ask(&bus, epoch, &build, Vec::new()).await;
            let events = batches.into_iter().flat_map(|batch| batch.events);
            if let Some(event) = events.into_iter().find(|event| event.order() == Some(7)) {
                break event;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(5), told).await.expect("an end");
    driver.abort();
    assert_eq!(told, Event::Gone { path: build.clone(), order: Some(7), moved_to: None });
    assert_eq!(storage.thing(&build), Some(Thing::Directory));
    assert!(storage.thing(&at("build/x.o")).is_some(), "nothing of it was touched");
}

#[tokio::test(start_paused = true)]
async fn an_ignore_file_that_a_source_keeps_after_its_deletion_elsewhere_has_no_effect_there() {
    let calm = Calm::with(2, |service| {
        if service.id == ID {
            service.mode = Mode::Source;
        }
    });
    let calm = calm.await;
    let (source, other) = (&calm.services[0], &calm.services[1]);
    source.write(&at("d/.onituignore"), "x", false).expect("written");
    calm.wait().await;
    source.write(&at("d/x"), "mine", false).expect("written");
    calm.report(0).await;
    calm.wait().await;
    assert!(other.thing(&at("d/.onituignore")).is_some());
    assert_eq!(calm.record("d/x").await, None, "it is ignored");

    other.remove(&at("d/.onituignore"));
    calm.report(0).await;
    calm.wait().await;
    assert!(source.thing(&at("d/.onituignore")).is_some(), "it isn't written to");
    assert_eq!(other.thing(&at("d/x")), source.thing(&at("d/x")));
    assert!(other.thing(&at("d/x")).is_some(), "nobody ignores it any more");
}
