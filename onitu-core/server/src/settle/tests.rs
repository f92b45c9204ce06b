use std::sync::atomic::Ordering;

use onitu_core::status::Report;
use onitu_core::store::{Commit, Store};
use onitu_core::{ServiceId, Shard};

use super::*;
use crate::tests::{House, path, ready};

fn look(heard: &[(&str, Heard)]) -> Look {
    heard.iter().map(|(name, heard)| ((*name).to_owned(), heard.clone())).collect()
}

async fn pend(house: &House, id: u16, at: &str) {
    let mut commit = Commit::default();
    commit.pending.insert((ServiceId(id), path(at)), true);
    house.store.commit(vec![(Shard::of(&path(at)), commit)]).await.unwrap();
}

async fn pause(house: &House, name: &str) {
    let paused = BTreeMap::from([(name.to_owned(), true)]);
    let change = crate::core::Change { paused, ..Default::default() };
    house.core.establish(change).await.unwrap();
}

async fn quiet_house() -> House {
    let house = House::new(&["laptop", "nas"]).await;
    house.drive(1, "laptop").await;
    house.drive(2, "nas").await;
    house
}

#[test]
fn two_equal_looks_at_idle_drivers_are_settled() {
    let first = look(&[("laptop", Heard::Idle(3)), ("nas", Heard::Idle(0))]);
    assert_eq!(busy(&first), None);
    assert_eq!(moved(&first, &first.clone()), None);
}

#[test]
fn busy_and_silent_drivers_are_named() {
    let look = look(&[
        ("laptop", Heard::Busy),
        ("nas", Heard::Nothing),
        ("tape", Heard::Refused("it is rewinding".to_owned())),
        ("usb", Heard::Idle(1)),
    ]);
    assert_eq!(
        busy(&look).unwrap(),
        "`laptop` is busy; `nas` is not answering; `tape` can't tell: it is rewinding"
    );
}

#[test]
fn a_driver_that_moved_came_or_went_between_the_looks_is_named() {
    let first = look(&[("laptop", Heard::Idle(3)), ("usb", Heard::Idle(1))]);
    let second = look(&[("laptop", Heard::Idle(4)), ("nas", Heard::Idle(0))]);
    assert_eq!(
        moved(&first, &second).unwrap(),
        "something just happened on `laptop`; something just happened on `nas`; \
         something just happened on `usb`"
    );
}

#[tokio::test]
async fn a_quiet_house_is_settled() {
    assert_eq!(quiet_house().await.core.going_on().await, None);
}

#[tokio::test]
async fn a_house_without_services_is_settled() {
    assert_eq!(House::new(&[]).await.core.going_on().await, None);
}

#[tokio::test]
async fn before_the_services_are_registered_nothing_is_settled() {
    let house = House::unsupervised(&[]);
    assert_eq!(house.core.going_on().await.unwrap(), "the services are being registered");
}

#[tokio::test]
async fn starting_scanning_and_unscanned_services_are_not_settled() {
    let house = House::new(&["laptop", "nas", "usb"]).await;
    house.drive(2, "nas").await;
    house.drive(3, "usb").await;
    let pid = |name: &str| house.pid(name).unwrap();
    let scanning = ServiceState::Scanning;
    let report = Report { state: scanning, scanned: 40, pid: pid("nas"), ..ready() };
    house.report(2, &report).await;
    house.report(3, &Report { scans: 0, pid: pid("usb"), ..ready() }).await;
    assert_eq!(
        house.core.going_on().await.unwrap(),
        "`laptop` is starting; `nas` is scanning (40 paths so far); \
         `usb` has not been scanned yet"
    );
}

