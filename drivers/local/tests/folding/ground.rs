//! A place where a folding disk is mounted.

use std::path::PathBuf;
use std::process::Command;

use fuser::{BackgroundSession, Config, MountOption};
use onitu_conformance::Ground;
use tempfile::TempDir;

use crate::disk::Disk;

/// A folding disk in memory; unmounted when dropped.
pub struct FoldingDisk {
    /// [`None`] where nothing can be mounted.
    mounted: Option<BackgroundSession>,
    at: TempDir,
}

impl Ground for FoldingDisk {
    fn prepare() -> Self {
        let at = tempfile::tempdir().expect("a temporary folder");
        if std::env::var_os("ONITU_TEST_NO_MOUNT").is_some() {
            return Self { mounted: None, at };
        }
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("onitu-test".to_owned()),
            // The kernel, not this disk, asks who may do what.
            MountOption::DefaultPermissions,
        ];
        let mounted = fuser::spawn_mount(Disk::default(), at.path(), &config);
        let mounted = mounted.unwrap_or_else(|error| {
            panic!("a test mounts a disk and so needs root (or ONITU_TEST_NO_MOUNT=1): {error}")
        });
        Self { mounted: Some(mounted), at }
    }

    fn path(&self) -> PathBuf {
        self.at.path().to_owned()
    }
}

impl Drop for FoldingDisk {
    fn drop(&mut self) {
        let Some(mounted) = self.mounted.take() else { return };
        // By force, so that no thread of the driver waits for a disk that ends with its process;
        // lazily, because the driver still has it open.
        for how in ["--force", "--lazy"] {
            let _ = Command::new("umount").arg(how).arg(self.at.path()).output();
        }
        drop(mounted);
    }
}
