//! What an account holds: files and folders by path, and the journal of what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use axum::body::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::errors::{conflict, tag};
use crate::hash::content_hash;
use crate::names::{self, composed, is_within, lower, parent};

/// How Dropbox writes a time.
const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";

/// A file's bytes and what is known of them.
#[derive(Debug, Clone)]
pub struct File {
    /// Changes with each new state.
    pub rev: String,
    /// All of them.
    pub bytes: Bytes,
    /// Of the bytes.
    pub hash: String,
    /// As the client gave it, in Dropbox's form.
    pub client_modified: String,
    server_modified: String,
}

/// What stands at a path.
#[derive(Debug, Clone)]
pub struct Node {
    /// The last component as it was made.
    pub name: String,
    /// Stays while it is edited and moved.
    pub id: String,
    /// [`None`] for a folder.
    pub file: Option<File>,
}

/// Everything in an account, by the key of its path; the root is not among it.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    /// What was deleted, by key: name and shown path.
    gone: BTreeMap<String, (String, String)>,
    /// Each state that a file had at a key, oldest first, whatever became of it.
    revisions: BTreeMap<String, Vec<Node>>,
    /// The key that each change was about, oldest first.
    journal: Vec<String>,
    ids: u64,
    /// Most bytes of all files together.
    pub capacity: Option<u64>,
    /// Whether shown paths tell the folders above a thing in lower case, as they may.
    pub shows_parents_lower: bool,
}

