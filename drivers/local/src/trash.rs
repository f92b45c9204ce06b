//! Where what is removed or replaced is kept for some days.
//!
//! `trash/2026-11-22/ID` is the thing itself, unchanged; `trash/2026-11-22/index` has one line of
//! JSON per thing, written before it is moved ([`index`]). A line without its thing means nothing.
//! `docs/drivers/local.md` describes it for those who restore by hand. What it holds is told by
//! [`list`], put back by [`crate::restore`], and removed for good by [`purge`], by nobody else.

mod index;
pub(crate) mod list;
pub(crate) mod purge;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onitu_plug::date::{self, DAY_MS, date};
use onitu_plug::{Path, Why, clock};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, StatxFlags, statx};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::area::made;
use crate::disk::{append, openat, renameat_with, unlinkat};
use index::{INDEX, Line};

const NAME: &str = "trash";

/// The trash of one mount.
pub(crate) struct Trash {
    /// The directory it is in.
    top: OwnedFd,
    open: Mutex<Open>,
    /// Held while something here may still turn out to be a user's: nothing is removed meanwhile.
    settling: Mutex<()>,
    /// Whether something came since its size was last looked at.
    has_grown: AtomicBool,
}

struct Open {
    dir: Arc<OwnedFd>,
    today: Option<Arc<Day>>,
}

/// One day's part of it.
pub(crate) struct Day {
    name: String,
    dir: Arc<OwnedFd>,
    index: Arc<OwnedFd>,
    /// The last line may lack its end.
    is_torn: AtomicBool,
}

/// Where something may be moved; while it lives, nothing in this trash is removed for good.
pub(crate) struct Place<'a> {
    pub(crate) day: Arc<Day>,
    pub(crate) id: String,
    _settling: MutexGuard<'a, ()>,
}

impl Trash {
    /// The trash in the directory `top`, made if need be.
    pub(crate) fn open(top: impl AsFd) -> Result<Self, Errno> {
        let dir = Arc::new(made(top.as_fd(), NAME)?);
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            top: openat(top, ".", flags, Mode::empty())?,
            open: Mutex::new(Open { dir, today: None }),
            settling: Mutex::default(),
            has_grown: AtomicBool::new(true),
        })
    }

    /// Writes down that `path`, of so many bytes, will be moved here, and tells where to.
    pub(crate) fn expect(&self, path: &Path, size: u64, why: Why) -> Result<Place<'_>, Errno> {
        let at_ms = clock::now_ms();
        let day = self.day(at_ms)?;
        let id = format!("{at_ms:011x}-{:08x}", fastrand::u32(..));
        let line = Line::new(&id, path.as_str(), at_ms, size, why);
        day.append(&serde_json::to_vec(&line).map_err(|_| Errno::INVAL)?)?;
        self.has_grown.store(true, Ordering::Relaxed);
        Ok(Place { day, id, _settling: self.settle() })
    }

    /// While the answer lives, nothing is removed here for good.
    pub(crate) fn settle(&self) -> MutexGuard<'_, ()> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its directory: made anew if somebody emptied the trash by removing it.
    fn dir(&self) -> Result<Arc<OwnedFd>, Errno> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if is_gone(&open.dir)? {
            *open = Open { dir: Arc::new(made(self.top.as_fd(), NAME)?), today: None };
        }
        Ok(Arc::clone(&open.dir))
    }

    /// Today's directory, made if need be.
    fn day(&self, now_ms: u64) -> Result<Arc<Day>, Errno> {
        let dir = self.dir()?;
        let name = date(now_ms / DAY_MS);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(day) = open.today.as_ref().filter(|day| day.name == name)
            && !is_gone(&day.dir)?
            && !is_gone(&day.index)?
        {
            return Ok(Arc::clone(day));
        }
        let day = Arc::new(Day::open(&dir, name)?);
        open.today = Some(Arc::clone(&day));
        Ok(day)
    }

    /// The directory of a day that is there; what is named otherwise, or is none, is not found.
    pub(crate) fn day_of(&self, name: &str) -> Result<OwnedFd, Errno> {
        if !date::is_date(name) {
            return Err(Errno::NOENT);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(self.dir()?, name, flags, Mode::empty())
    }

    /// The days that are there, in order.
    fn days(&self) -> Result<Vec<String>, Errno> {
        let mut days = Vec::new();
        for entry in Dir::read_from(self.dir()?)? {
            let entry = entry?;
            // Whatever isn't named by a date is somebody else's, and left alone.
            days.extend(
                entry.file_name().to_str().ok().filter(|it| date::is_date(it)).map(str::to_owned),
            );
        }
        days.sort_unstable();
        Ok(days)
    }

    /// Takes in what a crash left as `name` in `tmp`, after its line with `id` was written: to the
    /// day that has the line, if it is still there.
    pub(crate) fn adopt(&self, tmp: impl AsFd, name: &str, id: &str) -> Result<(), Errno> {
        let at_ms = id.split_once('-').and_then(|(at, _)| u64::from_str_radix(at, 16).ok());
        if let Some(at_ms) = at_ms
            && let Ok(day) = self.day_of(&date(at_ms / DAY_MS))
        {
            return renameat_with(tmp, name, &day, id, RenameFlags::NOREPLACE);
        }
        self.day(clock::now_ms())?.take(tmp, name, id)
    }
}

impl Day {
    fn open(trash: &OwnedFd, name: String) -> Result<Self, Errno> {
        let dir = made(trash.as_fd(), &name)?;
        let append = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let flags = append | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let index = openat(&dir, INDEX, flags, Mode::from_raw_mode(0o600))?;
        let is_torn = AtomicBool::new(!index::ends_whole(&index)?);
        Ok(Self { name, dir: Arc::new(dir), index: Arc::new(index), is_torn })
    }

    /// Writes a line, in one call on a file opened for appending: lines never mix.
    fn append(&self, line: &[u8]) -> Result<(), Errno> {
        let begin: &[u8] = if self.is_torn.swap(true, Ordering::Relaxed) { b"\n" } else { b"" };
        let bytes = [begin, line, b"\n"].concat();
        if append(&self.index, &bytes)? != bytes.len() {
            return Err(Errno::NOSPC);
        }
        self.is_torn.store(false, Ordering::Relaxed);
        Ok(())
    }

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

/// Whether something that is open has lost its last name.
fn is_gone(fd: &OwnedFd) -> Result<bool, Errno> {
    Ok(statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK)?.stx_nlink == 0)
}

/// Removes `name` in `dir` and everything in it, following no link.
pub(crate) fn remove_tree(dir: impl AsFd, name: impl Arg + Copy) -> Result<(), Errno> {
    match unlinkat(&dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = openat(&dir, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&inner)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            remove_tree(inner.as_fd(), entry.file_name())?;
        }
    }
    unlinkat(&dir, name, AtFlags::REMOVEDIR)
}
