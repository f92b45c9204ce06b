//! A file being written under a temporary name, and how it gets its attributes.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use onitu_plug::{Bytes, Content, Kind, State};
use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, fchmod,
    fchown, flock,
};
use rustix::io::Errno;

use crate::area::{Area, inode_of};
use crate::disk::{ftruncate, futimens, mkdirat, openat, renameat, symlinkat, unlinkat};
use crate::read::write_all;
use crate::state::{self, Standing, There};

/// Something under a temporary name; removed when dropped, unless told otherwise.
pub(crate) struct Temp {
    area: Arc<Area>,
    name: String,
    file: Option<Arc<OwnedFd>>,
    stays: bool,
}

impl Temp {
    /// A new file with these bytes, or a link to them.
    pub(crate) fn small(
        area: Arc<Area>,
        content: &Content,
        bytes: &[Bytes],
    ) -> Result<Self, Errno> {
        let name = area.name();
        if content.kind == Kind::Symlink {
            symlinkat(bytes.concat().as_slice(), area.tmp(), &name)?;
            return Ok(Self { area, name, file: None, stays: false });
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(area.tmp(), &name, flags, Mode::from_raw_mode(0o666))?;
        let temp = Self { area, name, file: Some(Arc::new(file)), stays: false };
        let mut offset = 0;
        for piece in bytes {
            write_all(temp.file(), piece, offset)?;
            offset += piece.len() as u64;
        }
        Ok(temp)
    }

    /// A new directory.
    pub(crate) fn directory(area: Arc<Area>) -> Result<Self, Errno> {
        let name = area.name();
        mkdirat(area.tmp(), &name, Mode::from_raw_mode(0o777))?;
        Ok(Self { area, name, file: None, stays: false })
    }

    /// The file that is (or was, if `name` is there) written in several attempts, and its length;
    /// longer than `most`, or still written by an earlier attempt, it is begun anew.
    pub(crate) fn resumable(
        area: Arc<Area>,
        name: String,
        most: u64,
    ) -> Result<(Self, u64), Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |flags| openat(area.tmp(), &name, flags, Mode::from_raw_mode(0o666));
        let mut file = open(flags)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            unlinkat(area.tmp(), &name, AtFlags::empty())?;
            file = open(flags | OFlags::EXCL)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        }
        let mut length = state::of(&file)?.state().map_or(0, |state| state.content.size);
        if length > most {
            ftruncate(&file, 0)?;
            length = 0;
        }
        Ok((Self { area, name, file: Some(Arc::new(file)), stays: false }, length))
    }

    /// Where it is.
    pub(crate) fn area(&self) -> &Arc<Area> {
        &self.area
    }

    /// Its name there.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The open file, if it is one.
    pub(crate) fn open_file(&self) -> Option<&Arc<OwnedFd>> {
        self.file.as_ref()
    }

    /// The open file.
    pub(crate) fn file(&self) -> &OwnedFd {
        self.file.as_ref().unwrap_or_else(|| unreachable!("only files are written to"))
    }

    /// What stands under the name now: ours or, after an exchange, what was replaced.
    pub(crate) fn there(&self) -> Result<There, Errno> {
        state::at(self.area.tmp(), self.name.as_str())
    }

    /// Gives it the attributes of `content` and what it keeps of `old`, which it replaces.
    pub(crate) fn dress(&self, content: &Content, old: Option<&Standing>) -> Result<State, Errno> {
        let there = match &self.file {
            Some(file) => dress(file, content, old)?,
            None => self.there()?,
        };
        let mut state = there.state().ok_or(Errno::AGAIN)?;
        state.content.checksum = content.checksum;
        Ok(state)
    }

    /// Gets the name under which it may change places with a user's file that goes to the trash
    /// as `id`.
    pub(crate) fn about_to_swap(&mut self, id: &str) -> Result<(), Errno> {
        let tmp = self.area.tmp();
        let name = Area::swap_name(inode_of(tmp, &self.name)?, id);
        renameat(tmp, &self.name, tmp, &name)?;
        self.name = name;
        Ok(())
    }

    /// The same without its open descriptor.
    pub(crate) fn closed(mut self) -> Self {
        self.file = None;
        self
    }

    /// Leaves what stands under the name: it is placed, moved on, or to be resumed.
    pub(crate) fn leave(&mut self) {
        self.stays = true;
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.stays {
            // What can't be removed now is removed as a leftover later.
            let _ = match unlinkat(self.area.tmp(), &self.name, AtFlags::empty()) {
                Err(Errno::ISDIR) => unlinkat(self.area.tmp(), &self.name, AtFlags::REMOVEDIR),
                other => other,
            };
        }
    }
}

/// Sets mtime and permissions of the open `file`, and tells what it is then.
pub(crate) fn dress(
    file: impl AsFd,
    content: &Content,
    old: Option<&Standing>,
) -> Result<There, Errno> {
    let there = state::of(&file)?;
    let now = there.standing().ok_or(Errno::AGAIN)?;
    let kept = old.filter(|old| old.state.content.kind == Kind::File);
    if let Some((user, group)) = kept.map(|old| old.owner).filter(|owner| *owner != now.owner) {
        // Kept where this user may give files away; elsewhere the copy is ours.
        let _ = fchown(&file, None, Some(Gid::from_raw(group)));
        let _ = fchown(&file, Some(Uid::from_raw(user)), None);
    }
    let mode = mode(kept.map_or(now.mode, |old| old.mode), content.executable);
    if mode != now.mode {
        fchmod(&file, Mode::from_raw_mode(mode))?;
    }
    // What came from where no times are kept has that of its arrival, not one of 1970.
    let wanted = content.wanted_mtime_ns();
    let wanted = wanted.filter(|_| content.mtime_ns != now.state.content.mtime_ns);
    if let Some(mtime_ns) = wanted {
        let omitted = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let modified = Timespec {
            tv_sec: mtime_ns.div_euclid(1_000_000_000),
            tv_nsec: mtime_ns.rem_euclid(1_000_000_000),
        };
        futimens(&file, &Timestamps { last_access: omitted, last_modification: modified })?;
    }
    state::of(&file)
}

/// `mode` with the executable bits as wanted: whoever may read may execute.
fn mode(mode: u32, executable: bool) -> u32 {
    let mode = mode & 0o777;
    match (executable, mode & 0o100 != 0) {
        (true, false) => mode | 0o100 | ((mode & 0o444) >> 2),
        (false, true) => mode & !0o111,
        _ => mode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_change_of_the_permissions_changes() {
        assert_eq!(mode(0o644, true), 0o755);
        assert_eq!(mode(0o640, true), 0o750);
        assert_eq!(mode(0o710, true), 0o710);
        assert_eq!(mode(0o755, false), 0o644);
        assert_eq!(mode(0o4600, false), 0o600);
        assert_eq!(mode(0o200, true), 0o300);
    }
}
