//! Any text as rules: it is refused or taken without a panic, every place told is one, what is taken
//! can be printed and read again as the same, and asking it about a path takes bounded time.
//!
//! libFuzzer's own `-timeout` is the bound; `docs/testing.md` tells the command.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::{Corpus, fuzz_target};
use onitu_core::rules::{Diagnostic, Facts, Placement, Rules};
use onitu_core::{Kind, Mode, Path, Service, ServiceId};

const NAMES: [&str; 4] = ["laptop", "nas", "s3", "phone"];

fuzz_target!(|text: &str| -> Corpus { check(text) });

fn check(text: &str) -> Corpus {
    let names = NAMES.map(str::to_owned);
    let (rules, problems) = Rules::parse(text, &names);
    assert_eq!(rules.is_none(), problems.iter().any(Diagnostic::is_error));
    for problem in &problems {
        let spans = problem.also.iter().map(|mark| &mark.span).chain(&problem.span);
        assert!(spans.cloned().all(|span| text.get(span).is_some()), "a span cuts a letter");
    }
    let Some(rules) = rules else { return Corpus::Keep };
    let printed = rules.to_string();
    let (again, problems) = Rules::parse(&printed, &names);
    let again = again.unwrap_or_else(|| panic!("{printed}: {problems:?}"));
    assert_eq!(again.to_string(), printed);
    for path in paths() {
        assert_eq!(place(&rules, &path), place(&again, &path), "{path}");
    }
    Corpus::Keep
}

/// Short, long and deep ones, and names made of what wildcards like least.
fn paths() -> Vec<Path> {
    let texts = [
        "Photos/2026/beach.jpg".to_owned(),
        "a".to_owned(),
        "é/Ä.TAR-GZ".to_owned(),
        "a".repeat(255),
        vec!["ab"; 80].join("/"),
        vec!["a".repeat(200); 5].join("/"),
    ];
    texts.iter().filter_map(|text| Path::new(text).ok()).collect()
}

fn place(rules: &Rules, path: &Path) -> (Placement, bool) {
    let facts = Facts {
        kind: Some(Kind::File),
        size: Some(6_000_000),
        mtime_ns: Some(1_700_000_000_000_000_000),
        media: Some("image/png"),
        origin: Some(ServiceId(4)),
        ..Facts::of_path(path, 1_800_000_000_000_000_000)
    };
    let services: Vec<Service> = (1..).zip(NAMES).map(service).collect();
    (rules.place(&facts, &services, &[ServiceId(2)]), rules.excludes(path))
}

fn service((id, name): (u16, &str)) -> Service {
    Service {
        id: ServiceId(id),
        name: name.to_owned(),
        driver: "local".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::new(),
    }
}
