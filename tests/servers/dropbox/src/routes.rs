//! The routes: what each takes, where it is served, and which room answers it.

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::account::Account;
use crate::errors::{Refusal, nest, route, tag};
use crate::tree::Tree;
use crate::view::View;
use crate::{change, list, revisions, upload};

/// How a route takes its arguments and tells its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Both in the body.
    Rpc,
    /// Arguments in a header, bytes in the body.
    Upload,
    /// Arguments and result in headers, bytes in the answer's body.
    Download,
    /// As `Rpc`, but without a token, and answered when something happens.
    Longpoll,
}

/// All that may be called: its name, its style, and whether it changes anything.
const ROUTES: [(&str, Style, bool); 31] = [
    ("check/user", Style::Rpc, false),
    ("users/get_current_account", Style::Rpc, false),
    ("users/get_space_usage", Style::Rpc, false),
    ("files/list_folder", Style::Rpc, false),
    ("files/list_folder/continue", Style::Rpc, false),
    ("files/list_folder/get_latest_cursor", Style::Rpc, false),
    ("files/list_folder/longpoll", Style::Longpoll, false),
    ("files/get_metadata", Style::Rpc, false),
    ("files/download", Style::Download, false),
    ("files/list_revisions", Style::Rpc, false),
    ("files/restore", Style::Rpc, true),
    ("files/upload", Style::Upload, true),
    ("files/upload_session/start", Style::Upload, false),
    ("files/upload_session/start_batch", Style::Rpc, false),
    ("files/upload_session/append_v2", Style::Upload, false),
    ("files/upload_session/append_batch", Style::Upload, false),
    ("files/upload_session/finish", Style::Upload, true),
    ("files/upload_session/finish_batch_v2", Style::Rpc, true),
    ("files/create_folder_v2", Style::Rpc, true),
    ("files/create_folder_batch", Style::Rpc, true),
    ("files/create_folder_batch/check", Style::Rpc, false),
    ("files/delete_v2", Style::Rpc, true),
    ("files/delete_batch", Style::Rpc, true),
    ("files/delete_batch/check", Style::Rpc, false),
    ("files/move_v2", Style::Rpc, true),
    ("files/move_batch_v2", Style::Rpc, true),
    ("files/move_batch/check_v2", Style::Rpc, false),
    ("files/copy_v2", Style::Rpc, true),
    ("files/copy_batch_v2", Style::Rpc, true),
    ("files/copy_batch/check_v2", Style::Rpc, false),
    ("auth/token/revoke", Style::Rpc, false),
];

/// The style of a route and whether it changes anything; [`None`] if there is no such.
pub fn style(name: &str) -> Option<(Style, bool)> {
    ROUTES.iter().find(|it| it.0 == name).map(|it| (it.1, it.2))
}

/// The host on which routes of a style are served.
pub fn host(style: Style) -> &'static str {
    match style {
        Style::Longpoll => "notify.dropboxapi.com",
        Style::Upload | Style::Download => "content.dropboxapi.com",
        Style::Rpc => "api.dropboxapi.com",
    }
}

/// One call on its way.
pub struct Call<'a> {
    /// The route.
    pub name: &'a str,
    /// The caller's view of paths.
    pub view: &'a View,
    /// The arguments as they came.
    pub arg: &'a Value,
    /// The bytes beside them.
    pub bytes: &'a Bytes,
}

