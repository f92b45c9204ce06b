//! A configured storage as every process knows it: the registry's entry.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Kind, Path};

/// A service's number: small, given once per name by the Core, never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceId(pub u16);

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What Onitu may do with a service (design §6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Two-way.
    #[default]
    Sync,
    /// Read, never written to.
    Source,
    /// Written to; its own changes are never taken.
    Backup,
}

/// A service as the Core registers it in the store, for every other process to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its number in records.
    pub id: ServiceId,
    /// Its name in `entries.toml`.
    pub name: String,
    /// The driver's name: `local` is run by `onitu-driver-local`.
    pub driver: String,
    /// Two-way, source or backup.
    pub mode: Mode,
    /// Whether the admin paused it.
    pub paused: bool,
    /// The driver's own options, validated against its manifest, paths made absolute.
    pub options: BTreeMap<String, serde_json::Value>,
}

/// How fast a service may be used, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Bytes a second.
    pub bytes_per_s: u64,
    /// Only from the first to the second time of day, in minutes since midnight of the machine's
    /// time zone; may span midnight. At all times if not given.
    pub between: Option<(u16, u16)>,
}

impl Limit {
    /// The bytes a second that are allowed at `minute` of the day; none if as many as there are.
    pub fn at(&self, minute: u16) -> Option<u64> {
        let applies = match self.between {
            None => true,
            Some((from, to)) if from <= to => (from..to).contains(&minute),
            Some((from, to)) => minute >= from || minute < to,
        };
        applies.then_some(self.bytes_per_s)
    }
}

/// The option that says how fast a service may be used.
pub const LIMIT: &str = "limit";

/// The option that says where in the tree a service stands.
pub const AT: &str = "at";

/// The option, always `false` where it stands, that says that symbolic links can't be kept.
pub const KEEPS_SYMLINKS: &str = "keeps_symlinks";

impl Service {
    /// Whether it can hold what is of `kind` at all, as its driver's manifest says. A storage may
    /// turn out to refuse it all the same.
    pub fn keeps(&self, kind: Kind) -> bool {
        let told = || self.options.get(KEEPS_SYMLINKS)?.as_bool();
        // Asked for every wish: only a link has to look it up.
        kind != Kind::Symlink || told().unwrap_or(true)
    }

    /// Most bytes it may hold.
    pub fn quota_bytes(&self) -> Option<u64> {
        self.options.get("quota_bytes").and_then(serde_json::Value::as_u64)
    }

    /// How fast it may be used.
    pub fn limit(&self) -> Option<Limit> {
        serde_json::from_value(self.options.get(LIMIT)?.clone()).ok()
    }

    /// The directory of this machine in which its driver may keep what only saves time.
    pub fn state_dir(&self) -> Option<PathBuf> {
        self.options.get("state_dir").and_then(serde_json::Value::as_str).map(PathBuf::from)
    }

    /// The directory of the tree at which its root stands.
    pub fn at(&self) -> Path {
        let at = self.options.get(AT).and_then(serde_json::Value::as_str);
        at.and_then(|at| Path::new(at).ok()).unwrap_or_else(Path::root)
    }

    /// Whether anything can ever stand at `path` on it: below the directory at which it stands; that
    /// one, and those that lead to it, always do.
    pub fn reaches(&self, path: &Path) -> bool {
        !self.options.contains_key(AT) || {
            let at = self.at();
            path.is_within(&at) || at.is_within(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_within_its_hours_even_across_midnight() {
        let between = |between| Limit { bytes_per_s: 7, between };
        let (day, night) = (between(Some((480, 1080))), between(Some((1320, 360))));
        for (minute, by_day, by_night) in [
            (0, false, true),
            (359, false, true),
            (360, false, false),
            (480, true, false),
            (1079, true, false),
            (1080, false, false),
            (1320, false, true),
            (1439, false, true),
        ] {
            assert_eq!(day.at(minute).is_some(), by_day, "{minute}");
            assert_eq!(night.at(minute).is_some(), by_night, "{minute}");
            assert_eq!(between(None).at(minute), Some(7));
        }
        assert_eq!(between(Some((60, 60))).at(60), None, "no minute lies between the two");
    }
}
