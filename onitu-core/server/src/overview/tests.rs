use std::collections::BTreeMap;
use std::sync::Arc;

use onitu_core::status::TransferStatus;
use onitu_core::{Fault, FaultKind};

use super::*;
use crate::tests::{path, registry};

const NOW_MS: u64 = 1_000_000;

/// `nas` (1) with process 7 and a fresh report of it, and `usb` (2) without anything.
fn parts() -> Parts {
    let mut stored = Stored::default();
    let report = Report {
        state: ServiceState::Ready,
        pid: 7,
        scans: 1,
        scanned: 12,
        at_ms: NOW_MS,
        ..Report::default()
    };
    stored.reports.insert(ServiceId(1), report);
    Parts {
        registry: Arc::new(registry(&["nas", "usb"])),
        established: true,
        missing: Arc::default(),
        doubtful: std::collections::BTreeSet::new(),
        stored: Ok(stored),
        processes: Some(vec![process(Some(7), 0, None)]),
        now_ms: NOW_MS,
    }
}

impl Parts {
    fn change(mut self, change: impl FnOnce(&mut Stored)) -> Self {
        change(self.stored.as_mut().expect("the store is there"));
        self
    }
}

fn process(pid: Option<u32>, restarts: u64, last_exit: Option<&str>) -> ProcessStatus {
    let name = "driver-nas".to_owned();
    ProcessStatus { name, pid, restarts, last_exit: last_exit.map(str::to_owned) }
}

fn nas(parts: &Parts) -> ServiceStatus {
    status(parts).services.into_iter().find(|service| service.name == "nas").expect("there")
}

fn state_and_reason(parts: &Parts) -> (ServiceState, String) {
    let nas = nas(parts);
    (nas.state, nas.reason.unwrap_or_default())
}

#[test]
fn services_come_by_name_with_their_sums() {
    let mut parts = parts().change(|stored| {
        stored.counts.entries = 5;
        stored.counts.conflicts = 1;
        stored.counts.held = BTreeMap::from([(ServiceId(1), 5), (ServiceId(2), 3)]);
        // Number 9 was removed; its leftovers are nobody's.
        stored.counts.pending =
            BTreeMap::from([(ServiceId(1), 2), (ServiceId(2), 4), (ServiceId(9), 100)]);
        stored.used_memory_bytes = 77;
    });
    parts.registry = Arc::new(registry(&["usb", "nas"]));
    let status = status(&parts);
    assert_eq!((status.entries, status.conflicts, status.pending), (5, 1, 6));
    assert_eq!(status.redis.used_memory_bytes, 77);
    let services: Vec<_> =
        status.services.iter().map(|it| (&*it.name, it.files, it.pending)).collect();
    assert_eq!(services, [("nas", 3, 4), ("usb", 5, 2)]);
}

#[test]
fn a_driver_is_as_it_reports() {
    let parts = parts();
    let nas = nas(&parts);
    assert_eq!((nas.state, nas.reason, nas.pid), (ServiceState::Ready, None, Some(7)));
    assert_eq!(nas.scanned, 12);
}

#[test]
fn a_report_of_an_earlier_process_counts_for_nothing() {
    let mut parts = parts();
    parts.processes = Some(vec![process(Some(8), 0, None)]);
    let nas = nas(&parts);
    assert_eq!((nas.state, nas.scanned), (ServiceState::Starting, 0));
}

#[test]
fn a_driver_that_ends_again_and_again_is_unavailable_with_its_last_words() {
    let mut parts = parts();
    parts.processes = Some(vec![process(None, 3, Some("exit code 1: no such root"))]);
    let (state, reason) = state_and_reason(&parts);
    assert_eq!(state, ServiceState::Unavailable);
    assert_eq!(reason, "its driver ended and will be started again: exit code 1: no such root");
    // And while it runs for the moment, but has said nothing.
    parts.processes = Some(vec![process(Some(9), 4, Some("exit code 1: no such root"))]);
    let (state, reason) = state_and_reason(&parts);
    assert_eq!(state, ServiceState::Unavailable);
    assert!(reason.ends_with("after it had ended: exit code 1: no such root"), "{reason}");
}

#[test]
fn a_silent_driver_is_shown_as_it_was_with_a_notice() {
    let parts = parts().change(|stored| {
        let report = stored.reports.get_mut(&ServiceId(1)).expect("there");
        report.at_ms = NOW_MS - 25_000;
        report.reason = Some("polling".to_owned());
    });
    let (state, reason) = state_and_reason(&parts);
    assert_eq!(state, ServiceState::Ready);
    assert_eq!(reason, "its driver is not answering for 25 s; before that: polling");
}

#[test]
fn a_paused_service_is_paused_whatever_else_is_wrong() {
    let mut parts = parts();
    let mut registry = registry(&["nas"]);
    registry.services[0].paused = true;
    parts.registry = Arc::new(registry);
    parts.stored = Err(StoreError::Unavailable("refused".to_owned()));
    let (state, reason) = state_and_reason(&parts);
    assert_eq!(state, ServiceState::Paused);
    assert_eq!(reason, "paused: `onitu resume nas` lets it go on");
}

#[test]
fn every_service_says_so_while_the_store_is_away() {
    let mut parts = parts();
    parts.stored = Err(StoreError::Unavailable("connection refused".to_owned()));
    for service in status(&parts).services {
        assert_eq!(service.state, ServiceState::Unavailable);
        assert_eq!(
            service.reason.expect("a reason"),
            "the metadata store (redis) is away and being restarted: connection refused"
        );
    }
}

#[test]
fn a_missing_driver_and_a_missing_process_are_told_apart() {
    let mut parts = parts();
    parts.processes = Some(Vec::new());
    assert_eq!(nas(&parts).state, ServiceState::Starting);
    parts.missing = Arc::new(BTreeMap::from([("nas".to_owned(), "not installed".to_owned())]));
    assert_eq!(state_and_reason(&parts), (ServiceState::Unavailable, "not installed".to_owned()));
}

#[test]
fn an_absent_supervisor_is_told() {
    let mut parts = parts();
    parts.processes = None;
    assert_eq!(
        state_and_reason(&parts),
        (ServiceState::Starting, "the supervisor is not answering".to_owned())
    );
}

#[test]
fn problems_of_scan_and_orders_are_counted_together_and_bounded() {
    let problem = |path: String| Problem { path, message: "unreadable".to_owned() };
    let parts = parts().change(|stored| {
        let report = stored.reports.get_mut(&ServiceId(1)).expect("there");
        report.problems = (0..90).map(|n| problem(format!("p{n}"))).collect();
        report.problems_total = 500;
        let full = Fault::new(FaultKind::Full, "no space left");
        let failing = (0..20).map(|n| (path(&format!("f{n}")), full.clone())).collect();
        stored.problems.insert(ServiceId(1), failing);
    });
    let nas = nas(&parts);
    assert_eq!((nas.problems.len(), nas.problems_total), (100, 520));
    assert_eq!(nas.problems[90], Problem { path: "f0".into(), message: "no space left".into() });
}

#[test]
fn transfers_are_passed_on() {
    let transfer = TransferStatus {
        path: path("big"),
        from: "usb".to_owned(),
        done_bytes: 1,
        size_bytes: 2,
        bytes_per_s: 1,
        eta_s: Some(1),
    };
    let parts = parts().change(|stored| {
        let report = stored.reports.get_mut(&ServiceId(1)).expect("there");
        report.transfers.push(transfer.clone());
    });
    assert_eq!(nas(&parts).transfers, [transfer]);
}
