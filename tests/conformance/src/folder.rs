//! A subject for drivers whose storage is a folder of this machine: its user edits the files.
//!
//! The user here is an ordinary program: it writes beside and renames, appends in place, makes
//! pipes and names that are no text, moves the whole folder away and removes what it doesn't know.
//! It knows of the driver only that `.onitu` in the root is the driver's.

use std::fs;
use std::io::Write;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use onitu_plug::{Fault, FaultKind, Path, Plug};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::subject::{Door, Subject};
use crate::through::fresh_key;

/// Where a folder is made: a disk of its own kind, there until it is dropped.
pub trait Ground: Sized + Send + Sync + 'static {
    /// Makes it.
    ///
    /// # Panics
    /// When it can't be made, which fails the test.
    fn prepare() -> Self;

    /// A directory on it.
    fn path(&self) -> PathBuf;
}

/// The system's directory for temporary files.
#[derive(Debug)]
pub struct Anywhere;

impl Ground for Anywhere {
    fn prepare() -> Self {
        Self
    }

    fn path(&self) -> PathBuf {
        std::env::temp_dir()
    }
}

/// A temporary folder that the driver `P` has for its root, given as the option `root`. What the
/// driver keeps for itself is looked for in `.onitu` of the root.
pub struct Folder<P, G = Anywhere> {
    /// Holds `root`, and beside it what must be on the same disk but is not the service's.
    top: TempDir,
    plug: PhantomData<fn() -> P>,
    /// Dropped last.
    _ground: G,
}

impl<P, G> Folder<P, G> {
    /// The service's root.
    pub fn root(&self) -> PathBuf {
        self.top.path().join("root")
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
}

impl<P: Plug, G: Ground> Subject for Folder<P, G> {
    type Plug = P;

    async fn fresh() -> Self {
        let ground = G::prepare();
        let top = tempfile::tempdir_in(ground.path())
            .unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let folder = Self { top, plug: PhantomData, _ground: ground };
        fs::create_dir(folder.root()).unwrap_or_else(|error| panic!("no root: {error}"));
        folder
    }

    fn options(&self) -> Value {
        json!({ "root": self.root() })
    }

    fn has_door(&self) -> bool {
        true
    }

    async fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let (written, full) = (self.beside(), self.make_parents(path)?);
        fs::write(&written, bytes).map_err(|error| failed(&error))?;
        fs::rename(&written, full).map_err(|error| failed(&error))
    }

    async fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.path(path))
            .map_err(|error| failed(&error))?;
        file.write_all(bytes).map_err(|error| failed(&error))
    }

    async fn remove(&self, path: &Path) -> Result<(), Fault> {
        let full = self.path(path);
        let is_directory = fs::symlink_metadata(&full).map_err(|error| failed(&error))?.is_dir();
        let removed = if is_directory { fs::remove_dir(full) } else { fs::remove_file(full) };
        removed.map_err(|error| failed(&error))
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        fs::rename(self.path(from), self.make_parents(to)?).map_err(|error| failed(&error))
    }

    async fn make_directory(&self, path: &Path) -> Result<(), Fault> {
        fs::create_dir_all(self.path(path)).map_err(|error| failed(&error))
    }

    async fn symlink(&self, path: &Path, target: &str) -> Result<(), Fault> {
        symlink(target, self.make_parents(path)?).map_err(|error| failed(&error))
    }

    async fn set_attributes(
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

    async fn make_strange(&self, path: &Path) -> Result<Door, Fault> {
        let full = self.make_parents(path)?;
        mknodat(CWD, full, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .map_err(|error| failed(&error.into()))?;
        Ok(Door::Used)
    }

    async fn make_unnameable(&self) -> Result<Door, Fault> {
        let name = std::ffi::OsStr::from_bytes(b"not \xFF text");
        fs::write(self.root().join(name), b"bytes").map_err(|error| failed(&error))?;
        Ok(Door::Used)
    }

    async fn take_away(&self) -> Result<Door, Fault> {
        fs::rename(self.root(), self.top.path().join("away")).map_err(|error| failed(&error))?;
        Ok(Door::Used)
    }

    fn stands_again(&self) -> bool {
        self.root().exists()
    }

    async fn bring_back(&self) -> Result<Door, Fault> {
        fs::rename(self.top.path().join("away"), self.root()).map_err(|error| failed(&error))?;
        Ok(Door::Used)
    }

    async fn lose_marker(&self) -> Result<Door, Fault> {
        fs::remove_dir_all(self.root().join(".onitu")).map_err(|error| failed(&error))?;
        Ok(Door::Used)
    }

    async fn trash(&self) -> Result<Option<Vec<Vec<u8>>>, Fault> {
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
        Ok(Some(kept))
    }
}

/// A failure of the suite's own hands: the disk is full, or the folder is gone. No case expects a
/// fault of this kind, so it is told as it is.
fn failed(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Bug, format!("the suite's own edit of the folder failed: {error}"))
}
