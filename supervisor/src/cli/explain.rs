//! `onitu explain`: why a path is where it is.

use std::fmt::Write as _;
use std::process::ExitCode;

use onitu_core::control::{FromCore, Supposed, ToCore};
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
    /// Supposes that it has so many bytes (10 MB, 4 KiB, 12345).
    #[arg(long, value_name = "SIZE", value_parser = super::place::size)]
    size: Option<u64>,
    /// Supposes that it was modified so long ago (90 days, 36 h).
    #[arg(long, value_name = "AGE", value_parser = super::place::age_s)]
    age: Option<u64>,
    /// Supposes that it was first seen on this service.
    #[arg(long, value_name = "SERVICE")]
    from: Option<String>,
    /// Supposes that it is of this media type (image/png).
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Asks the Core and shows its answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let supposed = Supposed {
        path: args.path.clone(),
        size: args.size,
        age_s: args.age,
        from: args.from.clone(),
        media: args.r#type.clone(),
    };
    match context.core()?.ask(&ToCore::Explain(Box::new(supposed)))? {
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
    let targets = match (&explanation.ignored, explanation.excluded) {
        (Some(_), _) => "no service: it is ignored".to_owned(),
        (None, true) => "no service: it is excluded".to_owned(),
        (None, false) => targets,
    };
    section(&mut text, paint, "should be on", &targets);
    if let Some(only) = &explanation.only {
        let only: Vec<_> = only.iter().map(|name| plain(name)).collect();
        let only = if only.is_empty() { "no service".to_owned() } else { only.join(", ") };
        section(&mut text, paint, "may be held only by", &only);
    }
    let placing =
        if explanation.ignored.is_some() { "if it weren't, because of" } else { "because of" };
    section(&mut text, paint, placing, &statements(explanation));
    let pending: String = explanation.pending.iter().fold(String::new(), |mut lines, it| {
        let (service, work) = (plain(&it.service), plain(&it.work));
        let since = it.since_ms.map(|at_ms| format!(" (since {})", super::time::at_ms(at_ms)));
        let (reason, since) = (plain(&it.reason), since.unwrap_or_default());
        let _ = writeln!(lines, "{service}: {work}; {reason}{since}");
        lines
    });
    let nothing = if pending.is_empty() { "nothing" } else { &pending };
    section(&mut text, paint, "still to do", nothing);
    let unable: String = explanation.unable.iter().fold(String::new(), |mut lines, it| {
        let _ = writeln!(lines, "{}: {}", plain(&it.service), plain(&it.reason));
        lines
    });
    section(&mut text, paint, "can't be kept on", &unable);
    if let Some(at_ms) = explanation.changes_at_ms {
        let when = super::time::at_ms(at_ms);
        section(&mut text, paint, "its age changes this", &when);
    }
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
    let media = match explanation.media.as_deref() {
        None if explanation.kind == Some(Kind::Symlink) => String::new(),
        None => ", type not known".to_owned(),
        Some("") => ", of no known type".to_owned(),
        Some(media) => format!(", {}", plain(media)),
    };
    format!("  {kind}{media}, {exact}, revision {revision}, SHA-1 {checksum}\n")
}

fn holder_row(holder: &HolderStatus) -> Vec<String> {
    let what = match holder.revision {
        0 => "another content, which will get a conflict name".to_owned(),
        revision if holder.leaving => format!("revision {revision}, is removing it"),
        revision if holder.current => format!("revision {revision}, current"),
        revision => format!("revision {revision}"),
    };
    vec![plain(&holder.service), what]
}

fn statements(explanation: &Explanation) -> String {
    let mut lines = String::new();
    let place = |line: usize| match &explanation.rules_file {
        Some(file) => format!("{}:{line}", plain(file)),
        None => format!("line {line} of the rules"),
    };
    let matching = explanation.statements.iter().filter(|statement| statement.matches);
    for statement in matching {
        let text = plain(&statement.text);
        let _ = match statement.line {
            0 => writeln!(lines, "{text}"),
            line => writeln!(lines, "{}: {text}", place(line)),
        };
    }
    if lines.is_empty() {
        lines.push_str("no statement of the rules matches\n");
    }
    for statement in &explanation.statements {
        if let Some(unmet) = &statement.unmet {
            let (place, text) = (place(statement.line), plain(&statement.text));
            let _ = writeln!(lines, "not {place}: {text}; not met: {}", plain(unmet));
        }
    }
    lines
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
