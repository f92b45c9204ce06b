//! Which names are Onitu's own, and how a name is shown that is no text.

use std::fmt::Write as _;

use onitu_plug::{Fault, FaultKind, Path};

/// Holds everything Onitu keeps in a root: marker, temporary files, trash.
pub(crate) const OWN: &str = ".onitu";

/// Whether `path` or one of the directories above it is Onitu's own.
pub(crate) fn is_own(path: &Path) -> bool {
    path.as_str().split('/').next() == Some(OWN)
}

/// Refuses what can't be a user's path.
pub(crate) fn check(path: &Path) -> Result<(), Fault> {
    if path.is_root() {
        return Err(Fault::new(FaultKind::Denied, "the root itself can't be changed"));
    }
    if is_own(path) {
        let text = format!("`{path}` is a name that Onitu keeps for itself: rename it");
        return Err(Fault::new(FaultKind::InvalidName, text));
    }
    Ok(())
}

/// The name as text, or with its odd bytes written `\xNN`.
pub(crate) fn text(name: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(name).map_err(|_| escaped(name))
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

    #[test]
    fn only_onitus_names_are_its_own() {
        let path = |text: &str| Path::new(text).expect("valid");
        for own in [".onitu", ".onitu/tmp/x"] {
            assert!(is_own(&path(own)) && check(&path(own)).is_err(), "{own}");
        }
        for users in ["a/.onitu", ".onitux", "a/.onitu/b"] {
            assert!(!is_own(&path(users)) && check(&path(users)).is_ok(), "{users}");
        }
    }

    #[test]
    fn odd_bytes_are_shown_and_the_rest_is_kept() {
        assert_eq!(text(b"caf\xe9 \xff.txt"), Err("caf\\xE9 \\xFF.txt".to_owned()));
        assert_eq!(text("café".as_bytes()), Ok("café"));
    }
}
