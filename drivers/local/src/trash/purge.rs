//! Removing for good: what is too old, and the oldest of what is too much.
//!
//! Only directories named by a date are ever touched, and nothing in them while it is being
//! settled whose it is. What can't be removed stays, is told, and stops nothing else.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_plug::clock;
use onitu_plug::date::{DAY_MS, date};
use rustix::fs::{AtFlags, Dir, StatxFlags, statx};
use rustix::io::Errno;
use tokio::time::Instant;

use super::index::{INDEX, forwards, is_id};
use super::{Trash, remove_tree};
use crate::area::Area;
use crate::disk::unlinkat;

/// Sizes are looked at so often, even if nothing is known to have come.
const SIZE_PAUSE_MAX: Duration = Duration::from_hours(1);
/// After something came, sizes are looked at again not before this has passed,
const SIZE_PAUSE_MIN: Duration = Duration::from_secs(10);
/// nor before so many times as long as the last look took.
const SIZE_PAUSE_FACTOR: u32 = 20;
/// What failed is tried again after this.
const FAILED_PAUSE: Duration = Duration::from_mins(1);

/// How long and how much is kept, and when that was last seen to.
pub(crate) struct Purge {
    days: u32,
    bytes: Option<u64>,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    /// The day on which what was too old was removed.
    day: String,
    /// Not before this.
    next_size: Option<Instant>,
    latest_size: Option<Instant>,
    failed: Option<Instant>,
}

impl Purge {
    /// Keeps things for `days` days, and at most `bytes` of them.
    pub(crate) fn new(days: u32, bytes: Option<u64>) -> Self {
        Self { days, bytes, done: Mutex::default() }
    }

    /// Whether there may be something to do.
    pub(crate) fn is_due(&self, areas: &[Arc<Area>]) -> bool {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if done.failed.is_some_and(|failed| now < failed + FAILED_PAUSE) {
            return false;
        }
        let has_grown = || areas.iter().any(|it| it.trash().has_grown.load(Ordering::Relaxed));
        let is_size_due = done.latest_size.is_none_or(|latest| now >= latest)
            || (done.next_size.is_none_or(|next| now >= next) && has_grown());
        done.day != today() || (self.bytes.is_some() && is_size_due)
    }

    /// Removes what is too old or too much from the trashes of `areas`; an error is the first of
    /// what could not be removed.
    pub(crate) fn run(&self, areas: &[(String, Arc<Area>)]) -> Result<(), Errno> {
        let began = Instant::now();
        let trashes: Vec<&Trash> = areas.iter().map(|(_, area)| area.trash()).collect();
        let oldest = date((clock::now_ms() / DAY_MS).saturating_sub(self.days.into()));
        let mut outcome = Ok(());
        for trash in &trashes {
            outcome = outcome.and(by_age(trash, &oldest));
        }
        if let Some(bytes) = self.bytes {
            outcome = outcome.and(by_size(&trashes, bytes));
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        done.failed = outcome.is_err().then_some(now);
        done.day = if outcome.is_ok() { today() } else { String::new() };
        done.next_size = Some(now + SIZE_PAUSE_MIN.max((now - began) * SIZE_PAUSE_FACTOR));
        done.latest_size = Some(now + SIZE_PAUSE_MAX);
        outcome
    }
}

fn today() -> String {
    date(clock::now_ms() / DAY_MS)
}

/// Removes the days before `oldest`.
fn by_age(trash: &Trash, oldest: &str) -> Result<(), Errno> {
    let mut outcome = Ok(());
    for day in trash.days()?.iter().filter(|day| day.as_str() < oldest) {
        outcome = outcome.and(remove_day(trash, day));
    }
    outcome
}

/// Removes the oldest until all of them together have at most `most` bytes.
fn by_size(trashes: &[&Trash], most: u64) -> Result<(), Errno> {
    let mut sizes: Vec<(String, usize, u64)> = Vec::new();
    for (at, trash) in trashes.iter().enumerate() {
        trash.has_grown.store(false, Ordering::Relaxed);
        for day in trash.days()? {
            let size = size_of(trash, &day)?;
            sizes.push((day, at, size));
        }
    }
    let mut excess = sizes.iter().map(|(.., size)| size).sum::<u64>().saturating_sub(most);
    sizes.sort();
    let today = today();
    let mut outcome = Ok(());
    for (day, at, size) in sizes {
        if excess == 0 {
            break;
        }
        if size <= excess && day < today {
            outcome = outcome.and(remove_day(trashes[at], &day));
            excess -= size;
            continue;
        }
        match remove_oldest(trashes[at], &day, excess) {
            Ok(freed) => excess = excess.saturating_sub(freed),
            Err(errno) => outcome = outcome.and(Err(errno)),
        }
    }
    outcome
}

/// The bytes of everything in a day, the index aside.
fn size_of(trash: &Trash, day: &str) -> Result<u64, Errno> {
    let Some(dir) = there(trash.day_of(day))? else { return Ok(0) };
    let mut size = 0;
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_ok_and(is_id) {
            size += bytes_of(&dir, entry.file_name())?;
        }
    }
    Ok(size)
}

fn bytes_of(dir: impl AsFd, name: impl rustix::path::Arg) -> Result<u64, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    Ok(there(statx(dir, name, flags, StatxFlags::SIZE))?.map_or(0, |stat| stat.stx_size))
}

/// Removes a day's things in the order in which they came, until so many bytes are free; tells
/// how many are.
fn remove_oldest(trash: &Trash, day: &str, bytes: u64) -> Result<u64, Errno> {
    let Some(dir) = there(trash.day_of(day))? else { return Ok(0) };
    let mut freed = 0;
    forwards(&dir, |id| {
        let _settled = trash.settle();
        freed += bytes_of(&dir, id)?;
        remove_tree(&dir, id)?;
        Ok(freed >= bytes)
    })?;
    Ok(freed)
}

/// Removes a day with everything in it, the index last: what is left after an interruption can
/// still be told.
fn remove_day(trash: &Trash, day: &str) -> Result<(), Errno> {
    let Some(dir) = there(trash.day_of(day))? else { return Ok(()) };
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." && name.to_bytes() != INDEX.as_bytes() {
            let _settled = trash.settle();
            remove_tree(&dir, name)?;
        }
    }
    let _settled = trash.settle();
    remove_tree(&dir, INDEX)?;
    match unlinkat(trash.dir()?, day, AtFlags::REMOVEDIR) {
        // Something came meanwhile: the next time.
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

/// What isn't there (any more), or is no directory, is nothing to be removed.
fn there<T>(found: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        found => found.map(Some),
    }
}
