//! The packets of SFTP version 3 (`draft-ietf-secsh-filexfer-02`) and of OpenSSH's extensions, to
//! bytes and back. Names are bytes all the way; nothing here waits or knows of a connection.

pub(crate) mod reply;
pub(crate) mod request;

use bytes::{Buf, BufMut, Bytes};

/// The version that is spoken.
pub(crate) const VERSION: u32 = 3;

/// Status codes, the last few from later versions of the protocol: some servers use them.
pub(crate) mod code {
    pub(crate) const OK: u32 = 0;
    pub(crate) const EOF: u32 = 1;
    pub(crate) const NO_SUCH_FILE: u32 = 2;
    pub(crate) const PERMISSION_DENIED: u32 = 3;
    pub(crate) const FAILURE: u32 = 4;
    pub(crate) const BAD_MESSAGE: u32 = 5;
    pub(crate) const NO_CONNECTION: u32 = 6;
    pub(crate) const CONNECTION_LOST: u32 = 7;
    pub(crate) const OP_UNSUPPORTED: u32 = 8;
    pub(crate) const NO_SUCH_PATH: u32 = 10;
    pub(crate) const WRITE_PROTECT: u32 = 12;
    pub(crate) const NO_SPACE: u32 = 14;
    pub(crate) const QUOTA_EXCEEDED: u32 = 15;
    pub(crate) const INVALID_FILENAME: u32 = 20;
}

/// What a path is, by the permissions' upper bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Directory,
    Link,
    /// Anything else, in a word.
    Other(&'static str),
}

/// A path's attributes, as far as the server told them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attrs {
    pub(crate) size: Option<u64>,
    /// User and group.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) permissions: Option<u32>,
    /// Last access and last modification, in seconds since 1970.
    pub(crate) times: Option<(u32, u32)>,
}

const HAS_SIZE: u32 = 1;
const HAS_OWNER: u32 = 2;
const HAS_PERMISSIONS: u32 = 4;
const HAS_TIMES: u32 = 8;
const HAS_MORE: u32 = 0x8000_0000;

impl Attrs {
    /// Of which kind it is; without permissions nobody can know.
    pub(crate) fn kind(&self) -> FileKind {
        match self.permissions.map(|mode| mode & 0o170_000) {
            Some(0o100_000) => FileKind::File,
            Some(0o040_000) => FileKind::Directory,
            Some(0o120_000) => FileKind::Link,
            Some(0o010_000) => FileKind::Other("named pipe"),
            Some(0o140_000) => FileKind::Other("socket"),
            Some(0o020_000 | 0o060_000) => FileKind::Other("device"),
            _ => FileKind::Other("thing of a kind that the server doesn't tell"),
        }
    }

    /// Seconds since 1970 at which it was last changed; 0 if the server keeps no times.
    pub(crate) fn mtime_s(&self) -> u32 {
        self.times.map_or(0, |(_, mtime)| mtime)
    }

    fn put(&self, to: &mut Vec<u8>) {
        let flag = |has: bool, flag| if has { flag } else { 0 };
        to.put_u32(
            flag(self.size.is_some(), HAS_SIZE)
                | flag(self.owner.is_some(), HAS_OWNER)
                | flag(self.permissions.is_some(), HAS_PERMISSIONS)
                | flag(self.times.is_some(), HAS_TIMES),
        );
        if let Some(size) = self.size {
            to.put_u64(size);
        }
        if let Some((user, group)) = self.owner {
            to.put_u32(user);
            to.put_u32(group);
        }
        if let Some(permissions) = self.permissions {
            to.put_u32(permissions);
        }
        if let Some((accessed, modified)) = self.times {
            to.put_u32(accessed);
            to.put_u32(modified);
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        let flags = from.try_get_u32().ok()?;
        let mut attrs = Self::default();
        if flags & HAS_SIZE != 0 {
            attrs.size = Some(from.try_get_u64().ok()?);
        }
        if flags & HAS_OWNER != 0 {
            attrs.owner = Some((from.try_get_u32().ok()?, from.try_get_u32().ok()?));
        }
        if flags & HAS_PERMISSIONS != 0 {
            attrs.permissions = Some(from.try_get_u32().ok()?);
        }
        if flags & HAS_TIMES != 0 {
            attrs.times = Some((from.try_get_u32().ok()?, from.try_get_u32().ok()?));
        }
        if flags & HAS_MORE != 0 {
            for _ in 0..from.try_get_u32().ok()? {
                text(from)?;
                text(from)?;
            }
        }
        Some(attrs)
    }
}

/// Takes a string: its length, then so many bytes.
fn text(from: &mut Bytes) -> Option<Bytes> {
    let length = from.try_get_u32().ok()? as usize;
    (length <= from.len()).then(|| from.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_told_as_they_were_written() {
        let all = Attrs {
            size: Some(u64::MAX),
            owner: Some((1, 2)),
            permissions: Some(0o100_755),
            times: Some((3, u32::MAX)),
        };
        for attrs in [Attrs::default(), all, Attrs { owner: None, times: None, ..all }] {
            let mut bytes = Vec::new();
            attrs.put(&mut bytes);
            assert_eq!(Attrs::take(&mut Bytes::from(bytes)), Some(attrs));
        }
    }

    #[test]
    fn what_is_cut_off_is_no_attribute_and_no_text() {
        let mut bytes = Vec::new();
        Attrs { size: Some(7), ..Attrs::default() }.put(&mut bytes);
        bytes.pop();
        assert_eq!(Attrs::take(&mut Bytes::from(bytes)), None);
        assert_eq!(text(&mut Bytes::from_static(b"\0\0\0\x05four")), None);
        assert_eq!(text(&mut Bytes::from_static(b"\xff\xff\xff\xffx")), None);
        assert_eq!(text(&mut Bytes::from_static(b"\0\0\0\x02ab")).as_deref(), Some(&b"ab"[..]));
    }

    #[test]
    fn kinds_are_told_by_the_mode() {
        let kind = |mode| Attrs { permissions: mode, ..Attrs::default() }.kind();
        assert_eq!(kind(Some(0o100_644)), FileKind::File);
        assert_eq!(kind(Some(0o040_755)), FileKind::Directory);
        assert_eq!(kind(Some(0o120_777)), FileKind::Link);
        assert!(matches!(kind(Some(0o010_644)), FileKind::Other("named pipe")));
        assert!(matches!(kind(None), FileKind::Other(_)));
    }
}
