//! A day's index: one line of JSON for each thing, in the order in which they came.
//!
//! It is only ever appended to. A line that can't be read (torn by a crash or a full disk, written
//! by hand) is passed over.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};

use onitu_plug::Why;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, statx};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::disk::openat;
use crate::read::read_at;

/// The name of the file.
pub(super) const INDEX: &str = "index";
/// Read at once, backwards.
const BLOCK_BYTES: u64 = 64 * 1024;
/// Longer than any line: a path of 4,095 bytes, each of them escaped, and the rest.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// One line. Older versions wrote neither `size` nor `why`.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) path: Cow<'a, str>,
    pub(super) at_ms: u64,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    pub(super) why: Why,
}

impl<'a> Line<'a> {
    pub(super) fn new(id: &'a str, path: &'a str, at_ms: u64, size: u64, why: Why) -> Self {
        Self { id: id.into(), path: path.into(), at_ms, size: Some(size), why }
    }

    /// Reads a line; nothing if it is none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let line: Self = serde_json::from_slice(bytes).ok()?;
        is_id(&line.id).then_some(line)
    }
}

/// Whether this may be the name of a thing in a day's directory: it names no other file.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Whether the file ends with the end of a line.
pub(super) fn ends_whole(index: &OwnedFd) -> Result<bool, Errno> {
    let size = statx(index, c"", AtFlags::EMPTY_PATH, StatxFlags::SIZE)?.stx_size;
    Ok(size == 0 || read_at(index, 1, size - 1)? == b"\n")
}

fn open(day: impl AsFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(day, INDEX, flags, Mode::empty())
}

/// Reads a day's lines from the last to the first.
pub(super) struct Backwards {
    file: OwnedFd,
    /// Where `bytes` begin in the file.
    start: u64,
    bytes: Vec<u8>,
}

impl Backwards {
    /// Those that end at `end` or before, or all of them; [`None`] if the day has no index.
    pub(super) fn open(day: impl AsFd, end: Option<u64>) -> Result<Option<Self>, Errno> {
        let file = match open(day) {
            Err(Errno::NOENT) => return Ok(None),
            file => file?,
        };
        let size = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::SIZE)?.stx_size;
        Ok(Some(Self { file, start: end.unwrap_or(size).min(size), bytes: Vec::new() }))
    }

    /// The line before, and where it begins: all before it is yet to come.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, Errno> {
        loop {
            let end = self.bytes.len() - usize::from(self.bytes.last() == Some(&b'\n'));
            if let Some(before) = self.bytes[..end].iter().rposition(|byte| *byte == b'\n') {
                let line = self.bytes[before + 1..end].to_vec();
                self.bytes.truncate(before + 1);
                return Ok(Some((self.start + before as u64 + 1, line)));
            }
            if self.start == 0 {
                let line = std::mem::take(&mut self.bytes);
                return Ok((!line.is_empty()).then(|| (0, line[..end].to_vec())));
            }
            if self.bytes.len() > LINE_BYTES_MAX {
                self.bytes.clear();
            }
            let from = self.start.saturating_sub(BLOCK_BYTES);
            let mut longer = read_at(&self.file, (self.start - from) as usize, from)?;
            if longer.len() as u64 != self.start - from {
                return Err(Errno::AGAIN);
            }
            longer.append(&mut self.bytes);
            (self.start, self.bytes) = (from, longer);
        }
    }
}

/// Calls `each` with the day's ids from the first to the last, until it says that this is enough.
pub(super) fn forwards(
    day: impl AsFd,
    mut each: impl FnMut(&str) -> Result<bool, Errno>,
) -> Result<(), Errno> {
    let file = match open(day) {
        Err(Errno::NOENT) => return Ok(()),
        file => File::from(file?),
    };
    let mut reader = BufReader::with_capacity(BLOCK_BYTES as usize, file);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = (&mut reader).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut bytes);
        if read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))? == 0 {
            return Ok(());
        }
        if let Some(line) = Line::read(&bytes)
            && each(&line.id)?
        {
            return Ok(());
        }
    }
}
