//! One large file, from one folder to another.
//!
//! `ONITU_BENCH_MIB` (2,048). It is written beside the folders, then renamed into one: from that
//! moment until it stands under its name in the other, verified and durable. Beside it `cp -a`,
//! `rsync -a` (which verify nothing on the disk), each also with a flush at the end. The contents
//! are compared afterwards.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use fastrand::Rng;
use support::house::{House, cpu_between};
use support::peer::Took;
use support::place::Place;
use support::report::{Cell, Report};
use support::tree::pause;
use support::{peer, wanted};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_mins(10);
const MIB: usize = 1 << 20;
const NAME: &str = "large.bin";

fn main() -> ExitCode {
    support::main("large_file", run)
}

fn run(report: &mut Report) -> anyhow::Result<()> {
    let mib: u64 = wanted("MIB", 2048).max(1);
    report.columns(&["by", "s", "MB/s", "CPU s", "Onitu's rate / this"]);
    let place = Place::fresh(2 + mib.div_ceil(1024) * 3, report)?;
    let outside = place.path().join(NAME);
    write(&outside, mib)?;
    let mut all = Vec::new();
    for (name, run, flushes) in [
        ("cp -a", &peer::cp as &dyn Fn(&Path, &Path) -> anyhow::Result<Took>, false),
        ("cp -a, flushed", &peer::cp, true),
        ("rsync -a", &peer::rsync, false),
        ("rsync -a, flushed", &peer::rsync, true),
    ] {
        all.push((name, by_peer(&place, &outside, run, flushes)?));
    }
    let onitu = onitu(report, &place, &outside, mib)?;
    all.insert(0, ("onitu", onitu));
    for (name, took) in all {
        let wall = took.wall.as_secs_f64();
        report.row(vec![
            name.into(),
            Cell::Number(wall, 2),
            Cell::Number((mib << 20) as f64 / 1e6 / wall, 0),
            Cell::Number(took.cpu_s, 2),
            Cell::Number(wall / onitu.wall.as_secs_f64(), 2),
        ]);
    }
    Ok(())
}

fn onitu(report: &mut Report, place: &Place, outside: &Path, mib: u64) -> anyhow::Result<Took> {
    let mut house = House::build(place.directory("onitu")?)?;
    house.start()?;
    house.wait(LIMIT)?;
    place.flush()?;
    let before = house.processes();
    let since = Instant::now();
    fs::rename(outside, house.laptop().join(NAME))?;
    let there = house.nas().join(NAME);
    while fs::metadata(&there).map_or(0, |there| there.len()) < mib << 20 {
        ensure!(since.elapsed() < LIMIT, "`{}` isn't there after {LIMIT:?}", there.display());
        pause(Duration::from_millis(2));
    }
    let wall = since.elapsed();
    house.wait(LIMIT)?;
    let (spent, cpu_s) = cpu_between(&before, &house.processes());
    compare(&there, mib)?;
    let spent: Vec<String> = spent.iter().map(|(name, s)| format!("{name} {s:.2}")).collect();
    report.note(format!("onitu's CPU s: {}", spent.join(", ")));
    Ok(Took { wall, cpu_s })
}

fn by_peer(
    place: &Place,
    outside: &Path,
    run: &dyn Fn(&Path, &Path) -> anyhow::Result<Took>,
    flushes: bool,
) -> anyhow::Result<Took> {
    let (from, to) = (place.directory("from")?, place.directory("to")?);
    let inside = from.join(NAME);
    fs::rename(outside, &inside)?;
    place.flush()?;
    let since = Instant::now();
    // `cp -a from to` makes `to/from`; rsync puts what is in `from` into `to`.
    let mut took = run(&from, &to)?;
    if flushes {
        place.flush()?;
        took.wall = since.elapsed();
    }
    fs::rename(&inside, outside)?;
    fs::remove_dir_all(&to)?;
    place.flush()?;
    Ok(took)
}

fn write(path: &Path, mib: u64) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    let mut block = vec![0; MIB];
    for seed in 0..mib {
        Rng::with_seed(seed).fill(&mut block);
        file.write_all(&block)?;
    }
    Ok(file.sync_all()?)
}

fn compare(path: &Path, mib: u64) -> anyhow::Result<()> {
    let mut file = File::open(path)?;
    let (mut block, mut found) = (vec![0; MIB], vec![0; MIB]);
    for seed in 0..mib {
        Rng::with_seed(seed).fill(&mut block);
        file.read_exact(&mut found)?;
        ensure!(found == block, "`{}` differs in MiB {seed}", path.display());
    }
    ensure!(file.read(&mut found)? == 0, "`{}` is too long", path.display());
    Ok(())
}
