//! Editing a folder as its user does.

use std::fs::{File, FileTimes, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::Must;

/// A folder; every path is relative to it. Each method panics when it can't be done.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// The folder `root`.
    pub fn new(root: impl Into<PathBuf>) -> Files {
        Files { root: root.into() }
    }

    /// Where `path` is.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// Writes a file, in place if it exists; makes the directories above it.
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let file = self.at(&path);
        if let Some(above) = file.parent() {
            std::fs::create_dir_all(above).must("the directories above");
        }
        std::fs::write(&file, bytes).must(&format!("write `{}`", file.display()));
    }

    /// What a file holds; [`None`] if it can't be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        std::fs::read(self.at(path)).ok()
    }

    /// Appends to a file, or makes it.
    pub fn append(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let file = self.at(&path);
        let mut open = OpenOptions::new().append(true).create(true).open(&file).must("open");
        open.write_all(bytes.as_ref()).must(&format!("append to `{}`", file.display()));
    }

    /// Whether something is there, be it a dangling link.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    /// Renames, replacing what is there.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        std::fs::rename(self.at(from), self.at(to)).must("rename");
    }

    /// Removes a file or a link.
    pub fn remove(&self, path: impl AsRef<Path>) {
        std::fs::remove_file(self.at(path)).must("remove");
    }

    /// Removes a directory with everything in it.
    pub fn remove_all(&self, path: impl AsRef<Path>) {
        std::fs::remove_dir_all(self.at(path)).must("remove a directory");
    }

    /// Makes a directory and those above it.
    pub fn make_dir(&self, path: impl AsRef<Path>) {
        std::fs::create_dir_all(self.at(path)).must("make a directory");
    }

    /// Makes a symbolic link at `path`.
    pub fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.at(path)).must("make a link");
    }

    /// Sets the permissions, as `chmod` does.
    pub fn chmod(&self, path: impl AsRef<Path>, mode: u32) {
        std::fs::set_permissions(self.at(path), Permissions::from_mode(mode)).must("chmod");
    }

    /// The permission bits.
    pub fn mode(&self, path: impl AsRef<Path>) -> u32 {
        self.at(path).metadata().must("its permissions").mode() & 0o7777
    }

    /// As [`inode`].
    pub fn inode(&self, path: impl AsRef<Path>) -> u64 {
        inode(&self.at(path))
    }
}

/// The file's number on its disk: it stays through a rename, and is another after a copy.
pub fn inode(file: &Path) -> u64 {
    file.symlink_metadata().must(&format!("the inode of `{}`", file.display())).ino()
}

/// The modification time in nanoseconds since the epoch.
pub fn modified_ns(file: &Path) -> i64 {
    let metadata = file.symlink_metadata().must(&format!("the time of `{}`", file.display()));
    metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
}

/// Sets the modification time, in nanoseconds since the epoch.
pub fn set_modified_ns(file: &Path, ns: i64) {
    let apart = Duration::from_nanos(ns.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let times = FileTimes::new().set_modified(if ns < 0 { epoch - apart } else { epoch + apart });
    let open = File::options().write(true).open(file).or_else(|_| File::open(file)).must("open");
    open.set_times(times).must("set the time");
}
