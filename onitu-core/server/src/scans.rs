//! That every service is scanned again after the store has lost what the scans had found.
//!
//! A driver learns of the loss when the Referee asks for events that it has no more; one that had
//! nothing to tell since it started never does. So the Core takes no scan for granted after a loss
//! until it has seen a new one begin and end, and asks for those that don't come by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onitu_core::limits::REQUEST_TIMEOUT_MS;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::{Report, ServiceState};
use onitu_core::store::{Registry, StoreError};
use onitu_core::{Service, ServiceId};
use tokio::time::Instant;
use tracing::warn;

use crate::core::Core;

/// After a loss the drivers have so long to begin a scan by themselves.
const PATIENCE: Duration = Duration::from_secs(3);

/// Services whose last scan may be from before a loss.
#[derive(Default)]
pub(crate) struct Scans {
    lost: Option<Instant>,
    doubts: BTreeMap<String, Doubt>,
}

/// What is known of a service since the loss.
#[derive(Default)]
struct Doubt {
    /// The first process and incarnation that reported; it may have scanned before the loss.
    first: Option<(u32, u64)>,
    /// How many scans it had done when it was asked for another one.
    asked: Option<u64>,
}

impl Scans {
    /// Everything that scans of these services found until now is lost.
    pub(crate) fn lose(&mut self, registry: &Registry) {
        let names = registry.services.iter().map(|service| service.name.clone());
        self.doubts = names.map(|name| (name, Doubt::default())).collect();
        self.lost = Some(Instant::now());
    }

    /// Whether the last scan of the service called `name`, whose driver says `report`, may be from
    /// before the loss.
    pub(crate) fn is_doubtful(&mut self, name: &str, report: &Report) -> bool {
        let Some(doubt) = self.doubts.get_mut(name) else { return false };
        let driver = (report.pid, report.epoch);
        let renewed = *doubt.first.get_or_insert(driver) != driver;
        if renewed || doubt.asked.is_some_and(|scans| report.scans > scans) {
            self.doubts.remove(name);
            return false;
        }
        true
    }

    /// Whether a driver had its time to scan by itself, and should be asked.
    fn must_ask(&mut self, name: &str, report: &Report) -> bool {
        self.is_doubtful(name, report)
            && matches!(report.state, ServiceState::Ready | ServiceState::Held)
            && self.lost.is_some_and(|lost| lost.elapsed() >= PATIENCE)
            && self.doubts.get(name).is_some_and(|doubt| doubt.asked.is_none())
    }

    /// Notes that a driver was asked when it had done so many scans.
    fn asked(&mut self, name: &str, scans: u64) {
        if let Some(doubt) = self.doubts.get_mut(name) {
            doubt.asked = Some(scans);
        }
    }
}

impl Core {
    /// Asks for the scans that have to be done again and don't come by themselves.
    pub(crate) async fn tend_scans(&self) -> Result<(), StoreError> {
        if self.scans().doubts.is_empty() {
            return Ok(());
        }
        let reports = self.store.reports().await?;
        for service in self.registry().services.iter().filter(|service| !service.paused) {
            let Some(report) = reports.get(&service.id) else { continue };
            if !self.scans().must_ask(&service.name, report) {
                continue;
            }
            match self.ask_to_scan(service).await {
                Ok(()) => self.scans().asked(&service.name, report.scans),
                Err(why) => warn!("`{}` {why}; it is asked again", service.name),
            }
        }
        Ok(())
    }

    /// The services whose scans count for nothing, going by what their drivers say.
    pub(crate) fn doubtful(
        &self,
        registry: &Registry,
        reports: &BTreeMap<ServiceId, Report>,
    ) -> BTreeSet<String> {
        let mut scans = self.scans();
        let doubtful = registry.services.iter().filter(|service| {
            reports.get(&service.id).is_some_and(|said| scans.is_doubtful(&service.name, said))
        });
        doubtful.map(|service| service.name.clone()).collect()
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

    impl Scans {
        fn wait_out(&mut self) {
            self.lost = Instant::now().checked_sub(PATIENCE);
        }
    }

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
        house.core.scans().wait_out();
        house.core.tend().await.unwrap();
        house.core.tend().await.unwrap();
        assert_eq!(nas.rescans.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_scan_counts_again_once_it_was_asked_for_or_the_driver_is_another() {
        let before = Report { pid: 7, epoch: 1, ..ready() };
        let later = Report { scans: 2, ..before.clone() };
        for after in [
            Report { pid: 8, ..before.clone() },
            Report { epoch: 2, ..before.clone() },
            later.clone(),
        ] {
            let mut scans = Scans::default();
            assert!(!scans.is_doubtful("nas", &before), "nothing was lost");
            scans.lose(&crate::tests::registry(&["nas"]));
            assert!(scans.is_doubtful("nas", &before));
            assert!(!scans.must_ask("nas", &before), "it has time");
            scans.wait_out();
            assert!(
                !scans.must_ask("nas", &Report { state: ServiceState::Scanning, ..before.clone() })
            );
            assert!(scans.must_ask("nas", &before));
            scans.asked("nas", before.scans);
            assert!(!scans.must_ask("nas", &before), "it was asked");
            assert!(scans.is_doubtful("nas", &before));
            assert!(!scans.is_doubtful("nas", &after));
        }
        let mut scans = Scans::default();
        scans.lose(&crate::tests::registry(&["nas"]));
        assert!(scans.is_doubtful("nas", &before));
        assert!(scans.is_doubtful("nas", &later), "that scan may have begun before the loss");
    }
}
