//! `onitu check`: validates the configuration.

use std::path::Path;
use std::process::ExitCode;

use onitu_core::entries::{Diagnostic, Severity};
use serde::Serialize;

use crate::context::Configuration;
use crate::{Context, Failure};

/// What may follow `onitu check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// `onitu check --json`. Holds no option of a service, so no secret.
#[derive(Debug, Serialize)]
struct Report<'a> {
    config: &'a Path,
    fine: bool,
    services: Vec<Service<'a>>,
    problems: Vec<Problem<'a>>,
}

#[derive(Debug, Serialize)]
struct Service<'a> {
    name: &'a str,
    driver: &'a str,
    mode: onitu_core::Mode,
}

#[derive(Debug, Serialize)]
struct Problem<'a> {
    severity: &'static str,
    file: &'a Path,
    /// From 1; nothing when it concerns the whole.
    line: Option<usize>,
    /// In letters, from 1.
    column: Option<usize>,
    message: &'a str,
    hints: &'a [String],
}

/// Prints that all is well, or every problem.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let configuration = context.check()?;
    if args.json {
        super::say_json(&report(&configuration))?;
        let fine = configuration.checked.entries.is_some();
        return Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(crate::BAD_CONFIGURATION) });
    }
    let rendered = configuration.render(super::color_on_stderr());
    let Some(entries) = &configuration.checked.entries else {
        return Err(Failure::bad_configuration(rendered).into());
    };
    if !rendered.is_empty() {
        super::report(&rendered);
    }
    let names: Vec<_> = entries.services.iter().map(|service| service.name.as_str()).collect();
    super::say(format_args!(
        "{} is fine: {} service{} ({})",
        configuration.file.display(),
        names.len(),
        if names.len() == 1 { "" } else { "s" },
        names.join(", ")
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn report(configuration: &Configuration) -> Report<'_> {
    let entries = configuration.checked.entries.as_ref();
    let services = entries.map(|entries| entries.services.as_slice()).unwrap_or_default();
    Report {
        config: &configuration.file,
        fine: entries.is_some(),
        services: services
            .iter()
            .map(|it| Service { name: &it.name, driver: &it.driver, mode: it.mode })
            .collect(),
        problems: configuration
            .checked
            .problems
            .iter()
            .map(|it| problem(it, &configuration.text))
            .collect(),
    }
}

fn problem<'a>(diagnostic: &'a Diagnostic, text: &str) -> Problem<'a> {
    let text = diagnostic.source.as_deref().unwrap_or(text);
    let start = diagnostic.span.as_ref().map(|span| span.start);
    let before = start.and_then(|start| text.get(..start));
    let last_line =
        |before: &str| before.rsplit('\n').next().map_or(0, |line| line.chars().count());
    Problem {
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        file: &diagnostic.file,
        line: before.map(|before| before.matches('\n').count() + 1),
        column: before.map(|before| last_line(before) + 1),
        message: &diagnostic.message,
        hints: &diagnostic.hints,
    }
}
