//! Which paths are no business of Onitu's here: what the Referee published as ignored, and what this
//! service's own ignore files say until the Referee has taken it.
//!
//! The runtime asks at every seam: before a look, in a scan, when an order begins. What is covered
//! is neither read nor told nor changed, and that it isn't told is never taken for its absence.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use onitu_core::ignore::{
    FILE_BYTES_MAX, FILES_MAX, IgnoreSet, IgnoreText, Ignoring, file_in, is_ignore_file,
};
use onitu_core::message::Event;
use onitu_core::store::{Store, StoreError};
use onitu_core::{Fault, FaultKind, Kind, Mode, Path, State, limits};

use crate::hints::Hint;
use crate::look::mended;
use crate::plug::{Plug, Source};
use crate::service::{STORE_RETRY_FIRST, Shared, wait_for_store};

/// What is ignored on this service.
#[derive(Default)]
pub(crate) struct Filter(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// As it was published.
    set: IgnoreSet,
    everywhere: Ignoring,
    /// What the ignore files say that stand here, by their directory.
    told: BTreeMap<Path, IgnoreText>,
    /// Of these, those that were not taken yet.
    here: Ignoring,
}

impl Known {
    fn compile_here(&mut self) {
        let is_taken = |at: &Path, text: &IgnoreText| {
            self.set.files.get(at).is_some_and(|taken| taken.checksum == text.checksum)
        };
        let files = self.told.iter().filter(|(at, text)| !is_taken(at, text));
        let files = files.map(|(at, text)| (at.clone(), text.clone())).collect();
        let set = IgnoreSet { keeps_junk: true, files, ..IgnoreSet::default() };
        self.here = Ignoring::compile(&set);
    }
}

impl Filter {
    /// What holds now. Before the Referee has published anything that is what the configuration
    /// alone says.
    pub(crate) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let set = if let Some(set) = store.ignoring(0).await? {
            set
        } else {
            let registry = store.registry().await?.unwrap_or_default();
            let (keeps_junk, services) = (registry.keeps_junk, registry.names());
            IgnoreSet { keeps_junk, rules: registry.rules, services, ..IgnoreSet::default() }
        };
        let filter = Self::default();
        filter.adopt(set);
        Ok(filter)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version that is in force.
    pub(crate) fn version(&self) -> u64 {
        self.known().set.version
    }

    /// Whether something of `kind` at `path` is ignored.
    pub(crate) fn covers(&self, path: &Path, kind: Kind) -> bool {
        let known = self.known();
        known.everywhere.covers(path, kind) || known.here.covers(path, kind)
    }

    /// Whether `path` is ignored, whatever stands there.
    pub(crate) fn covers_any(&self, path: &Path) -> bool {
        self.covers(path, Kind::File) && self.covers(path, Kind::Directory)
    }

    /// Why something of `kind` at `path` is ignored, if it is.
    pub(crate) fn why(&self, path: &Path, kind: Kind) -> Option<String> {
        let known = self.known();
        let reason = known.everywhere.why(path, kind).or_else(|| known.here.why(path, kind));
        reason.map(|reason| reason.explain(path))
    }

    /// Puts in force what the Referee published; whether it is something else than before, or was
    /// in between: what was ignored for a moment has been forgotten, and has to be told again.
    pub(crate) fn adopt(&self, set: IgnoreSet) -> bool {
        let mut known = self.change();
        let differs = known.set.version != 0 || !known.set.says_the_same(&set);
        // The Referee has decided about a directory: what this service told of it is overtaken.
        let Known { set: before, told, .. } = &mut *known;
        let sum = |set: &IgnoreSet, at: &Path| set.files.get(at).map(|text| text.checksum);
        told.retain(|at, text| {
            let now = sum(&set, at);
            now.is_none() || now == sum(before, at) || now == Some(text.checksum)
        });
        known.everywhere = Ignoring::compile(&set);
        known.set = set;
        known.compile_here();
        differs
    }

    /// The ignore file of `directory` says this here.
    fn tell(&self, directory: Path, text: IgnoreText) {
        let mut known = self.change();
        if known.told.len() < FILES_MAX || known.told.contains_key(&directory) {
            known.told.insert(directory, text);
            known.compile_here();
        }
    }

