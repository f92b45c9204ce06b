use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::message::decode;
use onitu_core::{Content, State};

use super::*;

const ME: ServiceId = ServiceId(1);

fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

fn seen(at: &str, tag: u8) -> Event {
    Event::Seen {
        path: path(at),
        state: State { content: Content::DIRECTORY, tag: Tag([tag; 6]) },
        order: None,
        placed: None,
        moved_from: None,
        set_aside_from: None,
    }
}

fn gone(at: &str) -> Event {
    Event::Gone { path: path(at), order: None, moved_to: None }
}

#[tokio::test]
async fn what_was_announced_is_known_until_it_is_acknowledged() {
    let announcer = Announcer::new(ME, 1);
    let shard = Shard::of(&path("d/a"));
    announcer.announce(vec![seen("d/a", 1), seen("d/b", 2), gone("d/a")]).await;
    assert_eq!(announcer.known(&path("d/a")), Some(None));
    let known = announcer.known_in(&path("d"));
    assert_eq!(known[&path("d/a")], None);
    assert_eq!(known[&path("d/b")], Some(Tag([2; 6])));
    announcer.acknowledge(shard, 1);
    // The first event is forgotten, the later word on the path counts on.
    assert_eq!(announcer.known(&path("d/a")), Some(None));
    announcer.acknowledge(shard, 3);
    assert_eq!(announcer.known(&path("d/a")), None);
    assert!(announcer.is_settled());
}

#[tokio::test]
async fn what_may_have_been_passed_over_is_doubted_until_all_of_it_is_acknowledged() {
    let announcer = Announcer::new(ME, 1);
    let (one, other) = (Shard::of(&path("d/a")), Shard::of(&path("e/a")));
    assert_ne!(one, other, "the test needs two shards");
    announcer.doubt();
    announcer.announce(vec![seen("d/a", 1), seen("e/a", 1)]).await;
    assert!(!announcer.acknowledge(one, 1), "nothing waited when it was doubted");
    announcer.announce(vec![seen("d/b", 1)]).await;
    announcer.doubt();
    announcer.announce(vec![seen("d/c", 1)]).await;
    assert!(!announcer.acknowledge(one, 2), "the other shard lacks");
    assert!(announcer.acknowledge(other, 1));
    assert!(!announcer.acknowledge(one, 3), "once is enough");
}

#[tokio::test]
async fn names_that_sort_between_a_directory_and_its_children_hide_nothing() {
    let announcer = Announcer::new(ME, 1);
    announcer.announce(vec![seen("d", 1), seen("d!", 2), seen("d/x", 3), seen("d/x/y", 4)]).await;
    let names = |directory| announcer.known_in(&directory).into_keys().collect::<Vec<_>>();
    assert_eq!(names(path("d")), [path("d/x")]);
    assert_eq!(names(Path::root()), [path("d"), path("d!")]);
}

#[tokio::test]
async fn what_was_missed_is_replayed_and_what_was_forgotten_is_not() {
    let announcer = Announcer::new(ME, 1);
    let shard = Shard::of(&path("d/a"));
    announcer.announce(vec![seen("d/a", 1), seen("d/b", 2), seen("d/c", 3)]).await;
    let batch = announcer.replay(shard, 1).unwrap();
    assert_eq!((batch.first, batch.events), (2, vec![seen("d/b", 2), seen("d/c", 3)]));
    announcer.acknowledge(shard, 2);
    assert_eq!(announcer.replay(shard, 2).unwrap().events, [seen("d/c", 3)]);
    assert!(announcer.replay(shard, 3).unwrap().events.is_empty());
    assert!(announcer.replay(shard, 1).is_none());
}

#[tokio::test]
async fn a_new_incarnation_begins_at_one_and_knows_nothing() {
    let announcer = Announcer::new(ME, 5);
    announcer.announce(vec![seen("a", 1)]).await;
    announcer.begin_epoch(2);
    assert_eq!(announcer.epoch(), 6);
    assert_eq!(announcer.known(&path("a")), None);
    announcer.announce(vec![seen("a", 1)]).await;
    assert_eq!(announcer.replay(Shard::of(&path("a")), 0).unwrap().first, 1);
}

