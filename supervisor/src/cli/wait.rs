//! `onitu wait`.

use std::process::ExitCode;

use onitu_core::control::ToCore;

use crate::Context;

/// What may follow `onitu wait`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long to wait at most.
    #[arg(long, default_value = "60s", value_name = "TIME")]
    timeout: String,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let answer = context.core()?.ask(&ToCore::Settled)?;
    super::say_json(&answer)?;
    Ok(ExitCode::SUCCESS)
}
