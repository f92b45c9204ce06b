//! A million realistic records, the same on every run, and how they come into a store.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use fastrand::Rng;
use onitu_core::store::{Commit, RedisStore, Store};
use onitu_core::{Checksum, Content, Kind, Path, Record, ServiceId, Shard, Tag};
use tokio::time::Instant;

/// Records in one call of `commit`, about what a busy Referee gathers.
pub const BATCH: usize = 512;

/// Paths in the order of a scan, directory by directory, each with its own seed.
pub struct Records {
    pub entries: Vec<(Path, Kind)>,
    pub directories: usize,
}

impl Records {
    /// About 95 directories among 1,000 entries, most of them small, some with thousands of files.
    pub fn grow(count: usize) -> Self {
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
pub fn record(at: usize, kind: Kind, services: u16) -> Record {
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

/// Commits the records, held by `services`; how long the store took. Those that are new are counted.
pub async fn write(
    store: &RedisStore,
    tree: &Records,
    services: u16,
    are_new: bool,
) -> anyhow::Result<Duration> {
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
            commit.counts.entries += i64::from(are_new);
        }
        let since = Instant::now();
        store.commit(commits.into_iter().collect()).await?;
        took += since.elapsed();
    }
    let entries = store.counts().await?.entries;
    ensure!(entries == tree.entries.len() as u64, "{entries} entries are counted");
    Ok(took)
}
