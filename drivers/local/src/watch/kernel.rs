//! What the watch asks of the kernel, and how its thread is ended.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onitu_plug::{Fault, Hints, Kind};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Dir, FileType, Timespec};
use rustix::io::Errno;

use super::tree::Wd;
use super::{Limits, Stage, Turn};
use crate::client::Root;
use crate::fault::fault;
use crate::name;
use crate::state;

/// How the thread is ended, and where it says how far it is.
pub(super) struct Control {
    pub(super) wake: Arc<OwnedFd>,
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) turn: Turn,
}

impl Control {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// An inotify instance with the watch of the cookies, polling until there is one; nothing if
/// stopped before.
pub(super) fn begin(
    root: &Root,
    limits: Limits,
    hints: &Hints,
    control: &Control,
) -> Result<Option<(OwnedFd, Wd)>, Fault> {
    let mut told = false;
    while !control.is_stopped() {
        let missing = match try_begin(root, limits) {
            Ok(begun) => {
                if told {
                    hints.notice(root.notice());
                }
                return Ok(Some(begun));
            }
            Err(Errno::MFILE | Errno::NFILE) => ("instance", "max_user_instances=1024"),
            Err(Errno::NOSPC | Errno::NOMEM) => ("watch", "max_user_watches=1048576"),
            Err(errno) => return Err(fault("watch", root.shown(), errno)),
        };
        if !told {
            told = true;
            control.turn.set(Stage::Polling);
            let (what, limit) = missing;
            hints.notice(Some(format!(
                "no inotify {what} is left: the folder is polled every {} s; raise the limit \
                 with `sysctl fs.inotify.{limit}`",
                limits.poll.as_secs()
            )));
        }
        wait(&[&control.wake], Some(timespec(limits.poll)))?;
        hints.rescan("it can't be watched, only polled");
    }
    Ok(None)
}

fn try_begin(root: &Root, limits: Limits) -> Result<(OwnedFd, Wd), Errno> {
    if limits.watches_max == 0 {
        return Err(Errno::MFILE);
    }
    let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let cookies = add(&inotify, root.areas().cookies(), WatchFlags::CREATE)?;
    Ok((inotify, cookies))
}

/// Watches the directory that is open as `dir`: by its descriptor, so that no link is followed.
pub(super) fn add(inotify: &OwnedFd, dir: &OwnedFd, flags: WatchFlags) -> Result<Wd, Errno> {
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    inotify::add_watch(inotify, path, flags | WatchFlags::ONLYDIR | WatchFlags::EXCL_UNLINK)
}

/// The paths of the directories in the open directory `dir`, whose path is `path`.
pub(super) fn subdirectories<'a>(
    dir: &'a OwnedFd,
    path: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let entries = Dir::read_from(dir).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let name = entry.file_name().to_str().ok()?;
        if name == "." || name == ".." || name::is_own_name(path, name) {
            return None;
        }
        let is_directory = match entry.file_type() {
            FileType::Directory => true,
            FileType::Unknown => state::at(dir, name).is_ok_and(|there| {
                there.state().is_some_and(|state| state.content.kind == Kind::Directory)
            }),
            _ => false,
        };
        let joined = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        is_directory.then_some(joined)
    })
}

/// Waits until one of `fds` can be read; tells how many can.
pub(super) fn wait(fds: &[&Arc<OwnedFd>], timeout: Option<Timespec>) -> Result<usize, Fault> {
    let mut polled: Vec<_> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)).collect();
    match poll(&mut polled, timeout.as_ref()) {
        Ok(ready) => Ok(ready),
        Err(Errno::INTR) => Ok(0),
        Err(errno) => Err(fault("wait for", "changes", errno)),
    }
}

/// As the kernel takes it.
pub(super) fn timespec(duration: std::time::Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