/// The arguments of a route, or how they are wrong.
pub fn read<T: DeserializeOwned>(name: &str, arg: &Value) -> Result<T, Refusal> {
    serde_json::from_value(arg.clone()).map_err(|error| {
        let text = format!("Error in call to API function \"{name}\": request body: {error}");
        Refusal::BadInput(text)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetMetadata {
    path: String,
    #[serde(default, rename = "include_media_info")]
    _media: bool,
    #[serde(default)]
    include_deleted: bool,
    #[serde(default, rename = "include_has_explicit_shared_members")]
    _members: bool,
}

#[derive(Deserialize)]
struct Continue {
    cursor: String,
}

#[derive(Deserialize)]
struct Poll {
    async_job_id: String,
}

#[derive(Deserialize)]
struct Echo {
    #[serde(default)]
    query: String,
}

/// Refuses text that can't be a path argument at all, as the service does before it looks.
fn check_paths(call: &Call<'_>) -> Result<(), Refusal> {
    let is_reading =
        matches!(call.name, "files/list_folder" | "files/list_folder/get_latest_cursor");
    for field in ["path", "from_path", "to_path"] {
        let Some(path) = call.arg.get(field).and_then(Value::as_str) else { continue };
        let is_path = path.starts_with('/')
            || path.starts_with("id:")
            || path.starts_with("rev:")
            || (path.is_empty() && is_reading);
        if !is_path {
            return Err(Refusal::BadInput(format!(
                "Error in call to API function \"{}\": request body: {field}: '{path}' did not \
                 match pattern '(/(.|[\\r\\n])*)|(ns:[0-9]+(/.*)?)|(id:.*)'",
                call.name
            )));
        }
        if path == "/" && is_reading {
            return Err(Refusal::BadInput(format!(
                "Error in call to API function \"{}\": request body: path: Specify the root \
                 folder as an empty string rather than as \"/\".",
                call.name
            )));
        }
    }
    Ok(())
}

/// Answers a call of any style but downloads and long polls.
pub fn answer(account: &mut Account, call: &Call<'_>) -> Result<Value, Refusal> {
    check_paths(call)?;
    let (name, view, arg) = (call.name, call.view, call.arg);
    match name {
        "check/user" => Ok(json!({ "result": read::<Echo>(name, arg)?.query })),
        "users/get_current_account" => Ok(account.full()),
        "users/get_space_usage" => Ok(account.space()),
        "auth/token/revoke" => {
            account.tokens.revoke();
            Ok(Value::Null)
        }
        "files/list_folder" => list::list(account, view, &read(name, arg)?),
        "files/list_folder/continue" => {
            list::go_on(account, view, &read::<Continue>(name, arg)?.cursor)
        }
        "files/list_folder/get_latest_cursor" => list::latest(account, view, &read(name, arg)?),
        "files/get_metadata" => metadata(account, view, &read(name, arg)?),
        "files/list_revisions" => revisions::list(account, view, &read(name, arg)?),
        "files/restore" => revisions::restore(account, view, &read(name, arg)?).map_err(route),
        "files/create_folder_v2" => change::create(account, view, &read(name, arg)?).map_err(route),
        "files/create_folder_batch" => Ok(change::create_batch(account, view, &read(name, arg)?)),
        "files/delete_v2" => change::delete(account, view, &read(name, arg)?).map_err(route),
        "files/delete_batch" => Ok(change::delete_batch(account, view, &read(name, arg)?)),
        "files/move_v2" => change::relocate(account, view, &read(name, arg)?, true).map_err(route),
        "files/copy_v2" => change::relocate(account, view, &read(name, arg)?, false).map_err(route),
        "files/move_batch_v2" => Ok(change::relocate_batch(account, view, &read(name, arg)?, true)),
        "files/copy_batch_v2" => {
            Ok(change::relocate_batch(account, view, &read(name, arg)?, false))
        }
        _ if name.contains("/check") => {
            let job = account.job(&read::<Poll>(name, arg)?.async_job_id);
            job.ok_or_else(|| route(tag("invalid_async_job_id")))
        }
        _ => uploaded(account, call),
    }
}

fn uploaded(account: &mut Account, call: &Call<'_>) -> Result<Value, Refusal> {
    let (name, view, arg, bytes) = (call.name, call.view, call.arg, call.bytes);
    match name {
        "files/upload" => upload::upload(account, view, &read(name, arg)?, bytes),
        "files/upload_session/start" => upload::start(account, &read(name, arg)?, bytes),
        "files/upload_session/start_batch" => upload::start_batch(account, &read(name, arg)?),
        "files/upload_session/append_v2" => upload::append(account, &read(name, arg)?, bytes),
        "files/upload_session/append_batch" => {
            upload::append_batch(account, &read(name, arg)?, bytes)
        }
        "files/upload_session/finish" => upload::finish(account, view, &read(name, arg)?, bytes),
        "files/upload_session/finish_batch_v2" => {
            upload::finish_batch(account, view, &read(name, arg)?)
        }
        _ => Err(Refusal::Status(404, "no such route")),
    }
}

fn metadata(account: &Account, view: &View, arg: &GetMetadata) -> Result<Value, Refusal> {
    let failed = |error| route(nest("path", error));
    let path = view.read(&account.tree, &arg.path).map_err(failed)?;
    let found = account.tree.metadata(&crate::names::lower(&path));
    let found = found.filter(|it| arg.include_deleted || it[".tag"] != "deleted");
    found.map(|it| view.shown(it)).ok_or_else(|| failed(tag("not_found")))
}

/// What a download answers: its metadata and all bytes.
pub fn download(account: &Account, call: &Call<'_>) -> Result<(Value, Bytes), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Download {
        path: String,
        #[serde(rename = "rev")]
        _rev: Option<String>,
    }
    check_paths(call)?;
    let failed = |error| route(nest("path", error));
    let arg: Download = read(call.name, call.arg)?;
    let tree = &account.tree;
    let path = call.view.read(tree, &arg.path).map_err(failed)?;
    let key = crate::names::lower(&path);
    let old = arg.path.strip_prefix("rev:").and_then(|rev| tree.revision(rev));
    let node = old.map(|(_, node)| node).or_else(|| tree.get(&path));
    let node = node.ok_or_else(|| failed(tag("not_found")))?;
    let file = node.file.as_ref().ok_or_else(|| failed(tag("not_file")))?;
    let mut metadata = call.view.shown(Tree::told(&key, &tree.shown(&key), node));
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove(".tag");
    }
    Ok((metadata, file.bytes.clone()))
}
