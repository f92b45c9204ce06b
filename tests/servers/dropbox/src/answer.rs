//! One request from its first header to the last byte of its answer.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::{Value, json as value};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::account::Account;
use crate::control;
use crate::errors::{Refusal, answer};
use crate::faults::Trouble;
use crate::list;
use crate::routes::{self, Call, Style};
use crate::view::View;

/// More than any call may have, so that the route itself refuses what is too much.
const BODY_BYTES_MAX: usize = 200 * 1024 * 1024;
/// The shortest and the longest that a client may wait for changes, in seconds.
const LONGPOLL_S: std::ops::RangeInclusive<u64> = 30..=480;

/// Between the last byte of an answer that breaks off and the end of its connection.
const CUT_OFF_PAUSE: Duration = Duration::from_millis(100);

/// The account behind its lock, and whoever waits for it to change.
pub struct World {
    account: Mutex<Account>,
    /// Counts what may have changed the tree.
    turns: watch::Sender<u64>,
}

impl Default for World {
    fn default() -> Self {
        Self { account: Mutex::default(), turns: watch::Sender::new(0) }
    }
}

/// The account for as long as this is held; whoever waits for changes looks again afterwards.
pub struct Held<'a> {
    account: MutexGuard<'a, Account>,
    turns: &'a watch::Sender<u64>,
}

impl std::ops::Deref for Held<'_> {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl std::ops::DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Account {
        &mut self.account
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.turns.send_modify(|turns| *turns += 1);
    }
}

impl World {
    /// The account, for one effect at a time.
    pub fn account(&self) -> Held<'_> {
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        Held { account, turns: &self.turns }
    }
}

/// Ends a write that was begun, however the call ends.
struct Writing<'a>(&'a World);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.account().faults.end_write();
    }
}

/// Answers a request; `hang_up` ends its connection at once.
pub async fn respond(world: Arc<World>, hang_up: Arc<Notify>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(name) = path.strip_prefix("/control/") {
        return control::respond(&world, name, request).await;
    }
    if path == "/oauth2/token" || path == "/oauth2/authorize" {
        return control::oauth(&world, &path, request).await;
    }
    let name = path.strip_prefix("/2/").unwrap_or_default().to_owned();
    let Some((style, writes)) = routes::style(&name) else {
        return Refusal::BadInput(format!("Unknown API function: \"{name}\"")).into_response();
    };
    let trouble = world.account().faults.next(&name);
    match &trouble {
        Some(Trouble::TooManyRequests(seconds)) => {
            return Refusal::RateLimited("too_many_requests", *seconds).into_response();
        }
        Some(Trouble::TooManyWrites(seconds)) => {
            return Refusal::RateLimited("too_many_write_operations", *seconds).into_response();
        }
        Some(Trouble::Status(status)) => {
            return Refusal::Status(*status, "it was told to fail").into_response();
        }
        Some(Trouble::Refused(error)) => return Refusal::Route(error.clone()).into_response(),
        Some(Trouble::Reset) => hung_up(&hang_up).await,
        Some(Trouble::Late(ms)) => sleep(Duration::from_millis(*ms)).await,
        Some(Trouble::LostAnswer | Trouble::CutOff(_) | Trouble::Garbled) | None => {}
    }
    let request = match trouble {
        Some(Trouble::Garbled) if style == Style::Upload => garbled_request(request).await,
        _ => request,
    };
    let done = called(&world, &name, style, writes, request).await;
    match trouble {
        Some(Trouble::LostAnswer) => hung_up(&hang_up).await,
        Some(Trouble::CutOff(bytes)) => cut_off(done, bytes).await,
        Some(Trouble::Garbled) if style == Style::Download => {
            let response = done.unwrap_or_else(IntoResponse::into_response);
            let (parts, body) = response.into_parts();
            Response::from_parts(parts, garbled(body).await)
        }
        _ => done.unwrap_or_else(IntoResponse::into_response),
    }
}

/// Every byte another one.
async fn garbled(body: Body) -> Body {
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    Body::from(bytes.iter().map(|byte| !byte).collect::<Vec<u8>>())
}

