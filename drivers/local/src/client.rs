//! The file system beneath the root, and nothing outside of it.
//!
//! Every directory is opened by `openat2` beneath the root's own descriptor, without following a
//! link; the last name is then used with calls that don't follow it either. So a link swapped in
//! for a directory leads nowhere, whenever that happens.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use onitu_plug::{Fault, FaultKind, Path, Tag};
use rustix::fs::{Access, AtFlags, Mode, OFlags, ResolveFlags, accessat, openat, openat2};
use rustix::io::Errno;
use tokio::sync::Semaphore;

use crate::area::{Area, Areas};
use crate::disk::mkdirat;
use crate::echo::Echo;
use crate::fault::{changed, fault, unavailable};
use crate::marker::Marker;
use crate::name;
use crate::spelling::{self, TWIN};
use crate::state::{self, There};
use crate::trash::purge::Purge;

/// Most bytes of small files that wait in memory to be written.
const BUFFER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The root of one service.
pub(crate) struct Root {
    fd: OwnedFd,
    path: PathBuf,
    service: String,
    marker: Marker,
    areas: Areas,
    buffer: Arc<Semaphore>,
    echo: Echo,
    folds: bool,
}

impl Root {
    /// Opens the folder at `path`; see [`crate::Local`] for what must be there.
    pub(crate) fn open(
        path: PathBuf,
        service: &str,
        known: bool,
        purge: Purge,
    ) -> Result<Self, Fault> {
        let shown = path.display().to_string();
        let fd = open_root(&path, &shown)?;
        let rights = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        accessat(&fd, ".", rights, AtFlags::EACCESS).map_err(|errno| {
            let why = fault("change", &shown, errno);
            unavailable(format!("{why}: the folder must be readable and writable for this user"))
        })?;
        let marker = Marker::claim(&fd, &path, service, known)?;
        let areas = Areas::open(&fd, purge).map_err(|errno| {
            let why = fault("use", format!("{shown}/{}", name::OWN), errno);
            unavailable(format!("{why}: the folder must be writable"))
        })?;
        let buffer = Arc::new(Semaphore::new(BUFFER_BYTES_MAX));
        let service = service.to_owned();
        areas.check_renames(&shown)?;
        let folds = areas.fold().map_err(|errno| {
            let why = fault("write in", &shown, errno);
            unavailable(format!("{why}: the folder must be writable"))
        })?;
        let echo = Echo::default();
        Ok(Self { fd, path, service, marker, areas, buffer, echo, folds })
    }

    /// Whether the file system can't tell all names from each other.
    pub(crate) fn folds(&self) -> bool {
        self.folds
    }

    /// The name of the service.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// Where the root stands, for messages.
    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Permits for bytes that wait in memory.
    pub(crate) fn buffer(&self) -> &Arc<Semaphore> {
        &self.buffer
    }

    /// What the user should know of the folder.
    pub(crate) fn notice(&self) -> Option<String> {
        self.marker.notice()
    }

    /// The renames that the watch will tell of and that are Onitu's own.
    pub(crate) fn echo(&self) -> &Echo {
        &self.echo
    }

    /// Temporary files and trash of each mount.
    pub(crate) fn areas(&self) -> &Areas {
        &self.areas
    }