#[tokio::test]
async fn a_busy_or_restless_driver_is_not_settled() {
    let house = House::new(&["nas"]).await;
    let nas = house.drive(1, "nas").await;
    nas.idle.store(false, Ordering::Relaxed);
    assert_eq!(house.core.going_on().await.unwrap(), "`nas` is busy");
    nas.idle.store(true, Ordering::Relaxed);
    nas.restless.store(true, Ordering::Relaxed);
    assert_eq!(house.core.going_on().await.unwrap(), "something just happened on `nas`");
    nas.restless.store(false, Ordering::Relaxed);
    assert_eq!(house.core.going_on().await, None);
}

#[tokio::test]
async fn pending_work_is_not_settled_and_says_what_fails() {
    let house = quiet_house().await;
    pend(&house, 2, "a.txt").await;
    assert_eq!(house.core.going_on().await.unwrap(), "1 change pending on `nas`");
    let mut commit = Commit::default();
    let fault = onitu_core::Fault::new(onitu_core::FaultKind::Full, "no space left");
    commit.problems.insert((ServiceId(2), path("a.txt")), Some(fault));
    house.store.commit(vec![(Shard::of(&path("a.txt")), commit)]).await.unwrap();
    assert_eq!(
        house.core.going_on().await.unwrap(),
        "1 change pending on `nas` (`a.txt`: no space left)"
    );
}

#[tokio::test]
async fn a_paused_service_is_in_step_unless_something_waits_for_it() {
    let house = quiet_house().await;
    pause(&house, "nas").await;
    assert_eq!(house.core.going_on().await, None);
    pend(&house, 2, "a.txt").await;
    assert_eq!(house.core.going_on().await.unwrap(), "1 change pending on `nas`, which is paused");
}

#[tokio::test]
async fn what_waits_for_a_person_is_not_waited_for() {
    let house = quiet_house().await;
    let pid = house.pid("nas").unwrap();
    house.report(2, &Report { state: ServiceState::Held, pid, ..ready() }).await;
    assert_eq!(house.core.going_on().await, None);
    pend(&house, 1, "a.txt").await;
    assert!(house.core.going_on().await.is_some(), "everything else goes on");
}

#[tokio::test]
async fn an_unavailable_service_is_never_in_step() {
    let house = quiet_house().await;
    let reason = Some("the root is gone".to_owned());
    let pid = house.pid("nas").unwrap();
    let report = Report { state: ServiceState::Unavailable, reason, pid, ..ready() };
    house.report(2, &report).await;
    assert_eq!(house.core.going_on().await.unwrap(), "`nas` is unavailable: the root is gone");
}

#[tokio::test]
async fn nothing_is_settled_while_the_store_is_away() {
    let house = quiet_house().await;
    house.store.set_available(false);
    assert!(house.core.going_on().await.unwrap().contains("metadata store"));
}

#[tokio::test]
async fn a_change_of_services_is_not_settled_before_the_referee_has_noted_it() {
    let house = quiet_house().await;
    house.report(REFEREE.0, &Report { epoch: 0, ..Report::default() }).await;
    assert!(house.core.going_on().await.unwrap().contains("being worked out"));
    house.report(REFEREE.0, &Report { epoch: 1, ..Report::default() }).await;
    assert_eq!(house.core.going_on().await, None);
}

#[tokio::test]
async fn after_the_metadata_was_lost_every_service_must_be_scanned_again() {
    let house = quiet_house().await;
    house.core.tend().await.unwrap();
    let pids = [house.pid("laptop").unwrap(), house.pid("nas").unwrap()];

    house.store.flush_all();
    assert!(house.core.going_on().await.is_some(), "the emptied store passed for a quiet one");
    house.core.tend().await.unwrap();
    for (id, pid) in (1..).zip(pids) {
        house.report(id, &Report { pid, ..ready() }).await;
    }
    assert_eq!(
        house.core.going_on().await.unwrap(),
        "`laptop` has not been scanned yet; `nas` has not been scanned yet"
    );

    house.report(1, &Report { pid: pids[0], epoch: 3, ..ready() }).await;
    house.report(2, &Report { pid: pids[1], epoch: 1, ..ready() }).await;
    assert_eq!(house.core.going_on().await, None);
}