async fn garbled_request(request: Request) -> Request {
    let (parts, body) = request.into_parts();
    Request::from_parts(parts, garbled(body).await)
}

/// Ends the connection; what waits for this is dropped with it.
async fn hung_up<T>(hang_up: &Notify) -> T {
    hang_up.notify_one();
    std::future::pending().await
}

/// The beginning of an answer, and then the end of the connection.
async fn cut_off(done: Result<Response, Refusal>, bytes: usize) -> Response {
    let response = done.unwrap_or_else(IntoResponse::into_response);
    let (mut parts, body) = response.into_parts();
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let first = whole.slice(..bytes.min(whole.len()));
    // It promises what it doesn't keep.
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let pieces = futures_util::stream::iter([Some(first), None]);
    let stream = pieces.then(|piece| async {
        if piece.is_none() {
            // What was sent before is under way by then.
            sleep(CUT_OFF_PAUSE).await;
        }
        piece.ok_or_else(|| std::io::Error::other("it was told to break off"))
    });
    Response::from_parts(parts, Body::from_stream(stream))
}

async fn called(
    world: &World,
    name: &str,
    style: Style,
    writes: bool,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    check_host(&parts.headers, name, style)?;
    {
        let mut account = world.account();
        account.faults.admit()?;
        if style != Style::Longpoll {
            account.tokens.check(name, &parts.headers)?;
        }
        if writes {
            account.faults.begin_write()?;
        }
    }
    let _writing = writes.then(|| Writing(world));
    let bytes = to_bytes(body, BODY_BYTES_MAX)
        .await
        .map_err(|_| Refusal::BadInput("the body didn't arrive whole".to_owned()))?;
    let arg = argument(name, style, &parts.headers, &bytes, &parts.method)?;
    if style == Style::Longpoll {
        return longpoll(world, &arg).await.map(|it| json(&it));
    }
    let mut account = world.account();
    let view = View::of(&account, &parts.headers)?;
    let call = Call { name, view: &view, arg: &arg, bytes: &bytes };
    if style == Style::Download {
        let (metadata, bytes) = routes::download(&account, &call)?;
        return downloaded(&metadata, &bytes, &parts.headers);
    }
    routes::answer(&mut account, &call).map(|it| json(&it))
}

/// A client that names one of Dropbox's own hosts must name the right one.
fn check_host(headers: &HeaderMap, name: &str, style: Style) -> Result<(), Refusal> {
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if !host.ends_with(".dropboxapi.com") || host == routes::host(style) {
        return Ok(());
    }
    Err(Refusal::BadInput(format!(
        "Error in call to API function \"{name}\": This API function is served at {}",
        routes::host(style)
    )))
}

