//! `onitu conflicts resolve`: ends conflicts, one or many.

use std::collections::BTreeMap;
use std::process::ExitCode;

use onitu_core::Path;
use onitu_core::control::{FromCore, ToCore};
use onitu_core::limits::RESOLVE_MAX;
use onitu_core::resolve::{Keep, Resolution};
use onitu_core::status::ConflictStatus;

use crate::cli::render::{counted, plain};
use crate::{Connection, Context, Failure, cli, connection};

/// A request to the Core is a line of at most 32 KiB, in which a name may be escaped.
const REQUEST_BYTES_MAX: usize = 24 * 1024;
/// Ending many conflicts on a slow service takes its time.
const ANSWER_LIMIT: std::time::Duration = std::time::Duration::from_mins(30);

/// What may follow `onitu conflicts resolve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is in conflict: the path, its copy, or a directory for all conflicts below it.
    #[arg(value_parser = cli::place::path, required_unless_present = "all")]
    path: Vec<Path>,
    /// Which content to go on with: that of a service, the one changed last, or both.
    #[arg(long, value_name = "SERVICE|newest|both", value_parser = keep)]
    keep: Keep,
    /// Every conflict there is.
    #[arg(long, conflicts_with = "path")]
    all: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn keep(text: &str) -> Result<Keep, String> {
    if text.is_empty() { Err("name a service".to_owned()) } else { Ok(Keep::from(text)) }
}

/// Ends what is meant and tells how it went with each.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let core = &mut context.core()?;
    core.set_limit(ANSWER_LIMIT)?;
    let conflicts = super::ask(core)?;
    let (meant, unknown) = if args.all {
        (conflicts.iter().collect(), Vec::new())
    } else {
        meant(&conflicts, &args.path)
    };
    let mut resolutions: Vec<Resolution> = unknown.into_iter().map(no_conflict).collect();
    for batch in batches(&meant) {
        let answers = ask(core, batch, &args.keep)?;
        if !args.json {
            answers.iter().try_for_each(tell)?;
        }
        resolutions.extend(answers);
    }
    let failed = resolutions.iter().filter(|it| it.done.is_none()).count();
    if args.json {
        cli::say_json(&resolutions)?;
    } else {
        for unknown in resolutions.iter().filter(|it| it.done.is_none() && it.path == it.kept) {
            tell(unknown)?;
        }
        cli::report(&summary(resolutions.len(), failed));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The conflicts that `paths` name, each once and in their order, and the paths that name none.
fn meant<'a, 'p>(
    conflicts: &'a [ConflictStatus],
    paths: &'p [Path],
) -> (Vec<&'a ConflictStatus>, Vec<&'p Path>) {
    let is_meant = |conflict: &ConflictStatus, path: &Path| {
        conflict.path.is_within(path) || conflict.kept.is_within(path)
    };
    let found: BTreeMap<&Path, &ConflictStatus> = conflicts
        .iter()
        .filter(|conflict| paths.iter().any(|path| is_meant(conflict, path)))
        .map(|conflict| (&conflict.kept, conflict))
        .collect();
    let unknown = paths.iter().filter(|path| !conflicts.iter().any(|it| is_meant(it, path)));
    (found.into_values().collect(), unknown.collect())
}

fn no_conflict(path: &Path) -> Resolution {
    Resolution {
        path: path.clone(),
        kept: path.clone(),
        done: None,
        message: "no conflict is there; `onitu conflicts` lists them".to_owned(),
    }
}

/// As many conflicts as fit into one request.
fn batches(conflicts: &[&ConflictStatus]) -> Vec<Vec<Path>> {
    let mut batches: Vec<Vec<Path>> = Vec::new();
    let mut bytes = 0;
    for conflict in conflicts {
        // The worst that JSON makes of a control character is six letters.
        let size = conflict.kept.as_str().escape_default().count() + 8;
        match batches.last_mut() {
            Some(batch) if batch.len() < RESOLVE_MAX && bytes + size <= REQUEST_BYTES_MAX => {
                batch.push(conflict.kept.clone());
                bytes += size;
            }
            _ => {
                batches.push(vec![conflict.kept.clone()]);
                bytes = size;
            }
        }
    }
    batches
}

fn ask(core: &mut Connection, kept: Vec<Path>, keep: &Keep) -> Result<Vec<Resolution>, Failure> {
    match core.ask(&ToCore::Resolve { kept, keep: keep.clone() })? {
        FromCore::Resolved(resolutions) => Ok(resolutions),
        other => Err(connection::unexpected(&other)),
    }
}

/// What was done goes to stdout, what was not to stderr.
fn tell(resolution: &Resolution) -> std::io::Result<()> {
    let path = plain(resolution.path.as_str());
    let told = format!("{path}: {}", plain(&resolution.message));
    if resolution.done.is_some() {
        return cli::say(told);
    }
    cli::report(&format!("error: {told}"));
    Ok(())
}

fn summary(count: usize, failed: usize) -> String {
    let ended = (count - failed) as u64;
    let ended = format!("{} ended", counted(ended, "conflict"));
    match failed {
        0 => ended,
        failed => format!("{ended}, {failed} not"),
    }
}

#[cfg(test)]
mod tests;
