//! `onitu pause`.

use std::process::ExitCode;

use onitu_core::control::ToCore;

use crate::Context;

/// What may follow `onitu pause`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The service; all of them when not given.
    service: Option<String>,
}

/// Asks the Core to pause.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    super::report(&context.core()?.order(&ToCore::Pause(args.service.clone()))?);
    Ok(ExitCode::SUCCESS)
}
