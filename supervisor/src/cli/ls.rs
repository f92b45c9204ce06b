//! `onitu ls`: the tree with sizes and holders.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use onitu_core::control::{FromCore, ToCore};
use onitu_core::status::Entry;
use onitu_core::{Kind, Path};

use super::render::{Align, bytes, plain, table};
use crate::{Connection, Context, connection};

/// What may follow `onitu ls`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A path inside the tree; everything when not given.
    #[arg(value_parser = super::place::path)]
    path: Option<Path>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer, page by page.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let mut core = context.core()?;
    let first = core.ask(&ToCore::Ls(args.path.clone().unwrap_or_else(Path::root)))?;
    let mut to = BufWriter::new(std::io::stdout().lock());
    if args.json {
        write_json(&mut to, first, &mut core)?;
    } else {
        write_text(&mut to, first, &mut core)?;
    }
    to.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_text(
    to: &mut impl Write,
    mut answer: FromCore,
    core: &mut Connection,
) -> anyhow::Result<()> {
    while let Some(page) = page(answer)? {
        to.write_all(text(&page).as_bytes())?;
        answer = core.more()?;
    }
    Ok(())
}

fn write_json(
    to: &mut impl Write,
    mut answer: FromCore,
    core: &mut Connection,
) -> anyhow::Result<()> {
    let mut separator = "[\n";
    while let Some(page) = page(answer)? {
        for entry in page {
            write!(to, "{separator}{}", serde_json::to_string(&entry)?)?;
            separator = ",\n";
        }
        answer = core.more()?;
    }
    to.write_all(if separator == ",\n" { b"\n]\n" } else { b"[]\n" })?;
    Ok(())
}

/// The entries of an answer; nothing at the end.
fn page(answer: FromCore) -> anyhow::Result<Option<Vec<Entry>>> {
    match answer {
        FromCore::Entries(page) => Ok(Some(page)),
        FromCore::Done(_) => Ok(None),
        other => Err(connection::unexpected(&other).into()),
    }
}

/// One line an entry: path, size, holders.
fn text(page: &[Entry]) -> String {
    let row = |entry: &Entry| {
        let path = plain(entry.path.as_str());
        let (path, size) = match entry.kind {
            Kind::File => (path, bytes(entry.size)),
            Kind::Directory => (path + "/", String::new()),
            Kind::Symlink => (path + "@", String::new()),
        };
        let holders: Vec<_> = entry.holders.iter().map(|name| plain(name)).collect();
        let holders = if holders.is_empty() { "nobody".to_owned() } else { holders.join(", ") };
        vec![path, size, holders]
    };
    let rows: Vec<_> = page.iter().map(row).collect();
    table(&[Align::Left, Align::Right, Align::Left], &rows)
}

#[cfg(test)]
mod tests;
