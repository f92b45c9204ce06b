//! What the documents point at is there.

use crate::files::{self, File};
use crate::nothing_in;

fn documents() -> Vec<File> {
    files::all().into_iter().filter(|file| file.has_extension("md")).collect()
}

/// What stands between `open` and `close` in each line outside of fenced blocks.
fn between<'a>(text: &'a str, open: &str, close: char) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let mut is_fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        }
        let mut rest = if is_fenced { "" } else { line };
        while let Some(begin) = rest.find(open) {
            let inner = &rest[begin + open.len()..];
            let Some(end) = inner.find(close) else { break };
            found.push((at + 1, &inner[..end]));
            rest = &inner[end + 1..];
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for file in documents() {
        let directory = files::root().join(&file.path).parent().unwrap().to_owned();
        for (at, target) in between(&file.text, "](", ')') {
            let target = target.split('#').next().unwrap();
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !is_outside && !directory.join(target).exists() {
                broken.push(format!("{}:{at}: {target}", file.path));
            }
        }
    }
    nothing_in(&broken, "a link in a document leads to nothing");
}

#[test]
fn the_tests_that_hold_a_guarantee_exist() {
    let rust = files::rust();
    let guarantees = documents().into_iter().find(|it| it.path == "docs/guarantees.md").unwrap();
    let mut missing = Vec::new();
    let mut count = 0;
    for (at, name) in between(&guarantees.text, "`", '`') {
        let (file, test) = name.split_once("::").unwrap_or(("", name));
        // A name of several words is a test's.
        if test.matches('_').count() < 2 || test.contains(['/', ' ', '.']) {
            continue;
        }
        count += 1;
        let definition = format!("fn {test}(");
        let is_there = |it: &File| {
            it.text.contains(&definition)
                && (file.is_empty() || it.path == format!("tests/it/{file}.rs"))
        };
        if !rust.iter().any(is_there) {
            missing.push(format!("docs/guarantees.md:{at}: {name}"));
        }
    }
    assert!(count > 40, "only {count} tests are named");
    nothing_in(&missing, "a guarantee names a test that isn't there");
}

#[test]
fn the_files_that_are_named_exist() {
    let named_in = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/testing.md"];
    let mut missing = Vec::new();
    let mut count = 0;
    for file in documents().iter().filter(|file| named_in.contains(&file.path.as_str())) {
        for (at, name) in between(&file.text, "`", '`') {
            let is_source =
                name.contains('/') && [".rs", ".toml"].iter().any(|it| name.ends_with(it));
            if is_source && !name.starts_with("foo/") && !name.contains(['*', '{', ' ']) {
                count += 1;
                if !files::root().join(name).exists() {
                    missing.push(format!("{}:{at}: {name}", file.path));
                }
            }
        }
    }
    assert!(count > 20, "only {count} names of files found in {named_in:?}");
    nothing_in(&missing, "a document names a file that isn't there");
}
