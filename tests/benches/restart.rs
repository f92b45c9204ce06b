//! How long a start takes when everything is known and little has changed.
//!
//! `ONITU_BENCH_FILES` (50,000) known files of 4 KiB in 100 directories; Onitu is stopped, ten of
//! them are changed, and it is started again with a warm cache: until the ten are on the other
//! side, and until `onitu wait` returns. Beside it `rsync -a --delete` of the same tree with the
//! same ten changes.

mod support;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use support::house::{House, cpu_between};
use support::place::Place;
use support::report::{Cell, Report};
use support::tree::{Tree, content, pause};
use support::{peer, wanted};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_mins(20);
const CHANGED: usize = 10;

fn main() -> ExitCode {
    support::main("restart", run)
}

fn run(report: &mut Report) -> anyhow::Result<()> {
    let files: usize = wanted("FILES", 50_000).max(CHANGED);
    let tree = Tree::new(files, files.min(100));
    report.columns(&["what", "s", "CPU s", "ratio to rsync"]);
    let place = Place::fresh(4, report)?;
    let mut house = House::build(place.directory("onitu")?)?;
    house.start()?;
    house.wait(LIMIT)?;
    let since = Instant::now();
    tree.write(&house.laptop())?;
    house.wait(LIMIT)?;
    report.note(format!("{files} files were in step after {:.1} s", since.elapsed().as_secs_f64()));
    let since = Instant::now();
    house.stop()?;
    let stopped = since.elapsed().as_secs_f64();
    change(tree, &house.laptop(), 0)?;
    place.flush()?;
    let since = Instant::now();
    house.start()?;
    while !shows(tree, &house.nas())? {
        ensure!(since.elapsed() < LIMIT, "the changes aren't there after {LIMIT:?}");
        pause(Duration::from_millis(5));
    }
    let there = since.elapsed().as_secs_f64();
    house.wait(LIMIT)?;
    let waited = since.elapsed().as_secs_f64();
    let (spent, cpu_s) = cpu_between(&[], &house.processes());
    let spent: Vec<String> = spent.iter().map(|(name, s)| format!("{name} {s:.2}")).collect();
    report.note(format!("onitu's CPU s: {}", spent.join(", ")));
    house.stop()?;
    // The trees are in step: what rsync finds is the ten changes and nothing else.
    change(tree, &house.laptop(), 1)?;
    let rsync = peer::rsync(&house.laptop(), &house.nas())?;
    let base = rsync.wall.as_secs_f64();
    for (what, s, cpu_s) in [
        ("onitu, the changes are there", there, None),
        ("onitu, `onitu wait` returns", waited, Some(cpu_s)),
        ("rsync -a --delete", base, Some(rsync.cpu_s)),
        ("onitu, stop", stopped, None),
    ] {
        let cells = [Cell::Number(s, 2), Cell::maybe(cpu_s, 2), Cell::Number(s / base, 2)];
        report.row(std::iter::once(what.into()).chain(cells).collect());
    }
    Ok(())
}

/// Writes new bytes, more of them each `round`, into ten files all over the tree.
fn change(tree: Tree, root: &Path, round: usize) -> anyhow::Result<()> {
    for at in changed(tree) {
        fs::write(root.join(tree.name(at)), content(at as u64, 5000 + round))?;
    }
    Ok(())
}

fn shows(tree: Tree, root: &Path) -> anyhow::Result<bool> {
    for at in changed(tree) {
        if fs::read(root.join(tree.name(at)))? != content(at as u64, 5000) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn changed(tree: Tree) -> impl Iterator<Item = usize> {
    (0..CHANGED).map(move |number| number * tree.files / CHANGED)
}
