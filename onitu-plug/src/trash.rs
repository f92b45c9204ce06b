//! What the trash holds, and putting things back from it, because a person asked.
//!
//! Each thing is put back under its path's claim, and announced before the claim ends: to everybody
//! else it is an edit made on this service. The Core asks in short questions, because whoever else
//! asks this driver waits meanwhile; the work itself is done by a task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use onitu_core::message::{Event, Reply};
use onitu_core::trash::{PAGE_ITEMS_MAX, RESTORES_MAX, Restore, Restored, TrashQuery};
use onitu_core::{Checksum, Content, Fault, FaultKind, Kind, Path, State, limits};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::hints::Hint;
use crate::plug::Plug;
use crate::read::{checksum, read_whole};
use crate::service::Shared;

/// Things put back at once; many, so that a driver can do it with one flush.
const AT_ONCE: usize = 64;
/// A question is answered after so long, be it that the work goes on.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
/// A path that a transfer has in use is waited for so long.
const CLAIM_LIMIT: Duration = Duration::from_secs(10);
/// Ended questions that are remembered, in case their answer was lost.
const REMEMBERED: usize = 16;

/// One page of what the trash holds.
pub(crate) async fn page<P: Plug>(shared: &Shared<P>, query: &TrashQuery) -> Reply {
    let limit = query.limit.clamp(1, PAGE_ITEMS_MAX);
    match shared.plug.trash(&TrashQuery { limit, ..query.clone() }).await {
        Ok(page) => Reply::Trash(page),
        Err(fault) => Reply::Refused(fault),
    }
}

/// The questions to restore something that are under way or were answered lately. What is under
/// way ends when this is dropped.
#[derive(Default)]
pub(crate) struct Restores {
    /// By the question's id; [`None`] while it is under way.
    answers: BTreeMap<u64, Option<Vec<Restored>>>,
    tasks: JoinSet<(u64, Vec<Restored>)>,
}

impl Restores {
    /// Begins to put `items` back, unless the question `id` was heard before; tells how it is.
    pub(crate) async fn restore<P: Plug>(
        &mut self,
        shared: &Arc<Shared<P>>,
        id: u64,
        items: Vec<Restore>,
    ) -> Reply {
        if items.len() > RESTORES_MAX {
            let text = format!("at most {RESTORES_MAX} things are restored at once");
            return Reply::Refused(Fault::new(FaultKind::Unsupported, text));
        }
        if !self.answers.contains_key(&id) {
            if self.answers.len() >= REMEMBERED {
                // The oldest that has ended; ids grow.
                let ended = self.answers.iter().find(|(_, answer)| answer.is_some());
                match ended.map(|(id, _)| *id) {
                    Some(ended) => self.answers.remove(&ended),
                    None => return Reply::Refused(busy()),
                };
            }
            self.answers.insert(id, None);
            let shared = shared.clone();
            self.tasks.spawn(async move { (id, put_back_all(&shared, items).await) });
        }
        let ended = async {
            while self.answers.get(&id).is_some_and(Option::is_none) {
                match self.tasks.join_next().await {
                    Some(Ok((id, answer))) => drop(self.answers.insert(id, Some(answer))),
                    Some(Err(_)) => {}
                    // It panicked: nothing is known of it, so the next question does it again.
                    None => drop(self.answers.remove(&id)),
                }
            }
        };
        // Ended or not, the answer says so.
        let _ = timeout(ANSWER_LIMIT, ended).await;
        Reply::Restored(self.answers.get(&id).cloned().flatten())
    }
}

fn busy() -> Fault {
    Fault::new(FaultKind::RateLimited, "too many things are being restored: wait for them")
}

async fn put_back_all<P: Plug>(shared: &Arc<Shared<P>>, items: Vec<Restore>) -> Vec<Restored> {
    let _busy = shared.begin();
    let each = items.into_iter().map(|item| async move {
        match timeout(CLAIM_LIMIT, shared.claims.claim(&item.path)).await {
            Ok(_claim) => put_back(shared, &item).await.unwrap_or_else(Restored::Failed),
            Err(_) => Restored::Failed(in_use(&item.path)),
        }
    });
    stream::iter(each).buffered(AT_ONCE).collect().await
}

fn in_use(path: &Path) -> Fault {
    let text = format!("`{path}` is being transferred: try again when that has ended");
    Fault::new(FaultKind::Cancelled, text)
}

/// Puts one thing back; its path is claimed.
async fn put_back<P: Plug>(shared: &Arc<Shared<P>>, item: &Restore) -> Result<Restored, Fault> {
    let plug = shared.plug.as_ref();
    let path = &item.path;
    let there = plug.look(path).await?;
    let mut sum = None;
    if let Some(there) = &there {
        if there.content.kind == Kind::Directory {
            return Ok(Restored::Occupied);
        }
        if (there.content.kind, there.content.size) == (item.kind, item.size) {
            let known = plug.hash_trashed(&item.id).await?;
            if checksum(plug, path, there).await? == known {
                return Ok(Restored::Same);
            }
            sum = Some(known);
        }
        if !item.replace {
            return Ok(Restored::Occupied);
        }
    }
    // Before anything is changed: this may fail.
    let record = shared.records(std::slice::from_ref(path)).await?.pop().flatten();
    let mut state = plug.restore(&item.id, path, there.map(|there| there.tag)).await?;
    state.content = known(shared, path, &state, sum).await;
    let recorded = record.as_ref().map(|record| &record.content);
    state.content = shared.as_kept(state.content, recorded);
    shared.announce(vec![Event::Restored { path: path.clone(), state }]).await;
    if let Some(parent) = path.parent().filter(|parent| !parent.is_root() && there.is_none()) {
        // It may have been made for this.
        shared.hints.tell(parent, Hint::Changed);
    }
    Ok(Restored::Placed { replaced: there.is_some() })
}

/// What was put back, with its checksum where that is cheap to know: else the first transfer tells.
async fn known<P: Plug>(
    shared: &Shared<P>,
    path: &Path,
    state: &State,
    sum: Option<Checksum>,
) -> Content {
    let content = Content { checksum: sum.or(state.content.checksum), ..state.content };
    if sum.is_some() || content.size > limits::INLINE_BYTES_MAX {
        return content;
    }
    read_whole(shared.plug.as_ref(), path, state).await.unwrap_or(content)
}
