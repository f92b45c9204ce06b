use std::collections::BTreeMap;

use super::*;
use crate::{Content, Kind, Media, Mode, Record, ServiceId};

#[cfg(feature = "entries")]
mod examples;
mod place;
mod properties;
mod reference;

fn services(names: &[&str]) -> Vec<Service> {
    let service = |(index, name): (usize, &&str)| Service {
        id: ServiceId(index as u16 + 1),
        name: (*name).to_owned(),
        driver: "local".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::new(),
    };
    names.iter().enumerate().map(service).collect()
}

fn names() -> Vec<String> {
    ["laptop", "nas", "s3"].map(str::to_owned).to_vec()
}

fn rules(text: &str) -> Rules {
    let (rules, problems) = Rules::parse(text, &names());
    rules.unwrap_or_else(|| panic!("{problems:?}"))
}

fn path(text: &str) -> Path {
    Path::new(text).expect("valid")
}

/// The services of a path of which only the name is known.
fn targets(text: &str, at: &str) -> Vec<u16> {
    let at = path(at);
    let facts = Facts::of_path(&at, 0);
    numbers(&rules(text).place(&facts, &services(&["laptop", "nas", "s3"]), &[]).targets)
}

fn numbers(ids: &[ServiceId]) -> Vec<u16> {
    ids.iter().map(|id| id.0).collect()
}

/// The messages of a text, each with the piece of the text it points at.
fn problems(text: &str) -> Vec<(String, String)> {
    let (_, problems) = Rules::parse(text, &names());
    let piece = |it: &Diagnostic| it.span.clone().map_or(String::new(), |at| text[at].to_owned());
    problems.iter().map(|it| (it.message.clone(), piece(it))).collect()
}

#[test]
fn without_statements_everything_goes_everywhere() {
    for text in ["", "\n\n", "# only a comment\n   # and another\n"] {
        assert_eq!(targets(text, "a/b"), [1, 2, 3]);
    }
    let status = Rules::everywhere().statements(&Facts::of_path(&Path::root(), 0), &[]);
    assert_eq!((status.len(), status[0].line, status[0].matches), (1, 0, true));
}

#[test]
fn everything_goes_to_the_named_services() {
    assert_eq!(targets("sync everything to nas, laptop", "any/thing"), [1, 2]);
    assert_eq!(targets("sync everything to nas\nsync everything to s3", "any"), [2, 3]);
}

#[test]
fn globs_add_targets_to_what_they_match() {
    let text = "sync everything to laptop\nsync \"Photos/**\", \"**/*.jpg\" to s3  # pictures\n";
    assert_eq!(targets(text, "Photos/2026/a.raw"), [1, 3]);
    assert_eq!(targets(text, "a.jpg"), [1, 3]);
    assert_eq!(targets(text, "Documents/deep/a.jpg"), [1, 3]);
    assert_eq!(targets(text, "Photos2/a.raw"), [1]);
}

#[test]
fn a_directory_goes_where_all_below_it_goes() {
    assert_eq!(targets("sync \"Photos/**\" to s3", "Photos"), [3]);
    assert_eq!(targets("sync \"Photos/**\" to s3", "Photo"), [0_u16; 0]);
}

#[test]
fn a_star_ends_at_a_slash() {
    assert_eq!(targets("sync \"*.txt\" to s3", "a.txt"), [3]);
    assert_eq!(targets("sync \"*.txt\" to s3", "d/a.txt"), [0_u16; 0]);
    assert_eq!(targets("sync \"{a,b}/?[0-9].txt\" to s3", "b/x7.txt"), [3]);
}

