//! Writes one file, out of sight until it is placed.

use bytes::Bytes;
use onitu_plug::{Content, Fault, FaultKind, Hasher, Path, Sink, State, Tag};

use crate::faults::Call;
use crate::part::Claim;
use crate::plug::{Access, reach};
use crate::service::MemoryService;

/// Writes one path of a [`MemoryService`]. What it wrote stays there when it is dropped, as a
/// temporary file does in a crash, and is taken up again by whoever comes with the same key.
#[derive(Debug)]
pub struct MemorySink {
    pub(crate) service: MemoryService,
    pub(crate) path: Path,
    pub(crate) claim: Claim,
}

impl Sink for MemorySink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        let access = Access::begin(&self.service, Call::Reads, "resume").await?;
        let found = reach(&self.service, |storage| {
            let bytes = storage.parts.bytes(&self.claim)?;
            let mut hasher = Hasher::default();
            hasher.update(bytes);
            Ok((bytes.len() as u64, hasher))
        })?;
        access.end().await?;
        Ok(found)
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let access = Access::begin(&self.service, Call::Writes, "write").await?;
        reach(&self.service, |storage| {
            storage.parts.bytes(&self.claim)?.extend_from_slice(&bytes);
            Ok(())
        })?;
        access.end().await
    }

    async fn place(self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let access = Access::begin(&self.service, Call::Writes, "place").await?;
        let placed = reach(&self.service, |storage| {
            let placed = storage.place(&self.path, &self.claim, &content, expect);
            // What can't be placed now will never be: only a storage that is away or full may
            // take it up again.
            if placed.as_ref().err().is_none_or(|fault| fault.kind != FaultKind::Full) {
                storage.parts.give_up(&self.claim);
            }
            placed
        })?;
        access.end().await?;
        Ok(placed)
    }

    async fn discard(self) {
        self.service.with(|storage| storage.parts.give_up(&self.claim));
    }
}
