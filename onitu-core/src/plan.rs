//! What a set of rules would change (`onitu plan`), as JSON, and what was approved of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Path;

/// A question about rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanQuestion {
    /// Other rules than those in force, and the name of the file they stand in.
    pub rules: Option<(String, String)>,
}

/// How many files, and some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    /// Files and links.
    pub files: u64,
    /// Their sizes, added up.
    pub bytes: u64,
    /// The first paths, in order; at most [`Share::EXAMPLES_MAX`].
    pub examples: BTreeSet<Path>,
}

impl Share {
    /// Most paths of a share.
    pub const EXAMPLES_MAX: usize = 3;

    /// One more file.
    pub fn add(&mut self, path: &Path, bytes: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.examples.len() < Self::EXAMPLES_MAX || self.examples.last() > Some(path) {
            self.examples.insert(path.clone());
        }
        if self.examples.len() > Self::EXAMPLES_MAX {
            self.examples.pop_last();
        }
    }
}

/// `onitu plan --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Names the rules and everything they would remove; `onitu apply` takes it.
    pub id: String,
    /// Whether these are the rules in force.
    pub in_force: bool,
    /// Whether the configuration has other rules by now, which this plan is not about.
    #[serde(default)]
    pub waits_for_reload: bool,
    /// By name.
    pub services: Vec<ServicePlan>,
    /// Files of which one copy is left when all is done.
    pub one_copy: Share,
    /// Files that no statement places anywhere.
    pub unplaced: Share,
    /// Files that are no business of Onitu's any more: nothing happens to them.
    pub forgotten: Share,
    /// Changes under way when it was made, over all services: it may come out otherwise when they
    /// are done.
    pub pending: u64,
}

impl Plan {
    /// Files that would be removed, over all services.
    pub fn removals(&self) -> u64 {
        self.services.iter().map(|service| service.removed.files).sum()
    }
}

/// What a service would have to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServicePlan {
    /// In `entries.toml`.
    pub name: String,
    /// To get; begins when the rules are in force.
    pub copied: Share,
    /// To rename, without a transfer.
    pub renamed: Share,
    /// To remove once every service that should have them does; waits for `onitu apply`.
    pub removed: Share,
    /// Directories to remove when they are empty.
    pub directories: u64,
}

/// What has to be known of rules even if the store is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The rules that were in force last.
    pub rules: Option<String>,
    /// As [`crate::store::Registry::approved`].
    pub approved: Vec<String>,
}
