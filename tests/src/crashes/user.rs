//! The users: random edits that depend on nothing but the seed, one writer for each path, and the
//! tree they must come to.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::content::{SIZE_MIN, content};
use super::watcher::Watcher;
use crate::{Files, House, Thing, tree};

/// The directories at the top. In each round each of them belongs to one folder, whose user alone
/// edits what is below it.
const TOPS: [&str; 6] = ["t0", "t1", "t2", "t3", "t4", "t5"];
/// Few names, so that each is a file, a directory and nothing in turn.
const NAMES: [&str; 7] = ["a", "b", "c.txt", "d", "e.jpg", "ü", "x y"];
const DEPTH_MAX: usize = 4;
/// With so many paths there are more removals than anything else.
const PATHS_MAX: usize = 120;

/// What the users want to find at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Directory,
    File { id: u64, size: usize, executable: bool },
}

/// The users of all folders, with what they have done so far.
#[derive(Debug)]
pub(super) struct Users {
    wishes: BTreeMap<String, Wish>,
    next_id: u64,
    /// Bytes written so far.
    pub(super) bytes: u64,
}

/// Whose each directory at the top is in this round.
pub(super) struct Owners(Vec<(&'static str, String)>);

impl Owners {
    /// Dealt anew: each of `services` gets about as many.
    pub(super) fn deal(services: &[String], rng: &mut Rng) -> Owners {
        let mut tops = TOPS;
        rng.shuffle(&mut tops);
        let dealt = tops.into_iter().enumerate();
        Owners(dealt.map(|(at, top)| (top, services[at % services.len()].clone())).collect())
    }

    fn tops_of(&self, service: &str) -> Vec<&'static str> {
        self.0.iter().filter(|(_, owner)| owner == service).map(|(top, _)| *top).collect()
    }
}

/// One user's part of a round.
struct User<'a> {
    users: &'a mut Users,
    watcher: &'a Watcher,
    files: Files,
    tops: Vec<&'static str>,
    rng: &'a mut Rng,
}

impl Users {
    /// Makes the directories at the top in this folder.
    pub(super) fn new(files: &Files) -> Users {
        for top in TOPS {
            files.make_dir(top);
        }
        let wishes = TOPS.iter().map(|top| ((*top).to_owned(), Wish::Directory)).collect();
        Users { wishes, next_id: 0, bytes: 0 }
    }

    /// A content unlike any other: its number and its bytes.
    pub(super) fn new_content(&mut self, rng: &mut Rng) -> (u64, Vec<u8>) {
        self.next_id += 1;
        let size = match rng.u32(0..20) {
            0..2 => rng.usize(1 << 20..8 << 20),
            2..7 => rng.usize(60_000..400_000),
            _ => SIZE_MIN + rng.usize(0..2_000),
        };
        self.bytes += size as u64;
        (self.next_id, content(self.next_id, size))
    }

    /// One random edit in the folder of one of these services; tells what was done.
    pub(super) fn edit(
        &mut self,
        house: &House,
        folders: &[String],
        watcher: &Watcher,
        owners: &Owners,
        rng: &mut Rng,
    ) -> String {
        let service = &folders[rng.usize(0..folders.len())];
        self.edit_in(&house.files(service), service, watcher, owners, rng)
    }

    /// One random edit in this folder, which is that of `service`.
    pub(super) fn edit_in(
        &mut self,
        files: &Files,
        service: &str,
        watcher: &Watcher,
        owners: &Owners,
        rng: &mut Rng,
    ) -> String {
        let (files, tops) = (files.clone(), owners.tops_of(service));
        let is_full = self.wishes.len() > PATHS_MAX;
        let mut user = User { users: self, watcher, files, tops, rng };
        let done = match user.rng.u32(0..100) {
            0..40 if !is_full => user.write_somewhere(),
            0..60 => user.edit_any(),
            60..73 => user.remove_any(),
            73..88 => user.rename_any(),
            88..95 => user.make_directory(),
            _ => user.change_mode(),
        };
        format!("{service}: {}", done.unwrap_or_else(|| "nothing".to_owned()))
    }

    /// How the tree below `TOPS` in this folder differs from what the users want, a line each.
    pub(super) fn differences(&self, files: &Files) -> Vec<String> {
        let mut lines = Vec::new();
        let mut there = BTreeMap::new();
        for (path, thing) in tree(&files.at("")) {
            let path = path.to_string_lossy().into_owned();
            if TOPS.iter().any(|top| path.split('/').next() == Some(top)) {
                there.insert(path, thing);
            }
        }
        for (path, wish) in &self.wishes {
            match (there.remove(path), *wish) {
                (Some(Thing::Directory), Wish::Directory) => {}
                (Some(Thing::File { executable: is, .. }), Wish::File { id, size, executable })
                    if is == executable && files.read(path) == Some(content(id, size)) => {}
                (found, wish) => {
                    let nature = files.read(path).map(|bytes| super::content::nature(&bytes));
                    lines.push(format!("{path:?} is {found:?} ({nature:?}), not {wish:?}"));
                }
            }
        }
        lines.extend(there.into_iter().map(|(path, thing)| {
            let nature = files.read(&path).map(|bytes| super::content::nature(&bytes));
            format!("{path:?} should not be there: {thing:?} ({nature:?})")
        }));
        lines
    }
}

