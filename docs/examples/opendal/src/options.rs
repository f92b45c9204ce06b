//! The driver's options and its manifest.

use std::fmt;
use std::time::Duration;

use onitu_plug::{Abilities, Manifest, OptionKind, OptionSpec, PROTOCOL_VERSION};
use serde::Deserialize;

/// Seconds between two rounds, if nothing is said.
const POLL_S: u64 = 30;

/// What `[services.NAME]` says to this driver; the Core has refused what the manifest doesn't name.
#[derive(Debug, Clone, Deserialize)]
pub struct Options {
    /// Which of opendal's services: `webdav`.
    pub scheme: String,
    /// Where it is reached, as `https://cloud.example/remote.php/dav/files/ada`.
    pub endpoint: String,
    /// Who logs in; nobody if it isn't given.
    #[serde(default)]
    pub username: Option<String>,
    /// The password to log in with.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A token to log in with, instead of name and password.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The folder below the endpoint; all of it if it isn't given.
    #[serde(default)]
    pub root: String,
    /// Seconds between two rounds; every service has this one.
    #[serde(default)]
    pub poll_s: Option<u64>,
}

/// A text that is never shown.
#[derive(Clone, Deserialize)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Options {
    /// Time between two rounds through the service.
    pub(crate) fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_s.unwrap_or(POLL_S).max(1))
    }

    /// The service as it is shown to people.
    pub(crate) fn shown(&self) -> String {
        let root = self.root.trim_matches('/');
        let slash = if root.is_empty() { "" } else { "/" };
        format!("{}{slash}{root}", self.endpoint.trim_end_matches('/'))
    }

    /// As opendal takes them, whatever the scheme.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|it| it.0.clone());
        let endpoint = self.endpoint.trim_end_matches('/').to_owned();
        let pairs = [
            ("endpoint", Some(endpoint)),
            ("root", Some(self.root.clone())),
            ("username", self.username.clone()),
            ("password", secret(&self.password)),
            ("token", secret(&self.token)),
            // Else a folder that is gone would be made anew, empty, by the first write to it.
            ("disable_create_dir", Some("true".to_owned())),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn option(name: &str, kind: OptionKind, help: &str) -> OptionSpec {
    OptionSpec {
        name: name.to_owned(),
        kind,
        required: false,
        default: None,
        help: help.to_owned(),
    }
}

/// Name, options and abilities of this driver.
pub(crate) fn manifest() -> Manifest {
    let required = |spec: OptionSpec| OptionSpec { required: true, ..spec };
    Manifest {
        name: "opendal".to_owned(),
        description: "A service that the crate opendal reaches: WebDAV".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        options: vec![
            required(option("scheme", OptionKind::Text, "Which of opendal's services: `webdav`.")),
            required(option(
                "endpoint",
                OptionKind::Text,
                "Where it is reached, as `https://cloud.example/remote.php/dav/files/ada`.",
            )),
            option("username", OptionKind::Text, "Who logs in."),
            option("password", OptionKind::Secret, "The password to log in with."),
            option("token", OptionKind::Secret, "A token, instead of name and password."),
            OptionSpec {
                default: Some("/".to_owned()),
                ..option(
                    "root",
                    OptionKind::Text,
                    "The folder below the endpoint. It must exist; Onitu keeps its own files in \
                     `.onitu` inside it.",
                )
            },
        ],
        abilities: Abilities {
            rename: true,
            // WebDAV has no way to set a time, and no executable bit.
            mtime: false,
            executable: false,
            directories: true,
            symlinks: false,
            tag_survives_rename: false,
            exact_names: true,
            trash: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_shown_to_nobody() {
        let options = serde_json::json!({
            "scheme": "webdav", "endpoint": "http://nas/dav/", "root": "/sync/",
            "username": "ada", "password": "sesame", "token": "rosebud",
        });
        let options: Options = serde_json::from_value(options).expect("options");
        let shown = format!("{options:?} {}", options.shown());
        assert!(!shown.contains("sesame") && !shown.contains("rosebud"), "{shown}");
        assert_eq!(options.shown(), "http://nas/dav/sync");
        assert!(options.pairs().contains(&("password".to_owned(), "sesame".to_owned())));
    }
}
