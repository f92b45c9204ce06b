//! `onitu apply`: has what a plan lists removed.

use std::process::ExitCode;

use onitu_core::control::ToCore;

use crate::Context;

/// What may follow `onitu apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As `onitu plan` told it.
    id: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core, which refuses if the plan doesn't come out the same any more.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let mut core = context.core()?;
    core.set_limit(super::trash::ANSWER_LIMIT)?;
    let said = core.order(&ToCore::Apply(args.id.clone()))?;
    super::done(&said, args.json)?;
    Ok(ExitCode::SUCCESS)
}
