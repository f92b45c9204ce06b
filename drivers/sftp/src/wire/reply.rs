//! Answers.

use bytes::{Buf, Bytes};

use super::{Attrs, code, text};

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// How it went: a [`code`] and words for a person.
    Status(u32, String),
    /// Of what was opened.
    Handle(Bytes),
    /// Bytes of a file.
    Data(Bytes),
    /// Entries of a directory, or one path.
    Names(Vec<Entry>),
    /// What is there.
    Attrs(Attrs),
    /// What an extension says.
    Extended(Bytes),
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As bytes, whatever they are.
    pub(crate) name: Bytes,
    pub(crate) attrs: Attrs,
}

/// What a server is able to do beyond the protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, told one by one")]
pub(crate) struct Extensions {
    pub(crate) posix_rename: bool,
    pub(crate) hardlink: bool,
    pub(crate) fsync: bool,
    pub(crate) statvfs: bool,
    pub(crate) limits: bool,
    pub(crate) copy_data: bool,
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes that may still be written.
    pub(crate) free_bytes: u64,
    /// Files that may still be made; some file systems have no such bound and tell 0 of 0.
    pub(crate) files_left: Option<u64>,
    /// Which file system it is.
    pub(crate) id: u64,
}

/// A packet (without its length): the number of the request it answers, and the answer; [`None`]
/// if it can't be understood.
pub(crate) fn decode(mut packet: Bytes) -> Option<(u32, Reply)> {
    let kind = packet.try_get_u8().ok()?;
    let id = packet.try_get_u32().ok()?;
    let reply = match kind {
        101 => {
            let code = packet.try_get_u32().ok()?;
            let words = text(&mut packet).unwrap_or_default();
            Reply::Status(code, String::from_utf8_lossy(&words).into_owned())
        }
        102 => Reply::Handle(text(&mut packet)?),
        103 => Reply::Data(text(&mut packet)?),
        104 => {
            let count = packet.try_get_u32().ok()?;
            let mut names = Vec::new();
            for _ in 0..count {
                let name = text(&mut packet)?;
                text(&mut packet)?;
                names.push(Entry { name, attrs: Attrs::take(&mut packet)? });
            }
            Reply::Names(names)
        }
        105 => Reply::Attrs(Attrs::take(&mut packet)?),
        201 => Reply::Extended(packet),
        _ => return None,
    };
    Some((id, reply))
}

/// The first answer: the server's version and what else it can do.
pub(crate) fn decode_version(mut packet: Bytes) -> Option<(u32, Extensions)> {
    if packet.try_get_u8().ok()? != 2 {
        return None;
    }
    let version = packet.try_get_u32().ok()?;
    let mut extensions = Extensions::default();
    while packet.has_remaining() {
        let (name, value) = (text(&mut packet)?, text(&mut packet)?);
        let known = match &name[..] {
            b"posix-rename@openssh.com" => &mut extensions.posix_rename,
            b"hardlink@openssh.com" => &mut extensions.hardlink,
            b"fsync@openssh.com" => &mut extensions.fsync,
            b"statvfs@openssh.com" => {
                extensions.statvfs = &value[..] == b"2";
                continue;
            }
            b"limits@openssh.com" => &mut extensions.limits,
            b"copy-data" => &mut extensions.copy_data,
            _ => continue,
        };
        *known = &value[..] == b"1";
    }
    Some((version, extensions))
}

/// The longest bytes that one request may read and write.
pub(crate) fn decode_limits(mut bytes: Bytes) -> Option<(u64, u64)> {
    bytes.try_get_u64().ok()?;
    Some((bytes.try_get_u64().ok()?, bytes.try_get_u64().ok()?))
}

/// What `statvfs@openssh.com` tells.
pub(crate) fn decode_space(mut bytes: Bytes) -> Option<Space> {
    let mut field = || bytes.try_get_u64().ok();
    let (_block, fragment, _blocks, _free) = (field()?, field()?, field()?, field()?);
    let (available, files, _files_free, files_available, id) =
        (field()?, field()?, field()?, field()?, field()?);
    Some(Space {
        free_bytes: available.saturating_mul(fragment),
        files_left: (files > 0).then_some(files_available),
        id,
    })
}

impl Reply {
    /// Whether it says that all went well.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self, Self::Status(code::OK, _))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_without_words_is_understood() {
        let packet = Bytes::from_static(b"\x65\0\0\0\x07\0\0\0\x02");
        assert_eq!(decode(packet), Some((7, Reply::Status(2, String::new()))));
    }

    #[test]
    fn names_are_bytes() {
        let packet = b"\x68\0\0\0\x01\0\0\0\x01\0\0\0\x02a\xff\0\0\0\x01l\0\0\0\0";
        let expected = Entry { name: Bytes::from_static(b"a\xff"), attrs: Attrs::default() };
        let names = Reply::Names(vec![expected]);
        assert_eq!(decode(Bytes::from_static(packet)), Some((1, names)));
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_not_understood() {
        for packet in [&b""[..], b"\x65\0\0", b"\x67\0\0\0\x01\0\0\0\x09abc", b"\x11\0\0\0\x01"] {
            assert_eq!(decode(Bytes::from_static(packet)), None);
        }
    }

    #[test]
    fn extensions_are_taken_in_the_version_that_is_spoken() {
        let mut packet = b"\x02\0\0\0\x03".to_vec();
        for (name, value) in
            [("fsync@openssh.com", "1"), ("hardlink@openssh.com", "2"), ("other", "1")]
        {
            for text in [name, value] {
                packet.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                packet.extend(text.bytes());
            }
        }
        let expected = Extensions { fsync: true, ..Extensions::default() };
        assert_eq!(decode_version(packet.into()), Some((3, expected)));
    }

    #[test]
    fn space_is_counted_in_bytes() {
        let fields = [4096_u64, 512, 100, 50, 40, 1000, 900, 800, 77, 0, 255];
        let bytes: Vec<u8> = fields.iter().flat_map(|it| it.to_be_bytes()).collect();
        let expected = Space { free_bytes: 40 * 512, files_left: Some(800), id: 77 };
        assert_eq!(decode_space(bytes.into()), Some(expected));
    }
}
