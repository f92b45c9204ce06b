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
    peer.failed(&path("failed"), &Fault::new(FaultKind::Full, "no room"), Need::Place);
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

/// When `path` may be asked for again, from now.
fn next_attempt(peer: &Peer, text: &str) -> Duration {
    let wake = peer.next_wake().unwrap_or_else(|| panic!("`{text}` is never asked for again"));
    wake - Instant::now()
}

async fn pass(peer: &mut Peer, time: Duration) -> Vec<Path> {
    tokio::time::advance(time).await;
    peer.let_go();
    peer.take_queue()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_patience_with_a_path_is_not_asked_before() {
    let (hour, second) = (Duration::from_hours(1), Duration::from_secs(1));
    let mut peer = peer();
    let archived = Fault::new(FaultKind::Denied, "it is archived").retry_after(hour * 5);
    let failure = peer.failed(&path("x"), &archived, Need::Place);
    assert!(failure.shown.is_some() && !failure.is_final, "{failure:?}");
    assert_eq!(pass(&mut peer, hour * 4 + second * 3_599).await, []);
    peer.nudge(&path("x"));
    peer.refill(vec![path("x")]);
    assert_eq!(pass(&mut peer, Duration::ZERO).await, [], "however often it is come across");
    assert_eq!(pass(&mut peer, second).await, [path("x")]);
    // A mistake of a day is enough, and another content is another question.
    peer.failed(&path("x"), &archived.clone().retry_after(hour * 1_000), Need::Place);
    assert_eq!(next_attempt(&peer, "x"), PATIENCE_MAX);
    peer.push(&path("x"));
    assert_eq!(peer.take_queue(), [path("x")]);
}

#[tokio::test(start_paused = true)]
async fn however_many_paths_need_patience_others_have_their_turn() {
    let mut peer = peer();
    let archived = Fault::new(FaultKind::Denied, "archived").retry_after(Duration::from_hours(5));
    let refused = Fault::new(FaultKind::InvalidName, "too long");
    for number in 0..5_000 {
        peer.failed(&path(&format!("archived {number}")), &archived, Need::Place);
        peer.failed(&path(&format!("refused {number}")), &refused, Need::Place);
    }
    peer.push(&path("other"));
    assert_eq!(peer.take_queue(), [path("other")]);
    for number in 0..5_000 {
        let denied = Fault::new(FaultKind::Denied, "just now");
        peer.failed(&path(&format!("denied {number}")), &denied, Need::Place);
    }
    peer.push(&path("yet another"));
    assert_eq!(peer.take_queue(), [], "what may work in a moment holds up the rest");
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_renamed_is_refused_only_when_it_can_not_be_pulled_either() {
    let mut peer = peer();
    let unsupported = Fault::new(FaultKind::Unsupported, "no links");
    assert!(!peer.failed(&path("x"), &unsupported, Need::Place).is_final);
    assert!(!peer.may_rename(&path("x")), "it is pulled");
    assert!(peer.failed(&path("x"), &unsupported, Need::Place).is_final);
    let long = Fault::new(FaultKind::InvalidName, "too long");
    assert!(peer.failed(&path("y"), &long, Need::Place).is_final, "no name gets shorter");
    for need in [Need::Remove, Need::SetAside, Need::Evict] {
        assert!(!peer.failed(&path("z"), &long, need).is_final, "{need:?}");
        assert!(!peer.failed(&path("z"), &unsupported, need).is_final, "{need:?}");
    }
    for kind in [FaultKind::Denied, FaultKind::Full, FaultKind::NotFound, FaultKind::Corrupt] {
        let fault = Fault::new(kind, "it may pass");
        assert!(!peer.failed(&path("w"), &fault, Need::Place).is_final, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_asked_for_again_in_a_minute_by_another_driver_and_by_other_rules() {
    let mut peer = peer();
    let long = Fault::new(FaultKind::InvalidName, "too long");
    for _ in 0..20 {
        peer.failed(&path("x"), &long, Need::Place);
    }
    assert_eq!(pass(&mut peer, Duration::from_secs(59)).await, []);
    assert_eq!(pass(&mut peer, Duration::from_secs(1)).await, [path("x")]);
    peer.failed(&path("x"), &long, Need::Place);
    peer.failed(&path("y"), &Fault::new(FaultKind::Full, "no room"), Need::Place);
    // The store tells of "y", which is pending; of what was refused nobody else knows.
    peer.answered(7);
    assert_eq!(pass(&mut peer, Duration::ZERO).await, [path("x")]);
    for _ in 0..20 {
        peer.failed(&path("x"), &long, Need::Place);
    }
    peer.troubled.insert(path("x"));
    peer.ask_again();
    assert_eq!(peer.take_queue(), [path("x")]);
}
