//! File systems that can't tell all names from each other: ext4, F2FS and tmpfs where a directory
//! folds case, vfat, exFAT.
//!
//! The kernel finds `a` there when `A` is asked for, and doesn't say so; only a listing tells how a
//! name is spelled. So a name that is found is looked for in the listing of its directory. That is
//! paid for where names are folded, and nowhere else.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, ResolveFlags, StatxFlags, openat, openat2, statx, unlinkat,
};
use rustix::io::Errno;

/// A twin stands at the name: the kernel's word for a name that is not unique, which it uses for
/// nothing like it.
pub(crate) const TWIN: Errno = Errno::NOTUNIQ;

/// Whether the directory `dir` folds: tried with a file whose name begins with `name`.
pub(crate) fn folds(dir: BorrowedFd, name: &str) -> Result<bool, Errno> {
    let made = format!("{name}-fold-caf\u{e9}");
    let others = [format!("{name}-FOLD-caf\u{e9}"), format!("{name}-fold-cafe\u{301}")];
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    openat(dir, &made, flags, Mode::from_raw_mode(0o600))?;
    let found = others.iter().map(|other| exists(dir, other)).collect::<Result<Vec<_>, _>>();
    // What can't be removed now is removed as a leftover later.
    let _ = unlinkat(dir, &made, AtFlags::empty());
    Ok(found?.contains(&true))
}

/// Whether `name` is in the listing of `dir`, byte for byte.
pub(crate) fn is_listed(dir: BorrowedFd, name: &str) -> Result<bool, Errno> {
    are_listed(dir, BTreeSet::from([name.as_bytes()]))
}

/// The same of all `names`.
pub(crate) fn are_listed(dir: BorrowedFd, mut names: BTreeSet<&[u8]>) -> Result<bool, Errno> {
    let readable = openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, NO_MODE)?;
    for entry in Dir::new(readable)? {
        names.remove(entry?.file_name().to_bytes());
        if names.is_empty() {
            break;
        }
    }
    Ok(names.is_empty())
}

/// Whether `path`, as far as it is there, is spelled as it was made; [`TWIN`] if not.
pub(crate) fn check(root: BorrowedFd, path: &str) -> Result<(), Errno> {
    let mut above: Option<OwnedFd> = None;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let dir = above.as_ref().map_or(root, AsFd::as_fd);
        if !exists(dir, name)? {
            return Ok(());
        }
        if !is_listed(dir, name)? {
            return Err(TWIN);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat2(dir, name, flags, NO_MODE, ResolveFlags::NO_SYMLINKS) {
            Ok(next) => above = Some(next),
            // No directory: whoever goes on below it finds out.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

const NO_MODE: Mode = Mode::empty();

fn exists(dir: BorrowedFd, name: &str) -> Result<bool, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(dir, name, flags, StatxFlags::TYPE) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(false),
        Err(errno) => Err(errno),
    }
}