#[tokio::test]
async fn who_announces_waits_while_the_ring_is_full() {
    let announcer = std::sync::Arc::new(Announcer::new(ME, 1));
    let events = (0..limits::RING_EVENTS_MAX).map(|at| gone(&format!("d/{at}"))).collect();
    announcer.announce(events).await;
    let waiting = tokio::spawn({
        let announcer = announcer.clone();
        async move { announcer.announce(vec![gone("d/more")]).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    announcer.acknowledge(Shard::of(&path("d/x")), 1);
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn batches_come_in_order_and_heartbeats_tell_how_far_they_went() {
    let bus = MemoryBus::new(1);
    let announcer = std::sync::Arc::new(Announcer::new(ME, 1));
    let mut subscriber = bus.subscriber(&Endpoint::news(ME), &[String::new()]);
    let publisher = bus.publisher(&Endpoint::news(ME)).await.unwrap();
    announcer.announce((0..1_000).map(|at| gone(&format!("d/{at}"))).collect()).await;
    let publishing = tokio::spawn({
        let announcer = announcer.clone();
        async move { announcer.publish(publisher).await }
    });
    let shard = Shard::of(&path("d/0"));
    let mut next = 1;
    loop {
        let (topic, payload) = subscriber.recv().await.unwrap();
        if topic == HEARTBEAT_TOPIC {
            let heartbeat: Heartbeat = decode(&payload).unwrap();
            if heartbeat.last[shard.index()] == 1_000 {
                break;
            }
            continue;
        }
        let batch: Batch = decode(&payload).unwrap();
        assert_eq!((batch.shard, batch.first), (shard, next));
        assert!(batch.events.len() <= limits::BATCH_EVENTS_MAX);
        next += batch.events.len() as u64;
    }
    assert_eq!(next, 1_001);
    publishing.abort();
}

#[tokio::test]
async fn an_order_is_out_of_date_once_more_is_told_than_it_was_computed_from() {
    let announcer = Announcer::new(ME, 1);
    let (old, new, other) = (path("d/a"), path("d/b"), path("d/c"));
    announcer.announce(vec![seen("d/a", 1), gone("d/a"), seen("d/b", 1)]).await;
    // The Referee has heard nothing of this yet.
    announcer.begin_order(1, std::slice::from_ref(&old));
    announcer.begin_order(2, &[other.clone(), new.clone()]);
    announcer.begin_order(3, std::slice::from_ref(&other));
    assert_eq!([1, 2, 3].map(|order| announcer.is_outdated(order)), [true, true, false]);
    announcer.end_order(1, std::slice::from_ref(&old));

    announcer.acknowledge(Shard::of(&old), 3);
    announcer.begin_order(4, std::slice::from_ref(&old));
    assert!(!announcer.is_outdated(4), "all of it was heard");
    // What was renamed comes back to where it was, in the state that it had.
    announcer.announce(vec![seen("d/a", 1), gone("d/b")]).await;
    announcer.acknowledge(Shard::of(&old), 5);
    assert!(announcer.is_outdated(4));
    announcer.end_order(4, std::slice::from_ref(&old));
    assert!(!announcer.is_outdated(4));

    announcer.begin_epoch(2);
    assert!(announcer.is_outdated(3), "a new incarnation knows of no earlier order");
}

#[tokio::test]
async fn what_must_be_committed_first_is_waited_for() {
    let announcer = Announcer::new(ME, 1);
    let shard = Shard::of(&path("d/a"));
    let mut confirmed = std::pin::pin!(announcer.confirm(seen("d/a", 1)));
    let mut waits = async |what: &str| {
        tokio::select! {
            biased;
            _ = &mut confirmed => panic!("{what}"),
            () = std::future::ready(()) => {}
        }
    };
    waits("nothing is committed").await;
    announcer.acknowledge(shard, 0);
    waits("another is committed").await;
    announcer.acknowledge(shard, 1);
    assert!(confirmed.await);

    let mut lost = std::pin::pin!(announcer.confirm(seen("d/b", 2)));
    tokio::select! {
        biased;
        _ = &mut lost => panic!("nothing is committed"),
        () = std::future::ready(()) => {}
    }
    announcer.begin_epoch(2);
    assert!(!lost.await, "this incarnation is over");
}
