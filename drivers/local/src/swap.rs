//! Changes that take a user's thing from its name: replacing, renaming, removing.
//!
//! The kernel has no "if it is still this one". So a thing is first moved, then looked at: is it
//! what was expected, it goes to the trash; is it something else, somebody wrote it in the last
//! instant, and it goes back or gets a conflict name. Nothing is ever overwritten.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use onitu_plug::{Checksum, Fault, Hasher, Kind, Path, State, Tag, Why, conflict};
use rustix::fs::{Mode, OFlags, RenameFlags, openat, readlinkat};
use rustix::io::Errno;

use crate::area::Area;
use crate::change::{parent, remove_directory};
use crate::client::Root;
use crate::disk::{fsync, renameat_with};
use crate::fault::{changed, fault};
use crate::flush::Flush;
use crate::name;
use crate::read::read_at;
use crate::state::{self, There};
use crate::temp::Temp;
use crate::trash::Day;

const NOREPLACE: RenameFlags = RenameFlags::NOREPLACE;
const EXCHANGE: RenameFlags = RenameFlags::EXCHANGE;

/// Puts what `temp` holds in the place of the file or link `path`, whose tag is `expect` and which has
/// `size` bytes.
pub(crate) fn into(
    root: &Root,
    flush: &mut Flush,
    mut temp: Temp,
    parent: &OwnedFd,
    path: &Path,
    (expect, size): (Tag, u64),
) -> Result<(), Fault> {
    let failed = |errno| match errno {
        Errno::NOENT => changed(path),
        errno => fault("replace", path, errno),
    };
    let area = Arc::clone(temp.area());
    let place = area.trash().expect(path, size, Why::Replaced).map_err(failed)?;
    temp.about_to_swap(&place.id).map_err(failed)?;
    let exchange = |temp: &Temp| {
        renameat_with(area.tmp(), temp.name(), parent, path.name(), EXCHANGE).map_err(failed)
    };
    exchange(&temp)?;
    // From here on the user's thing has the temporary name: nothing may remove it.
    temp.leave();
    let kept = match temp.there() {
        Ok(there) if there.is(Some(expect)) => {
            place.day.take(area.tmp(), temp.name(), &place.id).map_err(failed)
        }
        Ok(there) => set_aside(root, area.tmp(), temp.name(), &there, parent, path),
        Err(errno) => Err(failed(errno)),
    };
    if let Err(fault) = kept {
        // It can be kept nowhere else, so it gets its name back; ours is dropped as a leftover.
        exchange(&temp)?;
        return Err(fault);
    }
    flush_trash(flush, &place.day, &area);
    Ok(())
}

/// Removes `path`, whose tag is `expect`: to the trash, unless it is a directory.
pub(crate) fn remove(
    root: &Root,
    flush: &mut Flush,
    path: &Path,
    expect: Tag,
) -> Result<(), Fault> {
    if name::is_own(path) {
        return Ok(());
    }
    name::check(path)?;
    let failed = |errno| fault("remove", path, errno);
    let there = root.look(path)?;
    if matches!(there, There::Nothing) {
        return Ok(());
    }
    if !there.is(Some(expect)) {
        return Err(changed(path));
    }
    let (parent, area) = parent(root, flush, path, Some(expect))?;
    if there.state().is_some_and(|state| state.content.kind == Kind::Directory) {
        remove_directory(&parent, path)?;
        flush.add(parent, &area);
        return Ok(());
    }
    let size = there.state().map_or(0, |state| state.content.size);
    let place = area.trash().expect(path, size, Why::Removed).map_err(failed)?;
    let (day, id) = (&place.day, &place.id);
    match day.take(&parent, path.name(), id) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    }
    let taken = state::at(day.dir(), id.as_str()).map_err(failed)?;
    if !taken.is(Some(expect)) {
        put_back(root, day.dir(), id, &taken, &parent, path)?;
        return Err(changed(path));
    }
    flush_trash(flush, day, &area);
    flush.add(parent, &area);
    Ok(())
}

/// Makes what is missing of the directories of `to`, if the rename can go on: they must be durable
/// before something is moved into them, or a power failure could take it with them.
pub(crate) fn prepare_rename(
    root: &Root,
    flush: &mut Flush,
    (from, expect_from): (&Path, Tag),
    (to, expect_to): (&Path, Option<Tag>),
) -> Result<(), Fault> {
    name::check(from)?;
    name::check(to)?;
    root.still(from, expect_from)?;
    if !root.look(to)?.is(expect_to) {
        return Err(changed(to));
    }
    parent(root, flush, to, expect_to).map(drop)
}

