//! Media types that were found by content: numbers in a table that only ever grows.
//!
//! A record keeps such a number for a file whose name tells no type (one byte), and nothing for any
//! other. Messages and people get the name. What the bytes are is found out in `onitu-plug`.

/// What a file's first bytes were found to be: a type of the table, or none that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Media(u16);

impl Media {
    /// Somebody looked, and the bytes are of no type that is known.
    pub const NONE: Self = Self(0);

    /// The type of this name, in lower case; the empty name is [`Self::NONE`]. Nothing if the table
    /// doesn't have it.
    pub fn named(name: &str) -> Option<Self> {
        if name.is_empty() {
            return Some(Self::NONE);
        }
        let at = TYPES.iter().position(|known| *known == name)?;
        u16::try_from(at + 1).ok().map(Self)
    }

    /// The type of this number, also of one that only a newer version knows.
    pub fn of_number(number: u16) -> Self {
        Self(number)
    }

    /// Its number: 0 for none, else its place in the table, from 1 on.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Its name, empty for none; nothing if only a newer version knows it.
    pub fn name(self) -> Option<&'static str> {
        match usize::from(self.0).checked_sub(1) {
            None => Some(""),
            Some(at) => TYPES.get(at).copied(),
        }
    }
}

/// As messages have it: the name, which both sides know or else treat as not known.
pub(crate) mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Media;

    #[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(media: &Option<Media>, to: S) -> Result<S::Ok, S::Error> {
        media.and_then(Media::name).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Media>, D::Error> {
        let name = Option::<String>::deserialize(from)?;
        Ok(name.as_deref().and_then(Media::named))
    }
}

/// Every type that is ever found, number 1 first. Records hold these numbers: a line may be added at
/// the end, and none may be moved, changed or removed.
const TYPES: &[&str] = &[
    "text/plain",
    "text/html",
    "text/xml",
    "application/x-sh",
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/tiff",
    "image/bmp",
    "image/heif",
    "image/avif",
    "image/jxl",
    "image/jp2",
    "image/x-icon",
    "image/x-canon-cr2",
    "image/vnd.ms-photo",
    "image/vnd.adobe.photoshop",
    "image/vnd.djvu",
    "image/vnd.dwg",
    "image/openraster",
    "video/mp4",
    "video/x-m4v",
    "video/x-matroska",
    "video/webm",
    "video/quicktime",
    "video/x-msvideo",
    "video/x-ms-wmv",
    "video/mpeg",
    "video/x-flv",
    "audio/mpeg",
    "audio/m4a",
    "audio/ogg",
    "audio/flac",
    "audio/wav",
    "audio/aac",
    "audio/mid",
    "audio/amr",
    "audio/aiff",
    "audio/x-dsf",
    "audio/x-ape",
    "application/pdf",
    "application/rtf",
    "application/postscript",
    "application/epub+zip",
    "application/x-mobipocket-ebook",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/x-ole-storage",
    "application/zip",
    "application/x-tar",
    "application/gzip",
    "application/x-bzip2",
    "application/vnd.bzip3",
    "application/x-xz",
    "application/zstd",
    "application/x-lz4",
    "application/x-lzip",
    "application/x-compress",
    "application/x-7z-compressed",
    "application/x-rar-compressed",
    "application/vnd.ms-cab-compressed",
    "application/x-cpio",
    "application/x-unix-archive",
    "application/x-par2",
    "application/vnd.debian.binary-package",
    "application/x-rpm",
    "application/x-executable",
    "application/vnd.microsoft.portable-executable",
    "application/x-mach-binary",
    "application/wasm",
    "application/x-java-applet",
    "application/x-llvm",
    "application/vnd.android.dex",
    "application/vnd.android.dey",
    "application/x-google-chrome-extension",
    "application/x-shockwave-flash",
    "application/vnd.sqlite3",
    "application/x-qemu-disk",
    "application/x-x509-ca-cert",
    "application/x-nintendo-nes-rom",
    "application/dicom",
    "application/font-woff",
    "font/woff2",
    "application/font-sfnt",
];

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    #[test]
    fn numbers_and_names_are_each_others() {
        assert_eq!(Media::named("image/png").map(Media::number), Some(6));
        assert_eq!((Media::named(""), Media::NONE.name()), (Some(Media::NONE), Some("")));
        assert_eq!(Media::named("image/unheard-of"), None);
        assert_eq!(Media::of_number(60_000).name(), None, "a newer version's");
        for (name, number) in TYPES.iter().zip(1..) {
            assert_eq!(Media::named(name), Some(Media::of_number(number)), "{name} stands twice");
            assert_eq!(Media::of_number(number).name(), Some(*name));
            assert!(name.contains('/') && *name == name.to_lowercase(), "{name}");
        }
        assert!(TYPES.len() < 128, "a number takes one byte of a record");
    }

    #[test]
    fn no_number_ever_means_another_type() {
        // Of the first 92 lines, which are in records already. New ones go behind them.
        let first = TYPES[..92].join("\n");
        assert_eq!(xxh3_64(first.as_bytes()), 0xbe5c_b6a9_66a0_42be);
    }
}
