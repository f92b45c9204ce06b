//! A listing that lags behind: for a while it shows what stood at a path before its last change.

use std::collections::BTreeMap;
use std::time::Duration;

use onitu_plug::{Found, Path, State};
use tokio::time::Instant;

use crate::faults::Dice;

/// Most changes that a listing may not show yet; beyond, it shows all of them.
const LATE_MAX: usize = 4_096;

/// What listings don't show yet.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// How long a change may stay hidden; zero is a listing that tells the truth.
    pub(crate) most: Duration,
    /// What is still shown, and until when.
    late: BTreeMap<Path, (Instant, Option<State>)>,
}

impl Lag {
    /// The path is about to change; `before` stands there now.
    pub(crate) fn remember(&mut self, path: &Path, before: Option<State>, dice: &mut Dice) {
        let now = Instant::now();
        self.late.retain(|_, (until, _)| *until > now);
        if self.late.len() >= LATE_MAX {
            self.late.clear();
        }
        let most_ms = u64::try_from(self.most.as_millis()).unwrap_or(u64::MAX);
        // What is shown is never older than the lag: a second change doesn't hide the first longer.
        self.late.entry(path.clone()).or_insert_with(|| (now + dice.delay(most_ms), before));
    }

    /// When a listing shows all that has happened until now.
    pub(crate) fn caught_up(&self) -> Option<Instant> {
        let now = Instant::now();
        self.late.values().map(|(until, _)| *until).filter(|until| *until > now).max()
    }

    /// Makes of the true page of a directory the one that is shown.
    pub(crate) fn distort(&self, directory: &Path, is_first: bool, page: &mut Vec<Found>) {
        let now = Instant::now();
        for (path, (until, before)) in &self.late {
            if *until <= now || path.parent().as_ref() != Some(directory) {
                continue;
            }
            let is_it =
                |found: &Found| matches!(found, Found::Entry { name, .. } if name == path.name());
            let at = page.iter().position(is_it);
            let shown = before.map(|state| Found::Entry { name: path.name().to_owned(), state });
            match (at, shown) {
                (Some(at), Some(shown)) => page[at] = shown,
                (Some(at), None) => drop(page.remove(at)),
                (None, Some(shown)) if is_first => page.push(shown),
                (None, _) => {}
            }
        }
    }
}
