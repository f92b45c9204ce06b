//! Every configuration in `tests/entries` with everything that is said about it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::machine::{driver, setting};
use super::*;

fn examples(kind: &str) -> BTreeMap<String, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/entries").join(kind);
    let files = std::fs::read_dir(directory).expect("the directory of examples");
    let example = |file: io::Result<std::fs::DirEntry>| {
        let path = file.expect("readable").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("readable"))
    };
    files.map(example).collect()
}

/// Fails if a snapshot has no example any more.
fn no_snapshot_is_left_over(kind: &str, examples: &BTreeMap<String, String>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/entries/snapshots");
    let prefix = format!("onitu_core__entries__tests__{kind}@");
    for file in std::fs::read_dir(directory).expect("the directory of snapshots") {
        let name = file.expect("readable").file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(&prefix) else { continue };
        let example = rest.trim_end_matches(".snap");
        assert!(examples.contains_key(example), "`{name}` belongs to no example");
    }
}

#[test]
fn every_invalid_example_has_its_message() {
    let examples = examples("invalid");
    assert!(examples.len() >= 31, "only {} examples", examples.len());
    for (name, text) in &examples {
        let checked = parse(text, &setting());
        assert!(checked.entries.is_none(), "`{name}` was taken");
        assert!(checked.problems.iter().any(Diagnostic::is_error), "`{name}` has no error");
        insta::with_settings!({ snapshot_suffix => name, omit_expression => true }, {
            insta::assert_snapshot!("invalid", render(&checked.problems, text, false));
        });
    }
    no_snapshot_is_left_over("invalid", &examples);
}

#[test]
fn every_valid_example_is_taken() {
    let examples = examples("valid");
    assert!(examples.len() >= 12, "only {} examples", examples.len());
    for (name, text) in &examples {
        let checked = parse(text, &setting());
        let shown = render(&checked.problems, text, false);
        let entries = checked.entries.unwrap_or_else(|| panic!("`{name}` was refused:\n{shown}"));
        insta::with_settings!({ snapshot_suffix => name, omit_expression => true }, {
            insta::assert_snapshot!("valid", format!("{entries:#?}\n\n{shown}"));
        });
    }
    no_snapshot_is_left_over("valid", &examples);
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of `language` in a document, each with the line that stands before it.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<(&'a str, &'a str)> {
    let opening = format!("\n```{language}\n");
    let starts = document.match_indices(&opening).map(|(at, _)| at);
    let block = |at: usize| {
        let before = document[..at].lines().last().unwrap_or_default();
        let rest = &document[at + opening.len()..];
        (before, &rest[..rest.find("```").expect("an end of the block")])
    };
    starts.map(block).collect()
}

#[test]
fn the_examples_of_the_reference_are_files_that_are_tested() {
    let reference = file("docs/configuration.md");
    let blocks = blocks(&reference, "toml");
    assert!(blocks.len() >= 5, "only {} examples", blocks.len());
    for (before, text) in blocks {
        let path = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        let path = path.unwrap_or_else(|| panic!("`{before}` names no file of the example"));
        assert!(path.starts_with("tests/entries/valid/"), "{path}");
        assert_eq!(text, file(path), "{path}");
    }
}

#[test]
fn the_reference_has_every_key_and_shows_a_real_message() {
    let reference = file("docs/configuration.md");
    for key in every::NAMES.iter().chain(&general::NAMES) {
        assert!(reference.contains(&format!("\n| `{key}` |")), "`{key}` is missing");
    }
    let text = file("tests/entries/invalid/driver_unknown.toml");
    let message = render(&parse(&text, &setting()).problems, &text, false);
    assert!(reference.contains(&format!("```\n{message}```")), "{message}");
}

#[test]
fn the_shipped_example_works_and_every_line_is_explained() {
    let text = file("entries.toml");
    let checked = parse(&text, &setting());
    // The folders are made by `make run`, so that they may be missing here.
    let other = |it: &&Diagnostic| it.is_error() || !it.message.ends_with("doesn't exist");
    assert_eq!(checked.problems.iter().find(other), None);
    let entries = checked.entries.expect("no error");
    assert_eq!(entries.state_dir, Path::new("/home/ada/onitu/state"));
    let roots = entries.services.iter().map(|it| (it.name.as_str(), &it.options["root"]));
    let expected = [
        ("laptop", &"/home/ada/onitu/demo/laptop".into()),
        ("nas", &"/home/ada/onitu/demo/nas".into()),
    ];
    assert_eq!(roots.collect::<Vec<_>>(), expected);
    assert!(entries.rules.is_some());
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let explained = line.is_empty() || line.contains('#') || *line == "\"\"\"";
        let above = index > 0 && lines[index - 1].starts_with('#');
        assert!(explained || above, "line {} has no comment: {line}", index + 1);
    }
}

