//! `onitu approve`: decides about what the safety brake holds.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write as _};
use std::process::ExitCode;

use onitu_core::control::{FromCore, ToCore};
use onitu_core::held::{Approval, HeldChange, HeldDirectory, HeldPath, Review, Verdict};

use super::render::{Align, bytes, counted, number, plain, table};
use crate::{Connection, Context, Failure, connection};

/// What may follow `onitu approve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The service that is held.
    service: String,
    /// It was a mistake: brings the files back on the service that lost them.
    #[arg(long)]
    reject: bool,
    /// Doesn't ask; nor is asked where there is no terminal.
    #[arg(short, long)]
    yes: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What was decided, as JSON.
#[derive(serde::Serialize)]
struct Decision<'a> {
    service: &'a str,
    /// [`None`] if the person said no.
    verdict: Option<Verdict>,
    #[serde(flatten)]
    review: &'a Review,
}

/// Shows what is held, asks, and has it done or undone.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let mut core = context.core()?;
    let verdict = if args.reject { Verdict::Reject } else { Verdict::Approve };
    let review = review(&mut core, &args.service)?;
    let asks = !args.yes && std::io::stdin().is_terminal();
    if !args.json {
        super::say(text(&args.service, verdict, &review).trim_end())?;
    }
    let is_agreed = !asks || ask()?;
    if is_agreed {
        // Who was shown a number decides about no more than that.
        let approval = Approval { verdict: Some(verdict), seen: asks.then_some(review.held) };
        let done = core.order(&ToCore::Approve(args.service.clone(), approval))?;
        super::report(&done);
    } else {
        super::report("nothing was decided: it stays held");
    }
    if args.json {
        let verdict = is_agreed.then_some(verdict);
        super::say_json(&Decision { service: &args.service, verdict, review: &review })?;
    }
    Ok(if is_agreed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn review(core: &mut Connection, service: &str) -> Result<Review, Failure> {
    match core.ask(&ToCore::Approve(service.to_owned(), Approval::default()))? {
        FromCore::Held(review) => Ok(*review),
        other => Err(connection::unexpected(&other)),
    }
}

fn ask() -> std::io::Result<bool> {
    let mut to = std::io::stderr().lock();
    write!(to, "Go on? [y/N] ")?;
    to.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// What is held and what the decision does about it.
fn text(service: &str, verdict: Verdict, review: &Review) -> String {
    let name = plain(service);
    let mut text = String::new();
    let of = number(review.held.of);
    let removed = (review.held.removed, review.removed_bytes, "removed");
    let changed = (review.held.changed, review.changed_bytes, "overwritten");
    for (count, size, what) in [removed, changed].into_iter().filter(|(count, ..)| *count > 0) {
        let (count, size) = (number(count), bytes(size));
        let _ = writeln!(text, "{count} of {of} files were {what} on `{name}` ({size}).");
    }
    let _ = writeln!(text, "{}\n", consequence(&name, verdict, review));
    if review.directories.iter().any(|it| !it.path.is_root()) {
        let _ = writeln!(text, "{}", directories(review));
    }
    text.push_str(&sample(review));
    let all = review.held.removed + review.held.changed;
    let more = all.saturating_sub(review.sample.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "  … and {} more", number(more));
    }
    text
}

fn directories(review: &Review) -> String {
    let row = |it: &HeldDirectory| {
        let path = match it.path.as_str() {
            "" => "in no directory".to_owned(),
            path => format!("{}/", plain(path)),
        };
        vec![format!("  {path}"), counted(it.files, "file")]
    };
    let rows: Vec<_> = review.directories.iter().map(row).collect();
    table(&[Align::Left, Align::Right], &rows)
}

fn sample(review: &Review) -> String {
    let row = |it: &HeldPath| {
        let what = match it.change {
            HeldChange::Removed => "removed",
            HeldChange::Changed => "overwritten",
        };
        vec![format!("  {what}"), bytes(it.size), plain(it.path.as_str())]
    };
    let rows: Vec<_> = review.sample.iter().map(row).collect();
    table(&[Align::Left, Align::Right, Align::Left], &rows)
}

fn consequence(name: &str, verdict: Verdict, review: &Review) -> String {
    let mut parts = Vec::new();
    match verdict {
        Verdict::Approve => {
            if review.held.removed > 0 {
                let what = "what was removed is removed on every other service too (into its \
                            trash, where it has one)";
                parts.push(what.to_owned());
            }
            if review.held.changed > 0 {
                parts.push("the new contents go to every other service".to_owned());
            }
        }
        Verdict::Reject => {
            if review.held.removed > 0 {
                parts.push(format!("what was removed is brought back to `{name}`"));
            }
            if review.held.changed > 0 {
                parts.push(format!(
                    "the new contents go to the trash of `{name}`, and the former ones are \
                     brought back"
                ));
            }
        }
    }
    let word = match verdict {
        Verdict::Approve => "Approving",
        Verdict::Reject => "Rejecting",
    };
    format!("{word} means: {}.", parts.join("; "))
}

#[cfg(test)]
mod tests;
