//! Verification: what is asked of a driver, and how far it has come.
//!
//! A verification compares what a service holds with the records: first the tags of all paths,
//! then, when it is a deep one, the bytes of all files. The driver's runtime does it; this room
//! has the words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::Path;

/// Into how many parts a scheduled verification is divided; after each it may be interrupted
/// without being begun anew.
pub const CYCLE_PARTS: u32 = 30;
/// Most findings that are told one by one.
pub const FINDINGS_MAX: usize = 20;
/// Most parts a tree is divided into.
const PARTS_MAX: u32 = 10_000;

/// One of several parts of the tree: each path is in exactly one of them, whatever else there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Part {
    number: u32,
    of: u32,
}

impl Part {
    /// Everything.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Part `number`, from 1, of `of`; [`None`] if there is no such part.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        let exists = (1..=of).contains(&number) && of <= PARTS_MAX;
        exists.then_some(Self { number, of })
    }

    /// Whether `path` is in it.
    pub fn holds(self, path: &Path) -> bool {
        xxh3_64(path.as_str().as_bytes()) % u64::from(self.of) == u64::from(self.number - 1)
    }

    /// About how many of `count` paths are in it.
    pub fn share_of(self, count: u64) -> u64 {
        count.div_ceil(u64::from(self.of))
    }
}

impl Default for Part {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// `3/30`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, of)| Some((number.trim().parse().ok()?, of.trim().parse().ok()?)));
        numbers.and_then(|(number, of)| Self::new(number, of)).ok_or_else(|| {
            format!(
                "a part is written `3/30`: a number from 1, and of how many (at most {PARTS_MAX})"
            )
        })
    }
}

impl TryFrom<String> for Part {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        part.to_string()
    }
}

/// How a service is to be verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manner {
    /// Whether the bytes are read and compared, too.
    pub deep: bool,
    /// Which part of the tree.
    pub part: Part,
    /// How fast bytes may be read; [`None`]: as fast as they come.
    pub bytes_per_s: Option<u64>,
}

/// What is asked of a driver about verification. Asked twice it does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyRequest {
    /// Begin one; refused while another one runs that a person asked for.
    Begin {
        /// Chosen by the asker, unique.
        id: u64,
        /// How.
        manner: Manner,
    },
    /// Tell how far this one is, or how it ended; another one if this one is forgotten.
    Progress {
        /// As it was begun.
        id: u64,
    },
    /// End the one of this number.
    Stop {
        /// As it was begun.
        id: u64,
    },
}

/// What a verification is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Looks at every path: is its state the known one?
    #[default]
    Looking,
    /// Reads every file: are its bytes the known ones?
    Reading,
    /// It came to its end, or was ended; [`VerifyStatus::stopped`] says which.
    Ended,
}

/// How far a verification is, or how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerifyStatus {
    /// Its number.
    pub id: u64,
    /// Whether the bytes are read.
    pub deep: bool,
    /// Which part of the tree.
    pub part: Part,
    /// Whether it runs by itself, because the service's option `verify` says so.
    pub scheduled: bool,
    /// What it does just now.
    pub phase: Phase,
    /// Paths looked at.
    pub checked: u64,
    /// Paths to look at; an estimate until all are looked at.
    pub total: u64,
    /// Files read.
    pub files: u64,
    /// Files to read; 0 before the first is read.
    pub files_total: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes to read.
    pub bytes_total: u64,
    /// Measured since the first was read.
    pub bytes_per_s: u64,
    /// Seconds left for what it does just now, at the rate until now.
    pub eta_s: Option<u64>,
    /// Files with other bytes than known, in the known state.
    pub rotten: u64,
    /// Those of them that can't be repaired: no other service has them, or this one is never
    /// written to.
    pub unrepairable: u64,
    /// Paths in another state than known; they were looked at anew.
    pub changed: u64,
    /// Paths at which nothing is; the service is scanned for them.
    pub missing: u64,
    /// Paths that could not be looked at or read.
    pub unreadable: u64,
    /// The first of what was found, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// When it began, in milliseconds since the epoch.
    pub began_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
    /// Why it ended before it was through.
    pub stopped: Option<String>,
}

