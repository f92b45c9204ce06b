//! A user's edits made through the driver, for storages that have no other door.
//!
//! Each looks first and then expects what it saw, as the runtime does, over a connection of its
//! own. A driver that is wrong about this is wrong in the cases themselves, too.

use bytes::Bytes;
use onitu_plug::{Content, Fault, FaultKind, Kind, Path, Plug, Sink, Source, State, Tag};

use crate::scene::file;

/// Largest chunk that is read at once.
const CHUNK_BYTES: u32 = 256 * 1024;

/// Replaces whatever is there.
pub(crate) async fn write(plug: &impl Plug, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    match place(plug, path, bytes, None).await {
        // Most are new, which is found out without a look, since that is dear on a far service.
        Err(fault) if fault.kind == FaultKind::Changed => {}
        placed => return placed,
    }
    let expect = plug.look(path).await?.map(|state| state.tag);
    place(plug, path, bytes, expect).await
}

async fn place(
    plug: &impl Plug,
    path: &Path,
    bytes: &[u8],
    expect: Option<Tag>,
) -> Result<(), Fault> {
    let content = Content { mtime_ns: fresh_time_ns(), ..file(bytes) };
    let mut sink = plug.write(path, &content, fresh_key()).await?;
    sink.resumed().await?;
    sink.write(Bytes::copy_from_slice(bytes)).await?;
    sink.place(content, expect).await.map(drop)
}

/// A whole second that no other write of this process has: a user's edits have a time each, and by
/// nothing else some storages tell two of one size apart.
fn fresh_time_ns() -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    static LAST_S: AtomicI64 = AtomicI64::new(1_600_000_000);
    (LAST_S.fetch_add(1, Ordering::Relaxed) + 1) * 1_000_000_000
}

/// Reads what is there and replaces it by that and more: no storage behind a driver appends.
pub(crate) async fn append(plug: &impl Plug, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let state = there(plug, path).await?;
    let mut all = read(plug, path, &state).await?;
    all.extend_from_slice(bytes);
    write(plug, path, &all).await
}

/// All bytes of a path in one state.
pub(crate) async fn read(plug: &impl Plug, path: &Path, state: &State) -> Result<Vec<u8>, Fault> {
    let mut source = plug.read(path, state.tag, 0).await?;
    let mut all = Vec::new();
    loop {
        let chunk = source.next(CHUNK_BYTES).await?;
        if chunk.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&chunk);
    }
}

/// Removes whatever is there.
pub(crate) async fn remove(plug: &impl Plug, path: &Path) -> Result<(), Fault> {
    plug.remove(path, there(plug, path).await?.tag).await
}

/// Renames over whatever is at the new name.
pub(crate) async fn rename(plug: &impl Plug, from: &Path, to: &Path) -> Result<(), Fault> {
    let expect = plug.look(to).await?.map(|state| state.tag);
    plug.rename(from, there(plug, from).await?.tag, to, expect).await.map(drop)
}

/// Places a link where nothing is.
pub(crate) async fn symlink(plug: &impl Plug, path: &Path, target: &str) -> Result<(), Fault> {
    let content = Content { kind: Kind::Symlink, ..file(target.as_bytes()) };
    let mut sink = plug.write(path, &content, fresh_key()).await?;
    sink.resumed().await?;
    sink.write(Bytes::copy_from_slice(target.as_bytes())).await?;
    sink.place(content, None).await.map(drop)
}

/// Sets both attributes of whatever file is there.
pub(crate) async fn set_attributes(
    plug: &impl Plug,
    path: &Path,
    mtime_ns: i64,
    executable: bool,
) -> Result<(), Fault> {
    let state = there(plug, path).await?;
    let content = Content { mtime_ns, executable, ..state.content };
    plug.set_attributes(path, state.tag, &content).await.map(drop)
}

/// The state at a path where something must be; `NotFound` says that the case is wrong.
async fn there(plug: &impl Plug, path: &Path) -> Result<State, Fault> {
    let missing = || Fault::new(FaultKind::NotFound, format!("`{path}` is not there"));
    plug.look(path).await?.ok_or_else(missing)
}

/// A resume key that no other write of this process has.
pub(crate) fn fresh_key() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(1 << 32);
    LAST.fetch_add(1, Ordering::Relaxed)
}
