//! All globs of a set of rules, compared at once.
//!
//! The globs become the patterns of one lazy automaton, which reads a path once, however many they
//! are. `globset`'s own set would sort them into kinds and ask each kind.

use std::cell::Cell;

use globset::Glob;
use regex_automata::meta::{self, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};

use super::glob::open_letters;

/// Of the states that the automaton has met; when they are more it forgets them.
const STATES_BYTES_MAX: usize = 8 << 20;
/// Of all globs together, compiled.
const GLOBS_BYTES_MAX: usize = 8 << 20;
/// `?` and `[…]` in all globs together. More of them make more states than are kept, and the longest
/// path then takes seconds: with 200,000 it took half a minute, with 10,000 it takes 32 ms.
const OPEN_LETTERS_MAX: usize = 10_000;

/// Globs with an owner each, as one automaton.
#[derive(Debug, Clone)]
pub struct Automaton {
    /// [`None`] without globs.
    globs: Option<Regex>,
    owners: Vec<usize>,
}

thread_local! {
    /// Globs that matched; kept, so that asking allocates nothing.
    static FOUND: Cell<Option<PatternSet>> = const { Cell::new(None) };
}

impl Automaton {
    /// Of no globs at all.
    pub fn empty() -> Self {
        Self { globs: None, owners: Vec::new() }
    }

    /// Of globs, each with its owner. An error if they are too much together.
    pub fn new(globs: impl IntoIterator<Item = (usize, Glob)>) -> Result<Self, String> {
        let (owners, globs): (Vec<usize>, Vec<Glob>) = globs.into_iter().unzip();
        if globs.is_empty() {
            return Ok(Self::empty());
        }
        let open: usize = globs.iter().map(open_letters).sum();
        if open > OPEN_LETTERS_MAX {
            return Err(format!(
                "these globs have {open} `?` and `[…]` together, and {OPEN_LETTERS_MAX} are the most \
                 that can be compared in reasonable time"
            ));
        }
        let patterns: Vec<&str> = globs.iter().map(Glob::regex).collect();
        let config = meta::Config::new()
            .match_kind(MatchKind::All)
            .utf8_empty(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(GLOBS_BYTES_MAX))
            .hybrid_cache_capacity(STATES_BYTES_MAX);
        // What the regular expressions of `globset` are written for.
        let syntax = syntax::Config::new().utf8(false).dot_matches_new_line(true);
        match Regex::builder().configure(config).syntax(syntax).build_many(&patterns) {
            Ok(globs) => Ok(Self { globs: Some(globs), owners }),
            Err(error) => Err(format!("these globs are too much together: {error}")),
        }
    }

    /// Calls `each` with the owner of every glob that matches `path`; with one of several maybe
    /// more than once.
    pub fn for_each_match(&self, path: &str, mut each: impl FnMut(usize)) {
        let Some(globs) = &self.globs else { return };
        let kept = FOUND.take().filter(|found| found.capacity() >= self.owners.len());
        let mut found = kept.unwrap_or_else(|| PatternSet::new(self.owners.len()));
        found.clear();
        globs.which_overlapping_matches(&Input::new(path), &mut found);
        for glob in found.iter() {
            each(self.owners[glob.as_usize()]);
        }
        FOUND.set(Some(found));
    }

    /// Whether any of them matches `path`.
    pub fn matches(&self, path: &str) -> bool {
        self.globs.as_ref().is_some_and(|globs| globs.is_match(path))
    }
}
