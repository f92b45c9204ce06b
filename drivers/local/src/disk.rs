//! The one door to everything that changes the disk: the calls of `rustix`, by the same names.
//!
//! In tests their order is written down (`record`), so that it can be checked what a power failure
//! at any moment would leave (`tests/ordering.rs`). Otherwise nothing is added to them.

#[cfg(test)]
pub(crate) mod record;

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, Timestamps};
use rustix::io::Errno;
use rustix::path::Arg;

#[cfg(test)]
use self::record::note;

/// Device and inode number of something on the disk.
#[cfg(test)]
pub(crate) type Id = (u32, u32, u64);

/// Makes a call; `label` names it, `at` is what it changes, and `told` says what was done.
#[cfg(not(test))]
fn note<T, F: AsFd + ?Sized, O>(
    _label: &str,
    _at: &F,
    call: impl FnOnce() -> Result<T, Errno>,
    _told: O,
) -> Result<T, Errno> {
    call()
}

/// What was done, for the record; nothing where there is none.
#[cfg(test)]
macro_rules! told {
    (|$done:pat_param| $what:expr) => {
        |$done| {
            #[allow(unused_imports, reason = "not every call needs all of them")]
            use self::record::{Op, child, id, name};
            Ok::<Op, Errno>($what)
        }
    };
}
#[cfg(not(test))]
macro_rules! told {
    (|$done:pat_param| $what:expr) => {
        ()
    };
}

/// As [`rustix::fs::openat`]; only files that may be made or emptied by it come through here.
pub(crate) fn openat<N: Arg + Copy>(
    dir: impl AsFd,
    path: N,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    note(
        "create",
        &dir,
        || rustix::fs::openat(&dir, path, flags, mode),
        told!(|file| Op::Create {
            dir: id(&dir)?,
            name: name(path)?,
            file: id(file)?,
            emptied: flags.contains(OFlags::TRUNC),
        }),
    )
}

/// As [`rustix::fs::mkdirat`].
pub(crate) fn mkdirat<N: Arg + Copy>(dir: impl AsFd, path: N, mode: Mode) -> Result<(), Errno> {
    note(
        "mkdir",
        &dir,
        || rustix::fs::mkdirat(&dir, path, mode),
        told!(|()| Op::MakeDirectory {
            dir: id(&dir)?,
            name: name(path)?,
            made: child(&dir, path)?
        }),
    )
}

/// As [`rustix::fs::symlinkat`].
pub(crate) fn symlinkat<N: Arg + Copy>(
    target: &[u8],
    dir: impl AsFd,
    path: N,
) -> Result<(), Errno> {
    note(
        "symlink",
        &dir,
        || rustix::fs::symlinkat(target, &dir, path),
        told!(|()| Op::Link {
            dir: id(&dir)?,
            name: name(path)?,
            link: child(&dir, path)?,
            target: target.to_vec(),
        }),
    )
}

/// As [`rustix::fs::renameat`].
pub(crate) fn renameat<N: Arg + Copy, M: Arg + Copy>(
    from: impl AsFd,
    old: N,
    to: impl AsFd,
    new: M,
) -> Result<(), Errno> {
    renameat_with(from, old, to, new, RenameFlags::empty())
}

/// As [`rustix::fs::renameat_with`].
pub(crate) fn renameat_with<N: Arg + Copy, M: Arg + Copy>(
    from: impl AsFd,
    old: N,
    to: impl AsFd,
    new: M,
    flags: RenameFlags,
) -> Result<(), Errno> {
    let label = if flags.contains(RenameFlags::EXCHANGE) { "exchange" } else { "rename" };
    note(
        label,
        &to,
        || rustix::fs::renameat_with(&from, old, &to, new, flags),
        told!(|()| Op::Rename {
            from: id(&from)?,
            old: name(old)?,
            to: id(&to)?,
            new: name(new)?,
            exchanged: flags.contains(RenameFlags::EXCHANGE),
        }),
    )
}

/// As [`rustix::fs::unlinkat`].
pub(crate) fn unlinkat<N: Arg + Copy>(
    dir: impl AsFd,
    path: N,
    flags: AtFlags,
) -> Result<(), Errno> {
    note(
        "unlink",
        &dir,
        || rustix::fs::unlinkat(&dir, path, flags),
        told!(|()| Op::Unlink { dir: id(&dir)?, name: name(path)? }),
    )
}

/// As [`rustix::io::pwrite`].
pub(crate) fn pwrite(file: impl AsFd, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    note(
        "write",
        &file,
        || rustix::io::pwrite(&file, bytes, offset),
        told!(|count| Op::Write {
            file: id(&file)?,
            offset: Some(offset),
            bytes: bytes[..*count].to_vec(),
        }),
    )
}

/// As [`rustix::io::write`], on a file that was opened to append to it.
pub(crate) fn append(file: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    note(
        "write",
        &file,
        || rustix::io::write(&file, bytes),
        told!(|count| Op::Write {
            file: id(&file)?,
            offset: None,
            bytes: bytes[..*count].to_vec(),
        }),
    )
}

/// As [`rustix::fs::ftruncate`].
pub(crate) fn ftruncate(file: impl AsFd, length: u64) -> Result<(), Errno> {
    note(
        "truncate",
        &file,
        || rustix::fs::ftruncate(&file, length),
        told!(|()| Op::Truncate { file: id(&file)?, length }),
    )
}

/// As [`rustix::fs::futimens`].
pub(crate) fn futimens(file: impl AsFd, times: &Timestamps) -> Result<(), Errno> {
    note(
        "times",
        &file,
        || rustix::fs::futimens(&file, times),
        told!(|()| Op::Times {
            file: id(&file)?,
            modified: (times.last_modification.tv_sec, times.last_modification.tv_nsec),
        }),
    )
}

/// As [`rustix::fs::fsync`].
pub(crate) fn fsync(file: impl AsFd) -> Result<(), Errno> {
    note(
        "sync",
        &file,
        || rustix::fs::fsync(&file),
        told!(|()| Op::Sync { what: id(&file)?, with_times: true }),
    )
}

/// As [`rustix::fs::fdatasync`].
pub(crate) fn fdatasync(file: impl AsFd) -> Result<(), Errno> {
    note(
        "sync",
        &file,
        || rustix::fs::fdatasync(&file),
        told!(|()| Op::Sync { what: id(&file)?, with_times: false }),
    )
}

/// As [`rustix::fs::syncfs`].
pub(crate) fn syncfs(of: impl AsFd) -> Result<(), Errno> {
    note(
        "sync",
        &of,
        || rustix::fs::syncfs(&of),
        told!(|()| Op::SyncAll { device: (id(&of)?.0, id(&of)?.1) }),
    )
}
