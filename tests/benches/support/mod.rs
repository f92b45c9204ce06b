//! What the benchmarks of the whole share: a place, a running Onitu, its peers, a table.
//!
//! Each benchmark measures Onitu and its peers in the same run, on the same file system. Nothing
//! here judges a duration: figures are for people.
#![allow(dead_code, reason = "each benchmark uses a part")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

pub mod house;
pub mod peer;
pub mod place;
pub mod process;
pub mod records;
pub mod redis;
pub mod report;
pub mod tree;

use std::process::ExitCode;
use std::str::FromStr;

use report::Report;

/// Runs the benchmark `name` and shows what it measured.
pub fn main(name: &str, run: impl FnOnce(&mut Report) -> anyhow::Result<()>) -> ExitCode {
    let mut report = Report::new(name);
    let ended = run(&mut report).and_then(|()| report.show());
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The number in the environment's `ONITU_BENCH_{name}`, else `default`.
pub fn wanted<T: FromStr>(name: &str, default: T) -> T {
    let told = std::env::var(format!("ONITU_BENCH_{name}")).ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(default)
}
