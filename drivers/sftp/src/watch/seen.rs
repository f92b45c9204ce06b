//! What the directories of the service held when they were last listed, for the runtime or in a
//! round: what differs in the next round has changed since.
//!
//! A directory whose own time is the same holds the same names. Its files may still have been
//! edited in place; where none of them was for a day, that is looked for in some rounds only.
//!
//! Memory is bounded. While there is room each entry is remembered by its name; beyond, a directory
//! is remembered by a sum of its entries, so that one change in it makes all of it looked at.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use onitu_plug::Path;

use crate::wire::{Attrs, FileKind};

/// Most bytes of names that are remembered.
const NAMES_BYTES_MAX: usize = 6 * 1024 * 1024;
/// What a name takes beside its letters.
const ENTRY_BYTES: usize = 24;
/// Most directories that are remembered.
const DIRECTORIES_MAX: usize = 50_000;

/// What a directory holds.
#[derive(Debug, Default)]
pub(crate) struct Record {
    entries: Vec<(Box<str>, u64)>,
    /// The directory's own time, and the server's clock before it was listed.
    mtime_s: u32,
    now_s: u32,
    /// The latest time of a file in it.
    newest_s: u32,
}

/// What is remembered of a directory.
enum Known {
    Entries(Vec<(Box<str>, u64)>),
    Sum(u64),
}

/// A directory that is remembered.
struct Directory {
    known: Known,
    /// In which round it was come by last.
    seen_in: u64,
    /// Its own time, if it needs no listing while it has that.
    quiet_since: Option<u32>,
}

/// How a directory differs from what was remembered of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Not at all, or nothing was remembered: then whoever asks first lists it.
    None,
    /// In these names; whether each is a directory that is new.
    Entries(Vec<(Box<str>, bool)>),
    /// Somehow.
    Whole,
}

/// What all directories held.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    directories: BTreeMap<Path, Directory>,
    names_bytes: usize,
    round: u64,
    /// Whether some could not be remembered.
    is_full: bool,
}

/// Marks a directory in its record, so that one that became a file is another thing.
const DIRECTORY: u64 = 1;
/// A file that nobody has written to for so long is likely to be left alone for longer.
const QUIET_S: u32 = 24 * 60 * 60;

impl Record {
    /// Of a directory that had the time `mtime_s` before it was listed, when the server's clock had
    /// reached `now_s`.
    pub(crate) fn of(mtime_s: u32, now_s: u32) -> Self {
        Self { mtime_s, now_s, ..Self::default() }
    }

    /// The directory's own time, if it needs no listing while it has that. A second that wasn't
    /// over may have brought another change since, and left no trace.
    fn quiet_since(&self) -> Option<u32> {
        let is_over = self.mtime_s > 0 && self.mtime_s < self.now_s;
        let is_quiet = self.newest_s.saturating_add(QUIET_S) < self.now_s;
        (is_over && is_quiet).then_some(self.mtime_s)
    }

    /// `name` is there, as the attributes say.
    pub(crate) fn note(&mut self, name: &str, attrs: &Attrs) {
        let state = match attrs.kind() {
            FileKind::Directory => DIRECTORY,
            FileKind::File | FileKind::Link | FileKind::Other(_) => {
                self.newest_s = self.newest_s.max(attrs.mtime_s());
                let mut hasher = DefaultHasher::new();
                (attrs.size, attrs.permissions, attrs.mtime_s()).hash(&mut hasher);
                hasher.finish().max(DIRECTORY + 1)
            }
        };
        self.entries.push((name.into(), state));
    }

    fn sum(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.entries.hash(&mut hasher);
        hasher.finish()
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|(name, _)| name.len() + ENTRY_BYTES).sum()
    }
}

impl Known {
    fn bytes(&self) -> usize {
        match self {
            Self::Entries(entries) => {
                entries.iter().map(|(name, _)| name.len() + ENTRY_BYTES).sum()
            }
            Self::Sum(_) => 0,
        }
    }

