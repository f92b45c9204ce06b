//! `.onitu/lock`, so that no two Onitu work in one folder.
//!
//! The lock is the kernel's (`flock`): it ends with the process that holds it, however that ends.
//! What the file says is for people, and for the file systems that several machines share, whose
//! locks may not reach from one to the other.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use onitu_plug::Fault;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstatfs, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::disk::{self, ftruncate, syncfs};
use crate::fault::{fault, unavailable};
use crate::marker::{Inode, inode};
use crate::name::OWN;
use crate::read::{read_all, write_all};

const FILE: &str = "lock";
const BYTES_MAX: usize = 4 * 1024;
/// More directories than any path has.
const DEPTH_MAX: usize = 4_096;
/// File systems that another machine may have mounted as well: NFS, SMB (three of them), 9P, FUSE,
/// Ceph, GFS2, OCFS2, Lustre, AFS.
const SHARED: [u32; 11] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x6573_5546,
    0x00c3_6400,
    0x0116_1970,
    0x7461_636f,
    0x0bd0_0bd0,
    0x5346_414f,
];

/// Those of this process. One that connects anew while its last connection still ends shares it.
static HELD: Mutex<Vec<(Inode, Weak<Lock>)>> = Mutex::new(Vec::new());
/// Told when one was taken from that list.
static GIVEN_BACK: Condvar = Condvar::new();

/// Who works in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pid: u32,
    host: String,
    service: String,
}

/// A folder in which nobody else works, until this is dropped.
pub(crate) struct Lock {
    file: OwnedFd,
    inode: Inode,
    is_locked: bool,
}

impl Lock {
    /// Takes the lock of the folder `root`, of which `own` is `.onitu`; as long as another process
    /// has it, or that of a folder above, the folder is unavailable.
    pub(crate) fn take(
        root: &OwnedFd,
        own: &OwnedFd,
        shown: &str,
        service: &str,
    ) -> Result<Arc<Self>, Fault> {
        refuse_below_another(root, shown)?;
        let failed =
            |errno| unavailable(fault("lock", format!("{shown}/{OWN}/{FILE}"), errno).message);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(0o600);
        let file = disk::openat(own, FILE, flags | OFlags::CLOEXEC, mode).map_err(failed)?;
        let inode = inode(&file, c"").map_err(failed)?;
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, lock)) = held.iter().find(|(of, _)| *of == inode) {
            if let Some(lock) = lock.upgrade() {
                return Ok(lock);
            }
            // It is being given back at this moment.
            held = GIVEN_BACK.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        let is_locked = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => true,
            Err(Errno::WOULDBLOCK) => return Err(in_use(shown, said(&file).as_ref())),
            Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK | Errno::INVAL) => false,
            Err(errno) => return Err(failed(errno)),
        };
        let us = Holder { pid: std::process::id(), host: host(), service: service.to_owned() };
        let is_shared = fstatfs(&file).is_ok_and(|stat| SHARED.contains(&magic(stat.f_type)));
        let last = said(&file);
        refuse_another_host(shown, is_shared, last.as_ref(), &us.host)?;
        if last.is_some() {
            // Whoever had it was killed: what it had changed but not flushed is about to be seen,
            // and told to the others as something that is here for good.
            syncfs(&file).map_err(failed)?;
        }
        let text = serde_json::to_vec(&us).map_err(|_| failed(Errno::INVAL))?;
        ftruncate(&file, 0).and_then(|()| write_all(&file, &text, 0)).map_err(failed)?;
        let lock = Arc::new(Self { file, inode, is_locked });
        held.push((inode, Arc::downgrade(&lock)));
        Ok(lock)
    }

    /// Whether the lock's file in the folder `root` is still the one that was locked.
    pub(crate) fn stands(&self, root: &OwnedFd) -> bool {
        inode(root, format!("{OWN}/{FILE}")) == Ok(self.inode)
    }

    /// What the user should know.
    pub(crate) fn notice(&self) -> Option<String> {
        (!self.is_locked).then(|| {
            "the file system of this folder has no locks: see to it yourself that no second Onitu \
             works in it"
                .to_owned()
        })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file says that nothing was left undone. If it can't be emptied, the next one
        // only flushes in vain.
        let _ = ftruncate(&self.file, 0);
        // Closing the file would do it too, but only after the list has forgotten it.
        let _ = flock(&self.file, FlockOperation::Unlock);
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(of, _)| *of != self.inode);
        GIVEN_BACK.notify_all();
    }
}

