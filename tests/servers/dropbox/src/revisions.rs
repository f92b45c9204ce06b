//! What a file was before: its revisions, and having one of them back.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::Account;
use crate::errors::{Refusal, nest, route, tag};
use crate::names::lower;
use crate::tree::{Node, Tree};
use crate::view::View;

/// The arguments of `list_revisions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    path: String,
    #[serde(default)]
    mode: Value,
    #[serde(default = "ten")]
    limit: usize,
    before_rev: Option<String>,
    #[serde(default, rename = "include_restorable_info")]
    _restorable: bool,
}

fn ten() -> usize {
    10
}

/// The arguments of `restore`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    path: String,
    rev: String,
}

fn rev(node: &Node) -> &str {
    node.file.as_ref().map(|file| file.rev.as_str()).unwrap_or_default()
}

/// `list_revisions`: the newest first.
pub fn list(account: &Account, view: &View, arg: &List) -> Result<Value, Refusal> {
    let tree = &account.tree;
    if !(1..=100).contains(&arg.limit) {
        return Err(Refusal::BadInput("limit: expected a number between 1 and 100".to_owned()));
    }
    let failed = |error| route(nest("path", error));
    let key = lower(&view.read(tree, &arg.path).map_err(failed)?);
    if tree.get(&key).is_some_and(|node| node.file.is_none()) {
        return Err(failed(tag("not_file")));
    }
    let latest = tree.revisions(&key).last().ok_or_else(|| failed(tag("not_found")))?;
    let by_id = arg.mode.as_str().or_else(|| arg.mode[".tag"].as_str()) == Some("id");
    let mut all: Vec<(String, Node)> = if by_id {
        tree.revisions_of(&latest.id)
    } else {
        tree.revisions(&key).iter().map(|node| (key.clone(), node.clone())).collect()
    };
    if let Some(before) = &arg.before_rev {
        if by_id {
            return Err(route(tag("before_rev_not_supported")));
        }
        let at = all.iter().position(|(_, node)| rev(node) == before);
        all.truncate(at.ok_or_else(|| route(tag("invalid_before_rev")))?);
    }
    all.reverse();
    let has_more = all.len() > arg.limit;
    all.truncate(arg.limit);
    let is_there = tree.get(&key).is_some_and(|node| node.id == latest.id);
    let entries = all.iter().map(|(key, node)| untagged(view, tree, key, node));
    Ok(json!({
        "is_deleted": !is_there, "has_more": has_more, "entries": entries.collect::<Vec<_>>(),
    }))
}

/// Where only a file can be answered, the struct has no tag.
fn untagged(view: &View, tree: &Tree, key: &str, node: &Node) -> Value {
    let mut metadata = view.shown(Tree::told(key, &tree.shown(key), node));
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove(".tag");
    }
    metadata
}

/// `restore`: puts a revision of a path there again, whatever stands there; a `RestoreError` if
/// that can't be.
pub fn restore(account: &mut Account, view: &View, arg: &Restore) -> Result<Value, Value> {
    let tree = &mut account.tree;
    let path = view.write(tree, &arg.path).map_err(|error| nest("path_write", error))?;
    let key = lower(&path);
    let all = tree.revisions(&key);
    if all.is_empty() {
        return Err(nest("path_lookup", tag("not_found")));
    }
    let old = all.iter().find(|node| rev(node) == arg.rev).cloned();
    let file = old.and_then(|node| node.file).ok_or_else(|| tag("invalid_revision"))?;
    if tree.get(&key).is_none_or(|node| rev(node) != arg.rev) {
        let failed = |error| nest("path_write", error);
        tree.make_parents(&path).map_err(failed)?;
        tree.put_file(&path, file.bytes, Some(file.client_modified)).map_err(failed)?;
    }
    let node = tree.get(&key).cloned().ok_or_else(|| tag("invalid_revision"))?;
    Ok(untagged(view, tree, &key, &node))
}
