//! Bytes that come in: whole files, and sessions.

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::Account;
use crate::commit::Commit;
use crate::errors::{Refusal, nest, route, tag, with};
use crate::hash::content_hash;
use crate::sessions::{Cursor, Failed};
use crate::view::View;

/// Most bytes of one call.
const CALL_BYTES_MAX: usize = 150 * 1024 * 1024;
/// Most entries of a batch.
const BATCH_MAX: usize = 1_000;

/// The arguments of `upload_session/start`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    #[serde(default)]
    close: bool,
    session_type: Option<Value>,
    content_hash: Option<String>,
}

/// The arguments of `upload_session/start_batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartBatch {
    session_type: Option<Value>,
    num_sessions: usize,
}

/// The arguments of `upload_session/append`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Append {
    cursor: Cursor,
    #[serde(default)]
    close: bool,
    content_hash: Option<String>,
}

/// The arguments of `upload_session/append_batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendBatch {
    entries: Vec<AppendEntry>,
    content_hash: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendEntry {
    cursor: Cursor,
    length: usize,
    #[serde(default)]
    close: bool,
}

/// The arguments of `upload_session/finish`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    cursor: Cursor,
    commit: Commit,
    content_hash: Option<String>,
}

/// The arguments of `upload_session/finish_batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishBatch {
    entries: Vec<Finish>,
}

fn check(bytes: &Bytes, hash: Option<&String>) -> Result<(), Value> {
    if bytes.len() > CALL_BYTES_MAX {
        return Err(tag("payload_too_large"));
    }
    match hash {
        Some(hash) if *hash != content_hash(bytes) => Err(tag("content_hash_mismatch")),
        _ => Ok(()),
    }
}

fn saved(
    account: &mut Account,
    view: &View,
    commit: &Commit,
    bytes: &Bytes,
) -> Result<Value, Value> {
    let path = view.write(&account.tree, &commit.path)?;
    let key = commit.save(&mut account.tree, &path, bytes)?;
    let mut metadata = account.tree.metadata(&key).map(|it| view.shown(it)).unwrap_or_default();
    if let Some(fields) = metadata.as_object_mut() {
        // The route answers a file and nothing else, so the struct has no tag.
        fields.remove(".tag");
    }
    Ok(metadata)
}

/// `upload`: a whole file.
pub fn upload(
    account: &mut Account,
    view: &View,
    arg: &Commit,
    bytes: &Bytes,
) -> Result<Value, Refusal> {
    arg.check()?;
    check(bytes, arg.content_hash.as_ref()).map_err(route)?;
    saved(account, view, arg, bytes).map_err(|reason| {
        // What was sent is not lost: it may be committed elsewhere.
        let id = account.sessions.start(None, bytes, false).unwrap_or_default();
        route(with("path", json!({ "reason": reason, "upload_session_id": id })))
    })
}

/// `upload_session/start`.
pub fn start(account: &mut Account, arg: &Start, bytes: &Bytes) -> Result<Value, Refusal> {
    check(bytes, arg.content_hash.as_ref()).map_err(route)?;
    let started = account.sessions.start(arg.session_type.as_ref(), bytes, arg.close);
    Ok(json!({ "session_id": started.map_err(route)? }))
}

/// `upload_session/start_batch`.
pub fn start_batch(account: &mut Account, arg: &StartBatch) -> Result<Value, Refusal> {
    if !(1..=BATCH_MAX).contains(&arg.num_sessions) {
        let text = "num_sessions: expected a number between 1 and 1000";
        return Err(Refusal::BadInput(text.to_owned()));
    }
    let start =
        |_| account.sessions.start(arg.session_type.as_ref(), &Bytes::new(), false).map_err(route);
    let ids: Vec<String> = (0..arg.num_sessions).map(start).collect::<Result<_, _>>()?;
    Ok(json!({ "session_ids": ids }))
}

/// `upload_session/append`.
pub fn append(account: &mut Account, arg: &Append, bytes: &Bytes) -> Result<Value, Refusal> {
    check(bytes, arg.content_hash.as_ref()).map_err(route)?;
    account.sessions.append(&arg.cursor, bytes, arg.close).map_err(route)?;
    Ok(Value::Null)
}

/// `upload_session/append_batch`.
pub fn append_batch(
    account: &mut Account,
    arg: &AppendBatch,
    bytes: &Bytes,
) -> Result<Value, Refusal> {
    check(bytes, arg.content_hash.as_ref()).map_err(route)?;
    if arg.entries.len() > BATCH_MAX {
        return Err(Refusal::BadInput("entries: at most 1000".to_owned()));
    }
    if arg.entries.iter().map(|entry| entry.length).sum::<usize>() != bytes.len() {
        return Err(route(tag("length_mismatch")));
    }
    let mut rest = bytes.clone();
    let mut entries = Vec::new();
    for entry in &arg.entries {
        let part = rest.split_to(entry.length);
        entries.push(match account.sessions.append(&entry.cursor, &part, entry.close) {
            Ok(()) => tag("success"),
            Err(error) => nest("failure", error),
        });
    }
    Ok(json!({ "entries": entries }))
}

fn finished(
    account: &mut Account,
    view: &View,
    arg: &Finish,
    bytes: &Bytes,
    closed: bool,
) -> Result<Value, Value> {
    let whole =
        account.sessions.finish(&arg.cursor, bytes, closed).map_err(|failed| match failed {
            Failed::Lookup(error) => nest("lookup_failed", error),
            Failed::Finish(error) => error,
        })?;
    let saved = saved(account, view, &arg.commit, &whole).map_err(|error| nest("path", error))?;
    account.sessions.forget(&arg.cursor.session_id);
    Ok(saved)
}

/// `upload_session/finish`.
pub fn finish(
    account: &mut Account,
    view: &View,
    arg: &Finish,
    bytes: &Bytes,
) -> Result<Value, Refusal> {
    arg.commit.check()?;
    check(bytes, arg.content_hash.as_ref()).map_err(route)?;
    finished(account, view, arg, bytes, false).map_err(route)
}

/// `upload_session/finish_batch`: each for itself.
pub fn finish_batch(
    account: &mut Account,
    view: &View,
    arg: &FinishBatch,
) -> Result<Value, Refusal> {
    if arg.entries.len() > BATCH_MAX {
        return Err(Refusal::BadInput("entries: at most 1000".to_owned()));
    }
    arg.entries.iter().try_for_each(|entry| entry.commit.check())?;
    let mut entries = Vec::new();
    for entry in &arg.entries {
        if account.faults.is_busy() {
            entries.push(nest("failure", tag("too_many_write_operations")));
            continue;
        }
        entries.push(match finished(account, view, entry, &Bytes::new(), true) {
            Ok(metadata) => with("success", metadata),
            Err(error) => nest("failure", error),
        });
    }
    Ok(json!({ "entries": entries }))
}
