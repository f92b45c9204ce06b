//! `onitu explain`: why a path is where it is.

use std::fmt::Write as _;
use std::process::ExitCode;

use onitu_core::control::{FromCore, ToCore};
use onitu_core::status::{Explanation, HolderStatus};
use onitu_core::{Kind, Path};

use super::render::{Align, Paint, bytes, number, plain, table};
use crate::{Context, connection};

/// What may follow `onitu explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A path inside the tree.
    #[arg(value_parser = super::place::path)]
    path: Path,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    match context.core()?.ask(&ToCore::Explain(args.path.clone()))? {
        FromCore::Explanation(explanation) if args.json => super::say_json(&explanation)?,
        FromCore::Explanation(explanation) => {
            super::say(text(&explanation, Paint::for_stdout()).trim_end())?;
        }
        other => return Err(connection::unexpected(&other).into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn text(explanation: &Explanation, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.heading(&shown(&explanation.path)));
    text.push_str(&content(explanation));
    let _ = explanation.ignored.iter().try_for_each(|why| writeln!(text, "  {}", plain(why)));
    let held: Vec<_> = explanation.holders.iter().map(holder_row).collect();
    section(&mut text, paint, "held by", &table(&[Align::Left; 2], &held));
    let targets: Vec<_> = explanation.targets.iter().map(|name| plain(name)).collect();
    let targets = if targets.is_empty() { "no service".to_owned() } else { targets.join(", ") };
    section(&mut text, paint, "should be on", &targets);
    section(&mut text, paint, "because of", &statements(explanation));
    let pending: String = explanation.pending.iter().fold(String::new(), |mut lines, it| {
        let (service, work) = (plain(&it.service), plain(&it.work));
        let _ = writeln!(lines, "{service}: {work}; {}", plain(&it.reason));
        lines
    });
    let nothing = if pending.is_empty() { "nothing" } else { &pending };
    section(&mut text, paint, "still to do", nothing);
    text
}

fn shown(path: &Path) -> String {
    if path.is_root() { "the root of the tree".to_owned() } else { plain(path.as_str()) }
}

fn content(explanation: &Explanation) -> String {
    let revision = explanation.revision;
    let kind = match explanation.kind {
        None => return "  nothing is known of it\n".to_owned(),
        Some(_) if explanation.gone => {
            return format!("  deleted as revision {revision}, the deletion is on its way\n");
        }
        Some(Kind::File) => "file",
        Some(Kind::Directory) => return format!("  directory, revision {revision}\n"),
        Some(Kind::Symlink) => "symbolic link",
    };
    let exact = match explanation.size {
        size @ 0..1_024 => bytes(size),
        size => format!("{} ({} bytes)", bytes(size), number(size)),
    };
    let checksum = explanation.checksum.as_deref().unwrap_or("not known yet");
    format!("  {kind}, {exact}, revision {revision}, SHA-1 {checksum}\n")
}

fn holder_row(holder: &HolderStatus) -> Vec<String> {
    let what = match holder.revision {
        0 => "another content, which will get a conflict name".to_owned(),
        revision if holder.current => format!("revision {revision}, current"),
        revision => format!("revision {revision}"),
    };
    vec![plain(&holder.service), what]
}

fn statements(explanation: &Explanation) -> String {
    let mut lines = String::new();
    let matching = explanation.statements.iter().filter(|statement| statement.matches);
    for statement in matching {
        let text = plain(&statement.text);
        let _ = match statement.line {
            0 => writeln!(lines, "{text}"),
            line => writeln!(lines, "line {line} of the rules: {text}"),
        };
    }
    if lines.is_empty() { "no statement of the rules matches".to_owned() } else { lines }
}

/// A heading with `lines` indented below it; nothing without lines.
fn section(text: &mut String, paint: Paint, heading: &str, lines: &str) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}", paint.heading(heading));
    for line in lines.lines() {
        let _ = writeln!(text, "  {line}");
    }
}

#[cfg(test)]
mod tests;
