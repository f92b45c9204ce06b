//! Edits of one file on two sides at the same moment: both contents must survive, unless the
//! second user had the first one's content before him when he replaced it.

use std::collections::BTreeSet;

use fastrand::Rng;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::content::{Nature, nature};
use super::user::Users;
use super::watcher::Watcher;
use crate::{Files, House, tree};

/// The directory in which all this happens.
pub(super) const ROOM: &str = "both";
const FILES_MAX: usize = 4;

/// Some files that are edited on two sides.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// Contents that nobody has replaced or removed knowingly.
    owed: BTreeSet<u64>,
    /// Every content that was written.
    written: BTreeSet<u64>,
    /// Those that were there before the users parted.
    bases: BTreeSet<u64>,
    paths: Vec<String>,
}

impl Apart {
    /// Makes the files in this folder; call it while nothing else happens, and wait afterwards.
    pub(super) fn new(files: &Files, users: &mut Users, watcher: &Watcher, rng: &mut Rng) -> Apart {
        let mut apart = Apart::default();
        for at in 0..rng.usize(1..=FILES_MAX) {
            let path = format!("{ROOM}/{at}.txt");
            // Some are new on both sides.
            if rng.u32(0..4) > 0 {
                let (id, bytes) = users.new_content(rng);
                watcher.may_be_partial(id);
                files.write(&path, bytes);
                apart.bases.insert(id);
            }
            apart.paths.push(path);
        }
        files.make_dir(ROOM);
        apart
    }

    /// Edits each of the files on two sides, each user without knowing of the other.
    pub(super) fn edit(
        &mut self,
        house: &House,
        folders: &[String],
        users: &mut Users,
        rng: &mut Rng,
    ) -> String {
        let mut told = Vec::new();
        for path in self.paths.clone() {
            let mut services = folders.to_vec();
            rng.shuffle(&mut services);
            let (one, other) = (&services[0], &services[1]);
            let is_removed = rng.u32(0..5) == 0;
            let first = self.save(&house.files(one), &path, users, rng);
            let second = if is_removed {
                self.remove(&house.files(other), &path)
            } else {
                self.save(&house.files(other), &path, users, rng)
            };
            told.push(format!("{path}: {one} {first}, {other} {second}"));
        }
        told.join("; ")
    }

    /// Changes places with what stands there, so that it is known what was replaced.
    fn save(&mut self, files: &Files, path: &str, users: &mut Users, rng: &mut Rng) -> String {
        let (id, bytes) = users.new_content(rng);
        files.write("../apart", bytes);
        let (from, to) = (files.at("../apart"), files.at(path));
        let swap = |flags| renameat_with(CWD, &from, CWD, &to, flags);
        let replaced = loop {
            match swap(RenameFlags::EXCHANGE) {
                Ok(()) => break files.read("../apart"),
                Err(Errno::NOENT) => {}
                Err(errno) => panic!("`{path}` can't be replaced: {errno}"),
            }
            match swap(RenameFlags::NOREPLACE) {
                Ok(()) => break None,
                Err(Errno::EXIST) => {}
                Err(errno) => panic!("`{path}` can't be made: {errno}"),
            }
        };
        self.written.insert(id);
        self.owed.insert(id);
        self.gave_up(replaced.as_deref());
        format!("saved content {id}")
    }

    /// Moves what stands there away, so that it is known what it was.
    fn remove(&mut self, files: &Files, path: &str) -> String {
        match std::fs::rename(files.at(path), files.at("../apart")) {
            Ok(()) => {
                let removed = files.read("../apart");
                self.gave_up(removed.as_deref());
                format!("removed {:?}", removed.map(|bytes| nature(&bytes)))
            }
            Err(error) => format!("had nothing to remove ({error})"),
        }
    }

    fn gave_up(&mut self, bytes: Option<&[u8]>) {
        if let Some(Nature::Whole(id)) = bytes.map(nature) {
            self.owed.remove(&id);
        }
    }

    /// What is wrong with the files in this folder now that everything is in step, a line each.
    pub(super) fn differences(&self, files: &Files) -> Vec<String> {
        let mut lines = Vec::new();
        let mut found = BTreeSet::new();
        for (path, thing) in tree(&files.at(ROOM)) {
            let path = format!("{ROOM}/{}", path.to_string_lossy());
            let bytes = files.read(&path).unwrap_or_default();
            match nature(&bytes) {
                Nature::Whole(id) if self.written.contains(&id) || self.bases.contains(&id) => {
                    found.insert(id);
                }
                other => lines.push(format!("{path:?} is {thing:?} ({other:?})")),
            }
        }
        let lost = self.owed.difference(&found);
        lines.extend(lost.map(|id| format!("content {id} is lost")));
        lines
    }

    /// Removes all of it, as a user does who has seen to it.
    pub(super) fn end(files: &Files) {
        files.at(ROOM).is_dir().then(|| files.remove_all(ROOM));
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::content;
    use super::*;
    use crate::Must;

    #[test]
    fn a_content_that_was_not_seen_is_owed_and_one_that_was_replaced_knowingly_is_not() {
        let directory = tempfile::TempDir::new().must("a directory");
        let files = Files::new(directory.path().join("folder"));
        let mut rng = Rng::with_seed(1);
        let mut users = Users::new(&files);
        let watcher = Watcher::new(Vec::new());
        let mut apart = Apart::new(&files, &mut users, &watcher, &mut rng);
        let path = format!("{ROOM}/0.txt");
        apart.save(&files, &path, &mut users, &mut rng);
        apart.save(&files, &path, &mut users, &mut rng);
        let last = apart.owed.clone();
        assert_eq!(last.len(), 1, "the first was given up for the second");
        assert_eq!(apart.differences(&files), [] as [String; 0]);

        let id = *last.first().must("the last one");
        files.write(&path, content(*apart.written.first().must("the first one"), 100));
        assert_eq!(apart.differences(&files).last(), Some(&format!("content {id} is lost")));
        files.write(&path, "foreign");
        assert_eq!(apart.differences(&files).len(), 2);
    }
}
