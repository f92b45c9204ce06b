//! Changes of names. WebDAV has no "if it is still this one", and no exchange, so:
//!
//! What is to go is first moved to the trash, whatever it is by then; there it is looked at, where
//! nobody can change it any more. If it isn't what the order expected, somebody wrote it in the last
//! instant, and it goes back to its name, or to a conflict name if that is taken meanwhile. What is
//! to come is then moved to where nothing is; if something is there by then, it stays. Nothing is
//! ever overwritten, and nothing of a user's is ever deleted: `DELETE` on a directory takes all it
//! holds, so even an empty one goes to the trash, in case that it isn't empty any more.
//!
//! Between the two moves the name is empty. The driver's own looks wait meanwhile; if it dies right
//! there, what is missing is older than the order and is ordered again.

use futures_util::TryStreamExt;
use onitu_plug::{Fault, FaultKind, Hasher, Kind, Path, State, Tag, conflict};

use crate::fault::{Refusal, changed, fault, unavailable};
use crate::folder::{Folder, key};
use crate::name;
use crate::state::{There, Thing};
use crate::trash;

/// Puts the file `from` of the driver's own, of so many bytes, where `expect` stands.
pub(crate) async fn place(
    folder: &Folder,
    from: &str,
    path: &Path,
    (size, expect): (u64, Option<Tag>),
) -> Result<State, Fault> {
    let there = folder.enter(path, expect).await?;
    if !there.is(expect) {
        return Err(changed(path));
    }
    let failed = |refusal: Refusal| fault("write", path, &refusal);
    let written = folder.at(from).await.map_err(failed)?.thing();
    let written = written.ok_or_else(|| failed(gone(from)))?;
    if written.size() != size {
        let text = format!("the server has {} bytes of {size}", written.size());
        return Err(failed(Refusal::Lost(text)));
    }
    let _nobody_looks = folder.exchange(path).await;
    let taken = take_out(folder, path, &there).await?;
    match folder.client.rename(from, path.as_str()).await {
        Ok(()) => {}
        // Somebody put something there in that instant.
        Err(Refusal::Taken) => return Err(changed(path)),
        Err(refusal) => {
            restore(folder, taken, path).await?;
            // Our own file can't be missing, or the directory that was made for it.
            return Err(match refusal {
                Refusal::Missing => failed(gone(from)),
                refusal => failed(refusal),
            });
        }
    }
    match folder.peek(path).await? {
        There::Is(placed) if placed.is_still(&written) => Ok(placed.state()),
        _ => Err(changed(path)),
    }
}

fn gone(name: &str) -> Refusal {
    Refusal::Lost(format!("somebody has removed `{name}`"))
}

/// Moves what stands at `path`, and should be `there`, to the trash; tells where it is.
async fn take_out(folder: &Folder, path: &Path, there: &There) -> Result<Option<String>, Fault> {
    let There::Is(expected) = there else { return Ok(None) };
    let failed = |refusal: Refusal| fault("move to the trash", path, &refusal);
    if expected.is_directory() && holds_something(folder, path.as_str()).await.map_err(failed)? {
        return Err(not_empty(path));
    }
    let (today, place) = (trash::today(), trash::place(path));
    folder.make(&today).await.map_err(failed)?;
    match folder.client.rename(path.as_str(), &place).await {
        Ok(()) => {}
        Err(Refusal::Missing) => return Err(changed(path)),
        Err(refusal) => return Err(failed(refusal)),
    }
    let taken = folder.at(&place).await.map_err(failed)?.thing();
    let taken = taken.ok_or_else(|| failed(gone(&place)))?;
    if !taken.is_still(expected) {
        put_back(folder, &place, &taken, path).await?;
        return Err(changed(path));
    }
    if taken.is_directory() && holds_something(folder, &place).await.map_err(failed)? {
        put_back(folder, &place, &taken, path).await?;
        return Err(not_empty(path));
    }
    Ok(Some(place))
}

fn not_empty(path: &Path) -> Fault {
    Fault::new(FaultKind::NotEmpty, format!("the directory `{path}` holds something"))
}

async fn holds_something(folder: &Folder, directory: &str) -> Result<bool, Refusal> {
    let mut entries = match folder.client.list(&format!("{directory}/")).await {
        Err(Refusal::Missing) => return Ok(false),
        entries => entries?,
    };
    match entries.next().await {
        Err(Refusal::Missing) => Ok(false),
        first => Ok(first?.is_some()),
    }
}

/// Gives what was taken as ordered its name back, since nothing came in its place. If something
/// has, after all, it stays in the trash.
async fn restore(folder: &Folder, taken: Option<String>, path: &Path) -> Result<(), Fault> {
    let Some(taken) = taken else { return Ok(()) };
    match folder.client.rename(&taken, path.as_str()).await {
        Ok(()) | Err(Refusal::Taken) => Ok(()),
        Err(refusal) => Err(fault("put back", path, &refusal)),
    }
}

