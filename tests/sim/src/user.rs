//! The users: what one of them does on one service, and random edits made of that.

use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use onitu_core::{Mode, Path};
use onitu_driver_memory::Thing;

use crate::books::{Books, bytes_of};
use crate::house::House;
use crate::standing::Standing;

pub(crate) const NAMES: [&str; 6] = ["a", "b", "c.txt", "d", "e.md", "ü"];
/// Times that clocks gone wrong give to files, in seconds since the epoch.
const TIMES_S: [i64; 6] = [0, -86_400 * 365, 1, 1_700_000_000, 4_102_444_800, 9_000_000_000];

pub(crate) type Tree = BTreeMap<Path, Thing>;

/// The user of one service. Everything takes effect at once and is put into the books.
pub(crate) struct User<'a> {
    house: &'a House,
    number: usize,
    storage: &'a Standing,
    books: &'a mut Books,
}

impl<'a> User<'a> {
    pub(crate) fn new(house: &'a House, number: usize, books: &'a mut Books) -> Self {
        let storage = &house.members[number].storage;
        Self { house, number, storage, books }
    }

    pub(crate) fn tree(&self) -> Tree {
        self.storage.tree()
    }

    /// The path, or where it is if this service stands at a directory of the tree.
    pub(crate) fn reached(&self, path: Path) -> Path {
        self.storage.reached(path)
    }

    /// Whether the user can do anything at the path; notes that they are about to.
    fn touches(&mut self, path: &Path) -> bool {
        let is_here = self.storage.has_room_for(path);
        if is_here {
            self.books.touch(self.number, path);
        }
        is_here
    }

    pub(crate) fn new_content(&mut self, rng: &mut Rng) -> Bytes {
        self.books.new_content(rng)
    }

    /// What stands at the path is given up. On a backup nobody can: what is deleted there comes
    /// back as long as another service has it.
    fn give_up(&mut self, path: &Path, content: &Bytes) {
        let is_backup = |mode: Mode| mode == Mode::Backup;
        let members = &self.house.members;
        if self.house.modes_are_fixed && is_backup(members[self.number].service.mode) {
            let others = members.iter().filter(|member| !is_backup(member.service.mode));
            let mut held = others.filter_map(|member| member.storage.thing(path));
            if held.any(|thing| bytes_of(&thing).as_ref() == Some(content)) {
                return;
            }
        }
        self.books.gave_up(path, content);
    }

    fn gives_up(&mut self, before: &Tree, path: &Path) {
        for (below, thing) in before.iter().filter(|(below, _)| below.is_within(path)) {
            if let Some(bytes) = bytes_of(thing) {
                self.give_up(below, &bytes);
            }
        }
    }

    /// Writes a whole file in place, if no directory stands there.
    pub(crate) fn write(&mut self, path: &Path, content: &Bytes, executable: bool) -> bool {
        if !self.touches(path) {
            return false;
        }
        let before = self.tree();
        let executable = match before.get(path) {
            Some(Thing::File { executable, .. }) => *executable,
            Some(_) => return false,
            None => executable && self.storage.abilities().executable,
        };
        let done = self.storage.write(path, content.clone(), executable).is_ok();
        if done {
            self.gives_up(&before, path);
            self.books.put(self.number, path, content);
        }
        done
    }

    /// Saves as editors do, if no directory stands there.
    pub(crate) fn save(&mut self, path: &Path, content: &Bytes) -> bool {
        if !self.touches(path) {
            return false;
        }
        let before = self.tree();
        let is_directory = matches!(before.get(path), Some(Thing::Directory));
        let done = !is_directory && self.storage.save(path, content.clone()).is_ok();
        if done {
            self.gives_up(&before, path);
            self.books.put(self.number, path, content);
        }
        done
    }

    /// Appends to a file that is there.
    pub(crate) fn append(&mut self, path: &Path) -> bool {
        let Some(Thing::File { bytes, .. }) = self.storage.thing(path) else { return false };
        self.touches(path);
        let more = format!(" and {}", self.books.number());
        let done = self.storage.append(path, more.as_bytes()).is_ok();
        if done {
            self.give_up(path, &bytes);
            self.books.put(self.number, path, &[&bytes, more.as_bytes()].concat().into());
        }
        done
    }

    /// Makes a symbolic link, if no directory stands there.
    pub(crate) fn link(&mut self, path: &Path) -> bool {
        if !self.touches(path) {
            return false;
        }
        let before = self.tree();
        let target = format!("target {}", self.books.number());
        let is_directory = matches!(before.get(path), Some(Thing::Directory));
        let can = !is_directory && self.storage.abilities().symlinks;
        let done = can && self.storage.symlink(path, &target).is_ok();
        if done {
            self.gives_up(&before, path);
            self.books.put(self.number, path, &target.into_bytes().into());
        }
        done
    }

    /// Makes a directory where nothing is.
    pub(crate) fn make_directory(&mut self, path: &Path) -> bool {
        let free = self.touches(path) && self.storage.thing(path).is_none();
        let done = free && self.storage.make_directory(path).is_ok();
        if done {
            self.books.name(self.number, path);
        }
        done
    }

