//! A round that is kept to compare the next one with: sorted names and what stood there.
//!
//! A small one stays in memory, a large one goes to a temporary file without a name, so memory is
//! bounded.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use onitu_plug::Tag;
use tempfile::SpooledTempFile;

/// Bytes of a round that stay in memory.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// A name that is new, gone, or stands for something else; of a directory it ends in `/`.
pub(super) type Change = String;

/// A round that is complete.
pub(super) struct Snapshot(SpooledTempFile);

/// Reads the names of a snapshot in turn.
struct Reader {
    file: BufReader<SpooledTempFile>,
    next: Option<(String, Tag)>,
}

impl Reader {
    fn new(mut snapshot: Snapshot) -> io::Result<Self> {
        snapshot.0.rewind()?;
        let mut reader = Self { file: BufReader::new(snapshot.0), next: None };
        reader.advance()?;
        Ok(reader)
    }

    fn advance(&mut self) -> io::Result<()> {
        self.next = None;
        let mut length = [0; 2];
        match self.file.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let mut name = vec![0; usize::from(u16::from_le_bytes(length))];
        self.file.read_exact(&mut name)?;
        let mut tag = Tag::UNKNOWN;
        self.file.read_exact(&mut tag.0)?;
        let name = String::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData)?;
        self.next = Some((name, tag));
        Ok(())
    }
}

/// A round under way, compared with the one before.
pub(super) struct Comparison {
    before: Option<Reader>,
    file: BufWriter<SpooledTempFile>,
}

impl Comparison {
    /// With nothing to compare with, nothing has changed.
    pub(super) fn new(before: Option<Snapshot>) -> io::Result<Self> {
        let before = before.map(Reader::new).transpose()?;
        Ok(Self { before, file: BufWriter::new(SpooledTempFile::new(MEMORY_BYTES)) })
    }

    /// Takes the next name, which comes after all that were taken.
    pub(super) fn take(
        &mut self,
        name: &str,
        tag: Tag,
        changes: &mut Vec<Change>,
    ) -> io::Result<()> {
        let length = u16::try_from(name.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(name.as_bytes())?;
        self.file.write_all(&tag.0)?;
        let Some(before) = &mut self.before else { return Ok(()) };
        while let Some((gone, _)) = before.next.take_if(|(old, _)| old.as_str() < name) {
            changes.push(gone);
            before.advance()?;
        }
        let old = before.next.take_if(|(old, _)| old == name).map(|(_, tag)| tag);
        if old.is_some() {
            before.advance()?;
        }
        if old != Some(tag) {
            changes.push(name.to_owned());
        }
        Ok(())
    }

    /// That was the last one.
    pub(super) fn finish(mut self, changes: &mut Vec<Change>) -> io::Result<Snapshot> {
        if let Some(before) = &mut self.before {
            while let Some((gone, _)) = before.next.take() {
                changes.push(gone);
                before.advance()?;
            }
        }
        self.file.into_inner().map(Snapshot).map_err(io::IntoInnerError::into_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(before: Option<Snapshot>, names: &[(&str, u8)]) -> (Snapshot, Vec<String>) {
        let mut comparison = Comparison::new(before).expect("a snapshot");
        let mut changes = Vec::new();
        for (name, tag) in names {
            comparison.take(name, Tag([*tag; 6]), &mut changes).expect("room");
        }
        (comparison.finish(&mut changes).expect("room"), changes)
    }

    #[test]
    fn the_first_round_tells_of_nothing() {
        assert!(round(None, &[("a", 1), ("d/", 1), ("d/b", 1)]).1.is_empty());
    }

    #[test]
    fn what_is_new_gone_or_other_is_told() {
        let (first, _) = round(None, &[("a", 1), ("b", 1), ("d-", 1), ("d/", 1), ("d/x", 1)]);
        let (second, told) = round(Some(first), &[("a", 2), ("c", 1), ("d-", 1), ("e\n", 1)]);
        assert_eq!(told, ["a", "b", "c", "d/", "d/x", "e\n"]);
        let (third, told) = round(Some(second), &[("a", 2), ("c", 1), ("d-", 1), ("e\n", 1)]);
        assert!(told.is_empty());
        assert_eq!(round(Some(third), &[]).1, ["a", "c", "d-", "e\n"]);
    }

    #[test]
    fn a_round_that_went_to_a_file_is_compared_as_well() {
        let names: Vec<String> = (0..100_000)
            .map(|number| format!("a directory/with a long name/{number:06}"))
            .collect();
        let all: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let (first, _) = round(None, &all);
        assert!(first.0.is_rolled());
        assert_eq!(round(Some(first), &all[1..]).1, [names[0].as_str()]);
    }
}