    /// Whether nothing that an ignore file in `directory` says was taken, for whatever reason.
    pub(crate) fn lacks(&self, directory: &Path) -> bool {
        let known = self.known();
        let file = file_in(directory);
        !known.set.files.contains_key(directory) && !known.set.unused.contains(&file)
    }

    /// There is no ignore file in `directory`; whether there was one that had an effect here alone.
    pub(crate) fn forget(&self, directory: &Path) -> bool {
        let mut known = self.change();
        let Some(text) = known.told.remove(directory) else { return false };
        known.compile_here();
        known.set.files.get(directory).is_none_or(|taken| taken.checksum != text.checksum)
    }

    /// Nothing stands at `path`, and so no ignore file there or below; whether there was one that
    /// had an effect here alone.
    pub(crate) fn forget_at(&self, path: &Path) -> bool {
        let stood = |at: &&Path| file_in(at) == *path || *at == path || at.is_within(path);
        let gone: Vec<Path> = self.known().told.keys().filter(stood).cloned().collect();
        gone.iter().filter(|directory| self.forget(directory)).count() > 0
    }
}

impl<P: Plug> Shared<P> {
    /// Takes up what the Referee has published since.
    pub(crate) async fn adopt_ignoring(&self) {
        if let Ok(Some(set)) = self.store.ignoring(self.filter.version()).await
            && self.filter.adopt(set)
        {
            self.announcer.doubt();
            self.hints.rescan("what is ignored has changed");
        }
    }

    /// Whether `path` is not to be looked at, whatever stands there.
    pub(crate) fn is_ignored(&self, path: &Path) -> bool {
        self.filter.covers_any(path) && self.pass_over(path)
    }

    /// Whether nothing is to be told of `path`, where something of `kind` stands or stood.
    pub(crate) fn is_ignored_as(&self, path: &Path, kind: Option<Kind>) -> bool {
        self.filter.covers(path, kind.unwrap_or(Kind::File)) && self.pass_over(path)
    }

    /// Nothing that waits concerns the path any more.
    fn pass_over(&self, path: &Path) -> bool {
        self.brake.forget(path);
        mended(self, path);
        true
    }

    /// Tells the store what the ignore files among `events` say, before these are told; from now on
    /// it holds on this service. One that can't be read just now is not told of before it can: told
    /// without what it says it would have no effect, and nobody would look at it again.
    pub(crate) async fn tell_ignore_files(&self, events: &mut Vec<Event>) {
        let mut unread: Vec<Path> = Vec::new();
        for event in events.iter_mut() {
            let Some(directory) = event.path().parent().filter(|_| is_ignore_file(event.path()))
            else {
                continue;
            };
            // What came by an order another service has told of.
            let is_ordered = event.order().is_some();
            match event {
                Event::Seen { path, state, .. } | Event::Restored { path, state } => {
                    let taken = self.take_ignore_file(path, directory, state).await;
                    if let Err(fault) = taken
                        && !is_ordered
                    {
                        self.retries.add(path, Hint::Changed, &fault);
                        unread.push(path.clone());
                    }
                }
                Event::Gone { .. } if self.filter.forget(&directory) => {
                    self.hints.rescan("an ignore file is gone");
                }
                _ => {}
            }
        }
        events.retain(|event| !unread.contains(event.path()));
    }

