//! Names that Dropbox can't hold, written so that it can; and which names are Onitu's own.
//!
//! Dropbox refuses some letters and some names, and composes decomposed letters. Such a name is
//! held with its odd bytes as `%5C` and the mark ` (onitu)` before its extension. Everything is in
//! the name, so no table can be lost; a name that only looks so stands for itself, and one that
//! really is a held one is held under a mark itself.

use std::fmt::Write as _;

use icu_normalizer::ComposingNormalizerBorrowed;
use onitu_plug::{Fault, FaultKind, Path};

/// Holds everything Onitu keeps in a root.
pub(crate) const OWN: &str = ".onitu";
/// Ends the stem of a name that is written otherwise.
const MARK: &str = " (onitu)";
/// Most characters of a name.
const CHARS_MAX: usize = 255;
/// Names that Dropbox never saves, in lower case.
const DISALLOWED: [&str; 7] = [
    "desktop.ini",
    "thumbs.db",
    ".ds_store",
    "icon\r",
    ".dropbox",
    ".dropbox.attr",
    ".dropbox.cache",
];

/// Whether a path is Onitu's own, however its letters are spelled.
pub(crate) fn is_own(path: &Path) -> bool {
    path.as_str().split('/').next() == Some(OWN)
}

fn is_composed(name: &str) -> bool {
    name.is_ascii() || ComposingNormalizerBorrowed::new_nfc().is_normalized(name)
}

fn is_odd(letter: char) -> bool {
    letter == '\\' || letter.is_ascii_control()
}

/// Whether Dropbox holds the name as it is.
fn is_plain(name: &str) -> bool {
    !name.contains(is_odd)
        && !name.ends_with(' ')
        && is_composed(name)
        && !DISALLOWED.contains(&name.to_lowercase().as_str())
}

fn escaped(name: &str) -> String {
    let all = !is_composed(name);
    let mut text = String::new();
    for (at, letter) in name.char_indices() {
        let is_last_blank = letter == ' ' && at + 1 == name.len();
        if letter == '%' || is_odd(letter) || is_last_blank || (all && !letter.is_ascii()) {
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String can't fail.
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(letter);
        }
    }
    text
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Where the extension begins, if there is one.
fn stem_length(name: &str) -> usize {
    name.rfind('.').filter(|at| *at > 0 && name.len() - at <= 64).unwrap_or(name.len())
}

/// The name under which Dropbox holds `name`.
pub(crate) fn encode(name: &str) -> String {
    if is_plain(name) && marked(name).is_none() {
        return name.to_owned();
    }
    let mut held = escaped(name);
    held.insert_str(stem_length(&held), MARK);
    held
}

/// What a held name with a mark stands for; [`None`] if it has none, or isn't what would be held.
fn marked(held: &str) -> Option<String> {
    let (stem, extension) = held.split_at(stem_length(held));
    let name = unescaped(&format!("{}{extension}", stem.strip_suffix(MARK)?))?;
    let is_needed = !is_plain(&name) || marked(&name).is_some();
    let mut again = escaped(&name);
    again.insert_str(stem_length(&again), MARK);
    (is_needed && again == held && !name.is_empty()).then_some(name)
}

/// The name that Dropbox's `held` stands for.
pub(crate) fn decode(held: &str) -> String {
    marked(held).unwrap_or_else(|| held.to_owned())
}

/// A path as Dropbox holds it below the root: nothing for the root, else `/…`.
pub(crate) fn held(path: &Path) -> String {
    if path.is_root() {
        return String::new();
    }
    let names: Vec<String> = path.as_str().split('/').map(encode).collect();
    format!("/{}", names.join("/"))
}

/// Refuses what can't be a user's path in Dropbox.
pub(crate) fn check(path: &Path) -> Result<(), Fault> {
    let refused = |text: String| Err(Fault::new(FaultKind::InvalidName, text));
    if path.is_root() {
        return refused("the root itself can't be changed".to_owned());
    }
    if is_own(path) {
        return refused(format!("`{path}` is a name that Onitu keeps for itself"));
    }
    match path.as_str().split('/').find(|name| encode(name).chars().count() > CHARS_MAX) {
        Some(name) => refused(format!(
            "Dropbox can't hold `{name}`: a name has at most {CHARS_MAX} letters, those included \
             that must be written otherwise there"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_held_as_it_is() {
        for name in ["a", "a.txt", "%41", "é🦀", "a (onitu)", "50% (onitu).txt", "...", " a"] {
            assert_eq!(encode(name), name);
            assert_eq!(decode(name), name);
        }
    }

    #[test]
    fn an_odd_name_is_held_otherwise_and_comes_back() {
        for (name, held) in [
            ("a\\b.txt", "a%5Cb (onitu).txt"),
            ("trailing ", "trailing%20 (onitu)"),
            ("50%\n", "50%25%0A (onitu)"),
            (".DS_Store", ".DS_Store (onitu)"),
            ("Desktop.ini", "Desktop (onitu).ini"),
            ("cafe\u{301}.txt", "cafe%CC%81 (onitu).txt"),
            (" ", "%20 (onitu)"),
        ] {
            assert_eq!(encode(name), held);
            assert_eq!(decode(held), name);
        }
    }

    #[test]
    fn what_is_held_otherwise_is_told_from_what_is_really_called_so() {
        let held = encode("a\\b.txt");
        let twice = encode(&held);
        assert_ne!(held, twice);
        assert_eq!(decode(&twice), held);
        let names = ["a\\b", "a%5Cb", "a%5Cb (onitu)", "a%255Cb (onitu)", "a%5cb (onitu)"];
        for one in names {
            assert_eq!(decode(&encode(one)), one);
            for other in names.iter().filter(|other| **other != one) {
                assert_ne!(encode(one), encode(other));
            }
        }
    }

    #[test]
    fn what_is_held_is_never_an_odd_name() {
        for name in ["a\\ ", "\u{7f}", "thumbs.DB", "e\u{301} ", "icon\r"] {
            assert!(is_plain(&encode(name)), "{name:?}");
        }
    }

    #[test]
    fn a_path_that_cant_be_held_is_refused() {
        let path = |text: &str| Path::new(text).expect("valid");
        assert!(check(&path("a/b")).is_ok() && check(&path(&"n".repeat(255))).is_ok());
        let long = format!("{}\\", "n".repeat(250));
        for refused in [".onitu/service", "", long.as_str()] {
            assert!(check(&path(refused)).is_err(), "{refused}");
        }
        assert_eq!(held(&path("a\\b/c")), "/a%5Cb (onitu)/c");
    }
}
