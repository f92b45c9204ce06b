//! Giving what stands at an order's path another name: by a rename, or by a copy where the
//! storage knows no renames.

use onitu_core::{Checksum, Content, Fault, FaultKind, Path, State, limits};

use super::Carrier;
use crate::hints::Hint;
use crate::plug::{Plug, Sink, Source};

impl<P: Plug> Carrier<'_, P> {
    /// Moves what is here, in exactly this state and with the checksum `sum`, to the free name
    /// `to`; tells its state there. Whatever fails or crashes, the content stands under one of the
    /// two names: a copy is complete before the original goes.
    pub(super) async fn give_name(
        &self,
        state: &State,
        sum: Checksum,
        to: &Path,
    ) -> Result<State, Fault> {
        let path = &self.order.path;
        if self.shared.abilities.rename {
            return self.plug().rename(path, state.tag, to, None).await;
        }
        let content = Content { checksum: Some(sum), ..state.content };
        let there = self.copy(state, content, to).await?;
        let removed = self.plug().remove(path, state.tag).await;
        if removed.is_err() {
            // The copy stays, and nobody has told of it yet.
            self.shared.hints.tell(to.clone(), Hint::Changed);
        }
        removed.map(|()| there)
    }

    async fn copy(&self, state: &State, content: Content, to: &Path) -> Result<State, Fault> {
        let path = &self.order.path;
        let resume = state.tag.0.iter().fold(0, |key, byte| key << 8 | u64::from(*byte));
        let mut sink = self.plug().write(to, &content, resume).await?;
        let (mut written, mut hasher) = sink.resumed().await?;
        let mut source = self.plug().read(path, state.tag, written).await?;
        loop {
            let bytes = source.next(limits::CHUNK_BYTES_MIN * 4).await?;
            if bytes.is_empty() {
                break;
            }
            written += bytes.len() as u64;
            hasher.update(&bytes);
            sink.write(bytes).await?;
        }
        if written != content.size || Some(hasher.finish()) != content.checksum {
            sink.discard().await;
            let message = format!("`{path}` changed while it was copied to `{to}`");
            return Err(Fault::new(FaultKind::Changed, message));
        }
        sink.place(content, None).await
    }
}
