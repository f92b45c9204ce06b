//! `onitu plan`: what rules would change.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use onitu_core::control::{FromCore, ToCore};
use onitu_core::plan::{Plan, PlanQuestion, ServicePlan, Share};

use super::render::{Align, Paint, bytes, counted, plain, table};
use crate::{Context, Failure, connection};

/// What may follow `onitu plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rules to try instead of those in force.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let rules = args.rules.as_ref().map(|file| {
        let text = std::fs::read_to_string(file);
        let text = text
            .map_err(|error| Failure::failed(format!("can't read `{}`: {error}", file.display())));
        text.map(|text| (file.display().to_string(), text))
    });
    let question = PlanQuestion { rules: rules.transpose()? };
    let mut core = context.core()?;
    core.set_limit(super::trash::ANSWER_LIMIT)?;
    match core.ask(&ToCore::Plan(question))? {
        FromCore::Plan(plan) => {
            if plan.waits_for_reload {
                super::report(
                    "note: this is about the rules in force; the configuration has others by now: run \
                     `onitu reload` first, or look at them by `onitu plan --rules FILE`",
                );
            }
            if args.json {
                super::say_json(&plan)?;
            } else {
                super::say(text(&plan, Paint::for_stdout()).trim_end())?;
            }
        }
        other => return Err(connection::unexpected(&other).into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn text(plan: &Plan, paint: Paint) -> String {
    let mut text = String::new();
    for service in &plan.services {
        let rows = rows(service);
        if !rows.is_empty() {
            let _ = writeln!(text, "{}", paint.heading(&plain(&service.name)));
            text.push_str(&table(&[Align::Left, Align::Right, Align::Left], &rows));
        }
    }
    if text.is_empty() {
        text.push_str("no file is copied, renamed or removed\n");
    }
    for (share, what) in [
        (&plan.one_copy, "will have one copy only"),
        (&plan.unplaced, "no statement places: they stay where they are"),
        (
            &plan.forgotten,
            "are excluded: they stay where they are, and nobody looks at them any more",
        ),
    ] {
        if share.files > 0 {
            let _ = writeln!(text, "{} {what} ({})", counted(share.files, "file"), examples(share));
        }
    }
    if plan.pending > 0 {
        let changes = counted(plan.pending, "change");
        let _ = writeln!(text, "{changes} under way: it may come out otherwise when they are done");
    }
    let _ = writeln!(text, "{}", next(plan));
    text
}

fn rows(service: &ServicePlan) -> Vec<Vec<String>> {
    let shares =
        [(&service.copied, "gets"), (&service.renamed, "renames"), (&service.removed, "removes")];
    let mut rows: Vec<Vec<String>> = shares
        .into_iter()
        .filter(|(share, _)| share.files > 0)
        .map(|(share, verb)| {
            let count = format!("{verb} {}", counted(share.files, "file"));
            vec![format!("  {count}"), bytes(share.bytes), examples(share)]
        })
        .collect();
    if service.directories > 0 {
        let count =
            counted(service.directories, "empty directory").replace("directorys", "directories");
        rows.push(vec![format!("  removes {count}"), String::new(), String::new()]);
    }
    rows
}

/// The first paths of a share.
fn examples(share: &Share) -> String {
    let shown: Vec<String> = share.examples.iter().map(|path| plain(path.as_str())).collect();
    let more = if share.files > shown.len() as u64 { " …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// What a person may do about it.
fn next(plan: &Plan) -> String {
    let id = &plan.id;
    match (plan.in_force, plan.removals()) {
        (true, 0) => format!("plan {id}: nothing waits for `onitu apply`"),
        (true, _) => format!(
            "plan {id}: `onitu apply {id}` has what is to be removed removed, each file once every service that should have it does"
        ),
        (false, 0) => format!("plan {id}: nothing would wait for `onitu apply`"),
        (false, _) => format!(
            "plan {id}: once these rules are the configuration's and reloaded, `onitu apply {id}` has the rest removed"
        ),
    }
}

#[cfg(test)]
mod tests;
