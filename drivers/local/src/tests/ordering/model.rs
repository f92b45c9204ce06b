//! A disk on which only what was flushed is sure, after the study ALICE (Pillai et al., 2014).
//!
//! A write, a change of length, of a time or of names that was not followed by a flush of that
//! file or directory may be lost, whatever came after it; a write may also have left its length
//! but no bytes, or half of them. One rename is one change of names: all of it, or nothing.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;

use crate::disk::Id;
use crate::disk::record::{Op, id};

/// The number of a file, directory or link; inode numbers are used again, these are not.
type Node = usize;
/// Seconds and nanoseconds.
type Time = (i64, i64);

/// What stands on the disk at one moment.
#[derive(Clone, Default)]
struct Disk {
    names: BTreeMap<Node, BTreeMap<Vec<u8>, Node>>,
    files: BTreeMap<Node, (Rc<Vec<u8>>, Time)>,
    links: BTreeMap<Node, Vec<u8>>,
}

#[derive(Clone)]
enum Change {
    Names(Vec<(Node, Vec<u8>, Option<Node>)>),
    Bytes(Node, u64, Vec<u8>),
    Length(Node, u64),
    Time(Node, Time),
}

/// What became of a change that was not flushed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// Of a write only the length arrived.
    Zeroed,
    /// Of a write only the first half arrived.
    Half,
}

/// What stands under a path after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    File(Rc<Vec<u8>>, Time),
    Link(Vec<u8>),
    Directory,
}

/// A disk to which things are done.
#[derive(Clone, Default)]
pub(super) struct Model {
    /// Sure.
    base: Disk,
    /// As a program sees it.
    live: Disk,
    /// Done, in this order; the flag tells what is sure.
    pending: VecDeque<(Change, bool)>,
    numbers: BTreeMap<Id, Node>,
    inodes: Vec<u64>,
}

impl Disk {
    fn apply(&mut self, change: &Change, fate: Fate) {
        match change {
            _ if fate == Fate::Lost => {}
            Change::Names(names) => {
                for (dir, name, node) in names {
                    let dir = self.names.entry(*dir).or_default();
                    match node {
                        Some(node) => dir.insert(name.clone(), *node),
                        None => dir.remove(name),
                    };
                }
            }
            Change::Bytes(node, offset, bytes) => {
                let Some((file, _)) = self.files.get_mut(node) else { return };
                let file = Rc::make_mut(file);
                let from = usize::try_from(*offset).expect("small");
                let end = from + bytes.len();
                let arrived = match fate {
                    Fate::Zeroed => 0,
                    Fate::Half => bytes.len() / 2,
                    _ => bytes.len(),
                };
                file.resize(file.len().max(end), 0);
                file[from..from + arrived].copy_from_slice(&bytes[..arrived]);
            }
            Change::Length(node, length) => {
                let Some((file, _)) = self.files.get_mut(node) else { return };
                Rc::make_mut(file).resize(usize::try_from(*length).expect("small"), 0);
            }
            Change::Time(node, time) => {
                if let Some(file) = self.files.get_mut(node) {
                    file.1 = *time;
                }
            }
        }
    }

    fn walk(&self, node: Node, at: &str, found: &mut BTreeMap<String, (Seen, Node)>) {
        for (name, node) in self.names.get(&node).into_iter().flatten() {
            let path = format!("{at}{}", String::from_utf8_lossy(name));
            let seen = if let Some((bytes, time)) = self.files.get(node) {
                Seen::File(Rc::clone(bytes), *time)
            } else if let Some(target) = self.links.get(node) {
                Seen::Link(target.clone())
            } else {
                self.walk(*node, &format!("{path}/"), found);
                Seen::Directory
            };
            found.insert(path, (seen, *node));
        }
    }
}

impl Model {
    /// The tree `root` of the real disk, of which everything is sure.
    pub(super) fn of(root: &Path) -> Self {
        let mut model = Self::default();
        let made = model.number(real(root));
        assert_eq!(made, 0);
        model.read(root, made);
        model.live = model.base.clone();
        model
    }

    fn read(&mut self, at: &Path, node: Node) {
        self.base.names.insert(node, BTreeMap::new());
        for entry in fs::read_dir(at).expect("a directory").flatten() {
            let (path, found) = (entry.path(), entry.metadata().expect("there"));
            let child = self.number(real(&path));
            let name = entry.file_name().as_bytes().to_vec();
            self.base.names.entry(node).or_default().insert(name, child);
            if found.is_dir() {
                self.read(&path, child);
            } else if found.is_symlink() {
                let target = fs::read_link(&path).expect("a link");
                self.base.links.insert(child, target.as_os_str().as_bytes().to_vec());
            } else {
                let bytes = Rc::new(fs::read(&path).expect("a file"));
                self.base.files.insert(child, (bytes, (found.mtime(), found.mtime_nsec())));
            }
        }
    }

