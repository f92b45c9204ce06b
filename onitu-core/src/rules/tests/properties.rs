//! What holds for all rules, and for every text.

use proptest::prelude::*;
#[cfg(feature = "entries")]
use proptest::sample::Index;

use super::*;

const NAMES: [&str; 3] = ["laptop", "nas", "s3"];

fn condition() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(vec!["<", "<=", ">", ">="]);
    let test = prop_oneof![
        (sign, 0_u64..5_000)
            .prop_map(|(it, size)| { format!("size {it} {}", crate::size::text(size)) }),
        (prop::bool::ANY, 1_i64..100).prop_map(|(older, days)| {
            format!("{} than {days} days", if older { "older" } else { "newer" })
        }),
        prop::sample::select(NAMES.to_vec()).prop_map(|name| format!("from {name}")),
        prop::sample::select(vec![
            "type is image/*, text/plain",
            "type is application/pdf",
            r"name matches /^a\/?[0-9]$/",
            "name matches /b/",
            "ext in jpg, png",
            "ext in \"tar-x\", txt",
            "path \"a/**\", \"b\"",
        ])
        .prop_map(str::to_owned),
    ];
    test.prop_recursive(4, 24, 3, |inner| {
        let joined = |word: &'static str| {
            move |its: Vec<String>| {
                its.iter().map(|it| format!("({it})")).collect::<Vec<_>>().join(word)
            }
        };
        prop_oneof![
            inner.clone().prop_map(|it| format!("not ({it})")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(joined(" and ")),
            prop::collection::vec(inner, 2..4).prop_map(joined(" or ")),
        ]
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let glob = prop_oneof![
        "[ab*]{1,3}(/\\*\\*)?",
        "(\\*\\*/)?[ab?]{1,2}(\\.jpg|\\.txt)?",
        "\\{a,b\\}/[ab\\*]",
        "\\[a-b\\]/\\*",
    ];
    let quoted = glob.prop_map(|glob| format!("\"{glob}\""));
    prop_oneof![
        Just("everything".to_owned()),
        Just("@set".to_owned()),
        prop::collection::vec(quoted, 1..3).prop_map(|globs| globs.join(", ")),
    ]
}

fn statement() -> impl Strategy<Value = String> {
    let services = prop::sample::subsequence(NAMES.to_vec(), 1..=3).prop_shuffle();
    let condition = prop::option::of(condition());
    (0..8_u8, 1..4_u8, pattern(), condition, services).prop_map(
        |(verb, copies, pattern, condition, services)| {
            let services = services.join(", ");
            let condition = condition.map_or(String::new(), |it| format!(" where {it}"));
            match verb {
                0 => format!("never sync {pattern}"),
                1 => format!("keep {pattern} only on {services}"),
                2 => format!("keep {copies} copies of {pattern} on any of {services}"),
                3 => format!("move {pattern}{condition} to {services}"),
                _ => format!("sync {pattern}{condition} to {services}"),
            }
        },
    )
}

/// Rules, and the same in another order.
fn shuffled() -> impl Strategy<Value = (String, String)> {
    let lines = prop::collection::vec(statement(), 1..8);
    let both = lines.prop_flat_map(|mut lines| {
        lines.push("let set = \"**/*.jpg\", \"b/**\"".to_owned());
        (Just(lines.clone()), Just(lines).prop_shuffle())
    });
    both.prop_map(|(lines, others)| (lines.join("\n"), others.join("\n")))
}

/// A file and the services that have it: its path, size, days since it was modified and origin.
type Case = (String, u64, i64, Option<u16>, Vec<u16>);

fn case() -> impl Strategy<Value = Case> {
    let path = "[ab]{1,3}(/[ab]{1,2}){0,2}(\\.jpg|\\.txt|\\.tar-x)?";
    let holders = prop::sample::subsequence(vec![1_u16, 2, 3], 0..=3);
    (path, 0_u64..5_000, 0_i64..100, prop::option::of(1_u16..=3), holders)
}

fn place_in(rules: &Rules, case: &Case, services: &[Service]) -> Placement {
    let (at, size, days, origin, holders) = case;
    let (at, now_ns) = (path(at), 1_000_000_000_000_000_000);
    let mtime_ns = now_ns - days * 24 * 60 * 60 * 1_000_000_000;
    let origin = origin.map(ServiceId);
    let facts = Facts { mtime_ns: Some(mtime_ns), origin, now_ns, ..file(&at, *size) };
    let holders: Vec<ServiceId> = holders.iter().copied().map(ServiceId).collect();
    rules.place(&facts, services, &holders)
}

fn place_case(rules: &Rules, case: &Case) -> Placement {
    place_in(rules, case, &services(&NAMES))
}

proptest! {
    #[test]
    fn the_order_of_statements_means_nothing((text, other) in shuffled(), case in case()) {
        prop_assert_eq!(place_case(&rules(&text), &case), place_case(&rules(&other), &case));
    }

    #[test]
    fn the_order_of_services_means_nothing((text, _) in shuffled(), case in case()) {
        let mut reversed = services(&NAMES);
        reversed.reverse();
        let rules = rules(&text);
        prop_assert_eq!(place_case(&rules, &case), place_in(&rules, &case, &reversed));
    }

    #[test]
    fn printed_rules_are_read_as_the_same((text, _) in shuffled(), case in case()) {
        let rules = rules(&text);
        let printed = rules.to_string();
        let again = super::rules(&printed);
        prop_assert_eq!(again.to_string(), printed);
        prop_assert_eq!(place_case(&rules, &case), place_case(&again, &case));
    }

    #[test]
    fn a_placement_keeps_its_promises((text, _) in shuffled(), case in case(), read_only in 0..3_usize) {
        let mut services = services(&NAMES);
        services[read_only].mode = Mode::Source;
        let rules = rules(&text);
        let placed = place_in(&rules, &case, &services);
        prop_assert!(placed.targets.is_sorted() && !placed.targets.contains(&services[read_only].id));
        if let Some(only) = &placed.only {
            prop_assert!(placed.targets.iter().all(|it| only.contains(it)));
        }
        if let Some(stay) = &placed.stay {
            prop_assert!(!placed.targets.is_empty());
            prop_assert!(placed.targets.iter().all(|it| stay.contains(it)));
        }
        for copies in &placed.copies {
            let chosen = placed.targets.iter().filter(|it| copies.candidates.contains(it)).count();
            prop_assert!(chosen >= copies.wanted);
        }
        prop_assert_eq!(placed.excluded, rules.excludes(&path(&case.0)));
        let nothing = Placement { excluded: true, ..Placement::default() };
        prop_assert!(!placed.excluded || placed == nothing);
    }

    #[test]
    fn carrying_out_rules_changes_nothing_of_what_they_say((text, _) in shuffled(), case in case()) {
        let rules = rules(&text);
        let first = place_case(&rules, &case);
        let ids = |it: &[ServiceId]| it.iter().map(|id| id.0).collect::<Vec<u16>>();
        // Every target has it; then everybody else whose copy doesn't stay has lost it.
        let mut held = case.4.clone();
        held.extend(ids(&first.targets));
        if let Some(stay) = &first.stay {
            held.retain(|it| stay.contains(&ServiceId(*it)));
        }
        let case = (case.0, case.1, case.2, case.3, held);
        let second = place_case(&rules, &case);
        let is_held = |it: &ServiceId| case.4.contains(&it.0);
        prop_assert!(second.targets.iter().all(is_held), "{second:?} after {first:?}");
        let is_gone = |stay: &Vec<ServiceId>| case.4.iter().all(|it| stay.contains(&ServiceId(*it)));
        prop_assert!(second.stay.as_ref().is_none_or(is_gone), "{second:?} after {first:?}");
    }

    #[test]
    fn what_is_said_to_have_no_effect_has_none((text, _) in shuffled(), cases in prop::collection::vec(case(), 20)) {
        let (rules, problems) = Rules::parse(&text, &names());
        let rules = rules.expect("right");
        let is_idle = |it: &&Diagnostic| {
            it.message.starts_with("this statement") || it.message.starts_with("no file")
        };
        for problem in problems.iter().filter(is_idle) {
            let line = text[..problem.span.clone().expect("a place").start].matches('\n').count();
            let others = text.lines().enumerate().filter(|(at, _)| *at != line);
            let others = others.map(|(_, line)| line).collect::<Vec<_>>().join("\n");
            let (Some(less), _) = Rules::parse(&others, &names()) else { panic!("right") };
            // Without any statement left all goes everywhere.
            prop_assume!(!less.statements.is_empty());
            for case in &cases {
                let (mut one, mut other) = (place_case(&rules, case), place_case(&less, case));
                (one.copies, one.changes_at_ns) = (Vec::new(), None);
                (other.copies, other.changes_at_ns) = (Vec::new(), None);
                prop_assert_eq!(one, other, "{} without line {} for {:?}", &text, line + 1, case);
            }
        }
    }

    #[test]
    fn a_service_that_joins_or_leaves_moves_as_few_copies_as_can_be(
        listed in Just(vec!["laptop", "nas", "s3", "phone", "usb"]).prop_shuffle(),
        wanted in 1..4_usize,
        absent in 0..5_usize,
    ) {
        let all = ["laptop", "nas", "s3", "phone", "usb"];
        let text = format!("keep {wanted} copies of everything on any of {}", listed.join(", "));
        let (rules, _) = Rules::parse(&text, &all.map(str::to_owned));
        let rules = rules.expect("right");
        let mut fewer = services(&all);
        fewer.remove(absent);
        let at = path("a");
        let ids = |services: &[Service], held: &[ServiceId]| {
            rules.place(&file(&at, 1), services, held).targets
        };
        let before = ids(&fewer, &[]);
        prop_assert_eq!(&ids(&services(&all), &before), &before, "nothing moves to who joins");
        let before = ids(&services(&all), &[]);
        let after = ids(&fewer, &before);
        let kept = after.iter().filter(|it| before.contains(it)).count();
        let lost = usize::from(before.contains(&ServiceId(absent as u16 + 1)));
        prop_assert_eq!((after.len(), kept), (wanted, wanted - lost), "only what left is made anew");
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}|[a-z\"\\\\,#@*\\[\\]{}!/ \n\r\té]{0,60}") {
        check(&text);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_sequence_of_words_makes_the_parser_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "sync", "everything", "to", "\"a/**\"", "\"[\"", ",", "nas", "s3", "where", "@x", "size", "<", "5 MB",
            "(", ")", "and", "or", "not", "name", "matches", "/a/", "ext", "in", "let", "=", "\\", "#", "\n", "keep",
            "\"", "only", "on", "2", "copies", "of", "any", "never", "move", "older", "than", "9 days", "from", "type",
        ]), 0..24),
    ) {
        check(&words.join(" "));
    }
}