#[test]
fn odd_letters_in_globs_mean_themselves() {
    assert_eq!(targets(r#"sync "a\"b", "c\*d", "e#f, g" to s3"#, "a\"b"), [3]);
    assert_eq!(targets(r#"sync "a\"b", "c\*d" to s3"#, "c*d"), [3]);
    assert_eq!(targets(r#"sync "a\"b", "c\*d" to s3"#, "cxd"), [0_u16; 0]);
    assert_eq!(targets(r#"sync "e#f, g" to s3"#, "e#f, g"), [3]);
}

#[test]
fn a_source_is_never_a_target() {
    let mut services = services(&["laptop", "nas"]);
    services[1].mode = Mode::Source;
    for rules in [rules("sync everything to laptop, nas"), Rules::everywhere()] {
        let placed = rules.place(&Facts::of_path(&path("a"), 0), &services, &[]);
        assert_eq!(placed.targets, [ServiceId(1)]);
    }
}

#[test]
fn a_service_that_is_gone_is_left_out() {
    let rules = rules("sync everything to laptop, nas");
    let placed = rules.place(&Facts::of_path(&path("a"), 0), &services(&["laptop"]), &[]);
    assert_eq!(placed.targets, [ServiceId(1)]);
}

#[test]
fn statements_tell_their_line_their_text_and_whether_they_match() {
    let rules = rules("\n# why\n  sync \"*.jpg\"  to s3 # because\r\nsync everything to nas");
    let status = rules.statements(&Facts::of_path(&path("a.txt"), 0), &[]);
    let told: Vec<_> = status.iter().map(|it| (it.line, it.text.as_str(), it.matches)).collect();
    assert_eq!(told, [(3, "sync \"*.jpg\"  to s3", false), (4, "sync everything to nas", true)]);
}

#[test]
fn every_line_tells_its_own_mistake() {
    let text = "snyc everything to nas\nsync everthing to nas\nsync everything nas\nkeep \"a\"\n";
    let expected = [
        ("unknown statement `snyc`", "snyc"),
        ("`everthing` is neither `everything` nor a glob in quotes", "everthing"),
        ("`to` is expected here", "nas"),
        ("the statement ends too early", "\"a\""),
    ];
    assert_eq!(problems(text), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn mistakes_of_form_point_at_their_word() {
    let cases = [
        ("\"a\" to s3", "a statement begins with a word", "\"a\""),
        ("sync", "the statement ends too early", "sync"),
        ("sync *.jpg to s3", "`*.jpg` is neither `everything` nor a glob in quotes", "*.jpg"),
        ("sync \"a", "the closing `\"` of this glob is missing", "\"a"),
        ("sync \"a\", to s3", "`to` is neither `everything` nor a glob in quotes", "to"),
        ("sync \"a\" \"b\" to s3", "a comma is missing between two globs", "\"b\""),
        ("sync , to s3", "a glob in quotes is expected here", ","),
        ("sync \"é\" to", "the statement ends too early", "to"),
        ("sync \"a\" to s3,", "the statement ends too early", ","),
        ("sync \"a\" to s3 nas", "a comma is expected here", "nas"),
        ("sync \"a\" to \"s3\"", "a service's name stands without quotes", "\"s3\""),
        ("sync \"\" to s3", "an empty glob matches nothing", "\"\""),
        ("sync \"/a\" to s3", "`/a` matches nothing: paths don't begin with `/`", "\"/a\""),
        ("sync \"a/\" to s3", "`a/` matches nothing: paths don't end with `/`", "\"a/\""),
        (
            "sync \"a/../b\" to s3",
            "`a/../b` matches nothing: no path has a component `..`",
            "\"a/../b\"",
        ),
        ("sync \"a\" to s3 where size < 1 B", "`where` stands before `to`", "where"),
        ("sync @x to s3", "no set is called `@x`", "@x"),
        ("let x", "the statement ends too early", "x"),
        ("let x \"a\"", "`=` is expected here", "\"a\""),
        ("let x = \"a\" \"b\"", "a comma is missing between two globs", "\"b\""),
        ("let @x = \"a\"", "`@x` is no name for a set", "@x"),
        ("let x = \"a\"\nlet x = \"b\"", "`x` is defined twice", "x"),
        ("sync \"a\" where to s3", "a condition is expected here", "to"),
        ("sync \"a\" where size 5 MB to s3", "`<`, `<=`, `>` or `>=` is expected here", "5"),
        ("sync \"a\" where size < big to s3", "`big` is no size", "big"),
        ("sync \"a\" where size < 5 to s3", "`5` is no size", "5"),
        ("sync \"a\" where size < 5 XB to s3", "`5 XB` is no size", "5 XB"),
        ("sync \"a\" where type image/* to s3", "`is` is expected here", "image/*"),
        ("sync \"a\" where type is image to s3", "`image` is not a type like image/*", "image"),
        ("sync \"a\" where ext in .jpg to s3", "`.jpg` is not an extension like jpg", ".jpg"),
        ("sync \"a\" where name is /x/ to s3", "`matches` is expected here", "is"),
        ("sync \"a\" where name matches /x to s3", "the closing `/` is missing", "/x to s3"),
        ("sync \"a\" where name matches /(/ to s3", "`/(/` is no regular expression", "/(/"),
        ("sync \"a\" where (size < 1 B to s3", "`and`, `or` or `)` is expected here", "to"),
        ("sync \"a\" where (size < 1 B", "the closing `)` is missing", "("),
        (
            "sync \"a\" where size < 1 B size < 2 B to s3",
            "`and`, `or` or `to` is expected here",
            "size",
        ),
        ("sync \"a\" where siez < 1 B to s3", "unknown condition `siez`", "siez"),
        ("sync \"[a\" to s3", "`[a` is no glob: unclosed character class; missing ']'", "\"[a\""),
    ];
    for (text, message, piece) in cases {
        assert_eq!(problems(text), [(message.to_owned(), piece.to_owned())], "{text}");
    }
}

#[test]
fn an_unknown_service_is_a_warning_with_the_nearest_name() {
    let (rules, problems) = Rules::parse("sync everything to nsa, laptop", &names());
    assert!(rules.is_some());
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].severity, Severity::Warning);
    assert_eq!(problems[0].hints, ["did you mean `nas`?"]);
}

fn file(path: &Path, size: u64) -> Facts<'_> {
    Facts { kind: Some(Kind::File), size: Some(size), ..Facts::of_path(path, 0) }
}

/// The services of a file of `size` bytes at `path`.
fn placed(text: &str, at: &str, size: u64) -> Vec<u16> {
    let at = path(at);
    numbers(&rules(text).place(&file(&at, size), &services(&["laptop", "nas", "s3"]), &[]).targets)
}

#[test]
fn conditions_decide_beside_the_path() {
    let small = "sync \"Photos/**\" where size < 50 MB and type is image/* to s3";
    assert_eq!(placed(small, "Photos/a.jpg", 49_999_999), [3]);
    assert_eq!(placed(small, "Photos/a.jpg", 50_000_000), [0_u16; 0]);
    assert_eq!(placed(small, "Photos/a.txt", 1), [0_u16; 0]);
    assert_eq!(placed(small, "a.jpg", 1), [0_u16; 0]);
    let table = [
        ("size <= 1 k", "a", 1_000, true),
        ("size > 1 KiB", "a", 1_024, false),
        ("size >= 1 KiB", "a", 1_024, true),
        ("type is application/pdf, video/*", "a.MP4", 1, true),
        ("type is image/*", "image", 1, false),
        ("ext in jpg, png", "d/A.JPG", 1, true),
        ("ext in gz", "a.tar.gz", 1, true),
        ("ext in bashrc", ".bashrc", 1, false),
        ("name matches /^IMG_[0-9]+/", "d/IMG_7.raw", 1, true),
        ("name matches /^d/", "d/x", 1, false),
        ("path \"d/**\", \"e\"", "d/x/y", 1, true),
        ("not ext in jpg", "a.txt", 1, true),
        ("ext in a or ext in b and size > 5 B", "x.a", 1, true),
        ("(ext in a or ext in b) and size > 5 B", "x.a", 1, false),
        ("not not size < 2 B", "x", 1, true),
    ];
    for (condition, path, size, met) in table {
        let text = format!("sync everything where {condition} to nas");
        assert_eq!(!placed(&text, path, size).is_empty(), met, "{condition} of {path}");
    }
}

#[test]
fn what_is_not_known_meets_no_condition_and_no_contrary() {
    for condition in ["size < 5 B", "not size < 5 B", "ext in txt and size < 5 B"] {
        assert_eq!(
            targets(&format!("sync everything where {condition} to nas"), "a.txt"),
            [0_u16; 0]
        );
    }
    let either = "sync everything where ext in txt or size < 5 B to nas";
    assert_eq!(targets(either, "a.txt"), [2]);
}

#[test]
fn a_directory_meets_no_condition() {
    let at = path("d");
    let facts = Facts { kind: Some(Kind::Directory), ..file(&at, 0) };
    let rules = rules("sync everything where size < 5 B to nas");
    assert_eq!(rules.place(&facts, &services(&["laptop", "nas"]), &[]), Placement::default());
    assert_eq!(rules.statements(&facts, &[])[0].unmet.as_deref(), Some("it is a directory"));
}

#[test]
fn the_part_of_a_condition_that_fails_is_told() {
    let rules = rules("sync \"*.jpg\" where size < 50 MB and not name matches /x/ to s3");
    let unmet = |at: &str, size| rules.statements(&file(&path(at), size), &[])[0].unmet.clone();
    assert_eq!(unmet("a.jpg", 1), None);
    assert_eq!(unmet("a.jpg", 1 << 30).as_deref(), Some("size < 50 MB"));
    assert_eq!(unmet("x.jpg", 1).as_deref(), Some("not name matches /x/"));
    assert_eq!(unmet("x.txt", 1 << 30), None, "its globs don't match at all");
}

#[test]
fn sets_have_names_that_may_be_used_before_they_are_given() {
    let text = "sync @photos, \"Scans/**\" to s3\nlet photos = \"Photos/**\", \"**/*.jpg\"\n";
    assert_eq!(targets(text, "Photos/a.raw"), [3]);
    assert_eq!(targets(text, "deep/down/a.jpg"), [3]);
    assert_eq!(targets(text, "Scans/1.pdf"), [3]);
    assert_eq!(targets(text, "b.raw"), [0_u16; 0]);
}

#[test]
fn a_statement_may_go_on_in_the_next_line() {
    let text = "sync \"a\", # one\n  \"b\" \\\n  to nas,\n  s3\nsync \"c\" to nas\n";
    assert_eq!(targets(text, "b"), [2, 3]);
    assert_eq!(targets(text, "c"), [2]);
    let status = rules(text).statements(&Facts::of_path(&path("b"), 0), &[]);
    assert_eq!((status[0].line, status[0].text.as_str()), (1, "sync \"a\", \"b\" to nas, s3"));
    assert_eq!(status[1].line, 5);
}

#[test]
fn globs_that_would_take_too_long_to_compare_are_refused_with_the_reason() {
    let line = |number: usize| format!("sync \"**/*{}{number}*\" to nas", "?".repeat(100));
    let text = |lines: usize| (0..lines).map(line).collect::<Vec<_>>().join("\n");
    let (rules, _) = Rules::parse(&text(100), &names());
    assert!(rules.is_some(), "ten thousand are the most");
    let (rules, problems) = Rules::parse(&text(101), &names());
    assert!(rules.is_none());
    let told = &problems.last().expect("an error").message;
    assert!(told.contains("10100 `?` and `[…]` together, and 10000 are the most"), "{told}");
    let escaped = Rules::parse(&text(100).replace('*', "[?]\\?"), &names());
    assert!(escaped.0.is_none(), "a class counts, an escaped letter doesn't");
}
