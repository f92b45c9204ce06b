//! What a case finds: a promise kept, one that doesn't apply, or a broken one.
//!
//! Cases return instead of panicking, so that the suite can be asked what it finds: its own tests
//! run it over drivers with a mistake each and expect it to notice.

use std::fmt;
use std::panic::Location;

use onitu_plug::{Fault, FaultKind};

/// The result of one case.
pub type Promise = Result<Verdict, Broken>;

/// What a case found where nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The promise is kept.
    Kept,
    /// The promise is about an ability, named as in the manifest, that the driver doesn't have.
    /// The runner checks that the manifest denies it.
    NotApplicable(&'static str),
    /// The promise is about being without an ability, named as in the manifest, that the driver
    /// has. The runner checks that the manifest has it.
    Able(&'static str),
    /// The subject has no way to bring about what the case needs. Shown, never a failure: a
    /// storage may really have no such thing as a socket or a marker.
    NoDoor(&'static str),
}

/// A promise that was broken: what was expected, what was found, and where in the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What happened instead, in one sentence.
    pub message: String,
    /// The line of the suite that noticed.
    pub noticed_at: &'static Location<'static>,
}

impl Broken {
    /// A promise that was broken as `message` says, noticed by the caller.
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), noticed_at: Location::caller() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (noticed at {})", self.message, self.noticed_at)
    }
}

impl std::error::Error for Broken {}

impl From<Fault> for Broken {
    #[track_caller]
    fn from(fault: Fault) -> Self {
        Self::new(format!("should have succeeded, but was {:?}: {fault}", fault.kind))
    }
}

impl From<tokio::task::JoinError> for Broken {
    #[track_caller]
    fn from(error: tokio::task::JoinError) -> Self {
        Self::new(format!("the driver panicked: {error}"))
    }
}

/// Holds if `result` is a fault of the kind.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Fault>, kind: FaultKind) -> Result<(), Broken> {
    match result {
        Err(fault) if fault.kind == kind => Ok(()),
        Err(fault) => Err(Broken::new(format!(
            "should have been refused as {kind:?}, but was {:?}: {fault}",
            fault.kind
        ))),
        Ok(_) => Err(Broken::new(format!("should have been refused as {kind:?}, but succeeded"))),
    }
}

/// Holds if both are equal.
#[track_caller]
pub(crate) fn same<T: PartialEq + fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Broken> {
    if found == expected {
        return Ok(());
    }
    Err(Broken::new(format!("{what} should be {expected:?}, but is {found:?}")))
}

/// Ends the case as broken unless the condition holds.
macro_rules! require {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Broken::new(format!($($message)+)));
        }
    };
}

/// Ends the case as not applicable if the manifest denies one of the abilities.
macro_rules! needs {
    ($scene:expr; $($ability:ident),+) => {
        $(if !$scene.abilities().$ability {
            return Ok($crate::Verdict::NotApplicable(stringify!($ability)));
        })+
    };
}

/// Ends the case as not applicable if the manifest has the ability.
macro_rules! needs_no {
    ($scene:expr; $ability:ident) => {
        if $scene.abilities().$ability {
            return Ok($crate::Verdict::Able(stringify!($ability)));
        }
    };
}

/// Does something through a door of the subject, or ends the case if there is none.
macro_rules! through {
    ($door:expr, $what:literal) => {
        if $door.await? == $crate::Door::None {
            return Ok($crate::Verdict::NoDoor($what));
        }
    };
}

pub(crate) use {needs, needs_no, require, through};
