//! What stands between opendal and the network: an HTTP client that lets nothing be overwritten.
//!
//! opendal renames over WebDAV with `Overwrite: T`, by which the server first deletes what has that
//! name, a whole directory if it is one. Here every such request becomes `Overwrite: F`: if
//! something is there, the server refuses. Three more things opendal doesn't do for WebDAV: a body
//! is sent while it is produced instead of from memory, an answer has a bound, and a status that
//! isn't understood is never taken for "nothing is there".

use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_LENGTH, HeaderValue, RANGE, RETRY_AFTER};
use http::{Request, Response};
use onitu_plug::{Bytes, Fault};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use tokio::sync::mpsc;

use crate::fault::{Refusal, refusal, unavailable};

const CONNECT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that opendal reads into memory as a whole: some hundred thousand names.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The HTTP client.
pub(crate) struct Fence(reqwest::Client);

/// A body that is sent while it is produced.
pub(crate) struct Upload {
    /// Its length, told beforehand: a body that ends early is no body.
    pub(crate) size: u64,
    /// Its bytes.
    pub(crate) pieces: mpsc::Receiver<Bytes>,
}

tokio::task_local! {
    /// The body of the one `PUT` that this task is to make.
    pub(crate) static BODY: Mutex<Option<Upload>>;
}

impl std::error::Error for Refusal {}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What the fence said of a failure.
pub(crate) fn said(error: &Error) -> Option<Refusal> {
    error.source()?.downcast_ref::<Refusal>().cloned()
}

fn refused(refusal: Refusal) -> Error {
    // opendal itself looks at this one only.
    let kind = match refusal {
        Refusal::Missing => ErrorKind::NotFound,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, "refused").set_source(refusal)
}

fn lost(error: &reqwest::Error) -> Error {
    let mut text = "no answer".to_owned();
    let mut source: Option<&dyn std::error::Error> = error.source();
    while let Some(inner) = source {
        text = format!("no answer: {inner}");
        source = inner.source();
    }
    refused(Refusal::Lost(text))
}

impl Fence {
    /// A client that follows nobody elsewhere: a request for one server is not for another.
    pub(crate) fn new() -> std::result::Result<Self, Fault> {
        // Somebody else has chosen already: fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        client.map(Self).map_err(|error| unavailable(format!("no HTTP client: {error}")))
    }
}

impl HttpTransport for Fence {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let (mut parts, body) = request.into_parts();
        if matches!(parts.method.as_str(), "MOVE" | "COPY") {
            parts.headers.insert("overwrite", HeaderValue::from_static("F"));
        }
        let range = parts.headers.get(RANGE).cloned();
        let is_put = parts.method == http::Method::PUT;
        let upload = is_put.then(take_body).flatten();
        if let Some(upload) = &upload {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(upload.size));
        }
        let method = parts.method.clone();
        let url = parts.uri.to_string();
        let request = self.0.request(parts.method, url).headers(parts.headers);
        let request = match upload {
            Some(upload) => request.body(reqwest::Body::wrap_stream(pieces(upload.pieces))),
            None if body.is_empty() => request,
            None => request.body(body.to_bytes()),
        };
        let answer = request.send().await.map_err(|error| lost(&error))?;
        let status = answer.status().as_u16();
        // A directory that another one has made in this instant is as good.
        let is_there = method.as_str() == "MKCOL" && status == 405;
        if let Some(refusal) = refusal(status, wait(&answer)).filter(|_| !is_there) {
            return Err(refused(refusal));
        }
        // Else the beginning of a file would be taken for its end.
        if status == 200 && range.is_some_and(|it| !it.as_bytes().starts_with(b"bytes=0-")) {
            let text = "the server doesn't send a part of a file when asked for one".to_owned();
            return Err(refused(Refusal::Denied(text)));
        }
        let most = if method == http::Method::GET { u64::MAX } else { ANSWER_BYTES_MAX };
        Ok(told(answer, most))
    }
}

/// The answer as opendal reads it; one that is longer than `most` fails.
fn told(mut answer: reqwest::Response, most: u64) -> Response<HttpBody> {
    let length = answer.content_length();
    let headers = std::mem::take(answer.headers_mut());
    let mut response = Response::new(());
    *response.status_mut() = answer.status();
    *response.headers_mut() = headers;
    let mut count = 0;
    let body = answer.bytes_stream().map_err(|error| lost(&error)).map(move |piece| {
        let piece = piece?;
        count += piece.len() as u64;
        if count > most {
            let text = "the answer is too long: is there a directory with too many entries?";
            return Err(refused(Refusal::Denied(text.to_owned())));
        }
        Ok(Buffer::from(piece))
    });
    response.map(|()| HttpBody::new(body, length))
}

fn take_body() -> Option<Upload> {
    let taken = BODY.try_with(|body| body.lock().unwrap_or_else(PoisonError::into_inner).take());
    taken.ok().flatten()
}

fn pieces(
    pieces: mpsc::Receiver<Bytes>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((Ok(piece), pieces))
    })
}

/// For how long the server asks us to wait.
fn wait(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
