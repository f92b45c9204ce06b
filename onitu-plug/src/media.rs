//! Finding out by content of what media type a file is, where its name doesn't tell.
//!
//! Nothing here reads a file: whoever reads one anyway, for its checksum or because it travels,
//! shows its first bytes. The same bytes are the same type on every service.

use onitu_core::rules::type_by_name;
use onitu_core::{Kind, Media, Path};

/// So many bytes are looked at, or all of a shorter file.
pub(crate) const HEAD_BYTES: usize = 8 * 1024;

/// A file's first bytes, as they come by.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// [`None`] where nobody wants to know them.
    bytes: Option<Vec<u8>>,
}

impl Head {
    /// Of what stands at `path`: a file whose name tells no type is looked at, all else isn't.
    pub(crate) fn of(path: &Path, kind: Kind) -> Self {
        Self { bytes: has_untold_type(path, kind).then(Vec::new) }
    }

    /// Of a file whose beginning isn't at hand.
    pub(crate) fn unseen() -> Self {
        Self { bytes: None }
    }

    /// Whether more bytes are wanted.
    pub(crate) fn is_wanted(&self) -> bool {
        self.bytes.as_ref().is_some_and(|bytes| bytes.len() < HEAD_BYTES)
    }

    /// Takes the next bytes, without a gap from the first on; what is too much is left.
    pub(crate) fn update(&mut self, next: &[u8]) {
        if let Some(bytes) = &mut self.bytes {
            let room = HEAD_BYTES - bytes.len();
            bytes.extend(&next[..next.len().min(room)]);
        }
    }

    /// The type, if anybody wants to know. To be asked when the head is full or the file at its end.
    pub(crate) fn media(&self) -> Option<Media> {
        self.bytes.as_deref().map(media_of)
    }
}

/// Whether the media type of what stands at `path` is a matter of its content: that of a file whose
/// name tells none.
pub(crate) fn has_untold_type(path: &Path, kind: Kind) -> bool {
    kind == Kind::File && type_by_name(path.name()).is_none()
}

/// The type of a file that begins with `head`.
fn media_of(head: &[u8]) -> Media {
    if head.is_empty() {
        return Media::NONE;
    }
    let found = infer::get(head).map(|found| name_of(&found));
    // Some signatures are no more than two letters, and many a text begins with such.
    let name = match found {
        found if is_text(head) => found.filter(|name| is_textual(name)).or(Some("text/plain")),
        found => found,
    };
    name.and_then(Media::named).unwrap_or(Media::NONE)
}

/// As the table calls it: the type that the usual extension stands for where that is another name
/// for the same, so that rules find a file by either.
fn name_of(found: &infer::Type) -> &'static str {
    match (found.mime_type(), found.extension()) {
        (_, "woff2") => "font/woff2",
        ("application/java", _) => "application/x-java-applet",
        ("application/vnd.rar", _) => "application/x-rar-compressed",
        ("audio/midi", _) => "audio/mid",
        ("audio/opus", _) => "audio/ogg",
        ("audio/x-aiff", _) => "audio/aiff",
        ("audio/x-flac", _) => "audio/flac",
        ("audio/x-wav", _) => "audio/wav",
        ("image/vnd.microsoft.icon", _) => "image/x-icon",
        ("text/x-shellscript", _) => "application/x-sh",
        (name, _) => name,
    }
}

/// Types whose files may be text throughout.
fn is_textual(name: &str) -> bool {
    const OTHERS: [&str; 5] = [
        "application/pdf",
        "application/postscript",
        "application/rtf",
        "application/x-sh",
        "application/x-x509-ca-cert",
    ];
    name.starts_with("text/") || OTHERS.contains(&name)
}

/// Whether it is UTF-8 without control characters but those that texts have. Its last letter may be
/// cut.
fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(cut) if cut.error_len().is_none() => {
            std::str::from_utf8(&head[..cut.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let belongs = |letter: char| !letter.is_control() || "\t\n\u{b}\u{c}\r\u{1b}".contains(letter);
    !whole.is_empty() && whole.chars().all(belongs)
}

#[cfg(test)]
mod tests;
