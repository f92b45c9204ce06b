//! `onitu reload`.

use std::process::ExitCode;

use onitu_core::control::ToCore;

use crate::Context;

/// What may follow `onitu reload`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core to read the configuration again.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let said = context.core()?.order(&ToCore::Reload)?;
    super::done(&said, args.json)?;
    Ok(ExitCode::SUCCESS)
}
