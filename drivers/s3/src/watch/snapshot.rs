//! A listing that is kept to compare the next one with: sorted names and what they stood for.
//!
//! Each name is written as what differs from the one before it, and six bytes. Small listings stay
//! in memory, large ones go to a temporary file without a name, so memory is bounded.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path as Directory;

use onitu_plug::Tag;
use tempfile::{SpooledTempFile, spooled_tempfile_in};

use super::directory_sign;

/// Bytes of a listing that stay in memory; some hundred thousand names.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;

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

/// A listing that is complete.
pub(crate) struct Snapshot {
    file: SpooledTempFile,
    is_sorted: bool,
}

impl Snapshot {
    /// Nothing can be compared with it.
    pub(crate) fn is_unsorted(&self) -> bool {
        !self.is_sorted
    }
}

/// Reads the names of a snapshot in turn.
struct Reader {
    file: BufReader<SpooledTempFile>,
    name: Vec<u8>,
    next: Option<(String, Tag)>,
}

impl Reader {
    fn new(mut snapshot: Snapshot) -> io::Result<Self> {
        snapshot.file.rewind()?;
        let file = BufReader::new(snapshot.file);
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
        let mut sign = Tag::UNKNOWN;
        self.file.read_exact(&mut sign.0)?;
        self.next = Some((String::from_utf8_lossy(&self.name).into_owned(), sign));
        Ok(())
    }
}

/// A listing under way, compared with the one before.
pub(crate) struct Comparison {
    before: Option<Reader>,
    file: BufWriter<SpooledTempFile>,
    /// The name before, and whether all came in order.
    last: String,
    is_sorted: bool,
    is_too_much: bool,
}

