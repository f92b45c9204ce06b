//! Which incarnation of a driver is heard, whatever its clock says.

use std::collections::BTreeMap;

use onitu_core::message::Event;
use onitu_core::{Mode, ServiceId};

use super::*;

fn peer(epoch: u64) -> Peer {
    let service = Service {
        id: ServiceId(1),
        name: "nas".to_owned(),
        driver: "local".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::new(),
    };
    Peer::new(service, Stream { epoch, last: [0; Shard::COUNT] })
}

/// One event, the `number`th of its shard in this epoch.
fn batch(epoch: u64, number: u64) -> Batch {
    let path = Path::new("file").expect("valid");
    let shard = Shard::of(&path);
    let events = vec![Event::Gone { path, order: None, moved_to: None }];
    Batch { service: ServiceId(1), epoch, shard, first: number, events }
}

fn accepted(peer: &mut Peer, batch: Batch) -> usize {
    let mut arrived = Vec::new();
    peer.accept(batch, &mut arrived);
    arrived.len()
}

#[tokio::test(start_paused = true)]
async fn late_news_of_a_dead_incarnation_is_passed_over() {
    let mut peer = peer(0);
    assert_eq!(accepted(&mut peer, batch(7, 1)), 1);
    assert_eq!(accepted(&mut peer, batch(8, 1)), 1, "a new incarnation counts from 1");
    assert_eq!(accepted(&mut peer, batch(7, 2)), 0);
    assert_eq!(accepted(&mut peer, batch(8, 1)), 0, "heard twice");
    assert_eq!(accepted(&mut peer, batch(8, 2)), 1);
}

#[tokio::test(start_paused = true)]
async fn an_incarnation_numbered_by_a_clock_that_went_back_is_heard_once_the_other_is_silent() {
    let mut peer = peer(0);
    assert_eq!(accepted(&mut peer, batch(1_000, 1)), 1);
    // Its driver died; the clock was set back, and the store forgot what it had known.
    assert_eq!(accepted(&mut peer, batch(10, 1)), 0, "the other one may still live");
    tokio::time::sleep(Duration::from_millis(limits::SILENCE_MS + 1)).await;
    assert_eq!(accepted(&mut peer, batch(10, 1)), 1);
    assert_eq!(accepted(&mut peer, batch(10, 2)), 1);
    assert_eq!(peer.stream.epoch, 10);
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_asked_for_and_not_passed_over() {
    let mut peer = peer(0);
    assert_eq!(accepted(&mut peer, batch(7, 1)), 1);
    assert_eq!(accepted(&mut peer, batch(7, 3)), 0, "the second is missing");
    let gaps = peer.gaps();
    assert_eq!(gaps, [(batch(7, 3).shard, 1)]);
    assert_eq!(accepted(&mut peer, batch(7, 2)), 1);
    assert_eq!(accepted(&mut peer, batch(7, 3)), 1);
}
