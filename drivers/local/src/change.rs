//! The changes to the user's tree, each in two steps: what can be prepared out of sight, then,
//! once that is durable, the change of names. Run by the commit thread alone.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Kind, Path, State, Tag};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, openat};
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use crate::area::Area;
use crate::client::Root;
use crate::disk::{fsync, mkdirat, renameat_with, unlinkat};
use crate::fault::{changed, fault};
use crate::flush::Flush;
use crate::name;
use crate::restore;
use crate::spelling::TWIN;
use crate::state::{self, There};
use crate::swap;
use crate::temp::{Temp, dress};

/// A change that was asked for.
pub(crate) enum Work {
    /// Put a file or link where `expect` stands.
    Place { path: Path, content: Content, expect: Option<Tag>, body: Body },
    /// Make a directory where `expect` stands.
    MakeDirectory { path: Path, expect: Option<Tag> },
    /// Set mtime and the executable bit.
    SetAttributes { path: Path, expect: Tag, content: Content },
    /// Rename.
    Rename { from: Path, expect_from: Tag, to: Path, expect_to: Option<Tag> },
    /// Remove.
    Remove { path: Path, expect: Tag },
    /// Put what the trash holds as `id` where `expect` stands.
    Restore { id: String, path: Path, expect: Option<Tag> },
}

/// What is placed.
pub(crate) enum Body {
    /// A small one, still in memory, and the room it takes there.
    Bytes(Vec<Bytes>, Option<OwnedSemaphorePermit>),
    /// Written, dressed and flushed already: this is its state.
    Written(Temp, State),
}

/// A change whose contents are ready.
pub(crate) enum Ready {
    /// A file or link under its temporary name.
    Place { path: Path, expect: Option<Tag>, temp: Temp, state: State },
    /// Everything else needs no preparation.
    Rest(Work),
}

impl Work {
    /// Does what can be done out of sight; `flush` gets what must be durable before
    /// [`Ready::apply`].
    pub(crate) fn prepare(self, root: &Root, flush: &mut Flush) -> Result<Ready, Fault> {
        if let Self::Rename { from, expect_from, to, expect_to } = &self {
            swap::prepare_rename(root, flush, (from, *expect_from), (to, *expect_to))?;
        }
        let Self::Place { path, content, expect, body } = self else {
            return Ok(Ready::Rest(self));
        };
        name::check(&path)?;
        let failed = |errno| fault("write", &path, errno);
        let (parent, area) = parent(root, flush, &path, expect)?;
        let there = root.at(&parent, &path).map_err(failed)?;
        if !there.is(expect) {
            return Err(changed(&path));
        }
        let (temp, state) = match body {
            Body::Bytes(bytes, _permit) => {
                let temp = Temp::small(Arc::clone(&area), &content, &bytes).map_err(failed)?;
                let state = temp.dress(&content, there.standing()).map_err(failed)?;
                if let Some(file) = temp.open_file() {
                    flush.add(Arc::clone(file), &area);
                }
                (temp.closed(), state)
            }
            Body::Written(temp, state) => (temp, state),
        };
        if state.content.size != content.size {
            let (is, size) = (state.content.size, content.size);
            let text = format!("`{path}` should have {size} bytes, {is} were written");
            return Err(Fault::new(FaultKind::Corrupt, text));
        }
        Ok(Ready::Place { path, expect, temp, state })
    }
}

impl Ready {
    /// Makes the change; `flush` gets what must be durable before it is answered.
    pub(crate) fn apply(self, root: &Root, flush: &mut Flush) -> Result<Option<State>, Fault> {
        match self {
            Self::Place { path, expect, temp, state } => {
                place(root, flush, &path, expect, temp)?;
                Ok(Some(state))
            }
            Self::Rest(Work::MakeDirectory { path, expect }) => {
                make_directory(root, flush, &path, expect).map(Some)
            }
            Self::Rest(Work::SetAttributes { path, expect, content }) => {
                set_attributes(root, flush, &path, expect, &content).map(Some)
            }
            Self::Rest(Work::Rename { from, expect_from, to, expect_to }) => {
                swap::rename(root, flush, (&from, expect_from), (&to, expect_to)).map(Some)
            }
            Self::Rest(Work::Remove { path, expect }) => {
                swap::remove(root, flush, &path, expect)?;
                Ok(None)
            }
            Self::Rest(Work::Restore { id, path, expect }) => {
                restore::restore(root, flush, &id, &path, expect).map(Some)
            }
            Self::Rest(Work::Place { .. }) => unreachable!("a placement is always prepared"),
        }
    }
}

