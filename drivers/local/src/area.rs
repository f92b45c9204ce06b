//! Where Onitu keeps temporary files and trash: `.onitu` in the root and, since a rename never
//! leaves its file system, `.onitu-tmp-files` at the top of each other one mounted below it.

use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use onitu_plug::{Fault, FaultKind, clock};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, StatxFlags, statx};
use rustix::io::Errno;

use crate::client::{Root, beneath};
use crate::disk::{mkdirat, openat, renameat_with, unlinkat};
use crate::fault::{fault, unavailable};
use crate::mounts::Mounts;
use crate::name::{FILES, OWN, OWN_ELSEWHERE};
use crate::spelling;
use crate::state::{Mount, mount_of};
use crate::trash::purge::Purge;
use crate::trash::{Trash, remove_tree};

/// A temporary file that nobody resumed for so long is removed at the next start.
const LEFTOVER_MS: u64 = 24 * 60 * 60 * 1000;

/// What Onitu keeps on one mount.
pub(crate) struct Area {
    tmp: OwnedFd,
    trash: Trash,
    mount: Mount,
    given: AtomicU64,
}

/// All of them.
pub(crate) struct Areas {
    own: Arc<Area>,
    cookies: OwnedFd,
    others: Mutex<HashMap<Mount, Arc<Area>>>,
    mounts: Mounts,
    purge: Purge,
}

impl Area {
    /// Opens what is kept in `name` in the directory `top`, makes what is missing and ends what a
    /// crash interrupted.
    fn open(top: BorrowedFd, name: &str) -> Result<(Self, OwnedFd), Errno> {
        let dir = made(top, name)?;
        let tmp = made(dir.as_fd(), "tmp")?;
        let trash = Trash::open(&dir)?;
        let area = Self { mount: mount_of(&tmp)?, tmp, trash, given: AtomicU64::new(0) };
        area.clear_leftovers()?;
        Ok((area, dir))
    }

    /// The directory of temporary files.
    pub(crate) fn tmp(&self) -> &OwnedFd {
        &self.tmp
    }

    /// The trash.
    pub(crate) fn trash(&self) -> &Trash {
        &self.trash
    }

    /// The mount it is on.
    pub(crate) fn mount(&self) -> Mount {
        self.mount
    }

    /// A name that no other temporary file has.
    pub(crate) fn name(&self) -> String {
        let count = self.given.fetch_add(1, Ordering::Relaxed);
        format!("new-{count:x}-{:08x}", fastrand::u32(..))
    }

    /// The name of a temporary file (of that inode) that is about to change places with a user's:
    /// after a crash it tells whose file it is now, and where it goes.
    pub(crate) fn swap_name(inode: u64, id: &str) -> String {
        format!("swap-{inode:x}-{id}")
    }

    fn clear_leftovers(&self) -> Result<(), Errno> {
        for entry in Dir::read_from(&self.tmp)? {
            let entry = entry?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                self.clear_leftover(entry.file_name())?;
            }
        }
        Ok(())
    }

    fn clear_leftover(&self, name: &CStr) -> Result<(), Errno> {
        let Ok(text) = name.to_str() else { return Ok(()) };
        let stat = statx(&self.tmp, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
        if let Some((inode, id)) = text.strip_prefix("swap-").and_then(|rest| rest.split_once('-'))
            && inode != format!("{:x}", stat.stx_ino)
        {
            // Died after the exchange: this is the user's file, and its line is in the index.
            return self.trash.adopt(&self.tmp, text, id);
        }
        let written_ms = u64::try_from(stat.stx_ctime.tv_sec).unwrap_or(0).saturating_mul(1000);
        if written_ms.saturating_add(LEFTOVER_MS) < clock::now_ms() {
            remove_tree(&self.tmp, text)?;
        }
        Ok(())
    }
}

impl Areas {
    /// Opens that of the root.
    pub(crate) fn open(root: &OwnedFd, purge: Purge) -> Result<Self, Errno> {
        let (own, dir) = Area::open(root.as_fd(), OWN)?;
        let cookies = made(dir.as_fd(), "cookies")?;
        for entry in Dir::read_from(&cookies)?.flatten() {
            let _ = unlinkat(&cookies, entry.file_name(), AtFlags::empty());
        }
        Ok(Self {
            own: Arc::new(own),
            cookies,
            others: Mutex::new(HashMap::new()),
            mounts: Mounts::read(dir)?,
            purge,
        })
    }

    /// The directory in which a file is made to see when the watch tells of it.
    pub(crate) fn cookies(&self) -> &OwnedFd {
        &self.cookies
    }

