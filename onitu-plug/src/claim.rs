//! One at a time per path: who looks at a path or changes it claims it first.
//!
//! A look that finds the path claimed doesn't wait (a transfer may take hours): it leaves a mark,
//! and when the claim ends the path is hinted at anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use onitu_core::Path;
use tokio::sync::Notify;

use crate::hints::{Hint, Hints};

/// The paths in use.
#[derive(Clone)]
pub(crate) struct Claims {
    held: Arc<Mutex<BTreeMap<Path, Option<Hint>>>>,
    released: Arc<Notify>,
    hints: Hints,
}

/// A claimed path; let go when dropped.
pub(crate) struct Claim {
    path: Path,
    claims: Claims,
}

impl Claims {
    pub(crate) fn new(hints: Hints) -> Self {
        Self { held: Arc::default(), released: Arc::default(), hints }
    }

    /// Claims `path`, or leaves `hint` to be told when it is free again.
    pub(crate) fn claim_or_mark(&self, path: &Path, hint: Hint) -> Option<Claim> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mark) = held.get_mut(path) {
            *mark = (*mark).max(Some(hint));
            return None;
        }
        held.insert(path.clone(), None);
        Some(Claim { path: path.clone(), claims: self.clone() })
    }

    /// Claims `path` if it is free.
    pub(crate) fn try_claim(&self, path: &Path) -> Option<Claim> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains_key(path) {
            return None;
        }
        held.insert(path.clone(), None);
        Some(Claim { path: path.clone(), claims: self.clone() })
    }

    /// Claims `path` as soon as it is free.
    pub(crate) async fn claim(&self, path: &Path) -> Claim {
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if let Some(claim) = self.try_claim(path) {
                return claim;
            }
            released.await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mark = {
            let mut held = self.claims.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.remove(&self.path).flatten()
        };
        if let Some(hint) = mark {
            self.claims.hints.tell(self.path.clone(), hint);
        }
        self.claims.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_at_a_claimed_path_is_made_up_for_afterwards() {
        let hints = Hints::default();
        let claims = Claims::new(hints.clone());
        let path = Path::new("a").unwrap();
        let claim = claims.claim(&path).await;
        assert!(claims.claim_or_mark(&path, Hint::Changed).is_none());
        assert!(claims.claim_or_mark(&path, Hint::Written).is_none());
        assert!(hints.is_empty());
        drop(claim);
        assert_eq!(hints.take().await.paths.get(&path), Some(&Hint::Written));
        assert!(claims.try_claim(&path).is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_the_path_when_it_is_free() {
        let claims = Claims::new(Hints::default());
        let path = Path::new("a").unwrap();
        let first = claims.claim(&path).await;
        let second = tokio::spawn({
            let (claims, path) = (claims.clone(), path.clone());
            async move { drop(claims.claim(&path).await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap();
    }
}
