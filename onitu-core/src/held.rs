//! What the safety brake holds back on a service, and what a person may say about it.

use serde::{Deserialize, Serialize};

use crate::Path;

/// A part of the files that a service holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// In hundredths.
    Percent(u8),
    /// So many, however many there are.
    Count(u64),
}

impl Share {
    /// Whether `count` files are more than this share of `of` files.
    pub fn is_exceeded(self, count: u64, of: u64) -> bool {
        match self {
            Self::Percent(percent) => {
                u128::from(count) * 100 > u128::from(percent) * u128::from(of)
            }
            Self::Count(most) => count > most,
        }
    }
}

/// How much is held; in files and links, directories aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    /// Files that were removed on the service.
    pub removed: u64,
    /// Files whose contents were replaced there.
    pub changed: u64,
    /// Files that it held before.
    pub of: u64,
}

/// What an approval or a rejection would decide about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Review {
    /// How much.
    pub held: Held,
    /// Bytes of the removed files, as they are recorded.
    pub removed_bytes: u64,
    /// Bytes of the files that were replaced, as they are recorded.
    pub changed_bytes: u64,
    /// Some of the paths, in order; at most [`Review::SAMPLE_MAX`].
    pub sample: Vec<HeldPath>,
    /// The directories at the top of the tree in which most of them stand (the root for files
    /// outside of any), the fullest first; at most [`Review::DIRECTORIES_MAX`].
    pub directories: Vec<HeldDirectory>,
}

impl Review {
    /// Most paths of a sample.
    pub const SAMPLE_MAX: usize = 20;
    /// Most directories.
    pub const DIRECTORIES_MAX: usize = 10;
}

/// A path of a [`Review`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPath {
    /// Where.
    pub path: Path,
    /// What happened to it.
    pub change: HeldChange,
    /// As it is recorded.
    pub size: u64,
}

/// What happened to a path that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldChange {
    /// It is gone.
    Removed,
    /// It has other contents.
    Changed,
}

/// A directory of a [`Review`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldDirectory {
    /// Where.
    pub path: Path,
    /// Files held in it and below.
    pub files: u64,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as meant: do it everywhere.
    Approve,
    /// It was a mistake: bring the files back.
    Reject,
}

/// A question about what is held, or a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Approval {
    /// [`None`] only asks for the [`Review`].
    pub verdict: Option<Verdict>,
    /// What the person was shown: should more be held by now, nothing is decided.
    pub seen: Option<Held>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exceeded_by_more_than_itself() {
        let table = [
            (Share::Percent(50), 20, 40, false),
            (Share::Percent(50), 21, 40, true),
            (Share::Percent(0), 0, 40, false),
            (Share::Percent(0), 1, 40, true),
            (Share::Percent(100), 40, 40, false),
            (Share::Percent(33), u64::MAX, u64::MAX, true),
            (Share::Count(500), 500, 501, false),
            (Share::Count(500), 501, 1_000_000, true),
        ];
        for (share, count, of, exceeded) in table {
            assert_eq!(share.is_exceeded(count, of), exceeded, "{count} of {of}: {share:?}");
        }
    }
}
