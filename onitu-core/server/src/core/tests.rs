use onitu_core::ServiceId;

use super::*;
use crate::tests::{House, configuration};

#[tokio::test]
async fn a_first_start_registers_the_services_and_runs_their_drivers() {
    let house = House::new(&["nas", "laptop"]).await;
    let registry = house.registry().await;
    assert_eq!(registry.version, 1);
    let services: Vec<_> = registry.services.iter().map(|it| (it.id.0, &*it.name)).collect();
    assert_eq!(services, [(1, "nas"), (2, "laptop")]);
    let running = house.running.lock().unwrap();
    let names: Vec<_> = running.wanted.iter().map(|wanted| &*wanted.name).collect();
    assert_eq!(names, ["driver-nas", "driver-laptop"]);
    drop(running);
    assert!(house.core.is_established());
}

#[tokio::test]
async fn tending_again_changes_nothing() {
    let house = House::new(&["nas"]).await;
    let (registry, pid) = (house.registry().await, house.pid("nas"));
    house.core.tend().await.unwrap();
    house.core.tend().await.unwrap();
    assert_eq!((house.registry().await, house.pid("nas")), (registry, pid));
}

#[tokio::test]
async fn a_restarted_core_leaves_the_drivers_alone() {
    let mut house = House::new(&["nas", "laptop"]).await;
    let pids = (house.pid("nas"), house.pid("laptop"));
    house.restart_core().await;
    assert_eq!((house.pid("nas"), house.pid("laptop")), pids);
    assert_eq!(house.registry().await.version, 1);
}

#[tokio::test]
async fn a_service_added_or_removed_leaves_the_others_alone() {
    let house = House::new(&["nas", "laptop"]).await;
    let laptop = house.pid("laptop");
    let change =
        Change { configuration: Some(configuration(&["laptop", "usb"])), ..Change::default() };
    let said = house.core.establish(change).await.unwrap();
    assert_eq!(said, "added `usb`; removed `nas`");
    assert_eq!(house.pid("laptop"), laptop);
    assert_eq!(house.pid("nas"), None);
    assert!(house.pid("usb").is_some());
    let registry = house.registry().await;
    assert_eq!(registry.version, 2);
    // The number of the removed one is not given to another.
    assert_eq!(registry.by_name("usb").unwrap().id, ServiceId(3));
}

#[tokio::test]
async fn changed_options_start_one_driver_anew() {
    let house = House::new(&["nas", "laptop"]).await;
    let before = (house.pid("nas"), house.pid("laptop"));
    let mut changed = configuration(&["nas", "laptop"]);
    changed.services[0].options.insert("root".to_owned(), "/elsewhere".into());
    let change = Change { configuration: Some(changed), ..Change::default() };
    assert_eq!(house.core.establish(change).await.unwrap(), "changed `nas`");
    assert_ne!(house.pid("nas"), before.0);
    assert_eq!(house.pid("laptop"), before.1);
}

#[tokio::test]
async fn a_flushed_store_is_set_up_and_filled_again() {
    let house = House::new(&["nas", "laptop"]).await;
    let before = house.registry().await;
    let pids = (house.pid("nas"), house.pid("laptop"));
    house.store.flush_all();
    assert_eq!(house.store.registry().await.unwrap(), None);

    house.core.tend().await.unwrap();

    let after = house.registry().await;
    assert!(after.version > before.version);
    assert_eq!(after.services, before.services);
    assert!(house.store.incarnation().await.unwrap().generation.is_some());
    assert_eq!((house.pid("nas"), house.pid("laptop")), pids, "no number changed");
    assert!(house.core.is_established());
}

#[tokio::test]
async fn drivers_whose_number_changed_by_a_flush_are_started_anew() {
    let house = House::new(&["nas", "laptop"]).await;
    let change = Change { configuration: Some(configuration(&["laptop"])), ..Change::default() };
    house.core.establish(change).await.unwrap();
    let before = house.pid("laptop");
    house.store.flush_all();
    house.core.tend().await.unwrap();
    assert_eq!(house.registry().await.by_name("laptop").unwrap().id, ServiceId(1));
    assert_ne!(house.pid("laptop"), before);
}

#[tokio::test]
async fn a_registry_that_lost_its_last_second_is_written_again() {
    let house = House::new(&["nas"]).await;
    let lost = house.store.checkpoint();
    let change =
        Change { configuration: Some(configuration(&["nas", "usb"])), ..Change::default() };
    house.core.establish(change).await.unwrap();
    let before = house.registry().await;

    house.store.restart_at(lost);
    assert!(house.core.tend().await.is_err(), "the connection broke with the server");
    house.core.tend().await.unwrap();

    let after = house.registry().await;
    assert_eq!(after.services, before.services);
    assert!(after.version >= before.version, "{} then {}", before.version, after.version);
}

#[tokio::test]
async fn a_change_while_the_store_is_away_fails_and_leaves_everything() {
    let house = House::new(&["nas"]).await;
    house.store.set_available(false);
    let change =
        Change { configuration: Some(configuration(&["nas", "usb"])), ..Change::default() };
    assert!(house.core.establish(change).await.is_err());
    assert!(!house.core.is_established());

    house.store.set_available(true);
    house.core.tend().await.unwrap();
    assert!(house.core.is_established());
    assert_eq!(house.registry().await.services.len(), 1);
    assert_eq!(house.pid("usb"), None);
}

#[tokio::test]
async fn a_supervisor_that_comes_late_is_told_then() {
    let house = House::unsupervised(&["nas"]);
    house.core.tend().await.unwrap();
    assert!(!house.core.is_established());
    assert_eq!(house.registry().await.services.len(), 1);
    assert_eq!(house.pid("nas"), None);
    house.supervise();
    house.core.tend().await.unwrap();
    assert!(house.core.is_established());
    assert!(house.pid("nas").is_some());
}

#[tokio::test]
async fn a_driver_that_is_not_installed_stops_only_its_own_service() {
    let house = House::unsupervised(&["nas", "cloud"]);
    house.supervise();
    let mut mixed = configuration(&["nas", "cloud"]);
    mixed.services[1].driver = "s4".to_owned();
    let change = Change { configuration: Some(mixed), ..Change::default() };
    house.core.establish(change).await.unwrap();
    assert!(house.pid("nas").is_some());
    assert_eq!(house.pid("cloud"), None);
    assert_eq!(house.core.missing()["cloud"], "its driver `s4` is not installed");
    assert_eq!(house.registry().await.services.len(), 2);
}

#[tokio::test]
async fn what_a_removed_service_had_pending_is_forgotten() {
    let house = House::new(&["nas", "usb"]).await;
    let mut commit = onitu_core::store::Commit::default();
    let at = crate::tests::path("a.txt");
    commit.pending.insert((ServiceId(2), at.clone()), true);
    house.store.commit(vec![(onitu_core::Shard::of(&at), commit)]).await.unwrap();
    let change = Change { configuration: Some(configuration(&["nas"])), ..Change::default() };
    house.core.establish(change).await.unwrap();
    assert_eq!(house.store.pending(ServiceId(2), 9).await.unwrap(), []);
}
