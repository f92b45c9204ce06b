//! Paths that wait for a judgement or for a person: what they are counted as, and nothing more of
//! them than their names.

use std::collections::{BTreeMap, BTreeSet};

use onitu_core::{Path, Tag};

/// Most paths that are remembered by name; what is beyond is counted, and found again by a scan.
const PATHS_MAX: usize = 65_536;

/// One path that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// What stood there, of a removal; what stands there now, of a change.
    pub(super) tag: Tag,
    /// Whether it counts: directories don't.
    pub(super) is_file: bool,
    /// As it is recorded, in bytes.
    pub(super) size: u64,
    /// The scan of everything during or after which it was last found so.
    pub(super) scan: u64,
}

/// All of one kind.
#[derive(Debug, Default)]
pub(super) struct Pile {
    paths: BTreeMap<Path, Waiting>,
    by_tag: BTreeMap<Tag, Path>,
    /// Files among the paths, and their bytes.
    files: u64,
    pub(super) bytes: u64,
    /// Files that are counted and not remembered.
    beyond: u64,
    /// Whether any path is not remembered.
    pub(super) is_partial: bool,
    /// Something was added since it was last judged.
    pub(super) unjudged: bool,
    /// Waits for a person: how many files the service held before.
    pub(super) held: Option<u64>,
}

impl Pile {
    /// How many files wait.
    pub(super) fn files(&self) -> u64 {
        self.files + self.beyond
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.is_partial
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.paths.contains_key(path)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = (&Path, &Waiting)> {
        self.paths.iter()
    }

    /// The path at which `tag` stood.
    pub(super) fn under(&self, tag: Tag) -> Option<Path> {
        self.by_tag.get(&tag).cloned()
    }

    /// Adds a path; whether that needs another judgement.
    pub(super) fn add(&mut self, path: Path, waiting: Waiting) -> bool {
        if let Some(known) = self.paths.get_mut(&path).filter(|known| known.tag == waiting.tag) {
            known.scan = waiting.scan;
            return false;
        }
        self.drop_path(&path);
        self.unjudged = true;
        if self.paths.len() >= PATHS_MAX {
            self.is_partial = true;
            self.beyond += u64::from(waiting.is_file);
            return true;
        }
        if waiting.is_file {
            self.files += 1;
            self.bytes = self.bytes.saturating_add(waiting.size);
            self.by_tag.insert(waiting.tag, path.clone());
        }
        self.paths.insert(path, waiting);
        true
    }

    fn drop_path(&mut self, path: &Path) -> bool {
        let Some(waiting) = self.paths.remove(path) else { return false };
        if waiting.is_file {
            self.files -= 1;
            self.bytes = self.bytes.saturating_sub(waiting.size);
            if self.by_tag.get(&waiting.tag) == Some(path) {
                self.by_tag.remove(&waiting.tag);
            }
        }
        true
    }

    /// Takes a path out; whether it was there. With the last one the hold ends.
    pub(super) fn forget(&mut self, path: &Path) -> bool {
        let was_there = self.drop_path(path);
        self.end_if_empty();
        was_there
    }

    /// What no scan has found since the scan with this number began.
    pub(super) fn not_found_since(&self, scan: u64) -> impl Iterator<Item = Path> {
        self.paths.iter().filter(move |(_, it)| it.scan < scan).map(|(path, _)| path.clone())
    }

    /// Without files nothing is held; directories that are left go on.
    fn end_if_empty(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        } else if self.held.is_some() && self.files() == 0 {
            (self.held, self.unjudged) = (None, true);
        }
    }

    /// Empties it: the paths, children before their directories. If some are not among them no
    /// directory is, for a directory goes after what is in it.
    pub(super) fn take(&mut self) -> Vec<(Path, Waiting)> {
        let taken = std::mem::take(self);
        let whole = !taken.is_partial;
        taken.paths.into_iter().rev().filter(|(_, it)| whole || it.is_file).collect()
    }

    /// Takes out the directories whose removal takes no file along: what is held is none of their
    /// business. Children before their directories.
    pub(super) fn take_empty_directories(&mut self) -> Vec<Path> {
        if self.is_partial {
            return Vec::new();
        }
        let with_files: BTreeSet<Path> = self
            .paths
            .iter()
            .filter(|(_, waiting)| waiting.is_file)
            .map(|(path, _)| self.top(path))
            .collect();
        let empty: Vec<Path> = self
            .paths
            .iter()
            .filter(|(path, waiting)| !waiting.is_file && !with_files.contains(&self.top(path)))
            .map(|(path, _)| path.clone())
            .rev()
            .collect();
        for path in &empty {
            self.drop_path(path);
        }
        self.end_if_empty();
        empty
    }

