//! The name under which the second content of a conflict is kept.
//!
//! It depends on path, service and content alone, so that any two runs agree (design §6).

use crate::{Checksum, Path, limits};

/// Directories that one service can set aside at one path.
const DIRECTORIES_MAX: u32 = 1_000;

/// The path at which `service`'s content with `checksum` is kept when another keeps `path`:
/// `name (conflict SERVICE 1a2b3c4).ext`, with `digits` digits of the checksum (7 unless that name
/// is taken by something else).
///
/// A name that already is such a name keeps only its first part, so that a conflict of a conflict
/// doesn't grow; a name that would be too long loses the end of its stem.
pub fn conflict_path(path: &Path, service: &str, checksum: Checksum, digits: usize) -> Path {
    let (stem, extension) = split_name(path.name());
    let stem = without_mark(stem);
    let sum = checksum.to_string();
    let mark = format!(" (conflict {service} {})", &sum[..digits.clamp(7, sum.len())]);
    let room = limits::NAME_BYTES_MAX.saturating_sub(mark.len() + extension.len());
    let name = format!("{}{mark}{extension}", cut(stem, room));
    let parent = path.parent().unwrap_or_else(Path::root);
    // Only an extension or a service name of absurd length gets here; the path stays legal.
    parent.join(&name).unwrap_or_else(|_| {
        parent
            .join(cut(&format!("{sum}{mark}"), limits::NAME_BYTES_MAX))
            .unwrap_or_else(|_| path.clone())
    })
}

/// The names to try in turn for what `service` has to set aside at `path`. A directory has no
/// `checksum` that tells it from another: after the first names it is numbered.
pub fn conflict_paths(
    path: &Path,
    service: &str,
    checksum: Option<Checksum>,
) -> impl Iterator<Item = Path> {
    let last = if checksum.is_none() { DIRECTORIES_MAX } else { 0 };
    let sum = checksum.unwrap_or_else(|| Checksum::of(b""));
    let numbered = (2..=last).map(|number| (Checksum::of(number.to_string().as_bytes()), 7));
    let tries = [7, 12, 20, 40].map(|digits| (sum, digits)).into_iter().chain(numbered);
    tries.map(move |(sum, digits)| conflict_path(path, service, sum, digits))
}

/// The path whose name the copy at `path` has lost, if `path` is named like the copy of a conflict.
pub fn original_path(path: &Path) -> Option<Path> {
    let (stem, extension) = split_name(path.name());
    let original = without_mark(stem);
    if original.len() == stem.len() {
        return None;
    }
    path.parent()?.join(&format!("{original}{extension}")).ok()
}

/// Stem and extension (with its dot); a leading dot begins no extension.
pub(crate) fn split_name(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 64 => name.split_at(at),
        _ => (name, ""),
    }
}

fn without_mark(stem: &str) -> &str {
    match stem.rfind(" (conflict ") {
        Some(at) if at > 0 && stem.ends_with(')') => &stem[..at],
        _ => stem,
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn name(path: &str) -> String {
        let path = Path::new(path).expect("valid");
        conflict_path(&path, "nas", Checksum::of(b"abc"), 7).to_string()
    }

    #[test]
    fn names_are_as_the_design_says() {
        assert_eq!(name("d/report.txt"), "d/report (conflict nas a9993e3).txt");
        assert_eq!(name("Makefile"), "Makefile (conflict nas a9993e3)");
        assert_eq!(name(".bashrc"), ".bashrc (conflict nas a9993e3)");
    }

    #[test]
    fn a_directory_finds_a_name_however_often_one_was_set_aside() {
        let path = Path::new("d").expect("valid");
        let names: BTreeSet<Path> = conflict_paths(&path, "nas", None).collect();
        assert_eq!(names.len(), DIRECTORIES_MAX as usize + 3, "each name once");
        let of_file = conflict_paths(&path, "nas", Some(Checksum::of(b"abc")));
        assert_eq!(of_file.map(|path| path.as_str().len()).collect::<Vec<_>>(), [24, 29, 37, 57]);
    }

    #[test]
    fn the_original_of_a_copy_is_told_by_its_name() {
        let original = |path: &str| {
            original_path(&Path::new(path).expect("valid")).map(|path| path.to_string())
        };
        assert_eq!(
            original("d/report (conflict nas a9993e3).txt").as_deref(),
            Some("d/report.txt")
        );
        assert_eq!(original("d (conflict x)/report.txt"), None);
    }

    #[test]
    fn a_conflict_of_a_conflict_does_not_grow() {
        assert_eq!(name("x (conflict laptop 1234567).txt"), "x (conflict nas a9993e3).txt");
    }

    #[test]
    fn long_names_stay_legal_and_whole_characters() {
        let long = format!("{}.txt", "é".repeat(125));
        let kept = name(&long);
        assert!(kept.len() <= 255 && kept.ends_with(" (conflict nas a9993e3).txt"), "{kept}");
    }
}