fn shared(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

impl Comparison {
    /// With nothing to compare with, nothing has changed.
    /// What is too large for memory goes to `directory`.
    pub(crate) fn new(before: Option<Snapshot>, directory: &Directory) -> io::Result<Self> {
        let before = before.filter(|it| it.is_sorted).map(Reader::new).transpose()?;
        let file = BufWriter::new(spooled_tempfile_in(MEMORY_BYTES, directory));
        Ok(Self { before, file, last: String::new(), is_sorted: true, is_too_much: false })
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
        sign: Tag,
        changes: &mut Vec<Change>,
    ) -> io::Result<()> {
        let from = shared(&self.last, name);
        for (at, _) in name.match_indices('/') {
            if at >= from {
                self.add(&name[..=at], directory_sign(), changes)?;
            }
        }
        // A directory's own marker was added with it.
        if name.ends_with('/') { Ok(()) } else { self.add(name, sign, changes) }
    }

    fn add(&mut self, name: &str, sign: Tag, changes: &mut Vec<Change>) -> io::Result<()> {
        if !self.last.is_empty() && name <= self.last.as_str() {
            self.is_sorted = false;
        }
        let kept = shared(&self.last, name);
        let rest = &name.as_bytes()[kept..];
        for number in [kept, rest.len()] {
            let number = u16::try_from(number).map_err(|_| io::ErrorKind::InvalidData)?;
            self.file.write_all(&number.to_le_bytes())?;
        }
        self.file.write_all(rest)?;
        self.file.write_all(&sign.0)?;
        name.clone_into(&mut self.last);
        if !self.is_sorted {
            return Ok(());
        }
        if self.before.is_none() {
            return Ok(());
        }
        self.tell_gone(changes, |old| old < name)?;
        let Some(before) = &mut self.before else { return Ok(()) };
        let old = before.next.take_if(|(old, _)| old.as_str() == name).map(|(_, old)| old);
        if old.is_some() {
            before.advance()?;
        }
        if old != Some(sign) {
            self.note(changes, name.to_owned(), Some(sign));
        }
        Ok(())
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
        Ok(Snapshot { file, is_sorted: self.is_sorted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(before: Option<Snapshot>, names: &[(&str, u8)]) -> (Snapshot, Vec<String>) {
        let mut comparison = Comparison::new(before, &std::env::temp_dir()).unwrap();
        let mut changes = Vec::new();
        for (name, sign) in names {
            comparison.take(name, Tag([*sign; 6]), &mut changes).unwrap();
        }
        comparison.finish(&mut changes).unwrap();
        let snapshot = comparison.into_snapshot().unwrap();
        let told = changes.into_iter().map(|Change { name, now }| match now {
            Some(_) => name,
            None => format!("-{name}"),
        });
        (snapshot, told.collect())
    }

    #[test]
    fn the_first_listing_tells_of_nothing() {
        let (snapshot, told) = listing(None, &[("a", 1), ("d/b", 1)]);
        assert!(told.is_empty() && !snapshot.is_unsorted());
    }

    #[test]
    fn what_is_new_gone_or_other_is_told_with_its_directories() {
        let (first, _) =
            listing(None, &[("a", 1), ("b", 1), ("d/e/x", 1), ("f/", 1), ("g-", 1), ("g/x", 1)]);
        let (second, told) =
            listing(Some(first), &[("a", 2), ("c", 1), ("f/y", 1), ("g-", 1), ("g/x", 1)]);
        assert_eq!(told, ["a", "-b", "c", "-d/", "-d/e/", "-d/e/x", "f/y"]);
        let (_, told) = listing(Some(second), &[]);
        assert_eq!(told, ["-a", "-c", "-f/", "-f/y", "-g-", "-g/", "-g/x"]);
    }

    #[test]
    fn the_same_listing_again_tells_of_nothing_even_if_it_went_to_a_file() {
        let names: Vec<String> = (0..90_000).map(|it| format!("{:0>60}/{it:06}", it / 7)).collect();
        let names: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let mut snapshot = None;
        for _ in 0..2 {
            let (next, told) = listing(snapshot, &names);
            assert!(told.is_empty());
            snapshot = Some(next);
        }
        let (_, told) = listing(snapshot, &names[1..]);
        assert_eq!(told.len(), 1);
    }

    /// Keys as long as they are in real life, page by page. Ten times as many take as much memory, and
    /// far too long for a test.
    #[test]
    fn very_many_objects_are_compared_in_bounded_memory() {
        const OBJECTS: u32 = 250_000;
        let round = |before, count: u32| {
            let mut comparison = Comparison::new(before, &std::env::temp_dir()).unwrap();
            let (mut changes, mut told) = (Vec::new(), 0);
            for at in 0..count {
                let name = format!(
                    "projects/{:04}/photographs/{:03}/image {at:08}.jpeg",
                    at / 5_000,
                    at / 100 % 50
                );
                comparison.take(&name, Tag([1; 6]), &mut changes).unwrap();
                if at % 1_000 == 999 {
                    told += std::mem::take(&mut changes).len();
                }
            }
            comparison.finish(&mut changes).unwrap();
            let is_too_much = comparison.is_too_much();
            (comparison.into_snapshot().unwrap(), told + changes.len(), is_too_much)
        };
        let mut kept = None;
        let memory = allocation_counter::measure(|| {
            let (first, _, _) = round(None, OBJECTS);
            let (mut second, told, _) = round(Some(first), OBJECTS);
            assert_eq!(told, 0);
            let bytes = second.file.seek(io::SeekFrom::End(0)).unwrap();
            assert!(
                bytes / u64::from(OBJECTS) < 24,
                "{} bytes an object",
                bytes / u64::from(OBJECTS)
            );
            // All of them go at once.
            let (_, told, is_too_much) = round(Some(second), 0);
            kept = Some((told, is_too_much));
        });
        assert_eq!(kept, Some((CHANGES_MAX, true)));
        assert!(memory.bytes_max < 24 << 20, "{} bytes at once", memory.bytes_max);
    }

    #[test]
    fn an_unsorted_listing_is_compared_with_nothing() {
        let (first, _) = listing(None, &[("a", 1)]);
        let (second, _) = listing(Some(first), &[("b", 1), ("a", 1)]);
        assert!(second.is_unsorted());
        let (third, told) = listing(Some(second), &[("a", 1)]);
        assert!(told.is_empty() && !third.is_unsorted());
    }
}
