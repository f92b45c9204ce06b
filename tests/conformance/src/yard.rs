//! A folder of this machine that a user edits, with what must be on the same disk beside it.
//!
//! The user here is an ordinary program: it writes beside and renames, appends in place, makes
//! pipes and names that are no text, moves the whole folder away and removes what it doesn't know.
//! It knows of the driver only that `.onitu` in the root is the driver's.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path as File, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use onitu_plug::{Fault, FaultKind, Path};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::subject::Door;
use crate::through::fresh_key;

/// A folder, there until it is dropped. Its edits are those of [`Subject`](crate::Subject).
#[derive(Debug)]
pub(crate) struct Yard {
    /// Holds `root`, and beside it what must be on the same disk but is not the service's.
    top: TempDir,
}

impl Yard {
    /// A new, empty folder below `directory`.
    pub(crate) fn make(directory: &File) -> std::io::Result<Self> {
        let yard = Self { top: tempfile::tempdir_in(directory)? };
        fs::create_dir(yard.root())?;
        fs::create_dir(yard.state())?;
        Ok(yard)
    }

    /// The folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.top.path().join("root")
    }

    /// Leaves it where it is when this is dropped.
    pub(crate) fn keep(&mut self) {
        self.top.disable_cleanup(true);
    }

    /// For what a driver keeps beside its storage; nobody else may look into it.
    pub(crate) fn state(&self) -> PathBuf {
        self.top.path().join("state")
    }

    /// The same for a second connection that can't share it; made if it isn't there.
    pub(crate) fn other_state(&self) -> std::io::Result<PathBuf> {
        let state = self.top.path().join("other state");
        fs::create_dir_all(&state)?;
        Ok(state)
    }

    /// Where a path of the service is on this machine.
    fn path(&self, path: &Path) -> PathBuf {
        self.root().join(path.as_str())
    }

    /// A new name on the same disk, outside of the root.
    fn beside(&self) -> PathBuf {
        self.top.path().join(format!("beside-{}", fresh_key()))
    }

    /// The same, with the directories above it made if they aren't there.
    fn make_parents(&self, path: &Path) -> Result<PathBuf, Fault> {
        let full = self.path(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(&error))?;
        }
        Ok(full)
    }

    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let (written, full) = (self.beside(), self.make_parents(path)?);
        fs::write(&written, bytes).map_err(|error| failed(&error))?;
        fs::rename(&written, full).map_err(|error| failed(&error))
    }

    pub(crate) fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.path(path))
            .map_err(|error| failed(&error))?;
        file.write_all(bytes).map_err(|error| failed(&error))
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), Fault> {
        let full = self.path(path);
        let is_directory = fs::symlink_metadata(&full).map_err(|error| failed(&error))?.is_dir();
        let removed = if is_directory { fs::remove_dir(full) } else { fs::remove_file(full) };
        removed.map_err(|error| failed(&error))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        fs::rename(self.path(from), self.make_parents(to)?).map_err(|error| failed(&error))
    }

    pub(crate) fn make_directory(&self, path: &Path) -> Result<(), Fault> {
        fs::create_dir_all(self.path(path)).map_err(|error| failed(&error))
    }

    pub(crate) fn symlink(&self, path: &Path, target: &str) -> Result<(), Fault> {
        symlink(target, self.make_parents(path)?).map_err(|error| failed(&error))
    }

    pub(crate) fn set_attributes(
        &self,
        path: &Path,
        mtime_ns: i64,
        executable: bool,
    ) -> Result<(), Fault> {
        let mode = if executable { 0o755 } else { 0o644 };
        let mtime = UNIX_EPOCH + Duration::from_nanos(mtime_ns.unsigned_abs());
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode))
            .and_then(|()| fs::File::open(self.path(path))?.set_modified(mtime))
            .map_err(|error| failed(&error))
    }

    pub(crate) fn make_strange(&self, path: &Path) -> Result<Door, Fault> {
        let full = self.make_parents(path)?;
        mknodat(CWD, full, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .map_err(|error| failed(&error.into()))?;
        Ok(Door::Used)
    }

    pub(crate) fn make_unnameable(&self) -> Result<Door, Fault> {
        let name = std::ffi::OsStr::from_bytes(b"not \xFF text");
        fs::write(self.root().join(name), b"bytes").map_err(|error| failed(&error))?;
        Ok(Door::Used)
    }

    pub(crate) fn take_away(&self) -> Result<Door, Fault> {
        fs::rename(self.root(), self.top.path().join("away")).map_err(|error| failed(&error))?;
        Ok(Door::Used)
    }

    pub(crate) fn stands_again(&self) -> bool {
        self.root().exists()
    }

    pub(crate) fn bring_back(&self) -> Result<Door, Fault> {
        fs::rename(self.top.path().join("away"), self.root()).map_err(|error| failed(&error))?;
        Ok(Door::Used)
    }

    pub(crate) fn lose_marker(&self) -> Result<Door, Fault> {
        fs::remove_dir_all(self.root().join(".onitu")).map_err(|error| failed(&error))?;
        Ok(Door::Used)
    }

    pub(crate) fn trash(&self) -> Vec<Vec<u8>> {
        let mut kept = Vec::new();
        let mut waiting = vec![self.root().join(".onitu/trash")];
        while let Some(directory) = waiting.pop() {
            let Ok(entries) = fs::read_dir(directory) else { continue };
            for entry in entries.flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                    Ok(kind) if kind.is_file() => kept.extend(fs::read(entry.path()).ok()),
                    _ => {}
                }
            }
        }
        kept
    }
}

/// A failure of the suite's own hands: the disk is full, or the folder is gone. No case expects a
/// fault of this kind, so it is told as it is.
fn failed(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Bug, format!("the suite's own edit of the folder failed: {error}"))
}
