//! A conflict on a storage that knows no renames.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::message::{Action, Order, Reply, Request, decode, encode};
use onitu_core::store::{MemoryStore, Store};
use onitu_core::{Mode, Path, Service, ServiceId, Shard};
use onitu_driver_memory::{Able, Bucket, Memory, MemoryService};
use onitu_plug::{Abilities, Plug, Post, keep};

const ID: ServiceId = ServiceId(1);

fn at(text: &str) -> Path {
    Path::new(text).expect("a valid path")
}

async fn ask(bus: &MemoryBus, epoch: u64, orders: Vec<Order>) -> u64 {
    // Everything told so far counts as committed: an order made before it would be out of date.
    let acknowledged = Shard::all().map(|shard| (shard, u64::MAX)).collect();
    let (replay, cancel) = (Vec::new(), Vec::new());
    let request = encode(&Request::Orders { epoch, acknowledged, replay, orders, cancel });
    let requester = bus.requester(&Endpoint::orders(ID));
    let answer = requester.request(request, Duration::from_secs(5)).await.expect("an answer");
    match decode::<Reply>(&answer).expect("readable") {
        Reply::Taken { epoch, .. } => epoch,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_without_renames_sets_a_conflict_aside_by_a_copy() {
    let abilities = Abilities { directories: true, ..Bucket::ABILITIES };
    let (storage, bus) = (MemoryService::able(abilities), MemoryBus::new(1));
    let store = MemoryStore::new();
    store.set_up().await.expect("set up");
    storage.write(&at("d/x.txt"), "the second content", false).expect("written");
    let tag = {
        let plug: Memory = Memory::begin(storage.clone());
        plug.look(&at("d/x.txt")).await.expect("seen").expect("there").tag
    };
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
    let epoch = ask(&bus, 0, Vec::new()).await;
    let there = async {
        for id in 1.. {
            let action = Action::SetAside { expect: tag, unless: None };
            ask(&bus, epoch, vec![Order { id, path: at("d/x.txt"), action }]).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if storage.thing(&at("d/x.txt")).is_none() {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), there).await.expect("it was set aside");
    driver.abort();
    let files: Vec<(String, Option<bytes::Bytes>)> =
        storage.tree().into_keys().map(|path| (path.to_string(), storage.read(&path))).collect();
    let copy = "d/x (conflict nas 6314330).txt".to_owned();
    let bytes = bytes::Bytes::from_static(b"the second content");
    assert_eq!(files, [("d".to_owned(), None), (copy, Some(bytes))]);
}
