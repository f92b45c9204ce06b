//! Bringing back what was removed or replaced by mistake: the service says that it has lost the
//! path, and gets what is recorded from those that still hold it.

use std::sync::Arc;

use onitu_core::message::Event;
use onitu_core::{Fault, FaultKind, Path, Tag};

use super::What;
use super::pile::Waiting;
use crate::claim::Claim;
use crate::hints::Hint;
use crate::look::{LOOK_MAX, note_fault};
use crate::plug::Plug;
use crate::service::Shared;

/// Brings back what waited in `pile`. Each path is looked at again: one that is back already, or
/// that was changed once more, is left to a look of its own.
pub(super) async fn reject<P: Plug>(
    shared: &Arc<Shared<P>>,
    what: What,
    mut pile: Vec<(Path, Waiting)>,
) -> Result<(), Fault> {
    // Directories before what is in them.
    pile.reverse();
    for chunk in pile.chunks(LOOK_MAX) {
        let claimed: Vec<(&Path, &Waiting, Claim)> = chunk
            .iter()
            .filter_map(|(path, waiting)| {
                let claim = shared.claims.claim_or_mark(path, Hint::Changed)?;
                Some((path, waiting, claim))
            })
            .collect();
        let paths: Vec<Path> = claimed.iter().map(|(path, ..)| (*path).clone()).collect();
        let announced: Vec<_> = paths.iter().map(|path| shared.announcer.known(path)).collect();
        let records = shared.records(&paths).await?;
        let mut events = Vec::new();
        for (((path, waiting, _), record), announced) in claimed.iter().zip(&records).zip(announced)
        {
            let Some(known) = shared.known_tag(path, announced, record.as_ref()) else { continue };
            let changed = (what == What::Changed).then_some(waiting.tag);
            match clear(shared, path, known, changed).await {
                Ok(true) => events.push(Event::Lost { path: (*path).clone() }),
                Ok(false) => {}
                Err(fault) => note_fault(shared, path, fault)?,
            }
        }
        shared.announcer.announce(events).await;
        drop(claimed);
    }
    Ok(())
}

/// Sees to it that nothing is at `path`: what stands there in the state `changed` goes to the
/// trash. Whether that is so.
async fn clear<P: Plug>(
    shared: &Arc<Shared<P>>,
    path: &Path,
    known: Tag,
    changed: Option<Tag>,
) -> Result<bool, Fault> {
    match shared.plug.look(path).await? {
        None => Ok(true),
        Some(state) if Some(state.tag) == changed => {
            match shared.plug.remove(path, state.tag).await {
                Ok(()) => Ok(true),
                Err(fault) if fault.kind == FaultKind::Changed => {
                    shared.hints.tell(path.clone(), Hint::Written);
                    Ok(false)
                }
                Err(fault) => Err(fault),
            }
        }
        Some(state) if state.tag == known => Ok(false),
        Some(_) => {
            shared.hints.tell(path.clone(), Hint::Written);
            Ok(false)
        }
    }
}
