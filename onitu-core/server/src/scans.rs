//! Which scans were done, and that those are done again whose findings were lost with the store.
//!
//! A driver learns of the loss when the Referee asks for events that it has no more; one that had
//! nothing to tell since it started never does. So the Core watches that every service is scanned
//! once more, and asks for the scans that don't come by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use onitu_core::Service;
use onitu_core::limits::REQUEST_TIMEOUT_MS;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::{Report, ServiceState};
use onitu_core::store::{Registry, StoreError};
use tokio::time::Instant;
use tracing::warn;

use crate::core::Core;

/// After a loss the drivers have so long to begin a scan by themselves.
const PATIENCE: Duration = Duration::from_secs(3);

/// A scan that was done: which process, which incarnation of it, its how manieth.
pub(crate) type Scan = (u32, u64, u64);

/// What is known of scans, by service.
#[derive(Default)]
pub(crate) struct Scans {
    /// The last one seen.
    seen: BTreeMap<String, Scan>,
    /// Those that count for nothing.
    void: Arc<BTreeMap<String, Scan>>,
    /// When they became void.
    lost: Option<Instant>,
    /// Services that were asked for another one since.
    asked: BTreeSet<String>,
}

impl Scans {
    /// Everything that scans found until now is lost.
    pub(crate) fn lose(&mut self) {
        self.void = Arc::new(self.seen.clone());
        self.lost = Some(Instant::now());
        self.asked.clear();
    }

    /// Forgets services that are no more.
    pub(crate) fn keep(&mut self, registry: &Registry) {
        self.seen.retain(|name, _| registry.by_name(name).is_some());
    }

    /// The scans that count for nothing.
    pub(crate) fn void(&self) -> Arc<BTreeMap<String, Scan>> {
        self.void.clone()
    }

    /// Notes what a driver says; whether it must be asked for a scan.
    fn note(&mut self, name: &str, report: &Report) -> bool {
        self.seen.insert(name.to_owned(), scan(report));
        self.lost.is_some_and(|lost| lost.elapsed() >= PATIENCE)
            && report.state == ServiceState::Ready
            && self.void.get(name) == Some(&scan(report))
            && !self.asked.contains(name)
    }
}

/// The last scan that `report` tells of.
pub(crate) fn scan(report: &Report) -> Scan {
    (report.pid, report.epoch, report.scans)
}

impl Core {
    /// Notes the scans that were done, and asks for those that have to be done again.
    pub(crate) async fn tend_scans(&self) -> Result<(), StoreError> {
        let reports = self.store.reports().await?;
        for service in &self.registry().services {
            let Some(report) = reports.get(&service.id) else { continue };
            if !self.scans().note(&service.name, report) {
                continue;
            }
            match self.ask_to_scan(service).await {
                Ok(()) => {
                    self.scans().asked.insert(service.name.clone());
                }
                Err(why) => warn!("`{}` {why}; it is asked again", service.name),
            }
        }
        Ok(())
    }

    /// Asks one driver to scan; why it won't, as the end of a sentence.
    pub(crate) async fn ask_to_scan(&self, service: &Service) -> Result<(), String> {
        let patience = Duration::from_millis(REQUEST_TIMEOUT_MS);
        let asked = self.requester(service.id).request(encode(&Request::Rescan), patience).await;
        match asked.map(|reply| decode(&reply)) {
            Ok(Ok(Reply::Done)) => Ok(()),
            Ok(Ok(Reply::Refused(fault))) => Err(format!("refused: {fault}")),
            Ok(Ok(_)) => Err("answered something else".to_owned()),
            Ok(Err(error)) => Err(format!("gave {error}")),
            Err(error) => Err(format!("can't be asked: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::tests::{House, ready};

    #[tokio::test]
    async fn a_driver_that_had_nothing_to_tell_is_asked_once_after_a_loss() {
        let house = House::new(&["nas"]).await;
        let nas = house.drive(1, "nas").await;
        let report = Report { pid: house.pid("nas").unwrap(), ..ready() };
        house.core.tend().await.unwrap();
        house.store.flush_all();
        house.core.tend().await.unwrap();
        house.report(1, &report).await;

        house.core.tend().await.unwrap();
        assert_eq!(nas.rescans.load(Ordering::Relaxed), 0, "it may scan by itself");
        house.core.scans().lost = Instant::now().checked_sub(PATIENCE);
        house.core.tend().await.unwrap();
        house.core.tend().await.unwrap();
        assert_eq!(nas.rescans.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn only_scans_from_before_the_loss_are_void() {
        let mut scans = Scans::default();
        let before = Report { pid: 7, epoch: 1, ..ready() };
        assert!(!scans.note("nas", &before));
        scans.lose();
        assert!(!scans.note("nas", &before), "it has time");
        scans.lost = Instant::now().checked_sub(PATIENCE);
        assert!(scans.note("nas", &before));
        assert!(!scans.note("nas", &Report { state: ServiceState::Scanning, ..before.clone() }));
        for after in [
            Report { pid: 8, ..before.clone() },
            Report { epoch: 2, ..before.clone() },
            Report { scans: 2, ..before },
        ] {
            assert!(!scans.note("nas", &after));
        }
    }
}
