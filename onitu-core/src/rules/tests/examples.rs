//! Every set of rules in `tests/rules`, with everything that is said about it.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use super::*;
use crate::entries::render;

/// The services for which all examples are written.
const SERVICES: [&str; 5] = ["laptop", "nas", "s3", "phone", "dropbox"];

fn examples(kind: &str) -> BTreeMap<String, String> {
    let directory = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../tests/rules").join(kind);
    let files = std::fs::read_dir(directory).expect("the directory of examples");
    let example = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect("readable").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("readable"))
    };
    files.map(example).collect()
}

/// Fails if a snapshot has no example any more.
fn no_snapshot_is_left_over(kind: &str, examples: &BTreeMap<String, String>) {
    let directory = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/rules/tests/snapshots");
    let prefix = format!("onitu_core__rules__tests__examples__{kind}@");
    for file in std::fs::read_dir(directory).expect("the directory of snapshots") {
        let name = file.expect("readable").file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(&prefix) else { continue };
        let example = rest.trim_end_matches(".snap");
        assert!(examples.contains_key(example), "`{name}` belongs to no example");
    }
}

/// Everything that is said of a text, as a person reads it.
fn said(name: &str, text: &str) -> (Option<Rules>, String) {
    let (rules, mut problems) = Rules::parse(text, &SERVICES.map(str::to_owned));
    for problem in &mut problems {
        problem.file = format!("{name}.rules").into();
        let spans = problem.also.iter().map(|mark| &mark.span).chain(&problem.span);
        assert!(spans.cloned().all(|span| text.get(span).is_some()), "{problem:?}");
    }
    (rules, render(&problems, text, false))
}

#[test]
fn every_wrong_example_has_its_messages() {
    let examples = examples("wrong");
    assert!(examples.len() >= 70, "only {} examples", examples.len());
    for (name, text) in &examples {
        let (rules, said) = said(name, text);
        assert!(rules.is_none(), "`{name}` was taken");
        assert!(said.contains("error: "), "`{name}` has no error");
        insta::with_settings!({ snapshot_suffix => name, omit_expression => true }, {
            insta::assert_snapshot!("wrong", said);
        });
    }
    no_snapshot_is_left_over("wrong", &examples);
}

#[test]
fn every_odd_example_has_its_warnings() {
    let examples = examples("odd");
    assert!(examples.len() >= 40, "only {} examples", examples.len());
    for (name, text) in &examples {
        let (rules, said) = said(name, text);
        assert!(rules.is_some(), "`{name}` was refused:\n{said}");
        assert!(said.contains("warning: "), "`{name}` has no warning");
        insta::with_settings!({ snapshot_suffix => name, omit_expression => true }, {
            insta::assert_snapshot!("odd", said);
        });
    }
    no_snapshot_is_left_over("odd", &examples);
}

/// The texts of all examples, those of the reference too, from which others are made.
pub(super) fn corpus() -> Vec<String> {
    let wrong = ["wrong", "odd"].iter().flat_map(|kind| examples(kind).into_values());
    wrong.chain(super::reference::texts()).collect()
}
