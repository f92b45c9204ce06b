//! A file's name inside the synchronized tree, validated at the edge (design §9).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits;

/// A path inside the synchronized tree: UTF-8, `/`-separated, relative, compared byte for byte.
///
/// The empty path is the root of the tree; every other path has only components that are neither
/// empty, `.` nor `..`, hold no NUL and are at most 255 bytes long. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(Arc<str>);

/// Why a text is no [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// A component is empty: the path is absolute, ends in `/` or has two `/` in a row.
    #[error("`{0}` has an empty component")]
    EmptyComponent(String),
    /// A component is `.` or `..`.
    #[error("`{0}` has a component `.` or `..`")]
    Dots(String),
    /// The path holds a NUL byte.
    #[error("{0:?} holds a NUL byte")]
    Nul(String),
    /// A component is longer than 255 bytes or the whole longer than 4,095.
    #[error("`{0}` is too long")]
    TooLong(String),
}

impl Path {
    /// The root of the tree.
    pub fn root() -> Self {
        Self(Arc::from(""))
    }

    /// Validates `text`; the empty text is the root.
    pub fn new(text: &str) -> Result<Self, InvalidPath> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        if text.len() > limits::PATH_BYTES_MAX {
            return Err(InvalidPath::TooLong(text.to_owned()));
        }
        for component in text.split('/') {
            check_component(component, text)?;
        }
        Ok(Self(Arc::from(text)))
    }

    /// The path of `name` in this directory.
    pub fn join(&self, name: &str) -> Result<Self, InvalidPath> {
        if self.is_root() {
            return if name.is_empty() {
                Err(InvalidPath::EmptyComponent(String::new()))
            } else {
                Self::new(name)
            };
        }
        Self::new(&format!("{}/{name}", self.0))
    }

    /// Whether this is the root of the tree.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// The directory that holds this path, as text: empty when that is the root.
    pub fn parent_str(&self) -> &str {
        self.0.rfind('/').map_or("", |at| &self.0[..at])
    }

    /// The directory that holds this path, or nothing for the root itself.
    pub fn parent(&self) -> Option<Self> {
        (!self.is_root()).then(|| Self(Arc::from(self.parent_str())))
    }

    /// Whether this path is `directory` itself or stands somewhere below it.
    pub fn is_within(&self, directory: &Self) -> bool {
        directory.is_root()
            || self
                .0
                .strip_prefix(directory.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// How many components it has; 0 for the root.
    pub fn depth(&self) -> usize {
        if self.is_root() { 0 } else { 1 + self.0.matches('/').count() }
    }
}

fn check_component(component: &str, whole: &str) -> Result<(), InvalidPath> {
    match component {
        "" => Err(InvalidPath::EmptyComponent(whole.to_owned())),
        "." | ".." => Err(InvalidPath::Dots(whole.to_owned())),
        _ if component.len() > limits::NAME_BYTES_MAX => {
            Err(InvalidPath::TooLong(whole.to_owned()))
        }
        _ if component.contains('\0') => Err(InvalidPath::Nul(whole.to_owned())),
        _ => Ok(()),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Path {
    type Error = InvalidPath;
    fn try_from(text: String) -> Result<Self, InvalidPath> {
        Self::new(&text)
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0.to_string()
    }
}

impl std::str::FromStr for Path {
    type Err = InvalidPath;
    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_the_tree_or_confuse_it_is_refused() {
        for bad in ["/", "/etc", "a//b", "a/", ".", "..", "a/../b", "a/./b", "a\0b"] {
            assert!(Path::new(bad).is_err(), "{bad:?} was taken");
        }
        assert!(Path::new(&"x".repeat(256)).is_err());
        assert!(Path::new(&vec!["x".repeat(200); 21].join("/")).is_err());
    }

    #[test]
    fn parents_names_and_depths_agree() {
        let path = Path::new("a/b/c.txt").expect("valid");
        assert_eq!((path.name(), path.parent_str(), path.depth()), ("c.txt", "a/b", 3));
        let parent = path.parent().expect("not the root");
        assert_eq!(parent.join("c.txt").expect("valid"), path);
        assert!(path.is_within(&parent) && path.is_within(&Path::root()));
        assert!(!Path::new("a/bc").expect("valid").is_within(&parent));
        assert_eq!(Path::root().parent(), None);
    }

    #[test]
    fn strange_but_legal_names_are_taken_as_they_are() {
        for good in ["…", "a b", "...", "CON", "x\ny", "e\u{301}", "\u{e9}", &"x".repeat(255)] {
            assert_eq!(Path::new(good).expect("valid").as_str(), good);
        }
    }
}