impl Tree {
    /// What stands at a path, however it is spelled.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&lower(path))
    }

    /// Whether the path is the root or a folder.
    pub fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.get(path).is_some_and(|node| node.file.is_none())
    }

    /// The key of the thing with this id.
    pub fn key_of_id(&self, id: &str) -> Option<String> {
        let found = self.nodes.iter().find(|(_, node)| node.id == id);
        found.map(|(key, _)| key.clone())
    }

    /// Where a file had this rev, and what it was then; also what was replaced or deleted since.
    pub fn revision(&self, rev: &str) -> Option<(&String, &Node)> {
        let is_it = |node: &&Node| node.file.as_ref().is_some_and(|file| file.rev == rev);
        self.revisions.iter().find_map(|(key, all)| Some((key, all.iter().rev().find(is_it)?)))
    }

    /// Every state that a file had at a key, oldest first.
    pub fn revisions(&self, key: &str) -> &[Node] {
        self.revisions.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every state of a file that is no longer there and can still be had back.
    pub fn old(&self) -> impl Iterator<Item = &File> {
        let rev = |node: &Node| node.file.as_ref().map(|file| file.rev.clone());
        let all = self.revisions.iter().flat_map(|(key, all)| all.iter().map(move |it| (key, it)));
        let old =
            all.filter(move |(key, it)| self.nodes.get(*key).is_none_or(|now| rev(now) != rev(it)));
        old.filter_map(|(_, node)| node.file.as_ref())
    }

    /// Every state that a file with this id had, oldest first, with the key where it had it.
    pub fn revisions_of(&self, id: &str) -> Vec<(String, Node)> {
        let all = self.revisions.iter().flat_map(|(key, all)| all.iter().map(move |it| (key, it)));
        let of_it = all.filter(|(_, node)| node.id == id);
        let mut of_it: Vec<_> = of_it.map(|(key, node)| (key.clone(), node.clone())).collect();
        of_it.sort_by_key(|(_, node)| node.file.as_ref().map(|file| file.rev.clone()));
        of_it
    }

    /// Forgets all states but those that are there, as Dropbox does after some weeks.
    pub fn forget_revisions(&mut self) {
        let nodes = &self.nodes;
        self.revisions.retain(|key, all| {
            all.retain(|old| {
                let rev = |node: &Node| node.file.as_ref().map(|file| file.rev.clone());
                nodes.get(key).is_some_and(|node| rev(node) == rev(old))
            });
            !all.is_empty()
        });
    }

    /// The keys of what was deleted directly, or anywhere, below `above`.
    pub fn gone_below<'a>(
        &'a self,
        above: &'a str,
        recursive: bool,
    ) -> impl Iterator<Item = &'a String> {
        let is_below =
            move |key: &&String| parent(key) == Some(above) || (recursive && is_within(key, above));
        self.gone.keys().filter(is_below)
    }

    /// How many changes there were.
    pub fn changes(&self) -> usize {
        self.journal.len()
    }

    /// The keys that changed after so many changes, in the order of their last one, at most
    /// `limit` changes; and the number reached.
    pub fn changed_after(&self, seen: usize, limit: usize) -> (Vec<String>, usize) {
        let end = self.journal.len().min(seen.saturating_add(limit));
        let part = self.journal.get(seen..end).unwrap_or_default();
        let mut told = BTreeSet::new();
        let mut keys: Vec<String> =
            part.iter().rev().filter(|key| told.insert(key.as_str())).cloned().collect();
        keys.reverse();
        (keys, end)
    }

    /// The keys directly or anywhere below `above`, after the key `after`.
    pub fn below<'a>(
        &'a self,
        above: &'a str,
        after: &str,
        recursive: bool,
    ) -> impl Iterator<Item = &'a String> {
        let first = format!("{above}/");
        let from = if after < first.as_str() { first.clone() } else { after.to_owned() };
        let from =
            if after < first.as_str() { Bound::Included(from) } else { Bound::Excluded(from) };
        self.nodes
            .range((from, Bound::Unbounded))
            .map(|(key, _)| key)
            .take_while(move |key| key.starts_with(&first))
            .filter(move |key| recursive || parent(key) == Some(above))
    }

    /// All bytes together.
    pub fn used(&self) -> u64 {
        let sizes = self.nodes.values().filter_map(|node| node.file.as_ref());
        sizes.map(|file| file.bytes.len() as u64).sum()
    }

    /// The path as it is shown: the names as they were made.
    pub fn shown(&self, key: &str) -> String {
        let Some(above) = parent(key) else { return String::new() };
        let name = self.nodes.get(key).map_or(names::name(key), |node| node.name.as_str());
        let above = if self.shows_parents_lower { above.to_owned() } else { self.shown(above) };
        format!("{above}/{name}")
    }

    /// A `Metadata` of what stands at the key, or of what was deleted there.
    pub fn metadata(&self, key: &str) -> Option<Value> {
        let Some(node) = self.nodes.get(key) else {
            let (name, shown) = self.gone.get(key)?;
            return Some(json!({
                ".tag": "deleted", "name": name, "path_lower": key, "path_display": shown,
            }));
        };
        let shown = self.shown(key);
        Some(Self::told(key, &shown, node))
    }

    /// A `Metadata` of a node at a key.
    pub fn told(key: &str, shown: &str, node: &Node) -> Value {
        match &node.file {
            None => json!({
                ".tag": "folder", "name": node.name, "path_lower": key, "path_display": shown,
                "id": node.id,
            }),
            Some(file) => json!({
                ".tag": "file", "name": node.name, "path_lower": key, "path_display": shown,
                "id": node.id, "client_modified": file.client_modified,
                "server_modified": file.server_modified, "rev": file.rev,
                "size": file.bytes.len(), "is_downloadable": true, "content_hash": file.hash,
            }),
        }
    }

    fn next(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn next_id(&mut self) -> String {
        format!("id:onituFake{:013}", self.next())
    }

    fn next_rev(&mut self) -> String {
        format!("0{:014x}", 0x015f_0000_0000 + self.next())
    }

    fn changed(&mut self, key: &str) {
        self.journal.push(key.to_owned());
    }

    /// Makes the folders above `path`; a `WriteError` if a file is among them.
    pub fn make_parents(&mut self, path: &str) -> Result<(), Value> {
        let Some(above) = parent(path).filter(|above| !above.is_empty()) else { return Ok(()) };
        match self.get(above) {
            Some(node) if node.file.is_none() => Ok(()),
            Some(_) => Err(conflict("file_ancestor")),
            None => {
                self.make_parents(above)?;
                self.make_folder(above);
                Ok(())
            }
        }
    }

    /// Makes a folder where nothing stands, below a folder that does.
    pub fn make_folder(&mut self, path: &str) -> String {
        let key = lower(path);
        let node = Node { name: names::name(path).to_owned(), id: self.next_id(), file: None };
        self.put(&key, node);
        key
    }

    fn put(&mut self, key: &str, node: Node) {
        self.gone.remove(key);
        if node.file.is_some() {
            self.revisions.entry(key.to_owned()).or_default().push(node.clone());
        }
        self.nodes.insert(key.to_owned(), node);
        self.changed(key);
    }

    /// Puts a file where nothing or a file stands, below a folder; its name and id stay.
    pub fn put_file(
        &mut self,
        path: &str,
        bytes: Bytes,
        client_modified: Option<String>,
    ) -> Result<String, Value> {
        let path = composed(path);
        let key = lower(&path);
        let old = self.nodes.get(&key).cloned();
        let freed = old.as_ref().and_then(|node| node.file.as_ref());
        let used = self.used() - freed.map_or(0, |file| file.bytes.len() as u64);
        if self.capacity.is_some_and(|capacity| used + bytes.len() as u64 > capacity) {
            return Err(tag("insufficient_space"));
        }
        let (name, id) = match old {
            Some(node) => (node.name, node.id),
            None => (names::name(&path).to_owned(), self.next_id()),
        };
        let server_modified = Timestamp::now().strftime(TIME).to_string();
        let file = File {
            rev: self.next_rev(),
            hash: content_hash(&bytes),
            bytes,
            client_modified: client_modified.unwrap_or_else(|| server_modified.clone()),
            server_modified,
        };
        self.put(&key, Node { name, id, file: Some(file) });
        Ok(key)
    }

    /// Deletes what stands at the key with all below; its metadata from before.
    pub fn delete(&mut self, key: &str) -> Option<Value> {
        let metadata = self.metadata(key).filter(|_| self.nodes.contains_key(key))?;
        let doomed: Vec<String> =
            self.nodes.keys().filter(|it| is_within(it, key)).cloned().collect();
        for it in doomed {
            let shown = self.shown(&it);
            self.gone.insert(it.clone(), (names::name(&shown).to_owned(), shown));
        }
        self.nodes.retain(|it, _| !is_within(it, key));
        self.changed(key);
        Some(metadata)
    }

    /// Copies what stands at the key `from`, with all below, to `to`, where nothing stands; moves
    /// it if `moves`: then it keeps its ids. Each file there has a new rev.
    pub fn relocate(&mut self, from: &str, to: &str, moves: bool) -> String {
        let key = lower(to);
        let taken: Vec<(String, Node)> = self
            .nodes
            .iter()
            .filter(|(it, _)| is_within(it, from))
            .map(|(it, node)| (it.clone(), node.clone()))
            .collect();
        if moves {
            self.delete(from);
        }
        for (old, mut node) in taken {
            if old == from {
                names::name(to).clone_into(&mut node.name);
            }
            if !moves {
                node.id = self.next_id();
            }
            if let Some(file) = &mut node.file {
                file.rev = format!("0{:014x}", 0x015f_0000_0000 + self.ids + 1);
                self.ids += 1;
            }
            self.put(&format!("{key}{}", &old[from.len()..]), node);
        }
        key
    }

    /// Every path as it is shown, with the bytes of files.
    pub fn all(&self) -> BTreeMap<String, Option<Bytes>> {
        let bytes = |node: &Node| node.file.as_ref().map(|file| file.bytes.clone());
        self.nodes.iter().map(|(key, node)| (self.shown(key), bytes(node))).collect()
    }
}

/// Whether a client's time has Dropbox's form.
pub fn is_time(text: &str) -> bool {
    jiff::civil::DateTime::strptime(TIME, text)
        .is_ok_and(|it| it.strftime(TIME).to_string() == text)
}
