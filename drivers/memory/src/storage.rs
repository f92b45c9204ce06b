//! Everything behind the lock: the tree, its trash and half-written files, and the effects that
//! the driver's calls have on them, each at once.

use std::collections::BTreeSet;

use bytes::Bytes;
use onitu_plug::{Abilities, Content, Fault, FaultKind, Hint, Kind, Path, State, Tag, Why};

use crate::faults::{Dice, Faults};
use crate::lag::Lag;
use crate::part::{Claim, Parts};
use crate::trash::Trash;
use crate::tree::{Body, Directory, Tree};
use crate::watch::News;

/// What the storage's clock shows first: some day in 2023.
const CLOCK_START_NS: i64 = 1_700_000_000_000_000_000;
/// One tick of the storage's clock.
const TICK_NS: i64 = 1_000_000;

/// What drivers did to a storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// Calls that write, the failed ones too.
    pub writes: u64,
    /// Files opened for reading.
    pub reads: u64,
    /// Contents that a driver removed or replaced though none had ever been told of them: no order
    /// can have expected them.
    pub unseen: Vec<(Path, Bytes)>,
}

/// A storage's whole state.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) tree: Tree,
    pub(crate) trash: Trash,
    pub(crate) parts: Parts,
    pub(crate) news: News,
    pub(crate) dice: Dice,
    pub(crate) online: bool,
    pub(crate) lag: Lag,
    pub(crate) work: Work,
    /// The states that drivers were told of.
    pub(crate) told: BTreeSet<Tag>,
    /// Most bytes that all files may have together.
    pub(crate) capacity: Option<u64>,
    clock_ns: i64,
}

impl Storage {
    pub(crate) fn new(abilities: Abilities) -> Self {
        Self {
            tree: Tree::new(abilities),
            trash: Trash::default(),
            parts: Parts::default(),
            news: News::default(),
            dice: Dice::new(Faults::default()),
            online: true,
            lag: Lag::default(),
            work: Work::default(),
            told: BTreeSet::new(),
            capacity: None,
            clock_ns: CLOCK_START_NS,
        }
    }

    /// The time of a change that begins now, and whether the clock moved on since the last one.
    pub(crate) fn tick(&mut self) -> (i64, bool) {
        let moved = !self.dice.happens(self.dice.faults.same_tick);
        if moved {
            self.clock_ns = self.clock_ns.saturating_add(TICK_NS);
        }
        (self.clock_ns, moved)
    }