impl VerifyStatus {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether it came to its end and found nothing that a person has to know of.
    pub fn is_sound(&self) -> bool {
        self.is_over() && self.stopped.is_none() && self.rotten == 0 && self.unreadable == 0
    }
}

/// What a verification found at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where.
    pub path: Path,
    /// What.
    pub kind: FindingKind,
    /// A sentence, with what is done about it.
    pub message: String,
}

/// The kinds of findings, as [`VerifyStatus`] counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Other bytes in the known state.
    Rotten,
    /// Another state.
    Changed,
    /// Nothing.
    Missing,
    /// It could not be looked at or read.
    Unreadable,
}

/// How far a service is with its scheduled verification: of [`CYCLE_PARTS`] parts, which are due
/// one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// When the whole was last done, or first asked for, in milliseconds since the epoch.
    pub began_at_ms: u64,
    /// Parts done since then.
    pub parts_done: u32,
}

impl Cycle {
    /// When the next part is due, if the whole shall be done every `every_ms`.
    pub fn due_at_ms(&self, every_ms: u64) -> u64 {
        let part_ms = u128::from(every_ms) * u128::from(self.parts_done + 1);
        let after_ms = part_ms / u128::from(CYCLE_PARTS);
        self.began_at_ms.saturating_add(u64::try_from(after_ms).unwrap_or(u64::MAX))
    }

    /// The part that comes next.
    pub fn next(&self) -> Part {
        Part::new(self.parts_done % CYCLE_PARTS + 1, CYCLE_PARTS).unwrap_or_default()
    }

    /// After the next part was done at `now_ms`.
    #[must_use]
    pub fn after(&self, now_ms: u64) -> Self {
        let parts_done = self.parts_done + 1;
        if parts_done < CYCLE_PARTS {
            return Self { parts_done, ..*self };
        }
        Self { began_at_ms: now_ms, parts_done: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_in_exactly_one_part() {
        for of in [1, 2, 7, 30] {
            let parts: Vec<Part> = (1..=of).filter_map(|number| Part::new(number, of)).collect();
            assert_eq!(parts.len(), of as usize);
            for at in 0..500 {
                let path = Path::new(&format!("d{}/file {at}", at % 9)).expect("legal");
                assert_eq!(parts.iter().filter(|part| part.holds(&path)).count(), 1, "{path}");
            }
        }
    }

    #[test]
    fn parts_are_of_like_size() {
        let part = Part::new(3, 10).expect("a part");
        let paths = (0..10_000).filter_map(|at| Path::new(&format!("file {at}")).ok());
        let held = paths.filter(|path| part.holds(path)).count();
        assert!((800..1_200).contains(&held), "{held}");
    }

    #[test]
    fn parts_are_written_as_they_are_read() {
        let part: Part = " 3 / 30".parse().expect("a part");
        assert_eq!((part, part.to_string()), (Part { number: 3, of: 30 }, "3/30".to_owned()));
        for wrong in ["", "3", "0/3", "4/3", "1/0", "-1/3", "1/2/3", "1/99999", "a/b"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
        let json = serde_json::to_string(&part).expect("writable");
        assert_eq!((json.as_str(), serde_json::from_str(&json).ok()), ("\"3/30\"", Some(part)));
        assert!(serde_json::from_str::<Part>("\"0/0\"").is_err());
    }

    #[test]
    fn a_cycle_is_spread_over_its_time_and_begins_anew() {
        let mut cycle = Cycle { began_at_ms: 1_000, parts_done: 0 };
        assert_eq!((cycle.due_at_ms(30_000), cycle.next().to_string()), (2_000, "1/30".into()));
        for _ in 0..29 {
            cycle = cycle.after(5);
        }
        assert_eq!((cycle.due_at_ms(30_000), cycle.next().to_string()), (31_000, "30/30".into()));
        cycle = cycle.after(40_000);
        assert_eq!(cycle, Cycle { began_at_ms: 40_000, parts_done: 0 });
        assert_eq!(cycle.due_at_ms(u64::MAX), 40_000 + u64::MAX / 30);
    }
}
