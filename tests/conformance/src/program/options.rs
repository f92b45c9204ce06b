//! The driver's options, from the command line and its manifest.

use std::collections::BTreeSet;
use std::fmt::Write;

use onitu_core::rules::nearest;
use onitu_plug::{Manifest, OptionKind, OptionSpec};
use serde_json::{Map, Value};

use super::Refusal;
use super::arguments::Arguments;
use crate::installed::{FOLDER, FRESH, Template};

/// What was given for storages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    /// For the cases: everything as the driver gets it, placeholders aside.
    pub(super) template: Template,
    /// For `entries.toml`, which names variables of the environment itself.
    pub(super) written: Map<String, Value>,
}

/// Reads the options, or says what is wrong with them.
pub(super) fn read(arguments: &Arguments, manifest: &Manifest) -> Result<Given, Refusal> {
    let mut written = Map::new();
    for option in &arguments.options {
        let (name, value) = split(option, manifest)?;
        let spec = spec_of(name, manifest)?;
        if written.insert(name.to_owned(), typed(spec, value)?).is_some() {
            return Err(Refusal::misused(format!("option `{name}` is given twice")));
        }
    }
    if let (true, Some(only)) = (written.is_empty(), only_folder(manifest)) {
        written.insert(only.name.clone(), Value::String(FOLDER.to_owned()));
    }
    refuse_missing(&written, manifest)?;
    let mut options = Map::new();
    for (name, value) in &written {
        options.insert(name.clone(), expanded(name, value)?);
    }
    let names_folder =
        written.values().any(|value| value.as_str().is_some_and(|it| it.contains(FOLDER)));
    let edits_folder = arguments.folder || (names_folder && !arguments.opaque);
    let template = Template { options, prepare: arguments.prepare.clone(), edits_folder };
    Ok(Given { template, written })
}

fn split<'a>(option: &'a str, manifest: &Manifest) -> Result<(&'a str, &'a str), Refusal> {
    option.split_once('=').ok_or_else(|| {
        let example = manifest.options.first().map_or("root", |it| it.name.as_str());
        let text =
            format!("`--option {option}` has no value\nhint: as in `--option {example}=VALUE`");
        Refusal::misused(text)
    })
}

fn spec_of<'a>(name: &str, manifest: &'a Manifest) -> Result<&'a OptionSpec, Refusal> {
    if let Some(spec) = manifest.options.iter().find(|spec| spec.name == name) {
        return Ok(spec);
    }
    let known = manifest.options.iter().map(|spec| spec.name.as_str());
    let hint = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", quoted(known)),
    };
    let driver = &manifest.name;
    Err(Refusal::misused(format!("unknown option `{name}` of driver `{driver}`\nhint: {hint}")))
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The value as TOML would have it; a folder or a file of this machine with its whole path.
fn typed(spec: &OptionSpec, value: &str) -> Result<Value, Refusal> {
    let wrong = |what: &str| {
        Refusal::misused(format!("option `{}` takes {what}, not `{value}`", spec.name))
    };
    match spec.kind {
        OptionKind::Integer => {
            value.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number"))
        }
        OptionKind::Boolean => {
            value.parse().map(Value::Bool).map_err(|_| wrong("`true` or `false`"))
        }
        OptionKind::Folder | OptionKind::File if !begins_by_placeholder(value) => {
            let path = std::path::absolute(value).map_err(|_| wrong("a path"))?;
            Ok(Value::String(path.display().to_string()))
        }
        _ => Ok(Value::String(value.to_owned())),
    }
}

fn begins_by_placeholder(value: &str) -> bool {
    [FOLDER, FRESH, "${", "~"].iter().any(|begin| value.starts_with(begin))
}

/// With the variables of the environment, and the home directory.
fn expanded(name: &str, value: &Value) -> Result<Value, Refusal> {
    let Value::String(text) = value else { return Ok(value.clone()) };
    let mut filled = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let Some((variable, after)) = after.split_once('}') else { break };
        let Ok(value) = std::env::var(variable) else {
            let text = format!("option `{name}` names the variable `{variable}`, which isn't set");
            return Err(Refusal::misused(text));
        };
        filled.extend([before, &value]);
        rest = after;
    }
    filled.push_str(rest);
    if let (Some(below), Ok(home)) = (filled.strip_prefix("~/"), std::env::var("HOME")) {
        filled = format!("{home}/{below}");
    }
    Ok(Value::String(filled))
}

/// The one option that must be given, if it is a folder: then the suite makes one.
fn only_folder(manifest: &Manifest) -> Option<&OptionSpec> {
    let mut required = manifest.options.iter().filter(|spec| spec.required);
    match (required.next(), required.next()) {
        (Some(only), None) if only.kind == OptionKind::Folder => Some(only),
        _ => None,
    }
}

