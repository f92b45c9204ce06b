//! How many bytes of Redis' memory a file costs, and how fast records come and go.
//!
//! Writes a million realistic paths (`ONITU_BENCH_ENTRIES`, or the first number among the
//! arguments) into a redis-server of its own through `RedisStore`, in the order of a scan, held
//! by two services, then by five. Directories are entries too. Ends with 1 when the budget of
//! design §10 is exceeded.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use fastrand::Rng;
use onitu_core::store::{Commit, Cursor, RedisStore, Store};
use onitu_core::{Checksum, Content, Kind, Path, Record, ServiceId, Shard, Tag};
use tempfile::TempDir;
use tokio::time::Instant;

/// Records in one call of `commit`, about what a busy Referee gathers.
const BATCH: usize = 512;
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
    let tree = Tree::grow(count);
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
        let took = write(&store, &tree, services).await?;
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

/// Paths in the order of a scan, directory by directory, each with its own seed.
struct Tree {
    entries: Vec<(Path, Kind)>,
    directories: usize,
}

impl Tree {
    /// About 95 directories among 1,000 entries, most of them small, some with thousands of files.
    fn grow(count: usize) -> Self {
        let mut random = Rng::with_seed(1906);
        let mut directories: Vec<(String, Vec<(Path, Kind)>)> = vec![(String::new(), Vec::new())];
        let target = (count * 95 / 1000).max(1);
        while directories.len() <= target {
            let parent = random.usize(..directories.len());
            let number = directories.len();
            let (text, children) = &mut directories[parent];
            if text.matches('/').count() > 4 {
                continue;
            }
            let path = join(text, &format!("{}{}", word(&mut random), number % 97));
            if children.iter().any(|(child, _)| *child == path) {
                continue;
            }
            children.push((path.clone(), Kind::Directory));
            directories.push((path.to_string(), Vec::new()));
        }
        let mut left = count - (directories.len() - 1);
        while left > 0 {
            let at = random.usize(..directories.len());
            let (text, children) = &mut directories[at];
            let burst = match random.u32(..1000) {
                0..700 => random.usize(1..6),
                700..990 => random.usize(6..30),
                990..999 => random.usize(100..400),
                _ => random.usize(1_000..4_000),
            };
            for _ in 0..burst.min(left) {
                let path = join(text, &file_name(&mut random, children.len()));
                children.push((path, Kind::File));
            }
            left -= burst.min(left);
        }
        let entries = directories.into_iter().flat_map(|(_, children)| children).collect();
        Self { entries, directories: target }
    }
}

fn join(directory: &str, name: &str) -> Path {
    let text = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
    Path::new(&text).unwrap_or_else(|error| unreachable!("generated names are legal: {error}"))
}

fn word(random: &mut Rng) -> &'static str {
    const WORDS: [&str; 16] = [
        "photos",
        "projects",
        "2019-summer",
        "src",
        "documents",
        "archive",
        "node",
        "include",
        "Invoices",
        "music",
        "lib",
        "test",
        "assets",
        "Träume",
        "backup",
        "work in progress",
    ];
    WORDS[random.usize(..WORDS.len())]
}

/// About 20 bytes, unique by `number` in its directory.
fn file_name(random: &mut Rng, number: usize) -> String {
    match random.u32(..4) {
        0 => format!("IMG_20{:02}{:04}_{number:04}.jpg", random.u32(10..27), random.u32(..1232)),
        1 => format!("{}-{}-{number}.txt", word(random), word(random)),
        2 => format!("{}_{number}.rs", word(random)),
        _ => format!("{:012x}{number}.bin", random.u64(..1 << 48)),
    }
}

/// What is known of the entry number `at` when `services` hold it; always the same.
fn record(at: usize, kind: Kind, services: u16) -> Record {
    let mut random = Rng::with_seed(at as u64);
    let mut content = Content::DIRECTORY;
    if kind == Kind::File {
        let mut checksum = Checksum([0; 20]);
        let magnitude = random.u32(1..30);
        random.fill(&mut checksum.0);
        content = Content {
            kind,
            size: random.u64(..1 << magnitude),
            mtime_ns: random.i64(1_200_000_000_000_000_000..1_800_000_000_000_000_000),
            executable: random.u32(..20) == 0,
            checksum: Some(checksum),
            media: None,
        };
    }
    let revision = if random.u32(..5) == 0 { random.u64(2..400) } else { 1 };
    let mut record = Record {
        revision,
        gone: false,
        content,
        holders: Vec::new(),
        moved: None,
        ancestors: Vec::new(),
        origin: Some(ServiceId(1)),
        leaving: Vec::new(),
    };
    for service in 1..=services {
        let mut tag = Tag([0; 6]);
        random.fill(&mut tag.0);
        record.set_holder(ServiceId(service), revision, tag);
    }
    record
}

async fn write(store: &RedisStore, tree: &Tree, services: u16) -> anyhow::Result<Duration> {
    let mut took = Duration::ZERO;
    let mut sequence = 0;
    for (batch, entries) in tree.entries.chunks(BATCH).enumerate() {
        let mut commits: BTreeMap<Shard, Commit> = BTreeMap::new();
        for (at, (path, kind)) in entries.iter().enumerate() {
            sequence += 1;
            let commit = commits.entry(Shard::of(path)).or_default();
            let record = record(batch * BATCH + at, *kind, services);
            commit.records.insert(path.clone(), Some(record));
            commit.streams.insert(ServiceId(1), (1, sequence));
            commit.counts.entries += i64::from(services == BUDGETS[0].0);
        }
        let since = Instant::now();
        store.commit(commits.into_iter().collect()).await?;
        took += since.elapsed();
    }
    let entries = store.counts().await?.entries;
    ensure!(entries == tree.entries.len() as u64, "{entries} entries are counted");
    Ok(took)
}

async fn look_up(store: &RedisStore, tree: &Tree, services: u16) -> anyhow::Result<()> {
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

async fn iterate(store: &RedisStore, tree: &Tree) -> anyhow::Result<()> {
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

/// A redis-server on a unix socket in a temporary directory; ends with its guard.
struct Server {
    child: Child,
    directory: TempDir,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "yes"])
            .args(["--daemonize", "no", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server can't be started (`apt install redis-server`)")?;
        Ok(Self { child, directory })
    }

    async fn store(&self) -> anyhow::Result<RedisStore> {
        let url = format!("redis+unix://{}/socket", self.directory.path().display());
        let since = Instant::now();
        loop {
            match RedisStore::connect(&url).await {
                Ok(store) => return Ok(store),
                Err(error) if since.elapsed() > Duration::from_secs(20) => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("redis-server {} may still run: {error}", self.child.id());
        }
    }
}
