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
