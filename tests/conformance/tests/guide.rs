//! The guide's code is the example's code: what a reader copies was compiled and has passed the
//! suite. With `ONITU_GUIDE=write` the guide is brought up to date instead of compared.

use std::fs;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const GUIDE: &str = "docs/writing-a-driver.md";

/// The part of a file that a marker such as `FILE: part` names; the whole file without a part.
fn part(marker: &str) -> String {
    let (file, part) = marker.split_once(": ").unwrap_or((marker, ""));
    let text = fs::read_to_string(format!("{TOP}/{file}")).expect("a file that the guide names");
    let begin = format!("// --- {part}\n");
    let taken = if part.is_empty() {
        text.as_str()
    } else {
        let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no part `{marker}`"));
        rest.split("// --- ").next().unwrap_or(rest)
    };
    taken.trim_matches('\n').trim_end().to_owned()
}

#[test]
fn the_guides_code_is_the_examples_code() {
    let guide = fs::read_to_string(format!("{TOP}/{GUIDE}")).expect("the guide");
    let mut blocks = guide.split("<!-- code from ");
    let mut current = blocks.next().unwrap_or_default().to_owned();
    let mut count = 0;
    for block in blocks {
        let (marker, rest) = block.split_once(" -->\n```").expect("a marker, then a fence");
        let (language, rest) = rest.split_once('\n').expect("a language");
        let (_, after) = rest.split_once("```\n").expect("the fence's end");
        let code = part(marker);
        let lines =
            ["<!-- code from ", marker, " -->\n```", language, "\n", &code, "\n```\n", after];
        current.extend(lines);
        count += 1;
    }
    assert!(count >= 10, "only {count} pieces of code were found");
    if std::env::var("ONITU_GUIDE").is_ok_and(|it| it == "write") {
        fs::write(format!("{TOP}/{GUIDE}"), current).expect("the guide is writable");
    } else {
        let hint = "the guide is stale: run this test with ONITU_GUIDE=write";
        assert!(current == guide, "{hint}");
    }
}

/// Who copies piece after piece has the file that was compiled.
#[test]
fn the_pieces_of_the_example_are_in_the_guide_in_their_order() {
    let example = "tests/conformance/examples/shelf/plug.rs";
    let text = fs::read_to_string(format!("{TOP}/{example}")).expect("the example");
    let guide = fs::read_to_string(format!("{TOP}/{GUIDE}")).expect("the guide");
    let parts: Vec<_> =
        text.split("// --- ").skip(1).filter_map(|rest| rest.lines().next()).collect();
    let marker = format!("<!-- code from {example}: ");
    let told: Vec<_> =
        guide.split(&marker).skip(1).filter_map(|rest| rest.split(" -->").next()).collect();
    assert_eq!(told, parts);
}