/// Two services that work, to which a test adds its part.
const TWO: &str = "[services.a]\ndriver = \"memory\"\n[services.b]\ndriver = \"memory\"\n";

fn messages(text: &str, setting: &ParseSetting<'_>) -> Vec<String> {
    parse(text, setting).problems.into_iter().map(|it| it.message).collect()
}

#[test]
fn no_secret_is_ever_shown() {
    let texts = [
        "[services.a]\ndriver = \"s3\"\nbucket = 5\nsecret_access_key = \"hunter2\"\n",
        "services.a = { driver = \"s3\", bucket = 5, secret_access_key = \"hunter2\" }\n",
        "[services.a]\ndriver = \"sftp\"\npassword = \"hunter2\nuser = \"ada\"\n",
        "[services.a]\ndriver = \"sftp\"\npassword = { text = \"hunter2\" }\n",
        "[onitu]\nredis = \"http://me:hunter2@host\"\n",
    ];
    for text in texts {
        let checked = parse(text, &setting());
        let shown = render(&checked.problems, text, true);
        assert!(!shown.is_empty() && !shown.contains("hunter2"), "{shown}");
    }
    let text = "[services.a]\ndriver = \"s3\"\nbucket = \"b\"\nsecret_access_key = \"${SECRET}\"\n";
    let entries = parse(text, &setting()).entries.expect("right");
    assert_eq!(entries.services[0].options["secret_access_key"], "hunter2");
    assert_eq!(entries.services[0].secrets, BTreeSet::from(["secret_access_key".to_owned()]));
    assert!(!format!("{entries:?}").contains("hunter2"));
}

#[test]
fn secrets_in_a_private_file_are_no_problem() {
    let text = "[services.a]\ndriver = \"s3\"\nbucket = \"b\"\nsecret_access_key = \"x\"\n\
                [services.b]\ndriver = \"memory\"\n";
    let private = ParseSetting { file_mode: Some(0o600), ..setting() };
    let unknown = ParseSetting { file_mode: None, ..setting() };
    assert_eq!(messages(text, &setting()).len(), 1);
    assert!(messages(text, &private).is_empty() && messages(text, &unknown).is_empty());
}

#[test]
fn without_a_home_the_state_needs_a_place() {
    let homeless = ParseSetting { home: None, default_state_dir: None, ..setting() };
    let found = messages(TWO, &homeless);
    assert_eq!(found, ["there is no place for Onitu's own files: `HOME` is not set"]);
    let text = format!("[onitu]\nstate_dir = \"state\"\n{TWO}");
    assert!(messages(&text, &homeless).is_empty());
    let text = format!("[onitu]\nstate_dir = \"~/state\"\n{TWO}");
    assert_eq!(
        messages(&text, &homeless),
        ["`~` can't be understood: the variable `HOME` is not set"]
    );
}

