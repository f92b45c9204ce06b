//! How every process is started: tied to its parent.
//!
//! `onitu tied --parent PID -- PROGRAM ARGS…` asks the kernel to kill it when the thread that
//! started it ends, leaves the terminal's process group (so that Ctrl-C reaches the supervisor
//! alone, which stops the others in order), and becomes the program. The tie survives that, so no
//! orphan is left even after `kill -9` of the supervisor.
//!
//! The kernel means the *thread*: processes must be started from the main thread.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context as _;
use rustix::process::{Pid, Signal};

/// Ties this process to `parent` and becomes the program; returns only when that fails.
///
/// # Errors
///
/// When the parent is gone already or the program can't be started.
pub fn run(parent: u32, program: &OsString, arguments: &[OsString]) -> anyhow::Result<Infallible> {
    // Not SIGTERM: a process that hangs would stay. None of ours loses anything by it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("can't be tied to its parent")?;
    // It may have ended before the line above.
    let now = rustix::process::getppid().map_or(0, Pid::as_raw_pid);
    anyhow::ensure!(u32::try_from(now) == Ok(parent), "its parent, process {parent}, is gone");
    // It leads a group of its own already when it was started that way.
    let _ = rustix::process::setpgid(None, None);
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("can't start `{}`", program.to_string_lossy()))
}
