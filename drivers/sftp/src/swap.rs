//! Changes that take a user's thing from its name: replacing, renaming, removing.
//!
//! The protocol has no "if it is still this one", and no exchange. So a thing is first moved out,
//! whatever it is by then; what replaces it is put in with the very next request; and then what came
//! out is looked at. Is it what was expected, it is in the trash; is it something else, somebody
//! wrote it in the last instant, and it goes back or gets a conflict name. Nothing is ever
//! overwritten. Both requests are in one packet, so the name is empty for microseconds, and if
//! the connection ends right there, what is missing is older than the order and is ordered again.

use onitu_plug::{Fault, FaultKind, Kind, Path, State, Tag, Why, conflict};

use crate::area::new_name;
use crate::client::Remote;
use crate::fault::{Failure, changed, fault};
use crate::name;
use crate::read;
use crate::state::There;
use crate::temp::Ready;
use crate::wire::request::Request;

/// Puts `ready` where nothing is.
pub(crate) async fn put(remote: &Remote, mut ready: Ready, path: &Path) -> Result<(), Fault> {
    match remote.lane().tell(ready.put(&remote.full(path))).await {
        Ok(()) => ready.placed(),
        Err(failure) => return Err(not_put(remote, path, &failure).await),
    }
    flush_parents(remote, [path]).await
}

/// Why something could not be put at `path`: mostly because something is there.
async fn not_put(remote: &Remote, path: &Path, failure: &Failure) -> Fault {
    match remote.peek(path).await {
        Ok(There::Nothing) if failure.is_missing() => changed(path),
        Ok(There::Nothing) if failure.is_vague() => {
            let text = format!(
                "can't write `{path}`: the server can't move a file there from `{}`; is another \
                 file system mounted there? Make it a service of its own",
                name::OWN
            );
            Fault::new(FaultKind::Unsupported, text)
        }
        Ok(There::Nothing) => fault("write", path, failure),
        Ok(_) => changed(path),
        Err(fault) => fault,
    }
}

/// Puts `ready` in the place of the file or link `path`, whose state is `expect`.
pub(crate) async fn into(
    remote: &Remote,
    mut ready: Ready,
    path: &Path,
    expect: State,
    why: Why,
) -> Result<(), Fault> {
    let full = remote.full(path);
    let failed = |failure: &Failure| fault("replace", path, failure);
    for _ in 0..2 {
        let number = remote.numbered_lane().0;
        let lane = remote.lane_of(number);
        let place = remote.trash.expect(remote, number, path, expect.content.size, why).await?;
        let (out, put) = {
            let _nobody_looks = remote.gate.exchange(path).await;
            let requests = [place.note(), remote.take_out(&full, &place.full), ready.put(&full)];
            let [noted, out, put] = lane.send(requests).await.map_err(|it| failed(&it))?;
            // A line that could not be written makes its thing hard to find, and no less kept.
            let _ = noted.done().await;
            (out.done().await, put.done().await)
        };
        if let Err(failure @ Failure::Lost(_)) = &out {
            ready.placed();
            return Err(failed(failure));
        }
        match (out, put) {
            (Ok(()), put) => {
                let taken = remote.at(&place.full).await.map_err(|it| failed(&it))?;
                let is_right = taken.is(Some(expect.tag));
                match put {
                    Ok(()) => ready.placed(),
                    Err(failure) => {
                        return kept_out(remote, &place.full, &taken, path, is_right, &failure)
                            .await;
                    }
                }
                if !is_right {
                    set_aside(remote, &place.full, &taken, path).await?;
                }
                let (trash, tree) =
                    tokio::join!(place.flush(remote), flush_parents(remote, [path]));
                return trash.and(tree);
            }
            (Err(_), Ok(())) => {
                // Nothing was there any more: what was put there goes again.
                ready.placed();
                take_back(remote, &ready, path).await?;
                return Err(changed(path));
            }
            (Err(failure), Err(_)) if failure.is_missing() => {
                if !remote.trash.is_gone(remote, &place).await {
                    return Err(changed(path));
                }
            }
            (Err(failure), Err(_)) => return Err(failed(&failure)),
        }
    }
    Err(changed(path))
}

/// What stood at `path` is at `full`, and nothing could be put in its place.
async fn kept_out(
    remote: &Remote,
    full: &[u8],
    taken: &There,
    path: &Path,
    is_right: bool,
    failure: &Failure,
) -> Result<(), Fault> {
    if matches!(remote.peek(path).await?, There::Nothing) {
        put_back(remote, full, taken, path).await?;
        return Err(fault("replace", path, failure));
    }
    // Somebody put something there in that instant, as we were about to.
    if !is_right {
        set_aside(remote, full, taken, path).await?;
    }
    Err(changed(path))
}

