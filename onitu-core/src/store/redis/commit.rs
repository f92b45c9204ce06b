//! Writing: one `MULTI`/`EXEC` a commit, in which a directory that grew too large is also split.
//!
//! What a transaction depends on is read before it. That is safe because one process writes a
//! shard: nobody else changes a record, a layout or a count in between.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use redis::Pipeline;
use serde::Serialize;

use super::buckets::Layout;
use super::link::Link;
use super::read::{ask_layouts, take_layouts};
use super::{keys, value};
use crate::store::{Commit, StoreError};
use crate::{Record, Shard, clock};

/// Carries out `commits` in order; those of different shards that follow each other travel
/// together. After an error any number of them, from the first on, may have taken effect; the
/// later ones of other shards too, if it was the server that refused one.
pub async fn commit(link: &Link, commits: Vec<(Shard, Commit)>) -> Result<(), StoreError> {
    let mut waiting = merge_neighbours(commits);
    while !waiting.is_empty() {
        let wave = next_wave(&mut waiting);
        let mut directories = Vec::new();
        for (shard, commit) in &wave {
            directories.extend(changes(*shard, commit));
        }
        read_layouts(link, &mut directories).await?;
        read_names(link, &mut directories).await?;
        read_moving(link, &mut directories).await?;
        let mut pipe = Pipeline::new();
        for (shard, commit) in &wave {
            pipe.cmd("MULTI");
            for directory in directories.iter().filter(|directory| directory.shard == *shard) {
                directory.write(&mut pipe);
            }
            write_work(&mut pipe, *shard, commit)?;
            write_sums(&mut pipe, *shard, commit);
            pipe.cmd("EXEC");
        }
        link.run(&pipe).await?;
    }
    Ok(())
}

/// Commits of one shard that follow each other become one: still all or nothing, each of them.
fn merge_neighbours(commits: Vec<(Shard, Commit)>) -> VecDeque<(Shard, Commit)> {
    let mut merged: VecDeque<(Shard, Commit)> = VecDeque::new();
    for (shard, commit) in commits {
        match merged.back_mut() {
            Some((last, before)) if *last == shard => {
                before.records.extend(commit.records);
                before.pending.extend(commit.pending);
                before.unable.extend(commit.unable);
                before.problems.extend(commit.problems);
                before.conflicts.extend(commit.conflicts);
                before.streams.extend(commit.streams);
                before.counts.entries += commit.counts.entries;
                for (service, change) in commit.counts.held {
                    *before.counts.held.entry(service).or_default() += change;
                }
                for (service, change) in commit.counts.bytes {
                    *before.counts.bytes.entry(service).or_default() += change;
                }
            }
            _ => merged.push_back((shard, commit)),
        }
    }
    merged
}

/// The next commits of which no two have the same shard. Then no two have a directory in common,
/// and a later one of a shard is sent only when the one before it is known to have succeeded.
fn next_wave(waiting: &mut VecDeque<(Shard, Commit)>) -> Vec<(Shard, Commit)> {
    let mut shards = BTreeSet::new();
    let mut wave = Vec::new();
    while let Some((shard, commit)) = waiting.pop_front() {
        if !shards.insert(shard) {
            waiting.push_front((shard, commit));
            break;
        }
        wave.push((shard, commit));
    }
    wave
}

/// What a commit changes in one directory.
struct Directory<'a> {
    shard: Shard,
    path: &'a str,
    /// By name; nothing where the name goes.
    names: BTreeMap<&'a str, Option<Vec<u8>>>,
    /// As it is.
    layout: Layout,
    /// How many names it has.
    count: u64,
    /// Which of `names` it has; empty where the layout stays whatever they are.
    present: BTreeSet<&'a str>,
    /// The layout and count it will have.
    next: (Layout, u64),
    /// All names of the buckets that change with the layout.
    moving: BTreeMap<String, Vec<u8>>,
}

fn changes(shard: Shard, commit: &Commit) -> Vec<Directory<'_>> {
    let mut directories: BTreeMap<&str, BTreeMap<&str, Option<Vec<u8>>>> = BTreeMap::new();
    for (path, record) in &commit.records {
        assert!(
            Shard::of(path) == shard && !path.is_root(),
            "{path} does not belong to the shard of its commit"
        );
        let names = directories.entry(path.parent_str()).or_default();
        names.insert(path.name(), record.as_ref().map(Record::pack));
    }
    let directory = |(path, names)| Directory {
        shard,
        path,
        names,
        layout: Layout::ONE,
        count: 0,
        present: BTreeSet::new(),
        next: (Layout::ONE, 0),
        moving: BTreeMap::new(),
    };
    directories.into_iter().map(directory).collect()
}

