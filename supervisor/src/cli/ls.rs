//! `onitu ls`.

use std::process::ExitCode;

use onitu_core::control::ToCore;

use crate::Context;

/// What may follow `onitu ls`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A path inside the tree; everything when not given.
    path: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let answer = context
        .core()?
        .ask(&ToCore::Ls(onitu_core::Path::new(args.path.as_deref().unwrap_or_default())?))?;
    super::say_json(&answer)?;
    Ok(ExitCode::SUCCESS)
}
