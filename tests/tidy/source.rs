//! What every Rust file keeps to. The files are formatted by rustfmt, so a look at indentation is
//! enough to know where a function ends.

use std::collections::BTreeSet;

use crate::files::{self, File, lines_that_ship};
use crate::nothing_in;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const MAIN_LINES_MAX: usize = 29;

#[test]
fn no_file_is_longer_than_can_be_read_in_one_go() {
    let long = files::rust().into_iter().filter_map(|file| {
        let lines = lines_that_ship(&file).len();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", file.path))
    });
    nothing_in(&long.collect::<Vec<_>>(), "files have at most 500 lines, tests aside");
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut long = Vec::new();
    for file in files::rust() {
        for (at, name, lines) in functions(&file) {
            if lines > FUNCTION_LINES_MAX {
                long.push(format!("{}:{at}: `{name}` has {lines} lines", file.path));
            }
        }
    }
    nothing_in(&long, "functions have at most 70 lines");
}

#[test]
fn a_function_is_measured_from_its_name_to_its_brace() {
    let text = "\
trait T {
    fn declared(
        &self,
    ) -> u8;
    fn short(&self) {}
}
pub(crate) async fn long(
    x: u8,
) -> u8
where
    u8: Copy,
{
    if x > 1 {
        x
    } else {
        1
    }
}
";
    let file = File { path: "x.rs".to_owned(), text: text.to_owned() };
    assert_eq!(functions(&file), [(7, "long".to_owned(), 12)]);
}

#[test]
fn a_main_only_calls() {
    let long = files::rust().into_iter().filter_map(|file| {
        let is_main = file.path.ends_with("src/main.rs");
        let lines = lines_that_ship(&file).len();
        (is_main && lines > MAIN_LINES_MAX).then(|| format!("{}: {lines} lines", file.path))
    });
    nothing_in(&long.collect::<Vec<_>>(), "a `main.rs` has fewer than 30 lines");
}

#[test]
fn nothing_is_left_to_be_done() {
    // Written apart, so that this file doesn't find itself.
    let marks = [
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["#[ign", "ore"].concat(),
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
    ];
    let marked = found_in_lines(files::all(), |_, line| {
        marks.iter().any(|mark| line.contains(mark.as_str()))
    });
    nothing_in(&marked, "what is missing is an issue, and no test is passed over");
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let mut found = Vec::new();
    for file in files::rust() {
        for (at, line) in lines_that_ship(&file).iter().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            if !is_comment && line.contains(".unwrap()") {
                found.push(format!("{}:{}: {}", file.path, at + 1, line.trim()));
            }
        }
    }
    nothing_in(&found, "an error is handled or handed on");
}

#[test]
fn tests_wait_for_conditions_and_never_for_time() {
    let mut found = Vec::new();
    let rust = files::rust();
    // A benchmark measures time; only a test may not depend on it.
    let is_timeless =
        |file: &&File| files::is_test(&file.path) && !file.path.starts_with("tests/benches/");
    for file in rust.iter().filter(is_timeless) {
        // What a `tests/fake.rs` does is seen by the clock of its `tests.rs`.
        let above = file.path.rsplit_once('/').map(|(room, _)| format!("{room}.rs"));
        let above = rust.iter().find(|file| above.as_ref() == Some(&file.path));
        // On a paused clock a sleep takes no time and can't be too short.
        let pauses = ["start_paused = true", "time::pause()"];
        let has_paused = |file: &File| pauses.iter().any(|it| file.text.contains(it));
        if has_paused(file) || above.is_some_and(has_paused) {
            continue;
        }
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let sleeps = line.contains("sleep(") && !line.trim_start().starts_with("//");
            if sleeps && !line.contains("\"sleep(") && !is_in_loop(&lines, at) {
                found.push(format!("{}:{}: {}", file.path, at + 1, line.trim()));
            }
        }
    }
    nothing_in(&found, "a test sleeps only between two looks at a condition, or on a paused clock");
}

#[test]
fn every_room_says_what_it_is_for() {
    let silent = files::rust().into_iter().filter_map(|file| {
        let says = file.text.starts_with("//!") || file.path.ends_with("tests.rs");
        let is_shipped = !files::is_test(&file.path);
        (is_shipped && !says).then(|| file.path.clone())
    });
    nothing_in(&silent.collect::<Vec<_>>(), "a file begins with what it does and doesn't (`//!`)");
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let places = ["wo", "ro"].map(|begin| match begin {
        "wo" => ["/wo", "rk/"].concat(),
        _ => ["/ro", "ot/"].concat(),
    });
    let named = found_in_lines(files::all(), |_, line| {
        places.iter().any(|place| line.contains(place.as_str()))
    });
    nothing_in(&named, "a path of one machine is wrong on every other");
}

#[test]
fn every_module_of_an_integration_test_is_listed() {
    let mut missing = Vec::new();
    let rust = files::rust();
    for main in rust.iter().filter(|file| file.path.ends_with("/it/main.rs")) {
        let room = main.path.strip_suffix("main.rs").unwrap();
        let modules: BTreeSet<&str> = rust
            .iter()
            .filter_map(|file| file.path.strip_prefix(room)?.split('/').next())
            .map(|name| name.trim_end_matches(".rs"))
            .filter(|name| *name != "main")
            .collect();
        for module in modules {
            if !main.text.contains(&format!("mod {module};")) {
                missing.push(format!("{}: `mod {module};`", main.path));
            }
        }
    }
    nothing_in(&missing, "a test file nobody lists is never run");
}

/// `path:line: text` of the lines that match.
fn found_in_lines(files: Vec<File>, matches: impl Fn(&File, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (at, line) in file.text.lines().enumerate() {
            if matches(&file, line) {
                found.push(format!("{}:{}: {}", file.path, at + 1, line.trim()));
            }
        }
    }
    found
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The functions with a body of several lines: first line, name, number of lines.
fn functions(file: &File) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let level = indent(line);
        let mut has_body = false;
        for (below, line) in lines[at..].iter().enumerate() {
            has_body |= indent(line) == level && line.ends_with('{');
            let is_declaration = !has_body && (line.ends_with(';') || line.ends_with('}'));
            if is_declaration {
                break;
            }
            if below > 0 && indent(line) == level && line.trim_start().starts_with('}') {
                found.push((at + 1, name.clone(), below + 1));
                break;
            }
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    for word in ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "extern \"C\" "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    Some(name[..end].to_owned())
}

/// Whether line `at` stands in a loop of its function.
fn is_in_loop(lines: &[&str], at: usize) -> bool {
    let mut level = indent(lines[at]);
    for line in lines[..at].iter().rev().filter(|line| !line.trim().is_empty()) {
        if indent(line) >= level {
            continue;
        }
        level = indent(line);
        let begin = line.trim_start();
        if begin.starts_with("loop") || begin.starts_with("while") || begin.contains(" loop {") {
            return true;
        }
        if function_name(line).is_some() {
            return false;
        }
    }
    false
}
