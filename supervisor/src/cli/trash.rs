//! `onitu trash list`: what Onitu removed or replaced and still keeps.

use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use jiff::tz::TimeZone;
use onitu_core::Path;
use onitu_core::control::{FromCore, ToCore};
use onitu_core::trash::{TrashQuestion, TrashedStatus, Why};

use super::render::{Align, bytes, plain, table};
use super::time::shown;
use crate::{Context, connection};

/// A service's answer may take so long: a disk that sleeps has to wake up.
pub const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// What may follow `onitu trash`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists it, the newest first.
    List(List),
}

/// What may follow `onitu trash list`.
#[derive(Debug, clap::Args)]
struct List {
    /// Only what stood at this path or below it.
    #[arg(value_parser = super::place::path)]
    path: Option<Path>,
    /// Only the trash of this service.
    #[arg(long)]
    service: Option<String>,
    /// At most so many lines.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer, page by page.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let Command::List(args) = &args.command;
    let below = args.path.clone().unwrap_or_else(Path::root);
    let question = TrashQuestion { below, service: args.service.clone(), limit: args.limit };
    let mut core = context.core()?;
    core.set_limit(ANSWER_LIMIT)?;
    let mut answer = core.ask(&ToCore::Trash(question))?;
    let mut to = BufWriter::new(std::io::stdout().lock());
    let mut separator = "[\n";
    let mut is_empty = true;
    let notes = loop {
        let page = match answer {
            FromCore::Trash(page) => page,
            FromCore::Done(notes) => break notes,
            other => return Err(connection::unexpected(&other).into()),
        };
        is_empty &= page.is_empty();
        if args.json {
            for line in &page {
                write!(to, "{separator}{}", serde_json::to_string(line)?)?;
                separator = ",\n";
            }
        } else {
            to.write_all(text(&page, &TimeZone::system()).as_bytes())?;
        }
        answer = core.more()?;
    };
    if args.json {
        to.write_all(if is_empty { b"[]\n" } else { b"\n]\n" })?;
    }
    to.flush()?;
    if is_empty && !args.json {
        super::report("nothing is in the trash");
    }
    if !notes.is_empty() {
        super::report(&notes);
    }
    Ok(ExitCode::SUCCESS)
}

/// One line a thing: when, how large, whose, what, why.
fn text(page: &[TrashedStatus], zone: &TimeZone) -> String {
    let row = |line: &TrashedStatus| {
        let why = match line.why {
            Why::Removed => "removed",
            Why::Replaced => "replaced",
            Why::Restored => "gave way to a restored one",
            Why::Unknown => "",
        };
        vec![
            shown(&line.date, zone),
            bytes(line.size),
            plain(&line.service),
            plain(line.path.as_str()),
            why.to_owned(),
        ]
    };
    let rows: Vec<_> = page.iter().map(row).collect();
    table(&[Align::Left, Align::Right, Align::Left, Align::Left, Align::Left], &rows)
}

#[cfg(test)]
mod tests {
    use onitu_core::Kind;

    use super::*;

    #[test]
    fn the_trash_for_a_person() {
        let line = |path: &str, size, why| TrashedStatus {
            service: "nas".to_owned(),
            path: Path::new(path).expect("legal"),
            kind: Kind::File,
            size,
            mtime_ns: 0,
            date: "2026-11-22T15:06:07.25Z".to_owned(),
            why,
        };
        let page = [
            line("notes.txt", 1_536, Why::Removed),
            line("a/b", 7, Why::Replaced),
            line("c", 0, Why::Restored),
            line("d\n", 0, Why::Unknown),
        ];
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        insta::assert_snapshot!(text(&page, &zone), @r"
        2026-11-22 16:06:07  1.5 KiB  nas  notes.txt  removed
        2026-11-22 16:06:07      7 B  nas  a/b        replaced
        2026-11-22 16:06:07      0 B  nas  c          gave way to a restored one
        2026-11-22 16:06:07      0 B  nas  d\n
        ");
    }
}
