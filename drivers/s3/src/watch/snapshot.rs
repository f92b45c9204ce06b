//! A listing that is kept, to compare the next one with and to answer scans: sorted names and what
//! they stood for.
//!
//! Each name is written as what differs from the one before it, with six bytes and a size. Small
//! listings stay in memory, large ones go to a temporary file without a name, so memory is bounded:
//! of every few hundred names one is written whole and remembered, to begin reading there.

mod within;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path as Directory;
use std::sync::Arc;

use onitu_plug::Tag;
use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile_in};

use super::directory_sign;
pub(crate) use within::Entry;

/// Bytes of a listing that stay in memory; some hundred thousand names.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;
/// Of so many names one is written whole.
const WHOLE_EVERY: u32 = 512;

/// Changes that one page may bring; what is beyond is not told one by one.
pub(crate) const CHANGES_MAX: usize = 20_000;

/// A name that is new, gone, or stands for something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Ends in `/` for a directory.
    pub(crate) name: String,
    /// Nothing if it is gone.
    pub(crate) now: Option<Tag>,
}

/// Where a listing is kept.
enum Data {
    Memory(Vec<u8>),
    File(File),
}

impl Data {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => {
                let at = bytes.len().min(offset as usize);
                (&bytes[at..]).read(into)
            }
            Self::File(file) => file.read_at(into, offset),
        }
    }
}

/// A listing that is complete; cheap to clone.
#[derive(Clone)]
pub(crate) struct Snapshot {
    data: Arc<Data>,
    /// Names that are written whole, and where.
    index: Arc<[(String, u64)]>,
    is_sorted: bool,
    is_exact: bool,
}

impl Snapshot {
    /// Nothing can be compared with it.
    pub(crate) fn is_unsorted(&self) -> bool {
        !self.is_sorted
    }

    /// Whether its tags are those that a look tells.
    pub(crate) fn is_exact(&self) -> bool {
        self.is_sorted && self.is_exact
    }
}

/// What is read on from a place.
struct Rest {
    data: Arc<Data>,
    offset: u64,
}

impl Read for Rest {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.data.read_at(self.offset, into)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// What a name stood for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sign {
    tag: Tag,
    size: u64,
}

/// Reads the names of a snapshot in turn.
struct Reader {
    file: BufReader<Rest>,
    name: Vec<u8>,
    next: Option<(String, Sign)>,
}

impl Reader {
    /// From a place where a name is written whole.
    fn new(snapshot: &Snapshot, offset: u64) -> io::Result<Self> {
        let file = BufReader::new(Rest { data: Arc::clone(&snapshot.data), offset });
        let mut reader = Self { file, name: Vec::new(), next: None };
        reader.advance()?;
        Ok(reader)
    }

    fn number(&mut self) -> io::Result<Option<usize>> {
        let mut bytes = [0; 2];
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(usize::from(u16::from_le_bytes(bytes)))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        self.next = None;
        let (Some(shared), Some(rest)) = (self.number()?, self.number()?) else { return Ok(()) };
        self.name.truncate(shared);
        self.name.resize(shared + rest, 0);
        self.file.read_exact(&mut self.name[shared..])?;
        let mut sign = Sign { tag: Tag::UNKNOWN, size: 0 };
        self.file.read_exact(&mut sign.tag.0)?;
        sign.size = self.size()?;
        self.next = Some((String::from_utf8_lossy(&self.name).into_owned(), sign));
        Ok(())
    }

    /// Seven bits a byte, the lowest first (LEB128).
    fn size(&mut self) -> io::Result<u64> {
        let (mut size, mut byte) = (0, [0x80]);
        for shift in (0..64).step_by(7) {
            if byte[0] & 0x80 == 0 {
                break;
            }
            self.file.read_exact(&mut byte)?;
            size |= u64::from(byte[0] & 0x7f) << shift;
        }
        Ok(size)
    }
}

/// A listing under way, compared with the one before.
pub(crate) struct Comparison {
    before: Option<Reader>,
    file: BufWriter<SpooledTempFile>,
    /// How many bytes and names were written.
    written: u64,
    count: u32,
    index: Vec<(String, u64)>,
    /// The name before, and whether all came in order.
    last: String,
    is_sorted: bool,
    is_exact: bool,
    is_too_much: bool,
}