    /// Tells the store what the ignore file at `path` says, which stands there in this state.
    pub(crate) async fn take_ignore_file(
        &self,
        path: &Path,
        directory: Path,
        state: &mut State,
    ) -> Result<(), Fault> {
        let is_usable = state.content.kind == Kind::File && state.content.size <= FILE_BYTES_MAX;
        if !is_usable {
            let message = format!(
                "`{path}` has no effect: what says what is ignored is a file of at most \
                 {FILE_BYTES_MAX} bytes"
            );
            self.problems.note(path.as_str(), &Fault::new(FaultKind::Unsupported, message));
            self.filter.forget(&directory);
            return Ok(());
        }
        let text = match read_text(self.plug.as_ref(), path, state).await {
            Ok(text) => text,
            // If it has changed meanwhile, another look is on its way.
            Err(fault) if matches!(fault.kind, FaultKind::Changed | FaultKind::NotFound) => {
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        if state.content.checksum.is_some_and(|sum| sum != text.checksum) {
            return Ok(());
        }
        state.content.checksum = Some(text.checksum);
        let mut pause = STORE_RETRY_FIRST;
        while let Err(error) = self.store.set_ignore_text(self.id, path, &text).await {
            wait_for_store(error, &mut pause).await?;
        }
        // What a backup has for itself is nobody's: it would hold here for ever.
        if self.mode != Mode::Backup {
            self.filter.tell(directory, text);
        }
        Ok(())
    }
}

async fn read_text<P: Plug>(plug: &P, path: &Path, state: &State) -> Result<IgnoreText, Fault> {
    let mut source = plug.read(path, state.tag, 0).await?;
    let mut bytes = Vec::new();
    loop {
        let next = source.next(limits::CHUNK_BYTES_MIN).await?;
        if next.is_empty() {
            return Ok(IgnoreText::of(&bytes));
        }
        bytes.extend_from_slice(&next);
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Fault::new(FaultKind::Changed, format!("`{path}` grows")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::new(text).expect("a path")
    }

    fn set(version: u64, files: &[(&str, &str)]) -> IgnoreSet {
        let text = |said: &str| IgnoreText::of(said.as_bytes());
        let files = files.iter().map(|(at, said)| (path(at), text(said))).collect();
        IgnoreSet { version, files, ..IgnoreSet::default() }
    }

    fn covers(filter: &Filter, text: &str) -> bool {
        filter.covers(&path(text), Kind::File)
    }

    #[test]
    fn what_an_ignore_file_says_holds_here_before_and_until_it_is_taken() {
        let filter = Filter::default();
        assert!(filter.adopt(set(1, &[("", "old")])));
        filter.tell(Path::root(), IgnoreText::of(b"new"));
        assert!(covers(&filter, "old") && covers(&filter, "new"), "both, until one is taken");
        assert!(filter.adopt(set(2, &[("", "old"), ("d", "x")])), "about another directory");
        assert!(covers(&filter, "new"));
        assert!(filter.adopt(set(3, &[("", "new"), ("d", "x")])));
        assert!(covers(&filter, "new") && !covers(&filter, "old"));
        let same = set(4, &[("", "new"), ("d", "x")]);
        assert!(filter.adopt(same), "it may have been another one in between");
        assert_eq!(filter.version(), 4);
        assert!(!filter.forget(&Path::root()), "it holds everywhere, not only here");
        assert!(covers(&filter, "new"), "until the Referee says otherwise");
    }

    #[test]
    fn the_first_set_that_says_what_the_configuration_said_is_nothing_new() {
        assert!(!Filter::default().adopt(set(1, &[])));
        assert!(Filter::default().adopt(set(1, &[("d", "x")])));
    }

    #[test]
    fn what_another_service_said_counts_when_the_referee_says_so() {
        let filter = Filter::default();
        filter.adopt(set(1, &[("", "old")]));
        filter.tell(Path::root(), IgnoreText::of(b"mine"));
        filter.adopt(set(2, &[("", "theirs")]));
        assert!(covers(&filter, "theirs") && !covers(&filter, "mine") && !covers(&filter, "old"));
    }

    #[test]
    fn an_ignore_file_is_forgotten_with_the_directory_it_stood_in() {
        let filter = Filter::default();
        for (directory, text) in [("d", "x"), ("d/e", "z"), ("dd", "x")] {
            filter.tell(path(directory), IgnoreText::of(text.as_bytes()));
        }
        assert!(filter.forget_at(&path("d/e/.onituignore")) && !covers(&filter, "d/e/z"));
        assert!(covers(&filter, "d/x") && covers(&filter, "dd/x"));
        filter.tell(path("d/e"), IgnoreText::of(b"y"));
        assert!(filter.forget_at(&path("d")));
        assert!(!covers(&filter, "d/x") && !covers(&filter, "d/e/y") && covers(&filter, "dd/x"));
        assert!(!filter.forget_at(&path("d")), "nothing is left to forget");
    }

    #[test]
    fn a_store_that_was_lost_takes_nothing_away_here() {
        let filter = Filter::default();
        filter.tell(path("d"), IgnoreText::of(b"x"));
        filter.adopt(set(1, &[("d", "x")]));
        filter.adopt(set(9, &[]));
        assert!(covers(&filter, "d/x"), "the file still stands here");
        assert!(filter.forget(&path("d")) && !covers(&filter, "d/x"));
    }
}
