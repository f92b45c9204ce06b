//! What is known of the queue: whether the listings may rest because it tells of changes, and what
//! is to be shown when it doesn't.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use onitu_plug::{Hint, Hints, Path};

/// Most paths that are remembered; beyond, everything is scanned.
const TOLD_MAX: usize = 16_384;

/// A queue in use, or none.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last attempt to read it succeeded.
    is_readable: bool,
    /// A listing found changes of which nothing was heard.
    is_silent: bool,
    /// Changes heard of since the last listing.
    heard: usize,
    /// The paths of them. Should the news of a later change be lost that made them what they were
    /// when they were listed last, no listing would tell of it: they are looked at once more.
    told: BTreeSet<Path>,
    /// There were too many of them.
    is_too_much: bool,
    /// What is wrong with it, as it was shown.
    shown: Option<String>,
}

impl State {
    fn show(&mut self, text: Option<String>, hints: &Hints) {
        if self.shown != text {
            self.shown.clone_from(&text);
            hints.notice(text);
        }
    }
}

impl Ear {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the queue is relied on.
    pub(crate) fn hears(&self) -> bool {
        let state = self.state();
        state.is_readable && !state.is_silent
    }

    /// The queue was read; it told of so many changes.
    pub(crate) fn heard(&self, count: usize, told: Vec<Path>, hints: &Hints) {
        let mut state = self.state();
        state.told.extend(told);
        if state.told.len() > TOLD_MAX {
            state.told.clear();
            state.is_too_much = true;
        }
        state.is_readable = true;
        state.heard += count;
        state.is_silent = state.is_silent && count == 0;
        if !state.is_silent {
            state.show(None, hints);
        }
    }

    /// The queue can't be read; whether it could before.
    pub(crate) fn failed(&self, text: &str, hints: &Hints) -> bool {
        let mut state = self.state();
        state.show(Some(format!("{text}; until then changes are found by listing")), hints);
        std::mem::replace(&mut state.is_readable, false)
    }

    /// A listing begins: the paths that were told of before, or nothing if they are too many.
    pub(crate) fn take_told(&self) -> Option<BTreeSet<Path>> {
        let mut state = self.state();
        let told = std::mem::take(&mut state.told);
        (!std::mem::take(&mut state.is_too_much)).then_some(told)
    }

    /// A listing found so many changes that others had made; before it the queue had told of these
    /// paths.
    pub(crate) fn listed(&self, found: usize, told: Option<BTreeSet<Path>>, hints: &Hints) {
        match told {
            Some(told) => hints.tell_all(told.into_iter().map(|path| (path, Hint::Changed))),
            None => hints.rescan("the queue has told of very many changes"),
        }
        let mut state = self.state();
        if state.is_readable && found > 0 && state.heard == 0 {
            state.is_silent = true;
            let text = "the queue told nothing of a change that a listing has found: send the \
                        bucket's event notifications (`s3:ObjectCreated:*`, `s3:ObjectRemoved:*`) \
                        to it; until then changes are found by listing";
            state.show(Some(text.to_owned()), hints);
        }
        state.heard = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_relied_on_while_it_can_be_read_and_isnt_silent() {
        let (ear, hints) = (Ear::default(), Hints::default());
        assert!(!ear.hears());
        ear.heard(0, Vec::new(), &hints);
        assert!(ear.hears());
        ear.heard(1, Vec::new(), &hints);
        ear.listed(3, ear.take_told(), &hints);
        assert!(ear.hears(), "it told of something");
        ear.listed(1, ear.take_told(), &hints);
        assert!(!ear.hears(), "it told of nothing");
        ear.heard(0, Vec::new(), &hints);
        assert!(!ear.hears(), "it has told of nothing yet");
        ear.heard(1, Vec::new(), &hints);
        assert!(ear.hears());
        assert!(ear.failed("gone", &hints) && !ear.failed("gone", &hints));
        assert!(!ear.hears());
    }

    #[tokio::test]
    async fn what_the_queue_told_of_is_looked_at_again_after_the_next_listing() {
        let (ear, hints) = (Ear::default(), Hints::default());
        let path = |number: usize| Path::new(&format!("{number}")).unwrap();
        ear.heard(1, vec![path(1)], &hints);
        let told = ear.take_told();
        // During the listing: for the one after it.
        ear.heard(1, vec![path(2)], &hints);
        ear.listed(0, told, &hints);
        assert_eq!(hints.take().await.paths.into_keys().collect::<Vec<_>>(), [path(1)]);
        ear.listed(0, ear.take_told(), &hints);
        assert_eq!(hints.take().await.paths.into_keys().collect::<Vec<_>>(), [path(2)]);
        ear.heard(1, (0..=TOLD_MAX).map(path).collect(), &hints);
        ear.listed(0, ear.take_told(), &hints);
        assert!(hints.take().await.rescan.is_some());
    }
}
