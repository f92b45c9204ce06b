//! A running Onitu with two folders, `laptop` and `nas`: the release programs, started as a user
//! starts them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::process::{self, Process};
use super::tree::pause;

const PROGRAMS: [&str; 4] = ["onitu", "onitu-core", "onitu-referee", "onitu-driver-local"];
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Two folders that Onitu keeps in step; it may run or not.
pub struct House {
    programs: PathBuf,
    home: PathBuf,
    up: Option<Child>,
}

impl House {
    /// Makes the folders and the configuration in `home`, and starts nothing.
    pub fn build(home: PathBuf) -> anyhow::Result<Self> {
        Self::build_with(home, "")
    }

    /// As [`House::build`], with these lines in `[onitu]`.
    pub fn build_with(home: PathBuf, lines: &str) -> anyhow::Result<Self> {
        let programs = programs()?;
        fs::create_dir_all(home.join("laptop"))?;
        fs::create_dir_all(home.join("nas"))?;
        let entries = format!(
            "[onitu]\nstate_dir = \"./state\"\napi = \"off\"\n{lines}\n\
            [services.laptop]\ndriver = \"local\"\nroot = \"./laptop\"\n\n\
            [services.nas]\ndriver = \"local\"\nroot = \"./nas\"\n"
        );
        fs::write(home.join("entries.toml"), entries)?;
        Ok(Self { programs, home, up: None })
    }

    pub fn laptop(&self) -> PathBuf {
        self.home.join("laptop")
    }

    pub fn nas(&self) -> PathBuf {
        self.home.join("nas")
    }

    /// Starts `onitu up`, and waits for nothing.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.home.join("log"))?;
        let child = self
            .command("up")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("`onitu up` can't be started")?;
        self.up = Some(child);
        Ok(())
    }

    /// Returns when everything is in step.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<()> {
        let limit = format!("{}s", limit.as_secs().max(1));
        let output = self.command("wait").args(["--timeout", &limit]).output()?;
        if let Some(Some(status)) = self.up.as_mut().map(Child::try_wait).transpose()? {
            bail!("`onitu up` has ended ({status}):\n{}", self.log());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}\n{}", said.trim(), self.log());
        Ok(())
    }

    /// Ends it as a user does.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut up) = self.up.take() else { return Ok(()) };
        let pid = i32::try_from(up.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("`onitu up` has no number")?, Signal::TERM)?;
        let since = Instant::now();
        while up.try_wait()?.is_none() {
            if since.elapsed() > STOP_LIMIT {
                up.kill()?;
                up.wait()?;
                bail!("`onitu up` didn't stop within {STOP_LIMIT:?}");
            }
            pause(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Its processes, `onitu up` first.
    pub fn processes(&self) -> Vec<Process> {
        self.up.as_ref().map_or_else(Vec::new, |up| process::family(up.id()))
    }

    /// What `onitu NAME ARGUMENTS` says on stdout.
    pub fn ask(&self, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command(name).args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`onitu {name}` failed: {}", said.trim());
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join("onitu"));
        command.args([name, "--config"]).arg(self.home.join("entries.toml"));
        command.current_dir(&self.home);
        command
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.home.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
    }
}

/// The directory of the release programs: the one above that of this benchmark, or
/// `ONITU_BENCH_PROGRAMS`.
fn programs() -> anyhow::Result<PathBuf> {
    let told = std::env::var_os("ONITU_BENCH_PROGRAMS").map(PathBuf::from);
    let own = std::env::current_exe()?;
    let beside = own.parent().and_then(Path::parent).map(Path::to_owned);
    let directory = told.or(beside).context("this program has no directory")?;
    let missing: Vec<&str> =
        PROGRAMS.into_iter().filter(|name| !directory.join(name).is_file()).collect();
    ensure!(
        missing.is_empty(),
        "`{}` is missing in `{}`; build the programs first:\n  cargo build --release -p onitu -p \
         onitu-core-server -p onitu-referee -p onitu-driver-local",
        missing.join("`, `"),
        directory.display()
    );
    Ok(directory)
}

/// CPU seconds each process has used between `before` and `after`, and their sum.
pub fn cpu_between(before: &[Process], after: &[Process]) -> (Vec<(String, f64)>, f64) {
    let spent: Vec<(String, f64)> = after
        .iter()
        .map(|process| {
            let began = before.iter().find(|it| it.pid == process.pid);
            (process.name.clone(), process.cpu_s - began.map_or(0.0, |began| began.cpu_s))
        })
        .collect();
    let sum = spent.iter().map(|(_, spent)| spent).sum();
    (spent, sum)
}
