//! What processes say of themselves, and what `onitu status` and its kin print as JSON.

use serde::{Deserialize, Serialize};

use crate::held::Held;
use crate::verify::{Cycle, VerifyStatus};
use crate::{Kind, Path, ServiceId};

/// The number under which the Referee reports, and no service: `epoch` is then the version of the
/// registry for which it has noted all work, so that nobody takes "not noticed yet" for "done".
pub const REFEREE: ServiceId = ServiceId(0);

/// The state of a service (design §8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Its driver is not yet connected.
    #[default]
    Starting,
    /// Its driver compares the service with the records.
    Scanning,
    /// Scanned; changes are seen as they happen.
    Ready,
    /// Stopped by the admin.
    Paused,
    /// Removals or replaced contents wait for the admin's approval.
    Held,
    /// Can't be used; the reason says why. It mends itself when the cause is gone.
    Unavailable,
}

/// What a driver says of itself, at least every few seconds while anything changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Starting, scanning, ready, held or unavailable.
    pub state: ServiceState,
    /// Why it is unavailable, or what else a person should know (polling instead of watching).
    pub reason: Option<String>,
    /// The driver's process.
    pub pid: u32,
    /// The driver's incarnation.
    pub epoch: u64,
    /// Scans of the whole service that were completed by this process.
    pub scans: u64,
    /// Paths the running (or last) scan has looked at.
    pub scanned: u64,
    /// Paths that can't be synchronized from here: unreadable, impossible names. At most 100.
    pub problems: Vec<Problem>,
    /// How many there are in all.
    pub problems_total: u64,
    /// Transfers under way, at most 20, largest first.
    pub transfers: Vec<TransferStatus>,
    /// When this was said, in milliseconds since the epoch.
    pub at_ms: u64,
    /// What the brake holds back, when it does.
    pub held: Option<Held>,
    /// The running or last verification.
    pub verify: Option<VerifyStatus>,
    /// How far the scheduled verification is.
    pub verify_cycle: Option<Cycle>,
    /// The version of what is ignored that it goes by; of the Referee's report, the one for which
    /// it has forgotten what is.
    pub ignoring: u64,
}

/// A path that can't be synchronized, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// As far as it can be shown: bytes that are no UTF-8 are written `\xNN`.
    pub path: String,
    /// One sentence with the remedy.
    pub message: String,
}

/// A transfer under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransferStatus {
    /// What.
    pub path: Path,
    /// From which service.
    pub from: String,
    /// Bytes that are here.
    pub done_bytes: u64,
    /// Bytes in all.
    pub size_bytes: u64,
    /// Measured over the last seconds.
    pub bytes_per_s: u64,
    /// Seconds left at that rate.
    pub eta_s: Option<u64>,
}

/// `onitu status --json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Living paths, directories included.
    pub entries: u64,
    /// Conflicts not ended.
    pub conflicts: u64,
    /// Work to do, over all services.
    pub pending: u64,
    /// The metadata store.
    pub redis: RedisStatus,
    /// By name.
    pub services: Vec<ServiceStatus>,
    /// Every process under the supervisor.
    pub processes: Vec<ProcessStatus>,
    /// What is wrong with files that say what is ignored.
    #[serde(default)]
    pub problems: Vec<Problem>,
}

/// The metadata store's part of [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RedisStatus {
    /// As the server counts it.
    pub used_memory_bytes: u64,
}

/// One service's part of [`Status`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// In `entries.toml`.
    pub name: String,
    /// The driver's name.
    pub driver: String,
    /// How it is.
    pub state: ServiceState,
    /// Why it is so, or a notice.
    pub reason: Option<String>,
    /// Paths it holds, directories included.
    pub files: u64,
    /// Bytes of these, as far as they are on record.
    #[serde(default)]
    pub used_bytes: u64,
    /// Most bytes it may hold, if that is bounded.
    #[serde(default)]
    pub quota_bytes: Option<u64>,
    /// Paths at which it has work to do.
    pub pending: u64,
    /// Paths that it can't keep as they are: links where there can be none, contents or names that
    /// it has refused for good. Not pending, for no time helps.
    #[serde(default)]
    pub unable: u64,
    /// Of its driver, while it runs.
    pub pid: Option<u32>,
    /// Paths looked at by the running or last scan.
    pub scanned: u64,
    /// Problems with single paths; at most 100.
    pub problems: Vec<Problem>,
    /// How many there are in all.
    pub problems_total: u64,
    /// Transfers under way.
    pub transfers: Vec<TransferStatus>,
    /// What the brake holds back, when it does.
    #[serde(default)]
    pub held: Option<Held>,
    /// The running or last verification.
    #[serde(default)]
    pub verify: Option<VerifyStatus>,
}

