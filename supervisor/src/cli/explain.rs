//! `onitu explain`.

use std::process::ExitCode;

use onitu_core::control::ToCore;

use crate::Context;

/// What may follow `onitu explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A path inside the tree.
    path: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let answer = context.core()?.ask(&ToCore::Explain(args.path.parse()?))?;
    super::say_json(&answer)?;
    Ok(ExitCode::SUCCESS)
}
