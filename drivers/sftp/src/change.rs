//! The changes to the user's tree: placing, making directories, setting attributes.

use std::sync::Arc;

use onitu_plug::{Content, Fault, FaultKind, Kind, Path, State, Tag, Why};

use crate::client::Remote;
use crate::fault::{Failure, changed, fault};
use crate::name;
use crate::state::There;
use crate::swap;
use crate::temp::{Ready, dress};
use crate::wire::Attrs;
use crate::wire::request::{Request, open};

/// Puts `ready` where `expect` stands, of which `there` was found a moment ago.
pub(crate) async fn place(
    remote: &Remote,
    ready: Ready,
    path: &Path,
    there: &There,
) -> Result<(), Fault> {
    match there.state() {
        None => swap::put(remote, ready, path).await,
        Some(state) if state.content.kind == Kind::Directory => {
            swap::remove_directory(remote, path).await?;
            swap::put(remote, ready, path).await
        }
        Some(state) => swap::into(remote, ready, path, state, Why::Replaced).await,
    }
}

/// Makes a directory where `expect` stands.
pub(crate) async fn make_directory(
    remote: &Remote,
    path: &Path,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    if path.is_root() {
        return remote.peek(path).await?.state().ok_or_else(|| changed(path));
    }
    name::check(path)?;
    let there = remote.enter(path, expect).await?;
    match there.state() {
        Some(state) if state.content.kind == Kind::Directory => return Ok(state),
        _ if !there.is(expect) => return Err(changed(path)),
        _ => {}
    }
    let placed = place(remote, Ready::Directory, path, &there).await;
    // Made by someone else in this instant: as good as ours, if it is a directory.
    let now = remote.peek(path).await?;
    match now.state().filter(|state| state.content.kind == Kind::Directory) {
        Some(state) => Ok(state),
        None => Err(placed.err().unwrap_or_else(|| changed(path))),
    }
}

/// Sets mtime and the executable bit of the file whose tag is `expect`.
pub(crate) async fn set_attributes(
    remote: &Remote,
    path: &Path,
    expect: Tag,
    content: &Content,
) -> Result<State, Fault> {
    name::check(path)?;
    let failed = |failure: &Failure| match failure {
        failure if failure.is_missing() => changed(path),
        failure => fault("set the attributes of", path, failure),
    };
    let there = remote.peek(path).await?;
    let Some(old) = there.state().filter(|_| there.is(Some(expect))) else {
        return Err(changed(path));
    };
    if old.content.kind != Kind::File {
        return Ok(old);
    }
    let lane = remote.lane();
    let request = Request::open(&remote.full(path), open::READ, &Attrs::default());
    let file = lane.open(request).await.map_err(|it| failed(&it))?;
    let opened = remote.opened(&file).await.map_err(|it| failed(&it))?;
    if !opened.is(Some(expect)) {
        return Err(changed(path));
    }
    let reached = remote.clock.reached().await;
    // Where nobody knows a time the file's own stays.
    let is_known = content.wanted_mtime_ns().is_some();
    let mtime_ns = if is_known { content.mtime_ns } else { old.content.mtime_ns };
    let attrs = dress(&Content { mtime_ns, ..*content }, opened.standing(), reached);
    lane.tell(Request::fsetstat(file.raw(), &attrs)).await.map_err(|it| failed(&it))?;
    if remote.extensions().fsync {
        lane.tell(Request::fsync(file.raw())).await.map_err(|it| failed(&it))?;
    }
    let dressed = remote.opened(&file).await.map_err(|it| failed(&it))?;
    let mut state = dressed.state().ok_or_else(|| changed(path))?;
    // Written to in this instant: it is looked at again, and the new bytes are not taken for ours.
    if state.content.size != old.content.size {
        return Err(changed(path));
    }
    remote.still(path, state.tag).await?;
    remote.fresh.note(path, crate::state::seconds(state.content.mtime_ns), reached);
    state.content.checksum = content.checksum;
    Ok(state)
}

/// The fault of a directory that is to be written.
pub(crate) fn no_bytes(path: &Path) -> Fault {
    let text = format!("`{path}` is to be a directory: it has no bytes to write");
    Fault::new(FaultKind::Unsupported, text)
}

/// Runs a change to its end, even if whoever asked for it goes away: what was taken from its name
/// must not stay without one.
pub(crate) async fn to_its_end<T, F, R>(remote: &Arc<Remote>, change: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(Arc<Remote>) -> R,
    R: Future<Output = Result<T, Fault>> + Send + 'static,
{
    let task = tokio::spawn(change(Arc::clone(remote)));
    task.await.map_err(|_| crate::fault::lost("a change"))?
}
