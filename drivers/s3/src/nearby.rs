//! What stands around a path, from a listing of a moment ago: looks come in the order of names or
//! for one directory after the other, so one listing answers up to a thousand of them.
//!
//! Each answer is given once, for a few seconds, and never for what was changed since, by ourselves
//! or by anybody of whom the watch has told. So nobody keeps windows while nobody watches. What
//! isn't certain is asked by itself (`look`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_plug::State;
use tokio::time::Instant;

use crate::list::Line;
use crate::object::file;

/// For how long an answer is given.
const LIFE: Duration = Duration::from_secs(5);
/// Windows that are kept, and lines in all of them; the oldest goes first.
const WINDOWS_MAX: usize = 512;
const LINES_MAX: usize = 32_768;
/// Directories whose pace is known, and changes told of that nobody has looked at.
const REMEMBERED_MAX: usize = 16_384;
/// Entries of a directory's first window, of the largest, and of one of whose neighbours nobody
/// asks.
const FIRST: usize = 32;
const LARGEST: usize = 1_000;
const SPARSE: usize = 4;
const GROWTH: usize = 8;

/// Directories of which windows are asked for at once.
const TURNS: usize = 16;

/// What a listing tells of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Near {
    Nothing,
    Directory,
    /// A file, and whether the server knows a checksum of it that a listing doesn't tell.
    File(State, bool),
}

/// Up to where a window tells what is there.
#[derive(Debug, PartialEq, Eq)]
enum Reach {
    /// Nowhere: it is being asked for.
    Asked,
    Until(String),
    /// The directory's end.
    End,
}

/// A part of a directory's listing.
#[derive(Debug)]
struct Window {
    number: u64,
    directory: String,
    /// After this name, which isn't in it.
    from: String,
    reach: Reach,
    size: usize,
    lines: BTreeMap<String, Near>,
    /// Not known any more, or answered already.
    spent: BTreeSet<String>,
    hits: usize,
    since: Instant,
}

impl Window {
    fn covers(&self, name: &str) -> bool {
        let reaches = match &self.reach {
            Reach::Asked => false,
            Reach::End => true,
            // A directory of the same name comes later than a file, and others in between.
            Reach::Until(last) => format!("{name}/") <= *last,
        };
        reaches && self.from.as_str() < name && !self.spent.contains(name)
    }

    fn is_young(&self) -> bool {
        self.since.elapsed() < LIFE
    }

    /// How many the next one of this directory should have.
    fn next_size(&self) -> usize {
        if !matches!(self.reach, Reach::Until(_)) {
            return self.size;
        }
        if self.hits * 2 >= self.size { (self.size * GROWTH).min(LARGEST) } else { SPARSE }
    }
}

#[derive(Debug, Default)]
struct Memory {
    windows: VecDeque<Window>,
    /// How large a directory's next window should be.
    pace: BTreeMap<String, usize>,
    /// What the watch has found, by key.
    told: BTreeMap<String, (Near, Instant)>,
    number: u64,
    is_watched: bool,
    /// The server's listings can't be relied on for this.
    is_off: bool,
}

/// A request to make: the entries of a directory after a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    number: u64,
    pub(crate) from: String,
    pub(crate) size: usize,
}

/// The windows of one connection.
#[derive(Debug, Default)]
pub(crate) struct Nearby {
    memory: Mutex<Memory>,
    /// Held while a window is asked for of which many will want to know, by directory.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

/// Takes back what is known of a key when it is dropped: after a change, however that ended.
pub(crate) struct Touching<'a>(&'a Nearby, &'a str);

impl Drop for Touching<'_> {
    fn drop(&mut self) {
        self.0.touch(self.1);
    }
}

/// Splits a key into its directory's (which ends in `/`, or is nothing) and a name.
fn split(key: &str) -> (&str, &str) {
    key.split_at(key.rfind('/').map_or(0, |at| at + 1))
}

/// A text that is less than the name with hardly anything in between.
fn just_before(name: &str) -> String {
    let mut text = name.to_owned();
    match text.pop() {
        Some(last) if last.is_ascii_graphic() && last > '!' => {
            // Nothing that would lead into a directory.
            text.push(if last == '0' { '.' } else { char::from(last as u8 - 1) });
            text.push('~');
            text
        }
        _ => text,
    }
}

impl Nearby {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody tells of changes from now on.
    pub(crate) fn watched(&self, is_watched: bool) {
        let mut memory = self.memory();
        memory.is_watched = is_watched;
        memory.windows.clear();
        memory.told.clear();
    }

    /// What stands under the key may be something else by now, and so may the directories above.
    pub(crate) fn touch(&self, key: &str) {
        let mut memory = self.memory();
        memory.told.remove(key);
        let mut rest = key.trim_end_matches('/');
        loop {
            let (directory, name) = split(rest);
            for window in memory.windows.iter_mut().filter(|it| it.directory == directory) {
                window.spent.insert(name.to_owned());
            }
            if directory.is_empty() {
                return;
            }
            rest = directory.trim_end_matches('/');
        }
    }

