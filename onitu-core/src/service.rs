//! A configured storage as every process knows it: the registry's entry.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Path;

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

/// The option that says where in the tree a service stands.
pub const AT: &str = "at";

impl Service {
    /// Most bytes it may hold.
    pub fn quota_bytes(&self) -> Option<u64> {
        self.options.get("quota_bytes").and_then(serde_json::Value::as_u64)
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
