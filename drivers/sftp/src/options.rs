//! The driver's options and its manifest.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use onitu_plug::{Abilities, Manifest, OptionKind, OptionSpec, PROTOCOL_VERSION};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// SSH's own port.
const PORT: u16 = 22;
/// Between two rounds through the service, if `poll` doesn't say otherwise.
const POLL_S: u64 = 30;

/// What `[services.NAME]` says to this driver; the Core has refused what the manifest doesn't name.
#[derive(Debug, Clone, Deserialize)]
pub struct Options {
    /// The server's name or address.
    pub host: String,
    /// Its port for SSH.
    #[serde(default = "port", deserialize_with = "port_of_number")]
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The folder on the server; relative to the user's home if it doesn't begin with `/`.
    pub root: String,
    /// The file of the key to log in with.
    #[serde(default)]
    pub private_key: Option<PathBuf>,
    /// The password to log in with, or that of `private_key`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The file of the host keys that are trusted.
    #[serde(default)]
    pub known_hosts: Option<PathBuf>,
    /// A program on the server that tells of changes.
    #[serde(default)]
    pub watch_command: Option<String>,
    /// A program on the server that tells the SHA-1 of its input.
    #[serde(default)]
    pub hash_command: Option<String>,
    /// Seconds between two rounds; every service has this one.
    #[serde(default)]
    pub poll_s: Option<u64>,
}

fn port() -> u16 {
    PORT
}

/// A number that is no port is told with the option's name.
fn port_of_number<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    let number = i64::deserialize(from)?;
    let port = u16::try_from(number).ok().filter(|port| *port != 0);
    let wrong = || D::Error::custom(format!("`port` must be from 1 to 65535, not {number}"));
    port.ok_or_else(wrong)
}

/// A text that is never shown.
#[derive(Clone, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// The text itself, to be given to the server and to nobody else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

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

    /// The server as it is shown to people.
    pub(crate) fn server(&self) -> String {
        match self.port {
            PORT => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
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

fn options() -> Vec<OptionSpec> {
    use OptionKind::{File, Integer, Secret, Text};
    let needed = |name, help| OptionSpec { required: true, ..option(name, Text, help) };
    let port = option("port", Integer, "The server's port for SSH.");
    vec![
        needed("host", "The server's name or address."),
        OptionSpec { default: Some(PORT.to_string()), ..port },
        needed("user", "Who logs in on the server."),
        needed(
            "root",
            "The folder on the server. It must exist; Onitu keeps its own files in `.onitu` inside \
             it.",
        ),
        option(
            "private_key",
            File,
            "The file of the key to log in with; without it the keys of ssh-agent and those in \
             `~/.ssh` are tried.",
        ),
        option(
            "password",
            Secret,
            "The password to log in with; with `private_key`, also the one the key is encrypted \
             with.",
        ),
        option(
            "known_hosts",
            File,
            "The file of the host keys that are trusted; `~/.ssh/known_hosts` and \
             `/etc/ssh/ssh_known_hosts` if not given.",
        ),
        option(
            "watch_command",
            Text,
            "A program that is run on the server, in `root`, and prints one changed path a line: \
             changes are then seen at once. `inotifywait` stands for that program of \
             `inotify-tools` with the right options.",
        ),
        option(
            "hash_command",
            Text,
            "A program that is run on the server and prints the SHA-1 of its input, as `sha1sum` \
             does: of a large file that has changed, only what differs is then sent.",
        ),
    ]
}

/// Name, options and abilities of this driver.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        name: "sftp".to_owned(),
        description: "A folder of another machine, reached by SSH".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        options: options(),
        abilities: Abilities {
            rename: true,
            mtime: true,
            executable: true,
            directories: true,
            symlinks: true,
            tag_survives_rename: false,
            exact_names: true,
            trash: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_no_port_is_told_by_its_name() {
        for port in [0, -1, 65_536] {
            let options = serde_json::json!({
                "host": "nas", "user": "ada", "root": "sync", "port": port,
            });
            let error = serde_json::from_value::<Options>(options).expect_err("no port");
            let told = format!("`port` must be from 1 to 65535, not {port}");
            assert_eq!(error.to_string(), told);
        }
    }

    #[test]
    fn a_password_is_shown_to_nobody() {
        let options = serde_json::json!({
            "host": "nas", "user": "ada", "root": "sync", "password": "sesame",
        });
        let options: Options = serde_json::from_value(options).expect("options");
        assert!(!format!("{options:?}").contains("sesame"));
        assert_eq!(options.password.as_ref().map(Secret::reveal), Some("sesame"));
        assert_eq!((options.server(), options.poll()), ("nas".to_owned(), Duration::from_secs(30)));
    }
}