    /// How `record`, whose entries are in order, differs from this.
    fn difference(&self, record: &Record) -> Difference {
        let known = match self {
            Self::Sum(sum) if *sum == record.sum() => return Difference::None,
            Self::Sum(_) => return Difference::Whole,
            Self::Entries(entries) => entries,
        };
        let mut names = Vec::new();
        let (mut before, mut after) = (known.iter().peekable(), record.entries.iter().peekable());
        loop {
            match (before.peek(), after.peek()) {
                (None, None) => break,
                (Some((name, _)), None) => {
                    names.push((name.clone(), false));
                    before.next();
                }
                (Some((old, _)), Some((new, _))) if old < new => {
                    names.push((old.clone(), false));
                    before.next();
                }
                (Some((old, was)), Some((new, is))) if old == new => {
                    if was != is {
                        names.push((new.clone(), *is == DIRECTORY));
                    }
                    before.next();
                    after.next();
                }
                (_, Some((new, is))) => {
                    names.push((new.clone(), *is == DIRECTORY));
                    after.next();
                }
            }
        }
        if names.is_empty() { Difference::None } else { Difference::Entries(names) }
    }
}

impl Seen {
    /// The runtime was told that the directory holds this.
    pub(crate) fn remember(&self, directory: &Path, mut record: Record) {
        record.entries.sort_unstable();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let round = inner.round;
        inner.keep(directory, record, round);
    }

    /// A round begins; the answer is its number.
    pub(crate) fn begin_round(&self) -> u64 {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.round += 1;
        inner.is_full = false;
        inner.round
    }

    /// How the directory differs from what was remembered; what it holds now is remembered.
    /// The root, of which nothing is remembered, differs.
    pub(crate) fn compare(&self, directory: &Path, mut record: Record, round: u64) -> Difference {
        record.entries.sort_unstable();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let difference = match inner.directories.get(directory) {
            Some(directory) => directory.known.difference(&record),
            None if directory.is_root() => Difference::Whole,
            None => Difference::None,
        };
        inner.keep(directory, record, round);
        difference
    }

    /// A directory that needs no listing while it has this time of its own, and the directories in
    /// it.
    pub(crate) fn quiet(&self, directory: &Path) -> Option<(u32, Vec<Path>)> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = inner.directories.get(directory)?;
        let Known::Entries(entries) = &held.known else { return None };
        let below = entries.iter().filter(|(_, state)| *state == DIRECTORY);
        let below = below.filter_map(|(name, _)| directory.join(name).ok()).collect();
        Some((held.quiet_since?, below))
    }

    /// The round has come by a directory that was not listed.
    pub(crate) fn pass(&self, directory: &Path, round: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = inner.directories.get_mut(directory) {
            held.seen_in = round;
        }
    }

    /// The round came to its end: what it didn't come by is forgotten. Whether there were more
    /// directories than can be remembered.
    pub(crate) fn end_round(&self, round: u64) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.directories.retain(|_, directory| directory.seen_in >= round);
        inner.names_bytes = inner.directories.values().map(|it| it.known.bytes()).sum();
        inner.is_full
    }
}

impl Inner {
    /// Remembers `record`, whose entries are in order.
    fn keep(&mut self, directory: &Path, record: Record, seen_in: u64) {
        if let Some(before) = self.directories.remove(directory) {
            self.names_bytes -= before.known.bytes();
        }
        if self.directories.len() >= DIRECTORIES_MAX {
            self.is_full = true;
            return;
        }
        let (bytes, quiet_since) = (record.bytes(), record.quiet_since());
        let known = if self.names_bytes + bytes > NAMES_BYTES_MAX {
            Known::Sum(record.sum())
        } else {
            self.names_bytes += bytes;
            Known::Entries(record.entries)
        };
        self.directories.insert(directory.clone(), Directory { known, seen_in, quiet_since });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64) -> Attrs {
        Attrs { size: Some(size), permissions: Some(0o100_644), ..Attrs::default() }
    }

    fn directory() -> Attrs {
        Attrs { permissions: Some(0o040_755), ..Attrs::default() }
    }