#[cfg(feature = "entries")]
proptest! {
    #[test]
    fn no_mutation_of_the_examples_makes_the_parser_panic(
        example in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), 0..5_u8, any::<Index>(), any::<char>()), 1..12),
    ) {
        let corpus = super::examples::corpus();
        let mut letters: Vec<char> = example.get(&corpus).chars().collect();
        for (at, change, other, letter) in changes {
            let at = at.index(letters.len() + 1);
            match change {
                0 => letters.truncate(at),
                1 => drop(letters.drain(at..letters.len().min(at + 3))),
                2 => letters.insert(at, letter),
                // A piece of another example, from its middle to its end.
                3 => {
                    let piece: Vec<char> = other.get(&corpus).chars().collect();
                    letters.splice(at..at, piece[piece.len() / 2..].iter().copied());
                }
                _ => letters.insert(at, *other.get(&['"', '\\', '/', '(', ')', ',', '@', '\n', '#', '{', '['])),
            }
        }
        check(&letters.into_iter().collect::<String>());
    }
}

/// That a text is either refused or taken, every place told is one, and what is taken can be
/// printed and read again.
fn check(text: &str) {
    let (rules, problems) = Rules::parse(text, &names());
    assert_eq!(rules.is_none(), problems.iter().any(Diagnostic::is_error));
    for problem in &problems {
        let spans = problem.also.iter().map(|mark| &mark.span).chain(&problem.span);
        assert!(spans.cloned().all(|span| text.get(span).is_some()), "a span cuts a letter");
    }
    #[cfg(feature = "entries")]
    crate::entries::render(&problems, text, false);
    let Some(rules) = rules else { return };
    let printed = rules.to_string();
    let (again, problems) = Rules::parse(&printed, &names());
    let again = again.unwrap_or_else(|| panic!("{printed}: {problems:?}"));
    assert_eq!(again.to_string(), printed);
}
