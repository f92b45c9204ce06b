//! The running `onitu up`: its start, its end, its processes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{children_of, started_in};
use crate::{House, Must, eventually, found, runs, signal_to};

/// The supervisor ends everything within this, as documented.
const END_LIMIT: Duration = Duration::from_secs(10);
/// Lines of the log that are shown when a test fails.
const LOG_LINES_SHOWN: usize = 60;

impl House {
    /// Starts `onitu up` in the background.
    pub fn up(&mut self) {
        assert!(self.up.is_none(), "it runs already");
        let file = |name: &str| File::create(self.path().join(name)).must(name);
        let (out, err) = (file("stdout"), file("stderr"));
        let child = self.command(&["up"]).stdout(out).stderr(err).spawn().must("start `onitu up`");
        self.up = Some(child);
    }

    /// The supervisor's process.
    pub fn supervisor(&self) -> u32 {
        self.up.as_ref().must("a running `onitu up`").id()
    }

    /// Stops it by SIGTERM, which must do within the documented bound, and leave nothing.
    #[track_caller]
    pub fn stop(&mut self) {
        signal_to(self.supervisor(), Signal::TERM);
        let status = self.ended(END_LIMIT);
        assert!(status.success(), "`onitu up` ended with {status}");
        self.assert_nothing_runs();
    }

    /// How `onitu up` ended, once it has.
    #[track_caller]
    pub fn ended(&mut self, limit: Duration) -> ExitStatus {
        let mut up = self.up.take().must("a running `onitu up`");
        let what = format!("the end of `onitu up` (process {})", up.id());
        eventually(&what, limit, || up.try_wait().must("its state"))
    }

    /// The processes of this house that still run, whoever started them.
    pub fn left(&self) -> Vec<u32> {
        started_in(self.path())
    }

    /// Nothing that was started for this house runs any more.
    #[track_caller]
    pub fn assert_nothing_runs(&self) {
        let what = "the end of every process that was started";
        eventually(what, END_LIMIT, || self.left().is_empty().then_some(()));
    }

    /// What the supervisor knows of its processes; [`None`] while nobody answers.
    fn processes(&self) -> Option<Vec<Value>> {
        Some(self.status_if_answered()?["processes"].as_array()?.clone())
    }

    fn pid_if_runs(&self, name: &str) -> Option<u32> {
        if name == "supervisor" {
            return Some(self.supervisor());
        }
        let processes = self.processes()?;
        let process = processes.iter().find(|process| process["name"] == name)?;
        let pid = u32::try_from(process["pid"].as_u64()?).ok()?;
        runs(pid).then_some(pid)
    }

    /// The process `redis`, `core`, `referee`, `driver-a` or `supervisor`, once it runs.
    #[track_caller]
    pub fn pid_of(&self, name: &str) -> u32 {
        eventually(name, Duration::from_secs(30), || self.pid_if_runs(name))
    }

    /// Kills a process, so that it can do nothing more. Returns what its number was.
    #[track_caller]
    pub fn kill9(&mut self, name: &str) -> u32 {
        let pid = self.pid_of(name);
        signal_to(pid, Signal::KILL);
        if name == "supervisor" {
            self.ended(END_LIMIT);
        }
        pid
    }

    /// As [`House::kill9`], within microseconds: nobody is asked who it is. The supervisor's end is
    /// the caller's to wait for.
    #[track_caller]
    pub fn strike(&self, name: &str) -> u32 {
        let supervisor = self.supervisor();
        let find = || {
            let children = children_of(supervisor).into_iter();
            children.filter(|(_, its)| its.as_deref() == Some(name)).map(|(pid, _)| pid).next()
        };
        let pid = if name == "supervisor" { supervisor } else { found(name, find) };
        signal_to(pid, Signal::KILL);
        pid
    }

    /// The private directory of sockets.
    #[track_caller]
    pub fn runtime_dir(&self) -> PathBuf {
        let text = std::fs::read(self.state_dir().join("instance.json")).must("instance.json");
        let instance: Value = serde_json::from_slice(&text).must("instance.json");
        let directory = PathBuf::from(instance["runtime_dir"].as_str().must("runtime_dir"));
        let is_private = directory.starts_with(self.path());
        assert!(is_private, "set a shorter TMPDIR: sockets are in `{}`", directory.display());
        directory
    }

    /// Asks the metadata server.
    #[track_caller]
    pub fn redis(&self, arguments: &[&str]) -> String {
        let socket = self.runtime_dir().join("redis.sock");
        redis(&socket, arguments)
    }
}

/// One command to the metadata server; its answer as it came.
fn redis(socket: &Path, arguments: &[&str]) -> String {
    let mut stream = UnixStream::connect(socket).must("connect to Redis");
    let argument = |text: &&str| format!("${}\r\n{text}\r\n", text.len());
    let asked: Vec<String> = arguments.iter().map(argument).collect();
    let asked = format!("*{}\r\n{}", arguments.len(), asked.concat());
    stream.write_all(asked.as_bytes()).must("ask Redis");
    stream.shutdown(std::net::Shutdown::Write).must("ask Redis");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).must("the answer of Redis");
    answer
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        if let Some(mut up) = self.up.take() {
            let _ = up.kill();
            let _ = up.wait();
        }
        // What isn't tied to the supervisor, by fault: it would hold the directory and its disks.
        for pid in self.left() {
            signal_to(pid, Signal::KILL);
        }
    }
}

impl House {
    /// Says how it is, for whoever reads why a test has failed.
    #[allow(clippy::print_stderr, reason = "this is what a failing test says")]
    fn show(&self) {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n");
        let stderr = self.text_of("stderr");
        eprintln!("--- stderr of `onitu up`:\n{stderr}\n--- its log:\n{shown}");
        if self.up.is_some() {
            let status = self.run(&["status"]);
            eprintln!("--- status:\n{}", String::from_utf8_lossy(&status.stdout));
        }
    }
}
