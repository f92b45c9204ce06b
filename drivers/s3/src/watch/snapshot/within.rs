//! What a kept listing has directly in one directory.

use std::io;

use onitu_plug::Tag;

use super::{Reader, Snapshot};

/// Names read in one go.
const TURN: usize = 4_096;

/// Something directly in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Object {
        name: String,
        tag: Tag,
        size: u64,
    },
    /// With the `/` at its end.
    Directory(String),
}

/// Reads the entries of one directory in the order of the keys.
pub(crate) struct Within {
    snapshot: Snapshot,
    /// What the names begin with: empty, or it ends in `/`.
    directory: String,
    reader: Reader,
    /// Everything up to here was told, or is below what was.
    past: String,
    is_there: bool,
    is_done: bool,
}

impl Snapshot {
    /// Where to begin to read, to come by all names from `name` on.
    fn before(&self, name: &str) -> Option<&(String, u64)> {
        let after = self.index.partition_point(|(whole, _)| whole.as_str() <= name);
        self.index.get(after.checked_sub(1)?)
    }

    /// Reads what is in the directory, by the beginning of its names.
    pub(crate) fn within(&self, directory: &str) -> io::Result<Within> {
        let offset = self.before(directory).map_or(0, |(_, offset)| *offset);
        Ok(Within {
            reader: Reader::new(self, offset)?,
            snapshot: self.clone(),
            directory: directory.to_owned(),
            past: directory.to_owned(),
            is_there: false,
            is_done: false,
        })
    }
}

impl Within {
    /// Whether the directory was there, as far as was read.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there
    }

    /// The next entries, of a bounded number of names; nothing at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<Entry>>> {
        let mut found = Vec::new();
        for _ in 0..TURN {
            if self.is_done {
                break;
            }
            let Some((name, sign)) = self.reader.next.take() else {
                self.is_done = true;
                break;
            };
            self.reader.advance()?;
            if name.as_str() < self.past.as_str() {
                continue;
            }
            let Some(rest) = name.strip_prefix(&self.directory) else {
                self.is_done = true;
                break;
            };
            self.is_there = true;
            match rest.find('/') {
                None if rest.is_empty() => {}
                None => {
                    let name = rest.to_owned();
                    found.push(Entry::Object { name, tag: sign.tag, size: sign.size });
                }
                Some(at) => {
                    let below = &name[..=self.directory.len() + at];
                    found.push(Entry::Directory(rest[..=at].to_owned()));
                    self.pass(&below[..below.len() - 1])?;
                }
            }
        }
        Ok(if self.is_done && found.is_empty() { None } else { Some(found) })
    }

    /// Goes on behind everything below a directory.
    fn pass(&mut self, directory: &str) -> io::Result<()> {
        // `0` is what follows `/`.
        self.past = format!("{directory}0");
        let ahead = self.reader.next.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        if let Some((name, offset)) = self.snapshot.before(&self.past)
            && *name > ahead
        {
            self.reader = Reader::new(&self.snapshot, *offset)?;
        }
        Ok(())
    }
}
