//! Processes by their number, as the kernel tells of them.

use std::path::Path;

use rustix::process::{Pid, Signal};

use crate::Must;

/// Whether a process runs; one that ended and that nobody asked about doesn't.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Sends a signal; nothing happens if the process has ended.
pub fn signal_to(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).must("a process id");
    let _ = rustix::process::kill_process(pid, signal);
}

/// Processor time a process has used, in ticks of the kernel (a hundredth of a second).
pub fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    // `utime` and `stime` are the 14th and the 15th, and the state, the 3rd, comes first here.
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Bytes a process has written so far, to files for the most part.
pub fn written_bytes(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).must("what the process wrote");
    let count = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    count.and_then(|count| count.parse().ok()).must("a number of bytes")
}

/// The processes that `parent` started, with their names in the house; [`None`] for one that isn't
/// yet the program it will be.
pub(crate) fn children_of(parent: u32) -> Vec<(u32, Option<String>)> {
    let tasks = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(tasks).unwrap_or_default();
    let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter(|pid| runs(*pid)).map(|pid| (pid, name_of(pid))).collect()
}

/// `redis`, `core`, `referee` or `driver-NAME`, as the supervisor calls them.
fn name_of(pid: u32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    let arguments: Vec<&str> = line.split('\0').collect();
    // A server that has set its title shows it all in one.
    let program = arguments.first()?.split(' ').next()?.rsplit('/').next()?;
    match program {
        "redis-server" => Some("redis".to_owned()),
        "onitu-core" => Some("core".to_owned()),
        "onitu-referee" => Some("referee".to_owned()),
        "onitu" => None,
        // A driver's program, or the interpreter that runs it.
        _ => {
            let at = arguments.iter().position(|it| *it == "--service")?;
            Some(format!("driver-{}", arguments.get(at + 1)?))
        }
    }
}

/// Every running process that was started with `directory` in its arguments or environment.
pub(crate) fn started_in(directory: &Path) -> Vec<u32> {
    let wanted = directory.as_os_str().as_encoded_bytes();
    let mentions = |pid: u32, file: &str| {
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(wanted.len()).any(|part| part == wanted)
    };
    let pids = std::fs::read_dir("/proc").must("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| mentions(*pid, "cmdline") || mentions(*pid, "environ"))
        .filter(|pid| runs(*pid))
        .collect()
}
