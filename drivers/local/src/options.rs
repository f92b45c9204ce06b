//! The driver's options and its manifest.

use std::path::PathBuf;

use onitu_plug::{Abilities, Manifest, OptionKind, OptionSpec, PROTOCOL_VERSION};
use serde::Deserialize;

/// What `[services.NAME]` says to this driver; the Core has refused what the manifest doesn't name.
#[derive(Debug, Clone, Deserialize)]
pub struct Options {
    /// The folder, absolute.
    pub root: PathBuf,
    /// Most directories to watch before the rest is polled, 0 to do without inotify; what the kernel
    /// allows if not given. Not in the manifest: for tests.
    #[serde(default)]
    pub watches_max: Option<usize>,
    /// Seconds between two polls of what can't be watched; 30 if not given. Not in the manifest:
    /// for tests.
    #[serde(default)]
    pub poll_s: Option<u64>,
}

impl Options {
    /// The folder `root` with everything else as by default.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), watches_max: None, poll_s: None }
    }
}

/// Name, options and abilities of this driver.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        name: "local".to_owned(),
        description: "A folder of this machine".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        options: vec![OptionSpec {
            name: "root".to_owned(),
            kind: OptionKind::Folder,
            required: true,
            default: None,
            help: "The folder to synchronize. It must exist; Onitu keeps its own files in \
                   `.onitu` inside it."
                .to_owned(),
        }],
        abilities: Abilities {
            rename: true,
            mtime: true,
            executable: true,
            directories: true,
            symlinks: true,
            tag_survives_rename: true,
            exact_names: true,
            trash: true,
        },
    }
}
