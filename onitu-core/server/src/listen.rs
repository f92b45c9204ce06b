//! The Core's control socket: a JSON value a line in, an answer a line out, many connections.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use onitu_core::control::{FromCore, ToCore};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Duration, sleep};
use tracing::{debug, warn};

use crate::answer::{away, failed};
use crate::core::Core;

/// Longest request, in bytes: rules to be tried, escaped, and their frame.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;
/// Most connections at the same time; the next one waits.
const CONNECTIONS_MAX: usize = 64;
/// After a connection could not be accepted (too many open files), the next try waits so long.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Makes the socket, for this user alone. One that a killed Core left behind is replaced: the
/// supervisor runs only one Core at a time.
pub fn bind(socket: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers whoever connects, for ever.
pub async fn serve(core: Arc<Core>, listener: UnixListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let core = core.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(&core, stream).await {
                        debug!("a conversation ended: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!("can't accept a connection: {error}");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn converse(core: &Core, stream: UnixStream) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        (&mut from).take(REQUEST_BYTES_MAX).read_until(b'\n', &mut line).await?;
        match line.last() {
            None => return Ok(()),
            Some(b'\n') => {}
            Some(_) => return write(&mut to, &failed("the request is too long or cut off")).await,
        }
        match serde_json::from_slice(&line) {
            Ok(ToCore::Ls(path)) => list(core, path, &mut to).await?,
            Ok(request @ (ToCore::Trash(_) | ToCore::Restore(_))) => {
                stream_answers(core, request, &mut to).await?;
            }
            Ok(request) => write(&mut to, &core.answer(request).await).await?,
            Err(error) => {
                let message = format!("the request can't be read ({error}): another version?");
                write(&mut to, &failed(message)).await?;
            }
        }
    }
}

/// Sends the tree below `path`, as fast as the other side reads.
async fn list(core: &Core, path: onitu_core::Path, to: &mut OwnedWriteHalf) -> io::Result<()> {
    let mut walk = match core.walk(path).await {
        Ok(walk) => walk,
        Err(answer) => return write(to, &answer).await,
    };
    loop {
        match walk.page().await {
            Ok(page) if page.is_empty() => {
                return write(to, &FromCore::Done(String::new())).await;
            }
            Ok(page) => write(to, &FromCore::Entries(page)).await?,
            Err(error) => return write(to, &away(&error)).await,
        }
    }
}

/// Sends the many answers to `request`, as fast as the other side reads. The work ends with whoever
/// asked for it.
async fn stream_answers(core: &Core, request: ToCore, to: &mut OwnedWriteHalf) -> io::Result<()> {
    let (pages, mut told) = mpsc::channel(1);
    let work = async {
        match request {
            ToCore::Trash(question) => core.trash(question, pages).await,
            ToCore::Restore(question) => core.restore(question, pages).await,
            _ => {}
        }
        Ok(())
    };
    let tell = async {
        while let Some(answer) = told.recv().await {
            write(to, &answer).await?;
        }
        Ok(())
    };
    tokio::try_join!(work, tell).map(drop)
}

async fn write(to: &mut OwnedWriteHalf, answer: &FromCore) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    to.write_all(&line).await
}

#[cfg(test)]
mod tests;