    /// What the storage's clock shows, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.clock_ns / 1_000_000).unwrap_or_default()
    }

    pub(crate) fn jump_clock(&mut self, by_ns: i64) {
        self.clock_ns = self.clock_ns.saturating_add(by_ns);
    }

    /// `path` is about to change: a listing may lag behind that.
    pub(crate) fn remember(&mut self, path: &Path) {
        if !self.lag.most.is_zero() {
            let before = self.look(path).ok().flatten();
            self.lag.remember(path, before, &mut self.dice);
        }
    }

    /// A driver is told of a state.
    pub(crate) fn told(&mut self, state: State) -> State {
        self.told.insert(state.tag);
        state
    }

    /// Hints at the path, and at the directories that were made for it.
    pub(crate) fn tell(&mut self, path: &Path, hint: Hint) {
        for made in std::mem::take(&mut self.tree.made) {
            self.news.tell(&made, Hint::Changed, &mut self.dice);
        }
        self.news.tell(path, hint, &mut self.dice);
    }

    pub(crate) fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        self.tree.find_exact(path).map(|number| self.tree.state(path, number)).transpose()
    }

    /// The node at `path` if it is in the state `expect`, else `Changed`.
    pub(crate) fn expect(&self, path: &Path, expect: Option<Tag>) -> Result<Option<u64>, Fault> {
        let number = self.tree.find_exact(path);
        let tag = number.map(|number| self.tree.state(path, number).map(|state| state.tag));
        match (tag, expect) {
            (None, None) => Ok(None),
            (Some(Ok(tag)), Some(expected)) if tag == expected => Ok(number),
            _ => Err(changed(path)),
        }
    }

    /// Puts the bytes of a half-written file where `expect` stands.
    pub(crate) fn place(
        &mut self,
        path: &Path,
        claim: &Claim,
        content: &Content,
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        let bytes = self.parts.bytes(claim)?.clone();
        if bytes.len() as u64 != content.size {
            let message =
                format!("`{path}` was to have {} bytes, not {}", content.size, bytes.len());
            return Err(Fault::new(FaultKind::Corrupt, message));
        }
        let body = match content.kind {
            Kind::Symlink => Body::Symlink(String::from_utf8_lossy(&bytes).into_owned()),
            _ => Body::File { executable: content.executable, bytes: bytes.into() },
        };
        let keeps_mtime = self.tree.abilities().mtime;
        let mtime_ns = if keeps_mtime { content.mtime_ns } else { self.tick().0 };
        self.replace(path, body, mtime_ns, expect, content.size)
    }

    /// Makes a directory where `expect` stands, unless one is there.
    pub(crate) fn make_directory(
        &mut self,
        path: &Path,
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        match self.look(path) {
            Ok(Some(state)) if state.content.kind == Kind::Directory => Ok(state),
            _ => self.replace(path, Body::Directory(Directory::default()), 0, expect, 0),
        }
    }

    fn replace(
        &mut self,
        path: &Path,
        body: Body,
        mtime_ns: i64,
        expect: Option<Tag>,
        size: u64,
    ) -> Result<State, Fault> {
        self.refuse_blocked(path)?;
        let replaced = self.expect(path, expect)?;
        self.refuse_taken(path)?;
        self.refuse_filled(path, replaced)?;
        self.refuse_beyond_capacity(path, size)?;
        self.bury(path, replaced, Why::Replaced);
        self.remember(path);
        let number = self.tree.put(path, body, mtime_ns)?;
        self.tell(path, Hint::Changed);
        self.tree.state(path, number).map(|state| self.told(state))
    }

    pub(crate) fn set_attributes(
        &mut self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> Result<State, Fault> {
        let number = self.expect(path, Some(expect))?.ok_or_else(|| changed(path))?;
        self.remember(path);
        let node = self.tree.node_mut(path).ok_or_else(|| changed(path))?;
        let Body::File { executable, .. } = &mut node.body else {
            let message = format!("`{path}` is no file and has no attributes");
            return Err(Fault::new(FaultKind::Unsupported, message));
        };
        *executable = content.executable;
        node.mtime_ns = content.mtime_ns;
        self.tell(path, Hint::Changed);
        self.tree.state(path, number).map(|state| self.told(state))
    }

    pub(crate) fn rename(
        &mut self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let number = self.expect(from, Some(expect_from))?.ok_or_else(|| changed(from))?;
        self.refuse_blocked(to)?;
        if from != to && to.is_within(from) {
            let message = format!("`{from}` can't be renamed into itself");
            return Err(Fault::new(FaultKind::InvalidName, message));
        }
        // Where names are folded, `a` may stand at `A` too: then it is only spelled anew.
        if self.tree.find(to) == Some(number) {
            self.refuse_taken(&to.parent().unwrap_or_else(Path::root))?;
        } else {
            let replaced = self.expect(to, expect_to)?;
            self.refuse_taken(to)?;
            self.refuse_filled(to, replaced)?;
            self.bury(to, replaced, Why::Replaced);
        }
        self.move_node(from, number, to)?;
        self.tree.state(to, number).map(|state| self.told(state))
    }

    /// Moves a node and hints at both of its paths.
    pub(crate) fn move_node(&mut self, from: &Path, number: u64, to: &Path) -> Result<(), Fault> {
        let is_directory = self.tree.directory(number).is_some();
        self.remember(from);
        self.remember(to);
        self.tree.detach(from);
        self.tree.attach(to, number)?;
        self.tree.prune(from);
        let hint = if is_directory { Hint::Tree } else { Hint::Changed };
        self.tell(from, hint);
        self.tell(to, hint);
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path, expect: Tag) -> Result<(), Fault> {
        if self.tree.find_exact(path).is_none() {
            return Ok(());
        }
        let number = self.expect(path, Some(expect))?;
        self.refuse_filled(path, number)?;
        self.bury(path, number, Why::Removed);
        self.remember(path);
        if let Some(number) = self.tree.detach(path) {
            self.tree.forget(number);
        }
        self.tree.prune(path);
        self.tell(path, Hint::Changed);
        Ok(())
    }

    pub(crate) fn refuse_beyond_capacity(&self, path: &Path, size: u64) -> Result<(), Fault> {
        let Some(capacity) = self.capacity else { return Ok(()) };
        if self.tree.used().saturating_add(size) <= capacity {
            return Ok(());
        }
        let message = format!("no space for the {size} bytes of `{path}`");
        Err(Fault::new(FaultKind::Full, message))
    }

    pub(crate) fn refuse_blocked(&self, path: &Path) -> Result<(), Fault> {
        if !self.tree.is_blocked(path) {
            return Ok(());
        }
        let message = format!("a parent of `{path}` is no directory");
        Err(Fault::new(FaultKind::NotADirectory, message))
    }

    /// Refuses a path that can't be told from another one.
    pub(crate) fn refuse_taken(&self, path: &Path) -> Result<(), Fault> {
        if !self.tree.is_taken(path) {
            return Ok(());
        }
        let text = format!("`{path}` can't be told from `{}`", self.tree.spelled(path));
        Err(Fault::new(FaultKind::Taken, text))
    }

    fn refuse_filled(&self, path: &Path, number: Option<u64>) -> Result<(), Fault> {
        let directory = number.and_then(|number| self.tree.directory(number));
        if directory.is_none_or(Directory::is_empty) {
            return Ok(());
        }
        let message = format!("the directory `{path}` still holds something");
        Err(Fault::new(FaultKind::NotEmpty, message))
    }
}

pub(crate) fn changed(path: &Path) -> Fault {
    Fault::new(FaultKind::Changed, format!("`{path}` is not in the state that was expected"))
}
