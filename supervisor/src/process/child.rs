//! A real process, and the way it is started.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Child, Log, Program};

/// Longest line that is kept in one piece, in bytes.
const LINE_BYTES_MAX: u64 = 16 * 1024;
/// How long the rest of a process' output is waited for after its end; a grandchild may keep the
/// pipe open for ever.
const OUTPUT_LIMIT: Duration = Duration::from_millis(200);

/// What all processes of an instance have in common.
#[derive(Debug)]
pub struct Surroundings {
    /// Where their output goes.
    pub log: Log,
    /// The program `onitu`, which ties each of them to this process (see [`super::tied`]).
    pub tie: PathBuf,
    /// Set in their environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// A program with its arguments, to be run as a process that ends with this one.
#[derive(Debug, Clone)]
pub struct Launch {
    /// In the log and in the status.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What it shares with the others.
    pub surroundings: Arc<Surroundings>,
}

impl PartialEq for Launch {
    fn eq(&self, other: &Launch) -> bool {
        (&self.name, &self.program, &self.arguments)
            == (&other.name, &other.program, &other.arguments)
    }
}

impl Program for Launch {
    type Child = Running;

    fn start(&self) -> std::io::Result<Running> {
        let mut child = Command::new(&self.surroundings.tie)
            .arg0("onitu")
            .args(["tied", "--parent"])
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.surroundings.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().unwrap_or_default();
        let last = Arc::new(Mutex::new(LastWords::default()));
        let mut output = JoinSet::new();
        if let Some(pipe) = child.stdout.take() {
            output.spawn(listen(pipe, self.clone(), false, last.clone()));
        }
        if let Some(pipe) = child.stderr.take() {
            output.spawn(listen(pipe, self.clone(), true, last.clone()));
        }
        Ok(Running { pid, child, output, last })
    }

    fn ended(&self, how: &str, again_in: Duration) {
        let (name, pause_s) = (&self.name, again_in.as_secs_f32());
        let line = format!("warning: {name} ended ({how}); starting it again in {pause_s:.1} s");
        self.surroundings.log.say(&line);
    }
}

/// A running process.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    child: tokio::process::Child,
    /// The tasks that read its output.
    output: JoinSet<()>,
    last: Arc<Mutex<LastWords>>,
}

/// The last line that isn't empty of each stream.
#[derive(Debug, Default)]
struct LastWords {
    stdout: String,
    stderr: String,
}

impl Child for Running {
    fn pid(&self) -> u32 {
        self.pid
    }

    async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        let heard = async { while self.output.join_next().await.is_some() {} };
        // What is missing is a grandchild's.
        let _ = timeout(OUTPUT_LIMIT, heard).await;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let words = if last.stderr.is_empty() { &last.stdout } else { &last.stderr };
        match status {
            Ok(status) => describe(status, words),
            Err(error) => error.to_string(),
        }
    }

    fn signal(&mut self, signal: Signal) {
        // Only while it isn't waited for: its number may be another's afterwards.
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let Some(pid) = pid else { return };
        // What it started itself is killed with it; it leads a process group (see `tied`).
        if signal == Signal::KILL {
            let _ = rustix::process::kill_process_group(pid, signal);
        }
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn describe(status: ExitStatus, last_words: &str) -> String {
    // Who is ended from outside had said nothing about it; an abort had.
    let from_outside = [Signal::KILL, Signal::TERM].map(|signal| Some(signal.as_raw()));
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status: {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    };
    if last_words.is_empty() || from_outside.contains(&status.signal()) {
        how
    } else {
        format!("{how}: {last_words}")
    }
}

/// Reads a process' output line by line until it ends.
async fn listen(
    pipe: impl AsyncRead + Unpin,
    launch: Launch,
    is_stderr: bool,
    last: Arc<Mutex<LastWords>>,
) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut pipe).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            continue;
        }
        launch.surroundings.log.line(&launch.name, is_stderr, text);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let words = if is_stderr { &mut last.stderr } else { &mut last.stdout };
        text.clone_into(words);
    }
}
