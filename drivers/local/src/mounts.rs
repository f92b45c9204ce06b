//! Which other file systems were seen mounted below the root, remembered in `.onitu/mounts`.
//!
//! An unmounted disk leaves an empty directory that looks as if everything in it had been
//! deleted. The root has its marker against that; a mount below it has this list.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use onitu_plug::Fault;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::client::Root;
use crate::disk::{self, fsync, renameat};
use crate::fault::{fault, unavailable};
use crate::name::OWN;
use crate::read::{read_all, write_all};
use crate::state::{Mount, mount_of};

const FILE: &str = "mounts";
const BYTES_MAX: usize = 1024 * 1024;

/// The list, and the directory it is kept in.
pub(crate) struct Mounts {
    dir: OwnedFd,
    paths: Mutex<Vec<String>>,
}

impl Mounts {
    /// Reads the list kept in `dir`.
    pub(crate) fn read(dir: OwnedFd) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let paths = match openat(&dir, FILE, flags, Mode::empty()) {
            Err(Errno::NOENT) => Vec::new(),
            file => {
                serde_json::from_slice(&read_all(&file?, BYTES_MAX)?).map_err(|_| Errno::BADMSG)?
            }
        };
        Ok(Self { dir, paths: Mutex::new(paths) })
    }

    /// Remembers the mount on which the directory `path` stands; tells where its top is.
    pub(crate) fn note(&self, root: &Root, path: &str, mount: Mount) -> Result<String, Errno> {
        let top = top(root, path, mount)?;
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if !paths.contains(&top) {
            let mut longer = paths.clone();
            longer.push(top.clone());
            self.write(&longer)?;
            *paths = longer;
        }
        Ok(top)
    }

    /// Where they are.
    pub(crate) fn tops(&self) -> Vec<String> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether each of them is mounted; `own` is the mount of the root.
    pub(crate) fn verify(&self, root: &Root, own: Mount) -> Result<(), Fault> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        for path in paths.iter() {
            let mounted = root.directory(path, OFlags::PATH).and_then(mount_of);
            match mounted {
                Ok(mount) if mount != own => {}
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                    return Err(unavailable(format!(
                        "the disk that was mounted at `{path}` in `{}` is gone: mount it again; if \
                         it was really taken away for good, remove `{path}` from `{OWN}/{FILE}`",
                        root.shown()
                    )));
                }
                Err(errno) => return Err(fault("look at", path, errno)),
            }
        }
        Ok(())
    }

    fn write(&self, paths: &[String]) -> Result<(), Errno> {
        let bytes = serde_json::to_vec(paths).map_err(|_| Errno::INVAL)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = format!("{FILE}.new");
        let file = disk::openat(&self.dir, &new, flags, Mode::from_raw_mode(0o600))?;
        write_all(&file, &bytes, 0)?;
        fsync(&file)?;
        renameat(&self.dir, &new, &self.dir, FILE)?;
        fsync(&self.dir)
    }
}

/// The first directory on the way from the root down to `path` that stands on `mount`.
fn top(root: &Root, path: &str, mount: Mount) -> Result<String, Errno> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let top = &path[..end];
        if mount_of(root.directory(top, OFlags::PATH)?)? == mount {
            return Ok(top.to_owned());
        }
    }
    Err(Errno::AGAIN)
}