    fn number(&mut self, id: Id) -> Node {
        self.inodes.push(id.2);
        self.numbers.insert(id, self.inodes.len() - 1);
        self.inodes.len() - 1
    }

    fn known(&self, id: &Id) -> Option<Node> {
        self.numbers.get(id).copied()
    }

    /// The inode number it had on the real disk.
    pub(super) fn inode(&self, node: Node) -> u64 {
        self.inodes[node]
    }

    /// How many changes are not sure.
    pub(super) fn unsure(&self) -> usize {
        self.pending.iter().filter(|(_, sure)| !sure).count()
    }

    /// Everything under the root after a crash in which the `n`th unsure change met `fate(n)`.
    pub(super) fn crash(
        &self,
        mut fate: impl FnMut(usize) -> Fate,
    ) -> BTreeMap<String, (Seen, Node)> {
        let mut disk = self.base.clone();
        let mut at = 0;
        for (change, sure) in &self.pending {
            let met = if *sure { Fate::Kept } else { fate(at) };
            at += usize::from(!sure);
            disk.apply(change, met);
        }
        let mut found = BTreeMap::new();
        disk.walk(0, "", &mut found);
        found
    }

    /// Does what was done; what concerns none of the known directories and files is passed over.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { dir, name, file, emptied } => {
                let Some(dir) = self.known(dir) else { return };
                let there = self.named(dir, name);
                if there.is_some() && there == self.known(file) {
                    if let (true, Some(node)) = (*emptied, there) {
                        self.change(Change::Length(node, 0));
                    }
                    return;
                }
                let node = self.number(*file);
                for disk in [&mut self.base, &mut self.live] {
                    disk.files.insert(node, (Rc::default(), (0, 0)));
                }
                self.change(Change::Names(vec![(dir, name.clone(), Some(node))]));
            }
            Op::MakeDirectory { dir, name, made } => {
                let Some(dir) = self.known(dir) else { return };
                let node = self.number(*made);
                for disk in [&mut self.base, &mut self.live] {
                    disk.names.insert(node, BTreeMap::new());
                }
                self.change(Change::Names(vec![(dir, name.clone(), Some(node))]));
            }
            Op::Link { dir, name, link, target } => {
                let Some(dir) = self.known(dir) else { return };
                let node = self.number(*link);
                for disk in [&mut self.base, &mut self.live] {
                    disk.links.insert(node, target.clone());
                }
                self.change(Change::Names(vec![(dir, name.clone(), Some(node))]));
            }
            Op::Rename { from, old, to, new, exchanged } => {
                let (Some(from), Some(to)) = (self.known(from), self.known(to)) else { return };
                let moved = self.named(from, old);
                let left = if *exchanged { self.named(to, new) } else { None };
                let names = vec![(from, old.clone(), left), (to, new.clone(), moved)];
                self.change(Change::Names(names));
            }
            Op::Unlink { dir, name } => {
                let Some(dir) = self.known(dir) else { return };
                self.change(Change::Names(vec![(dir, name.clone(), None)]));
            }
            Op::Write { file, offset, bytes } => {
                let Some(node) = self.known(file) else { return };
                let end = self.live.files.get(&node).map_or(0, |file| file.0.len() as u64);
                self.change(Change::Bytes(node, offset.unwrap_or(end), bytes.clone()));
            }
            Op::Truncate { file, length } => {
                let Some(node) = self.known(file) else { return };
                self.change(Change::Length(node, *length));
            }
            Op::Times { file, modified } => {
                let Some(node) = self.known(file) else { return };
                self.change(Change::Time(node, *modified));
            }
            Op::Sync { what, with_times } => {
                let Some(node) = self.known(what) else { return };
                self.flush(|change| change.is_of(node, *with_times));
            }
            Op::SyncAll { device } => {
                let is_ours = self.numbers.keys().any(|id| (id.0, id.1) == *device);
                self.flush(|_| is_ours);
            }
            Op::Remark(_) => {}
        }
    }

    fn named(&self, dir: Node, name: &[u8]) -> Option<Node> {
        self.live.names.get(&dir)?.get(name).copied()
    }

    fn change(&mut self, change: Change) {
        self.live.apply(&change, Fate::Kept);
        self.pending.push_back((change, false));
    }

    fn flush(&mut self, concerns: impl Fn(&Change) -> bool) {
        for (change, sure) in &mut self.pending {
            *sure |= concerns(change);
        }
        while let Some((change, _)) = self.pending.pop_front_if(|(_, sure)| *sure) {
            self.base.apply(&change, Fate::Kept);
        }
    }
}

impl Change {
    fn is_of(&self, node: Node, with_times: bool) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|(dir, _, _)| *dir == node),
            Self::Bytes(of, ..) | Self::Length(of, _) => *of == node,
            Self::Time(of, _) => with_times && *of == node,
        }
    }
}

fn real(path: &Path) -> Id {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    id(openat(CWD, path, flags, Mode::empty()).expect("there")).expect("an inode")
}
