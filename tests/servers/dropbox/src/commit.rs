//! Saving a file: what stands in the way, and what becomes of it.

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::errors::{Refusal, conflict};
use crate::hash::content_hash;
use crate::names::{self, composed, lower, marked, parent};
use crate::tree::{Tree, is_time};

/// Most names that are tried.
const RENAMES_MAX: usize = 1_000;

/// A `CommitInfo`, and what the arguments of an upload have beside.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Where to.
    pub path: String,
    #[serde(default = "add")]
    mode: Value,
    #[serde(default)]
    autorename: bool,
    client_modified: Option<String>,
    #[serde(default, rename = "mute")]
    _mute: bool,
    #[serde(rename = "property_groups")]
    _property_groups: Option<Value>,
    #[serde(default)]
    strict_conflict: bool,
    /// Of the bytes of the call.
    pub content_hash: Option<String>,
}

fn add() -> Value {
    json!("add")
}

enum Mode {
    Add,
    Overwrite,
    Update(String),
}

impl Commit {
    /// Refuses arguments that no caller may give.
    pub fn check(&self) -> Result<(), Refusal> {
        self.mode()?;
        match &self.client_modified {
            Some(time) if !is_time(time) => Err(Refusal::BadInput(format!(
                "client_modified: time data '{time}' does not match format '%Y-%m-%dT%H:%M:%SZ'"
            ))),
            _ => Ok(()),
        }
    }

    fn mode(&self) -> Result<Mode, Refusal> {
        let name = self.mode.as_str().or_else(|| self.mode.get(".tag")?.as_str());
        let rev = self.mode.get("update").and_then(Value::as_str);
        match (name, rev) {
            (Some("add"), _) => Ok(Mode::Add),
            (Some("overwrite"), _) => Ok(Mode::Overwrite),
            (Some("update"), Some(rev)) if is_rev(rev) => Ok(Mode::Update(rev.to_owned())),
            _ => Err(Refusal::BadInput(format!("mode: {} is no WriteMode", self.mode))),
        }
    }

    /// Saves `bytes` at `path`, which is checked; the key where they are, or a `WriteError`.
    pub fn save(&self, tree: &mut Tree, path: &str, bytes: &Bytes) -> Result<String, Value> {
        let path = composed(path);
        let mode = self.mode().map_err(|_| conflict("file"))?;
        let Some(verdict) = self.in_the_way(tree, &path, &mode, bytes) else {
            tree.make_parents(&path)?;
            return tree.put_file(&path, bytes.clone(), self.client_modified.clone());
        };
        match verdict {
            InTheWay::TheSame => Ok(lower(&path)),
            InTheWay::Other(what) if !self.autorename => Err(conflict(what)),
            InTheWay::Other(_) => {
                let path = free(tree, &path, matches!(mode, Mode::Update(_)))?;
                tree.make_parents(&path)?;
                tree.put_file(&path, bytes.clone(), self.client_modified.clone())
            }
        }
    }

    fn in_the_way(&self, tree: &Tree, path: &str, mode: &Mode, bytes: &[u8]) -> Option<InTheWay> {
        let Some(node) = tree.get(path) else {
            // Where something was expected and is deleted, only the strict are told.
            let misses = matches!(mode, Mode::Update(_)) && self.strict_conflict;
            return misses.then_some(InTheWay::Other("file"));
        };
        let Some(file) = &node.file else { return Some(InTheWay::Other("folder")) };
        if !self.strict_conflict && file.hash == content_hash(bytes) {
            return Some(InTheWay::TheSame);
        }
        match mode {
            Mode::Add => Some(InTheWay::Other("file")),
            Mode::Overwrite => None,
            Mode::Update(rev) => (*rev != file.rev).then_some(InTheWay::Other("file")),
        }
    }
}

enum InTheWay {
    TheSame,
    Other(&'static str),
}

fn is_rev(text: &str) -> bool {
    text.len() >= 9
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A name beside `path` that is free.
pub fn free(tree: &Tree, path: &str, is_update: bool) -> Result<String, Value> {
    let above = parent(path).unwrap_or_default();
    for number in 1..RENAMES_MAX {
        let mark = match (is_update, number) {
            (true, 1) => "conflicted copy".to_owned(),
            (true, number) => format!("conflicted copy {number}"),
            (false, number) => (number + 1).to_string(),
        };
        let path = format!("{above}/{}", marked(names::name(path), &mark));
        if tree.get(&path).is_none() {
            return Ok(path);
        }
    }
    Err(conflict("file"))
}
