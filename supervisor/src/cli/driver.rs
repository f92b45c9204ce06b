//! `onitu driver test`: runs the conformance suite and rounds of chaos against an installed driver.
//!
//! The suite is a program of its own, `onitu-conformance`, beside this one: who never writes a
//! driver needn't have it. It reads the rest of the command line itself.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::{Context, Failure};

/// The suite's program.
const SUITE: &str = "onitu-conformance";

/// What may follow `onitu driver`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Runs the conformance suite and rounds of chaos against an installed driver.
    #[command(disable_help_flag = true)]
    Test {
        /// The driver, and options: `onitu driver test --help` lists them.
        #[arg(
            value_name = "NAME",
            required = true,
            num_args = 1..,
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        arguments: Vec<OsString>,
    },
}

/// Becomes the suite's program.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let Subcommand::Test { arguments } = &args.command;
    let Some(program) = context.places().program(SUITE) else {
        let text = format!(
            "the suite `{SUITE}` isn't installed beside `onitu`\n\
             hint: `make install` puts it there"
        );
        return Err(Failure::failed(text).into());
    };
    let error = Command::new(&program).args(arguments).exec();
    let text = format!("`{}` can't be started: {error}", program.display());
    Err(Failure::failed(text).into())
}
