use std::sync::atomic::Ordering;

use onitu_core::status::{ConflictStatus, Report};
use onitu_core::store::{Commit, Conflict, Store};
use onitu_core::{ServiceId, Shard};

use super::*;
use crate::tests::{House, configuration, path, ready};

fn done(answer: FromCore) -> String {
    match answer {
        FromCore::Done(said) => said,
        other => panic!("{other:?}"),
    }
}

fn refused(answer: FromCore) -> (String, u8) {
    match answer {
        FromCore::Error { message, code } => (message, code),
        other => panic!("{other:?}"),
    }
}

async fn is_paused(house: &House, name: &str) -> bool {
    house.registry().await.by_name(name).expect("registered").paused
}

#[tokio::test]
async fn a_paused_service_is_stopped_and_the_others_go_on() {
    let house = House::new(&["laptop", "nas"]).await;
    let laptop = house.pid("laptop");
    assert_eq!(done(house.core.answer(ToCore::Pause(Some("nas".into()))).await), "paused `nas`");
    assert!(is_paused(&house, "nas").await);
    assert_eq!((house.pid("nas"), house.pid("laptop")), (None, laptop));
    let again = house.core.answer(ToCore::Pause(Some("nas".into()))).await;
    assert_eq!(done(again), "paused already: `nas`");
    assert_eq!(done(house.core.answer(ToCore::Resume(None)).await), "resumed `nas`");
    assert!(house.pid("nas").is_some());
}

#[tokio::test]
async fn a_pause_survives_a_restart_of_the_core_a_reload_and_a_flush() {
    let mut house = House::new(&["laptop", "nas"]).await;
    done(house.core.answer(ToCore::Pause(Some("nas".into()))).await);

    house.restart_core().await;
    assert!(is_paused(&house, "nas").await);
    assert_eq!(house.pid("nas"), None);

    house.configure(Ok(configuration(&["laptop", "nas", "usb"])));
    assert_eq!(done(house.core.answer(ToCore::Reload).await), "added `usb`");
    assert!(is_paused(&house, "nas").await);

    house.store.flush_all();
    house.core.tend().await.unwrap();
    assert!(is_paused(&house, "nas").await);
    assert_eq!(house.pid("nas"), None);
}

#[tokio::test]
async fn a_reload_with_mistakes_keeps_the_old_configuration() {
    let house = House::new(&["laptop", "nas"]).await;
    let before = (house.registry().await, house.pid("laptop"), house.pid("nas"));
    house.configure(Err("error: unknown driver `s4`".to_owned()));
    let (message, code) = refused(house.core.answer(ToCore::Reload).await);
    assert_eq!((&*message, code), ("error: unknown driver `s4`", 78));
    assert_eq!((house.registry().await, house.pid("laptop"), house.pid("nas")), before);
    // Also when the store is emptied later.
    house.store.flush_all();
    house.core.tend().await.unwrap();
    assert_eq!(house.registry().await.services, before.0.services);
}

#[tokio::test]
async fn a_reload_without_a_change_says_so() {
    let house = House::new(&["nas"]).await;
    let pid = house.pid("nas");
    assert_eq!(done(house.core.answer(ToCore::Reload).await), "nothing changed");
    assert_eq!(house.pid("nas"), pid);
}

#[tokio::test]
async fn a_driver_installed_later_is_found_by_a_reload() {
    let house = House::new(&["nas"]).await;
    let mut with_cloud = configuration(&["nas", "cloud"]);
    with_cloud.services[1].driver = "s3".to_owned();
    house.configure(Ok(with_cloud));
    done(house.core.answer(ToCore::Reload).await);
    assert_eq!(house.pid("cloud"), None);
    house.sources.drivers.lock().unwrap().insert("s3".to_owned());
    done(house.core.answer(ToCore::Reload).await);
    assert!(house.pid("cloud").is_some());
}

