//! The thread that reads what inotify tells and says it in paths.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use onitu_plug::{Fault, FaultKind, Hint, Hints, Kind, Path};
use rustix::fs::inotify::{self, ReadFlags, Reader, WatchFlags};
use rustix::fs::{Mode, OFlags, Timespec, openat};
use rustix::io::Errno;
use tokio::time::Instant;

use super::kernel::{Control, add, begin, subdirectories, timespec, wait};
use super::tree::{Tree, Wd};
use super::{Cookies, Limits, Stage};
use crate::client::Root;
use crate::fault::{fault, unavailable};
use crate::name;
use crate::spelling::{self, TWIN};
use crate::state::{self, There};

/// Room for some thousand events.
const BUFFER_BYTES: usize = 128 * 1024;
/// The second half of a rename follows the first at once, but not always in the same read.
const PAIR: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
/// Most hints that are held back to be told together.
const TOLD_MAX: usize = 8_192;

/// The first half of a rename, until the next event.
struct Moving {
    cookie: u32,
    /// Its watch, if it is a watched directory.
    directory: Option<Wd>,
}

struct Stream<'a> {
    root: &'a Root,
    limits: Limits,
    hints: &'a Hints,
    control: Control,
    inotify: Arc<OwnedFd>,
    tree: Tree,
    round: u32,
    cookies: Arc<Cookies>,
    cookies_wd: Wd,
    arrived: Vec<String>,
    told: Vec<(Path, Hint)>,
    moving: Option<Moving>,
    /// Watched directories that could not be read when that was last asked.
    closed: BTreeSet<Wd>,
    /// The first directory for which there was no watch left, and when it is tried again.
    unwatched: Option<(String, Instant)>,
}

/// Watches until stopped.
pub(super) fn run(
    root: &Root,
    limits: Limits,
    hints: &Hints,
    control: Control,
) -> Result<(), Fault> {
    let begun = begin(root, limits, hints, &control)?;
    let Some((inotify, cookies_wd)) = begun else { return Ok(()) };
    let mut stream = Stream {
        root,
        limits,
        hints,
        control,
        inotify: Arc::new(inotify),
        tree: Tree::default(),
        round: 0,
        cookies: Arc::default(),
        cookies_wd,
        arrived: Vec::new(),
        told: Vec::new(),
        moving: None,
        closed: BTreeSet::new(),
        unwatched: None,
    };
    stream.watch_everything();
    let listening = Stage::Listening(Arc::clone(&stream.cookies));
    stream.control.turn.set(listening);
    // Whatever changed in a directory before its watch was set.
    hints.rescan("the watch has begun");
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    while stream.sleep()? {
        let inotify = Arc::clone(&stream.inotify);
        stream.drain(&mut Reader::new(&*inotify, buffer.spare_capacity_mut()))?;
    }
    Ok(())
}

