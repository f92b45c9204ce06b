//! The peers: one-shot commands, run in the same run on the same file system.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use super::process::children_cpu_s;

/// What a command took.
#[derive(Clone, Copy)]
pub struct Took {
    pub wall: Duration,
    pub cpu_s: f64,
}

/// `cp -a from to`.
pub fn cp(from: &Path, to: &Path) -> anyhow::Result<Took> {
    run("cp", &["-a".as_ref(), from.as_ref(), to.as_ref()])
}

/// `rsync -a --delete from/ to/`.
pub fn rsync(from: &Path, to: &Path) -> anyhow::Result<Took> {
    let (from, to) = (from.join(""), to.join(""));
    run("rsync", &["-a".as_ref(), "--delete".as_ref(), from.as_ref(), to.as_ref()])
}

fn run(program: &str, arguments: &[&OsStr]) -> anyhow::Result<Took> {
    let (since, before) = (Instant::now(), children_cpu_s());
    let status = Command::new(program).args(arguments).status();
    let wall = since.elapsed();
    let status = status.with_context(|| format!("`{program}` can't be run"))?;
    ensure!(status.success(), "`{program}` failed: {status}");
    Ok(Took { wall, cpu_s: children_cpu_s() - before })
}
