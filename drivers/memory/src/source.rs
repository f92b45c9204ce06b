//! Reads one file in one state.

use bytes::Bytes;
use onitu_plug::{Content, Fault, Path, Source, Tag};

use crate::faults::Call;
use crate::plug::{Access, reach};
use crate::service::MemoryService;
use crate::storage::changed;

/// Reads one path of a [`MemoryService`].
#[derive(Debug)]
pub struct MemorySource {
    pub(crate) service: MemoryService,
    pub(crate) path: Path,
    pub(crate) tag: Tag,
    pub(crate) content: Content,
    pub(crate) offset: u64,
}

impl Source for MemorySource {
    fn content(&self) -> Content {
        self.content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        // Whoever edits the storage gets a turn between two chunks.
        tokio::task::yield_now().await;
        let access = Access::begin(&self.service, Call::Reads, "read").await?;
        let chunk = reach(&self.service, |storage| {
            let number = storage.expect(&self.path, Some(self.tag))?;
            let node = number.and_then(|number| storage.tree.node(number));
            let bytes = node.and_then(crate::tree::Node::bytes);
            let bytes = bytes.ok_or_else(|| changed(&self.path))?;
            let from = usize::try_from(self.offset).unwrap_or(usize::MAX).min(bytes.len());
            let to = from.saturating_add(max as usize).min(bytes.len());
            let mut chunk = bytes.slice(from..to);
            if !chunk.is_empty() && storage.dice.happens(storage.dice.faults.corrupt_read) {
                let mut damaged = chunk.to_vec();
                let at = storage.dice.below(damaged.len());
                damaged[at] ^= 1 << storage.dice.below(8);
                chunk = damaged.into();
            }
            Ok(chunk)
        })?;
        access.end().await?;
        self.offset += chunk.len() as u64;
        Ok(chunk)
    }
}
