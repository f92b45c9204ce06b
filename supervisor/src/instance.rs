//! One supervisor per state directory, and how commands find it.
//!
//! `state_dir/lock` is held (by `flock`, so that it ends with the process however that ends) for
//! as long as the supervisor runs; `state_dir/instance.json` says where its sockets are. That file
//! is locked too, which tells a living supervisor's from a killed one's: commands try its lock
//! and not the other, so that they never stand in the way of one that starts.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use onitu_core::control::Instance;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::{Failure, runtime_dir};

#[cfg(test)]
mod tests;

const LOCK: &str = "lock";
const INSTANCE: &str = "instance.json";
/// Most bytes of `instance.json` and of `lock`.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A state directory that belongs to this process until this is dropped.
#[derive(Debug)]
pub struct Held {
    state_dir: PathBuf,
    announced: Option<File>,
    _lock: File,
}

impl Held {
    /// Makes the state directory (private) if it is missing, and takes it.
    ///
    /// # Errors
    ///
    /// Names the process that has it, if another has.
    pub fn take(state_dir: &Path) -> anyhow::Result<Held> {
        make_private(state_dir)?;
        let path = state_dir.join(LOCK);
        // Never truncated on opening: it may name the process that holds it.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock =
            options.open(&path).with_context(|| format!("can't open `{}`", path.display()))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(refusal(state_dir, &mut lock).into()),
            Err(error) => {
                return Err(error).with_context(|| format!("can't lock `{}`", path.display()));
            }
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        let held = Held { state_dir: state_dir.to_owned(), announced: None, _lock: lock };
        held.clear();
        Ok(held)
    }

    /// Tells commands where the sockets are.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn announce(&mut self, instance: &Instance) -> anyhow::Result<()> {
        let path = self.state_dir.join(INSTANCE);
        let file = self
            .write_new(instance)
            .and_then(|file| std::fs::rename(self.new_file(), &path).map(|()| file))
            .with_context(|| format!("can't write `{}`", path.display()))?;
        self.announced = Some(file);
        Ok(())
    }

    fn write_new(&self, instance: &Instance) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(self.new_file())?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.write_all(&serde_json::to_vec(instance)?)?;
        Ok(file)
    }

    fn new_file(&self) -> PathBuf {
        self.state_dir.join("instance.json.new")
    }

    /// Forgets what an earlier run left behind.
    fn clear(&self) {
        if let Ok(stale) = File::open(self.state_dir.join(INSTANCE)).and_then(|file| read(&file)) {
            runtime_dir::remove(&stale.runtime_dir);
        }
        let _ = std::fs::remove_file(self.state_dir.join(INSTANCE));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.state_dir.join(INSTANCE));
    }
}

/// The instance that runs on this state directory.
///
/// # Errors
///
/// When none runs, with the remedy.
pub fn running(state_dir: &Path) -> Result<Instance, Failure> {
    let absent = || {
        Failure::failed(format!(
            "Onitu isn't running (state directory `{}`)\nhint: start it with `onitu up`",
            state_dir.display()
        ))
    };
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => absent(),
        _ => Failure::failed(format!("can't read `{}/{INSTANCE}`: {error}", state_dir.display())),
    };
    let file = File::open(state_dir.join(INSTANCE)).map_err(unreadable)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => read(&file).map_err(unreadable),
        // It was killed, and left the file behind.
        _ => Err(absent()),
    }
}

/// Makes a directory, and those above it, for this user alone. One that exists stays as it is.
///
/// # Errors
///
/// As the system says, with the path.
pub fn make_private(directory: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("can't make the directory `{}`", directory.display()))
}

fn read(file: &File) -> std::io::Result<Instance> {
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(std::io::Error::other)
}

fn refusal(state_dir: &Path, lock: &mut File) -> Failure {
    let mut pid = String::new();
    let _ = lock.take(FILE_BYTES_MAX).read_to_string(&mut pid);
    // Empty for an instant while the other one starts.
    let by = match pid.trim() {
        "" => "by another process that is just starting".to_owned(),
        pid => format!("by process {pid}"),
    };
    Failure::failed(format!(
        "the state directory `{}` is in use {by}\n\
         hint: one Onitu per state directory; stop that one, or give this one its own `state_dir`",
        state_dir.display()
    ))
}
