//! `onitu tied`: hidden; see [`crate::process::tied`].

use std::ffi::OsString;
use std::process::ExitCode;

use crate::process::tied;

/// What may follow `onitu tied`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process it belongs to.
    #[arg(long, value_name = "PID")]
    parent: u32,
    /// The program and its arguments.
    #[arg(last = true, required = true, num_args = 1..)]
    command: Vec<OsString>,
}

/// Becomes the program.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some((program, arguments)) = args.command.split_first() else {
        anyhow::bail!("no program given");
    };
    match tied::run(args.parent, program, arguments)? {}
}
