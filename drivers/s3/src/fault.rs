//! The one place where a server's refusals become faults.

use std::error::Error;
use std::fmt::{Display, Write};
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use onitu_plug::{Fault, FaultKind};

/// A request that wasn't answered as hoped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Of the answer; nothing if none came.
    pub(crate) status: Option<u16>,
    /// S3's own word for it: `NoSuchKey`. Answers to `HEAD` have none.
    pub(crate) code: String,
    /// What the server, or the connection, said.
    pub(crate) message: String,
    /// How long it asked to wait.
    pub(crate) retry_after: Option<Duration>,
    /// The bucket's region, if the answer tells it.
    pub(crate) region: Option<String>,
}

/// Nobody was found in whose name to ask. A code of this driver's own.
const NO_CREDENTIALS: &str = "NoCredentials";
/// What the SDK says then, before why.
const WITHOUT: [&str; 2] =
    ["an error occurred while loading credentials", "the credential provider was not enabled"];

/// Codes for which nothing is known of any path until somebody does something.
const BROKEN: [(&str, &str); 14] = [
    (
        NO_CREDENTIALS,
        "give `access_key_id` and `secret_access_key`, or the `profile` that has them, or set \
         `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` before Onitu starts",
    ),
    ("NoSuchBucket", "create the bucket, or correct `bucket`"),
    ("InvalidBucketName", "correct `bucket`"),
    (
        "InvalidAccessKeyId",
        "correct `access_key_id`, or the environment or profile that the credentials come from",
    ),
    (
        "SignatureDoesNotMatch",
        "correct `secret_access_key`, or the environment or profile that the credentials come from",
    ),
    ("ExpiredToken", "renew the credentials: the session token is no longer valid"),
    ("InvalidToken", "renew the credentials: `session_token` isn't valid"),
    ("RequestTimeTooSkewed", "set this machine's clock: it differs from the server's"),
    ("PermanentRedirect", "correct `region` or `endpoint`"),
    ("AuthorizationHeaderMalformed", "correct `region`"),
    ("IllegalLocationConstraintException", "correct `region`"),
    ("QueueDoesNotExist", "create the queue, or correct `queue`"),
    ("AWS.SimpleQueueService.NonExistentQueue", "create the queue, or correct `queue`"),
    ("AccountProblem", "ask the provider what is wrong with the account"),
];
const FULL: [&str; 6] = [
    "QuotaExceeded",
    "InsufficientStorage",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "EntityTooLargeForQuota",
    "StorageQuotaExceeded",
];
const PATIENCE: [&str; 5] =
    ["SlowDown", "RequestLimitExceeded", "TooManyRequests", "Throttling", "ThrottlingException"];

impl Refusal {
    /// What stood there wasn't what a request needed, as the driver itself has seen.
    pub(crate) fn unmet() -> Self {
        Self {
            status: Some(412),
            code: "PreconditionFailed".to_owned(),
            message: "something else stands there".to_owned(),
            retry_after: None,
            region: None,
        }
    }

    /// It was not asked, because the server has asked for patience.
    pub(crate) fn patience(fault: &Fault) -> Self {
        Self {
            status: Some(503),
            code: "SlowDown".to_owned(),
            message: fault.message.clone(),
            retry_after: fault.retry_after_ms.map(Duration::from_millis),
            region: None,
        }
    }

