//! Calls: where they go, with which token, how long they may take, and which may be made again.
//!
//! When that happens is `Calls`' business: where Dropbox asks for patience, every call waits. One
//! that was refused so had no effect and is made again; one whose answer was lost only if it may
//! be. Whatever else fails is told, and the runtime tries again.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use onitu_plug::{Bytes, Calls, Fault, FaultKind};
use reqwest::{RequestBuilder, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::fault::Refusal;
use crate::options::Options;
use crate::token::Tokens;

/// Until there is a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// Between two bytes of an answer.
const SILENCE: Duration = Duration::from_secs(90);
/// How long Dropbox lets a long poll wait, and what it may add to that.
const LONGPOLL_S: u64 = 60;
const LONGPOLL_SILENCE: Duration = Duration::from_secs(LONGPOLL_S + 120);
/// The pause if Dropbox doesn't say how long.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// Most calls under way.
const CALLS_MAX: usize = 24;

/// Makes the calls of one account.
pub(crate) struct Client {
    http: reqwest::Client,
    polling: reqwest::Client,
    api: String,
    content: String,
    notify: String,
    tokens: Tokens,
    /// The value of `Dropbox-API-Path-Root`, if paths don't begin at home.
    path_root: OnceLock<String>,
    /// Held by the one write that Dropbox has at a time.
    writing: tokio::sync::Mutex<()>,
    /// All calls but long polls go through this.
    calls: Calls,
    polls: Calls,
}

/// What becomes of a call whose answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It is made again.
    Again,
    /// Whether it had its effect isn't known: that is told.
    Told,
}