    /// Removes what is there, with all that is in it.
    pub(crate) fn remove(&mut self, path: &Path) {
        if !self.touches(path) {
            return;
        }
        let before = self.tree();
        self.gives_up(&before, path);
        self.storage.remove(path);
    }

    /// Renames a file, a link or a whole directory; never over a directory.
    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> bool {
        let before = self.tree();
        if !self.touches(from) || !self.touches(to) {
            return false;
        }
        let is_nested = to.is_within(from) || from.is_within(to);
        if is_nested || self.storage.rename(from, to).is_err() {
            return false;
        }
        self.gives_up(&before, to);
        self.gives_up(&before, from);
        for (old, thing) in before.iter().filter(|(old, _)| old.is_within(from)) {
            let below = old.as_str().strip_prefix(from.as_str()).unwrap_or_default();
            let Ok(new) = Path::new(&format!("{to}{below}")) else { continue };
            match bytes_of(thing) {
                Some(bytes) => self.books.put(self.number, &new, &bytes),
                None => self.books.name(self.number, &new),
            }
        }
        true
    }

    fn set_executable(&mut self, path: &Path, to: bool) {
        if self.touches(path) && self.storage.abilities().executable {
            self.storage.set_executable(path, to);
        }
    }

    fn touch(&mut self, path: &Path, mtime_ns: i64) {
        if self.touches(path) && self.storage.abilities().mtime {
            self.storage.touch(path, mtime_ns);
        }
    }
}

/// One random edit; tells what was done.
pub(crate) fn edit(user: &mut User<'_>, rng: &mut Rng) -> String {
    let tree = user.tree();
    let path = user.reached(somewhere(&tree, rng));
    let held = any(&tree, rng);
    match rng.u32(0..100) {
        0..36 => {
            let content = user.new_content(rng);
            let done = user.write(&path, &content, rng.u32(0..10) == 0);
            told(done, || format!("wrote {} bytes to {path}", content.len()))
        }
        36..46 => {
            let content = user.new_content(rng);
            told(user.save(&path, &content), || format!("saved {} bytes as {path}", content.len()))
        }
        46..58 => told(held.is_some(), || {
            let path = held.map_or_else(Path::root, |(path, _)| path);
            user.remove(&path);
            format!("removed {path}")
        }),
        58..76 => {
            let from = held.map_or_else(Path::root, |(path, _)| path);
            let done = !from.is_root() && user.rename(&from, &path);
            told(done, || format!("renamed {from} to {path}"))
        }
        76..82 => told(user.make_directory(&path), || format!("made {path}")),
        82..85 => told(user.link(&path), || format!("linked {path}")),
        85..88 => copy(user, held, &path),
        88..96 => attributes(user, held, rng),
        _ => {
            let path = held.map_or_else(Path::root, |(path, _)| path);
            told(user.append(&path), || format!("appended to {path}"))
        }
    }
}

fn told(done: bool, what: impl FnOnce() -> String) -> String {
    if done { what() } else { "did nothing".to_owned() }
}

/// The same bytes once more, under another name.
fn copy(user: &mut User<'_>, held: Option<(Path, Thing)>, to: &Path) -> String {
    let Some((from, Thing::File { bytes, .. })) = held else { return told(false, String::new) };
    told(user.write(to, &bytes, false), || format!("copied {from} to {to}"))
}

fn attributes(user: &mut User<'_>, held: Option<(Path, Thing)>, rng: &mut Rng) -> String {
    let Some((path, Thing::File { executable, .. })) = held else {
        return told(false, String::new);
    };
    if rng.bool() {
        user.set_executable(&path, !executable);
        return format!("made {path} executable: {}", !executable);
    }
    let seconds = rng.choice(TIMES_S).unwrap_or_default() + rng.i64(0..3);
    user.touch(&path, seconds * 1_000_000_000);
    format!("touched {path} as of {seconds}")
}

pub(crate) fn any(tree: &Tree, rng: &mut Rng) -> Option<(Path, Thing)> {
    let at = rng.usize(0..tree.len().max(1));
    tree.iter().nth(at).map(|(path, thing)| (path.clone(), thing.clone()))
}

/// A path, free or not, in a directory that is there.
pub(crate) fn somewhere(tree: &Tree, rng: &mut Rng) -> Path {
    let directories: Vec<&Path> = tree
        .iter()
        .filter(|(_, thing)| matches!(thing, Thing::Directory))
        .map(|(path, _)| path)
        .collect();
    let parent = match rng.usize(0..=directories.len()) {
        0 => Path::root(),
        at if directories[at - 1].depth() < 4 => directories[at - 1].clone(),
        _ => Path::root(),
    };
    inside(&parent, rng)
}

/// A path, free or not, in this directory.
pub(crate) fn inside(parent: &Path, rng: &mut Rng) -> Path {
    parent.join(rng.choice(NAMES).unwrap_or("a")).unwrap_or_else(|_| Path::root())
}
