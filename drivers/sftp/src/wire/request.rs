//! Requests, without the number that a lane gives them.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Attrs, VERSION};

/// How a file is opened.
pub(crate) mod open {
    pub(crate) const READ: u32 = 0x01;
    pub(crate) const WRITE: u32 = 0x02;
    pub(crate) const APPEND: u32 = 0x04;
    pub(crate) const CREATE: u32 = 0x08;
    pub(crate) const TRUNCATE: u32 = 0x10;
    pub(crate) const EXCLUSIVE: u32 = 0x20;
}

/// A request: its kind, its body, and bytes of a file that end it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    kind: u8,
    body: Vec<u8>,
    tail: Bytes,
}

/// An open file or directory, as the server calls it.
pub(crate) type RawHandle = Bytes;

impl Request {
    fn new(kind: u8) -> Self {
        Self { kind, body: Vec::new(), tail: Bytes::new() }
    }

    fn text(mut self, bytes: &[u8]) -> Self {
        self.body.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.body.extend_from_slice(bytes);
        self
    }

    fn attrs(mut self, attrs: &Attrs) -> Self {
        attrs.put(&mut self.body);
        self
    }

    fn extended(name: &str) -> Self {
        Self::new(200).text(name.as_bytes())
    }

    /// The whole packet under the number `id`: first what comes before the bytes of a file.
    pub(crate) fn encode(self, id: u32, to: &mut BytesMut) -> Bytes {
        let length = 1 + 4 + self.body.len() + self.tail.len();
        to.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        to.put_u8(self.kind);
        to.put_u32(id);
        to.extend_from_slice(&self.body);
        self.tail
    }

    /// Whether the answer is a handle that has to be closed.
    pub(crate) fn opens(&self) -> bool {
        matches!(self.kind, 3 | 11)
    }

    /// Opens a file; a new one gets these attributes.
    pub(crate) fn open(path: &[u8], flags: u32, attrs: &Attrs) -> Self {
        let mut request = Self::new(3).text(path);
        request.body.put_u32(flags);
        request.attrs(attrs)
    }

    /// Closes a file or directory.
    pub(crate) fn close(handle: &RawHandle) -> Self {
        Self::new(4).text(handle)
    }

    /// Reads at most `length` bytes.
    pub(crate) fn read(handle: &RawHandle, offset: u64, length: u32) -> Self {
        let mut request = Self::new(5).text(handle);
        request.body.put_u64(offset);
        request.body.put_u32(length);
        request
    }

    /// Writes all of `bytes`.
    pub(crate) fn write(handle: &RawHandle, offset: u64, bytes: Bytes) -> Self {
        let mut request = Self::new(6).text(handle);
        request.body.put_u64(offset);
        request.body.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Self { tail: bytes, ..request }
    }

    /// Tells what is at the path, and follows no link.
    pub(crate) fn lstat(path: &[u8]) -> Self {
        Self::new(7).text(path)
    }

    /// Tells what is open.
    pub(crate) fn fstat(handle: &RawHandle) -> Self {
        Self::new(8).text(handle)
    }

    /// Sets attributes of what is open.
    pub(crate) fn fsetstat(handle: &RawHandle, attrs: &Attrs) -> Self {
        Self::new(10).text(handle).attrs(attrs)
    }

    /// Opens a directory.
    pub(crate) fn opendir(path: &[u8]) -> Self {
        Self::new(11).text(path)
    }

    /// Reads some entries of a directory.
    pub(crate) fn readdir(handle: &RawHandle) -> Self {
        Self::new(12).text(handle)
    }

    /// Removes a file or link.
    pub(crate) fn remove(path: &[u8]) -> Self {
        Self::new(13).text(path)
    }

    /// Makes a directory.
    pub(crate) fn mkdir(path: &[u8], attrs: &Attrs) -> Self {
        Self::new(14).text(path).attrs(attrs)
    }

    /// Removes an empty directory.
    pub(crate) fn rmdir(path: &[u8]) -> Self {
        Self::new(15).text(path)
    }

    /// Tells the path without links, dots and doubled slashes.
    pub(crate) fn realpath(path: &[u8]) -> Self {
        Self::new(16).text(path)
    }

    /// Renames where nothing is: OpenSSH makes a second name and removes the first, so that
    /// nothing is ever overwritten.
    pub(crate) fn rename(from: &[u8], to: &[u8]) -> Self {
        Self::new(18).text(from).text(to)
    }

    /// Tells a link's text.
    pub(crate) fn readlink(path: &[u8]) -> Self {
        Self::new(19).text(path)
    }

    /// Makes a link where nothing is. The order is OpenSSH's, which others have adopted; the draft
    /// says the opposite.
    pub(crate) fn symlink(text: &[u8], path: &[u8]) -> Self {
        Self::new(20).text(text).text(path)
    }

    /// Renames in one step, over whatever is there.
    pub(crate) fn posix_rename(from: &[u8], to: &[u8]) -> Self {
        Self::extended("posix-rename@openssh.com").text(from).text(to)
    }

    /// Gives a second name to a file, where nothing is.
    pub(crate) fn hardlink(from: &[u8], to: &[u8]) -> Self {
        Self::extended("hardlink@openssh.com").text(from).text(to)
    }

    /// Makes what is open durable.
    pub(crate) fn fsync(handle: &RawHandle) -> Self {
        Self::extended("fsync@openssh.com").text(handle)
    }

    /// Copies bytes of one open file to another; where they begin in each.
    pub(crate) fn copy_data(from: (&RawHandle, u64), length: u64, to: (&RawHandle, u64)) -> Self {
        let mut request = Self::extended("copy-data").text(from.0);
        request.body.put_u64(from.1);
        request.body.put_u64(length);
        request = request.text(to.0);
        request.body.put_u64(to.1);
        request
    }

    /// Tells how full the file system of a path is.
    pub(crate) fn statvfs(path: &[u8]) -> Self {
        Self::extended("statvfs@openssh.com").text(path)
    }

    /// Tells how long packets may be.
    pub(crate) fn limits() -> Self {
        Self::extended("limits@openssh.com")
    }
}

/// The first packet: it has a version where others have a number.
pub(crate) fn init() -> Bytes {
    let mut to = BytesMut::new();
    let empty = Request::new(1).encode(VERSION, &mut to);
    debug_assert!(empty.is_empty());
    to.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_tells_its_length_with_the_bytes_that_follow() {
        let mut head = BytesMut::new();
        let handle = Bytes::from_static(b"h");
        let tail = Request::write(&handle, 2, Bytes::from_static(b"abc")).encode(9, &mut head);
        let expected = b"\0\0\0\x19\x06\0\0\0\x09\0\0\0\x01h\0\0\0\0\0\0\0\x02\0\0\0\x03";
        assert_eq!((&head[..], &tail[..]), (&expected[..], &b"abc"[..]));
    }

    #[test]
    fn a_copy_names_both_files_and_places() {
        let mut head = BytesMut::new();
        let (from, to) = (Bytes::from_static(b"f"), Bytes::from_static(b"t"));
        let tail = Request::copy_data((&from, 1), 2, (&to, 3)).encode(9, &mut head);
        let expected = b"\0\0\0\x34\xc8\0\0\0\x09\0\0\0\x09copy-data\0\0\0\x01f\
            \0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\x01t\0\0\0\0\0\0\0\x03";
        assert_eq!((&head[..], &tail[..]), (&expected[..], &b""[..]));
    }

    #[test]
    fn the_first_packet_names_the_version() {
        assert_eq!(&init()[..], b"\0\0\0\x05\x01\0\0\0\x03");
    }
}