    /// The same request may be answered otherwise in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        let is_trouble = self.status.is_none_or(|status| status >= 500);
        self.is_patience()
            || (is_trouble && self.kind() == FaultKind::Unavailable)
            || self.code == "RequestTimeout"
    }

    /// There is an object whose key no request can name.
    pub(crate) fn unspeakable() -> Self {
        let message = "a key of blanks can't be asked for: give the object another name";
        let code = "InvalidRequest".to_owned();
        Self { status: Some(400), code, message: message.to_owned(), ..Self::unmet() }
    }

    /// Nothing is under the key; the bucket is there, as far as that is told.
    pub(crate) fn is_missing(&self) -> bool {
        self.status == Some(404) && !matches!(self.code.as_str(), "NoSuchBucket" | "NoSuchUpload")
    }

    /// The upload is unknown: completed, aborted, or never begun.
    pub(crate) fn is_no_upload(&self) -> bool {
        self.code == "NoSuchUpload"
    }

    /// What stands there isn't what the request named as its condition.
    pub(crate) fn is_unmet(&self) -> bool {
        self.status == Some(412) || self.code == "ConditionalRequestConflict" || self.is_missing()
    }

    /// The server doesn't know such conditions.
    pub(crate) fn is_unknown_condition(&self) -> bool {
        self.status == Some(501) || self.code == "NotImplemented"
    }

    /// The server is there and asks for patience.
    pub(crate) fn is_patience(&self) -> bool {
        self.kind() == FaultKind::RateLimited
    }

    /// The content lies in an archive and has to be restored first.
    pub(crate) fn is_archived(&self) -> bool {
        matches!(self.code.as_str(), "InvalidObjectState" | "ObjectNotInActiveTierError")
    }

    /// What failed (`write`, `list`: a verb) and on what, in Onitu's words; without a name, the
    /// bucket.
    pub(crate) fn fault(&self, verb: &str, on: impl Display) -> Fault {
        // Servers speak in sentences, and more is to follow.
        let why = self.message.trim_end_matches('.');
        let on = Some(on.to_string()).filter(|name| !name.is_empty());
        let on = on.map_or_else(|| "the bucket".to_owned(), |name| format!("`{name}`"));
        let mut text = format!("can't {verb} {on}: {why}");
        if let Some(hint) = self.hint() {
            let _ = write!(text, ": {hint}");
        }
        let fault = Fault::new(self.kind(), text);
        match self.retry_after {
            Some(wait) => fault.retry_after(wait),
            None => fault,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Some(region) = &self.region {
            return Some(format!("the bucket is in `region = \"{region}\"`"));
        }
        let hint = BROKEN.iter().find(|(code, _)| *code == self.code).map(|(_, hint)| *hint);
        let hint = hint.or_else(|| match self.status {
            _ if self.is_archived() => Some("it is in an archive"),
            _ if self.kind() == FaultKind::Full => Some("free space, or raise the quota"),
            Some(403) => Some("the credentials don't allow it"),
            None => Some("is `endpoint` right, and the network up?"),
            _ => None,
        });
        hint.map(str::to_owned)
    }

    fn kind(&self) -> FaultKind {
        let code = self.code.as_str();
        if BROKEN.iter().any(|(broken, _)| *broken == code) {
            return FaultKind::Unavailable;
        }
        if FULL.contains(&code) || self.status == Some(507) {
            return FaultKind::Full;
        }
        if PATIENCE.contains(&code) || self.status == Some(429) {
            return FaultKind::RateLimited;
        }
        match self.status {
            _ if self.is_archived() => FaultKind::Denied,
            Some(503) if self.retry_after.is_some() => FaultKind::RateLimited,
            Some(404) if !self.is_no_upload() => FaultKind::NotFound,
            Some(409 | 412) => FaultKind::Changed,
            Some(401 | 403) => FaultKind::Denied,
            Some(400) if code == "KeyTooLongError" => FaultKind::InvalidName,
            Some(400) if code == "EntityTooLarge" => FaultKind::Unsupported,
            Some(400 | 405 | 501) if code != "RequestTimeout" => FaultKind::Unsupported,
            _ => FaultKind::Unavailable,
        }
    }

    /// The fault of a storage that can't be used at all.
    pub(crate) fn unavailable(&self, verb: &str, on: impl Display) -> Fault {
        let fault = self.fault(verb, on);
        Fault { kind: FaultKind::Unavailable, ..fault }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Refusal
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let response = error.raw_response();
        let header = |name| response.and_then(|it| it.headers().get(name)).map(str::to_owned);
        let retry_after = header("retry-after").and_then(|it| it.parse().ok());
        let region = header("x-amz-bucket-region")
            .filter(|_| matches!(response.map(|it| it.status().as_u16()), Some(301 | 307 | 400)));
        let status = response.map(|it| it.status().as_u16());
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let said = error.as_service_error().and_then(ProvideErrorMetadata::message);
        let message = match (said, status) {
            (Some(said), _) if !said.is_empty() => said.to_owned(),
            (_, Some(status)) if status >= 300 => format!("the server answered {status}"),
            _ => causes(&error),
        };
        let retry_after = retry_after.map(Duration::from_secs);
        if let (None, Some(message)) = (status, without_credentials(&message)) {
            let code = NO_CREDENTIALS.to_owned();
            return Self { status, code, message, retry_after, region };
        }
        Self { status, code: code.unwrap_or_default().to_owned(), message, retry_after, region }
    }
}