/// Renames `from` to `to`; each comes with the state it must be in.
pub(crate) fn rename(
    root: &Root,
    flush: &mut Flush,
    (from, expect_from): (&Path, Tag),
    (to, expect_to): (&Path, Option<Tag>),
) -> Result<State, Fault> {
    name::check(from)?;
    name::check(to)?;
    let failed = |errno| match errno {
        Errno::EXIST | Errno::NOENT => changed(to),
        errno => fault("rename", format!("{from}` to `{to}"), errno),
    };
    root.still(from, expect_from)?;
    let there = root.look(to)?;
    if !there.is(expect_to) {
        return Err(changed(to));
    }
    let (from_dir, _) = parent(root, flush, from, Some(expect_from))?;
    let (to_dir, area) = parent(root, flush, to, expect_to)?;
    let there = match there.state() {
        Some(state) if state.content.kind == Kind::Directory => {
            remove_directory(&to_dir, to)?;
            There::Nothing
        }
        _ => there,
    };
    // A file's own name, spelled otherwise, is no exception: that takes two steps.
    root.refuse_twin(to).map_err(failed)?;
    let replaces = !matches!(there, There::Nothing);
    let size = there.state().map_or(0, |state| state.content.size);
    let expected = replaces.then(|| area.trash().expect(to, size, Why::Replaced));
    let place = expected.transpose().map_err(failed)?;
    let flags = if replaces { EXCHANGE } else { NOREPLACE };
    root.echo().expect(to);
    if let Err(errno) = renameat_with(&from_dir, from.name(), &to_dir, to.name(), flags) {
        root.echo().take(to);
        return Err(failed(errno));
    }
    let moved = state::at(&to_dir, to.name()).map_err(failed)?;
    let is_right = moved.is(Some(expect_from))
        && (!replaces || state::at(&from_dir, from.name()).map_err(failed)?.is(expect_to));
    let Some(state) = moved.state().filter(|_| is_right) else {
        if replaces {
            renameat_with(&to_dir, to.name(), &from_dir, from.name(), EXCHANGE).map_err(failed)?;
        } else {
            put_back(root, &to_dir, to.name(), &moved, &from_dir, from)?;
        }
        return Err(changed(from));
    };
    if let Some(place) = &place {
        let (day, id) = (&place.day, &place.id);
        // Were only what follows on the disk after a power failure, and not the exchange, the
        // trash would have taken the renamed file's only name.
        fsync(&from_dir).and_then(|()| fsync(&to_dir)).map_err(failed)?;
        day.take(&from_dir, from.name(), id).map_err(failed)?;
        let taken = state::at(day.dir(), id.as_str()).map_err(failed)?;
        if !taken.is(expect_to) {
            put_back(root, day.dir(), id, &taken, &from_dir, from)?;
        }
        flush_trash(flush, day, &area);
    }
    flush.add(from_dir, &area);
    flush.add(to_dir, &area);
    Ok(state)
}

/// Gives what was taken by mistake its name back, or a conflict name if that is taken.
fn put_back(
    root: &Root,
    at: &OwnedFd,
    as_name: &str,
    there: &There,
    parent: &OwnedFd,
    path: &Path,
) -> Result<(), Fault> {
    match renameat_with(at, as_name, parent, path.name(), NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => set_aside(root, at, as_name, there, parent, path),
        Err(errno) => Err(fault("put back", path, errno)),
    }
}

/// Moves what somebody wrote at `path` in the last instant, and now is `as_name` in `at`, to its
/// conflict name.
pub(crate) fn set_aside(
    root: &Root,
    at: &OwnedFd,
    as_name: &str,
    there: &There,
    parent: &OwnedFd,
    path: &Path,
) -> Result<(), Fault> {
    let failed = |errno| fault("keep a conflict copy of", path, errno);
    let sum = checksum(at, as_name, there).map_err(failed)?;
    for digits in 7..=40 {
        let aside = conflict::conflict_path(path, root.service(), sum, digits);
        match renameat_with(at, as_name, parent, aside.name(), NOREPLACE) {
            Err(Errno::EXIST) => {}
            moved => return moved.map_err(failed),
        }
    }
    Err(failed(Errno::EXIST))
}

/// The checksum of the file or link `name` in `dir`.
pub(crate) fn checksum(dir: impl AsFd, name: &str, there: &There) -> Result<Checksum, Errno> {
    let mut hasher = Hasher::default();
    match there.state().map(|state| state.content.kind) {
        Some(Kind::File) => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = openat(dir, name, flags, Mode::empty())?;
            let mut offset = 0;
            loop {
                let bytes = read_at(&file, 1024 * 1024, offset)?;
                if bytes.is_empty() {
                    break;
                }
                offset += bytes.len() as u64;
                hasher.update(&bytes);
            }
        }
        Some(Kind::Symlink) => hasher.update(readlinkat(dir, name, Vec::new())?.as_bytes()),
        Some(Kind::Directory) | None => {}
    }
    Ok(hasher.finish())
}

pub(crate) fn flush_trash(flush: &mut Flush, day: &Day, area: &Arc<Area>) {
    flush.add(Arc::clone(day.dir()), area);
    flush.add(Arc::clone(day.index()), area);
}
