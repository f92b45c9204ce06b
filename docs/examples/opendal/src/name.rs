//! Which names are Onitu's own, which can't be held, and how opendal has to be given them.

use onitu_plug::{Fault, FaultKind, Path};

/// Holds everything Onitu keeps in a root: marker, temporary files, trash.
pub(crate) const OWN: &str = ".onitu";

/// Whether `path` or one of the directories above it is Onitu's own.
pub(crate) fn is_own(path: &Path) -> bool {
    path.as_str().split('/').next() == Some(OWN)
}

/// Whether opendal can be asked for it. It takes blanks off both ends of a path, so what begins or
/// ends with one would be another file.
pub(crate) fn can_be_asked(path: &Path) -> bool {
    path.as_str().split('/').all(|name| name.trim() == name)
}

/// The fault of a name that opendal can't be asked for.
pub(crate) fn unspeakable(name: &str) -> Fault {
    let text = format!(
        "`{name}` begins or ends with a blank, which opendal can't tell from one without: rename it"
    );
    Fault::new(FaultKind::InvalidName, text)
}

/// Refuses what can't be a user's path here.
pub(crate) fn check(path: &Path) -> Result<(), Fault> {
    if path.is_root() {
        return Err(Fault::new(FaultKind::InvalidName, "the root itself can't be changed"));
    }
    if is_own(path) {
        let text = format!("`{path}` is a name that Onitu keeps for itself: rename it");
        return Err(Fault::new(FaultKind::InvalidName, text));
    }
    if !can_be_asked(path) {
        return Err(unspeakable(path.as_str()));
    }
    Ok(())
}

/// A directory as opendal wants it, which ends in `/`.
pub(crate) fn directory(path: &Path) -> String {
    format!("{path}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opendal_would_change_is_refused() {
        let path = |text: &str| Path::new(text).expect("valid");
        for refused in ["", ".onitu", ".onitu/tmp/x", " a", "a ", "a/b\n", "\u{3000}a", "a /b"] {
            assert!(check(&path(refused)).is_err(), "{refused:?}");
        }
        for held in ["a", "a b", "a/.onitu", ".onitux", "...", "%41", "a\\b", "a\nb", "#?"] {
            assert!(check(&path(held)).is_ok(), "{held:?}");
        }
    }
}
