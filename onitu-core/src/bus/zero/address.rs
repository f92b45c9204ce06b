//! Where a socket is: binding there, and waiting until somebody else has.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeromq::{Socket, SocketOptions};

use crate::bus::{BusError, Endpoint};

/// The longest path of a unix socket, in bytes (`sun_path` less its NUL).
const PATH_BYTES_MAX: usize = 107;
/// First and longest wait between two looks for a peer that isn't there.
const RETRY_FIRST: Duration = Duration::from_millis(10);
const RETRY_LONGEST: Duration = Duration::from_millis(250);
/// A peer that is there has so long to exchange greetings.
const HANDSHAKE: Duration = Duration::from_secs(2);
/// How often another temporary name is tried.
const NAMES_MAX: u32 = 64;

/// A file in the runtime directory.
#[derive(Debug, Clone)]
pub(super) struct Address {
    path: PathBuf,
}

impl Address {
    pub(super) fn new(dir: &Path, at: &Endpoint) -> Self {
        Self { path: dir.join(&at.0) }
    }

    /// The address as the user knows it.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The address as the crate knows it.
    pub(super) fn uri(&self) -> String {
        format!("ipc://{}", self.path.display())
    }

    /// A socket that listens here, in the place of whoever did before.
    ///
    /// It is bound under another name and renamed: the crate removes the file it bound when its
    /// socket is closed, some time later, and would remove the successor's. So a socket file
    /// outlives its process and the next one replaces it, with no moment in which there is none.
    pub(super) async fn bind<S: Socket>(&self) -> Result<S, BusError> {
        let failed =
            |reason: String| BusError::Bind { endpoint: self.path.display().to_string(), reason };
        let bytes = self.path.as_os_str().len();
        if bytes > PATH_BYTES_MAX {
            return Err(failed(format!(
                "the path has {bytes} bytes, a unix socket's may have {PATH_BYTES_MAX}: use a \
                 shorter runtime directory"
            )));
        }
        let (listener, bound) = self.listen().map_err(|error| failed(error.to_string()))?;
        let mut socket = S::new();
        socket.bind_listener(listener).await.map_err(|error| failed(error.to_string()))?;
        std::fs::rename(bound, &self.path).map_err(|error| failed(error.to_string()))?;
        Ok(socket)
    }

    /// Listens under a short unused name beside this one.
    fn listen(&self) -> std::io::Result<(UnixListener, PathBuf)> {
        let mut tried = 0;
        loop {
            let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(4).collect();
            let path = self.path.with_file_name(format!(".{name}"));
            match UnixListener::bind(&path) {
                Ok(listener) => return Ok((listener, path)),
                Err(error) if error.kind() == ErrorKind::AddrInUse && tried < NAMES_MAX => {
                    tried += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until somebody listens here. `tried` counts the looks since the last success and
    /// belongs to the caller, so that a listener that refuses every greeting isn't rushed.
    ///
    /// The crate waits too, but ever longer, up to 30 s.
    pub(super) async fn listened(&self, tried: &mut u32) {
        loop {
            if *tried > 0 {
                let doubled = RETRY_FIRST * 2u32.pow((*tried - 1).min(8));
                tokio::time::sleep(doubled.min(RETRY_LONGEST)).await;
            }
            *tried += 1;
            if tokio::net::UnixStream::connect(&self.path).await.is_ok() {
                return;
            }
        }
    }

    /// A socket to connect with, once [`Address::listened`].
    pub(super) fn socket<S: Socket>() -> S {
        let mut options = SocketOptions::default();
        options.connect_timeout(HANDSHAKE);
        S::with_options(options)
    }
}

#[cfg(test)]
mod tests;