/// That nobody was found in whose name to ask, on one line: all the places where the SDK has looked
/// are named by the hint.
fn without_credentials(said: &str) -> Option<String> {
    let why = WITHOUT.iter().find_map(|begin| Some(said.split_once(begin)?.1))?;
    let why = why.split(". Attempted:").next()?.lines().next().unwrap_or_default();
    Some(format!("there are no credentials{}", why.trim_end_matches('.')))
}

/// An error and what it came from, which is where it is said what happened.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// `path` isn't in the state that was expected.
pub(crate) fn changed(path: impl Display) -> Fault {
    Fault::new(FaultKind::Changed, format!("`{path}` has changed meanwhile"))
}

/// The service can't be used, and what to do about it.
pub(crate) fn unavailable(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Unavailable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: Option<u16>, code: &str) -> Refusal {
        Refusal {
            status,
            code: code.to_owned(),
            message: "because".to_owned(),
            retry_after: None,
            region: None,
        }
    }

    #[test]
    fn each_refusal_says_who_tries_again() {
        for (status, code, expected) in [
            (Some(404), "NoSuchBucket", FaultKind::Unavailable),
            (Some(404), "NoSuchKey", FaultKind::NotFound),
            (Some(403), "InvalidAccessKeyId", FaultKind::Unavailable),
            (Some(403), "RequestTimeTooSkewed", FaultKind::Unavailable),
            (Some(403), "AccessDenied", FaultKind::Denied),
            (Some(403), "QuotaExceeded", FaultKind::Full),
            (Some(507), "", FaultKind::Full),
            (Some(503), "SlowDown", FaultKind::RateLimited),
            (Some(503), "ServiceUnavailable", FaultKind::Unavailable),
            (Some(500), "InternalError", FaultKind::Unavailable),
            (Some(412), "PreconditionFailed", FaultKind::Changed),
            (Some(409), "ConditionalRequestConflict", FaultKind::Changed),
            (Some(403), "InvalidObjectState", FaultKind::Denied),
            (Some(400), "KeyTooLongError", FaultKind::InvalidName),
            (Some(400), "RequestTimeout", FaultKind::Unavailable),
            (Some(404), "NoSuchUpload", FaultKind::Unavailable),
            (None, "", FaultKind::Unavailable),
        ] {
            let fault = refusal(status, code).fault("write", "a");
            assert_eq!(fault.kind, expected, "{code}: {fault}");
            assert!(fault.message.starts_with("can't write `a`: because"), "{fault}");
        }
    }

    #[test]
    fn that_there_are_no_credentials_is_said_on_one_line() {
        let chain = "dispatch failure: other: the credential provider was not enabled: no \
                     credentials found in chain. Attempted:\n  Environment: not set";
        let told = without_credentials(chain);
        let expected = "there are no credentials: no credentials found in chain";
        assert_eq!(told.as_deref(), Some(expected));
        let refused = "an error occurred while loading credentials: request forbidden.";
        let told = without_credentials(refused);
        assert_eq!(told.as_deref(), Some("there are no credentials: request forbidden"));
        assert_eq!(without_credentials("dns error"), None);
    }

    #[test]
    fn what_a_person_can_do_is_said() {
        let said = |code: &str| refusal(Some(403), code).fault("reach", "bucket").message;
        assert!(said("RequestTimeTooSkewed").contains("clock"));
        assert!(said("SignatureDoesNotMatch").contains("`secret_access_key`"));
        assert!(said("QuotaExceeded").contains("quota"));
        let elsewhere = Refusal { region: Some("eu-west-3".into()), ..refusal(Some(301), "") };
        assert!(elsewhere.fault("reach", "bucket").message.contains("region = \"eu-west-3\""));
        let of_all = elsewhere.fault("list", onitu_plug::Path::root()).message;
        assert!(of_all.starts_with("can't list the bucket: "), "{of_all}");
    }
}
