//! Putting something from the trash in its place.
//!
//! The thing moves by one rename, where nothing is; what stands there moves to today's trash with
//! the request before, and is then looked at, as in [`crate::swap`].

use std::sync::Arc;

use onitu_plug::{Checksum, Fault, FaultKind, Kind, Path, State, Tag, Why};

use crate::client::Remote;
use crate::fault::{Failure, changed, fault};
use crate::name;
use crate::read;
use crate::state::There;
use crate::swap;
use crate::temp::{Ready, Temp};
use crate::trash::list::parts;

/// Finds what the trash holds under `id`: where, and what it is.
async fn find(remote: &Remote, id: &str) -> Result<(Vec<u8>, There), Fault> {
    let gone = || {
        let text = format!("`{id}` is no longer in the trash");
        Fault::new(FaultKind::NotFound, text)
    };
    let (day, name) = parts(id).ok_or_else(gone)?;
    let full = [&remote.trash.day(day)[..], b"/", name.as_bytes()].concat();
    match remote.at(&full).await {
        Ok(There::Nothing) => Err(gone()),
        Ok(there) => Ok((full, there)),
        Err(failure) => Err(fault("read in the trash", id, &failure)),
    }
}

/// The checksum of what the trash holds under `id`.
pub(crate) async fn hash(remote: &Remote, id: &str) -> Result<Checksum, Fault> {
    let (full, there) = find(remote, id).await?;
    let sum = read::checksum(remote, &full, &there).await;
    sum.map_err(|failure: Failure| fault("read in the trash", id, &failure))
}

/// Puts what the trash holds under `id` at `path`, where `expect` stands.
pub(crate) async fn restore(
    remote: &Arc<Remote>,
    id: &str,
    path: &Path,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    name::check(path)?;
    let _nothing_is_purged = remote.trash.settle().await;
    let (full, kept) = find(remote, id).await?;
    let state = kept.state().ok_or_else(|| changed(path))?;
    let there = remote.enter(path, expect).await?;
    if there.kind() == Some(Kind::Directory) || !there.is(expect) {
        return Err(changed(path));
    }
    // Whatever becomes of it, what is in the trash is no temporary file.
    let mut thing = Temp::new(remote, full);
    thing.leave();
    let ready = Ready::File(thing, state);
    match there.state() {
        None => swap::put(remote, ready, path).await?,
        Some(standing) => swap::into(remote, ready, path, standing, Why::Restored).await?,
    }
    Ok(state)
}
