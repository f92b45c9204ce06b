//! Where what is removed or replaced is kept for some days.
//!
//! `trash/2026-11-22/ID` is the thing itself, unchanged; `trash/2026-11-22/index` has one line of
//! JSON per thing, written before it is moved: `{"id": …, "path": …, "at_ms": …}`. A line without
//! its thing means nothing. `docs/drivers/local.md` describes it for those who restore by hand.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use onitu_plug::{Path, clock};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::Serialize;

use crate::disk::{append, mkdirat, openat, renameat_with, unlinkat};

const INDEX: &str = "index";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The trash of one mount.
pub(crate) struct Trash {
    dir: OwnedFd,
    days: u32,
    today: Mutex<Option<Arc<Day>>>,
}

/// One day's part of it.
pub(crate) struct Day {
    name: String,
    dir: Arc<OwnedFd>,
    index: Arc<OwnedFd>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    path: &'a str,
    at_ms: u64,
}

impl Trash {
    /// The trash in the directory `dir`, which keeps things for `days` days.
    pub(crate) fn new(dir: OwnedFd, days: u32) -> Self {
        Self { dir, days, today: Mutex::new(None) }
    }

    /// Writes down that `path` will be moved here, and tells the day and the id to move it to.
    pub(crate) fn expect(&self, path: &Path) -> Result<(Arc<Day>, String), Errno> {
        let at_ms = clock::now_ms();
        let day = self.day(at_ms)?;
        let id = format!("{at_ms:011x}-{:08x}", fastrand::u32(..));
        let line = Line { id: &id, path: path.as_str(), at_ms };
        let mut line = serde_json::to_vec(&line).map_err(|_| Errno::INVAL)?;
        line.push(b'\n');
        // One call on a file opened for appending: lines never mix.
        if append(&day.index, &line)? == line.len() { Ok((day, id)) } else { Err(Errno::NOSPC) }
    }

    /// Today's directory, made if need be; what is too old goes when the day changes.
    pub(crate) fn day(&self, now_ms: u64) -> Result<Arc<Day>, Errno> {
        let name = date(now_ms / DAY_MS);
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(day) = today.as_ref().filter(|day| day.name == name) {
            return Ok(Arc::clone(day));
        }
        match mkdirat(&self.dir, &name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(&self.dir, &name, flags | OFlags::DIRECTORY, Mode::empty())?;
        let append = flags | OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        let index = openat(&dir, INDEX, append, Mode::from_raw_mode(0o600))?;
        let day = Arc::new(Day { name, dir: Arc::new(dir), index: Arc::new(index) });
        *today = Some(Arc::clone(&day));
        Ok(day)
    }

    /// Whether a day has begun since something was last moved here.
    pub(crate) fn is_stale(&self, now_ms: u64) -> bool {
        let today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        today.as_ref().is_none_or(|day| day.name != date(now_ms / DAY_MS))
    }

    /// Removes the days that are older than this trash keeps things.
    pub(crate) fn purge(&self, now_ms: u64) -> Result<(), Errno> {
        let oldest = date((now_ms / DAY_MS).saturating_sub(self.days.into()));
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            // ISO dates are in the order of their letters; whatever isn't one is left alone.
            if is_date(name) && name < oldest.as_str() {
                remove_tree(&self.dir, name)?;
            }
        }
        Ok(())
    }
}

impl Day {
    /// Moves `name` of `from` here as `id`.
    pub(crate) fn take(&self, from: impl AsFd, name: &str, id: &str) -> Result<(), Errno> {
        renameat_with(from, name, &self.dir, id, RenameFlags::NOREPLACE)
    }

    /// The directory, and the index: both are flushed after something was moved.
    pub(crate) fn dir(&self) -> &Arc<OwnedFd> {
        &self.dir
    }

    /// See [`Self::dir`].
    pub(crate) fn index(&self) -> &Arc<OwnedFd> {
        &self.index
    }
}

/// Removes `name` in `dir` and everything in it, following no link.
pub(crate) fn remove_tree(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    match unlinkat(&dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = openat(&dir, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&inner)? {
        let entry = entry?;
        let bytes = entry.file_name().to_bytes();
        if bytes == b"." || bytes == b".." {
            continue;
        }
        match entry.file_name().to_str() {
            Ok(name) => remove_tree(&inner, name)?,
            // Nothing in here has such a name, unless a whole directory was moved here.
            Err(_) => unlinkat(&inner, entry.file_name(), AtFlags::empty())?,
        }
    }
    unlinkat(&dir, name, AtFlags::REMOVEDIR)
}

fn is_date(name: &str) -> bool {
    name.len() == 10
        && name.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// The date of a day counted from 1970, as `2026-11-22` (Howard Hinnant's `civil_from_days`).
fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_779), "2026-11-22");
        assert_eq!(date(20_818), "2026-12-31");
        assert!(is_date("2026-11-22") && !is_date("2026-11-2x") && !is_date("index"));
    }
}
