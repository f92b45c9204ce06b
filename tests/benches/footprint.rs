//! What a running Onitu costs while nothing happens: memory and CPU of each process, with few
//! files and with many.
//!
//! `ONITU_BENCH_FILES` (10,000), idle for `ONITU_BENCH_SECONDS` (60) each time. The peer of the
//! research had 61–100 MiB and no CPU at all at 50,000 files.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod support;

use std::process::ExitCode;
use std::time::Duration;

use support::house::{House, cpu_between};
use support::place::Place;
use support::report::{Cell, Report};
use support::tree::{Tree, pause};
use support::wanted;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_mins(10);
const FEW: usize = 10;

fn main() -> ExitCode {
    support::main("footprint", run)
}

fn run(report: &mut Report) -> anyhow::Result<()> {
    let many: usize = wanted("FILES", 10_000).max(FEW);
    let seconds: u64 = wanted("SECONDS", 60).max(1);
    report.columns(&["process", "files", "RSS MiB", "PSS MiB", "CPU s idle", "CPU % idle"]);
    report.note(format!("idle for {seconds} s each"));
    for files in [FEW, many] {
        let place = Place::fresh(4, report)?;
        let mut house = House::build(place.directory("onitu")?)?;
        house.start()?;
        let tree = Tree::new(files, files.min(100));
        house.wait(LIMIT)?;
        tree.write(&house.laptop())?;
        house.wait(LIMIT)?;
        tree.compare(&house.nas())?;
        idle(report, &house, files, Duration::from_secs(seconds));
    }
    Ok(())
}

fn idle(report: &mut Report, house: &House, files: usize, time: Duration) {
    let (before, since) = (house.processes(), Instant::now());
    while since.elapsed() < time {
        pause(time.saturating_sub(since.elapsed()));
    }
    let after = house.processes();
    let (spent, sum) = cpu_between(&before, &after);
    let mib = |kib: u64| kib as f64 / 1024.0;
    let mut add = |name: &str, rss: u64, pss: u64, cpu_s: f64| {
        report.row(vec![
            name.into(),
            Cell::Number(files as f64, 0),
            Cell::Number(mib(rss), 1),
            Cell::Number(mib(pss), 1),
            Cell::Number(cpu_s, 2),
            Cell::Number(cpu_s * 100.0 / time.as_secs_f64(), 3),
        ]);
    };
    for (process, (name, cpu_s)) in after.iter().zip(spent) {
        add(&name, process.rss_kib, process.pss_kib, cpu_s);
    }
    let rss = after.iter().map(|process| process.rss_kib).sum();
    let pss = after.iter().map(|process| process.pss_kib).sum();
    add("all", rss, pss, sum);
}
