use onitu_core::Path;
use onitu_core::status::{Problem, RedisStatus, ServiceState};

use super::*;

fn service(name: &str, state: ServiceState, reason: Option<&str>) -> ServiceStatus {
    ServiceStatus {
        name: name.to_owned(),
        driver: "local".to_owned(),
        state,
        reason: reason.map(str::to_owned),
        files: 1_204,
        used_bytes: 0,
        quota_bytes: None,
        pending: 0,
        unable: 0,
        pid: Some(7),
        scanned: 310,
        problems: Vec::new(),
        problems_total: 0,
        transfers: Vec::new(),
        held: None,
        verify: None,
    }
}

fn quiet() -> Status {
    Status {
        entries: 1_204,
        redis: RedisStatus { used_memory_bytes: 1_300_000 },
        services: vec![
            service("laptop", ServiceState::Ready, None),
            service("nas", ServiceState::Ready, Some("polling: too few watches")),
        ],
        ..Status::default()
    }
}

fn busy() -> Status {
    let mut laptop = service("laptop", ServiceState::Scanning, None);
    laptop.problems = (1..=6)
        .map(|n| Problem { path: format!("locked/{n}"), message: "permission denied".into() })
        .collect();
    laptop.problems_total = 4_000;
    let mut nas = service("nas", ServiceState::Ready, None);
    nas.pending = 12;
    nas.transfers = vec![
        transfer("Films/long.mkv", 1 << 30, 2 << 30, 150 << 20, Some(75)),
        transfer("évil\nname", 0, 0, 0, None),
    ];
    let exit = "killed by signal 9; last line: out of memory";
    let process = |name: &str, pid, restarts, last_exit: Option<&str>| ProcessStatus {
        name: name.to_owned(),
        pid,
        restarts,
        last_exit: last_exit.map(str::to_owned),
    };
    Status {
        entries: 1_000_000,
        conflicts: 1,
        pending: 12,
        redis: RedisStatus { used_memory_bytes: 93_000_000 },
        services: vec![
            laptop,
            nas,
            service("usb", ServiceState::Unavailable, Some("`/media/usb` is gone")),
        ],
        processes: vec![
            process("redis", Some(1), 0, None),
            process("referee", None, 2, Some(exit)),
            process("driver-usb", None, 9, Some(exit)),
        ],
        problems: Vec::new(),
    }
}

fn transfer(
    path: &str,
    done_bytes: u64,
    size_bytes: u64,
    bytes_per_s: u64,
    eta_s: Option<u64>,
) -> TransferStatus {
    let path = Path::new(path).expect("legal");
    TransferStatus { path, from: "laptop".into(), done_bytes, size_bytes, bytes_per_s, eta_s }
}

#[test]
fn a_quiet_instance() {
    insta::assert_snapshot!(render(&quiet(), Paint::Plain), @r"
    SERVICE  DRIVER  STATE  FILES  PENDING  REASON
    laptop   local   ready  1,204        0
    nas      local   ready  1,204        0  polling: too few watches

    1,204 paths, nothing pending, no conflicts, metadata 1.2 MiB
    ");
}

#[test]
fn a_busy_one_with_every_kind_of_trouble() {
    insta::assert_snapshot!(render(&busy(), Paint::Plain), @r"
    SERVICE  DRIVER  STATE        FILES  PENDING  REASON
    laptop   local   scanning     1,204        0  310 paths so far
    nas      local   ready        1,204       12
    usb      local   unavailable  1,204        0  `/media/usb` is gone

    1,000,000 paths, 12 changes pending, 1 conflict (see `onitu conflicts`), metadata 88.6 MiB

    TRANSFERS
    Films/long.mkv  laptop → nas  50 %  of 2.0 GiB  150.0 MiB/s  1 min 15 s left
    évil\nname      laptop → nas   0 %      of 0 B        0 B/s

    PROBLEMS
    laptop: locked/1: permission denied
    laptop: locked/2: permission denied
    laptop: locked/3: permission denied
    laptop: locked/4: permission denied
    laptop: locked/5: permission denied
    laptop: 3,995 more

    PROCESSES
    referee: not running, restarted 2 times; last ended: killed by signal 9; last line: out of memory
    ");
}

#[test]
fn an_instance_without_services() {
    insta::assert_snapshot!(render(&Status::default(), Paint::Plain), @r"
    no services are configured

    0 paths, nothing pending, no conflicts, metadata 0 B
    ");
}

#[test]
fn colours_change_nothing_but_colour() {
    let colored = render(&busy(), Paint::Colored);
    assert!(colored.contains("\x1b[31munavailable\x1b[0m"));
    let mut stripped = colored;
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(stripped, render(&busy(), Paint::Plain));
}

#[test]
fn what_a_service_can_not_keep_is_counted_below_the_table() {
    let mut status = quiet();
    status.services[0].unable = 1;
    status.services[1].unable = 1_204;
    let told = render(&status, Paint::Plain);
    let lines = "CAN'T BE KEPT\n\
                 laptop: 1 path (`onitu explain PATH` says why)\n\
                 nas: 1,204 paths (`onitu explain PATH` says why)\n";
    assert!(told.contains(lines), "{told}");
    assert!(!render(&quiet(), Paint::Plain).contains("KEPT"));
}
