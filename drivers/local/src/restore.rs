//! Putting something from the trash in its place. Run by the commit thread.
//!
//! The thing moves by one rename within its file system. Where something stands, the two change
//! places, so that neither is ever without a name; what comes out is then looked at, as in
//! [`crate::swap`].

use std::os::fd::OwnedFd;
use std::sync::Arc;

use onitu_plug::{Checksum, Fault, FaultKind, Kind, Path, State, Tag, Why};
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::area::Area;
use crate::change::parent;
use crate::client::Root;
use crate::disk::{openat, renameat_with};
use crate::fault::{changed, fault};
use crate::flush::Flush;
use crate::name;
use crate::state::{self, There};
use crate::swap::{self, flush_trash};
use crate::trash::list::parts;

/// A thing in the trash.
struct Kept<'a> {
    area: Arc<Area>,
    day: OwnedFd,
    id: &'a str,
    there: There,
}

/// Finds what the trash holds under `name`.
fn find<'a>(root: &Root, name: &'a str) -> Result<Kept<'a>, Fault> {
    let gone = || {
        let text = format!("`{name}` is no longer in the trash");
        Fault::new(FaultKind::NotFound, text)
    };
    let failed = |errno| match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => gone(),
        errno => fault("read in the trash", name, errno),
    };
    let (top, day, id) = parts(name).ok_or_else(gone)?;
    let areas = root.areas().all(root)?;
    let area = areas.into_iter().find(|(known, _)| known == top).ok_or_else(gone)?.1;
    let day = area.trash().day_of(day).map_err(failed)?;
    match state::at(&day, id).map_err(failed)? {
        There::Nothing => Err(gone()),
        there => Ok(Kept { area, day, id, there }),
    }
}

/// The checksum of what the trash holds under `name`.
pub(crate) fn hash(root: &Root, name: &str) -> Result<Checksum, Fault> {
    let kept = find(root, name)?;
    swap::checksum(&kept.day, kept.id, &kept.there)
        .map_err(|errno| fault("read in the trash", name, errno))
}

/// Puts what the trash holds under `id` at `path`, where `expect` stands.
pub(crate) fn restore(
    root: &Root,
    flush: &mut Flush,
    id: &str,
    path: &Path,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    name::check(path)?;
    let kept = find(root, id)?;
    let state = kept.there.state().ok_or_else(|| changed(path))?;
    let there = root.look(path)?;
    let is_directory = there.state().is_some_and(|it| it.content.kind == Kind::Directory);
    if is_directory || !there.is(expect) {
        return Err(changed(path));
    }
    let (parent, area) = parent(root, flush, path, expect)?;
    if area.mount() != kept.area.mount() {
        let text = format!(
            "`{path}` is on another file system than what was in its trash: restore it to a path \
             beside the one it had"
        );
        return Err(Fault::new(FaultKind::Unsupported, text));
    }
    let failed = |errno| match errno {
        Errno::EXIST | Errno::NOENT => changed(path),
        errno => fault("restore", path, errno),
    };
    match expect {
        None => {
            let flags = RenameFlags::NOREPLACE;
            renameat_with(&kept.day, kept.id, &parent, path.name(), flags).map_err(failed)?;
        }
        Some(expect) => exchange(root, flush, &kept, &parent, (path, expect), &there)?,
    }
    if state.content.kind == Kind::File {
        // It was a user's once, and may never have been flushed.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(file) = openat(&parent, path.name(), flags, Mode::empty()) {
            flush.add(file, &area);
        }
    }
    flush.add(kept.day, &area);
    flush.add(parent, &area);
    Ok(state)
}

/// Lets the thing change places with what stands at `path`, which then goes to today's trash.
/// After a crash in between that stands in the place of what was restored, under its date.
fn exchange(
    root: &Root,
    flush: &mut Flush,
    kept: &Kept<'_>,
    parent: &OwnedFd,
    (path, expect): (&Path, Tag),
    there: &There,
) -> Result<(), Fault> {
    let failed = |errno| match errno {
        Errno::NOENT => changed(path),
        errno => fault("restore", path, errno),
    };
    let size = there.state().map_or(0, |state| state.content.size);
    let place = kept.area.trash().expect(path, size, Why::Restored).map_err(failed)?;
    let flags = RenameFlags::EXCHANGE;
    renameat_with(&kept.day, kept.id, parent, path.name(), flags).map_err(failed)?;
    let out = state::at(&kept.day, kept.id).map_err(failed)?;
    if out.is(Some(expect)) {
        place.day.take(&kept.day, kept.id, &place.id).map_err(failed)?;
    } else {
        // Written in the last instant: it is the user's, and stays among what is theirs.
        swap::set_aside(root, &kept.day, kept.id, &out, parent, path)?;
    }
    flush_trash(flush, &place.day, &kept.area);
    Ok(())
}
