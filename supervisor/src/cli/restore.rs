//! `onitu restore`: puts back what Onitu removed or replaced.

use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use onitu_core::Path;
use onitu_core::control::{FromCore, ToCore};
use onitu_core::trash::{RestoreOutcome, RestoreQuestion, RestoredStatus};

use super::render::{counted, plain};
use super::time::shown;
use super::trash::ANSWER_LIMIT;
use crate::{Context, connection};

/// Most lines that are shown one by one.
const LINES_MAX: u64 = 100;

/// What may follow `onitu restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, or directories with everything that was in them.
    #[arg(value_parser = super::place::path, required = true, value_name = "PATH")]
    paths: Vec<Path>,
    /// As it was then: `2026-11-22T15:06:00Z`, `2026-11-22 15:06`, `2026-11-22`, `yesterday`,
    /// `2 hours ago`; what went last when not given.
    #[arg(long, value_parser = super::time::time, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Only from the trash of this service.
    #[arg(long)]
    service: Option<String>,
    /// To this path, where nothing stands, instead of its own.
    #[arg(long, value_parser = super::place::path, value_name = "PATH")]
    to: Option<Path>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer. Exits with 1 if something could not be put back.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    if args.to.is_some() && args.paths.len() > 1 {
        anyhow::bail!("`--to` takes one path: restore the others by commands of their own");
    }
    let at_ms = args.at.map(|at| u64::try_from(at.as_millisecond()).unwrap_or(0));
    let question = RestoreQuestion {
        paths: args.paths.clone(),
        at_ms,
        service: args.service.clone(),
        to: args.to.clone(),
    };
    let mut core = context.core()?;
    core.set_limit(ANSWER_LIMIT * 60)?;
    let mut answer = core.ask(&ToCore::Restore(question))?;
    let zone = TimeZone::system();
    let (mut all, mut good, mut bad) = (Vec::new(), 0, 0);
    let notes = loop {
        let page = match answer {
            FromCore::Restored(page) => page,
            FromCore::Done(notes) => break notes,
            other => return Err(connection::unexpected(&other).into()),
        };
        for one in page {
            let is_bad = one.outcome == RestoreOutcome::Failed;
            let count = if is_bad { &mut bad } else { &mut good };
            *count += 1;
            if args.json {
                all.push(one);
            } else if is_bad {
                super::report(&line(&one, &zone));
            } else if *count <= LINES_MAX {
                super::say(line(&one, &zone))?;
            }
        }
        answer = core.more()?;
    };
    if args.json {
        super::say_json(&all)?;
    } else if good > LINES_MAX {
        super::say(format!("and {} more", counted(good - LINES_MAX, "path")))?;
    }
    if !notes.is_empty() {
        super::report(&notes);
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of one path, as a sentence.
fn line(one: &RestoredStatus, zone: &TimeZone) -> String {
    let (path, to) = (plain(one.path.as_str()), plain(one.to.as_str()));
    let what = if path == to { format!("`{path}`") } else { format!("`{path}` as `{to}`") };
    let from = match (&one.service, &one.date) {
        (Some(service), Some(date)) => {
            format!(" from the trash of `{}` of {}", plain(service), shown(date, zone))
        }
        _ => String::new(),
    };
    match one.outcome {
        RestoreOutcome::Placed => format!("restored {what}{from}"),
        RestoreOutcome::Replaced => {
            format!("restored {what}{from}; what stood there is in the trash now")
        }
        RestoreOutcome::Present => {
            format!("{what} has not changed since: what stands there now stood there then")
        }
        RestoreOutcome::Failed => {
            // Lines of a message are the Core's own; names in it are shown as they are.
            let message = one.message.as_deref().unwrap_or("it could not be restored");
            let lines: Vec<String> = message.lines().map(plain).collect();
            format!("error: {}", lines.join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_it_for_a_person() {
        let one = |to: &str, outcome, message: Option<&str>| RestoredStatus {
            path: Path::new("d/a").expect("legal"),
            to: Path::new(to).expect("legal"),
            service: Some("nas".to_owned()),
            date: Some("2026-11-22T15:06:07Z".to_owned()),
            outcome,
            message: message.map(str::to_owned),
        };
        let all = [
            one("d/a", RestoreOutcome::Placed, None),
            one("b", RestoreOutcome::Placed, None),
            one("d/a", RestoreOutcome::Replaced, None),
            one("d/a", RestoreOutcome::Present, None),
            one("d/a", RestoreOutcome::Failed, Some("no trash has `d/a`\nhint: it exists, on `b`")),
        ];
        let lines: Vec<_> = all.iter().map(|one| line(one, &TimeZone::UTC)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        restored `d/a` from the trash of `nas` of 2026-11-22 15:06:07
        restored `d/a` as `b` from the trash of `nas` of 2026-11-22 15:06:07
        restored `d/a` from the trash of `nas` of 2026-11-22 15:06:07; what stood there is in the trash now
        `d/a` has not changed since: what stands there now stood there then
        error: no trash has `d/a`
        hint: it exists, on `b`
        ");
    }
}
