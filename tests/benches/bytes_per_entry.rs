//! How many bytes of Redis' memory a file costs, and how fast records come and go.
//!
//! Writes a million realistic paths (`ONITU_BENCH_ENTRIES`, or the first number among the
//! arguments) into a redis-server of its own through `RedisStore`, in the order of a scan, held
//! by two services, then by five. Directories are entries too. Ends with 1 when the budget of
//! design §10 is exceeded.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::ensure;
use fastrand::Rng;
use onitu_core::store::{Cursor, RedisStore, Store};
use support::records::{BATCH, Records, record, write};
use support::redis::Server;
use tokio::time::Instant;

/// Look-ups that are timed.
const LOOKUPS: usize = 20_000;
/// With fewer entries the server's own megabyte decides, and the budget is not judged.
const ENTRIES_JUDGED_FROM: usize = 500_000;
/// Services, and the bytes an entry they may cost.
const BUDGETS: [(u16, f64); 2] = [(2, 100.0), (5, 130.0)];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<bool> {
    let count = wanted();
    let tree = Records::grow(count);
    let bytes: usize = tree.entries.iter().map(|(path, _)| path.as_str().len()).sum();
    println!(
        "{count} entries in {} directories, paths of {:.1} bytes in the mean",
        tree.directories,
        ratio(bytes, count)
    );
    let server = Server::start()?;
    let store = server.store().await?;
    store.set_up().await?;
    let mut kept = true;
    for (services, budget) in BUDGETS {
        let took = write(&store, &tree, services, services == BUDGETS[0].0).await?;
        println!("{services} services");
        println!("  commits of {BATCH}: {:.0} entries/s", count as f64 / took.as_secs_f64());
        look_up(&store, &tree, services).await?;
        iterate(&store, &tree).await?;
        // Only now: right after the commits the memory also holds what the disk still waits for.
        let per_entry = store.used_memory_bytes().await? as f64 / count as f64;
        let verdict = if count < ENTRIES_JUDGED_FROM {
            "too few entries to judge"
        } else if per_entry < budget {
            "within the budget"
        } else {
            kept = false;
            "OVER THE BUDGET"
        };
        println!("  {per_entry:.1} bytes/entry ({verdict}: < {budget})");
    }
    Ok(kept)
}

fn wanted() -> usize {
    let mut told = std::env::args().skip(1).chain(std::env::var("ONITU_BENCH_ENTRIES").ok());
    told.find_map(|text| text.parse().ok()).unwrap_or(1_000_000)
}

fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b.max(1) as f64
}

async fn look_up(store: &RedisStore, tree: &Records, services: u16) -> anyhow::Result<()> {
    let mut random = Rng::with_seed(7);
    let mut times = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        let at = random.usize(..tree.entries.len());
        let (path, kind) = &tree.entries[at];
        let since = Instant::now();
        let found = store.get(std::slice::from_ref(path)).await?;
        times.push(since.elapsed());
        ensure!(found == [Some(record(at, *kind, services))], "{path} is not what was written");
    }
    times.sort_unstable();
    let at = |hundredths: usize| times[(times.len() - 1) * hundredths / 100].as_micros();
    println!("  look-up of one path: p50 {} µs, p99 {} µs", at(50), at(99));
    Ok(())
}

async fn iterate(store: &RedisStore, tree: &Records) -> anyhow::Result<()> {
    let since = Instant::now();
    let mut seen = BTreeMap::new();
    let mut from = Some(Cursor::default());
    while let Some(cursor) = from {
        let (directories, next) = store.directories(&cursor).await?;
        let listed = store.list(&directories).await?;
        seen.extend(directories.into_iter().zip(listed.iter().map(BTreeMap::len)));
        from = next;
    }
    let (took, entries) = (since.elapsed(), seen.values().sum::<usize>());
    ensure!(entries == tree.entries.len(), "the iteration told {entries} entries");
    println!(
        "  iteration over everything: {:.2} s, {:.0} entries/s",
        took.as_secs_f64(),
        entries as f64 / took.as_secs_f64()
    );
    Ok(())
}
