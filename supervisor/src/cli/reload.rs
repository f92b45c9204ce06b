//! `onitu reload`.

use std::process::ExitCode;

use onitu_core::control::ToCore;

use crate::Context;

/// What may follow `onitu reload`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Asks the Core to read the configuration again.
pub fn run(context: &Context, _args: &Args) -> anyhow::Result<ExitCode> {
    super::report(&context.core()?.order(&ToCore::Reload)?);
    Ok(ExitCode::SUCCESS)
}