/// Reads how the directories are now: one round trip.
async fn read_layouts(link: &Link, directories: &mut [Directory<'_>]) -> Result<(), StoreError> {
    if directories.is_empty() {
        return Ok(());
    }
    let mut pipe = Pipeline::new();
    for directory in directories.iter() {
        pipe.cmd("HLEN").arg(directory.key(0));
    }
    let paths: Vec<&str> = directories.iter().map(|directory| directory.path).collect();
    let by_shard = ask_layouts(&mut pipe, &paths);
    let mut values = link.run(&pipe).await?.into_iter();
    for directory in directories.iter_mut() {
        directory.count = value::read(value::next(&mut values)?, &directory.key(0))?;
    }
    let layouts = take_layouts(&mut values, &by_shard)?;
    for directory in directories.iter_mut() {
        if let Some((layout, count)) = layouts.get(directory.path) {
            (directory.layout, directory.count) = (*layout, *count);
        }
        directory.next = (directory.layout, directory.count);
    }
    Ok(())
}

/// Reads which names are there, where that decides about a layout: one round trip, mostly none.
async fn read_names(link: &Link, directories: &mut [Directory<'_>]) -> Result<(), StoreError> {
    let mut pipe = Pipeline::new();
    let mut asked = Vec::new();
    for directory in directories.iter_mut().filter(|directory| directory.may_change_layout()) {
        for name in directory.names.keys() {
            let key = directory.key(directory.layout.bucket(name));
            pipe.cmd("HEXISTS").arg(key).arg(name);
        }
        asked.push(directory);
    }
    let mut values = link.run(&pipe).await?.into_iter();
    for directory in asked {
        let mut count = directory.count;
        for (name, packed) in &directory.names {
            let present: bool = value::read(value::next(&mut values)?, &directory.key(0))?;
            if present {
                directory.present.insert(name);
            }
            count += u64::from(packed.is_some() && !present);
            count = count.saturating_sub(u64::from(packed.is_none() && present));
        }
        directory.next = (directory.layout.suited(count), count);
    }
    Ok(())
}

/// Reads the buckets whose names will move: one round trip, mostly none.
async fn read_moving(link: &Link, directories: &mut [Directory<'_>]) -> Result<(), StoreError> {
    let mut pipe = Pipeline::new();
    let mut asked = Vec::new();
    for directory in directories.iter_mut().filter(|directory| directory.moves()) {
        let mut buckets = directory.layout.affected(directory.next.0);
        buckets.retain(|bucket| *bucket < directory.layout.buckets());
        for bucket in &buckets {
            pipe.cmd("HGETALL").arg(directory.key(*bucket));
        }
        asked.push((directory, buckets));
    }
    let mut values = link.run(&pipe).await?.into_iter();
    for (directory, buckets) in asked {
        for bucket in buckets {
            let key = directory.key(bucket);
            for (name, packed) in value::pairs(value::next(&mut values)?, &key)? {
                directory.moving.insert(value::text(name, &key)?, packed);
            }
        }
    }
    Ok(())
}

impl Directory<'_> {
    fn key(&self, bucket: u32) -> String {
        keys::records(self.shard, self.path, bucket)
    }

    fn may_change_layout(&self) -> bool {
        let most = self.count + self.names.len() as u64;
        self.layout.is_split() || self.layout.suited(most) != self.layout
    }

    fn moves(&self) -> bool {
        self.next.0 != self.layout
    }

    fn write(&self, pipe: &mut Pipeline) {
        let (layout, count) = self.next;
        let affected = self.layout.affected(layout);
        let mut buckets: BTreeMap<u32, Bucket<'_>> = BTreeMap::new();
        for (name, packed) in &self.moving {
            if !self.names.contains_key(name.as_str()) {
                buckets.entry(layout.bucket(name)).or_default().put.push((name, packed));
            }
        }
        for (name, packed) in &self.names {
            let bucket = buckets.entry(layout.bucket(name)).or_default();
            match packed {
                Some(packed) => bucket.put.push((name, packed)),
                None => bucket.remove.push(name),
            }
        }
        for bucket in &affected {
            pipe.cmd("DEL").arg(self.key(*bucket));
        }
        for (number, bucket) in buckets {
            bucket.write(pipe, &self.key(number), affected.contains(&number));
        }
        let layouts = keys::layouts(self.shard);
        if layout.is_split() {
            let told = format!("{},{count}", layout.buckets());
            pipe.cmd("HSET").arg(layouts).arg(self.path).arg(told);
        } else if self.layout.is_split() {
            pipe.cmd("HDEL").arg(layouts).arg(self.path);
        }
    }
}

/// What is written to one bucket.
#[derive(Default)]
struct Bucket<'a> {
    put: Vec<(&'a str, &'a [u8])>,
    remove: Vec<&'a str>,
}

impl Bucket<'_> {
    fn write(&self, pipe: &mut Pipeline, key: &str, emptied: bool) {
        if !self.put.is_empty() {
            pipe.cmd("HSET").arg(key);
            for (name, packed) in &self.put {
                pipe.arg(name).arg(packed);
            }
        }
        if !self.remove.is_empty() && !emptied {
            pipe.cmd("HDEL").arg(key).arg(&self.remove);
        }
    }
}

