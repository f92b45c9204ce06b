//! Renaming without moving the bytes.
//!
//! A file gets its new name as a second one, where nothing is, and loses the old one afterwards:
//! should the connection end in between, it has both, and the next scan finds a copy. A directory
//! can't have two names; it is renamed in one step, which never replaces anything but an empty
//! directory.

use onitu_plug::{Fault, Kind, Path, State, Tag, Why};

use crate::area::new_name;
use crate::client::Remote;
use crate::fault::{Failure, changed, fault};
use crate::name;
use crate::state::There;
use crate::swap::{flush_parents, put_back, remove_directory};
use crate::wire::request::Request;

/// Renames `from` to `to`; each comes with the state it must be in.
pub(crate) async fn rename(
    remote: &Remote,
    (from, expect_from): (&Path, Tag),
    (to, expect_to): (&Path, Option<Tag>),
) -> Result<State, Fault> {
    name::check(from)?;
    name::check(to)?;
    let there = remote.peek(from).await?;
    let Some(state) = there.state().filter(|_| there.is(Some(expect_from))) else {
        return Err(changed(from));
    };
    let standing = remote.enter(to, expect_to).await?;
    if !standing.is(expect_to) {
        return Err(changed(to));
    }
    let replaced = match standing.state() {
        Some(state) if state.content.kind == Kind::Directory => {
            remove_directory(remote, to).await?;
            None
        }
        replaced => replaced,
    };
    if state.content.kind == Kind::Directory {
        if replaced.is_some() {
            return Err(changed(to));
        }
        return directory(remote, from, to, state).await;
    }
    give_name(remote, from, to, replaced).await?;
    let moved = remote.peek(to).await?;
    if !moved.is(Some(expect_from)) {
        // Somebody wrote to it in the last instant, so its second name isn't what was ordered.
        withdraw(remote, to, &moved).await?;
        return Err(changed(from));
    }
    flush_parents(remote, [to]).await?;
    take_name(remote, from, expect_from).await?;
    flush_parents(remote, [from]).await?;
    Ok(state)
}

async fn directory(remote: &Remote, from: &Path, to: &Path, state: State) -> Result<State, Fault> {
    let request = remote.take_out(&remote.full(from), &remote.full(to));
    match remote.lane().tell(request).await {
        Ok(()) => {}
        // Something is at one of the names that wasn't a moment ago, or no longer.
        Err(failure) if failure.is_vague() || failure.is_missing() => return Err(changed(to)),
        Err(failure) => return Err(fault("rename", format!("{from}` to `{to}"), &failure)),
    }
    flush_parents(remote, [from, to]).await?;
    Ok(state)
}

/// Gives the file or link `from` the name `to` as well. What stood there, and is `replaced`, goes
/// to the trash.
async fn give_name(
    remote: &Remote,
    from: &Path,
    to: &Path,
    replaced: Option<State>,
) -> Result<(), Fault> {
    let failed = |failure: &Failure| match failure {
        failure if failure.is_vague() || failure.is_missing() => changed(to),
        failure => fault("rename", format!("{from}` to `{to}"), failure),
    };
    let link = if remote.extensions().hardlink {
        Request::hardlink(&remote.full(from), &remote.full(to))
    } else {
        Request::rename(&remote.full(from), &remote.full(to))
    };
    let Some(replaced) = replaced else {
        let linked = remote.lane().tell(link).await;
        return or_moved(remote, linked, from, to).await.map_err(|it| failed(&it));
    };
    let number = remote.numbered_lane().0;
    let size = replaced.content.size;
    let place = remote.trash.expect(remote, number, to, size, Why::Replaced).await?;
    let (out, linked) = {
        let _nobody_looks = remote.gate.exchange(to).await;
        let out = remote.take_out(&remote.full(to), &place.full);
        let sent = remote.lane_of(number).send([place.note(), out, link]).await;
        let [noted, out, linked] = sent.map_err(|it| failed(&it))?;
        let _ = noted.done().await;
        let (out, linked) = (out.done().await, linked.done().await);
        match out {
            Ok(()) => (out, or_moved(remote, linked, from, to).await),
            Err(_) => (out, linked),
        }
    };
    if let Err(failure) = out {
        if linked.is_ok() {
            // Nothing was there any more: what stands there now has its old name still.
            let moved = remote.peek(to).await?;
            withdraw(remote, to, &moved).await?;
        }
        return Err(failed(&failure));
    }
    let taken = remote.at(&place.full).await.map_err(|it| failed(&it))?;
    let is_right = taken.is(Some(replaced.tag));
    if linked.is_ok() && is_right {
        return place.flush(remote).await;
    }
    if linked.is_ok() {
        let moved = remote.peek(to).await?;
        withdraw(remote, to, &moved).await?;
    }
    put_back(remote, &place.full, &taken, to).await?;
    linked.map_err(|it| failed(&it))?;
    Err(changed(to))
}

/// Where the file system gives no second names, a rename has to do: the server sees to it that it
/// replaces nothing, as well as it can.
async fn or_moved(
    remote: &Remote,
    linked: Result<(), Failure>,
    from: &Path,
    to: &Path,
) -> Result<(), Failure> {
    match linked {
        Err(Failure::Refused(..)) if remote.extensions().hardlink => {}
        linked => return linked,
    }
    match remote.at(&remote.full(to)).await? {
        There::Nothing => {
            let request = Request::rename(&remote.full(from), &remote.full(to));
            remote.lane().tell(request).await
        }
        _ => linked,
    }
}

/// Takes the name `at` away again from what was `seen` there, and is known under another one.
async fn withdraw(remote: &Remote, at: &Path, seen: &There) -> Result<(), Fault> {
    let Some(seen) = seen.state() else { return Ok(()) };
    take_name(remote, at, seen.tag).await
}

/// Takes the name `path` away from a file or link in the state `expect`, which has another name.
async fn take_name(remote: &Remote, path: &Path, expect: Tag) -> Result<(), Fault> {
    let failed = |failure: &Failure| fault("rename", path, failure);
    let out = remote.own(&new_name());
    match remote.lane().tell(remote.take_out(&remote.full(path), &out)).await {
        Err(failure) if failure.is_missing() => return Ok(()),
        taken => taken.map_err(|it| failed(&it))?,
    }
    let taken = remote.at(&out).await.map_err(|it| failed(&it))?;
    if taken.is(Some(expect)) {
        return remote.lane().tell(Request::remove(&out)).await.map_err(|it| failed(&it));
    }
    // Somebody put another one there in the last instant: it stays where it was put.
    put_back(remote, &out, &taken, path).await
}
