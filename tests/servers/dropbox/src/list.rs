//! Listing folders, and cursors: a listing in pages that goes on as a journal of changes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::Account;
use crate::errors::{Refusal, nest, route, tag};
use crate::hash::hex;
use crate::names::{is_within, lower, parent};
use crate::view::View;

/// Entries of a page if nobody asks for another number.
const PAGE: usize = 500;
/// Changes that are gone through for one page.
const CHANGES: usize = 500;

/// The arguments of `list_folder`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "the API has them")]
pub struct List {
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default, rename = "include_media_info")]
    _media: bool,
    #[serde(default)]
    include_deleted: bool,
    #[serde(default, rename = "include_has_explicit_shared_members")]
    _members: bool,
    #[serde(default = "yes", rename = "include_mounted_folders")]
    _mounted: bool,
    limit: Option<usize>,
    #[serde(default = "yes", rename = "include_non_downloadable_files")]
    _odd: bool,
    #[serde(default, rename = "include_restorable_info")]
    _restorable: bool,
}

fn yes() -> bool {
    true
}

/// What a cursor says, sealed against nobody but accidents.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    epoch: u32,
    above: String,
    recursive: bool,
    deleted: bool,
    limit: usize,
    /// After which key the listing goes on; it is complete if nothing is given.
    after: Option<String>,
    /// How many changes are known.
    seen: usize,
}

impl Cursor {
    fn text(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("AAF{}", hex(&json))
    }

    fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("AAF")?;
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        serde_json::from_slice(&bytes?).ok()
    }

    fn is_about(&self, key: &str) -> bool {
        if self.recursive {
            return is_within(key, &self.above) && !key.is_empty();
        }
        parent(key) == Some(self.above.as_str())
    }
}

fn begin(account: &Account, view: &View, list: &List) -> Result<Cursor, Refusal> {
    let path = view.read(&account.tree, &list.path).map_err(|it| route(nest("path", it)))?;
    if !account.tree.is_folder(&path) {
        let found = account.tree.get(&path).is_some();
        let what = if found { "not_folder" } else { "not_found" };
        return Err(route(nest("path", tag(what))));
    }
    if list.limit.is_some_and(|limit| !(1..=2_000).contains(&limit)) {
        let text = "limit: expected a number between 1 and 2000";
        return Err(Refusal::BadInput(text.to_owned()));
    }
    Ok(Cursor {
        epoch: account.epoch,
        above: lower(&path),
        recursive: list.recursive,
        deleted: list.include_deleted,
        limit: list.limit.unwrap_or(PAGE),
        after: Some(String::new()),
        seen: account.tree.changes(),
    })
}

/// The first page.
pub fn list(account: &Account, view: &View, list: &List) -> Result<Value, Refusal> {
    Ok(page(account, view, begin(account, view, list)?))
}

/// A cursor after everything that is there now.
pub fn latest(account: &Account, view: &View, list: &List) -> Result<Value, Refusal> {
    let cursor = Cursor { after: None, ..begin(account, view, list)? };
    Ok(json!({ "cursor": cursor.text() }))
}

fn read(account: &Account, text: &str, name: &str) -> Result<Cursor, Refusal> {
    let cursor = Cursor::read(text).ok_or_else(|| {
        Refusal::BadInput(format!(
            "Error in call to API function \"files/{name}\": cursor: is no cursor of this server"
        ))
    })?;
    if cursor.epoch == account.epoch { Ok(cursor) } else { Err(route(tag("reset"))) }
}

/// The next page of a listing, or what changed since it was complete.
pub fn go_on(account: &Account, view: &View, cursor: &str) -> Result<Value, Refusal> {
    Ok(page(account, view, read(account, cursor, "list_folder/continue")?))
}

/// Whether something changed that a cursor doesn't know.
pub fn has_changes(account: &Account, cursor: &str) -> Result<bool, Refusal> {
    let cursor = read(account, cursor, "list_folder/longpoll")?;
    let (keys, _) = account.tree.changed_after(cursor.seen, usize::MAX);
    Ok(cursor.after.is_some() || keys.iter().any(|key| cursor.is_about(key)))
}

fn page(account: &Account, view: &View, mut cursor: Cursor) -> Value {
    let tree = &account.tree;
    let mut keys: Vec<String> = Vec::new();
    let has_more;
    if let Some(after) = cursor.after.take() {
        // A listing of everything below a folder begins with the folder itself.
        if after.is_empty() && cursor.recursive && !cursor.above.is_empty() {
            keys.push(cursor.above.clone());
        }
        let mut below = tree.below(&cursor.above, &after, cursor.recursive);
        keys.extend(below.by_ref().take(cursor.limit).cloned());
        has_more = below.next().is_some();
        if cursor.deleted && !has_more {
            // In whatever order: the API promises none.
            keys.extend(tree.gone_below(&cursor.above, cursor.recursive).cloned());
        }
        if has_more {
            cursor.after = keys.last().cloned();
        }
    } else {
        let (changed, reached) = tree.changed_after(cursor.seen, CHANGES);
        keys.extend(changed.into_iter().filter(|key| cursor.is_about(key)));
        cursor.seen = reached;
        has_more = reached < tree.changes();
    }
    let entries = keys.iter().filter_map(|key| tree.metadata(key)).map(|it| view.shown(it));
    let entries: Vec<Value> = entries.collect();
    json!({ "entries": entries, "cursor": cursor.text(), "has_more": has_more })
}