/// Pending work, problems and conflicts.
fn write_work(pipe: &mut Pipeline, shard: Shard, commit: &Commit) -> Result<(), StoreError> {
    let now_ms = clock::now_ms();
    let mut done: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for ((service, path), wanted) in &commit.pending {
        let key = keys::pending(shard, *service);
        if *wanted {
            pipe.cmd("HSETNX").arg(key).arg(path.as_str()).arg(now_ms);
        } else {
            done.entry(key).or_default().push(path.as_str());
        }
    }
    for ((service, path), unable) in &commit.unable {
        let key = keys::unable(shard, *service);
        if *unable {
            pipe.cmd("HSETNX").arg(key).arg(path.as_str()).arg(now_ms);
        } else {
            done.entry(key).or_default().push(path.as_str());
        }
    }
    for (key, paths) in done {
        pipe.cmd("HDEL").arg(key).arg(paths);
    }
    for ((service, path), fault) in &commit.problems {
        write_json(pipe, &keys::problems(shard, *service), path.as_str(), fault.as_ref())?;
    }
    for (path, conflict) in &commit.conflicts {
        write_json(pipe, &keys::conflicts(shard), path.as_str(), conflict.as_ref())?;
    }
    Ok(())
}

fn write_json<T: Serialize>(
    pipe: &mut Pipeline,
    key: &str,
    field: &str,
    value: Option<&T>,
) -> Result<(), StoreError> {
    match value {
        Some(value) => {
            let json = serde_json::to_vec(value).map_err(|error| value::damaged(key, error))?;
            pipe.cmd("HSET").arg(key).arg(field).arg(json);
        }
        None => {
            pipe.cmd("HDEL").arg(key).arg(field);
        }
    }
    Ok(())
}

/// Streams and counts.
fn write_sums(pipe: &mut Pipeline, shard: Shard, commit: &Commit) {
    for (service, (epoch, sequence)) in &commit.streams {
        let reached = format!("{epoch},{sequence}");
        pipe.cmd("HSET").arg(keys::streams(shard)).arg(service.0).arg(reached);
    }
    if commit.counts.entries != 0 {
        let key = keys::counts(shard);
        pipe.cmd("HINCRBY").arg(key).arg(keys::ENTRIES).arg(commit.counts.entries);
    }
    for (service, change) in commit.counts.held.iter().filter(|(_, change)| **change != 0) {
        let field = format!("{}{service}", keys::HELD);
        pipe.cmd("HINCRBY").arg(keys::counts(shard)).arg(field).arg(*change);
    }
    for (service, change) in commit.counts.bytes.iter().filter(|(_, change)| **change != 0) {
        let field = format!("{}{service}", keys::BYTES);
        pipe.cmd("HINCRBY").arg(keys::counts(shard)).arg(field).arg(*change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceId;

    #[test]
    fn commits_travel_together_up_to_the_second_of_a_shard() {
        let [a, b, c] = [0, 1, 2].map(|at| Shard::all().nth(at).unwrap());
        let reached = |sequence| {
            let mut commit = Commit::default();
            commit.streams.insert(ServiceId(1), (7, sequence));
            commit.counts.entries = 1;
            commit
        };
        let order = [(a, 1), (a, 2), (b, 3), (c, 4), (b, 5), (a, 6)];
        let commits = order.map(|(shard, sequence)| (shard, reached(sequence))).to_vec();
        let mut waiting = merge_neighbours(commits);
        let mut waves = Vec::new();
        while !waiting.is_empty() {
            let wave = next_wave(&mut waiting).into_iter();
            let seen = wave.map(|(shard, commit)| {
                (shard, commit.streams[&ServiceId(1)].1, commit.counts.entries)
            });
            waves.push(seen.collect::<Vec<_>>());
        }
        assert_eq!(waves, [vec![(a, 2, 2), (b, 3, 1), (c, 4, 1)], vec![(b, 5, 1), (a, 6, 1)]]);
    }
}