fn shared(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

impl Comparison {
    /// With nothing to compare with, nothing has changed.
    /// What is too large for memory goes to `directory`.
    pub(crate) fn new(before: Option<Snapshot>, directory: &Directory) -> io::Result<Self> {
        let before = before.filter(|it| it.is_sorted);
        let before = before.map(|it| Reader::new(&it, 0)).transpose()?;
        let file = BufWriter::new(spooled_tempfile_in(MEMORY_BYTES, directory));
        Ok(Self {
            before,
            file,
            written: 0,
            count: 0,
            index: Vec::new(),
            last: String::new(),
            is_sorted: true,
            is_exact: true,
            is_too_much: false,
        })
    }

    /// What stands for a name isn't the tag that a look tells.
    pub(crate) fn is_inexact(&mut self) {
        self.is_exact = false;
    }

    /// Whether more has changed than was told.
    pub(crate) fn is_too_much(&self) -> bool {
        self.is_too_much
    }

    fn note(&mut self, changes: &mut Vec<Change>, name: String, now: Option<Tag>) {
        if changes.len() < CHANGES_MAX {
            changes.push(Change { name, now });
        } else {
            self.is_too_much = true;
        }
    }

    /// Takes the next name; the directories that lead to it are names as well.
    pub(crate) fn take(
        &mut self,
        name: &str,
        (tag, size): (Tag, u64),
        changes: &mut Vec<Change>,
    ) -> io::Result<()> {
        let from = shared(&self.last, name);
        for (at, _) in name.match_indices('/') {
            if at >= from {
                let sign = Sign { tag: directory_sign(), size: 0 };
                self.add(&name[..=at], sign, changes)?;
            }
        }
        // A directory's own marker was added with it.
        if name.ends_with('/') { Ok(()) } else { self.add(name, Sign { tag, size }, changes) }
    }

    fn add(&mut self, name: &str, sign: Sign, changes: &mut Vec<Change>) -> io::Result<()> {
        if !self.last.is_empty() && name <= self.last.as_str() {
            self.is_sorted = false;
        }
        self.write(name, sign)?;
        name.clone_into(&mut self.last);
        if !self.is_sorted {
            return Ok(());
        }
        if self.before.is_none() {
            return Ok(());
        }
        self.tell_gone(changes, |old| old < name)?;
        let Some(before) = &mut self.before else { return Ok(()) };
        let old = before.next.take_if(|(old, _)| old.as_str() == name).map(|(_, old)| old.tag);
        if old.is_some() {
            before.advance()?;
        }
        if old != Some(sign.tag) {
            self.note(changes, name.to_owned(), Some(sign.tag));
        }
        Ok(())
    }

    fn write(&mut self, name: &str, sign: Sign) -> io::Result<()> {
        let is_whole = self.count.is_multiple_of(WHOLE_EVERY);
        if is_whole {
            self.index.push((name.to_owned(), self.written));
        }
        let kept = if is_whole { 0 } else { shared(&self.last, name) };
        let rest = &name.as_bytes()[kept..];
        let mut bytes = Vec::with_capacity(rest.len() + 20);
        for number in [kept, rest.len()] {
            let number = u16::try_from(number).map_err(|_| io::ErrorKind::InvalidData)?;
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(rest);
        bytes.extend(sign.tag.0);
        let mut size = sign.size;
        while size >= 0x80 {
            bytes.push(size as u8 | 0x80);
            size >>= 7;
        }
        bytes.push(size as u8);
        self.count = self.count.wrapping_add(1);
        self.written += bytes.len() as u64;
        self.file.write_all(&bytes)
    }

    /// Tells the next names of the listing before that are gone.
    fn tell_gone(
        &mut self,
        changes: &mut Vec<Change>,
        is_gone: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        while let Some(before) = &mut self.before
            && let Some((gone, _)) = before.next.take_if(|(old, _)| is_gone(old))
        {
            before.advance()?;
            self.note(changes, gone, None);
        }
        Ok(())
    }

    /// The listing is complete.
    pub(crate) fn finish(&mut self, changes: &mut Vec<Change>) -> io::Result<()> {
        if self.is_sorted { self.tell_gone(changes, |_| true) } else { Ok(()) }
    }

    /// To compare the next one with.
    pub(crate) fn into_snapshot(self) -> io::Result<Snapshot> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let data = match file.into_inner() {
            SpooledData::InMemory(bytes) => Data::Memory(bytes.into_inner()),
            SpooledData::OnDisk(file) => Data::File(file),
        };
        Ok(Snapshot {
            data: Arc::new(data),
            index: self.index.into(),
            is_sorted: self.is_sorted,
            is_exact: self.is_exact,
        })
    }
}

#[cfg(test)]
mod tests;
