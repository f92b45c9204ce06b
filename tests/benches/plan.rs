//! How long `onitu plan` takes over everything that is on record, and what it costs.
//!
//! Writes a million realistic records (`ONITU_BENCH_ENTRIES`) into a Redis of its own, on which a
//! running Onitu works, and asks for the plan of rules that move, restrict and copy. Beside it the
//! same records are only read, in this program: what remains is deciding and adding up.
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod support;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use onitu_core::store::{Cursor, RedisStore, Store};
use support::house::House;
use support::place::Place;
use support::records::{Records, write};
use support::redis::Server;
use support::report::{Cell, Report};
use support::wanted;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_mins(2);
const RULES: &str = "sync everything to laptop, nas\n\
    move \"**/archive*/**\" where older than 1 year to nas\n\
    move \"**/*.bin\" where size > 1 MB to nas\n\
    keep \"**/Invoices*/**\" only on laptop\n\
    never sync \"**/node*/**\"\n";

fn main() -> ExitCode {
    support::main("plan", |report| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(report))
    })
}

async fn run(report: &mut Report) -> anyhow::Result<()> {
    report.columns(&["what", "s", "records/s", "Core RSS MiB before", "after"]);
    let place = Place::plain()?;
    let server = Server::start()?;
    let store = server.store().await?;
    let lines = format!("redis = {:?}\n", server.url());
    let mut house = House::build_with(place.directory("onitu")?, &lines)?;
    house.start()?;
    house.wait(LIMIT)?;
    let records = Records::grow(wanted("ENTRIES", 1_000_000));
    write(&store, &records, 2, true).await?;
    let rules = place.path().join("rules");
    std::fs::write(&rules, RULES)?;
    let count = records.entries.len() as f64;
    let since = Instant::now();
    let read = iterate(&store).await?;
    ensure!(read >= records.entries.len(), "only {read} records were read");
    let bare_s = since.elapsed().as_secs_f64();
    let rate = |seconds: f64| Cell::Number(count / seconds, 0);
    let nothing = || Cell::Nothing;
    report.row(vec![
        "reading alone".into(),
        Cell::Number(bare_s, 2),
        rate(bare_s),
        nothing(),
        nothing(),
    ]);
    let file = rules.to_str().context("a strange temporary directory")?;
    let mut ids = Vec::new();
    for name in ["first plan", "second plan"] {
        let before = core_mib(&house);
        let since = Instant::now();
        let plan = house.ask("plan", &["--json", "--rules", file])?;
        let took_s = since.elapsed().as_secs_f64();
        let after = core_mib(&house);
        report.row(vec![
            name.into(),
            Cell::Number(took_s, 2),
            rate(took_s),
            Cell::Number(before, 1),
            Cell::Number(after, 1),
        ]);
        let plan: serde_json::Value = serde_json::from_str(&plan)?;
        ids.push(plan["id"].as_str().context("a plan has an id")?.to_owned());
        if ids.len() == 1 {
            let of = |what: &str| {
                plan["services"].as_array().map_or(0, |services| {
                    services.iter().filter_map(|it| it[what]["files"].as_u64()).sum::<u64>()
                })
            };
            report.note(format!("{} removals, {} copies", of("removed"), of("copied")));
        }
    }
    ensure!(ids[0] == ids[1], "the same plan has two ids: {ids:?}");
    Ok(())
}

/// Resident memory of the Core, in MiB.
fn core_mib(house: &House) -> f64 {
    let processes = house.processes();
    let core = processes.iter().find(|process| process.name == "onitu-core");
    core.map_or(0.0, |core| core.rss_kib as f64 / 1024.0)
}

async fn iterate(store: &RedisStore) -> anyhow::Result<usize> {
    let (mut read, mut from) = (0, Some(Cursor::default()));
    while let Some(cursor) = from {
        let (directories, next) = store.directories(&cursor).await?;
        read += store
            .list(&directories)
            .await?
            .iter()
            .map(std::collections::BTreeMap::len)
            .sum::<usize>();
        from = next;
    }
    Ok(read)
}
