//! What is said about the trash of a service: what it holds, and what is wanted back.
//!
//! Where a trash is and how it is kept is the driver's business; nothing here moves anything.

use serde::{Deserialize, Serialize};

use crate::{Fault, Kind, Path};

/// Most items of one page of a trash.
pub const PAGE_ITEMS_MAX: usize = 500;
/// Most items of one request to restore.
pub const RESTORES_MAX: usize = 256;

/// Why something went to the trash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// An order removed it: it was deleted elsewhere.
    Removed,
    /// An order put another content in its place: it was changed elsewhere.
    Replaced,
    /// `onitu restore` put another content in its place.
    Restored,
    /// An older version of the driver didn't write it down.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Which part of a trash is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashQuery {
    /// Only what stood at this path or below it.
    pub below: Path,
    /// Only what went to the trash later than this, in milliseconds since 1970.
    #[serde(default)]
    pub after_ms: u64,
    /// Where the page before ended ([`TrashPage::next`]); from the newest on if not given.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Most items, at most [`PAGE_ITEMS_MAX`].
    pub limit: usize,
}

/// One thing in a trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trashed {
    /// Names it in its trash.
    pub id: String,
    /// Where it stood.
    pub path: Path,
    /// When it went to the trash, in milliseconds since 1970.
    pub at_ms: u64,
    /// File or link.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// When it was last changed before, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Why it is there.
    #[serde(default)]
    pub why: Why,
}

/// Part of what a trash holds, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashPage {
    /// Perhaps none, although there is a next page.
    pub items: Vec<Trashed>,
    /// Where the next page begins; [`None`] at the end.
    pub next: Option<String>,
}

/// One thing that is wanted back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// [`Trashed::id`].
    pub id: String,
    /// [`Trashed::kind`] and [`Trashed::size`]: what is of another size needs no comparison.
    pub kind: Kind,
    /// See [`Restore::kind`].
    pub size: u64,
    /// Where it shall stand.
    pub path: Path,
    /// Whether what stands there now goes to the trash in exchange; else it is left alone.
    pub replace: bool,
}

/// What became of a [`Restore`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restored {
    /// It stands at its path, durably, and was announced.
    Placed {
        /// What stood there before is in the trash now.
        replaced: bool,
    },
    /// The same content stands there already; nothing was changed.
    Same,
    /// Something else stands there; nothing was changed.
    Occupied,
    /// It can't be; nothing was changed.
    Failed(Fault),
}

/// What a person asks about the trashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashQuestion {
    /// Only what stood at this path or below it.
    pub below: Path,
    /// Only the trash of this service.
    pub service: Option<String>,
    /// Most lines.
    pub limit: Option<u64>,
}

/// What a person wants back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreQuestion {
    /// Files, or directories with what was in them.
    pub paths: Vec<Path>,
    /// As it was at that time, in milliseconds since 1970; what went last if not given.
    pub at_ms: Option<u64>,
    /// Only from the trash of this service.
    pub service: Option<String>,
    /// To this path instead, where nothing may stand. For one path only.
    pub to: Option<Path>,
}

/// One line of `onitu trash list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashedStatus {
    /// Name of the service whose trash has it.
    pub service: String,
    /// Where it stood.
    pub path: Path,
    /// File or link.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// When it was last changed before, in nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// When it went to the trash, in RFC 3339.
    pub date: String,
    /// Why it went.
    pub why: Why,
}

/// One line of `onitu restore --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredStatus {
    /// Where it stood.
    pub path: Path,
    /// Where it stands now, or should.
    pub to: Path,
    /// Name of the service whose trash had it.
    pub service: Option<String>,
    /// When it had gone to the trash, in RFC 3339.
    pub date: Option<String>,
    /// What became of it.
    pub outcome: RestoreOutcome,
    /// Why, if it could not be, and what to do.
    pub message: Option<String>,
}

/// How the wish to have something back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreOutcome {
    /// It stands there again.
    Placed,
    /// It stands there again, and what stood there is in the trash now.
    Replaced,
    /// What stands there now is what stood there at that time: nothing has gone to a trash since.
    Present,
    /// It could not be.
    Failed,
}
