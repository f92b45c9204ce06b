//! Many small files at once, from one folder to another.
//!
//! `ONITU_BENCH_FILES` (10,000) of 4 KiB in 100 directories. For Onitu the clock runs from the
//! first write into one folder until all are under their names in the other, so it has the
//! writing in it; for `cp -a` and `rsync -a`, of the same tree, from their start to their end, and
//! once more with a flush at the end, because Onitu's files are durable before they have their
//! names. Each contender has a fresh file system; every byte is compared afterwards.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod support;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use support::house::{House, cpu_between};
use support::peer::Took;
use support::place::Place;
use support::report::{Cell, Report};
use support::tree::Tree;
use support::{peer, wanted};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_mins(10);
const GIGABYTES: u64 = 4;

fn main() -> ExitCode {
    support::main("small_files", run)
}

fn run(report: &mut Report) -> anyhow::Result<()> {
    let files: usize = wanted("FILES", 10_000).max(1);
    let tree = Tree::new(files, files.min(100));
    report.columns(&["by", "s", "files/s", "CPU s", "CPU ms/file", "Onitu's rate / this"]);
    let onitu = onitu(report, tree)?;
    let mut peers = Vec::new();
    let cp = |from: &Path, to: &Path| peer::cp(&from.join("."), to);
    for (name, run, flushes) in [
        ("cp -a", &cp as &dyn Fn(&Path, &Path) -> anyhow::Result<Took>, false),
        ("cp -a, flushed", &cp, true),
        ("rsync -a", &peer::rsync, false),
        ("rsync -a, flushed", &peer::rsync, true),
    ] {
        peers.push((name, by_peer(report, tree, run, flushes)?));
    }
    for (name, took) in std::iter::once(("onitu", onitu)).chain(peers) {
        let wall = took.wall.as_secs_f64();
        report.row(vec![
            name.into(),
            Cell::Number(wall, 3),
            Cell::Number(files as f64 / wall, 0),
            Cell::Number(took.cpu_s, 2),
            Cell::Number(took.cpu_s * 1000.0 / files as f64, 3),
            Cell::Number(wall / onitu.wall.as_secs_f64(), 2),
        ]);
    }
    Ok(())
}

fn onitu(report: &mut Report, tree: Tree) -> anyhow::Result<Took> {
    let place = Place::fresh(GIGABYTES, report)?;
    let mut house = House::build(place.directory("onitu")?)?;
    house.start()?;
    house.wait(LIMIT)?;
    place.flush()?;
    let before = house.processes();
    let since = Instant::now();
    tree.write(&house.laptop())?;
    let written = since.elapsed();
    tree.wait_at(&house.nas(), LIMIT)?;
    let wall = since.elapsed();
    house.wait(LIMIT)?;
    let settled = since.elapsed();
    let (spent, cpu_s) = cpu_between(&before, &house.processes());
    tree.compare(&house.nas())?;
    tree.compare(&house.laptop())?;
    let spent: Vec<String> = spent.iter().map(|(name, s)| format!("{name} {s:.2}")).collect();
    report.note(format!(
        "onitu: written after {:.3} s, all there after {:.3} s, `onitu wait` returned after {:.3} s",
        written.as_secs_f64(),
        wall.as_secs_f64(),
        settled.as_secs_f64()
    ));
    report.note(format!("onitu's CPU s until then: {}", spent.join(", ")));
    Ok(Took { wall, cpu_s })
}

fn by_peer(
    report: &mut Report,
    tree: Tree,
    run: &dyn Fn(&Path, &Path) -> anyhow::Result<Took>,
    flushes: bool,
) -> anyhow::Result<Took> {
    let place = Place::fresh(GIGABYTES, report)?;
    let (from, to) = (place.directory("from")?, place.directory("to")?);
    tree.write(&from)?;
    place.flush()?;
    let since = Instant::now();
    let mut took = run(&from, &to)?;
    if flushes {
        place.flush()?;
        took.wall = since.elapsed();
    }
    tree.compare(&to)?;
    Ok(took)
}
