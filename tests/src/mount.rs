//! A disk that is soon full.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Must;

/// Set to anything, tests that need root do nothing.
const NO_MOUNT_VARIABLE: &str = "ONITU_TEST_NO_MOUNT";

/// A file system in memory, unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `bytes` at the existing directory `at`. [`None`] where the environment says
    /// that it can't be done; panics where it can't and nothing says so.
    pub fn mount(at: &Path, bytes: u64) -> Option<SmallDisk> {
        if std::env::var_os(NO_MOUNT_VARIABLE).is_some() {
            return None;
        }
        let options = format!("size={bytes},mode=0777");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "onitu-test"])
            .arg(at)
            .output()
            .must("start `mount`");
        assert!(
            output.status.success(),
            "this test mounts a small disk and so needs root ({NO_MOUNT_VARIABLE}=1 leaves it \
             out): {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(SmallDisk { at: at.to_owned() })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still runs there at the end of a failed test shall not keep it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
