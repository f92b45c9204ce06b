use onitu_core::status::{ProcessStatus, TransferStatus};

use super::*;

fn service(name: &str, state: ServiceState) -> ServiceStatus {
    ServiceStatus {
        name: name.to_owned(),
        driver: "local".to_owned(),
        state,
        reason: None,
        files: 12,
        used_bytes: 0,
        quota_bytes: None,
        pending: 0,
        unable: 0,
        pid: None,
        scanned: 34,
        problems: Vec::new(),
        problems_total: 0,
        transfers: Vec::new(),
        held: None,
        verify: None,
    }
}

fn status(services: Vec<ServiceStatus>) -> Status {
    Status { services, ..Status::default() }
}

fn line(opening: &mut Opening, status: &Status) -> Option<String> {
    opening.line(status, Path::new("/state"))
}

#[tokio::test(start_paused = true)]
async fn the_line_comes_when_every_service_is_connected() {
    use ServiceState::{Held, Paused, Ready, Scanning, Starting};
    let mut opening = Opening::default();
    let early = status(vec![service("laptop", Ready), service("nas", Starting)]);
    assert_eq!(opening.warnings(&early), Vec::<String>::new());
    assert_eq!(line(&mut opening, &early), None);
    let states = [("laptop", Ready), ("nas", Scanning), ("s3", Paused), ("old", Held)];
    let late = status(states.map(|(name, state)| service(name, state)).into());
    let said = line(&mut opening, &late).unwrap();
    assert_eq!(said, "onitu: keeping in step: laptop, nas, s3, old (state /state)");
    assert!(opening.is_done);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_away_holds_the_line_back_for_ten_seconds_and_is_named() {
    let mut nas = service("nas", ServiceState::Unavailable);
    nas.reason = Some("`/srv` doesn't exist".to_owned());
    let mut status = status(vec![service("laptop", ServiceState::Ready), nas]);
    status.services.push(service("usb", ServiceState::Starting));
    status.processes.push(ProcessStatus {
        name: "driver-usb".to_owned(),
        pid: None,
        restarts: 5,
        last_exit: Some("exit status: 1: no".to_owned()),
    });
    let mut opening = Opening::default();
    assert_eq!(line(&mut opening, &status), None);
    tokio::time::advance(PATIENCE).await;
    let warnings = opening.warnings(&status);
    assert_eq!(
        warnings,
        [
            "warning: `nas` isn't connected: `/srv` doesn't exist",
            "warning: `usb` isn't connected: its driver ended (exit status: 1: no)",
        ]
    );
    assert_eq!(opening.warnings(&status), Vec::<String>::new(), "told once");
    assert!(line(&mut opening, &status).unwrap().contains(": laptop (state"));
}

#[tokio::test(start_paused = true)]
async fn without_any_connected_service_there_is_nothing_to_say() {
    let status = status(vec![service("nas", ServiceState::Unavailable)]);
    let mut opening = Opening::default();
    assert_eq!(line(&mut opening, &status), None);
    tokio::time::advance(PATIENCE * 2).await;
    assert_eq!(opening.warnings(&status).len(), 1);
    assert_eq!(line(&mut opening, &status), None);
}

#[test]
fn the_display_says_what_goes_on() {
    let mut laptop = service("laptop", ServiceState::Ready);
    laptop.transfers.push(TransferStatus {
        path: onitu_core::Path::new("a").unwrap(),
        from: "nas".to_owned(),
        done_bytes: 1,
        size_bytes: 2,
        bytes_per_s: 3 * 1024 * 1024,
        eta_s: None,
    });
    let mut status = status(vec![laptop, service("nas", ServiceState::Scanning)]);
    status.pending = 5;
    assert_eq!(
        progress(&status),
        "laptop 12 files · nas scanning, 34 seen · 5 pending · 1 transfer, 3.00 MiB/s"
    );
    assert!(is_busy(&status));
}
