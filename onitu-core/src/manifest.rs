//! What a driver says of itself before it is run: `onitu-driver-NAME manifest` prints it as JSON.

use serde::{Deserialize, Serialize};

/// A driver's name, options and abilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// As in `driver = "NAME"`.
    pub name: String,
    /// One line.
    pub description: String,
    /// Of the driver.
    pub version: String,
    /// Of the messages it speaks ([`crate::message::VERSION`]).
    pub protocol: u8,
    /// What it takes in `[services.*]` beside the options every service has.
    pub options: Vec<OptionSpec>,
    /// What it can do.
    pub abilities: Abilities,
}

/// One option of a driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionSpec {
    /// Its key.
    pub name: String,
    /// What it takes.
    pub kind: OptionKind,
    /// Whether it must be given.
    pub required: bool,
    /// Shown in the reference; used by the driver when the option isn't given.
    #[serde(default)]
    pub default: Option<String>,
    /// One or two sentences.
    pub help: String,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionKind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A folder of this machine that belongs to one service alone; `~` and relative paths are
    /// resolved against the configuration file.
    Folder,
    /// A file of this machine, resolved like a folder.
    File,
    /// A text that is never shown.
    Secret,
}

/// What a driver's service can do; the engine works around what it can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, read by name in JSON")]
pub struct Abilities {
    /// Renames without moving the bytes.
    pub rename: bool,
    /// Keeps mtime.
    pub mtime: bool,
    /// Keeps the executable bit.
    pub executable: bool,
    /// Keeps empty directories.
    pub directories: bool,
    /// Keeps symbolic links.
    pub symlinks: bool,
    /// A file's tag survives its rename, so that a scan recognizes it.
    pub tag_survives_rename: bool,
    /// Tells `a` from `A` and composed from decomposed letters. If not, it keeps the spelling a
    /// name was made with, and the runtime holds the twins of its names under encoded ones.
    pub exact_names: bool,
    /// Keeps what it removes or replaces in a trash.
    pub trash: bool,
}
