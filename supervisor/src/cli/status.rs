//! `onitu status`.

use std::process::ExitCode;

use onitu_core::control::ToCore;

use crate::Context;

/// What may follow `onitu status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Shows it again every second until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let answer = context.core()?.ask(&ToCore::Status)?;
    super::say_json(&answer)?;
    Ok(ExitCode::SUCCESS)
}
