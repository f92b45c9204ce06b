//! Changing names: folders, deletions, moves and copies, alone and in batches.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::Account;
use crate::commit::free;
use crate::errors::{conflict, nest, tag, with};
use crate::names::{self, is_within, lower};
use crate::view::View;

/// The arguments of `create_folder`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    path: String,
    #[serde(default)]
    autorename: bool,
}

/// The arguments of `create_folder_batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateBatch {
    paths: Vec<String>,
    #[serde(default)]
    autorename: bool,
    #[serde(default, rename = "force_async")]
    _force_async: bool,
}

/// The arguments of `delete`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    path: String,
    parent_rev: Option<String>,
}

/// The arguments of `delete_batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteBatch {
    entries: Vec<Delete>,
}

/// The arguments of `move` and `copy`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relocate {
    from_path: String,
    to_path: String,
    #[serde(default)]
    autorename: bool,
    #[serde(default, rename = "allow_shared_folder")]
    _shared: bool,
    #[serde(default, rename = "allow_ownership_transfer")]
    _transfer: bool,
}

/// The arguments of `move_batch` and `copy_batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelocateBatch {
    entries: Vec<RelocationPath>,
    #[serde(default)]
    autorename: bool,
    #[serde(default, rename = "allow_ownership_transfer")]
    _transfer: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RelocationPath {
    from_path: String,
    to_path: String,
}

fn told(account: &Account, view: &View, key: &str) -> Value {
    account.tree.metadata(key).map_or(Value::Null, |it| view.shown(it))
}

/// Makes a folder; a `CreateFolderError` if that can't be.
pub fn create(account: &mut Account, view: &View, arg: &Create) -> Result<Value, Value> {
    let tree = &mut account.tree;
    let failed = |error| nest("path", error);
    let mut path = view.write(tree, &arg.path).map_err(failed)?;
    if let Some(node) = tree.get(&path) {
        if !arg.autorename {
            let what = if node.file.is_some() { "file" } else { "folder" };
            return Err(failed(conflict(what)));
        }
        path = free(tree, &path, false).map_err(failed)?;
    }
    tree.make_parents(&path).map_err(failed)?;
    let key = tree.make_folder(&path);
    let mut metadata = told(account, view, &key);
    if let Some(fields) = metadata.as_object_mut() {
        // The route answers a folder and nothing else, so the struct has no tag.
        fields.remove(".tag");
    }
    Ok(json!({ "metadata": metadata }))
}

/// Makes folders, each for itself.
pub fn create_batch(account: &mut Account, view: &View, arg: &CreateBatch) -> Value {
    let entries = arg.paths.iter().map(|path| {
        let arg = Create { path: path.clone(), autorename: arg.autorename };
        match create(account, view, &arg) {
            Ok(made) => with("success", made),
            Err(error) => nest("failure", error),
        }
    });
    let complete = with("complete", json!({ "entries": entries.collect::<Vec<_>>() }));
    account.launched(complete)
}

/// Deletes what stands there, with all below; a `DeleteError` if that can't be.
pub fn delete(account: &mut Account, view: &View, arg: &Delete) -> Result<Value, Value> {
    let tree = &mut account.tree;
    let path = view.read(tree, &arg.path).map_err(|error| nest("path_lookup", error))?;
    let Some(node) = tree.get(&path) else {
        return Err(nest("path_lookup", tag("not_found")));
    };
    if let Some(rev) = &arg.parent_rev {
        let in_the_way = match &node.file {
            None => Some("folder"),
            Some(file) => (file.rev != *rev).then_some("file"),
        };
        if let Some(what) = in_the_way {
            return Err(nest("path_write", conflict(what)));
        }
    }
    let metadata = tree.delete(&lower(&path)).unwrap_or_default();
    Ok(json!({ "metadata": view.shown(metadata) }))
}

/// Deletes, each for itself.
pub fn delete_batch(account: &mut Account, view: &View, arg: &DeleteBatch) -> Value {
    let entries = arg.entries.iter().map(|arg| match delete(account, view, arg) {
        Ok(deleted) => with("success", deleted),
        Err(error) => nest("failure", error),
    });
    let complete = with("complete", json!({ "entries": entries.collect::<Vec<_>>() }));
    account.launched(complete)
}

/// Moves or copies; a `RelocationError` if that can't be.
pub fn relocate(
    account: &mut Account,
    view: &View,
    arg: &Relocate,
    moves: bool,
) -> Result<Value, Value> {
    let tree = &mut account.tree;
    let from = view.read(tree, &arg.from_path).map_err(|error| nest("from_lookup", error))?;
    let from = lower(&from);
    if tree.get(&from).is_none() {
        return Err(nest("from_lookup", tag("not_found")));
    }
    let failed = |error| nest("to", error);
    let mut to = view.write(tree, &arg.to_path).map_err(failed)?;
    if lower(&to) == from {
        return Err(tag("duplicated_or_nested_paths"));
    }
    if is_within(&lower(&to), &from) {
        return Err(tag("cant_move_folder_into_itself"));
    }
    if let Some(node) = tree.get(&to) {
        if !arg.autorename {
            let what = if node.file.is_some() { "file" } else { "folder" };
            return Err(failed(conflict(what)));
        }
        to = free(tree, &to, false).map_err(failed)?;
    }
    let copied = if moves { 0 } else { tree.get(&from).map_or(0, size) };
    if tree.capacity.is_some_and(|capacity| tree.used() + copied > capacity) && !moves {
        return Err(tag("insufficient_quota"));
    }
    tree.make_parents(&to).map_err(failed)?;
    let key = tree.relocate(&from, &to, moves);
    Ok(json!({ "metadata": told(account, view, &key) }))
}

fn size(node: &crate::tree::Node) -> u64 {
    node.file.as_ref().map_or(0, |file| file.bytes.len() as u64)
}

/// Moves or copies, each for itself.
pub fn relocate_batch(
    account: &mut Account,
    view: &View,
    arg: &RelocateBatch,
    moves: bool,
) -> Value {
    let mut entries = Vec::new();
    for entry in &arg.entries {
        let arg = Relocate {
            from_path: entry.from_path.clone(),
            to_path: entry.to_path.clone(),
            autorename: arg.autorename,
            _shared: false,
            _transfer: false,
        };
        entries.push(match relocate(account, view, &arg, moves) {
            Ok(mut done) => nest("success", done["metadata"].take()),
            Err(error) => nest("failure", nest("relocation_error", error)),
        });
    }
    account.launched(with("complete", json!({ "entries": entries })))
}

/// A user's edit that asks nobody: writes a file, whatever stands there.
pub fn write_as_user(account: &mut Account, path: &str, bytes: &[u8]) -> Result<(), Value> {
    let path = names::composed(path);
    names::check(&path)?;
    account.tree.make_parents(&path)?;
    if account.tree.get(&path).is_some_and(|node| node.file.is_none()) {
        return Err(conflict("folder"));
    }
    account.tree.put_file(&path, bytes.to_vec().into(), None).map(drop)
}
