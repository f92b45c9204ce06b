//! Ending a conflict: what a person may want of its two contents, and what that asks of a driver.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Path, Tag};

/// Which content of a conflict a person wants to go on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The one that came from the service of this name.
    Service(String),
    /// The one that was changed last.
    Newest,
    /// Both, under the names they have.
    Both,
}

impl From<&str> for Keep {
    fn from(text: &str) -> Self {
        match text {
            "both" => Self::Both,
            "newest" => Self::Newest,
            name => Self::Service(name.to_owned()),
        }
    }
}

/// As it is written on the command line.
impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Both => "both",
            Self::Newest => "newest",
            Self::Service(name) => name,
        })
    }
}

/// What a driver is asked to do about the two paths of a conflict, as a user of its service would
/// do it. Where one of them is not as expected, nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveRequest {
    /// The path both contents wanted.
    pub path: Path,
    /// Its state; [`None`]: absent.
    pub expect: Option<Tag>,
    /// Where the content that lost the name is kept.
    pub kept: Path,
    /// Its state.
    pub expect_kept: Tag,
    /// What.
    pub way: Way,
}

/// How a conflict ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The copy's content takes the name; what had it goes to the trash.
    TakeCopy,
    /// The copy goes to the trash.
    RemoveCopy,
    /// Both stay where they are.
    KeepBoth,
}

/// How it went with one conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The path both contents wanted.
    pub path: Path,
    /// Where the content that lost the name was kept.
    pub kept: Path,
    /// What was done; [`None`]: nothing, and `message` says why.
    pub done: Option<Way>,
    /// A sentence.
    pub message: String,
}
