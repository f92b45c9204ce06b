//! `onitu conflicts`: which contents lost their name, and where they are kept.

mod resolve;

use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use onitu_core::Kind;
use onitu_core::control::{FromCore, ToCore};
use onitu_core::status::{ConflictStatus, SideStatus};

use super::render::{Align, bytes, plain, table};
use crate::{Connection, Context, Failure, connection};

/// What may follow `onitu conflicts`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Ends conflicts by keeping one of the two contents, or both.
    Resolve(resolve::Args),
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(Command::Resolve(args)) = &args.command {
        return resolve::run(context, args);
    }
    let conflicts = ask(&mut context.core()?)?;
    if args.json {
        super::say_json(&conflicts)?;
    } else if conflicts.is_empty() {
        super::report("no conflicts");
    } else {
        super::say(text(&conflicts, &TimeZone::system()).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(core: &mut Connection) -> Result<Vec<ConflictStatus>, Failure> {
    match core.ask(&ToCore::Conflicts)? {
        FromCore::Conflicts(conflicts) => Ok(conflicts),
        other => Err(connection::unexpected(&other)),
    }
}

/// A line that says when and between whom, and one for each content; an empty line between two
/// conflicts.
fn text(conflicts: &[ConflictStatus], zone: &TimeZone) -> String {
    let shown = conflicts.iter().map(|conflict| {
        let when = date(&conflict.date, zone);
        let heading = format!("{}: in conflict since {when}", plain(conflict.path.as_str()));
        let of = format!("the content of {}", plain(&conflict.service));
        let rows = [
            row(conflict.path.as_str(), conflict.at_path.as_ref(), "keeps the name", zone),
            row(conflict.kept.as_str(), conflict.at_kept.as_ref(), &of, zone),
        ];
        let columns = [Align::Left, Align::Left, Align::Right, Align::Left, Align::Left];
        format!("{heading}\n{}", table(&columns, &rows))
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn row(path: &str, side: Option<&SideStatus>, what: &str, zone: &TimeZone) -> Vec<String> {
    let mut cells = vec![format!("  {}", plain(path)), what.to_owned()];
    let Some(side) = side else {
        cells.extend([String::new(), "gone".to_owned()]);
        return cells;
    };
    let (length, changed) = match side.kind {
        Kind::Directory => ("directory".to_owned(), String::new()),
        _ => (bytes(side.size), time(side.mtime_ns, zone)),
    };
    let names: Vec<_> = side.services.iter().map(|name| plain(name)).collect();
    let on = if names.is_empty() {
        "nowhere yet".to_owned()
    } else {
        format!("on {}", names.join(", "))
    };
    let edited = if side.edited { ", edited since" } else { "" };
    cells.extend([length, changed, format!("{on}{edited}")]);
    cells
}

/// When a side was changed; nothing where its services keep no times.
fn time(mtime_ns: i64, zone: &TimeZone) -> String {
    if mtime_ns == 0 {
        return String::new();
    }
    Timestamp::from_nanosecond(i128::from(mtime_ns))
        .map_or_else(|_| String::new(), |at| short(at, zone))
}

/// An RFC 3339 date as people in `zone` write it; one that is none stays as it is.
fn date(text: &str, zone: &TimeZone) -> String {
    text.parse::<Timestamp>().map_or_else(|_| plain(text), |at| short(at, zone))
}

fn short(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests;
