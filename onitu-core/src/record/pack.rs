//! How a record is written into the store: as few bytes as possible, in an order that a second
//! implementation can follow (`docs/protocol.md`).
//!
//! What means nothing for a kind isn't kept: a directory is unpacked as [`Content::DIRECTORY`].

use crate::{Checksum, Content, Holder, InvalidPath, Kind, Media, Path, Record, ServiceId, Tag};

/// Bits of the first byte.
mod flag {
    /// 0 file, 1 directory, 2 symbolic link, 3 a file whose media type follows its checksum.
    pub const KIND: u8 = 0b0000_0011;
    pub const FILE_WITH_MEDIA: u8 = 3;
    pub const GONE: u8 = 0b0000_0100;
    pub const EXECUTABLE: u8 = 0b0000_1000;
    /// A SHA-1 checksum is there; another algorithm would be another format.
    pub const SHA1: u8 = 0b0001_0000;
    /// The service it was first seen on follows the content.
    pub const ORIGIN: u8 = 0b0010_0000;
    pub const MOVED: u8 = 0b0100_0000;
    /// Ancestors follow the content.
    pub const ANCESTORS: u8 = 0b1000_0000;
}

/// Added to the number of a holder that is leaving; the incarnation that was told follows its tag.
const LEAVING: u64 = 1 << 16;