impl Stream<'_> {
    /// Sleeps until there is something to read; false if stopped.
    fn sleep(&mut self) -> Result<bool, Fault> {
        loop {
            let due = self.unwatched.as_ref().map(|(_, due)| *due);
            let pause = due.map(|due| due.saturating_duration_since(Instant::now()));
            if pause.is_some_and(|pause| pause.is_zero()) {
                self.poll();
                continue;
            }
            let ready = wait(&[&self.control.wake, &self.inotify], pause.map(timespec))?;
            if self.control.is_stopped() {
                return Ok(false);
            }
            if ready > 0 {
                return Ok(true);
            }
        }
    }

    /// Has everything scanned, since not everything is watched, and tries again to watch it.
    fn poll(&mut self) {
        self.hints.rescan("not every directory can be watched");
        let Some((path, _)) = self.unwatched.take() else { return };
        let opened = self.root.directory(&path, OFlags::RDONLY);
        if let Ok(dir) = opened
            && self.add(&dir, path.is_empty()).is_err()
        {
            self.give_up(path);
            return;
        }
        self.watch_everything();
        if self.unwatched.is_none() {
            self.hints.notice(self.root.notice());
            self.hints.rescan("every directory is watched again");
        }
    }

    /// Reads all there is and tells it.
    fn drain(&mut self, reader: &mut Reader<'_, &OwnedFd>) -> Result<(), Fault> {
        loop {
            match reader.next() {
                Ok(event) => {
                    let (wd, flags) = (event.wd(), event.events());
                    self.hear(wd, flags, event.cookie(), event.file_name())?;
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {
                    if self.moving.is_some() && wait(&[&self.inotify], Some(PAIR))? > 0 {
                        continue;
                    }
                    self.moved_out();
                    self.tell();
                    return Ok(());
                }
                Err(errno) => return Err(fault("watch", self.root.shown(), errno)),
            }
            if self.told.len() >= TOLD_MAX && self.moving.is_none() {
                self.tell();
            }
            if self.control.is_stopped() {
                return Ok(());
            }
        }
    }

    /// Says what was heard, and only then that the cookies behind it came.
    fn tell(&mut self) {
        let spelled = if self.root.folds() { self.misspelled() } else { BTreeMap::new() };
        self.hints.tell_all(self.told.drain(..).chain(spelled));
        for name in self.arrived.drain(..) {
            self.cookies.arrived(&name);
        }
    }

    /// Where names are folded the kernel tells them as somebody spelled them: what isn't there
    /// under such a name may have changed under another one, which a scan of the directory finds.
    fn misspelled(&self) -> BTreeMap<Path, Hint> {
        let mut told: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
        for (path, _) in &self.told {
            told.entry(path.parent_str()).or_default().insert(path.name().as_bytes());
        }
        let odd = told.into_iter().filter_map(|(directory, names)| {
            match self.root.directory(directory, OFlags::PATH) {
                Ok(dir) if spelling::are_listed(dir.as_fd(), names) == Ok(true) => None,
                Err(TWIN) => Some(Path::root()),
                _ => Path::new(directory).ok(),
            }
        });
        odd.map(|directory| (directory, Hint::Tree)).collect()
    }

    fn hear(
        &mut self,
        wd: Wd,
        flags: ReadFlags,
        cookie: u32,
        file_name: Option<&CStr>,
    ) -> Result<(), Fault> {
        let pair = self
            .moving
            .take_if(|moving| flags.contains(ReadFlags::MOVED_TO) && moving.cookie == cookie);
        self.moved_out();
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.overflowed();
        } else if wd == self.cookies_wd {
            self.arrived.extend(file_name.and_then(|name| name.to_str().ok()).map(str::to_owned));
        } else if flags.contains(ReadFlags::UNMOUNT)
            || (self.tree.root() == Some(wd)
                && flags
                    .intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED))
        {
            let path = self.tree.path(wd).unwrap_or_default();
            return Err(unavailable(format!(
                "the folder `{}/{path}` was moved, removed or unmounted",
                self.root.shown()
            )));
        } else if flags.contains(ReadFlags::IGNORED) {
            self.closed.remove(&wd);
            self.tree.remove(wd);
        } else if let (Some(directory), Some(name)) = (self.tree.path(wd), file_name) {
            self.happened(wd, &directory, name, flags, pair, cookie);
        }
        Ok(())
    }

    /// Something happened to `name` in `directory`.
    fn happened(
        &mut self,
        wd: Wd,
        directory: &str,
        name: &CStr,
        flags: ReadFlags,
        pair: Option<Moving>,
        cookie: u32,
    ) {
        let joined = |name: &str| {
            if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
        };
        let is_there = !flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM);
        let name = match name::text(name) {
            Ok(name) if name::is_reserved(name) => {
                let shown = joined(name);
                let fault = is_there.then(|| name::reserved(&shown));
                return self.hints.problem(shown, fault);
            }
            Ok(name) if name::is_own_name(directory, name) => return,
            Ok(name) => name,
            Err(shown) => {
                let shown = joined(&shown);
                let fault = is_there.then(|| name::not_text(&shown));
                return self.hints.problem(shown, fault);
            }
        };
        let path = match Path::new(&joined(name)) {
            Ok(path) => path,
            Err(error) => {
                let fault = Fault::new(FaultKind::InvalidName, error.to_string());
                return self.hints.problem(joined(name), Some(fault));
            }
        };
        let hint = if flags.contains(ReadFlags::ISDIR) {
            self.directory(wd, &path, flags, pair, cookie)
        } else {
            self.file(&path, flags, pair.is_some(), cookie)
        };
        self.told.push((path, hint));
    }

    fn file(&mut self, path: &Path, flags: ReadFlags, is_pair: bool, cookie: u32) -> Hint {
        // A file saved under another name and renamed can have the inode, size and clock tick of
        // the one before last. Onitu's own come from where nothing is watched, so alone.
        let is_saved = is_pair && !self.root.echo().take(path);
        if flags.contains(ReadFlags::CLOSE_WRITE) || is_saved {
            return Hint::Written;
        }
        if flags.contains(ReadFlags::MODIFY) {
            return Hint::Writing;
        }
        if flags.contains(ReadFlags::MOVED_FROM) {
            self.moving = Some(Moving { cookie, directory: None });
        }
        if flags.contains(ReadFlags::CREATE) {
            // A new file is announced empty and closed later; a link or another name never is.
            let there = self.root.parent(path).and_then(|dir| state::at(&dir, path.name()));
            let is_begun = matches!(&there, Ok(There::Is(new))
                if new.state.content.kind == Kind::File && new.links == 1);
            return if is_begun { Hint::Writing } else { Hint::Changed };
        }
        Hint::Changed
    }

    fn directory(
        &mut self,
        wd: Wd,
        path: &Path,
        flags: ReadFlags,
        pair: Option<Moving>,
        cookie: u32,
    ) -> Hint {
        let is_known = self.tree.child(wd, path.name()).is_some();
        if self.root.folds() && !is_known && !flags.contains(ReadFlags::CREATE) {
            // Watched under another spelling, perhaps.
            self.watch_everything();
        }
        if flags.contains(ReadFlags::MOVED_FROM) {
            let directory = self.tree.child(wd, path.name());
            if let Some(directory) = directory {
                self.tree.detach(directory);
            }
            self.moving = Some(Moving { cookie, directory });
            return Hint::Tree;
        }
        if flags.contains(ReadFlags::MOVED_TO)
            && let Some(directory) = pair.and_then(|moving| moving.directory)
        {
            // The watches below go on, with another name above them.
            self.tree.insert(directory, Some(wd), path.name(), self.round);
            return Hint::Tree;
        }
        if flags.contains(ReadFlags::DELETE) {
            return Hint::Changed;
        }
        if flags.contains(ReadFlags::ATTRIB)
            && let Some(directory) = self.tree.child(wd, path.name())
        {
            return self.attributes(directory, path);
        }
        // Watched first, listed then: what was made in it meanwhile is told with the tree.
        let known = self.watch_tree(path.as_str(), Some(wd), false);
        if known && flags.contains(ReadFlags::CREATE) { Hint::Changed } else { Hint::Tree }
    }

    /// The attributes of a watched directory changed. They are nobody's content, except that what
    /// is in it may have become readable again.
    fn attributes(&mut self, wd: Wd, path: &Path) -> Hint {
        let opened = self.root.directory(path.as_str(), OFlags::RDONLY).and_then(|dir| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(dir, ".", flags, Mode::empty())
        });
        if opened.is_err() {
            self.closed.insert(wd);
            return Hint::Changed;
        }
        if self.closed.remove(&wd) { Hint::Tree } else { Hint::Changed }
    }

    /// The first half of a rename stayed alone: it went out of the root.
    fn moved_out(&mut self) {
        let moving = self.moving.take();
        if let Some(directory) = moving.and_then(|moving| moving.directory) {
            self.unwatch(directory);
        }
    }

    fn unwatch(&mut self, wd: Wd) {
        for wd in self.tree.remove(wd) {
            // Gone by itself if the directory was removed.
            let _ = inotify::remove_watch(&*self.inotify, wd);
        }
    }

    /// The kernel had more to tell than it keeps: directories may have appeared unheard.
    fn overflowed(&mut self) {
        self.told.clear();
        self.watch_everything();
        self.hints.rescan("more happened at once than the kernel keeps");
        self.arrived.clear();
        self.cookies.all_arrived();
    }

    /// Watches every directory, and none that isn't below the root any more.
    fn watch_everything(&mut self) {
        self.round += 1;
        self.watch_tree("", None, true);
        if self.unwatched.is_none() && !self.control.is_stopped() {
            for wd in self.tree.unseen(self.round) {
                self.unwatch(wd);
            }
        }
    }

    /// Watches the directory `top` (in the directory that `parent` watches) and those below it,
    /// each before it is listed. Unless `again`, one that is watched already is left alone; tells
    /// whether `top` was.
    fn watch_tree(&mut self, top: &str, parent: Option<Wd>, again: bool) -> bool {
        let mut waiting = vec![(top.to_owned(), parent)];
        let mut top_known = false;
        while let Some((path, parent)) = waiting.pop() {
            if self.control.is_stopped() {
                break;
            }
            // What can't be opened is told by whoever lists it; what is gone again needs no watch.
            let Ok(dir) = self.root.directory(&path, OFlags::RDONLY) else { continue };
            let wd = match self.add(&dir, path.is_empty()) {
                Ok(wd) => wd,
                Err(Errno::NOSPC | Errno::NOMEM) => {
                    self.give_up(path);
                    break;
                }
                Err(_) => continue,
            };
            let name = path.rsplit('/').next().unwrap_or("");
            let known = self.tree.insert(wd, parent, name, self.round);
            if path == top {
                top_known = known;
            }
            if !known || again {
                waiting.extend(subdirectories(&dir, &path).map(|path| (path, Some(wd))));
            }
        }
        top_known
    }

    fn add(&self, dir: &OwnedFd, is_root: bool) -> Result<Wd, Errno> {
        if self.tree.len() >= self.limits.watches_max {
            return Err(Errno::NOSPC);
        }
        let mut flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB;
        if is_root {
            flags |= WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        }
        add(&self.inotify, dir, flags)
    }

    /// There are too few watches: from now on everything is polled as well.
    fn give_up(&mut self, path: String) {
        let due = Instant::now() + self.limits.poll;
        if self.unwatched.replace((path, due)).is_none() {
            self.hints.notice(Some(format!(
                "too few inotify watches: {} directories are watched, the others are polled every \
                 {} s; raise the limit with `sysctl fs.inotify.max_user_watches=1048576`",
                self.tree.len(),
                self.limits.poll.as_secs()
            )));
        }
    }
}
