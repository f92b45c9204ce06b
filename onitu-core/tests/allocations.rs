//! What placing a path costs in memory: nothing where no statement matches. A program of its own,
//! because it counts what its allocator does.

use onitu_core::rules::{Facts, Placement, Rules};
use onitu_core::{Kind, Mode, Path, Service, ServiceId};

/// Statements of all kinds, a few hundred globs and the conditions that look at names.
fn rules() -> Rules {
    let some = (0..60).map(|at| {
        format!(
            "sync \"Dir{at}/**\", \"**/*.ext{at}\", \"**/cache-{at}/**\" to nas\n\
             move \"**/[a-f]{at}?.x\" where older than {at}1 days to nas\n\
             keep \"{{a,b}}{at}/*/**\" only on nas\n\
             never sync \"**/junk{at}*\"\n"
        )
    });
    let conditions = "sync everything where ext in JPEG, png and type is image/* to nas\n\
                      sync everything where name matches /[0-9]{12}/ and not path \"a/**\" to nas\n\
                      sync everything where size < 1 kB or from nas or newer than 1 day to nas\n";
    let text: String = some.chain([conditions.to_owned()]).collect();
    Rules::parse(&text, &["nas".to_owned()]).0.expect("right")
}

#[test]
fn a_path_that_matches_nothing_allocates_nothing() {
    let rules = rules();
    let services = [Service {
        id: ServiceId(1),
        name: "nas".to_owned(),
        driver: "local".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: std::collections::BTreeMap::new(),
    }];
    let path = Path::new("Élan/Photos/2026/IMG_1234 (copy).PNGX").expect("valid");
    let facts = Facts {
        kind: Some(Kind::File),
        size: Some(5_000_000),
        mtime_ns: Some(1),
        origin: Some(ServiceId(9)),
        ..Facts::of_path(&path, i64::MAX)
    };
    let ask = || (rules.place(&facts, &services, &[]), rules.excludes(&path));
    // Once for what the automaton keeps from one path to the next.
    assert_eq!(ask(), (Placement::default(), false));
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            assert_eq!(ask(), (Placement::default(), false));
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    let matching = Path::new("Dir1/a").expect("valid");
    let facts = Facts { path: &matching, ..facts };
    let counted = allocation_counter::measure(|| {
        assert_eq!(rules.place(&facts, &services, &[]).targets, [ServiceId(1)]);
    });
    assert!(counted.count_total > 0, "the counter counts");
}