/// Takes away what was put at `path` by mistake, unless it is somebody else's by now.
async fn take_back(remote: &Remote, ready: &Ready, path: &Path) -> Result<(), Fault> {
    let failed = |failure: &Failure| fault("take back", path, failure);
    let full = remote.full(path);
    if matches!(ready, Ready::Directory) {
        // One that holds something stays.
        let _ = remote.lane().tell(Request::rmdir(&full)).await;
        return Ok(());
    }
    let out = remote.own(&new_name());
    match remote.lane().tell(remote.take_out(&full, &out)).await {
        Err(failure) if failure.is_missing() => return Ok(()),
        taken => taken.map_err(|it| failed(&it))?,
    }
    let there = remote.at(&out).await.map_err(|it| failed(&it))?;
    let is_ours = match ready {
        Ready::File(_, state) => there.is(Some(state.tag)),
        Ready::Link(text) => {
            let sum = there.state().filter(|it| it.content.kind == Kind::Symlink);
            sum.and_then(|it| it.content.checksum) == Some(onitu_plug::Checksum::of(text))
        }
        Ready::Directory => false,
    };
    if is_ours {
        remote.lane().tell(Request::remove(&out)).await.map_err(|it| failed(&it))
    } else {
        put_back(remote, &out, &there, path).await
    }
}

/// Removes `path`, whose tag is `expect`: to the trash, unless it is a directory.
pub(crate) async fn remove(remote: &Remote, path: &Path, expect: Tag) -> Result<(), Fault> {
    if name::is_own(path) {
        return Ok(());
    }
    name::check(path)?;
    let there = remote.peek(path).await?;
    if matches!(there, There::Nothing) {
        return Ok(());
    }
    let Some(state) = there.state().filter(|_| there.is(Some(expect))) else {
        return Err(changed(path));
    };
    if state.content.kind == Kind::Directory {
        remove_directory(remote, path).await?;
        return flush_parents(remote, [path]).await;
    }
    let full = remote.full(path);
    let failed = |failure: &Failure| fault("remove", path, failure);
    for _ in 0..2 {
        let number = remote.numbered_lane().0;
        let size = state.content.size;
        let place = remote.trash.expect(remote, number, path, size, Why::Removed).await?;
        let requests = [place.note(), remote.take_out(&full, &place.full)];
        let sent = remote.lane_of(number).send(requests).await;
        let [noted, out] = sent.map_err(|it| failed(&it))?;
        let _ = noted.done().await;
        match out.done().await {
            Ok(()) => {}
            Err(failure) if failure.is_missing() => {
                if remote.trash.is_gone(remote, &place).await {
                    continue;
                }
                return Ok(());
            }
            Err(failure) => return Err(failed(&failure)),
        }
        let taken = remote.at(&place.full).await.map_err(|it| failed(&it))?;
        if !taken.is(Some(expect)) {
            put_back(remote, &place.full, &taken, path).await?;
            return Err(changed(path));
        }
        let (trash, tree) = tokio::join!(place.flush(remote), flush_parents(remote, [path]));
        return trash.and(tree);
    }
    Err(changed(path))
}

/// Removes the directory `path` if it is empty.
pub(crate) async fn remove_directory(remote: &Remote, path: &Path) -> Result<(), Fault> {
    match remote.lane().tell(Request::rmdir(&remote.full(path))).await {
        Ok(()) => Ok(()),
        Err(failure) if failure.is_missing() => match remote.peek(path).await? {
            There::Nothing => Ok(()),
            _ => Err(changed(path)),
        },
        Err(failure) if failure.is_vague() => {
            let text = format!("the directory `{path}` holds something");
            Err(Fault::new(FaultKind::NotEmpty, text))
        }
        Err(failure) => Err(fault("remove", path, &failure)),
    }
}

/// Gives what was taken by mistake its name back, or a conflict name if that is taken.
pub(crate) async fn put_back(
    remote: &Remote,
    from: &[u8],
    there: &There,
    path: &Path,
) -> Result<(), Fault> {
    match remote.lane().tell(Request::rename(from, &remote.full(path))).await {
        Ok(()) => flush_parents(remote, [path]).await,
        Err(failure) if failure.is_vague() => set_aside(remote, from, there, path).await,
        Err(failure) => Err(fault("put back", path, &failure)),
    }
}

/// Moves what somebody wrote at `path` in the last instant, and now is at `from`, to its conflict
/// name.
pub(crate) async fn set_aside(
    remote: &Remote,
    from: &[u8],
    there: &There,
    path: &Path,
) -> Result<(), Fault> {
    let failed = |failure: &Failure| fault("keep a conflict copy of", path, failure);
    let sum = read::checksum(remote, from, there).await.map_err(|it| failed(&it))?;
    for digits in 7..=40 {
        let aside = conflict::conflict_path(path, remote.service(), sum, digits);
        match remote.lane().tell(Request::rename(from, &remote.full(&aside))).await {
            Ok(()) => return flush_parents(remote, [&aside]).await,
            Err(failure) if failure.is_vague() => {}
            Err(failure) => return Err(failed(&failure)),
        }
    }
    let text = format!("every conflict name of `{path}` is taken");
    Err(Fault::new(FaultKind::Denied, text))
}

/// Makes durable what was changed in the directories of `paths`.
pub(crate) async fn flush_parents<'a>(
    remote: &Remote,
    paths: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Fault> {
    let flushes = paths.into_iter().map(|path| remote.full_parent(path));
    let flushes = flushes.map(|full| remote.flush.own_directory(remote, full));
    futures_util::future::try_join_all(flushes).await.map(drop)
}
