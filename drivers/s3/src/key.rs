//! Paths and the keys they have in the bucket.
//!
//! A directory is the marker `its/path/`, an empty object, or whatever keys begin like that. Keys
//! that can't be paths (an empty component, `.`, `..`, bytes under a marker's name) are told as
//! problems and left alone.

use onitu_plug::{Fault, FaultKind, Path};

/// The driver's own directory in the root.
pub(crate) const OWN: &str = ".onitu";
/// S3's own limit.
pub(crate) const KEY_BYTES_MAX: usize = 1_024;

/// Makes keys of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Empty, or ends in `/`.
    prefix: String,
}

impl Keys {
    /// `prefix` as the admin wrote it: with or without slashes around it.
    pub(crate) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        Self { prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") } }
    }

    /// Of a file.
    pub(crate) fn file(&self, path: &Path) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Of a directory: its marker, and what the keys of its children begin with.
    pub(crate) fn directory(&self, path: &Path) -> String {
        if path.is_root() { self.prefix.clone() } else { format!("{}{path}/", self.prefix) }
    }

    /// Of something of the driver's own.
    pub(crate) fn own(&self, name: &str) -> String {
        format!("{}{OWN}/{name}", self.prefix)
    }

    /// The key of what is called so within the prefix.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What a key is called within the prefix, if it lies there.
    pub(crate) fn name<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix).filter(|name| !name.is_empty())
    }

    /// The first key after all of the driver's own.
    pub(crate) fn after_own(&self) -> String {
        // `0` is what follows `/`.
        format!("{}{OWN}0", self.prefix)
    }

    /// The key of a file, or why the service can't hold it.
    pub(crate) fn placeable(&self, path: &Path) -> Result<String, Fault> {
        if is_own(path) || path.is_root() {
            let text = format!("`{path}` belongs to Onitu itself");
            return Err(Fault::new(FaultKind::InvalidName, text));
        }
        let key = self.file(path);
        if !can_be_asked(&key) {
            let text =
                format!("`{path}` is nothing but blanks, which can't be a key without a `prefix`");
            return Err(Fault::new(FaultKind::InvalidName, text));
        }
        let most = KEY_BYTES_MAX - self.own("trash//").len() - crate::trash::ID_BYTES;
        if path.as_str().len() > most {
            let text = format!("`{path}` is too long for S3: keys end at {KEY_BYTES_MAX} bytes");
            return Err(Fault::new(FaultKind::InvalidName, text));
        }
        Ok(key)
    }
}

/// Whether requests can name the key: the SDK takes one of blanks for none at all.
pub(crate) fn can_be_asked(key: &str) -> bool {
    !key.trim().is_empty()
}

/// Whether the path belongs to Onitu itself, wherever it came from.
pub(crate) fn is_own(path: &Path) -> bool {
    is_own_text(path.as_str())
}

/// The same of what is no path, perhaps.
pub(crate) fn is_own_text(text: &str) -> bool {
    text.split('/').next() == Some(OWN)
}

/// Turns back the encoding in which listings are asked for: `%XX`, and `+` for a blank.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Path {
        Path::new(text).unwrap()
    }

    #[test]
    fn a_prefix_is_a_directory_however_it_is_written() {
        for prefix in ["photos", "photos/", "/photos/"] {
            let keys = Keys::new(prefix);
            assert_eq!(keys.file(&at("a/b")), "photos/a/b");
            assert_eq!(keys.directory(&at("a")), "photos/a/");
            assert_eq!(keys.directory(&Path::root()), "photos/");
            assert_eq!(keys.own("service"), "photos/.onitu/service");
            assert_eq!(keys.named("a/"), "photos/a/");
        }
        assert_eq!(Keys::new("").file(&at("a")), "a");
        assert_eq!(Keys::new("/").directory(&Path::root()), "");
    }

    #[test]
    fn what_is_the_drivers_own_or_too_long_is_refused() {
        let keys = Keys::new("p");
        for path in ["", ".onitu", ".onitu/service", &"d/".repeat(500)[..999]] {
            assert_eq!(keys.placeable(&at(path)).unwrap_err().kind, FaultKind::InvalidName);
        }
        assert_eq!(keys.placeable(&at(".onitux")).unwrap(), "p/.onitux");
    }

    #[test]
    fn a_listings_encoding_is_turned_back() {
        assert_eq!(decode("a+b%2Fc%2b%C3%A9").unwrap(), "a b/c+é");
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }
}