#[test]
fn the_state_is_found_though_all_else_is_wrong() {
    let found = |text| state_dir(text, &setting());
    let text = "[onitu]\nstate_dir = \"./state\"\napi = 5\n[services.a]\nx = 1\n";
    assert_eq!(found(text), Some("/home/ada/onitu/state".into()));
    assert_eq!(found(""), Some("/home/ada/.local/state/onitu".into()));
    assert_eq!(found("[onitu]\nstate_dir = 5\n"), None);
    assert_eq!(found("[onitu"), None);
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_line() {
    let file = Path::new("entries.toml");
    assert_eq!(decode(b"a = 1\n".to_vec(), file).expect("a text"), "a = 1\n");
    let problem = decode(b"a = 1\nb = \"\xff\"\n".to_vec(), file).expect_err("no text");
    assert_eq!(problem.message, "line 2 is not UTF-8");
}

#[test]
fn a_driver_is_asked_once_however_many_services_it_has() {
    let asked = std::cell::Cell::new(0);
    let drivers = |name: &str| {
        asked.set(asked.get() + 1);
        driver(name)
    };
    let setting = ParseSetting { drivers: &drivers, ..setting() };
    assert!(messages(TWO, &setting).is_empty());
    assert_eq!(asked.get(), 1);
}

#[test]
fn a_driver_name_that_is_a_path_is_never_looked_for() {
    let drivers = |name: &str| -> Result<Manifest, DriverProblem> { panic!("asked for `{name}`") };
    let setting = ParseSetting { drivers: &drivers, ..setting() };
    for name in ["../evil", "", "/bin/sh", "a b"] {
        let text = format!("[services.a]\ndriver = \"{name}\"\n");
        assert!(messages(&text, &setting)[0].starts_with("unknown driver"));
    }
}

#[test]
fn rules_know_the_line_they_begin_with() {
    let line = |rules: &str| {
        let text = format!("{TWO}[onitu]\n\n{rules}\n");
        parse(&text, &setting()).entries.expect("right").rules.expect("rules").first_line
    };
    assert_eq!(line("rules = \"\"\"\nsync everything to a\n\"\"\""), 8);
    assert_eq!(line("rules = \"\"\"sync everything to a\"\"\""), 7);
    assert_eq!(line("rules = '''\r\nsync everything to a'''"), 8);
    assert_eq!(line("rules = \"sync everything to a\""), 7);
    assert_eq!(line("rules = \"sync \\\"a\\\" to a\""), 7);
}

#[test]
fn the_state_may_not_be_reached_through_a_link() {
    let text = "[onitu]\nstate_dir = \"/srv/nas/state\"\n[services.a]\ndriver = \"local\"\n\
                root = \"~/link-to-nas\"\n[services.b]\ndriver = \"memory\"\n";
    assert_eq!(
        messages(text, &setting()),
        ["the folder of `state_dir` is inside that of service `a`"]
    );
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let checked = parse("x = 1\n", &setting());
    assert!(render(&checked.problems, "x = 1\n", true).contains('\u{1b}'));
    assert!(!render(&checked.problems, "x = 1\n", false).contains('\u{1b}'));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_check_panic(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "[onitu]\n", "[services.a]\n", "[services.é]\n", "[[services]]\n", "services = 1\n", "rules = ", "state_dir = ",
            "driver = ", "root = ", "password = ", "poll = ", "\"local\"\n", "\"s3\"\n", "\"${A\"\n", "\"${\"\n", "\"$${é}\"\n", "\"~x\"\n",
            "{ file = 1 }\n", "\"\"\"\nsync é\n\"\"\"\n", "1\n", "[]\n", "1979-05-27\n", "\r\n", "#é\n", "'", "\u{0}", "\"../..\"\n",
        ]), 0..12),
    ) {
        let text = parts.concat();
        let checked = parse(&text, &setting());
        let errors = checked.problems.iter().any(Diagnostic::is_error);
        proptest::prop_assert_eq!(checked.entries.is_none(), errors);
        render(&checked.problems, &text, false);
    }
}