#[tokio::test]
async fn unknown_services_are_refused_with_the_nearest_name() {
    let house = House::new(&["laptop", "nas"]).await;
    for request in [
        ToCore::Pause(Some("nsa".into())),
        ToCore::Resume(Some("nsa".into())),
        ToCore::Rescan(Some("nsa".into())),
    ] {
        let (message, code) = refused(house.core.answer(request).await);
        assert_eq!(code, 1);
        assert!(message.ends_with("did you mean `nas`?"), "{message}");
    }
}

#[tokio::test]
async fn a_rescan_is_asked_of_the_driver() {
    let house = House::new(&["laptop", "nas"]).await;
    let (laptop, nas) = (house.drive(1, "laptop").await, house.drive(2, "nas").await);
    let said = done(house.core.answer(ToCore::Rescan(Some("nas".into()))).await);
    assert_eq!(said, "scanning `nas`");
    let said = done(house.core.answer(ToCore::Rescan(None)).await);
    assert_eq!(said, "scanning `laptop`, `nas`");
    let asked = |driver: &crate::tests::FakeDriver| driver.rescans.load(Ordering::Relaxed);
    assert_eq!((asked(&laptop), asked(&nas)), (1, 2));
}

#[tokio::test]
async fn a_service_that_can_not_scan_is_refused_and_the_others_scan() {
    let house = House::new(&["laptop", "nas"]).await;
    let laptop = house.drive(1, "laptop").await;
    let (pid, reason) = (house.pid("nas").unwrap(), Some("the root is gone".to_owned()));
    let report = Report { state: ServiceState::Unavailable, reason, pid, ..ready() };
    house.report(2, &report).await;
    let (message, code) = refused(house.core.answer(ToCore::Rescan(None)).await);
    assert_eq!((&*message, code), ("`nas` is unavailable: the root is gone", 1));
    assert_eq!(laptop.rescans.load(Ordering::Relaxed), 1);
    done(house.core.answer(ToCore::Pause(Some("nas".into()))).await);
    let (message, _) = refused(house.core.answer(ToCore::Rescan(Some("nas".into()))).await);
    assert_eq!(message, "`nas` is paused: `onitu resume nas` lets it go on");
}

#[tokio::test]
async fn conflicts_are_listed_with_name_and_date() {
    let house = House::new(&["laptop", "nas"]).await;
    let kept = path("a (conflict nas 1234567).txt");
    let conflict = Conflict {
        path: path("a.txt"),
        kept: kept.clone(),
        service: ServiceId(2),
        at_ms: 1_700_000_000_000,
    };
    let mut commit = Commit::default();
    commit.conflicts.insert(kept.clone(), Some(conflict));
    house.store.commit(vec![(Shard::of(&kept), commit)]).await.unwrap();
    let answer = house.core.answer(ToCore::Conflicts).await;
    let expected = ConflictStatus {
        path: path("a.txt"),
        kept,
        service: "nas".to_owned(),
        date: "2023-11-14T22:13:20Z".to_owned(),
        at_path: None,
        at_kept: None,
    };
    assert_eq!(answer, FromCore::Conflicts(vec![expected]));
}

#[tokio::test]
async fn while_the_store_is_away_status_answers_and_changes_are_refused() {
    let house = House::new(&["nas"]).await;
    house.store.set_available(false);
    let FromCore::Status(status) = house.core.answer(ToCore::Status).await else { panic!() };
    assert_eq!(status.services[0].state, ServiceState::Unavailable);
    assert_eq!(status.processes.len(), 1);
    for request in [ToCore::Pause(Some("nas".into())), ToCore::Reload, ToCore::Conflicts] {
        let (message, _) = refused(house.core.answer(request).await);
        assert!(message.contains("the metadata store (redis) is away"), "{message}");
    }
    house.store.set_available(true);
    house.core.tend().await.unwrap();
    assert!(!is_paused(&house, "nas").await, "a refused pause came true");
}
