//! Reading records while somebody else may be splitting their directory.
//!
//! A directory is read as if it weren't split, then its layout is read, in the same round trip;
//! only where that tells more buckets does another round follow. It is enough to look at the
//! layout *afterwards*: growing moves names only into buckets that are new, so what was not found
//! where it should be, under a layout that is the same afterwards, is not there.

use std::collections::BTreeMap;

use redis::{Pipeline, Value};

use super::buckets::Layout;
use super::link::Link;
use super::{keys, value};
use crate::store::StoreError;
use crate::{Path, Record, Shard};

/// Most buckets listed in one round trip, which bounds the answer to some megabytes.
const BUCKETS_IN_FLIGHT_MAX: u32 = 1024;
/// A directory that was split or joined so often while being read changes too much to be read.
const ROUNDS_MAX: usize = 64;

/// The records of `paths`, in their order.
pub async fn get(link: &Link, paths: &[Path]) -> Result<Vec<Option<Record>>, StoreError> {
    let mut found: Vec<Option<Record>> = vec![None; paths.len()];
    let mut open: BTreeMap<&str, Missing> = BTreeMap::new();
    for (at, path) in paths.iter().enumerate() {
        open.entry(path.parent_str()).or_default().paths.push(at);
    }
    for _ in 0..ROUNDS_MAX {
        if open.is_empty() {
            return Ok(found);
        }
        let mut pipe = Pipeline::new();
        for (directory, missing) in &mut open {
            missing.ask(&mut pipe, directory, paths);
        }
        let directories: Vec<&str> = open.keys().copied().collect();
        let (values, layouts) = run_with_layouts(link, pipe, &directories).await?;
        let mut values = values.into_iter();
        for (directory, missing) in &mut open {
            missing.take(&mut values, directory, paths, &mut found)?;
        }
        open.retain(|directory, missing| {
            let now = layouts.get(directory).copied().unwrap_or(Layout::ONE);
            missing.paths.retain(|at| found[*at].is_none());
            let certain = missing.layout == now || missing.paths.is_empty();
            missing.layout = now;
            !certain
        });
    }
    Err(restless())
}

/// What is still to be found in a directory.
struct Missing {
    layout: Layout,
    /// Indices.
    paths: Vec<usize>,
    /// The same, as they were asked for.
    asked: Vec<(String, Vec<usize>)>,
}

impl Default for Missing {
    fn default() -> Self {
        Self { layout: Layout::ONE, paths: Vec::new(), asked: Vec::new() }
    }
}

impl Missing {
    fn ask(&mut self, pipe: &mut Pipeline, directory: &str, paths: &[Path]) {
        let shard = Shard::of_directory(directory);
        let mut buckets: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for at in &self.paths {
            buckets.entry(self.layout.bucket(paths[*at].name())).or_default().push(*at);
        }
        self.asked.clear();
        for (bucket, indices) in buckets {
            let key = keys::records(shard, directory, bucket);
            pipe.cmd("HMGET").arg(&key);
            for at in &indices {
                pipe.arg(paths[*at].name());
            }
            self.asked.push((key, indices));
        }
    }

    fn take(
        &mut self,
        values: &mut impl Iterator<Item = Value>,
        directory: &str,
        paths: &[Path],
        found: &mut [Option<Record>],
    ) -> Result<(), StoreError> {
        for (key, indices) in self.asked.drain(..) {
            let packed: Vec<Option<Vec<u8>>> = value::read(value::next(values)?, &key)?;
            for (at, packed) in indices.iter().zip(packed) {
                let name = || format!("{directory}/{}", paths[*at].name());
                found[*at] = packed.map(|packed| value::record(&packed, &name())).transpose()?;
            }
        }
        Ok(())
    }
}

/// The records directly inside each directory, by name. One that is not split is read at one
/// moment; a split one bucket by bucket, each name once at least if it is there all the time.
pub async fn list(
    link: &Link,
    directories: &[Path],
) -> Result<Vec<BTreeMap<String, Record>>, StoreError> {
    let mut listings: Vec<Listing> = directories.iter().map(Listing::new).collect();
    let mut restarts = 0;
    while listings.iter().any(|listing| !listing.is_done()) {
        let mut pipe = Pipeline::new();
        let mut budget = BUCKETS_IN_FLIGHT_MAX;
        let mut asked = Vec::new();
        for listing in listings.iter_mut().filter(|listing| !listing.is_done()) {
            if budget == 0 {
                break;
            }
            budget -= listing.ask(&mut pipe, budget);
            asked.push(listing);
        }
        let names: Vec<&str> = asked.iter().map(|listing| listing.directory.as_str()).collect();
        let (values, layouts) = run_with_layouts(link, pipe, &names).await?;
        let mut values = values.into_iter();
        for listing in asked {
            let now = layouts.get(listing.directory.as_str()).copied().unwrap_or(Layout::ONE);
            restarts += usize::from(listing.take(&mut values, now)?);
        }
        if restarts > ROUNDS_MAX {
            return Err(restless());
        }
    }
    Ok(listings.into_iter().map(|listing| listing.records).collect())
}