/// Whether another Onitu works in `dir`, a directory below a root; `shown` is its path.
pub(crate) fn refuse_another(dir: impl AsFd, shown: &str) -> Result<(), Fault> {
    other(dir).map_or(Ok(()), |holder| {
        Err(unavailable(format!(
            "the folder `{shown}` in this one is used by another Onitu{holder}: one of the two must \
             have a folder outside of the other's; it goes on by itself when that one is stopped"
        )))
    })
}

/// Two roots, one in the other, would each take the other's work for its user's.
fn refuse_below_another(root: &OwnedFd, shown: &str) -> Result<(), Fault> {
    let up = |dir: &OwnedFd| {
        openat(dir, "..", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    let mut below = inode(root, c"");
    let mut above = up(root);
    for _ in 0..DEPTH_MAX {
        // What this user may not look at can't be told; nor is it likely the root of an Onitu.
        let Ok(dir) = above else { break };
        let here = inode(&dir, c"");
        if here == below {
            break;
        }
        if let Some(holder) = other(&dir) {
            let path = path_of(&dir).display().to_string();
            return Err(unavailable(format!(
                "the folder `{shown}` lies in `{path}`, which another Onitu uses{holder}: give one of \
                 them a folder outside of the other's; it goes on by itself when that one is \
                 stopped"
            )));
        }
        below = here;
        above = up(&dir);
    }
    Ok(())
}

/// Who works in the folder `dir`, for a sentence; nothing if nobody does.
fn other(dir: impl AsFd) -> Option<String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let own = openat(dir, OWN, flags | OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let file = openat(own, FILE, flags | OFlags::RDONLY, Mode::empty()).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Some(described(said(&file).as_ref())),
        _ => None,
    }
}

fn in_use(shown: &str, holder: Option<&Holder>) -> Fault {
    unavailable(format!(
        "the folder `{shown}` is used by another Onitu{}: stop that one, or give this service a \
         folder of its own; it goes on by itself when the other is stopped",
        described(holder)
    ))
}

/// On a file system that other machines may have mounted too, what the lock's file says of one of
/// them is believed: elsewhere it was left by a process that was killed before the disk moved here.
fn refuse_another_host(
    shown: &str,
    is_shared: bool,
    last: Option<&Holder>,
    host: &str,
) -> Result<(), Fault> {
    let Some(other) = last.filter(|last| is_shared && last.host != host) else { return Ok(()) };
    Err(unavailable(format!(
        "the folder `{shown}` is on a file system that several machines may share, and was last \
         used by the Onitu of another one{}: stop that one; if it runs no more, remove \
         `{shown}/{OWN}/{FILE}`",
        described(Some(other))
    )))
}

fn described(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |Holder { pid, host, service }| {
        format!(" (process {pid} on {host}, as the service `{service}`)")
    })
}

fn said(file: &OwnedFd) -> Option<Holder> {
    serde_json::from_slice(&read_all(file, BYTES_MAX).ok()?).ok()
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

fn path_of(dir: &OwnedFd) -> PathBuf {
    let link = format!("/proc/self/fd/{}", dir.as_raw_fd());
    std::fs::read_link(link).unwrap_or_default()
}

/// The type of the field differs between machines, its 32 bits don't.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
fn magic<T: Into<i128>>(found: T) -> u32 {
    found.into() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(host: &str) -> Holder {
        Holder { pid: 7, host: host.to_owned(), service: "s".to_owned() }
    }

    #[test]
    fn what_another_machine_has_left_counts_only_where_locks_may_not_reach() {
        let (here, there) = (holder("here"), holder("there"));
        for (is_shared, last, refused) in [
            (false, Some(&there), false),
            (true, Some(&here), false),
            (true, None, false),
            (true, Some(&there), true),
        ] {
            let outcome = refuse_another_host("/r", is_shared, last, &here.host);
            assert_eq!(outcome.is_err(), refused, "{is_shared} {last:?}");
        }
        let fault = refuse_another_host("/r", true, Some(&there), "here").expect_err("refused");
        assert!(fault.message.contains("process 7 on there"), "{fault}");
        assert!(fault.message.contains("remove `/r/.onitu/lock`"), "{fault}");
    }

    #[test]
    fn a_file_system_without_locks_is_told() {
        let file: OwnedFd = std::fs::File::open("/dev/null").expect("there").into();
        let inode = inode(&file, c"").expect("an inode");
        let lock = Lock { file, inode, is_locked: false };
        assert!(lock.notice().is_some_and(|notice| notice.contains("no second Onitu")));
    }
}
