//! What processes cost, from `/proc`.

use std::fs;

/// The kernel counts in hundredths of a second for everybody outside of it.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process and what it has cost so far.
#[derive(Clone)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    /// CPU seconds of its life, all threads.
    pub cpu_s: f64,
    /// Resident memory, in KiB.
    pub rss_kib: u64,
    /// Its share of it: what it shares is divided among those who share it.
    pub pss_kib: u64,
}

/// `root` and everything it has started that still runs, in order of their numbers.
pub fn family(root: u32) -> Vec<Process> {
    let mut pids = vec![root];
    let everybody: Vec<(u32, u32)> =
        numbers().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut at = 0;
    while let Some(above) = pids.get(at).copied() {
        pids.extend(everybody.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| pid));
        at += 1;
    }
    pids.sort_unstable();
    pids.into_iter().filter_map(look).collect()
}

/// CPU seconds of all children of this process that have ended and were waited for.
pub fn children_cpu_s() -> f64 {
    let fields = stat("self").unwrap_or_default();
    ticks(&fields, 13) + ticks(&fields, 14)
}

fn numbers() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn look(pid: u32) -> Option<Process> {
    let fields = stat(&pid.to_string())?;
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let memory = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some(Process {
        pid,
        name: name(pid)?,
        cpu_s: ticks(&fields, 11) + ticks(&fields, 12),
        rss_kib: memory("Rss:").unwrap_or(0),
        pss_kib: memory("Pss:").unwrap_or(0),
    })
}

fn parent(pid: u32) -> Option<u32> {
    stat(&pid.to_string())?.get(1)?.parse().ok()
}

/// The fields of `/proc/PID/stat` after the name: state, parent, …
fn stat(pid: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything.
    let after = text.get(text.rfind(')')? + 1..)?;
    Some(after.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], at: usize) -> f64 {
    let ticks = fields.get(at).and_then(|text| text.parse::<f64>().ok());
    ticks.unwrap_or(0.0) / TICKS_PER_SECOND
}

/// The program's name; a driver's with its service.
fn name(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.split(['\0', ' ']).collect();
    let program = words.first()?.rsplit('/').next()?.to_owned();
    let service = words.iter().position(|word| *word == "--service");
    match service.and_then(|at| words.get(at + 1)) {
        Some(service) => Some(format!("{program} {service}")),
        None => Some(program),
    }
}
