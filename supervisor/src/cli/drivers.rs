//! `onitu drivers`: what is installed.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use onitu_core::drivers::Installed;
use onitu_core::manifest::{Abilities, Manifest, OptionKind, OptionSpec};
use serde::Serialize;

use crate::Context;

/// What may follow `onitu drivers`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// One element of `onitu drivers --json`.
#[derive(Debug, Serialize)]
struct Driver {
    name: String,
    program: PathBuf,
    #[serde(flatten)]
    manifest: Option<Described>,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Described {
    version: String,
    description: String,
    protocol: u8,
    abilities: Abilities,
    options: Vec<OptionSpec>,
}

/// Lists every driver beside the program or on `PATH`. One that hangs or answers rubbish is told like
/// the others, after some seconds at most.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let installed = context.places().installed();
    if args.json {
        let drivers: Vec<_> = installed.into_iter().map(driver).collect();
        super::say_json(&drivers)?;
        return Ok(ExitCode::SUCCESS);
    }
    if installed.is_empty() {
        super::report("no driver is installed beside `onitu` or on `PATH`");
    }
    let texts: Vec<_> = installed.iter().map(text).collect();
    super::say(texts.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn driver(installed: Installed) -> Driver {
    let Installed { name, program, manifest } = installed;
    let (manifest, error) = match manifest {
        Ok(manifest) => (Some(described(manifest)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Driver { name, program, manifest, error }
}

fn described(manifest: Manifest) -> Described {
    let Manifest { version, description, protocol, abilities, options, .. } = manifest;
    Described { version, description, protocol, abilities, options }
}

fn text(installed: &Installed) -> String {
    let Installed { name, program, manifest } = installed;
    let program = program.display();
    match manifest {
        Err(error) => format!("{name}  broken: {error}\n  {program}\n"),
        Ok(manifest) => {
            let mut text = format!(
                "{name} {}  {}\n  {program}\n  {}\n",
                manifest.version,
                manifest.description,
                abilities(manifest.abilities)
            );
            for option in &manifest.options {
                // Writing to a text never fails.
                let _ = writeln!(text, "  {}  {}", option_form(option), option.help);
            }
            text
        }
    }
}

fn option_form(option: &OptionSpec) -> String {
    let kind = match option.kind {
        OptionKind::Text => "text",
        OptionKind::Integer => "whole number",
        OptionKind::Boolean => "true or false",
        OptionKind::Folder => "folder",
        OptionKind::File => "file",
        OptionKind::Secret => "secret",
    };
    let need = match (&option.default, option.required) {
        (_, true) => ", required".to_owned(),
        (Some(default), false) => format!(", default {default}"),
        (None, false) => String::new(),
    };
    format!("{} ({kind}{need})", option.name)
}

/// What it can do, and what the engine works around, in words.
fn abilities(abilities: Abilities) -> String {
    let all = [
        (abilities.rename, "renames in place", "no renames: content is sent again"),
        (abilities.mtime, "keeps mtime", "no mtime"),
        (abilities.executable, "keeps the executable bit", "no executable bit"),
        (abilities.directories, "keeps empty directories", "no empty directories"),
        (abilities.symlinks, "keeps symbolic links", "no symbolic links"),
        (abilities.tag_survives_rename, "knows renamed files again", "takes renamed files for new"),
        (abilities.exact_names, "exact names", "no exact names: `a` and `A` are one"),
        (abilities.trash, "keeps a trash", "no trash"),
    ];
    let told = |wanted: bool| -> Vec<&str> {
        let chosen = all.iter().filter(|(can, ..)| *can == wanted);
        chosen.map(|(can, is, isnt)| if *can { *is } else { *isnt }).collect()
    };
    [told(true), told(false)].concat().join(", ")
}