fn refuse_missing(written: &Map<String, Value>, manifest: &Manifest) -> Result<(), Refusal> {
    let given: BTreeSet<&String> = written.keys().collect();
    let required = manifest.options.iter().filter(|spec| spec.required);
    let missing: Vec<&OptionSpec> = required.filter(|spec| !given.contains(&spec.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let driver = &manifest.name;
    let mut text = format!("the driver `{driver}` doesn't do without these options:\n");
    let mut example = format!("onitu driver test {driver}");
    for spec in manifest.options.iter().filter(|spec| spec.required) {
        if missing.iter().any(|it| it.name == spec.name) {
            // Writing to a text never fails.
            let _ = writeln!(text, "  {}: {}", spec.name, spec.help);
        }
        let value = match spec.kind {
            OptionKind::Folder => FOLDER,
            OptionKind::Integer => "1",
            OptionKind::Boolean => "true",
            OptionKind::Secret => "${SECRET}",
            OptionKind::Text | OptionKind::File => "…",
        };
        let _ = write!(example, " --option '{}={value}'", spec.name);
    }
    Err(Refusal::misused(format!("{text}hint: as in `{example}`")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn spec(name: &str, kind: OptionKind, required: bool) -> OptionSpec {
        let help = format!("What {name} is for.");
        OptionSpec { name: name.to_owned(), kind, required, default: None, help }
    }

    fn manifest(options: &[OptionSpec]) -> Manifest {
        serde_json::from_value(serde_json::json!({
            "name": "shelf", "description": "A shelf", "version": "1", "protocol": 1,
            "options": options,
            "abilities": {
                "rename": false, "mtime": false, "executable": false, "directories": false,
                "symlinks": false, "tag_survives_rename": false, "exact_names": true, "trash": false,
            },
        }))
        .expect("a manifest")
    }

    fn given(line: &[&str], options: &[OptionSpec]) -> Result<Given, Refusal> {
        let line = [&["onitu-conformance", "shelf"], line].concat();
        read(&Arguments::parse_from(line), &manifest(options))
    }

    fn server() -> Vec<OptionSpec> {
        vec![
            spec("host", OptionKind::Text, true),
            spec("port", OptionKind::Integer, false),
            spec("password", OptionKind::Secret, true),
        ]
    }

    #[test]
    fn a_driver_of_one_folder_gets_a_fresh_one() {
        let root = || vec![spec("root", OptionKind::Folder, true)];
        let one = given(&[], &root()).expect("nothing is missing");
        assert_eq!(one.template.options["root"], FOLDER);
        assert!(one.template.edits_folder);
        let opaque = given(&["--opaque", "--option", "root={folder}/x"], &root()).expect("right");
        assert!(!opaque.template.edits_folder);
        let elsewhere = given(&["--option", "root=x"], &root()).expect("right");
        assert!(elsewhere.template.options["root"].as_str().is_some_and(|it| it.starts_with('/')));
        assert!(!elsewhere.template.edits_folder);
    }

    #[test]
    fn values_have_the_types_of_the_manifest_and_know_the_environment() {
        let line = ["--option", "host={fresh}.lan", "--option", "port=22", "--option"];
        let right = given(&[&line[..], &["password=a${PATH}b"]].concat(), &server());
        let right = right.expect("nothing is missing");
        assert_eq!(
            (&right.written["port"], &right.written["host"]),
            (&22.into(), &"{fresh}.lan".into())
        );
        assert_eq!(right.written["password"], "a${PATH}b");
        let path = std::env::var("PATH").expect("PATH");
        assert_eq!(right.template.options["password"], format!("a{path}b"));
    }

    #[test]
    fn what_is_wrong_with_options_is_told_with_the_remedy() {
        let wrong = |line: &[&str]| given(line, &server()).expect_err("it is wrong").message;
        assert_eq!(
            wrong(&["--option", "host=nas"]),
            "the driver `shelf` doesn't do without these options:\n  password: What password is for.\n\
             hint: as in `onitu driver test shelf --option 'host=…' --option 'password=${SECRET}'`"
        );
        assert_eq!(
            wrong(&["--option", "pasword=x"]),
            "unknown option `pasword` of driver `shelf`\nhint: did you mean `password`?"
        );
        assert_eq!(
            wrong(&["--option", "bucket=x"]),
            "unknown option `bucket` of driver `shelf`\nhint: it has `host`, `port`, `password`"
        );
        assert_eq!(
            wrong(&["--option", "port=ssh"]),
            "option `port` takes a whole number, not `ssh`"
        );
        assert_eq!(
            wrong(&["--option", "host"]),
            "`--option host` has no value\nhint: as in `--option host=VALUE`"
        );
        assert_eq!(
            wrong(&["--option", "host=a", "--option", "host=b"]),
            "option `host` is given twice"
        );
        assert_eq!(
            wrong(&["--option", "host=a", "--option", "password=${ONITU_NO_SUCH_VARIABLE}"]),
            "option `password` names the variable `ONITU_NO_SUCH_VARIABLE`, which isn't set"
        );
    }
}
