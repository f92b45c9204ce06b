//! What a person sees of the brake, and says to it.

use std::collections::BTreeMap;

use onitu_core::held::{Approval, Held, HeldChange, HeldDirectory, HeldPath, Review, Verdict};
use onitu_core::message::Reply;
use onitu_core::{Fault, FaultKind, Path};

use super::pile::Pile;
use super::{Brake, State};

impl Brake {
    /// Answers what is held, or takes a decision about it. To be repeated freely.
    pub(crate) fn answer(&self, approval: &Approval) -> Reply {
        let (held, review) = {
            let state = self.state();
            (state.held(), approval.verdict.is_none().then(|| review(&state)))
        };
        let Some(held) = held else {
            let message = "nothing is held back here: there is nothing to decide";
            return Reply::Refused(Fault::new(FaultKind::NotFound, message));
        };
        let is_more = |seen: Held| held.removed > seen.removed || held.changed > seen.changed;
        match (approval.verdict, review) {
            (None, review) => Reply::Held(Box::new(review.unwrap_or_default())),
            (Some(_), _) if approval.seen.is_some_and(is_more) => {
                let message = "more is held by now than was shown: look again";
                Reply::Refused(Fault::new(FaultKind::Changed, message))
            }
            (Some(verdict), _) => {
                self.decide(verdict);
                Reply::Done
            }
        }
    }

    fn decide(&self, verdict: Verdict) {
        self.state().verdict = Some(verdict);
        self.news.notify_one();
    }

    /// What is held, and what to tell a person about it.
    pub(crate) fn status(&self) -> Option<(Held, String)> {
        let held = self.state().held()?;
        let name = &self.name;
        let of = held.of;
        let mut parts = Vec::new();
        if held.removed > 0 {
            let were = if held.removed == 1 { "was" } else { "were" };
            parts.push(format!(
                "{} of {of} files {were} removed here: nothing is removed elsewhere",
                held.removed
            ));
        }
        if held.changed > 0 {
            let were = if held.changed == 1 { "was" } else { "were" };
            parts.push(format!(
                "{} of {of} files {were} overwritten here: nothing of it goes elsewhere",
                held.changed
            ));
        }
        let remedy = format!(
            "until you decide: `onitu approve {name}`, or `onitu approve {name} --reject` to \
             bring them back"
        );
        Some((held, format!("{} {remedy}", parts.join("; "))))
    }

    /// The number of what is to be reported now.
    pub(crate) fn version(&self) -> u64 {
        self.state().version
    }

    /// What had that number was reported.
    pub(crate) fn reported(&self, version: u64) {
        self.state().reported = version;
    }

    /// Returns when there may be something new to report.
    pub(crate) async fn news(&self) {
        self.changed.notified().await;
    }
}

fn review(state: &State) -> Review {
    let piles = [(&state.removed, HeldChange::Removed), (&state.changed, HeldChange::Changed)];
    let held: Vec<_> = piles.into_iter().filter(|(pile, _)| pile.held.is_some()).collect();
    let files = held.iter().flat_map(|(pile, change)| {
        pile.paths().filter(|(_, it)| it.is_file).map(|(path, it)| (path, it.size, *change))
    });
    let mut directories: BTreeMap<&str, u64> = BTreeMap::new();
    let mut sample = Vec::new();
    for (path, size, change) in files {
        let top = path.as_str().split_once('/').map_or("", |(top, _)| top);
        *directories.entry(top).or_default() += 1;
        if sample.len() < Review::SAMPLE_MAX {
            sample.push(HeldPath { path: path.clone(), change, size });
        }
    }
    let bytes = |pile: &Pile| if pile.held.is_some() { pile.bytes } else { 0 };
    Review {
        held: state.held().unwrap_or_default(),
        removed_bytes: bytes(&state.removed),
        changed_bytes: bytes(&state.changed),
        sample,
        directories: fullest(directories),
    }
}

fn fullest(directories: BTreeMap<&str, u64>) -> Vec<HeldDirectory> {
    let mut counted: Vec<(&str, u64)> = directories.into_iter().collect();
    counted.sort_by_key(|(_, files)| std::cmp::Reverse(*files));
    let known = counted.into_iter().filter_map(|(name, files)| {
        let path = if name.is_empty() { Path::root() } else { Path::new(name).ok()? };
        Some(HeldDirectory { path, files })
    });
    known.take(Review::DIRECTORIES_MAX).collect()
}
