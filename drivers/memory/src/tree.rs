//! The tree itself: nodes with a number of their own, as inodes are, found by walking names.
//!
//! Nothing here fails by chance, waits or tells anybody; that is the room of [`crate::storage`].

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use icu_normalizer::ComposingNormalizerBorrowed;
use onitu_plug::{Abilities, Content, Fault, FaultKind, Kind, Path, State, Tag};

/// Number of the root's node.
const ROOT: u64 = 1;

/// One thing of the tree, as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A file.
    File {
        /// Its bytes.
        bytes: Bytes,
        /// Whether its owner may execute it.
        executable: bool,
        /// When it was changed, in nanoseconds since the epoch.
        mtime_ns: i64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// The text it points to.
        target: String,
    },
    /// Something that is none of these, as a socket or a device is.
    Strange,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) body: Body,
    pub(crate) mtime_ns: i64,
    /// Grows with every change of the bytes.
    pub(crate) version: u64,
}

#[derive(Debug)]
pub(crate) enum Body {
    File { bytes: Bytes, executable: bool },
    Directory(Directory),
    Symlink(String),
    Strange,
}

#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// By name, folded where the storage folds; each with the name as it was given.
    pub(crate) children: BTreeMap<String, (String, u64)>,
    /// Names that are no UTF-8.
    pub(crate) unnameable: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<u64, Node>,
    numbers: u64,
    versions: u64,
    abilities: Abilities,
    /// Directories made for what was put into them, of which nobody was told yet.
    pub(crate) made: Vec<Path>,
}

impl Directory {
    pub(crate) fn is_empty(&self) -> bool {
        self.children.is_empty() && self.unnameable.is_empty()
    }

    /// Up to `count` names after the key `after`, with their keys and nodes.
    pub(crate) fn page(&self, after: Option<&str>, count: usize) -> Vec<(String, String, u64)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.children.range::<str, _>((from, Bound::Unbounded));
        range.take(count).map(|(key, (name, node))| (key.clone(), name.clone(), *node)).collect()
    }
}

