use onitu_core::message::Action;
use onitu_core::{Mode, ServiceId, Tag};

use super::*;

fn path(text: &str) -> Path {
    Path::new(text).expect("valid")
}

/// A driver that is heard, with nothing to do.
fn peer() -> Peer {
    let service = Service {
        id: ServiceId(1),
        name: "one".to_owned(),
        driver: "memory".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::new(),
    };
    let mut peer = Peer::new(service, Stream::default());
    peer.more = false;
    peer
}

/// Sends an order to remove each of `paths`, numbered from 1.
fn removes(peer: &mut Peer, paths: &[&str]) {
    for (id, text) in (1..).zip(paths) {
        let action = Action::Remove { expect: Tag::of(b"") };
        peer.sent(&Order { id, path: path(text), action });
    }
}

#[tokio::test(start_paused = true)]
async fn a_nudge_cancels_nothing_and_shortens_no_pause() {
    let mut peer = peer();
    removes(&mut peer, &["under way"]);
    peer.failed(&path("failed"), &Fault::new(FaultKind::Full, "no room"));
    for nudged in ["under way", "failed", "else"] {
        peer.nudge(&path(nudged));
    }
    assert_eq!(peer.take_queue(), [path("else")]);
    assert!(peer.overtaken.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_looked_at_at_once_when_the_last_path_below_it_is_gone() {
    let mut peer = peer();
    removes(&mut peer, &["top/one", "top/two"]);
    peer.wait(&path("top"), Duration::from_secs(1));
    peer.wait(&path("top/below"), Duration::from_secs(1));
    peer.ended(1);
    peer.wake(&path("top"));
    assert_eq!(peer.take_queue(), [], "another order below is under way");
    peer.ended(2);
    peer.wake(&path("top"));
    assert_eq!(peer.take_queue(), [], "a directory below waits itself");
    peer.wake(&path("top/below"));
    assert_eq!(peer.take_queue(), [path("top/below")]);
    peer.done(&path("top/below"));
    peer.wake(&path("top"));
    assert_eq!(peer.take_queue(), [path("top")]);
}

#[tokio::test(start_paused = true)]
async fn what_only_sorts_near_a_directory_is_not_below_it() {
    let mut peer = peer();
    removes(&mut peer, &["to", "top", "top 2/file", "top-2", "topmost/file"]);
    peer.wait(&path("top"), Duration::from_secs(1));
    peer.wake(&path("top"));
    assert_eq!(peer.take_queue(), [], "its own order is under way");
    peer.ended(2);
    peer.wait(&path("top"), Duration::from_secs(1));
    peer.wake(&path("top"));
    assert_eq!(peer.take_queue(), [path("top")]);
}

#[tokio::test(start_paused = true)]
async fn a_directory_whose_work_is_partly_in_the_store_is_listed_only_now_and_then() {
    let mut peer = peer();
    peer.more = true;
    peer.wait(&path("top"), Duration::from_secs(1));
    peer.wake(&path("top"));
    assert_eq!(peer.take_queue(), []);
    let wake = peer.next_wake().expect("it is due");
    assert_eq!(wake - Instant::now(), WAKE_PAUSE);
    tokio::time::advance(WAKE_PAUSE).await;
    peer.let_go();
    assert_eq!(peer.take_queue(), [path("top")]);
    assert_eq!(peer.next_wake(), None, "it is let go once");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_let_go_when_its_time_has_come_and_not_before() {
    let mut peer = peer();
    peer.wait(&path("late"), Duration::from_secs(2));
    peer.wait(&path("soon"), Duration::from_secs(1));
    tokio::time::advance(Duration::from_millis(999)).await;
    peer.let_go();
    assert_eq!(peer.take_queue(), []);
    tokio::time::advance(Duration::from_millis(1)).await;
    peer.let_go();
    assert_eq!(peer.take_queue(), [path("soon")]);
    assert_eq!(peer.next_wake(), Some(Instant::now() + Duration::from_secs(1)));
}
