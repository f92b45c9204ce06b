//! What no real service has: routes by which a test plays the user and lets things go wrong. And
//! the pages of OAuth, where the user always agrees.

use std::collections::BTreeMap;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::World;
use crate::change;
use crate::errors::{Refusal, answer};
use crate::faults::Fault;
use crate::names::lower;

/// More than any of these calls has.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What a test asks for. Everything that isn't given stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Wish {
    /// The next calls fail.
    Fault(Fault),
    /// Every access token has expired.
    Expire,
    /// The user takes back what was allowed.
    Revoke,
    /// Every cursor is invalid.
    Reset,
    /// Upload sessions are forgotten.
    ForgetSessions,
    /// Most bytes of all files.
    Capacity(Option<u64>),
    /// Whether the user is member of a team.
    Team(bool),
    /// How often jobs are in progress.
    JobPolls(Option<u32>),
    /// Most writes at the same time, and the seconds that others are told to wait.
    Writes(Option<usize>, u64),
    /// So many of the next entries of `finish_batch` are told that there are too many writes.
    BusyEntries(u32),
    /// What was replaced or deleted can't be had back any more.
    ForgetRevisions,
    /// Most calls in a second.
    Calls(Option<usize>),
    /// The longest wait for changes, in milliseconds, and the backoff in seconds.
    Longpoll(Option<u64>, Option<u64>),
    /// The user saves a file.
    Write(String, String),
    /// The user deletes something.
    Remove(String),
}

fn grant(world: &World, wish: Wish) -> Result<(), Value> {
    let mut account = world.account();
    match wish {
        Wish::Fault(fault) => account.faults.add(fault),
        Wish::Expire => account.tokens.expire(),
        Wish::Revoke => account.tokens.revoke(),
        Wish::Reset => account.epoch += 1,
        Wish::ForgetSessions => account.sessions.expire(),
        Wish::Capacity(bytes) => account.tree.capacity = bytes,
        Wish::Team(has_team) => account.has_team = has_team,
        Wish::JobPolls(polls) => account.job_polls = polls,
        Wish::Writes(most, pause_s) => {
            account.faults.writes_max = most;
            account.faults.writes_pause_s = pause_s;
        }
        Wish::BusyEntries(count) => account.faults.busy_entries = count,
        Wish::ForgetRevisions => account.tree.forget_revisions(),
        Wish::Calls(most) => account.faults.calls_max = most,
        Wish::Longpoll(most_ms, backoff_s) => {
            account.longpoll_ms_max = most_ms;
            account.backoff_s = backoff_s;
        }
        Wish::Write(path, text) => {
            return change::write_as_user(&mut account, &path, text.as_bytes());
        }
        Wish::Remove(path) => drop(account.tree.delete(&lower(&path))),
    }
    Ok(())
}

/// Answers `/control/wish` with a list of wishes, and `/control/seen` with what was called.
pub(crate) async fn respond(world: &World, name: &str, request: Request) -> Response {
    let bytes = to_bytes(request.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
    let told = match name {
        "seen" => {
            let account = world.account();
            json!({ "calls": account.faults.calls, "sessions": account.sessions.len() })
        }
        "wish" => {
            let wishes: Result<Vec<Wish>, _> = serde_json::from_slice(&bytes);
            let granted = match wishes {
                Ok(wishes) => wishes.into_iter().try_for_each(|wish| grant(world, wish)),
                Err(error) => return Refusal::BadInput(error.to_string()).into_response(),
            };
            if let Err(error) = granted {
                return Refusal::Route(error).into_response();
            }
            Value::Null
        }
        _ => return Refusal::Status(404, "no such wish").into_response(),
    };
    answer(StatusCode::OK, "application/json", told.to_string())
}

/// Answers the token route, and the page on which the user agrees: with the code as text.
pub(crate) async fn oauth(world: &World, path: &str, request: Request) -> Response {
    let query = pairs(request.uri().query().unwrap_or_default());
    let bytes = to_bytes(request.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
    let mut account = world.account();
    if path == "/oauth2/authorize" {
        return match account.tokens.allow(&query) {
            Ok(code) => answer(StatusCode::OK, "text/plain; charset=utf-8", code),
            Err(refusal) => refusal.into_response(),
        };
    }
    let form = pairs(&String::from_utf8_lossy(&bytes));
    account.faults.calls.push("oauth2/token".to_owned());
    match account.tokens.grant(&form) {
        Ok(granted) => answer(StatusCode::OK, "application/json", granted.to_string()),
        Err(refusal) => refusal.into_response(),
    }
}

/// The names and values of a form.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}

fn plain(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escaped = text.get(at + 1..at + 3).and_then(|it| u8::from_str_radix(it, 16).ok());
        match (bytes[at], escaped) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 2;
            }
            (b'+', _) => plain.push(b' '),
            (byte, _) => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_with_its_escapes() {
        let form = pairs("a=b+c&d=%C3%A9%2B&e=");
        let value = |name: &str| form.get(name).map(String::as_str);
        assert_eq!((value("a"), value("d"), value("e")), (Some("b c"), Some("é+"), Some("")));
    }

    #[test]
    fn wishes_are_read_as_they_are_written_in_tests() {
        let text = r#"["expire", {"capacity": 7}, {"writes": [1, 0]},
            {"fault": {"route": "*", "times": 2, "trouble": {"too_many_requests": 1}}},
            {"fault": {"route": "*", "times": 2, "trouble": "reset"}}]"#;
        assert_eq!(serde_json::from_str::<Vec<Wish>>(text).map(|it| it.len()).ok(), Some(5));
    }
}