impl Tree {
    pub(crate) fn new(abilities: Abilities) -> Self {
        let root = Node { body: Body::Directory(Directory::default()), mtime_ns: 0, version: 0 };
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            numbers: ROOT,
            versions: 0,
            abilities,
            made: Vec::new(),
        }
    }

    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// A number that no change had before.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    /// The node at `path`, without following a link, as its user finds it: where names are folded
    /// any spelling will do.
    pub(crate) fn find(&self, path: &Path) -> Option<u64> {
        let mut at = ROOT;
        for name in components(path) {
            let Body::Directory(directory) = &self.nodes.get(&at)?.body else { return None };
            at = directory.children.get(&self.key(name))?.1;
        }
        Some(at)
    }

    /// The node at `path`, if all of it is spelled as it was made.
    pub(crate) fn find_exact(&self, path: &Path) -> Option<u64> {
        self.find(path).filter(|_| self.spelled(path) == *path)
    }

    /// Whether something stands where `path` or one of its parents should be, spelled otherwise.
    pub(crate) fn is_taken(&self, path: &Path) -> bool {
        self.spelled(path) != *path
    }

    /// `path`, as far as it is there, as it was spelled when it was made.
    pub(crate) fn spelled(&self, path: &Path) -> Path {
        let mut at = Some(ROOT);
        let names = components(path).map(|name| {
            let directory = at.and_then(|at| self.directory(at));
            let held = directory.and_then(|directory| directory.children.get(&self.key(name)));
            at = held.map(|(_, number)| *number);
            held.map_or(name, |(name, _)| name)
        });
        let spelled = names.collect::<Vec<_>>().join("/");
        Path::new(&spelled).unwrap_or_else(|_| path.clone())
    }

    /// The same, but where the node `number` itself stands its name may change.
    pub(crate) fn spelled_anew(&self, path: &Path, number: u64) -> Path {
        let parent = path.parent().map(|parent| self.spelled(&parent));
        match parent.and_then(|parent| parent.join(path.name()).ok()) {
            Some(anew) if self.find(path) == Some(number) => anew,
            _ => self.spelled(path),
        }
    }

    pub(crate) fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number)
    }

    pub(crate) fn node_mut(&mut self, path: &Path) -> Option<&mut Node> {
        let number = self.find(path)?;
        self.nodes.get_mut(&number)
    }

    pub(crate) fn directory(&self, number: u64) -> Option<&Directory> {
        match &self.nodes.get(&number)?.body {
            Body::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// What a driver tells of the node, which stands at `path`.
    pub(crate) fn state(&self, path: &Path, number: u64) -> Result<State, Fault> {
        let Some(node) = self.nodes.get(&number) else {
            return Err(Fault::new(FaultKind::Bug, format!("`{path}` has no node")));
        };
        let able = self.abilities;
        let (kind, size, executable) = match &node.body {
            Body::File { bytes, executable } => {
                (Kind::File, bytes.len() as u64, *executable && able.executable)
            }
            Body::Symlink(target) => (Kind::Symlink, target.len() as u64, false),
            Body::Directory(_) => {
                return Ok(State { content: Content::DIRECTORY, tag: directory_tag(number) });
            }
            Body::Strange => {
                let message = format!("`{path}` is neither a file, a directory nor a link");
                return Err(Fault::new(FaultKind::Unsupported, message));
            }
        };
        let mtime_ns = if able.mtime { node.mtime_ns } else { 0 };
        let place = if able.tag_survives_rename { "" } else { path.as_str() };
        let identity =
            format!("{number} {} {size} {} {executable} {place}", node.version, node.mtime_ns);
        let content = Content { kind, size, mtime_ns, executable, checksum: None, media: None };
        Ok(State { content, tag: Tag::of(identity.as_bytes()) })
    }

    /// Whether something that is no directory stands where a parent of `path` should be.
    pub(crate) fn is_blocked(&self, path: &Path) -> bool {
        let mut at = ROOT;
        for name in components(path) {
            let Some(Body::Directory(directory)) = self.nodes.get(&at).map(|node| &node.body)
            else {
                return true;
            };
            match directory.children.get(&self.key(name)) {
                Some((held, next)) if held == name => at = *next,
                // A twin isn't a parent of `path`.
                _ => return false,
            }
        }
        false
    }

    /// Puts a new node at `path` in place of whatever is there, and makes its parents.
    pub(crate) fn put(&mut self, path: &Path, body: Body, mtime_ns: i64) -> Result<u64, Fault> {
        let version = self.next_version();
        let number = self.add(Node { body, mtime_ns, version });
        self.attach(path, number)?;
        Ok(number)
    }

    /// Hangs a node in at `path` in place of whatever is there, and makes its parents.
    pub(crate) fn attach(&mut self, path: &Path, number: u64) -> Result<(), Fault> {
        if path.is_root() {
            return Err(Fault::new(FaultKind::InvalidName, "nothing can replace the root"));
        }
        if self.is_blocked(path) {
            let message = format!("a parent of `{path}` is no directory");
            return Err(Fault::new(FaultKind::NotADirectory, message));
        }
        let (mut at, mut above) = (ROOT, Path::root());
        for name in components(&path.parent().unwrap_or_else(Path::root)) {
            let nodes = self.nodes.len();
            at = self.child_directory(at, name);
            above = above.join(name).unwrap_or(above);
            if self.nodes.len() > nodes {
                self.made.push(above.clone());
            }
        }
        let key = self.key(path.name());
        let Some(children) = self.children(at) else { return Ok(()) };
        // What is replaced leaves its spelling, as it does on a disk.
        let old = children.get(&key).filter(|(_, old)| *old != number).cloned();
        let name = old.as_ref().map_or(path.name(), |(name, _)| name).to_owned();
        children.insert(key, (name, number));
        if let Some((_, old)) = old {
            self.forget(old);
        }
        Ok(())
    }

    /// Takes the node at `path` out of its directory; it lives on until [`Tree::forget`].
    pub(crate) fn detach(&mut self, path: &Path) -> Option<u64> {
        let parent = self.find(&path.parent()?)?;
        let key = self.key(path.name());
        let (_, number) = self.children(parent)?.remove(&key)?;
        Some(number)
    }

    /// Where empty directories aren't kept: removes those that `path` left behind.
    pub(crate) fn prune(&mut self, path: &Path) {
        if self.abilities.directories {
            return;
        }
        let mut parent = path.parent();
        while let Some(directory) = parent.filter(|parent| !parent.is_root()) {
            let number = self.find(&directory);
            if !number.and_then(|it| self.directory(it)).is_some_and(Directory::is_empty) {
                return;
            }
            if let Some(number) = self.detach(&directory) {
                self.forget(number);
            }
            parent = directory.parent();
        }
    }

    /// Ends a node and everything below it.
    pub(crate) fn forget(&mut self, number: u64) {
        let mut ending = vec![number];
        while let Some(number) = ending.pop() {
            if let Some(Node { body: Body::Directory(directory), .. }) = self.nodes.remove(&number)
            {
                ending.extend(directory.children.into_values().map(|(_, child)| child));
            }
        }
    }

    /// The node and everything below it, parents first, each with its path.
    pub(crate) fn walk(&self, path: &Path, number: u64) -> Vec<(Path, u64)> {
        let mut found = Vec::new();
        let mut waiting = vec![(path.clone(), number)];
        while let Some((path, number)) = waiting.pop() {
            if let Some(directory) = self.directory(number) {
                for (name, child) in directory.children.values().rev() {
                    waiting.extend(path.join(name).ok().map(|path| (path, *child)));
                }
            }
            found.push((path, number));
        }
        found
    }

    /// All bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        let sizes = self.nodes.values().map(|node| match &node.body {
            Body::File { bytes, .. } => bytes.len() as u64,
            _ => 0,
        });
        sizes.sum()
    }

    fn add(&mut self, node: Node) -> u64 {
        self.numbers += 1;
        self.nodes.insert(self.numbers, node);
        self.numbers
    }

    fn child_directory(&mut self, parent: u64, name: &str) -> u64 {
        let key = self.key(name);
        if let Some((_, child)) = self.directory(parent).and_then(|it| it.children.get(&key)) {
            return *child;
        }
        let body = Body::Directory(Directory::default());
        let number = self.add(Node { body, mtime_ns: 0, version: 0 });
        if let Some(children) = self.children(parent) {
            children.insert(key, (name.to_owned(), number));
        }
        number
    }

    fn children(&mut self, number: u64) -> Option<&mut BTreeMap<String, (String, u64)>> {
        match &mut self.nodes.get_mut(&number)?.body {
            Body::Directory(directory) => Some(&mut directory.children),
            _ => None,
        }
    }

    fn key(&self, name: &str) -> String {
        if self.abilities.exact_names {
            return name.to_owned();
        }
        ComposingNormalizerBorrowed::new_nfc().normalize(&name.to_lowercase()).into_owned()
    }
}

/// A directory's tag stays the same whatever happens inside it.
fn directory_tag(number: u64) -> Tag {
    Tag::of(format!("directory {number}").as_bytes())
}

fn components(path: &Path) -> impl Iterator<Item = &str> {
    path.as_str().split('/').filter(|name| !name.is_empty())
}

impl Node {
    /// As its user sees it.
    pub(crate) fn thing(&self) -> Thing {
        match &self.body {
            Body::File { bytes, executable } => Thing::File {
                bytes: bytes.clone(),
                executable: *executable,
                mtime_ns: self.mtime_ns,
            },
            Body::Directory(_) => Thing::Directory,
            Body::Symlink(target) => Thing::Symlink { target: target.clone() },
            Body::Strange => Thing::Strange,
        }
    }

    /// The bytes of a file or the text of a link; nothing for anything else.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        match &self.body {
            Body::File { bytes, .. } => Some(bytes.clone()),
            Body::Symlink(target) => Some(Bytes::from(target.clone())),
            Body::Directory(_) | Body::Strange => None,
        }
    }
}
