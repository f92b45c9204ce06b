//! Every case is in the suite: one that is written and not run would be a promise nobody checks.

use std::collections::BTreeSet;
use std::fs;

fn names_in(text: &str, before: &str, after: &str) -> Vec<String> {
    let found = text.split(before).skip(1).filter_map(|rest| rest.split(after).next());
    found.map(str::to_owned).collect()
}

#[test]
fn every_case_is_in_the_suite_and_says_what_it_promises() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let suite = fs::read_to_string(format!("{source}/suite.rs")).expect("the suite");
    let listed: BTreeSet<&str> = suite.split_whitespace().collect();
    let (mut rooms, mut count) = (0, 0);
    for entry in fs::read_dir(format!("{source}/cases")).expect("the cases") {
        let text = fs::read_to_string(entry.expect("a room").path()).expect("a room's text");
        let cases = names_in(&text, "pub async fn ", "<S: Subject>");
        rooms += usize::from(!cases.is_empty());
        for case in &cases {
            assert!(listed.contains(case.as_str()), "`{case}` is not in suite.rs");
            assert!(case.split('_').count() >= 3, "`{case}` is no sentence");
        }
        count += cases.len();
    }
    assert!(rooms >= 14 && count >= 130, "only {count} cases in {rooms} rooms were found");
}
