use onitu_core::Path;
use onitu_core::held::Held;

use super::*;

fn path(text: &str) -> Path {
    Path::new(text).expect("legal")
}

fn of(change: HeldChange, name: &str, size: u64) -> HeldPath {
    HeldPath { path: path(name), change, size }
}

#[test]
fn what_an_approval_does_is_shown() {
    let review = Review {
        held: Held { removed: 31, changed: 0, of: 40 },
        removed_bytes: 3_500_000,
        sample: vec![
            of(HeldChange::Removed, "Photos/1.jpg", 120_000),
            of(HeldChange::Removed, "notes\u{1b}.txt", 7),
        ],
        directories: vec![
            HeldDirectory { path: path("Photos"), files: 30 },
            HeldDirectory { path: Path::root(), files: 1 },
        ],
        ..Review::default()
    };
    insta::assert_snapshot!(text("laptop", Verdict::Approve, &review), @r"
    31 of 40 files were removed on `laptop` (3.3 MiB).
    Approving means: what was removed is removed on every other service too (into its trash, where it has one).

      Photos/          30 files
      in no directory    1 file

      removed  117.1 KiB  Photos/1.jpg
      removed        7 B  notes\u{1b}.txt
      … and 29 more
    ");
}

#[test]
fn what_a_rejection_does_is_shown() {
    let review = Review {
        held: Held { removed: 1, changed: 2, of: 40 },
        removed_bytes: 7,
        changed_bytes: 14,
        sample: vec![
            of(HeldChange::Removed, "a", 7),
            of(HeldChange::Changed, "b", 7),
            of(HeldChange::Changed, "c", 7),
        ],
        directories: vec![HeldDirectory { path: Path::root(), files: 3 }],
    };
    insta::assert_snapshot!(text("laptop", Verdict::Reject, &review), @r"
    1 of 40 files were removed on `laptop` (7 B).
    2 of 40 files were overwritten on `laptop` (14 B).
    Rejecting means: what was removed is brought back to `laptop`; the new contents go to the trash of `laptop`, and the former ones are brought back.

      removed      7 B  a
      overwritten  7 B  b
      overwritten  7 B  c
    ");
}

#[test]
fn only_a_yes_is_one() {
    for answer in ["y\n", "Y", " yes \n", "YES"] {
        assert!(is_yes(answer), "{answer}");
    }
    for answer in ["", "\n", "n", "no", "yess", "j"] {
        assert!(!is_yes(answer), "{answer}");
    }
}