    /// The uppermost directory above `path` that waits too, or `path`.
    fn top(&self, path: &Path) -> Path {
        let mut top = path.clone();
        let mut above = path.parent();
        while let Some(directory) = above.filter(|directory| !directory.is_root()) {
            if self.contains(&directory) {
                top = directory.clone();
            }
            above = directory.parent();
        }
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::new(text).unwrap()
    }

    fn file(tag: &str) -> Waiting {
        Waiting { tag: Tag::of(tag.as_bytes()), is_file: true, size: 10, scan: 1 }
    }

    fn directory() -> Waiting {
        Waiting { tag: Tag::of(b"directory"), is_file: false, size: 0, scan: 1 }
    }

    fn pile(files: &[&str], directories: &[&str]) -> Pile {
        let mut pile = Pile::default();
        for it in files {
            assert!(pile.add(path(it), file(it)));
        }
        for it in directories {
            assert!(pile.add(path(it), directory()));
        }
        pile
    }

    #[test]
    fn only_files_count_and_each_once() {
        let mut pile = pile(&["d/a", "d/b"], &["d"]);
        assert_eq!((pile.files(), pile.bytes), (2, 20));
        pile.unjudged = false;
        assert!(!pile.add(path("d/a"), file("d/a")), "it waits already");
        assert!(!pile.unjudged);
        assert!(pile.add(path("d/a"), Waiting { size: 5, ..file("another") }));
        assert_eq!((pile.files(), pile.bytes, pile.unjudged), (2, 15, true));
    }

    #[test]
    fn a_removal_is_found_by_what_stood_there() {
        let mut pile = pile(&["a"], &["d"]);
        assert_eq!(pile.under(Tag::of(b"a")), Some(path("a")));
        assert_eq!(pile.under(directory().tag), None, "no directory is known by its tag");
        assert!(pile.forget(&path("a")) && !pile.forget(&path("a")));
        assert_eq!(pile.under(Tag::of(b"a")), None);
    }

    #[test]
    fn the_hold_ends_with_the_last_path() {
        let mut pile = pile(&["a", "b"], &[]);
        (pile.held, pile.unjudged) = (Some(3), false);
        pile.forget(&path("a"));
        assert_eq!(pile.held, Some(3));
        pile.forget(&path("b"));
        assert_eq!(pile.held, None);
    }

    #[test]
    fn directories_alone_are_not_held() {
        let mut pile = pile(&["d/a"], &["d"]);
        (pile.held, pile.unjudged) = (Some(3), false);
        pile.forget(&path("d/a"));
        assert_eq!((pile.held, pile.unjudged, pile.is_empty()), (None, true, false));
    }

    #[test]
    fn what_a_scan_does_not_find_again_is_told() {
        let mut pile = pile(&["a", "b"], &[]);
        pile.add(path("a"), Waiting { scan: 2, ..file("a") });
        assert_eq!(pile.not_found_since(2).collect::<Vec<_>>(), [path("b")]);
        assert!(pile.contains(&path("b")), "until it was looked at");
    }

    #[test]
    fn children_leave_before_their_directories() {
        let taken = pile(&["d/e/a", "b"], &["d", "d/e"]).take();
        let order: Vec<&str> = taken.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(order, ["d/e/a", "d/e", "d", "b"]);
    }

    #[test]
    fn a_directory_that_takes_no_file_along_is_not_held() {
        let mut pile =
            pile(&["full/sub/a", "b"], &["full", "full/sub", "full/bare", "old", "old/x"]);
        assert_eq!(pile.take_empty_directories(), [path("old/x"), path("old")]);
        assert!(pile.contains(&path("full/bare")), "it comes back with the others or not at all");
        assert_eq!(pile.files(), 2);
    }

    #[test]
    fn more_paths_than_are_remembered_are_counted() {
        let mut pile = Pile::default();
        pile.add(path("d"), directory());
        for at in 0..PATHS_MAX {
            pile.add(path(&format!("d/{at:06}")), file(&at.to_string()));
        }
        assert_eq!(pile.files(), PATHS_MAX as u64);
        assert!(pile.is_partial && !pile.is_empty());
        let taken = pile.take();
        assert_eq!(taken.len(), PATHS_MAX - 1, "the directory waits for all that is in it");
        assert!(pile.is_empty());
    }
}