/// A packed record that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// It ends too early.
    #[error("it ends in the middle of its {0}")]
    Truncated(&'static str),
    /// A number doesn't fit.
    #[error("its {0} is too large a number")]
    TooLarge(&'static str),
    /// The path it moved from or to isn't UTF-8.
    #[error("the path it moved from or to is not UTF-8")]
    NotUtf8,
    /// The path it moved from or to is none.
    #[error("the path it moved from or to is none: {0}")]
    Moved(#[from] InvalidPath),
    /// Its holders aren't in order.
    #[error("its holders are not in order")]
    Disorder,
}

impl Record {
    /// Writes the record down; about 50 bytes for a file with a checksum and two holders.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(self.flags());
        put_varint(&mut bytes, self.revision);
        if self.content.kind != Kind::Directory {
            put_varint(&mut bytes, self.content.size);
            bytes.extend(self.content.mtime_ns.to_le_bytes());
            if let Some(checksum) = self.content.checksum {
                bytes.extend(checksum.0);
            }
        }
        if let (Kind::File, Some(media)) = (self.content.kind, self.content.media) {
            put_varint(&mut bytes, media.number().into());
        }
        if let Some(origin) = self.origin {
            put_varint(&mut bytes, origin.0.into());
        }
        if !self.ancestors.is_empty() {
            put_varint(&mut bytes, self.ancestors.len() as u64);
            for (revision, checksum) in &self.ancestors {
                put_varint(&mut bytes, self.revision.wrapping_sub(*revision));
                bytes.extend(checksum.0);
            }
        }
        if let Some(moved) = &self.moved {
            put_varint(&mut bytes, moved.as_str().len() as u64);
            bytes.extend(moved.as_str().as_bytes());
        }
        let mut holders = self.holders.clone();
        holders.sort_by_key(|holder| holder.service);
        for holder in holders {
            let leaving = self.leaving(holder.service);
            let mark = if leaving.is_some() { LEAVING } else { 0 };
            put_varint(&mut bytes, u64::from(holder.service.0) | mark);
            // Small for whoever is near the current revision, and any other can be told too.
            put_varint(&mut bytes, self.revision.wrapping_sub(holder.revision));
            bytes.extend(holder.tag.0);
            if let Some(epoch) = leaving {
                put_varint(&mut bytes, epoch);
            }
        }
        bytes
    }

    fn flags(&self) -> u8 {
        let kind = match self.content.kind {
            Kind::File if self.content.media.is_some() => flag::FILE_WITH_MEDIA,
            Kind::File => 0,
            Kind::Directory => 1,
            Kind::Symlink => 2,
        };
        let file = self.content.kind == Kind::File;
        let read = self.content.kind != Kind::Directory && self.content.checksum.is_some();
        kind | when(self.gone, flag::GONE)
            | when(file && self.content.executable, flag::EXECUTABLE)
            | when(read, flag::SHA1)
            | when(self.origin.is_some(), flag::ORIGIN)
            | when(self.moved.is_some(), flag::MOVED)
            | when(!self.ancestors.is_empty(), flag::ANCESTORS)
    }

    /// Reads what [`Record::pack`] wrote. Any bytes may be given.
    pub fn unpack(bytes: &[u8]) -> Result<Self, UnpackError> {
        let mut rest = Reader(bytes);
        let flags = rest.byte("flags")?;
        let revision = rest.varint("revision")?;
        let content = unpack_content(flags, &mut rest)?;
        let origin = match flags & flag::ORIGIN {
            0 => None,
            _ => Some(unpack_service(rest.varint("origin")?)?),
        };
        let ancestors = unpack_ancestors(flags, revision, &mut rest)?;
        let moved = if flags & flag::MOVED == 0 { None } else { Some(unpack_path(&mut rest)?) };
        let (holders, leaving) = unpack_holders(revision, &mut rest)?;
        let gone = flags & flag::GONE != 0;
        Ok(Self { revision, gone, content, holders, moved, ancestors, origin, leaving })
    }
}

fn when(condition: bool, bit: u8) -> u8 {
    if condition { bit } else { 0 }
}

fn unpack_content(flags: u8, rest: &mut Reader<'_>) -> Result<Content, UnpackError> {
    let kind = match flags & flag::KIND {
        1 => Kind::Directory,
        2 => Kind::Symlink,
        _ => Kind::File,
    };
    let mut content = Content { kind, ..Content::DIRECTORY };
    if kind != Kind::Directory {
        content.size = rest.varint("size")?;
        content.mtime_ns = i64::from_le_bytes(rest.array("mtime")?);
        content.executable = kind == Kind::File && flags & flag::EXECUTABLE != 0;
        content.checksum = match flags & flag::SHA1 {
            0 => None,
            _ => Some(Checksum(rest.array("checksum")?)),
        };
    }
    if flags & flag::KIND == flag::FILE_WITH_MEDIA {
        let number = u16::try_from(rest.varint("media type")?);
        let number = number.map_err(|_| UnpackError::TooLarge("media type"))?;
        content.media = Some(Media::of_number(number));
    }
    Ok(content)
}

fn unpack_ancestors(
    flags: u8,
    revision: u64,
    rest: &mut Reader<'_>,
) -> Result<Vec<(u64, Checksum)>, UnpackError> {
    if flags & flag::ANCESTORS == 0 {
        return Ok(Vec::new());
    }
    let count = rest.varint("count of ancestors")?;
    if count > Record::ANCESTORS_MAX as u64 {
        return Err(UnpackError::TooLarge("count of ancestors"));
    }
    let mut ancestors = Vec::new();
    for _ in 0..count {
        let behind = rest.varint("ancestor's revision")?;
        let checksum = Checksum(rest.array("ancestor's checksum")?);
        ancestors.push((revision.wrapping_sub(behind), checksum));
    }
    Ok(ancestors)
}

fn unpack_path(rest: &mut Reader<'_>) -> Result<Path, UnpackError> {
    const WHAT: &str = "path it moved from or to";
    let length =
        usize::try_from(rest.varint(WHAT)?).map_err(|_| UnpackError::TooLarge("path's length"))?;
    let text = std::str::from_utf8(rest.take(length, WHAT)?).map_err(|_| UnpackError::NotUtf8)?;
    Ok(Path::new(text)?)
}

fn unpack_service(number: u64) -> Result<ServiceId, UnpackError> {
    u16::try_from(number).map(ServiceId).map_err(|_| UnpackError::TooLarge("service"))
}

type Holders = (Vec<Holder>, Vec<(ServiceId, u64)>);

fn unpack_holders(revision: u64, rest: &mut Reader<'_>) -> Result<Holders, UnpackError> {
    let mut holders: Vec<Holder> = Vec::new();
    let mut leaving = Vec::new();
    while !rest.0.is_empty() {
        let number = rest.varint("holder's service")?;
        let is_leaving = number & !u64::from(u16::MAX) == LEAVING;
        let service = unpack_service(if is_leaving { number & !LEAVING } else { number })?;
        let behind = rest.varint("holder's revision")?;
        let tag = Tag(rest.array("holder's tag")?);
        let holder = Holder { service, revision: revision.wrapping_sub(behind), tag };
        if holders.last().is_some_and(|last| last.service >= holder.service) {
            return Err(UnpackError::Disorder);
        }
        if is_leaving {
            leaving.push((service, rest.varint("leaving holder's incarnation")?));
        }
        holders.push(holder);
    }
    Ok((holders, leaving))
}

/// Seven bits a byte, lowest first, the eighth set on all but the last.
fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], UnpackError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(UnpackError::Truncated(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], UnpackError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(UnpackError::Truncated(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, UnpackError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    fn varint(&mut self, what: &'static str) -> Result<u64, UnpackError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(UnpackError::TooLarge(what));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(UnpackError::TooLarge(what))
    }
}

#[cfg(test)]
mod tests;
