//! `onitu up` as a child of the demonstration, and the commands that ask it.

use std::path::Path;
use std::process::{ExitCode, Output, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::demo::say;

const CONFIG: &str = "entries.toml";

/// A running `onitu up`.
pub struct Onitu {
    child: Child,
}

impl Onitu {
    /// Starts it, tied to this process: it ends with it however that ends, and Ctrl-C in the
    /// terminal reaches this process alone.
    pub fn start(programs: &Path) -> anyhow::Result<Self> {
        let onitu = programs.join("onitu");
        let mut child = Command::new(&onitu)
            .args(["tied", "--parent", &std::process::id().to_string(), "--"])
            .args([onitu.as_os_str(), "up".as_ref(), "--config".as_ref(), CONFIG.as_ref()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start `{}`", onitu.display()))?;
        let output = child.stdout.take().context("its output isn't there")?;
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                say(&line);
            }
        });
        Ok(Self { child })
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitCode {
        match self.child.wait().await {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            Ok(status) => status
                .code()
                .map_or(ExitCode::FAILURE, |code| ExitCode::from(code.to_le_bytes()[0])),
            Err(_) => ExitCode::FAILURE,
        }
    }

    /// Asks it to end.
    pub fn stop(&self) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            // It may just have ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Asks the running Onitu.
pub async fn ask(programs: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let program = programs.join("onitu");
    let mut command = Command::new(&program);
    command.args(arguments).args(["--config", CONFIG]).stdin(Stdio::null()).kill_on_drop(true);
    command.output().await.with_context(|| format!("can't start `{}`", program.display()))
}

/// Waits until everything is in step; whether it is.
pub async fn wait(programs: &Path) -> anyhow::Result<bool> {
    let output = ask(programs, &["wait", "--timeout", "60s"]).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().for_each(crate::demo::complain);
    Ok(output.status.success())
}