    fn record(entries: &[(&str, Attrs)]) -> Record {
        let mut record = Record::default();
        for (name, attrs) in entries {
            record.note(name, attrs);
        }
        record
    }

    fn path(text: &str) -> Path {
        Path::new(text).expect("a path")
    }

    #[test]
    fn what_is_new_changed_or_gone_is_told_by_name() {
        let seen = Seen::default();
        let entries = [("same", file(1)), ("gone", file(1)), ("changed", file(1)), ("d", file(1))];
        seen.remember(&path("a"), record(&entries));
        let now = [("changed", file(2)), ("new", file(1)), ("same", file(1)), ("d", directory())];
        let round = seen.begin_round();
        let names = [("changed", false), ("d", true), ("gone", false), ("new", false)];
        let names = names.map(|(name, is_new)| (name.into(), is_new)).to_vec();
        assert_eq!(seen.compare(&path("a"), record(&now), round), Difference::Entries(names));
        assert_eq!(seen.compare(&path("a"), record(&now), round), Difference::None);
    }

    #[test]
    fn a_directory_that_nobody_asked_for_is_no_news_and_the_root_is() {
        let seen = Seen::default();
        let round = seen.begin_round();
        assert_eq!(seen.compare(&path("a"), Record::default(), round), Difference::None);
        assert_eq!(seen.compare(&Path::root(), Record::default(), round), Difference::Whole);
        assert_eq!(seen.compare(&Path::root(), Record::default(), round), Difference::None);
    }

    #[test]
    fn only_a_directory_that_is_quiet_and_whose_second_was_over_needs_no_listing() {
        let (seen, now) = (Seen::default(), 10_000_000);
        let old = Attrs { times: Some((0, now - QUIET_S - 1)), ..file(1) };
        let young = Attrs { times: Some((0, now - QUIET_S)), ..file(1) };
        for (mtime_s, entry, is_quiet) in [
            (now - 1, old, true),
            // Something may have been made in it within the second in which it was listed.
            (now, old, false),
            (now + 9, old, false),
            (0, old, false),
            // Whatever was edited today may be edited again, and its directory doesn't tell.
            (now - 1, young, false),
        ] {
            let mut record = Record::of(mtime_s, now);
            record.note("file", &entry);
            record.note("below", &directory());
            seen.remember(&path("a"), record);
            let quiet = seen.quiet(&path("a"));
            let expected = is_quiet.then(|| (mtime_s, vec![path("a/below")]));
            assert_eq!(quiet, expected, "{mtime_s}");
        }
        assert_eq!(seen.quiet(&path("unknown")), None);
    }

    #[test]
    fn what_a_round_has_passed_is_still_known() {
        let seen = Seen::default();
        seen.remember(&path("a"), record(&[("x", file(1))]));
        let round = seen.begin_round();
        seen.pass(&path("a"), round);
        assert!(!seen.end_round(round));
        let names = vec![("x".into(), false)];
        assert_eq!(seen.compare(&path("a"), Record::default(), round), Difference::Entries(names));
    }

    #[test]
    fn beyond_the_bound_a_directory_differs_as_a_whole() {
        let seen = Seen::default();
        let many: Vec<String> =
            (0..NAMES_BYTES_MAX / ENTRY_BYTES).map(|it| it.to_string()).collect();
        let large = || {
            let mut large = Record::default();
            for name in &many {
                large.note(name, &file(1));
            }
            large
        };
        seen.remember(&path("large"), large());
        assert_eq!(seen.compare(&path("large"), large(), 1), Difference::None);
        assert_eq!(seen.compare(&path("large"), Record::default(), 1), Difference::Whole);
    }

    #[test]
    fn what_a_round_did_not_come_by_is_forgotten() {
        let seen = Seen::default();
        seen.remember(&path("a"), record(&[("x", file(1))]));
        let round = seen.begin_round();
        assert!(!seen.end_round(round));
        assert_eq!(seen.compare(&path("a"), Record::default(), round), Difference::None);
    }
}
