use super::super::tests::conflict;
use super::*;

fn path(text: &str) -> Path {
    Path::new(text).expect("legal")
}

fn some() -> Vec<ConflictStatus> {
    [
        ("a.txt", "a (conflict nas 1).txt"),
        ("d/b", "d/b (conflict nas 2)"),
        ("d/b", "d/b (conflict usb 3)"),
        ("d/e/c", "d/e/c (conflict nas 4)"),
        ("dd", "dd (conflict nas 5)"),
    ]
    .map(|(at, kept)| conflict(at, kept, "now"))
    .to_vec()
}

fn named(paths: &[&str]) -> (Vec<String>, Vec<String>) {
    let conflicts = some();
    let paths: Vec<Path> = paths.iter().map(|text| path(text)).collect();
    let (meant, unknown) = meant(&conflicts, &paths);
    let text = |path: &Path| path.to_string();
    (meant.into_iter().map(|it| text(&it.kept)).collect(), unknown.into_iter().map(text).collect())
}

#[test]
fn a_conflict_is_named_by_its_path_by_its_copy_or_by_a_directory_above() {
    assert_eq!(named(&["a.txt"]).0, ["a (conflict nas 1).txt"]);
    assert_eq!(named(&["a (conflict nas 1).txt"]).0, ["a (conflict nas 1).txt"]);
    assert_eq!(named(&["d/b"]).0, ["d/b (conflict nas 2)", "d/b (conflict usb 3)"]);
    let below = ["d/b (conflict nas 2)", "d/b (conflict usb 3)", "d/e/c (conflict nas 4)"];
    assert_eq!(named(&["d"]).0, below);
    assert_eq!(named(&[""]).0.len(), 5, "the root is above everything");
}

#[test]
fn what_is_named_twice_is_ended_once_and_what_is_unknown_is_told() {
    let (meant, unknown) =
        named(&["d/e", "nothing", "d/e/c", "d/"].map(|it| it.trim_end_matches('/')));
    assert_eq!((meant.len(), unknown), (3, vec!["nothing".to_owned()]));
}

#[test]
fn many_conflicts_are_ended_by_requests_that_fit() {
    let long = "\u{1}".repeat(200);
    let conflicts: Vec<_> =
        (0..300).map(|at| conflict(&format!("d/{at}"), &format!("d/{long}{at}"), "now")).collect();
    let batches = batches(&conflicts.iter().collect::<Vec<_>>());
    assert_eq!(batches.concat().len(), 300);
    for batch in batches {
        let kept = batch.len();
        let line = serde_json::to_string(&ToCore::Resolve { kept: batch, keep: Keep::Both });
        assert!(kept <= RESOLVE_MAX && line.expect("writable").len() < 32 * 1024);
    }
}

#[test]
fn what_to_keep_is_a_word_or_a_service() {
    assert_eq!(keep("both"), Ok(Keep::Both));
    assert_eq!(keep("newest"), Ok(Keep::Newest));
    assert_eq!(keep("nas"), Ok(Keep::Service("nas".to_owned())));
    assert!(keep("").is_err());
}

#[test]
fn the_summary_counts() {
    assert_eq!(summary(1, 0), "1 conflict ended");
    assert_eq!(summary(60, 2), "58 conflicts ended, 2 not");
}