/// One call's place and form.
enum Form<'a> {
    Rpc(&'a Value),
    Upload(&'a Value, Bytes),
    Download(&'a Value, u64),
}

impl Client {
    /// Makes ready to call; calls nobody.
    pub(crate) fn new(options: &Options) -> Result<Self, Fault> {
        let builder = |silence| {
            let builder = reqwest::Client::builder()
                .connect_timeout(CONNECT_LIMIT)
                .read_timeout(silence)
                .tcp_nodelay(true)
                .user_agent(concat!("onitu/", env!("CARGO_PKG_VERSION")));
            // A server for tests is reached directly.
            let builder = if options.api_base.is_some() { builder.no_proxy() } else { builder };
            builder.build().map_err(|error| {
                let text = format!("can't make ready for calls to Dropbox: {error}");
                Fault::new(FaultKind::Unavailable, text)
            })
        };
        let host = |name: &str| match &options.api_base {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None => format!("https://{name}.dropboxapi.com"),
        };
        Ok(Self {
            http: builder(SILENCE)?,
            polling: builder(LONGPOLL_SILENCE)?,
            api: host("api"),
            content: host("content"),
            notify: host("notify"),
            tokens: Tokens::new(options.token_file.clone(), options.app_key.clone()),
            path_root: OnceLock::new(),
            writing: tokio::sync::Mutex::new(()),
            calls: Calls::new(CALLS_MAX),
            polls: Calls::new(1),
        })
    }

    /// Lets all paths begin at a namespace: `home`, `root` or an id.
    pub(crate) async fn use_namespace(&self, namespace: &str) -> Result<(), Refusal> {
        let root = match namespace {
            "home" => return Ok(()),
            "root" => {
                let account = self.ask("users/get_current_account", &Value::Null).await?;
                let id = account["root_info"]["root_namespace_id"].clone();
                json!({ ".tag": "root", "root": id })
            }
            id => json!({ ".tag": "namespace_id", "namespace_id": id }),
        };
        // Only set here, once.
        let _ = self.path_root.set(ascii(&root));
        Ok(())
    }

    /// A call that writes into the account: made once, when no other one is under way.
    pub(crate) async fn change(&self, route: &str, arg: &Value) -> Result<Value, Refusal> {
        let _held = self.writing.lock().await;
        self.call(route, arg).await
    }

    /// No other write begins until this is dropped.
    pub(crate) async fn hold_writes(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// As [`Client::change`] with bytes; [`None`] if another one is under way.
    pub(crate) async fn upload_now(
        &self,
        arg: &Value,
        bytes: &Bytes,
    ) -> Option<Result<Value, Refusal>> {
        let _held = self.writing.try_lock().ok()?;
        Some(self.upload("files/upload", arg, bytes.clone()).await)
    }

    /// A call that is made again only if Dropbox refused it for the moment.
    pub(crate) async fn call(&self, route: &str, arg: &Value) -> Result<Value, Refusal> {
        self.made(Lost::Told, || self.sent(route, arg)).await
    }

    /// A call that may be made again.
    pub(crate) async fn ask(&self, route: &str, arg: &Value) -> Result<Value, Refusal> {
        self.made(Lost::Again, || self.sent(route, arg)).await
    }

    /// Several calls that are made again together, from the beginning, if Dropbox refuses one for
    /// the moment; `again` also if an answer is lost. Made with [`Client::sent`] and
    /// [`Client::sent_with`]: they have one turn together.
    pub(crate) async fn together<T, F>(
        &self,
        again: bool,
        calls: impl Fn() -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        self.made(if again { Lost::Again } else { Lost::Told }, calls).await
    }

    /// One attempt of a call, inside of [`Client::together`].
    pub(crate) async fn sent(&self, route: &str, arg: &Value) -> Result<Value, Refusal> {
        read_json(self.send(route, &Form::Rpc(arg)).await?).await
    }

    /// One attempt of a call with bytes, inside of [`Client::together`].
    pub(crate) async fn sent_with(
        &self,
        route: &str,
        arg: &Value,
        bytes: Bytes,
    ) -> Result<Value, Refusal> {
        read_json(self.send(route, &Form::Upload(arg, bytes)).await?).await
    }

    /// A call with bytes: made again only if Dropbox refused it for the moment.
    pub(crate) async fn upload(
        &self,
        route: &str,
        arg: &Value,
        bytes: Bytes,
    ) -> Result<Value, Refusal> {
        self.made(Lost::Told, || self.sent_with(route, arg, bytes.clone())).await
    }

    /// A call with bytes that may be made again.
    pub(crate) async fn upload_again(
        &self,
        route: &str,
        arg: &Value,
        bytes: Bytes,
    ) -> Result<Value, Refusal> {
        self.made(Lost::Again, || self.sent_with(route, arg, bytes.clone())).await
    }

    /// Begins to download a file from an offset.
    pub(crate) async fn download(&self, arg: &Value, offset: u64) -> Result<Response, Refusal> {
        let form = Form::Download(arg, offset);
        self.made(Lost::Again, || self.send("files/download", &form)).await
    }

    async fn made<T, F>(&self, lost: Lost, call: impl Fn() -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        repeated(&self.calls, lost, call).await
    }

    /// Waits for changes after a cursor: whether there are some, and how long to wait then.
    pub(crate) async fn poll(&self, cursor: &str) -> Result<(bool, Duration), Refusal> {
        let arg = json!({ "cursor": cursor, "timeout": LONGPOLL_S });
        let told = repeated(&self.polls, Lost::Again, || async {
            let url = format!("{}/2/files/list_folder/longpoll", self.notify);
            let request = self
                .polling
                .post(url)
                .header(header::CONTENT_TYPE, "application/json")
                .body(arg.to_string());
            read_json(judge(request.send().await.map_err(lost)?).await?).await
        });
        let told = told.await?;
        let backoff = told["backoff"].as_u64().unwrap_or(0);
        Ok((told["changes"].as_bool().unwrap_or(true), Duration::from_secs(backoff)))
    }

    fn request(&self, route: &str, form: &Form<'_>) -> RequestBuilder {
        let host = if matches!(form, Form::Rpc(_)) { &self.api } else { &self.content };
        let mut request = self.http.post(format!("{host}/2/{route}"));
        if let Some(root) = self.path_root.get() {
            request = request.header("Dropbox-API-Path-Root", root);
        }
        match form {
            Form::Rpc(arg) => {
                request.header(header::CONTENT_TYPE, "application/json").body(arg.to_string())
            }
            Form::Upload(arg, bytes) => request
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header("Dropbox-API-Arg", ascii(arg))
                .body(bytes.clone()),
            Form::Download(arg, offset) => {
                let request = request.header("Dropbox-API-Arg", ascii(arg));
                if *offset == 0 {
                    return request;
                }
                request.header(header::RANGE, format!("bytes={offset}-"))
            }
        }
    }

    /// Sends a call, and once more with a new token if the one in use has expired.
    async fn send(&self, route: &str, form: &Form<'_>) -> Result<Response, Refusal> {
        let mut worn = None;
        loop {
            let (token, number) =
                self.tokens.get(worn, |refresh_token| self.refresh(refresh_token)).await?;
            let request = self.request(route, form).bearer_auth(token);
            match judge(request.send().await.map_err(lost)?).await {
                Err(Refusal::Token) if worn.is_none() => worn = Some(number),
                answered => return answered,
            }
        }
    }

    /// A new access token for a refresh token.
    async fn refresh(&self, refresh_token: String) -> Result<String, Fault> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &refresh_token),
            ("client_id", self.tokens.app_key()),
        ];
        let told = self.token(&form).await;
        let told = told.map_err(|refusal| refusal.fault("refresh", "the token"))?;
        told["access_token"].as_str().map(str::to_owned).ok_or_else(crate::token::expired)
    }

    /// Asks for tokens.
    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> Result<Value, Refusal> {
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let request = self
            .http
            .post(format!("{}/oauth2/token", self.api))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.join("&"));
        let response = request.send().await.map_err(lost)?;
        if response.status() == StatusCode::BAD_REQUEST {
            return Err(Refusal::Token);
        }
        read_json(judge(response).await?).await
    }
}