/// The directory that holds `path`, made only if nothing is expected there, and its area.
pub(crate) fn parent(
    root: &Root,
    flush: &mut Flush,
    path: &Path,
    expect: Option<Tag>,
) -> Result<(OwnedFd, Arc<Area>), Fault> {
    let mut made = Vec::new();
    let parent = match expect {
        None => root.make_parent(path, |dir| made.push(dir)),
        Some(_) => root.flushable_parent(path),
    };
    let parent = parent.map_err(|errno| match errno {
        Errno::NOENT => changed(path),
        errno => fault("write", path, errno),
    });
    let found = parent.and_then(|parent| Ok((root.area(&parent, path)?, parent)));
    if found.is_err() {
        // The next attempt finds these directories made, and would not flush them.
        for dir in &made {
            fsync(dir).map_err(|errno| fault("flush", path, errno))?;
        }
    }
    let (area, parent) = found?;
    for dir in made {
        flush.add(dir, &area);
    }
    Ok((parent, area))
}

/// Puts what `temp` holds where `expect` stands.
fn place(
    root: &Root,
    flush: &mut Flush,
    path: &Path,
    expect: Option<Tag>,
    mut temp: Temp,
) -> Result<(), Fault> {
    let failed = |errno| match errno {
        Errno::EXIST | Errno::NOENT => changed(path),
        Errno::XDEV => {
            root.areas().forget_others();
            changed(path)
        }
        errno => fault("write", path, errno),
    };
    let parent = root.flushable_parent(path).map_err(failed)?;
    let area = Arc::clone(temp.area());
    let there =
        if expect.is_some() { root.at(&parent, path).map_err(failed)? } else { There::Nothing };
    if !there.is(expect) {
        return Err(changed(path));
    }
    let kind = there.state().map(|state| state.content.kind);
    match (expect, kind) {
        (Some(expect), Some(Kind::File | Kind::Symlink)) => {
            let size = there.state().map_or(0, |state| state.content.size);
            swap::into(root, flush, temp, &parent, path, (expect, size))?;
        }
        (_, kind) => {
            if kind.is_some() {
                remove_directory(&parent, path)?;
            }
            let flags = RenameFlags::NOREPLACE;
            renameat_with(area.tmp(), temp.name(), &parent, path.name(), flags).map_err(failed)?;
            temp.leave();
        }
    }
    flush.add(parent, &area);
    Ok(())
}

/// Removes the directory `path` if it is empty.
pub(crate) fn remove_directory(parent: &OwnedFd, path: &Path) -> Result<(), Fault> {
    match unlinkat(parent, path.name(), AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Err(fault("remove", path, Errno::NOTEMPTY)),
        Err(Errno::NOTDIR) => Err(changed(path)),
        Err(errno) => Err(fault("remove", path, errno)),
    }
}

fn make_directory(
    root: &Root,
    flush: &mut Flush,
    path: &Path,
    expect: Option<Tag>,
) -> Result<State, Fault> {
    if path.is_root() {
        return root.look(path)?.state().ok_or_else(|| changed(path));
    }
    name::check(path)?;
    let failed = |errno| fault("make the directory", path, errno);
    let (parent, area) = parent(root, flush, path, expect)?;
    let there = root.at(&parent, path).map_err(failed)?;
    match there.state() {
        Some(state) if state.content.kind == Kind::Directory => return Ok(state),
        _ if !there.is(expect) => return Err(changed(path)),
        _ => {}
    }
    let state = if let Some(expect) = expect {
        let temp = Temp::directory(Arc::clone(&area)).map_err(failed)?;
        let state = temp.dress(&Content::DIRECTORY, None).map_err(failed)?;
        let size = there.state().map_or(0, |state| state.content.size);
        swap::into(root, flush, temp, &parent, path, (expect, size))?;
        state
    } else {
        match mkdirat(&parent, path.name(), Mode::from_raw_mode(0o777)) {
            // Made by someone else in this instant: as good as ours, if it is a directory.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let there = root.at(&parent, path).map_err(failed)?;
        let made = there.state().filter(|state| state.content.kind == Kind::Directory);
        made.ok_or_else(|| changed(path))?
    };
    flush.add(parent, &area);
    Ok(state)
}

fn set_attributes(
    root: &Root,
    flush: &mut Flush,
    path: &Path,
    expect: Tag,
    content: &Content,
) -> Result<State, Fault> {
    name::check(path)?;
    let failed = |errno| match errno {
        Errno::NOENT | Errno::LOOP | TWIN => changed(path),
        errno => fault("set the attributes of", path, errno),
    };
    let (parent, area) = parent(root, flush, path, Some(expect))?;
    let there = root.at(&parent, path).map_err(failed)?;
    let old = there.state().filter(|_| there.is(Some(expect))).ok_or_else(|| changed(path))?;
    if old.content.kind != Kind::File {
        return Ok(old);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file =
        openat(&parent, path.name(), flags | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let opened = state::of(&file).map_err(failed)?;
    if !opened.is(Some(expect)) {
        return Err(changed(path));
    }
    let dressed = dress(&file, content, opened.standing()).map_err(failed)?;
    let mut state = dressed.state().ok_or_else(|| changed(path))?;
    // Written to in this instant: the watch tells of it, and the new bytes are not taken for ours.
    if state.content.size != old.content.size {
        return Err(changed(path));
    }
    root.still(path, state.tag)?;
    state.content.checksum = content.checksum;
    flush.add(file, &area);
    Ok(state)
}
