//! A conversation with the Core: one JSON value a line, one answer a line.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use onitu_core::control::{FromCore, ToCore};

use crate::Failure;

/// Most bytes of one answer; a longer one is an error of the Core's.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long an answer may take, unless [`Connection::set_limit`] says otherwise.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// An open connection to the Core's control socket.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects to the Core's socket at `path`.
    ///
    /// # Errors
    ///
    /// As the system says; not found or refused while the Core isn't running.
    pub fn open(path: &Path) -> std::io::Result<Connection> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// From now on waits at most so long for an answer.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn set_limit(&mut self, limit: Duration) -> Result<(), Failure> {
        self.stream.get_ref().set_read_timeout(Some(limit)).map_err(|error| lost(&error))
    }

    /// Asks and returns the (first) answer.
    ///
    /// # Errors
    ///
    /// [`FromCore::Error`] becomes a [`Failure`] with its message and exit code, so no caller
    /// needs to look for it; so does a lost connection.
    pub fn ask(&mut self, request: &ToCore) -> Result<FromCore, Failure> {
        let mut line = serde_json::to_vec(request).map_err(Failure::failed)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(|error| lost(&error))?;
        self.more()
    }

    /// The next answer to the same question ([`ToCore::Ls`] has many, the last is
    /// [`FromCore::Done`]).
    ///
    /// # Errors
    ///
    /// As [`Connection::ask`].
    pub fn more(&mut self) -> Result<FromCore, Failure> {
        let mut line = Vec::new();
        let mut bounded = self.stream.by_ref().take(ANSWER_BYTES_MAX);
        bounded.read_until(b'\n', &mut line).map_err(|error| lost(&error))?;
        if line.last() != Some(&b'\n') {
            return Err(Failure::failed("the Core ended the conversation; see `onitu status`"));
        }
        match serde_json::from_slice(&line) {
            Ok(FromCore::Error { message, code }) => Err(Failure::with_code(&message, code)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Failure::failed(format!(
                "the Core's answer can't be read ({error}): is it another version of Onitu?"
            ))),
        }
    }

    /// Asks for something that is answered by a sentence ([`FromCore::Done`]), and returns it.
    ///
    /// # Errors
    ///
    /// As [`Connection::ask`], and for any other answer.
    pub fn order(&mut self, request: &ToCore) -> Result<String, Failure> {
        match self.ask(request)? {
            FromCore::Done(sentence) => Ok(sentence),
            other => Err(unexpected(&other)),
        }
    }
}

/// Asks the Core whose socket is `core` one question, without blocking the thread; for the
/// supervisor, which mustn't wait for anybody.
///
/// # Errors
///
/// As the system says, and when no answer comes in time.
pub async fn ask(core: &Path, request: &ToCore) -> std::io::Result<FromCore> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    let conversation = async {
        let mut stream = tokio::net::UnixStream::connect(core).await?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        let mut bounded = tokio::io::BufReader::new(stream).take(ANSWER_BYTES_MAX);
        bounded.read_until(b'\n', &mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    };
    tokio::time::timeout(ANSWER_LIMIT, conversation).await?
}

/// An answer that doesn't belong to the question.
pub fn unexpected(answer: &FromCore) -> Failure {
    let mut said = format!("{answer:?}");
    said.truncate(said.floor_char_boundary(100));
    Failure::failed(format!("the Core answered something else: {said}"))
}

fn lost(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::failed(
            "the Core doesn't answer; `log/onitu.log` in the state directory may say why",
        ),
        _ => Failure::failed(format!("the connection to the Core was lost: {error}")),
    }
}