    /// Whether the root is still there by its path, is the one that was opened, still carries
    /// its marker, and holds the file systems that were mounted in it.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        self.marker.verify(&self.fd, &self.path)?;
        self.areas.verify(self)
    }

    /// Opens the directory `path` (as text; empty for the root) beneath the root.
    ///
    /// Where a twin of it stands: [`TWIN`].
    pub(crate) fn directory(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        if self.folds {
            spelling::check(self.fd.as_fd(), path)?;
        }
        beneath(self.fd.as_fd(), if path.is_empty() { "." } else { path }, flags)
    }

    /// Opens the directory that holds `path`, only to work below it.
    pub(crate) fn parent(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.directory(path.parent_str(), OFlags::PATH)
    }

    /// Opens the directory that holds `path`, able to be flushed.
    pub(crate) fn flushable_parent(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.directory(path.parent_str(), OFlags::RDONLY)
    }

    /// As [`Self::flushable_parent`], and makes what is missing; `made` gets each directory in
    /// which one was made.
    pub(crate) fn make_parent(
        &self,
        path: &Path,
        mut made: impl FnMut(OwnedFd),
    ) -> Result<OwnedFd, Errno> {
        if let Some(parent) = path.parent() {
            self.refuse_twin(&parent)?;
        }
        match self.flushable_parent(path) {
            Err(Errno::NOENT) => {}
            opened => return opened,
        }
        let mut dir = self.directory("", OFlags::RDONLY)?;
        for name in path.parent_str().split('/') {
            let next = match below(dir.as_fd(), name) {
                Err(Errno::NOENT) => {
                    match mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
                        Err(Errno::EXIST) | Ok(()) => {}
                        Err(errno) => return Err(errno),
                    }
                    let next = below(dir.as_fd(), name)?;
                    made(dir);
                    next
                }
                next => next?,
            };
            dir = next;
        }
        Ok(dir)
    }

    /// What stands at `path`, in the directory `dir` that holds it. Where a twin of it stands:
    /// [`TWIN`].
    pub(crate) fn at(&self, dir: &OwnedFd, path: &Path) -> Result<There, Errno> {
        let there = state::at(dir, path.name())?;
        let is_sure = !self.folds || matches!(there, There::Nothing);
        if is_sure || spelling::is_listed(dir.as_fd(), path.name())? {
            return Ok(there);
        }
        Err(TWIN)
    }

    /// Refuses a path of which a twin stands, or of a directory above it.
    pub(crate) fn refuse_twin(&self, path: &Path) -> Result<(), Errno> {
        if self.folds { spelling::check(self.fd.as_fd(), path.as_str()) } else { Ok(()) }
    }

    /// What stands at `path` now. "Nothing" is only told while the marker stands: a root that was
    /// taken away is not empty.
    pub(crate) fn look(&self, path: &Path) -> Result<There, Fault> {
        if name::is_own(path) {
            return Ok(There::Nothing);
        }
        let there = if path.is_root() {
            state::of(&self.fd)
        } else {
            self.parent(path).and_then(|dir| self.at(&dir, path))
        };
        match there {
            Ok(There::Nothing)
            | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | TWIN) => {
                self.verify()?;
                Ok(There::Nothing)
            }
            Ok(there) => Ok(there),
            Err(errno) => Err(fault("look at", path, errno)),
        }
    }

    /// Whether `path` is still in the state `tag`.
    pub(crate) fn still(&self, path: &Path, tag: Tag) -> Result<(), Fault> {
        if self.look(path)?.is(Some(tag)) { Ok(()) } else { Err(changed(path)) }
    }

    /// Where temporary files and trash of what stands in `parent`, the directory that holds
    /// `path`, are kept.
    pub(crate) fn area(&self, parent: impl AsFd, path: &Path) -> Result<Arc<Area>, Fault> {
        self.areas.of(self, parent.as_fd(), path.parent_str())
    }

    /// As [`Self::area`] while the parents of `path` may be missing still.
    pub(crate) fn area_before(&self, path: &Path) -> Result<Arc<Area>, Fault> {
        let mut parent = path.parent_str();
        loop {
            match self.directory(parent, OFlags::PATH) {
                Ok(dir) => return self.areas.of(self, dir.as_fd(), parent),
                Err(Errno::NOENT) if !parent.is_empty() => {
                    parent = parent.rfind('/').map_or("", |at| &parent[..at]);
                }
                Err(errno) => return Err(fault("write", path, errno)),
            }
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens the directory `path` below `dir`: never outside of it, never through a link.
pub(crate) fn beneath(dir: BorrowedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..64 {
        match openat2(dir, path, flags, Mode::empty(), resolve) {
            // The kernel asks to try again when something moved while it was resolving.
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
    Err(Errno::AGAIN)
}

/// Opens the directory `name` in `dir`, which is no link.
fn below(dir: BorrowedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn open_root(path: &std::path::Path, shown: &str) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
        let text = match errno {
            Errno::NOENT => format!(
                "the folder `{shown}` doesn't exist: create it, or mount its disk; it is not made \
                 on its own, since an empty folder would look as if everything had been deleted"
            ),
            Errno::NOTDIR => format!("`{shown}` is no folder: `root` must name one"),
            Errno::ACCESS | Errno::PERM => {
                format!("the folder `{shown}` can't be read: give this user the right to")
            }
            errno => fault("open the folder", shown, errno).message,
        };
        Fault::new(FaultKind::Unavailable, text)
    })
}
