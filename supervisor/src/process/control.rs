//! The supervisor's control socket: one JSON value a line, one answer a line.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::control::{FromSupervisor, ToSupervisor};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::House;

#[cfg(test)]
mod tests;

/// The socket's name in the runtime directory.
pub const SOCKET: &str = "supervisor.sock";
/// Most bytes of a question; a longer one ends the conversation.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// Most conversations at once; more wait.
const CONNECTIONS_MAX: usize = 32;
/// How long nothing is accepted after that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes the socket in `runtime_dir`.
///
/// # Errors
///
/// As the system says.
pub fn listen(runtime_dir: &Path) -> std::io::Result<UnixListener> {
    UnixListener::bind(runtime_dir.join(SOCKET))
}

/// Answers for `house` until this future is dropped, with all its conversations.
pub async fn serve(listener: UnixListener, house: Arc<House>) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if conversations.len() < CONNECTIONS_MAX => {
                match accepted {
                    Ok((stream, _)) => {
                        conversations.spawn(converse(stream, house.clone()));
                    }
                    // Too many open files, for example; the next moment may be better.
                    Err(_) => sleep(PAUSE).await,
                }
            }
            Some(_) = conversations.join_next() => {}
        }
    }
}

/// Answers every line until the other side ends; one that breaks off is no error.
async fn converse(stream: UnixStream, house: Arc<House>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        if read.is_err() || line.is_empty() {
            return;
        }
        let complete = line.last() == Some(&b'\n');
        let answer = if complete {
            answer(&line, &house)
        } else {
            FromSupervisor::Error(format!("a question ends within {LINE_BYTES_MAX} bytes"))
        };
        let Ok(mut text) = serde_json::to_vec(&answer) else { return };
        text.push(b'\n');
        if stream.get_mut().write_all(&text).await.is_err() || !complete {
            return;
        }
    }
}

fn answer(line: &[u8], house: &House) -> FromSupervisor {
    let done = |result| match result {
        Ok(()) => FromSupervisor::Done,
        Err(why) => FromSupervisor::Error(why),
    };
    match serde_json::from_slice(line) {
        Ok(ToSupervisor::Run(wanted)) => done(house.run(wanted)),
        Ok(ToSupervisor::Restart(name)) => done(house.restart(&name)),
        Ok(ToSupervisor::List) => FromSupervisor::Processes(house.list()),
        Err(error) => FromSupervisor::Error(format!("this is no question: {error}")),
    }
}