/// Makes a call in its turn, and again as [`Calls`] says.
async fn repeated<T, F>(calls: &Calls, lost: Lost, call: impl Fn() -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, Refusal>>,
{
    let call = &call;
    let told = calls.run(|| async move {
        match call().await {
            Err(Refusal::Busy(wait)) => Err(Refusal::Busy(wait).fault("call", "Dropbox")),
            Err(Refusal::Lost(why)) if lost == Lost::Again => {
                Err(Fault::new(FaultKind::Unavailable, why))
            }
            told => Ok(told),
        }
    });
    told.await.unwrap_or_else(|fault| {
        Err(match fault.kind {
            FaultKind::RateLimited => {
                Refusal::Busy(fault.retry_after_ms.map_or(BUSY_PAUSE, Duration::from_millis))
            }
            _ => Refusal::Lost(fault.message),
        })
    })
}

fn lost(error: reqwest::Error) -> Refusal {
    let error = error.without_url();
    let mut text = error.to_string();
    // The innermost cause says more than that something failed.
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    Refusal::Lost(text)
}

async fn read_json(response: Response) -> Result<Value, Refusal> {
    let bytes = response.bytes().await.map_err(lost)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::Lost(format!("the answer isn't JSON: {error}")))
}

/// What an answer means by its status.
async fn judge(response: Response) -> Result<Response, Refusal> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let seconds = response.headers().get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|it| it.to_str().ok()).and_then(|it| it.parse::<u64>().ok());
    let text = response.text().await.map_err(lost)?;
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let summary = body["error_summary"].as_str().unwrap_or_default().to_owned();
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS => {
            let seconds = seconds.or_else(|| body["error"]["retry_after"].as_u64());
            Refusal::Busy(seconds.map_or(BUSY_PAUSE, Duration::from_secs))
        }
        StatusCode::UNAUTHORIZED if summary.starts_with("missing_scope") => {
            let scope = body["error"]["required_scope"].as_str().unwrap_or("all files.* scopes");
            Refusal::Fault(Fault::new(
                FaultKind::Unavailable,
                format!(
                    "the Dropbox app lacks the permission `{scope}`: give it, then get \
                         another token with `onitu auth dropbox`"
                ),
            ))
        }
        StatusCode::UNAUTHORIZED => Refusal::Token,
        StatusCode::CONFLICT => Refusal::route(summary),
        StatusCode::UNPROCESSABLE_ENTITY => Refusal::Fault(Fault::new(
            FaultKind::Unavailable,
            "Dropbox doesn't know the namespace, or you have no access to it: correct `namespace`",
        )),
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => Refusal::Wrong(text),
        status => Refusal::Lost(format!("it answered {status}")),
    })
}

/// JSON that a header can hold.
fn ascii(value: &Value) -> String {
    let mut ascii = String::new();
    for letter in value.to_string().chars() {
        if letter.is_ascii() && !letter.is_ascii_control() {
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

/// A value of a form.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_holds_any_path() {
        let arg = json!({ "path": "/é🦀\u{7f}\"\n" });
        let text = ascii(&arg);
        assert!(text.is_ascii(), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), arg);
    }

    #[test]
    fn a_form_is_escaped() {
        assert_eq!(escaped("a-b_c.~ +&=é"), "a-b_c.~%20%2B%26%3D%C3%A9");
    }
}
