//! All globs of a set of rules, compared at once.

use std::cell::Cell;

use globset::{Candidate, Glob, GlobSet};

/// Globs with an owner each, as one automaton.
#[derive(Debug, Clone)]
pub struct Automaton {
    globs: GlobSet,
    owners: Vec<usize>,
}

thread_local! {
    /// Globs that matched; kept, so that asking allocates nothing.
    static FOUND: Cell<Vec<usize>> = const { Cell::new(Vec::new()) };
}

impl Automaton {
    /// Of globs, each with its owner. An error if they are too much together.
    pub fn new(globs: impl IntoIterator<Item = (usize, Glob)>) -> Result<Self, globset::Error> {
        let mut builder = GlobSet::builder();
        let mut owners = Vec::new();
        for (owner, glob) in globs {
            builder.add(glob);
            owners.push(owner);
        }
        Ok(Self { globs: builder.build()?, owners })
    }

    /// Calls `each` with the owner of every glob that matches `path`; with one of several maybe
    /// more than once.
    pub fn for_each_match(&self, path: &str, mut each: impl FnMut(usize)) {
        if self.globs.is_empty() {
            return;
        }
        let mut found = FOUND.take();
        self.globs.matches_candidate_into(&Candidate::new(path), &mut found);
        for glob in &found {
            each(self.owners[*glob]);
        }
        FOUND.set(found);
    }

    /// Whether any of them matches `path`.
    pub fn matches(&self, path: &str) -> bool {
        !self.globs.is_empty() && self.globs.is_match_candidate(&Candidate::new(path))
    }
}