/// A process under the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// `redis`, `core`, `referee` or `driver-NAME`.
    pub name: String,
    /// While it runs.
    pub pid: Option<u32>,
    /// How often it was started again after it ended by itself.
    pub restarts: u64,
    /// How it last ended, with the last line it wrote to stderr.
    pub last_exit: Option<String>,
}

/// One line of `onitu ls --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where.
    pub path: Path,
    /// What.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// Nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Names of the services that hold the current revision.
    pub holders: Vec<String>,
}

/// `onitu explain --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Where.
    pub path: Path,
    /// 0 when nothing is known of the path.
    pub revision: u64,
    /// Whether it was deleted and the deletion is still on its way.
    pub gone: bool,
    /// What it holds.
    pub kind: Option<Kind>,
    /// In bytes.
    pub size: u64,
    /// Hexadecimal SHA-1, once known.
    pub checksum: Option<String>,
    /// The media type that rules go by: what the name's extension stands for, else what the content
    /// was found to be; empty if that is none that is known, nothing while nobody has looked.
    #[serde(default)]
    pub media: Option<String>,
    /// Who holds which revision.
    pub holders: Vec<HolderStatus>,
    /// Names of the services that should hold it.
    pub targets: Vec<String>,
    /// If it is restricted: names of the only services that may ever hold it.
    #[serde(default)]
    pub only: Option<Vec<String>>,
    /// Whether the rules exclude it: it is not touched anywhere.
    #[serde(default)]
    pub excluded: bool,
    /// When its age alone changes what the rules say, in milliseconds since the epoch.
    #[serde(default)]
    pub changes_at_ms: Option<u64>,
    /// Why it is ignored, if it is.
    #[serde(default)]
    pub ignored: Option<String>,
    /// The file the rules stand in, if a file told them.
    #[serde(default)]
    pub rules_file: Option<String>,
    /// The statements that placed it.
    pub statements: Vec<StatementStatus>,
    /// What is still to be done, and why.
    pub pending: Vec<PendingStatus>,
    /// Services that can't keep it.
    #[serde(default)]
    pub unable: Vec<UnableStatus>,
}

/// A service that can't keep the path of an [`Explanation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnableStatus {
    /// Its name.
    pub service: String,
    /// Why not, and what it holds instead.
    pub reason: String,
}

/// A holder in an [`Explanation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderStatus {
    /// Its name.
    pub service: String,
    /// 0 for a content that lost the name in a conflict.
    pub revision: u64,
    /// Whether it is the current revision.
    pub current: bool,
    /// Whether it is removing what it holds, because the rules have it elsewhere.
    #[serde(default)]
    pub leaving: bool,
}

/// A rule in an [`Explanation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementStatus {
    /// In [`Explanation::rules_file`], or in the rules' text without one, from 1; 0 for the default
    /// without rules.
    pub line: usize,
    /// As written.
    pub text: String,
    /// Whether it matches the path.
    pub matches: bool,
    /// If its globs match and its condition doesn't: the part of the condition that isn't met.
    #[serde(default)]
    pub unmet: Option<String>,
}

/// Work left in an [`Explanation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingStatus {
    /// Who has to do it.
    pub service: String,
    /// What.
    pub work: String,
    /// Why it is not done yet.
    pub reason: String,
    /// Since when it has been left to do, in milliseconds since the epoch, once that is on record.
    #[serde(default)]
    pub since_ms: Option<u64>,
}

/// One line of `onitu conflicts --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictStatus {
    /// The path both wanted.
    pub path: Path,
    /// Where the content that lost the name is kept.
    pub kept: Path,
    /// Name of the service it came from.
    pub service: String,
    /// RFC 3339.
    pub date: String,
    /// What stands at `path` now; [`None`] if nothing does.
    #[serde(default)]
    pub at_path: Option<SideStatus>,
    /// What stands at `kept` now; [`None`] if nothing does.
    #[serde(default)]
    pub at_kept: Option<SideStatus>,
}

/// One of the two contents of a conflict, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideStatus {
    /// What it is.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// Nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Names of the services that hold it.
    pub services: Vec<String>,
    /// Whether it was changed since the conflict, as far as its time or its checksum tells.
    pub edited: bool,
}