    /// As [`Self::touch`] when the value goes.
    pub(crate) fn touching<'a>(&'a self, key: &'a str) -> Touching<'a> {
        Touching(self, key)
    }

    /// The watch has just seen this under the key; asked once.
    pub(crate) fn keep_told(&self, key: &str, near: Near) {
        let mut memory = self.memory();
        if memory.told.len() >= REMEMBERED_MAX {
            memory.told.clear();
        }
        memory.told.insert(key.to_owned(), (near, Instant::now()));
    }

    /// What stands under the key, if that is known.
    pub(crate) fn take(&self, key: &str) -> Option<Near> {
        let mut memory = self.memory();
        if let Some((near, since)) = memory.told.remove(key)
            && since.elapsed() < LIFE
        {
            return Some(near);
        }
        let (directory, name) = split(key);
        let window = memory
            .windows
            .iter_mut()
            .find(|it| it.directory == directory && it.is_young() && it.covers(name))?;
        window.spent.insert(name.to_owned());
        window.hits += 1;
        Some(window.lines.get(name).copied().unwrap_or(Near::Nothing))
    }

    /// Waits for who asks for a window of the same directory, if that is likely to be of use.
    pub(crate) async fn turn(&self, key: &str) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let directory = split(key).0;
        if self.memory().pace.get(directory).is_some_and(|size| *size <= SPARSE) {
            return None;
        }
        let turn =
            directory.bytes().fold(0, |sum: usize, byte| sum * 31 % 1_021 + usize::from(byte));
        Some(self.turns[turn % TURNS].lock().await)
    }

    /// What to ask for to know what stands under the key; nothing if it is to be asked by itself.
    pub(crate) fn begin(&self, key: &str) -> Option<Ask> {
        let mut memory = self.memory();
        if memory.is_off || !memory.is_watched {
            return None;
        }
        let (directory, name) = split(key);
        memory.tidy();
        let before =
            memory.windows.iter().rfind(|it| it.directory == directory && it.reach != Reach::Asked);
        let size = before.map(Window::next_size).or_else(|| memory.pace.get(directory).copied());
        memory.number += 1;
        let window = Window {
            number: memory.number,
            directory: directory.to_owned(),
            from: just_before(name),
            reach: Reach::Asked,
            size: size.unwrap_or(FIRST),
            lines: BTreeMap::new(),
            spent: BTreeSet::new(),
            hits: 0,
            since: Instant::now(),
        };
        let ask = Ask { number: window.number, from: window.from.clone(), size: window.size };
        memory.pace.insert(directory.to_owned(), window.size);
        memory.windows.push_back(window);
        Some(ask)
    }

    /// The answer to what was asked, in the order of the names; whether more would follow.
    pub(crate) fn end(&self, ask: &Ask, (lines, is_sorted): (&[Line], bool), is_more: bool) {
        let mut memory = self.memory();
        let Some(at) = memory.windows.iter().position(|it| it.number == ask.number) else { return };
        let follows = lines.first().is_none_or(|first| first.text() > ask.from.as_str());
        let Some(told) = told(lines).filter(|_| is_sorted && follows) else {
            memory.windows.clear();
            memory.is_off = true;
            return;
        };
        let window = &mut memory.windows[at];
        window.lines = told;
        let last = lines.last().map(|line| line.text().to_owned());
        window.reach = match last {
            Some(last) if is_more => Reach::Until(last),
            None if is_more => Reach::Asked,
            _ => Reach::End,
        };
    }
}

impl Memory {
    /// Makes room for one more window.
    fn tidy(&mut self) {
        let mut lines: usize = self.windows.iter().map(|it| it.lines.len()).sum();
        while let Some(first) = self.windows.front()
            && (self.windows.len() >= WINDOWS_MAX || lines > LINES_MAX || !first.is_young())
        {
            lines -= first.lines.len();
            if let Some(window) = self.windows.pop_front() {
                self.learn(&window);
            }
        }
    }

    fn learn(&mut self, window: &Window) {
        if self.pace.len() >= REMEMBERED_MAX {
            self.pace.clear();
        }
        self.pace.insert(window.directory.clone(), window.next_size());
    }
}

/// What the lines tell; nothing if a listing isn't enough here.
fn told(lines: &[Line]) -> Option<BTreeMap<String, Near>> {
    let mut told = BTreeMap::new();
    for line in lines {
        match line {
            // The server knows no directories: one that isn't told would be taken for gone.
            Line::Object { name, .. } if name.contains('/') => return None,
            Line::Object { name, etag, size, has_sum } => {
                let state = file(etag.as_ref()?, *size, None);
                told.insert(name.clone(), Near::File(state, *has_sum));
            }
            Line::Prefix(text) => {
                // A file where both are, as everywhere.
                told.entry(text.trim_end_matches('/').to_owned()).or_insert(Near::Directory);
            }
        }
    }
    Some(told)
}

#[cfg(test)]
mod tests;