    /// That of the mount on which `dir`, the directory `path` beneath `root`, stands.
    pub(crate) fn of(&self, root: &Root, dir: BorrowedFd, path: &str) -> Result<Arc<Area>, Fault> {
        let mount = mount_of(dir).map_err(|errno| fault("look at", path, errno))?;
        if mount == self.own.mount {
            return Ok(Arc::clone(&self.own));
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(area) = others.get(&mount) {
            return Ok(Arc::clone(area));
        }
        let opened = self.mounts.note(root, path, mount).and_then(|top| {
            let top = root.directory(&top, OFlags::RDONLY)?;
            Area::open(top.as_fd(), &elsewhere())
        });
        let (area, _) = opened.map_err(|errno| fault("write below", path, errno))?;
        let folds = spelling::folds(area.tmp.as_fd(), &area.name());
        if folds.map_err(|errno| fault("write below", path, errno))? && !root.folds() {
            return Err(Fault::new(
                FaultKind::Denied,
                format!(
                    "nothing is written below `{path}`: another file system is mounted there, \
                     which can't tell all names from each other; make it a service of its own"
                ),
            ));
        }
        let area = Arc::new(area);
        others.insert(mount, Arc::clone(&area));
        Ok(area)
    }

    /// Notes that the directory `path`, opened as `dir`, was seen: if another file system is
    /// mounted there, its absence will mean that it was unmounted, not emptied.
    pub(crate) fn saw(&self, root: &Root, dir: &OwnedFd, path: &str) -> Result<(), Fault> {
        match mount_of(dir) {
            Ok(mount) if mount == self.own.mount => Ok(()),
            Ok(mount) => self.mounts.note(root, path, mount).map(drop),
            Err(errno) => Err(errno),
        }
        .map_err(|errno| fault("look at", path, errno))
    }

    /// Whether the file systems that were mounted in the root still are.
    pub(crate) fn verify(&self, root: &Root) -> Result<(), Fault> {
        self.mounts.verify(root, self.own.mount)
    }

    /// Forgets the other mounts: one of them isn't what it was.
    pub(crate) fn forget_others(&self) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All in which something may be kept, each with the top of its mount; that of the root first.
    pub(crate) fn all(&self, root: &Root) -> Result<Vec<(String, Arc<Area>)>, Fault> {
        let mut all = vec![(String::new(), Arc::clone(&self.own))];
        for top in self.mounts.tops() {
            let failed = |errno| fault("look at", &top, errno);
            let dir = root.directory(&top, OFlags::RDONLY).map_err(failed)?;
            match beneath(dir.as_fd(), &elsewhere(), OFlags::PATH) {
                // Nothing was written there yet.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(failed(errno)),
                Ok(_) => {}
            }
            let area = self.of(root, dir.as_fd(), &top)?;
            // Unmounted a moment ago: the next check tells.
            if !Arc::ptr_eq(&area, &self.own) {
                all.push((top, area));
            }
        }
        Ok(all)
    }

    /// Removes what has been in the trashes for too long or is too much, if that is due; tells
    /// whether it was.
    pub(crate) fn purge(&self, root: &Root) -> Result<bool, Fault> {
        let mut open = vec![Arc::clone(&self.own)];
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        open.extend(others.values().cloned());
        drop(others);
        if !self.purge.is_due(&open) {
            return Ok(false);
        }
        let purged = self.purge.run(&self.all(root)?);
        purged.map_err(|errno| fault("clear the trash below", OWN, errno)).map(|()| true)
    }

    /// Whether the root's file system can't tell all names from each other.
    pub(crate) fn fold(&self) -> Result<bool, Errno> {
        spelling::folds(self.own.tmp.as_fd(), &self.own.name())
    }

    /// Whether the root's file system renames as safely as this driver needs.
    pub(crate) fn check_renames(&self, shown: &str) -> Result<(), Fault> {
        let (tmp, one, two) = (&self.own.tmp, self.own.name(), self.own.name());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let tried = [&one, &two]
            .into_iter()
            .try_for_each(|name| openat(tmp, name, flags, Mode::from_raw_mode(0o600)).map(drop))
            .and_then(|()| renameat_with(tmp, &one, tmp, &two, RenameFlags::EXCHANGE))
            .and_then(|()| match renameat_with(tmp, &one, tmp, &two, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => Ok(()),
                Ok(()) => Err(Errno::INVAL),
                failed => failed,
            });
        for name in [&one, &two] {
            let _ = unlinkat(tmp, name, AtFlags::empty());
        }
        tried.map_err(|errno| match errno {
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => unavailable(format!(
                "the file system of `{shown}` can't exchange two files in one step, so that an \
                 edit in the last instant could be lost: use ext4, XFS, Btrfs, F2FS or tmpfs"
            )),
            errno => unavailable(fault("write in", shown, errno).message),
        })
    }
}

/// The inode number of `name` in `dir`.
pub(crate) fn inode_of(dir: impl AsFd, name: &str) -> Result<u64, Errno> {
    Ok(statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO)?.stx_ino)
}

/// What is kept at the top of another mount.
fn elsewhere() -> String {
    format!("{OWN_ELSEWHERE}{FILES}")
}

/// Opens the directory `name` in `top`, made if it isn't there.
pub(crate) fn made(top: BorrowedFd, name: &str) -> Result<OwnedFd, Errno> {
    match mkdirat(top, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => beneath(top, name, OFlags::RDONLY),
        Err(errno) => Err(errno),
    }
}
