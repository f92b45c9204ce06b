//! Ending a conflict on this service because a person asked for it.
//!
//! It is as if its user had renamed or removed the copy here: told like that, and carried to the
//! other services by the same machinery. What is replaced or removed goes to the trash.

use std::sync::Arc;

use onitu_core::message::{Event, Reply};
use onitu_core::resolve::{ResolveRequest, Way};
use onitu_core::{Fault, FaultKind, Kind, Path, Record, Tag};

use crate::claim::Claim;
use crate::hints::Hint;
use crate::plug::Plug;
use crate::service::Shared;

/// Does what is asked, or refuses and has changed nothing. Asked twice, the second is refused.
pub(crate) async fn resolve<P: Plug>(shared: &Arc<Shared<P>>, asked: &ResolveRequest) -> Reply {
    let _busy = shared.begin();
    match carry_out(shared, asked).await {
        Ok(()) => Reply::Done,
        Err(fault) => {
            // Whatever it was: what stands there now is worth a look.
            let paths = [asked.path.clone(), asked.kept.clone()];
            shared.hints.tell_all(paths.map(|path| (path, Hint::Changed)));
            Reply::Refused(fault)
        }
    }
}

async fn carry_out<P: Plug>(shared: &Arc<Shared<P>>, asked: &ResolveRequest) -> Result<(), Fault> {
    let ResolveRequest { path, expect, kept, expect_kept, way } = asked;
    // In the order of their names, as everybody who claims two; never waited for.
    let (first, second) = if path < kept { (path, kept) } else { (kept, path) };
    let _claims = (claim(shared, first)?, claim(shared, second)?);
    let record = known(shared, path, *expect).await?;
    let copy = known(shared, kept, Some(*expect_kept)).await?;
    let copy = copy.ok_or_else(|| changed(kept))?;
    let is_directory = |record: &Record| record.content.kind == Kind::Directory;
    let is_in_the_way = *way == Way::TakeCopy && record.as_ref().is_some_and(is_directory);
    if is_in_the_way || (*way != Way::KeepBoth && is_directory(&copy)) {
        return Err(Fault::new(
            FaultKind::Unsupported,
            format!("one of `{path}` and `{kept}` is a directory: rename or remove it yourself"),
        ));
    }
    let events = match way {
        Way::TakeCopy => {
            let mut state = shared.plug.rename(kept, *expect_kept, path, *expect).await?;
            state.content = shared.as_kept(state.content, Some(&copy.content));
            state.content.learn(&copy.content);
            let seen = Event::Seen {
                path: path.clone(),
                state,
                order: None,
                placed: None,
                moved_from: Some(kept.clone()),
                set_aside_from: None,
            };
            vec![seen, gone(kept, Some(path))]
        }
        Way::RemoveCopy => {
            shared.plug.remove(kept, *expect_kept).await?;
            vec![gone(kept, None)]
        }
        Way::KeepBoth => vec![Event::Resolved { path: kept.clone() }],
    };
    shared.announce(events).await;
    Ok(())
}

fn claim<P: Plug>(shared: &Shared<P>, path: &Path) -> Result<Claim, Fault> {
    shared.claims.try_claim(path).ok_or_else(|| {
        Fault::new(FaultKind::Cancelled, format!("`{path}` is being worked at; try again"))
    })
}

/// The record of `path`, if this service is known to hold it in the state `expect`.
async fn known<P: Plug>(
    shared: &Shared<P>,
    path: &Path,
    expect: Option<Tag>,
) -> Result<Option<Record>, Fault> {
    let announced = shared.announcer.known(path);
    let record = shared.records(std::slice::from_ref(path)).await?.pop().flatten();
    if shared.known_tag(path, announced, record.as_ref()) != expect {
        return Err(changed(path));
    }
    // Looked at, because removing what is already gone would succeed.
    let there = shared.plug.look(path).await?;
    if there.map(|state| state.tag) != expect {
        return Err(changed(path));
    }
    Ok(record.filter(|record| record.is_current_on(shared.id)))
}

fn changed(path: &Path) -> Fault {
    Fault::new(FaultKind::Changed, format!("`{path}` changed meanwhile; look at it again"))
}

fn gone(path: &Path, moved_to: Option<&Path>) -> Event {
    Event::Gone { path: path.clone(), order: None, moved_to: moved_to.cloned() }
}