fn argument(
    name: &str,
    style: Style,
    headers: &HeaderMap,
    bytes: &Bytes,
    method: &Method,
) -> Result<Value, Refusal> {
    let wrong = |text: String| {
        Refusal::BadInput(format!("Error in call to API function \"{name}\": {text}"))
    };
    if *method != Method::POST && style != Style::Download {
        return Err(wrong(format!("Your request method is {method}, must be POST")));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let text = match style {
        Style::Rpc | Style::Longpoll => {
            if kind.is_some_and(|kind| kind != "application/json") {
                return Err(wrong(format!("Bad HTTP \"Content-Type\" header: {kind:?}")));
            }
            &bytes[..]
        }
        Style::Upload | Style::Download => {
            let expected = style == Style::Download || kind == Some("application/octet-stream");
            if !expected {
                return Err(wrong(format!("Bad HTTP \"Content-Type\" header: {kind:?}")));
            }
            let arg = headers.get("dropbox-api-arg");
            arg.ok_or_else(|| wrong("Must provide HTTP header \"Dropbox-API-Arg\"".to_owned()))?
                .as_bytes()
        }
    };
    if text.is_empty() || text == b"null" {
        return Ok(Value::Null);
    }
    if !text.is_ascii() && style != Style::Rpc {
        return Err(wrong("HTTP header \"Dropbox-API-Arg\": could not decode input".to_owned()));
    }
    serde_json::from_slice(text)
        .map_err(|_| wrong("request body: could not decode input as JSON".to_owned()))
}

fn json(value: &Value) -> Response {
    answer(StatusCode::OK, "application/json", value.to_string())
}

/// The text of a header may only be ASCII.
fn ascii(text: &str) -> String {
    let mut ascii = String::new();
    for letter in text.chars() {
        if letter.is_ascii() && letter != '\u{7f}' {
            ascii.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing to a String can't fail.
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

fn downloaded(metadata: &Value, bytes: &Bytes, headers: &HeaderMap) -> Result<Response, Refusal> {
    let range = headers.get(header::RANGE).and_then(|it| it.to_str().ok());
    let part = match range {
        None => None,
        Some(range) => Some(part(range, bytes.len()).ok_or(Refusal::Status(416, "no such range"))?),
    };
    let (status, body) = match &part {
        None => (StatusCode::OK, bytes.clone()),
        Some((from, to)) => (StatusCode::PARTIAL_CONTENT, bytes.slice(*from..*to)),
    };
    let mut response = (status, Body::from(body)).into_response();
    let mut set = |name: &'static str, text: String| {
        if let Ok(text) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, text);
        }
    };
    set("content-type", "application/octet-stream".to_owned());
    set("accept-ranges", "bytes".to_owned());
    set("etag", format!("W/{}", metadata["rev"]));
    set("dropbox-api-result", ascii(&metadata.to_string()));
    if let Some((from, to)) = part {
        set("content-range", format!("bytes {from}-{}/{}", to - 1, bytes.len()));
    }
    Ok(response)
}

/// The first byte and that after the last one of a range; [`None`] if it can't be satisfied.
fn part(range: &str, size: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), Ok(to)) => (from, to.saturating_add(1).min(size)),
        (Ok(from), Err(_)) if to.is_empty() => (from, size),
        (Err(_), Ok(last)) if from.is_empty() => (size.saturating_sub(last), size),
        _ => return None,
    };
    (from < to).then_some((from, to))
}

async fn longpoll(world: &World, arg: &Value) -> Result<Value, Refusal> {
    let cursor = arg.get("cursor").and_then(Value::as_str).unwrap_or_default();
    let seconds = arg.get("timeout").map_or(Some(30), Value::as_u64);
    let seconds = seconds.filter(|seconds| LONGPOLL_S.contains(seconds)).ok_or_else(|| {
        let text = "timeout: expected a number between 30 and 480";
        Refusal::BadInput(text.to_owned())
    })?;
    let mut turns = world.turns.subscribe();
    let (most, backoff) = {
        let account = world.account();
        (account.longpoll_ms_max, account.backoff_s)
    };
    let wait = Duration::from_secs(seconds).min(Duration::from_millis(most.unwrap_or(u64::MAX)));
    let end = Instant::now() + wait;
    let changes = loop {
        turns.borrow_and_update();
        if list::has_changes(&world.account.lock().unwrap_or_else(PoisonError::into_inner), cursor)?
        {
            break true;
        }
        if timeout(end.saturating_duration_since(Instant::now()), turns.changed()).await.is_err() {
            break false;
        }
    };
    let mut told = value!({ "changes": changes });
    if let Some(backoff) = backoff {
        told["backoff"] = Value::from(backoff);
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_be_open_on_either_side() {
        assert_eq!(part("bytes=2-4", 10), Some((2, 5)));
        assert_eq!(part("bytes=2-", 10), Some((2, 10)));
        assert_eq!(part("bytes=-3", 10), Some((7, 10)));
        assert_eq!(part("bytes=8-99", 10), Some((8, 10)));
        assert_eq!(part("bytes=10-", 10), None);
    }

    #[test]
    fn a_header_is_ascii() {
        assert_eq!(ascii("é🦀\u{7f}"), "\\u00e9\\ud83e\\udd80\\u007f");
    }
}
