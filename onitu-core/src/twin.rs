//! The name under which a service holds a *twin*: a file or directory whose own name it can't
//! tell from another's.
//!
//! Everything is in the name: which one it stands for needs no table that could be lost. A name
//! that only looks like such a name doesn't have the right digits, and one that has them is held
//! under a mark itself, so no two paths ever stand for each other.

use crate::conflict::split_name;
use crate::{Checksum, Path, limits};

/// Begins the mark, before the digits.
const MARK: &str = " (twin ";
/// Ends it.
const END: &str = ")";
/// Digits of the checksum of the name that is meant.
const DIGITS: usize = 8;

/// The name under which `name` is held where its own is taken by a twin: `name (twin
/// 1a2b3c4d).ext`, with the first digits of the checksum of `name`. [`None`] if that would be
/// longer than a name may be.
pub fn encode(name: &str) -> Option<String> {
    let (stem, extension) = split_name(name);
    let sum = Checksum::of(name.as_bytes()).to_string();
    let held = format!("{stem}{MARK}{}{END}{extension}", &sum[..DIGITS]);
    (held.len() <= limits::NAME_BYTES_MAX).then_some(held)
}

/// The name that `held` stands for; [`None`] if it stands for itself.
pub fn decode(held: &str) -> Option<String> {
    let (stem, extension) = split_name(held);
    let at = stem.len().checked_sub(MARK.len() + DIGITS + END.len())?;
    let mark = stem.get(at..)?;
    if !mark.starts_with(MARK) || !mark.ends_with(END) {
        return None;
    }
    let name = format!("{}{extension}", &stem[..at]);
    let is_name = Path::new(&name).is_ok_and(|path| path.depth() == 1);
    (is_name && encode(&name).as_deref() == Some(held)).then_some(name)
}

/// The path that `held`, as a service tells it, stands for: each of its names decoded.
pub fn decode_path(held: &Path) -> Path {
    if !held.as_str().contains(MARK) {
        return held.clone();
    }
    let names = held.as_str().split('/').map(|name| decode(name).unwrap_or_else(|| name.into()));
    // Shorter names make no path illegal that was legal.
    Path::new(&names.collect::<Vec<_>>().join("/")).unwrap_or_else(|_| held.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names that are legal, among them many that are nearly encoded ones.
    fn names() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(" (twin ".to_owned()),
            Just("1a2b3c4d)".to_owned()),
            Just(".".to_owned()),
            Just("é".to_owned()),
            "[aA)(]{1,3}",
            "[^/\0]{0,8}",
            "[a-z.]{60,80}",
        ];
        let name = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
        let twice = |name: String| encode(&name).unwrap_or(name);
        prop_oneof![name.clone(), name.prop_map(twice)]
            .prop_filter("a legal name", |name| Path::new(name).is_ok_and(|it| it.depth() == 1))
    }

    proptest! {
        #[test]
        fn an_encoded_name_stands_for_exactly_its_name(name in names()) {
            if let Some(held) = encode(&name) {
                prop_assert!(held.len() <= limits::NAME_BYTES_MAX && held != name);
                prop_assert_eq!(decode(&held), Some(name));
            }
        }

        #[test]
        fn two_names_are_never_held_under_one(one in names(), other in names()) {
            prop_assume!(one != other);
            prop_assert!(encode(&one).is_none() || encode(&one) != encode(&other));
        }

        #[test]
        fn what_stands_for_a_name_is_what_that_name_encodes_to(held in names()) {
            if let Some(name) = decode(&held) {
                prop_assert_eq!(encode(&name), Some(held));
            }
        }
    }

    #[test]
    fn the_mark_stands_before_the_extension() {
        let held = |name| encode(name).expect("short");
        assert_eq!(held("Report.txt"), "Report (twin fc6484b7).txt");
        assert_eq!(held("Docs"), "Docs (twin 68a41942)");
        assert_eq!(held(".Bashrc"), ".Bashrc (twin 1c4ebeed)");
        assert_ne!(held("Docs"), held("docs"));
    }

    #[test]
    fn a_users_own_name_that_looks_like_a_mark_stands_for_itself() {
        for own in ["Docs (twin 1a2b3c4d)", "a (twin x).txt", " (twin 1a2b3c4d)", "(twin )"] {
            assert_eq!(decode(own), None, "{own}");
        }
    }

    #[test]
    fn an_encoded_name_that_is_meant_itself_is_encoded_once_more() {
        let once = encode("Docs").expect("short");
        let twice = encode(&once).expect("short");
        assert_eq!(decode(&twice).as_deref(), Some(once.as_str()));
    }

    #[test]
    fn a_name_without_room_for_the_mark_has_none() {
        assert!(encode(&"x".repeat(255 - 16)).is_some());
        assert_eq!(encode(&"x".repeat(255 - 15)), None);
    }

    #[test]
    fn every_name_of_a_path_is_decoded() {
        let (above, below) = (encode("D").expect("short"), encode("F.txt").expect("short"));
        let held = Path::new(&format!("{above}/e/{below}")).expect("valid");
        assert_eq!(decode_path(&held).as_str(), "D/e/F.txt");
        let plain = Path::new("a (twin x)/b").expect("valid");
        assert_eq!(decode_path(&plain), plain);
    }
}
