//! What a storage in memory can do: chosen by a type where the manifest shall say it too, since
//! that is constant, or by a value ([`crate::MemoryService::able`]).

use onitu_plug::Abilities;

/// Chooses the abilities of a [`crate::Memory`] and its [`crate::MemoryService`].
pub trait Able: Send + Sync + 'static {
    /// The driver's name in the manifest.
    const NAME: &'static str;
    /// What the storage can do; what it can't, it refuses as `Unsupported` or forgets, as a real
    /// one would.
    const ABILITIES: Abilities;
}

/// Everything a file system can do.
#[derive(Debug, Clone, Copy)]
pub struct Everything;

/// As little as an object store can do: no renames, times, executable bits, empty directories,
/// links or trash.
#[derive(Debug, Clone, Copy)]
pub struct Bucket;

/// A file system that can't tell `a` from `A`, as on other systems.
#[derive(Debug, Clone, Copy)]
pub struct Folding;

const ALL: Abilities = Abilities {
    rename: true,
    mtime: true,
    executable: true,
    directories: true,
    symlinks: true,
    tag_survives_rename: true,
    exact_names: true,
    trash: true,
};

impl Able for Everything {
    const NAME: &'static str = "memory";
    const ABILITIES: Abilities = ALL;
}

impl Able for Bucket {
    const NAME: &'static str = "memory-bucket";
    const ABILITIES: Abilities = Abilities {
        rename: false,
        mtime: false,
        executable: false,
        directories: false,
        symlinks: false,
        tag_survives_rename: false,
        exact_names: true,
        trash: false,
    };
}

impl Able for Folding {
    const NAME: &'static str = "memory-folding";
    const ABILITIES: Abilities = Abilities { exact_names: false, ..ALL };
}
