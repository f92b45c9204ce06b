//! The tokens by which Dropbox knows who calls.
//!
//! The file holds what `onitu auth dropbox`, or a person, got from Dropbox: JSON with
//! `refresh_token`, or with an `access_token` alone. It is read, never written: an access token
//! that was refreshed is good for some hours and lives in memory.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use onitu_plug::{Fault, FaultKind};
use serde::Deserialize;
use tokio::sync::Mutex;

/// What nobody but the file's owner may have.
const OTHERS: u32 = 0o077;
/// More than any file with tokens has.
const BYTES_MAX: u64 = 64 * 1024;

/// What stands in the file; more is not minded.
#[derive(Deserialize)]
struct Stored {
    access_token: Option<String>,
    refresh_token: Option<String>,
}

/// The tokens of one account.
pub(crate) struct Tokens {
    file: PathBuf,
    app_key: String,
    /// The access token in use, and how often it was replaced.
    current: Mutex<(String, u64)>,
}

impl Tokens {
    /// Of a file that is read when a token is needed, so that it may be replaced meanwhile.
    pub(crate) fn new(file: PathBuf, app_key: String) -> Self {
        Self { file, app_key, current: Mutex::new((String::new(), 0)) }
    }

    /// Of the app that the tokens are for.
    pub(crate) fn app_key(&self) -> &str {
        &self.app_key
    }

    fn unreadable(&self, why: &str) -> Fault {
        let text = format!(
            "can't read the tokens in `{}`: {why}: get them with `onitu auth dropbox`",
            self.file.display()
        );
        Fault::new(FaultKind::Unavailable, text)
    }

    async fn stored(&self) -> Result<Stored, Fault> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        let (bytes, mode) = read
            .map_err(|_| self.unreadable("the read was given up"))?
            .map_err(|error| self.unreadable(&error.to_string()))?;
        if mode & OTHERS != 0 {
            let file = self.file.display();
            let text = format!(
                "others may read the tokens in `{file}` (its mode is {:03o}): `chmod 600 {file}`, \
                 and if somebody might have, take the app's access back at Dropbox and get others \
                 with `onitu auth dropbox`",
                mode & 0o777
            );
            return Err(Fault::new(FaultKind::Unavailable, text));
        }
        // What is wrong with it could show a part of it.
        serde_json::from_slice(&bytes).map_err(|_| self.unreadable("it isn't JSON with tokens"))
    }

    /// The token to call with, and its number. `refresh` gets one for a refresh token.
    pub(crate) async fn get<F>(
        &self,
        worn: Option<u64>,
        refresh: impl FnOnce(String) -> F,
    ) -> Result<(String, u64), Fault>
    where
        F: Future<Output = Result<String, Fault>>,
    {
        let mut current = self.current.lock().await;
        if !current.0.is_empty() && worn.is_none_or(|worn| worn != current.1) {
            return Ok(current.clone());
        }
        let stored = self.stored().await?;
        let access = match (stored.refresh_token, stored.access_token) {
            // The first one may do without another call.
            (Some(_), Some(access)) if worn.is_none() => access,
            (Some(refresh_token), _) => refresh(refresh_token).await?,
            (None, Some(access)) if access != current.0 => access,
            (None, Some(_)) => return Err(expired()),
            (None, None) => return Err(self.unreadable("there is none in it")),
        };
        *current = (access, current.1 + 1);
        Ok(current.clone())
    }
}

/// What the file holds, and its mode.
fn read(file: &std::path::Path) -> std::io::Result<(Vec<u8>, u32)> {
    let mut file = std::fs::File::open(file)?;
    let mode = file.metadata()?.mode();
    let mut bytes = Vec::new();
    file.by_ref().take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}

/// The token is no good, and nothing can be done about it here.
pub(crate) fn expired() -> Fault {
    let text = "Dropbox no longer knows this token: it has expired or was taken back; get another \
                with `onitu auth dropbox`";
    Fault::new(FaultKind::Unavailable, text)
}