/// How far a directory was listed.
struct Listing<'a> {
    directory: &'a Path,
    layout: Layout,
    /// Buckets below this number were read.
    read: u32,
    asked: u32,
    records: BTreeMap<String, Record>,
}

impl<'a> Listing<'a> {
    fn new(directory: &'a Path) -> Self {
        Self { directory, layout: Layout::ONE, read: 0, asked: 0, records: BTreeMap::new() }
    }

    fn is_done(&self) -> bool {
        self.read == self.layout.buckets()
    }

    fn key(&self, bucket: u32) -> String {
        let directory = self.directory.as_str();
        keys::records(Shard::of_directory(directory), directory, bucket)
    }

    /// Asks for at most `budget` buckets and answers for how many.
    fn ask(&mut self, pipe: &mut Pipeline, budget: u32) -> u32 {
        self.asked = budget.min(self.layout.buckets() - self.read);
        for bucket in self.read..self.read + self.asked {
            pipe.cmd("HGETALL").arg(self.key(bucket));
        }
        self.asked
    }

    /// Takes the answers, and the layout as it was afterwards. A directory that shrank meanwhile
    /// may have moved names behind us: then it answers true and begins anew.
    fn take(
        &mut self,
        values: &mut impl Iterator<Item = Value>,
        now: Layout,
    ) -> Result<bool, StoreError> {
        for bucket in self.read..self.read + self.asked {
            let mut records = value::records(value::next(values)?, &self.key(bucket))?;
            self.records.append(&mut records);
        }
        self.read += self.asked;
        let shrank = now < self.layout;
        self.layout = now;
        if shrank {
            self.read = 0;
            self.records.clear();
        }
        Ok(shrank)
    }
}

/// Runs `pipe`, then reads the layouts of `directories` in the same round trip; those that are
/// split are answered.
async fn run_with_layouts<'a>(
    link: &Link,
    mut pipe: Pipeline,
    directories: &[&'a str],
) -> Result<(Vec<Value>, BTreeMap<&'a str, Layout>), StoreError> {
    let own = pipe.len();
    let by_shard = ask_layouts(&mut pipe, directories);
    let mut values = link.run(&pipe).await?;
    let layouts = values.split_off(own.min(values.len()));
    let layouts = take_layouts(&mut layouts.into_iter(), &by_shard)?;
    let layouts = layouts.into_iter().map(|(directory, (layout, _))| (directory, layout));
    Ok((values, layouts.collect()))
}

/// Asks for the layouts of `directories`, one command a shard.
pub fn ask_layouts<'a>(
    pipe: &mut Pipeline,
    directories: &[&'a str],
) -> BTreeMap<Shard, Vec<&'a str>> {
    let mut by_shard: BTreeMap<Shard, Vec<&str>> = BTreeMap::new();
    for directory in directories {
        by_shard.entry(Shard::of_directory(directory)).or_default().push(directory);
    }
    for (shard, directories) in &by_shard {
        pipe.cmd("HMGET").arg(keys::layouts(*shard)).arg(directories);
    }
    by_shard
}

/// The layouts that were asked for and the number of names, of those directories that are split.
pub fn take_layouts<'a>(
    values: &mut impl Iterator<Item = Value>,
    by_shard: &BTreeMap<Shard, Vec<&'a str>>,
) -> Result<BTreeMap<&'a str, (Layout, u64)>, StoreError> {
    let mut layouts = BTreeMap::new();
    for (shard, directories) in by_shard {
        let key = keys::layouts(*shard);
        let told: Vec<Option<Vec<u8>>> = value::read(value::next(values)?, &key)?;
        for (directory, told) in directories.iter().zip(told) {
            if let Some(layout) = value::layout(told, &key)? {
                layouts.insert(*directory, layout);
            }
        }
    }
    Ok(layouts)
}

fn restless() -> StoreError {
    StoreError::Unavailable("a directory changes too fast to be read".to_owned())
}
