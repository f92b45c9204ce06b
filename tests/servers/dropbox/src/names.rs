//! Which paths there may be, and which of them Dropbox takes for one.
//!
//! Names are kept as they were made, but composed (NFC), and compared without regard to case: one
//! letter for one letter, as Python 2.5 did it, so that the last sigma of a word stays `σ`.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Most characters of a name.
const NAME_CHARS_MAX: usize = 255;
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

/// Why a path can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// It breaks the rules of paths.
    Malformed,
    /// Dropbox doesn't save such a name.
    Disallowed,
}

/// What all spellings of a path have in common: its key.
pub fn lower(path: &str) -> String {
    let one = |letter: char| match letter {
        '\u{130}' => 'i',
        _ => letter.to_lowercase().next().unwrap_or(letter),
    };
    path.chars().map(one).collect()
}

/// The spelling under which a path is kept.
pub fn composed(path: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(path).into_owned()
}

/// Refuses a path (`/a/b`, or nothing for the root) that breaks the rules.
pub fn check(path: &str) -> Result<(), Bad> {
    let Some(names) = path.strip_prefix('/') else {
        return if path.is_empty() { Ok(()) } else { Err(Bad::Malformed) };
    };
    names.split('/').try_for_each(check_name)
}

fn check_name(name: &str) -> Result<(), Bad> {
    let is_odd = |letter: char| letter == '\\' || letter == '\u{7f}' || letter == '\0';
    let is_malformed = name.is_empty()
        || name == "."
        || name == ".."
        || name.ends_with(' ')
        || name.chars().any(is_odd)
        || name.chars().count() > NAME_CHARS_MAX;
    if is_malformed {
        return Err(Bad::Malformed);
    }
    if DISALLOWED.contains(&lower(name).as_str()) { Err(Bad::Disallowed) } else { Ok(()) }
}

/// The path above; nothing above the root.
pub fn parent(path: &str) -> Option<&str> {
    path.rfind('/').map(|at| &path[..at])
}

/// The last component.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or("")
}

/// Whether `path` is `above` or lies below it; both are keys.
pub fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `name` with `mark` before its extension.
pub fn marked(name: &str, mark: &str) -> String {
    match name.rfind('.') {
        Some(at) if at > 0 => format!("{} ({mark}){}", &name[..at], &name[at..]),
        _ => format!("{name} ({mark})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_folded_letter_by_letter() {
        assert_eq!(lower("/ÄPFEL/ΣΣΣ"), "/äpfel/σσσ");
        assert_eq!(composed("cafe\u{301}"), "caf\u{e9}");
    }

    #[test]
    fn what_cant_be_is_refused() {
        for path in ["a", "/", "/a/", "/a//b", "/..", "/a\\b", "/a ", "/\u{7f}"] {
            assert_eq!(check(path), Err(Bad::Malformed), "{path:?}");
        }
        assert_eq!(check("/a/Thumbs.DB"), Err(Bad::Disallowed));
        assert_eq!(check(&format!("/{}", "é".repeat(256))), Err(Bad::Malformed));
        for path in ["", "/a", "/a/ b", "/a.", "/...", "/a\nb", "/*?<>|:\""] {
            assert_eq!(check(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn a_mark_stands_before_the_extension() {
        assert_eq!(marked("document.txt", "2"), "document (2).txt");
        assert_eq!(marked(".hidden", "2"), ".hidden (2)");
    }

    #[test]
    fn a_name_that_only_begins_alike_isnt_within() {
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", ""));
        assert!(!is_within("/ab", "/a"));
    }
}
