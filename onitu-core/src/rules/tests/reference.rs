//! `docs/rules.md`: its examples are right, and its tables say what happens.

use super::*;

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// A set of rules of the document, its services, and the table that follows it.
struct Example<'a> {
    services: Vec<&'a str>,
    text: &'a str,
    rows: Vec<Vec<&'a str>>,
}

fn document() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md");
    std::fs::read_to_string(path).expect("the reference")
}

fn examples(document: &str) -> Vec<Example<'_>> {
    document.split("\n```rules").skip(1).map(example).collect()
}

/// The one that begins behind the word `rules` of its fence.
fn example(rest: &str) -> Example<'_> {
    let (head, rest) = rest.split_once('\n').expect("a line");
    let (text, rest) = rest.split_once("```").expect("an end of the block");
    let services = head.strip_prefix(" for ").unwrap_or("laptop, nas, s3, phone, dropbox");
    let table = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    Example { services: services.split(", ").collect(), text, rows: table.map(cells).collect() }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// The rules of all examples.
#[cfg(feature = "entries")]
pub(super) fn texts() -> Vec<String> {
    examples(&document()).iter().map(|example| example.text.to_owned()).collect()
}

#[test]
fn every_example_of_the_reference_is_right_and_says_nothing_odd() {
    let document = document();
    let examples = examples(&document);
    assert!(examples.len() >= 10, "only {} examples", examples.len());
    for example in examples {
        let names: Vec<String> = example.services.iter().map(|&name| name.to_owned()).collect();
        let (rules, problems) = Rules::parse(example.text, &names);
        assert!(rules.is_some() && problems.is_empty(), "{}: {problems:?}", example.text);
    }
}

#[test]
fn every_file_of_the_reference_lands_where_its_table_says() {
    let document = document();
    let mut rows = 0;
    for example in examples(&document) {
        let names: Vec<String> = example.services.iter().map(|&name| name.to_owned()).collect();
        let rules = Rules::parse(example.text, &names).0.expect("right");
        let mut services = services(&example.services);
        for service in &mut services {
            service.mode = match service.name.as_str() {
                "scanner" => Mode::Source,
                "archive" => Mode::Backup,
                _ => Mode::Sync,
            };
        }
        for row in example.rows.iter().filter(|row| row.len() == 6 && row[0].starts_with('`')) {
            rows += 1;
            assert_eq!(landing(&rules, &services, row), (row[4].to_owned(), row[5]), "{row:?}");
        }
    }
    assert!(rows >= 20, "only {rows} files");
}

/// Where the file of a row is put, and what becomes of it elsewhere.
fn landing(rules: &Rules, services: &[Service], row: &[&str]) -> (String, &'static str) {
    let at = path(row[0].trim_matches('`'));
    let days: i64 = match row[2].split_once(' ').expect("a number and a unit") {
        (years, "years") => years.parse::<i64>().expect("a number") * 365,
        (days, _) => days.parse().expect("a number"),
    };
    let origin = services.iter().find(|it| it.name == row[3]).expect("a service").id;
    let now_ns = 20_000 * DAY_NS;
    let facts = Facts {
        mtime_ns: Some(now_ns - days * DAY_NS),
        origin: Some(origin),
        now_ns,
        ..file(&at, crate::size::parse(row[1]).expect("a size"))
    };
    let placed = rules.place(&facts, services, &[origin]);
    let targets = services.iter().filter(|it| placed.targets.contains(&it.id));
    let targets: Vec<&str> = targets.map(|it| it.name.as_str()).collect();
    let targets = if targets.is_empty() { "–".to_owned() } else { targets.join(", ") };
    let elsewhere = match placed {
        Placement { excluded: true, .. } => "is left alone",
        Placement { only: Some(_), .. } => "never gets",
        Placement { stay: Some(_), .. } => "is removed",
        _ => "stays",
    };
    (targets, elsewhere)
}

#[test]
fn the_grammar_of_the_reference_has_every_word_of_the_language() {
    let document = document();
    let (_, rest) = document.split_once("\n```ebnf\n").expect("a grammar");
    let (grammar, _) = rest.split_once("```").expect("an end of the block");
    let statements = ["sync", "move", "keep", "never", "let", "everything", "where", "to"];
    let rest =
        ["only", "on", "any", "of", "copies", "copy", "and", "or", "not", "size", "type", "is"];
    let tests = ["ext", "in", "name", "matches", "path", "older", "newer", "than", "from"];
    for word in statements.iter().chain(&rest).chain(&tests) {
        assert!(grammar.contains(&format!("\"{word}\"")), "`{word}` is missing");
    }
}
