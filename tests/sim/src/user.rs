//! The users: random edits of every service, and the books on what must not be lost.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fastrand::Rng;
use onitu_core::{Path, limits};
use onitu_driver_memory::{MemoryService, Thing};

/// Every content users ever wrote, and those that no user has replaced or deleted.
#[derive(Default)]
pub(crate) struct Books {
    written: BTreeSet<Bytes>,
    owed: BTreeSet<Bytes>,
    count: u64,
}

impl Books {
    /// A content unlike any other, short or long.
    fn new_content(&mut self, rng: &mut Rng) -> Bytes {
        self.count += 1;
        let mut bytes = format!("content {} ", self.count).into_bytes();
        let size = match rng.u32(0..20) {
            0 => usize::try_from(limits::INLINE_BYTES_MAX).unwrap_or(0) + rng.usize(0..400_000),
            1..5 => rng.usize(0..20_000),
            _ => rng.usize(0..60),
        };
        bytes.resize(bytes.len() + size, b'.');
        Bytes::from(bytes)
    }

    fn wrote(&mut self, content: Bytes) {
        self.written.insert(content.clone());
        self.owed.insert(content);
    }

    /// A user saw this content and gave it up.
    fn gave_up(&mut self, content: &[u8]) {
        self.owed.remove(content);
    }

    pub(crate) fn was_written(&self, content: &[u8]) -> bool {
        content.is_empty() || self.written.contains(content)
    }

    pub(crate) fn owed(&self) -> impl Iterator<Item = &Bytes> {
        self.owed.iter()
    }
}

/// The bytes of a file or the text of a link.
pub(crate) fn bytes_of(thing: &Thing) -> Option<Bytes> {
    match thing {
        Thing::File { bytes, .. } => Some(bytes.clone()),
        Thing::Symlink { target, .. } => Some(Bytes::from(target.clone().into_bytes())),
        Thing::Directory | Thing::Strange => None,
    }
}

const NAMES: [&str; 6] = ["a", "b", "c.txt", "d", "e.md", "ü"];

/// One random edit on `service`; tells what was done.
pub(crate) fn edit(service: &MemoryService, books: &mut Books, rng: &mut Rng) -> String {
    let tree = service.tree();
    match rng.u32(0..100) {
        0..40 => write(service, &tree, books, rng),
        40..50 => save(service, &tree, books, rng),
        50..62 => remove(service, &tree, books, rng),
        62..80 => rename(service, &tree, books, rng),
        80..88 => make_directory(service, &tree, rng),
        88..92 => link(service, &tree, books, rng),
        92..96 => attributes(service, &tree, rng),
        _ => append(service, &tree, books, rng),
    }
}

type Tree = BTreeMap<Path, Thing>;

fn any(tree: &Tree, rng: &mut Rng) -> Option<(Path, Thing)> {
    let at = rng.usize(0..tree.len().max(1));
    tree.iter().nth(at).map(|(path, thing)| (path.clone(), thing.clone()))
}

fn somewhere(tree: &Tree, rng: &mut Rng) -> Path {
    let directories: Vec<&Path> = tree
        .iter()
        .filter(|(_, thing)| matches!(thing, Thing::Directory))
        .map(|(p, _)| p)
        .collect();
    let parent = match rng.usize(0..=directories.len()) {
        0 => Path::root(),
        at if directories[at - 1].depth() < 4 => directories[at - 1].clone(),
        _ => Path::root(),
    };
    parent.join(rng.choice(NAMES).unwrap_or("a")).unwrap_or_else(|_| Path::root())
}

fn write(service: &MemoryService, tree: &Tree, books: &mut Books, rng: &mut Rng) -> String {
    let path = somewhere(tree, rng);
    let executable = match tree.get(&path) {
        Some(Thing::File { executable, .. }) => *executable,
        Some(_) => return "nothing".to_owned(),
        None => rng.u32(0..10) == 0,
    };
    let content = books.new_content(rng);
    if service.write(&path, content.clone(), executable).is_ok() {
        replaced(tree, &path, books);
        books.wrote(content.clone());
    }
    format!("wrote {} bytes to {path}", content.len())
}

fn save(service: &MemoryService, tree: &Tree, books: &mut Books, rng: &mut Rng) -> String {
    let path = somewhere(tree, rng);
    if matches!(tree.get(&path), Some(Thing::Directory)) {
        return "nothing".to_owned();
    }
    let content = books.new_content(rng);
    if service.save(&path, content.clone()).is_ok() {
        replaced(tree, &path, books);
        books.wrote(content.clone());
    }
    format!("saved {} bytes as {path}", content.len())
}

fn append(service: &MemoryService, tree: &Tree, books: &mut Books, rng: &mut Rng) -> String {
    let Some((path, Thing::File { bytes, .. })) = any(tree, rng) else {
        return "nothing".to_owned();
    };
    books.count += 1;
    let more = format!(" and {}", books.count);
    if service.append(&path, more.as_bytes()).is_ok() {
        books.gave_up(&bytes);
        books.wrote([&bytes, more.as_bytes()].concat().into());
    }
    format!("appended to {path}")
}

fn remove(service: &MemoryService, tree: &Tree, books: &mut Books, rng: &mut Rng) -> String {
    let Some((path, _)) = any(tree, rng) else { return "nothing".to_owned() };
    for (_, thing) in tree.iter().filter(|(below, _)| below.is_within(&path)) {
        if let Some(bytes) = bytes_of(thing) {
            books.gave_up(&bytes);
        }
    }
    service.remove(&path);
    format!("removed {path}")
}

fn rename(service: &MemoryService, tree: &Tree, books: &mut Books, rng: &mut Rng) -> String {
    let Some((from, _)) = any(tree, rng) else { return "nothing".to_owned() };
    let to = somewhere(tree, rng);
    if to.is_within(&from) || from.is_within(&to) {
        return "nothing".to_owned();
    }
    // Never over a directory: the service refuses that.
    if service.rename(&from, &to).is_ok() {
        replaced(tree, &to, books);
    }
    format!("renamed {from} to {to}")
}

fn make_directory(service: &MemoryService, tree: &Tree, rng: &mut Rng) -> String {
    let path = somewhere(tree, rng);
    if tree.contains_key(&path) {
        return "nothing".to_owned();
    }
    let made = service.make_directory(&path).is_ok();
    format!("made {path}: {made}")
}

fn link(service: &MemoryService, tree: &Tree, books: &mut Books, rng: &mut Rng) -> String {
    let path = somewhere(tree, rng);
    if matches!(tree.get(&path), Some(Thing::Directory)) {
        return "nothing".to_owned();
    }
    books.count += 1;
    let target = format!("target {}", books.count);
    if service.symlink(&path, &target).is_ok() {
        replaced(tree, &path, books);
        books.wrote(target.into_bytes().into());
    }
    format!("linked {path}")
}

fn attributes(service: &MemoryService, tree: &Tree, rng: &mut Rng) -> String {
    let Some((path, Thing::File { executable, .. })) = any(tree, rng) else {
        return "nothing".to_owned();
    };
    service.set_executable(&path, !executable);
    format!("made {path} executable: {}", !executable)
}

fn replaced(tree: &Tree, path: &Path, books: &mut Books) {
    if let Some(bytes) = tree.get(path).and_then(bytes_of) {
        books.gave_up(&bytes);
    }
}
