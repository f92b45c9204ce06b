//! `onitu conflicts`: which contents lost their name, and where they are kept.

use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use onitu_core::control::{FromCore, ToCore};
use onitu_core::status::ConflictStatus;

use super::render::{Align, plain, table};
use crate::{Context, connection};

/// What may follow `onitu conflicts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    match context.core()?.ask(&ToCore::Conflicts)? {
        FromCore::Conflicts(conflicts) if args.json => super::say_json(&conflicts)?,
        FromCore::Conflicts(conflicts) if conflicts.is_empty() => super::report("no conflicts"),
        FromCore::Conflicts(conflicts) => {
            super::say(text(&conflicts, &TimeZone::system()).trim_end())?;
        }
        other => return Err(connection::unexpected(&other).into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// One line a conflict: when, whose content, of which path, kept where.
fn text(conflicts: &[ConflictStatus], zone: &TimeZone) -> String {
    let row = |conflict: &ConflictStatus| {
        vec![
            date(&conflict.date, zone),
            plain(&conflict.service),
            plain(conflict.path.as_str()),
            format!("kept as {}", plain(conflict.kept.as_str())),
        ]
    };
    let rows: Vec<_> = conflicts.iter().map(row).collect();
    table(&[Align::Left; 4], &rows)
}

/// An RFC 3339 date as people in `zone` write it; one that is none stays as it is.
fn date(text: &str, zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => plain(text),
    }
}

#[cfg(test)]
mod tests {
    use onitu_core::Path;

    use super::*;

    fn conflict(path: &str, kept: &str, date: &str) -> ConflictStatus {
        ConflictStatus {
            path: Path::new(path).expect("legal"),
            kept: Path::new(kept).expect("legal"),
            service: "nas".to_owned(),
            date: date.to_owned(),
        }
    }

    #[test]
    fn conflicts_for_a_person() {
        let conflicts = [
            conflict("a.txt", "a (conflict nas a9993e3).txt", "2026-11-22T15:06:00.25Z"),
            conflict("d/long name", "d/long name (conflict nas 1234567)", "yesterday"),
        ];
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        insta::assert_snapshot!(text(&conflicts, &zone), @r"
        2026-11-22 16:06  nas  a.txt        kept as a (conflict nas a9993e3).txt
        yesterday         nas  d/long name  kept as d/long name (conflict nas 1234567)
        ");
    }
}
