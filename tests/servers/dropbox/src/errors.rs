//! How a call fails, in the words of the API.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::names::Bad;

/// Why a call wasn't answered as it was meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// 400: the call itself is wrong; the text says how.
    BadInput(String),
    /// 401: the token is no good; the tag of an `AuthError`.
    Auth(&'static str),
    /// 409: the route's own error, a union.
    Route(Value),
    /// 422: the path root is no good; a `PathRootError`.
    PathRoot(Value),
    /// 429: the reason, and the seconds to wait.
    RateLimited(&'static str, u64),
    /// 5xx, 416 or 404: no JSON.
    Status(u16, &'static str),
    /// 400 of the token route: OAuth's own error and its description.
    OAuth(&'static str, &'static str),
}

/// A member of a union without a value.
pub fn tag(name: &str) -> Value {
    json!({ ".tag": name })
}

/// A member of a union whose value is a union, or a struct with subtypes.
pub fn nest(name: &str, value: impl Into<Value>) -> Value {
    json!({ ".tag": name, name: value.into() })
}

/// A member of a union whose value is a struct: its fields stand beside the tag.
pub fn with(name: &str, fields: Value) -> Value {
    let mut all = Map::from_iter([(".tag".to_owned(), Value::from(name))]);
    if let Value::Object(fields) = fields {
        all.extend(fields.into_iter().filter(|(field, _)| field != ".tag"));
    }
    Value::Object(all)
}

/// A `WriteError`, or the like, that says what is in the way.
pub fn conflict(what: &str) -> Value {
    nest("conflict", tag(what))
}

impl From<Bad> for Value {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::Malformed => tag("malformed_path"),
            Bad::Disallowed => tag("disallowed_name"),
        }
    }
}

/// A route's error.
pub fn route(error: Value) -> Refusal {
    Refusal::Route(error)
}

/// The tags of an error on the way to its innermost one, as Dropbox sums it up.
fn summary(error: &Value) -> String {
    let mut tags = String::new();
    let mut inner = Some(error);
    while let Some(union) = inner {
        let Some(tag) = union.get(".tag").and_then(Value::as_str) else { break };
        tags.push_str(tag);
        tags.push('/');
        let nested = union.get(tag).filter(|it| it.is_object());
        inner = nested.or_else(|| union.get("reason"));
    }
    tags + ".."
}

fn body(status: StatusCode, error: &Value) -> Response {
    let summary = summary(if error.get("reason").is_some() && error.get(".tag").is_none() {
        &error["reason"]
    } else {
        error
    });
    let text = json!({ "error_summary": summary, "error": error }).to_string();
    answer(status, "application/json", text)
}

/// An answer with the headers that every one has.
pub fn answer(status: StatusCode, kind: &'static str, text: String) -> Response {
    let id = format!("{:032x}", fastrand::u128(..));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            HeaderName::from_static("x-dropbox-request-id"),
            HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("0")),
        ),
    ];
    (status, headers, text).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::BadInput(text) => {
                answer(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", text)
            }
            Self::Auth(name) => body(StatusCode::UNAUTHORIZED, &tag(name)),
            Self::Route(error) => body(StatusCode::CONFLICT, &error),
            Self::PathRoot(error) => body(StatusCode::UNPROCESSABLE_ENTITY, &error),
            Self::RateLimited(reason, seconds) => {
                let error = json!({ "reason": tag(reason), "retry_after": seconds });
                let mut response = body(StatusCode::TOO_MANY_REQUESTS, &error);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
            Self::Status(status, text) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                answer(status, "text/plain; charset=utf-8", text.to_owned())
            }
            Self::OAuth(error, description) => {
                let text = json!({ "error": error, "error_description": description });
                answer(StatusCode::BAD_REQUEST, "application/json", text.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_summed_up_by_its_tags() {
        assert_eq!(summary(&nest("path", tag("not_found"))), "path/not_found/..");
        let failed = with("path", json!({ "reason": conflict("file"), "upload_session_id": "x" }));
        assert_eq!(summary(&failed), "path/conflict/file/..");
        let offset = with("incorrect_offset", json!({ "correct_offset": 7 }));
        assert_eq!(summary(&nest("lookup_failed", offset)), "lookup_failed/incorrect_offset/..");
    }
}