/// Gives what was taken by mistake its name back, or a conflict name if that is taken.
async fn put_back(folder: &Folder, from: &str, thing: &Thing, path: &Path) -> Result<(), Fault> {
    match folder.client.rename(from, path.as_str()).await {
        Ok(()) => Ok(()),
        Err(Refusal::Taken) => set_aside(folder, from, thing, path).await,
        Err(refusal) => Err(fault("put back", path, &refusal)),
    }
}

/// Moves what somebody wrote at `path` in the last instant, and now is at `from`, to its conflict
/// name.
async fn set_aside(folder: &Folder, from: &str, thing: &Thing, path: &Path) -> Result<(), Fault> {
    let failed = |refusal: Refusal| fault("keep a conflict copy of", path, &refusal);
    let sum = if thing.is_directory() {
        None
    } else {
        Some(hash(folder, from, thing.size()).await.map_err(failed)?.finish())
    };
    for aside in conflict::conflict_paths(path, &folder.setting.service, sum) {
        match folder.client.rename(from, aside.as_str()).await {
            Err(Refusal::Taken) => {}
            moved => return moved.map_err(failed),
        }
    }
    let text = format!("every conflict name of `{path}` is taken; it is in `{from}`");
    Err(Fault::new(FaultKind::Denied, text))
}

async fn hash(folder: &Folder, from: &str, size: u64) -> Result<Hasher, Refusal> {
    let mut hasher = Hasher::default();
    if size > 0 {
        let mut bytes = folder.client.stream(from, 0, size).await?;
        let broken = |error: std::io::Error| Refusal::Lost(error.to_string());
        while let Some(piece) = bytes.try_next().await.map_err(broken)? {
            hasher.update(&piece);
        }
    }
    Ok(hasher)
}

/// Removes `path`, whose tag is `expect`: to the trash.
pub(crate) async fn remove(folder: &Folder, path: &Path, expect: Tag) -> Result<(), Fault> {
    if name::is_own(path) {
        return Ok(());
    }
    if !name::can_be_asked(path) {
        return folder.look(path).await.map(drop);
    }
    folder.check(path)?;
    let there = folder.look(path).await?;
    if there == There::Nothing {
        return Ok(());
    }
    if !there.is(Some(expect)) {
        return Err(changed(path));
    }
    let _nobody_looks = folder.exchange(path).await;
    take_out(folder, path, &there).await.map(drop)
}

/// Makes a directory where `expect` stands.
pub(crate) async fn make_directory(
    folder: &Folder,
    path: &Path,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    if path.is_root() {
        return folder.look(path).await?.state().ok_or_else(|| unavailable("there is no root"));
    }
    folder.check(path)?;
    let there = folder.enter(path, expect).await?;
    match there.state() {
        Some(state) if state.content.kind == Kind::Directory => return Ok(state),
        _ if !there.is(expect) => return Err(changed(path)),
        _ => {}
    }
    let _nobody_looks = folder.exchange(path).await;
    take_out(folder, path, &there).await?;
    let made = folder.make(&name::directory(path)).await;
    made.map_err(|refusal| fault("make", path, &refusal))?;
    // What somebody else has made in this instant is as good, if it is a directory.
    let state = folder.peek(path).await?.state();
    state.filter(|it| it.content.kind == Kind::Directory).ok_or_else(|| changed(path))
}

/// Renames `from` to `to`; each comes with the state it must be in.
pub(crate) async fn rename(
    folder: &Folder,
    (from, expect_from): (&Path, Tag),
    (to, expect_to): (&Path, Option<Tag>),
) -> Result<State, Fault> {
    folder.check(from)?;
    folder.check(to)?;
    let there = folder.peek(from).await?;
    let Some(before) = there.clone().thing().filter(|_| there.is(Some(expect_from))) else {
        return Err(changed(from));
    };
    let standing = folder.enter(to, expect_to).await?;
    if !standing.is(expect_to) {
        return Err(changed(to));
    }
    let _nobody_looks = folder.exchange(to).await;
    let replaced = take_out(folder, to, &standing).await?;
    let renamed = folder.client.rename(from.as_str(), to.as_str()).await;
    if let Err(refusal) = renamed {
        restore(folder, replaced, to).await?;
        return Err(match refusal {
            Refusal::Missing => changed(from),
            Refusal::Taken => changed(to),
            refusal => fault("rename", from, &refusal),
        });
    }
    let failed = |refusal: Refusal| fault("look at", to, &refusal);
    let after = folder.at(key(to)).await.map_err(failed)?.thing().ok_or_else(|| changed(to))?;
    if after.is_still(&before) {
        return Ok(after.state());
    }
    // Somebody wrote to it in the last instant, so it isn't what was ordered.
    put_back(folder, to.as_str(), &after, from).await?;
    Err(changed(from))
}
