//! The driver's own writes, which come back as changes: whoever ordered them knows of them, so
//! nobody needs to look.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Most writes that are remembered; what is forgotten is looked at, and that is all.
const REVS_MAX: usize = 16_384;

/// The revisions that were made here and not heard of yet.
#[derive(Default)]
pub(crate) struct Echo(Mutex<(BTreeSet<String>, VecDeque<String>)>);

impl Echo {
    /// A write has made this revision, and its order is told so.
    pub(crate) fn made(&self, rev: &str) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (revs, order) = &mut *held;
        if revs.insert(rev.to_owned()) {
            order.push_back(rev.to_owned());
        }
        while order.len() > REVS_MAX {
            if let Some(oldest) = order.pop_front() {
                revs.remove(&oldest);
            }
        }
    }

    /// Whether a revision that is heard of was made here.
    pub(crate) fn is_own(&self, rev: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.contains(rev)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_remembered() {
        let echo = Echo::default();
        for number in 0..=REVS_MAX {
            echo.made(&number.to_string());
        }
        assert!(!echo.is_own("0") && echo.is_own("1") && echo.is_own(&REVS_MAX.to_string()));
    }
}