impl User<'_> {
    fn is_own(&self, path: &str) -> bool {
        self.tops.iter().any(|top| path.split('/').next() == Some(top))
    }

    /// A random path of his for which `suits` is true.
    fn any(&mut self, suits: impl Fn(&str, &Wish) -> bool) -> Option<String> {
        let own =
            self.users.wishes.iter().filter(|(path, wish)| self.is_own(path) && suits(path, wish));
        let own: Vec<String> = own.map(|(path, _)| path.clone()).collect();
        self.rng.choice(own)
    }

    fn any_file(&mut self) -> Option<String> {
        self.any(|_, wish| matches!(wish, Wish::File { .. }))
    }

    /// A name in a random directory of his, where something may stand.
    fn somewhere(&mut self) -> Option<String> {
        let is_shallow = |path: &str| path.split('/').count() < DEPTH_MAX;
        let parent = self.any(|path, wish| *wish == Wish::Directory && is_shallow(path))?;
        let name = self.rng.choice(NAMES)?;
        Some(format!("{parent}/{name}"))
    }

    fn wish(&self, path: &str) -> Option<Wish> {
        self.users.wishes.get(path).copied()
    }

    fn write_somewhere(&mut self) -> Option<String> {
        let path = self.somewhere()?;
        self.write(&path)
    }

    fn edit_any(&mut self) -> Option<String> {
        let path = self.any_file()?;
        self.write(&path)
    }

    /// Writes a new content, as one of three kinds of programs does.
    fn write(&mut self, path: &str) -> Option<String> {
        let executable = match self.wish(path) {
            Some(Wish::Directory) => return None,
            Some(Wish::File { executable, .. }) => executable,
            None => false,
        };
        let (id, bytes) = self.users.new_content(self.rng);
        let size = bytes.len();
        let how = self.rng.u32(0..10);
        if how >= 5 {
            self.watcher.may_be_partial(id);
        }
        let (parent, _) = path.rsplit_once('/')?;
        let is_executable = match how {
            // Made elsewhere and moved in, so that it is whole from its first moment.
            0..5 => {
                self.files.write("../scratch", bytes);
                self.files.rename("../scratch", path);
                false
            }
            // As editors do.
            5..7 => {
                let beside = format!("{parent}/.saved-{id}");
                self.files.write(&beside, bytes);
                self.files.rename(&beside, path);
                false
            }
            _ => {
                self.files.write(path, bytes);
                executable
            }
        };
        let wish = Wish::File { id, size, executable: is_executable };
        self.users.wishes.insert(path.to_owned(), wish);
        Some(format!("wrote content {id} of {size} bytes to {path} in way {how}"))
    }

    fn remove_any(&mut self) -> Option<String> {
        let path = self.any(|path, _| path.contains('/'))?;
        match self.wish(&path)? {
            Wish::Directory => self.files.remove_all(&path),
            Wish::File { .. } => self.files.remove(&path),
        }
        let below = format!("{path}/");
        self.users.wishes.retain(|it, _| *it != path && !it.starts_with(&below));
        Some(format!("removed {path}"))
    }

    fn rename_any(&mut self) -> Option<String> {
        let from = self.any(|path, _| path.contains('/'))?;
        let to = self.somewhere()?;
        let (wish, below) = (self.wish(&from)?, format!("{from}/"));
        let is_free = match self.wish(&to) {
            None => true,
            Some(Wish::File { .. }) => wish != Wish::Directory,
            Some(Wish::Directory) => false,
        };
        if !is_free || from == to || to.starts_with(&below) || from.starts_with(&format!("{to}/")) {
            return None;
        }
        self.files.rename(&from, &to);
        let moved = |path: &str| -> Option<String> {
            if path == from {
                return Some(to.clone());
            }
            Some(format!("{to}/{}", path.strip_prefix(&below)?))
        };
        let before = std::mem::take(&mut self.users.wishes);
        let (going, mut staying): (BTreeMap<_, _>, BTreeMap<_, _>) =
            before.into_iter().partition(|(path, _)| moved(path).is_some());
        staying.extend(going.into_iter().filter_map(|(path, wish)| Some((moved(&path)?, wish))));
        self.users.wishes = staying;
        if wish != Wish::Directory && self.rng.bool() {
            let then = self.write(&to)?;
            return Some(format!("renamed {from} to {to} and {then}"));
        }
        Some(format!("renamed {from} to {to}"))
    }

    fn make_directory(&mut self) -> Option<String> {
        let path = self.somewhere()?;
        if self.wish(&path).is_some() {
            return None;
        }
        self.files.make_dir(&path);
        self.users.wishes.insert(path.clone(), Wish::Directory);
        Some(format!("made the directory {path}"))
    }

    fn change_mode(&mut self) -> Option<String> {
        let path = self.any_file()?;
        let Some(Wish::File { executable, .. }) = self.users.wishes.get_mut(&path) else {
            return None;
        };
        *executable = !*executable;
        let mode = if *executable { 0o755 } else { 0o644 };
        self.files.chmod(&path, mode);
        Some(format!("set the mode of {path} to {mode:o}"))
    }
}
