//! Which names are Onitu's own, and how a name is shown that is no text.

use std::ffi::CStr;
use std::fmt::Write as _;

use onitu_plug::{Fault, FaultKind, Path};

/// Holds everything Onitu keeps in a root: marker, temporary files, trash.
pub(crate) const OWN: &str = ".onitu";
/// Begins what Onitu keeps on other file systems mounted below the root.
pub(crate) const OWN_ELSEWHERE: &str = ".onitu-tmp-";
/// Ends it.
pub(crate) const FILES: &str = "files";

/// Whether `name` in the directory `parent` (as text) is Onitu's own: never shown, never taken.
pub(crate) fn is_own_name(parent: &str, name: &str) -> bool {
    (parent.is_empty() && name == OWN) || name.starts_with(OWN_ELSEWHERE)
}

/// Whether `path` or one of the directories above it is Onitu's own.
pub(crate) fn is_own(path: &Path) -> bool {
    let mut names = path.as_str().split('/');
    let first = names.next().unwrap_or("");
    is_own_name("", first) || names.any(|name| is_own_name("below", name))
}

/// Whether `name` is one of Onitu's own that it never gives: somebody else's file has it, which is
/// told and left alone.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.strip_prefix(OWN_ELSEWHERE).is_some_and(|rest| rest != FILES)
}

/// The fault of such a name.
pub(crate) fn reserved(shown: &str) -> Fault {
    let text = format!(
        "`{shown}` is a name that Onitu keeps for itself: rename it to have it synchronized"
    );
    Fault::new(FaultKind::InvalidName, text)
}

/// Refuses what can't be a user's path.
pub(crate) fn check(path: &Path) -> Result<(), Fault> {
    if path.is_root() {
        return Err(Fault::new(FaultKind::Denied, "the root itself can't be changed"));
    }
    if is_own(path) {
        return Err(reserved(path.as_str()));
    }
    Ok(())
}

/// The name as text, or with its odd bytes written `\xNN`.
pub(crate) fn text(name: &CStr) -> Result<&str, String> {
    name.to_str().map_err(|_| escaped(name.to_bytes()))
}

/// `bytes` with everything that is no UTF-8 written `\xNN`.
fn escaped(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String can't fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
        text
    })
}

/// The fault of a name that isn't UTF-8.
pub(crate) fn not_text(shown: &str) -> Fault {
    let text = format!("the name `{shown}` is not UTF-8: rename it to have it synchronized");
    Fault::new(FaultKind::InvalidName, text)
}

/// The fault of something that is neither file, directory nor link.
pub(crate) fn not_synchronized(shown: &str, what: &str) -> Fault {
    let text = format!(
        "`{shown}` is a {what}: only files, directories and symbolic links are synchronized"
    );
    Fault::new(FaultKind::Unsupported, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::new(text).expect("valid")
    }

    #[test]
    fn only_onitus_names_are_its_own() {
        for own in [".onitu", ".onitu/tmp/x", ".onitu-tmp-1", "a/.onitu-tmp-files/x"] {
            assert!(is_own(&path(own)) && check(&path(own)).is_err(), "{own}");
        }
        for users in ["a/.onitu", ".onitux", "x.onitu-tmp-1", ".onitu-tmp", "a/.onitu/b"] {
            assert!(!is_own(&path(users)) && check(&path(users)).is_ok(), "{users}");
        }
    }

    #[test]
    fn only_what_onitu_never_makes_is_somebody_elses() {
        assert!(is_reserved(".onitu-tmp-9") && is_reserved(".onitu-tmp-"));
        assert!(!is_reserved(".onitu-tmp-files") && !is_reserved(".onitu") && !is_reserved("x"));
    }

    #[test]
    fn odd_bytes_are_shown_and_the_rest_is_kept() {
        assert_eq!(text(c"caf\xe9 \xff.txt"), Err("caf\\xE9 \\xFF.txt".to_owned()));
        assert_eq!(text(c"café"), Ok("café"));
    }
}
