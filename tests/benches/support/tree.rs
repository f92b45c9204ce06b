//! The files that are written and compared: the same on every run, no two alike.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use fastrand::Rng;
use tokio::time::Instant;

/// Pause between two looks at a directory that isn't complete yet.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// Small files in some directories.
#[derive(Clone, Copy)]
pub struct Tree {
    pub files: usize,
    pub bytes: usize,
    pub directories: usize,
}

impl Tree {
    pub fn new(files: usize, directories: usize) -> Self {
        Self { files, bytes: 4096, directories }
    }

    fn directory(number: usize) -> String {
        format!("directory {number:03}")
    }

    /// The name of file `at` below the root.
    pub fn name(&self, at: usize) -> String {
        let directory = Self::directory(at * self.directories / self.files);
        format!("{directory}/file {at:06}.bin")
    }

    /// Writes everything below `root`, directory by directory.
    pub fn write(&self, root: &Path) -> anyhow::Result<()> {
        for number in 0..self.directories {
            fs::create_dir(root.join(Self::directory(number)))?;
        }
        for at in 0..self.files {
            fs::write(root.join(self.name(at)), content(at as u64, self.bytes))?;
        }
        Ok(())
    }

    /// Returns when every directory below `root` has its number of files.
    pub fn wait_at(&self, root: &Path, limit: Duration) -> anyhow::Result<()> {
        let since = Instant::now();
        let mut sizes = vec![0; self.directories];
        (0..self.files).for_each(|at| sizes[at * self.directories / self.files] += 1);
        for (number, size) in sizes.into_iter().enumerate() {
            let directory = root.join(Self::directory(number));
            while fs::read_dir(&directory).map_or(0, Iterator::count) < size {
                let after = since.elapsed();
                ensure!(after < limit, "`{}` is incomplete after {after:?}", directory.display());
                pause(LOOK_PAUSE);
            }
        }
        Ok(())
    }

    /// Compares every byte below `root` with what was written.
    pub fn compare(&self, root: &Path) -> anyhow::Result<()> {
        for at in 0..self.files {
            let path = root.join(self.name(at));
            let found = fs::read(&path).with_context(|| path.display().to_string())?;
            ensure!(found == content(at as u64, self.bytes), "`{}` differs", path.display());
        }
        Ok(())
    }
}

/// The bytes number `seed`.
pub fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    Rng::with_seed(seed).fill(&mut content);
    content
}

#[expect(clippy::disallowed_methods, reason = "between two looks, in a program of one thread")]
pub fn pause(pause: Duration) {
    std::thread::sleep(pause);
}
