//! `.onitu/service`, by which a root is told from an empty mount point or somebody else's folder.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use onitu_plug::Fault;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::Errno;
use rustix::path::Arg;
use serde::{Deserialize, Serialize};

use crate::disk::{self, fsync, mkdirat, renameat};
use crate::fault::{fault, unavailable};
use crate::lock::Lock;
use crate::name::OWN;
use crate::read::{read_all, write_all};

const FILE: &str = "service";
/// Far more than a marker ever holds.
const BYTES_MAX: usize = 64 * 1024;

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    /// Whose root this is.
    service: String,
    /// Random: another root of a service of the same name has another one.
    id: String,
}

/// The marker of a root that was opened.
pub(crate) struct Marker {
    said: Said,
    /// Of the root and of the marker file.
    root: Inode,
    file: Inode,
    lock: Arc<Lock>,
}

/// Device and inode number.
pub(crate) type Inode = (u32, u32, u64);

impl Marker {
    /// Reads the marker of the root `fd`, or makes it if the root is new to Onitu.
    pub(crate) fn claim(
        fd: &OwnedFd,
        root: &Path,
        service: &str,
        known: bool,
    ) -> Result<Self, Fault> {
        let shown = root.display();
        let path = root.join(OWN).join(FILE);
        if !path.parent().is_some_and(Path::is_dir) {
            if known {
                return Err(lost(root));
            }
            mkdirat(fd, OWN, Mode::from_raw_mode(0o700)).map_err(|errno| {
                unavailable(format!(
                    "{}: the folder `{shown}` must be writable",
                    fault("make", format!("{shown}/{OWN}"), errno)
                ))
            })?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let own = openat(fd, OWN, flags, Mode::empty())
            .map_err(|errno| unavailable(fault("open", format!("{shown}/{OWN}"), errno).message))?;
        let mut said = read_for(&own, root, service)?;
        if said.is_none() && known {
            return Err(lost(root));
        }
        // Two that come to a new folder at once must not both make its marker.
        let lock = Lock::take(fd, &own, &shown.to_string(), service)?;
        if said.is_none() {
            said = read_for(&own, root, service)?;
        }
        let said = match said {
            Some(said) => said,
            None => make(fd, &own, service)
                .map_err(|errno| unavailable(fault("write", path.display(), errno).message))?,
        };
        let inodes = (inode(fd, c""), inode(&own, FILE));
        let (Ok(root), Ok(file)) = inodes else { return Err(lost(root)) };
        Ok(Self { said, root, file, lock })
    }

    /// What the user should know of the folder.
    pub(crate) fn notice(&self) -> Option<String> {
        self.lock.notice()
    }

    /// Whether the root and the marker are still those of [`Self::claim`], by their paths.
    pub(crate) fn verify(&self, fd: &OwnedFd, root: &Path) -> Result<(), Fault> {
        if inode(CWD, root) != Ok(self.root) {
            return Err(unavailable(format!(
                "the folder `{}` is gone or another one stands in its place: is the disk mounted?",
                root.display()
            )));
        }
        // By the path, which needs no descriptor: there may be none left.
        let is_ours = inode(fd, format!("{OWN}/{FILE}")) == Ok(self.file) || {
            // Restored or copied, it may be another file that says the same.
            let own = openat(fd, OWN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            own.and_then(|own| read(&own)).is_ok_and(|said| said == self.said)
        };
        if !is_ours {
            return Err(lost(root));
        }
        if self.lock.stands(fd) {
            Ok(())
        } else {
            let text = format!("the lock of the folder `{}` was removed", root.display());
            Err(unavailable(format!("{text}: it is taken again")))
        }
    }
}

/// What the marker says, if there is one; refused if it names another service.
fn read_for(own: &OwnedFd, root: &Path, service: &str) -> Result<Option<Said>, Fault> {
    let (shown, path) = (root.display(), root.join(OWN).join(FILE));
    let said = match read(own) {
        Ok(said) => said,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => {
            return Err(unavailable(fault("read the marker", path.display(), errno).message));
        }
    };
    if said.service != service {
        return Err(unavailable(format!(
            "the folder `{shown}` belongs to the service `{}`, not to `{service}`: give each \
             service a folder of its own; if the service was renamed, remove `{}`",
            said.service,
            path.display()
        )));
    }
    Ok(Some(said))
}

fn lost(root: &Path) -> Fault {
    unavailable(format!(
        "the folder at `{}` has lost its marker `{OWN}/{FILE}`: is the disk mounted? If the folder \
         was really replaced, give the service another name or make the marker again",
        root.display()
    ))
}

fn read(own: &OwnedFd) -> Result<Said, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(own, FILE, flags, Mode::empty())?;
    let bytes = read_all(&file, BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|_| Errno::BADMSG)
}

fn make(root: &OwnedFd, own: &OwnedFd, service: &str) -> Result<Said, Errno> {
    let id = format!("{:016x}", fastrand::u64(..));
    let said = Said { service: service.to_owned(), id };
    let bytes = serde_json::to_vec(&said).map_err(|_| Errno::INVAL)?;
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let new = format!("{FILE}.new");
    let file = disk::openat(own, &new, flags, Mode::from_raw_mode(0o600))?;
    write_all(&file, &bytes, 0)?;
    fsync(&file)?;
    renameat(own, &new, own, FILE)?;
    fsync(own)?;
    fsync(root)?;
    Ok(said)
}

/// The inode of `path` in `dir`, of `dir` itself if `path` is empty.
pub(crate) fn inode(dir: impl AsFd, path: impl Arg) -> Result<Inode, Errno> {
    let stat = statx(dir, path, AtFlags::EMPTY_PATH, StatxFlags::INO | StatxFlags::TYPE)?;
    Ok((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
}
