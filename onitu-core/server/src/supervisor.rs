//! Questions to the supervisor over its control socket.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use onitu_core::control::{FromSupervisor, ToSupervisor, Wanted};
use onitu_core::status::ProcessStatus;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// An answer is waited for so long.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why the supervisor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// No connection, or no answer in time. Every question may be asked again.
    #[error("the supervisor can't be reached at `{socket}`: {source}")]
    Unreachable {
        /// Its socket.
        socket: String,
        /// What the system said.
        source: io::Error,
    },
    /// It answered that it can't.
    #[error("the supervisor refused: {0}")]
    Refused(String),
}

/// The way to the supervisor. A connection lasts for one question, so nothing has to be mended
/// when either side was away.
#[derive(Debug)]
pub struct Supervisor {
    socket: PathBuf,
}

impl Supervisor {
    /// The supervisor that listens on `socket`.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Asks that exactly these drivers run.
    pub async fn run(&self, wanted: Vec<Wanted>) -> Result<(), SupervisorError> {
        self.ask(&ToSupervisor::Run(wanted)).await.map(|_| ())
    }

    /// Every process and how it is.
    pub async fn list(&self) -> Result<Vec<ProcessStatus>, SupervisorError> {
        match self.ask(&ToSupervisor::List).await? {
            FromSupervisor::Processes(processes) => Ok(processes),
            other => Err(SupervisorError::Refused(format!("it answered {other:?} to a list"))),
        }
    }

    async fn ask(&self, question: &ToSupervisor) -> Result<FromSupervisor, SupervisorError> {
        let answer = timeout(ANSWER, self.exchange(question))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| SupervisorError::Unreachable {
                socket: self.socket.display().to_string(),
                source,
            })?;
        match answer {
            FromSupervisor::Error(reason) => Err(SupervisorError::Refused(reason)),
            answer => Ok(answer),
        }
    }

    async fn exchange(&self, question: &ToSupervisor) -> io::Result<FromSupervisor> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(stream).take(ANSWER_BYTES_MAX).read_line(&mut answer).await?;
        Ok(serde_json::from_str(&answer)?)
    }
}
