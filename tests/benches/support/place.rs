//! Where a benchmark works: a fresh file system if it may make one, else a temporary directory.
//!
//! On a file system where many files were deleted just before, creating some costs several times
//! as much, so a run with many files needs a fresh one for each contender.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use rustix::process::geteuid;
use tempfile::TempDir;

use super::report::Report;

/// A directory that goes with this.
pub struct Place {
    directory: TempDir,
    mounted: Option<PathBuf>,
}

impl Place {
    /// A directory in the temporary directory (`TMPDIR`).
    pub fn plain() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("onitu-bench-").tempdir()?;
        Ok(Self { directory, mounted: None })
    }

    /// A fresh ext4 of `gigabytes` in an image in the temporary directory; without the right to
    /// mount, a plain one, and the report says so.
    pub fn fresh(gigabytes: u64, report: &mut Report) -> anyhow::Result<Self> {
        let mut place = Self::plain()?;
        if !geteuid().is_root() {
            report.note("no fresh file system (only root may mount one): figures vary more");
            return Ok(place);
        }
        let at = place.directory.path().join("mounted");
        match mount(place.directory.path(), &at, gigabytes) {
            Ok(()) => place.mounted = Some(at),
            Err(error) => report.note(format!("no fresh file system: {error:#}")),
        }
        Ok(place)
    }

    pub fn path(&self) -> &Path {
        self.mounted.as_deref().unwrap_or_else(|| self.directory.path())
    }

    /// The directory `name` in it, made if it isn't there.
    pub fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Returns when everything written to it is on the disk.
    pub fn flush(&self) -> anyhow::Result<()> {
        let directory = std::fs::File::open(self.path())?;
        Ok(rustix::fs::syncfs(directory)?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(at) = &self.mounted else { return };
        if let Err(error) = run(Command::new("umount").arg(at)) {
            eprintln!("`{}` stays mounted: {error:#}", at.display());
        }
    }
}

fn mount(directory: &Path, at: &Path, gigabytes: u64) -> anyhow::Result<()> {
    let image = directory.join("image");
    std::fs::create_dir(at)?;
    std::fs::File::create(&image)?.set_len(gigabytes << 30)?;
    // Everything is laid out now: nothing works in the background during a measurement.
    let eager = "lazy_itable_init=0,lazy_journal_init=0";
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", eager]).arg(&image))?;
    run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}
