//! Which host keys are trusted: those in `known_hosts`, and no other, whatever the reason.

use std::borrow::Cow;
use std::path::{Path as FilePath, PathBuf};

use onitu_plug::Fault;
use russh::Preferred;
use russh::keys::ssh_key::{Algorithm, HashAlg, PublicKey};

use crate::fault::unavailable;

/// Where OpenSSH looks beside the user's own file.
const OF_ALL: &str = "/etc/ssh/ssh_known_hosts";

/// The keys that are known of one server.
pub(crate) struct Hosts {
    host: String,
    port: u16,
    /// Where a key would be written; the first that was read.
    file: PathBuf,
    /// Each with the file and line in which it stands.
    known: Vec<(PathBuf, usize, PublicKey)>,
    /// Those of lines that begin with `@revoked`, whatever server they name: such a key is no
    /// longer a secret, so nobody who shows it is trusted.
    revoked: Vec<(PathBuf, usize, PublicKey)>,
}

impl Hosts {
    /// Reads what is known of the server: from `file`, or where OpenSSH looks. Blocks.
    pub(crate) fn load(host: &str, port: u16, file: Option<PathBuf>) -> Result<Self, Fault> {
        let files = if let Some(file) = file {
            vec![file]
        } else {
            let own = std::env::home_dir().map(|home| home.join(".ssh/known_hosts"));
            own.into_iter().chain([PathBuf::from(OF_ALL)]).collect()
        };
        let (mut known, mut revoked) = (Vec::new(), Vec::new());
        for file in &files {
            let found = russh::keys::known_hosts::known_host_keys_path(host, port, file);
            let found = found.map_err(|error| {
                unavailable(format!("can't understand `{}`: {error}", file.display()))
            })?;
            known.extend(found.into_iter().map(|(line, key)| (file.clone(), line, key)));
            revoked.extend(revoked_in(file)?);
        }
        let file = files.into_iter().next().unwrap_or_default();
        Ok(Self { host: host.to_owned(), port, file, known, revoked })
    }

    /// The algorithms to be agreed on: first those of the keys that are known, or a server with
    /// several keys would show one that isn't.
    pub(crate) fn preferred(&self) -> Preferred {
        let preferred = Preferred::default();
        let is_known = |algorithm: &Algorithm| {
            self.known.iter().any(|(.., key)| match (algorithm, key.algorithm()) {
                (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
                (one, other) => *one == other,
            })
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = preferred.key.iter().cloned().partition(is_known);
        first.extend(rest);
        Preferred { key: Cow::Owned(first), ..preferred }
    }

    /// Whether the key that the server has shown is trusted; if not, what to do about it.
    pub(crate) fn judge(&self, key: &PublicKey) -> Result<(), Fault> {
        let is_it = |(.., it): &&(PathBuf, usize, PublicKey)| it.key_data() == key.key_data();
        if let Some((file, line, _)) = self.revoked.iter().find(is_it) {
            return Err(unavailable(format!(
                "the server `{}` shows the host key {}, which is revoked (`{}`, line {line}): \
                 somebody else may have it. Give the server a new key",
                self.host,
                key.fingerprint(HashAlg::Sha256),
                file.display()
            )));
        }
        if self.known.iter().any(|(.., known)| known.key_data() == key.key_data()) {
            return Ok(());
        }
        let Self { host, port, file, .. } = self;
        let algorithm = key.algorithm();
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let (named, file) = (self.named(), file.display());
        let Some((known_in, line, known)) = self.known.first() else {
            return Err(unavailable(format!(
                "the server `{host}` isn't known: it shows the host key {fingerprint} \
                 ({algorithm}). If it is its own (`ssh-keygen -lf` of its file in `/etc/ssh` on \
                 that machine says the same), add it: `ssh-keyscan -p {port} {host} >> {file}`"
            )));
        };
        let known = known.fingerprint(HashAlg::Sha256);
        Err(unavailable(format!(
            "the host key of `{host}` is another one than before: it shows {fingerprint} \
             ({algorithm}), known is {known} (`{}`, line {line}). Somebody may be between you and \
             it. Only if you know that its key was changed: `ssh-keygen -R '{named}' -f {file}`, \
             then add the new one: `ssh-keyscan -p {port} {host} >> {file}`",
            known_in.display()
        )))
    }

    /// The server as `known_hosts` has it.
    fn named(&self) -> String {
        let Self { host, port, .. } = self;
        if *port == 22 { host.clone() } else { format!("[{host}]:{port}") }
    }
}

/// The keys that a file says are revoked. A line that says so of a key nobody can read can't be left
/// out: it may be this one.
fn revoked_in(file: &FilePath) -> Result<Vec<(PathBuf, usize, PublicKey)>, Fault> {
    let text = match std::fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(unavailable(format!("can't read `{}`: {error}", file.display())));
        }
    };
    let mut revoked = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        if words.next() != Some("@revoked") {
            continue;
        }
        let key = words.nth(2).map(russh::keys::parse_public_key_base64);
        let Some(Ok(key)) = key else {
            let (file, line) = (file.display(), at + 1);
            return Err(unavailable(format!(
                "can't understand which key is revoked by line {line} of `{file}`: correct it"
            )));
        };
        revoked.push((file.to_owned(), at + 1, key));
    }
    Ok(revoked)
}
