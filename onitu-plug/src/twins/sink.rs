//! Writing to a service on which a twin may appear until the last instant.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use onitu_core::{Content, Fault, FaultKind, Hasher, Path, State, Tag};

use super::overtaken;
use crate::plug::Sink;

/// Most names that are remembered; forgetting one costs a transfer.
const REFUSED_MAX: usize = 1_024;

/// Names on the service that turned out to be taken only when a file was to be placed: the next
/// attempt writes to the encoded name at once.
#[derive(Clone, Default)]
pub(super) struct Refused(Arc<Mutex<BTreeSet<Path>>>);

impl Refused {
    fn note(&self, held: Path) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= REFUSED_MAX {
            names.clear();
        }
        names.insert(held);
    }

    /// Whether `held` was refused, which is asked once.
    pub(super) fn take(&self, held: &Path) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(held)
    }
}

/// Writes one path, under whichever name.
pub struct TwinSink<S> {
    inner: S,
    /// The name on the service, where it may be refused.
    held: Option<(Path, Refused)>,
}

impl<S> TwinSink<S> {
    /// To a service with exact names.
    pub(super) fn plain(inner: S) -> Self {
        Self { inner, held: None }
    }

    /// To `held`.
    pub(super) fn of(inner: S, held: Path, refused: Refused) -> Self {
        Self { inner, held: Some((held, refused)) }
    }
}

impl<S: Sink> Sink for TwinSink<S> {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        self.inner.resumed().await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.inner.write(bytes).await
    }

    async fn place(self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let placed = self.inner.place(content, expect).await;
        let Some((held, refused)) = self.held else { return placed };
        placed.map_err(|fault| {
            if fault.kind == FaultKind::Taken {
                refused.note(held.clone());
            }
            overtaken(&held, fault)
        })
    }

    async fn discard(self) {
        self.inner.discard().await;
    }
}
