//! What is said on the two control sockets: one JSON value a line, one answer a line.
//!
//! The supervisor listens on `supervisor.sock` (the Core speaks to it), the Core on `core.sock`
//! (the command line speaks to it), both in the private runtime directory.

use serde::{Deserialize, Serialize};

use crate::Path;
use crate::held::{Approval, Review};
use crate::plan::{Plan, PlanQuestion};
use crate::resolve::{Keep, Resolution};
use crate::status::{ConflictStatus, Entry, Explanation, ProcessStatus, Status};
use crate::trash::{RestoreQuestion, RestoredStatus, TrashQuestion, TrashedStatus};
use crate::verify::{Manner, VerifyStatus};

/// What every process of one instance needs to find the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The supervisor's process id.
    pub pid: u32,
    /// The private directory of its sockets.
    pub runtime_dir: std::path::PathBuf,
    /// The configuration it runs.
    pub config: std::path::PathBuf,
}

/// A process the Core wants to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// `driver-NAME`.
    pub name: String,
    /// The program.
    pub program: std::path::PathBuf,
    /// Its arguments. A process whose program or arguments change is started anew.
    pub arguments: Vec<String>,
}

/// To the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToSupervisor {
    /// Exactly these drivers shall run: start what is missing, stop what is too much, leave the
    /// rest alone.
    Run(Vec<Wanted>),
    /// Start one process anew.
    Restart(String),
    /// Tell about every process.
    List,
}

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromSupervisor {
    /// It will be so.
    Done,
    /// To [`ToSupervisor::List`].
    Processes(Vec<ProcessStatus>),
    /// It can't be.
    Error(String),
}

/// To the Core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToCore {
    /// Everything `onitu status` shows.
    Status,
    /// Whether nothing is pending and all scans are done; the caller asks again until it is.
    Settled,
    /// The tree below a path.
    Ls(Path),
    /// Why a path is where it is, or would be.
    Explain(Box<Supposed>),
    /// What rules would change.
    Plan(PlanQuestion),
    /// Remove what the plan of this id lists, if it still comes out the same.
    Apply(String),
    /// Conflicts not ended.
    Conflicts,
    /// Read the configuration again.
    Reload,
    /// Scan a service, or all.
    Rescan(Option<String>),
    /// Stop a service, or all, until resumed; survives restarts.
    Pause(Option<String>),
    /// Go on with a service, or all.
    Resume(Option<String>),
    /// What the brake holds back on a service, or what is decided about it.
    Approve(String, Approval),
    /// What the trashes hold.
    Trash(TrashQuestion),
    /// Put things from the trashes in their places.
    Restore(RestoreQuestion),
    /// Verify a service, or all, or ask how far that is.
    Verify(ToVerify),
    /// End the conflicts whose copies stand at these paths; at most
    /// [`crate::limits::RESOLVE_MAX`] at once.
    Resolve {
        /// The copies.
        kept: Vec<Path>,
        /// What to go on with.
        keep: Keep,
    },
}

/// A path to explain, and what to suppose of it instead of what is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supposed {
    /// Where.
    pub path: Path,
    /// In bytes.
    pub size: Option<u64>,
    /// Seconds since it was modified.
    pub age_s: Option<u64>,
    /// Name of the service on which it was first seen.
    pub from: Option<String>,
    /// Its media type.
    pub media: Option<String>,
}

/// What may be asked about verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToVerify {
    /// Begin with a service, or all that aren't paused.
    Begin {
        /// Its name.
        service: Option<String>,
        /// How.
        manner: Manner,
    },
    /// How far it is: each service with the number it told when it began.
    Progress(Vec<(String, u64)>),
    /// End it: each service with the number it told when it began.
    Stop(Vec<(String, u64)>),
}

/// A service's answer to [`ToVerify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifying {
    /// Its name.
    pub service: String,
    /// How far it is; [`None`] if it was never verified or can't tell.
    pub verify: Option<VerifyStatus>,
    /// Why it can't be verified, or can't tell just now.
    pub problem: Option<String>,
}

/// From the Core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromCore {
    /// To [`ToCore::Status`].
    Status(Box<Status>),
    /// To [`ToCore::Settled`]: what is still going on; [`None`] when everything is in step.
    Settled(Option<String>),
    /// To [`ToCore::Ls`]: many lines of these, then [`FromCore::Done`].
    Entries(Vec<Entry>),
    /// To [`ToCore::Explain`].
    Explanation(Box<Explanation>),
    /// To [`ToCore::Conflicts`].
    Conflicts(Vec<ConflictStatus>),
    /// It is so; with a sentence for the person.
    Done(String),
    /// To [`ToCore::Verify`]: one for each service that is meant.
    Verifying(Vec<Verifying>),
    /// To [`ToCore::Resolve`]: one for each copy that was named.
    Resolved(Vec<Resolution>),
    /// It can't be; rendered for the person, and the exit code.
    Error {
        /// Says what to do.
        message: String,
        /// 1, or 78 for a bad configuration.
        code: u8,
    },
    /// To [`ToCore::Plan`].
    Plan(Box<Plan>),
    /// To [`ToCore::Approve`] without a verdict.
    Held(Box<Review>),
    /// To [`ToCore::Trash`]: many lines of these, then [`FromCore::Done`] with what else there is
    /// to know.
    Trash(Vec<TrashedStatus>),
    /// To [`ToCore::Restore`]: many lines of these, then [`FromCore::Done`] as for a trash.
    Restored(Vec<RestoredStatus>),
}
