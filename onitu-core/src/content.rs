//! What stands at a path: its kind, size, times and checksum, and the tag of its exact state.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::digest::common::hazmat::SerializableState;
use sha1::{Digest, Sha1};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Media, hex};

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory; it has no bytes, its children are records of their own.
    Directory,
    /// A symbolic link; its bytes are its target's text.
    Symlink,
}

/// SHA-1 of a content's bytes ([FIPS 180-4]); identifies contents, protects against accidents only.
///
/// [FIPS 180-4]: https://csrc.nist.gov/pubs/fips/180-4/upd1/final
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum(pub [u8; 20]);

impl Checksum {
    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        hex::serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        hex::deserialize(from).map(Self)
    }
}

/// Computes a [`Checksum`] piece by piece.
#[derive(Default, Clone)]
pub struct Hasher(Sha1);

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// All that is needed to go on in another process: see [`Self::resume`].
    pub fn state(&self) -> Vec<u8> {
        self.0.serialize().to_vec()
    }

    /// Goes on where the hasher of this [`Self::state`] was; [`None`] if it is no such state.
    pub fn resume(state: &[u8]) -> Option<Self> {
        Sha1::deserialize(state.try_into().ok()?).ok().map(Self)
    }

    /// The checksum of all bytes taken.
    pub fn finish(self) -> Checksum {
        Checksum(self.0.finalize().into())
    }
}

/// Identifies the exact state of one path on one service: 48 bits of a hash of whatever the
/// service has for it (size, mtime and inode; `ETag`; `rev`). Equal tags mean: nothing changed.
///
/// Tags of two services are never compared with each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 6]);

impl Tag {
    /// The tag of no state: the service may hold the path or not, nobody has looked. It differs
    /// from every state's, so whatever is found there is told.
    pub const UNKNOWN: Self = Self([0; 6]);

    /// The tag of the state that `identity` describes byte for byte.
    pub fn of(identity: &[u8]) -> Self {
        let hash = xxh3_64(identity).to_le_bytes();
        let tag = Self(std::array::from_fn(|at| hash[at]));
        if tag == Self::UNKNOWN { Self([0, 0, 0, 0, 0, 1]) } else { tag }
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        hex::serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        hex::deserialize(from).map(Self)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The modification time that stands for the epoch itself.
const THE_EPOCH_NS: i64 = 197_001_010;

/// What a path holds, as far as it is the same on every service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// File, directory or symbolic link.
    pub kind: Kind,
    /// Length in bytes; 0 for a directory.
    pub size: u64,
    /// Modification time in nanoseconds since the epoch; 0 where it means nothing. Of a file whose
    /// service keeps times as [`Content::told_mtime_ns`] has it.
    pub mtime_ns: i64,
    /// Whether its owner may execute it; false for what is no regular file.
    pub executable: bool,
    /// Of its bytes; nothing while no one has read them all yet, and for a directory.
    pub checksum: Option<Checksum>,
    /// What its first bytes were found to be; nothing while no one has looked, and where the name
    /// tells a media type.
    #[serde(default, with = "crate::media::text", skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
}

impl Content {
    /// A directory.
    pub const DIRECTORY: Self = Self {
        kind: Kind::Directory,
        size: 0,
        mtime_ns: 0,
        executable: false,
        checksum: None,
        media: None,
    };

    /// A file's modification time as it is told, in nanoseconds since the epoch: since 0 means
    /// nothing, the epoch itself is told as a moment of its first second that nobody has by chance.
    #[must_use]
    pub const fn told_mtime_ns(mtime_ns: i64) -> i64 {
        if mtime_ns == 0 { THE_EPOCH_NS } else { mtime_ns }
    }

    /// The modification time that a file is to have, in nanoseconds since the epoch; [`None`] where
    /// nobody knows it: then that of its arrival stays.
    #[must_use]
    pub const fn wanted_mtime_ns(&self) -> Option<i64> {
        match self.mtime_ns {
            0 => None,
            THE_EPOCH_NS => Some(0),
            mtime_ns => Some(mtime_ns),
        }
    }

    /// Whether both are known to be the same bytes of the same kind; [`None`] while a checksum
    /// that would be needed is unknown.
    pub fn same_bytes(&self, other: &Self) -> Option<bool> {
        if self.kind != other.kind || self.size != other.size {
            return Some(false);
        }
        if self.kind == Kind::Directory {
            return Some(true);
        }
        match (self.checksum, other.checksum) {
            (Some(mine), Some(theirs)) => Some(mine == theirs),
            _ => None,
        }
    }

    /// Takes over what is known of its bytes by `same`, which has the same ones.
    pub fn learn(&mut self, same: &Self) {
        self.checksum = self.checksum.or(same.checksum);
        self.media = self.media.or(same.media);
    }

    /// Whether mtime and the executable bit agree (as far as the kind has them).
    pub fn same_attributes(&self, other: &Self) -> bool {
        self.kind != Kind::File
            || (self.mtime_ns == other.mtime_ns && self.executable == other.executable)
    }
}

/// What a driver found at a path of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The content as the service describes it; its checksum only where it was computed.
    pub content: Content,
    /// Identifies this exact state on this service.
    pub tag: Tag,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, checksum: Option<Checksum>) -> Content {
        Content { kind: Kind::File, size, mtime_ns: 1, executable: false, checksum, media: None }
    }

    #[test]
    fn unknown_checksums_are_never_taken_for_equal() {
        let known = Some(Checksum::of(b"abc"));
        assert_eq!(file(3, known).same_bytes(&file(3, known)), Some(true));
        assert_eq!(file(3, known).same_bytes(&file(3, None)), None);
        assert_eq!(file(3, None).same_bytes(&file(3, None)), None);
        assert_eq!(file(3, None).same_bytes(&file(4, None)), Some(false));
        assert_eq!(Content::DIRECTORY.same_bytes(&Content::DIRECTORY), Some(true));
    }

    #[test]
    fn the_checksum_is_sha1() {
        assert_eq!(Checksum::of(b"abc").to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn a_hasher_goes_on_from_its_state() {
        let bytes: Vec<u8> = (0..200).collect();
        for at in [0, 1, 63, 64, 65, 200] {
            let mut first = Hasher::default();
            first.update(&bytes[..at]);
            let mut second = Hasher::resume(&first.state()).unwrap();
            second.update(&bytes[at..]);
            assert_eq!(second.finish(), Checksum::of(&bytes), "after {at} bytes");
        }
        assert!(Hasher::resume(b"no state").is_none());
    }

    #[test]
    fn the_epoch_itself_is_a_time_and_none_is_none() {
        let wanted = |mtime_ns| Content { mtime_ns, ..Content::DIRECTORY }.wanted_mtime_ns();
        for mtime_ns in [-1, 0, 1, 1_700_000_000_000_000_000] {
            assert_eq!(wanted(Content::told_mtime_ns(mtime_ns)), Some(mtime_ns));
        }
        assert_eq!(wanted(0), None);
    }
}
