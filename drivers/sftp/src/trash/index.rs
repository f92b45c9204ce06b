//! A day's index: one line of JSON for each thing, in the order in which they came.
//!
//! It is only ever appended to. A line that can't be read (torn by a crash or a full disk, written
//! by hand) is passed over.

use std::borrow::Cow;

use bytes::Bytes;
use onitu_plug::Why;
use serde::{Deserialize, Serialize};

use crate::client::Remote;
use crate::fault::Failure;
use crate::lane::Handle;
use crate::read::read_range;
use crate::wire::Attrs;
use crate::wire::request::{Request, open};

/// The name of the file.
pub(super) const INDEX: &str = "index";
/// Read at once, backwards.
const BLOCK_BYTES: u64 = 64 * 1024;
/// Longer than any line: a path of 4,095 bytes, each of them escaped, and the rest.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// One line, as the local driver writes it too.
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

    /// As it is appended: with an end before it as well, since the line before may lack its own.
    pub(super) fn written(&self) -> Option<Bytes> {
        let mut bytes = vec![b'\n'];
        serde_json::to_writer(&mut bytes, self).ok()?;
        bytes.push(b'\n');
        Some(bytes.into())
    }
}

/// Whether this may be the name of a thing in a day's directory: it names no other file.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Reads a day's lines from the last to the first.
pub(super) struct Backwards {
    file: Handle,
    /// Where `bytes` begin in the file.
    start: u64,
    bytes: Vec<u8>,
}

impl Backwards {
    /// Those that end at `end` or before, or all of them; [`None`] if the day has no index.
    pub(super) async fn open(
        remote: &Remote,
        day: &[u8],
        end: Option<u64>,
    ) -> Result<Option<Self>, Failure> {
        let path = [day, b"/", INDEX.as_bytes()].concat();
        let request = Request::open(&path, open::READ, &Attrs::default());
        let file = match remote.lane().open(request).await {
            Err(failure) if failure.is_missing() => return Ok(None),
            file => file?,
        };
        let [attrs] = file.lane().send([Request::fstat(file.raw())]).await?;
        let size = attrs.attrs().await?.and_then(|attrs| attrs.size).unwrap_or(0);
        Ok(Some(Self { file, start: end.unwrap_or(size).min(size), bytes: Vec::new() }))
    }

    /// The line before, and where it begins: all before it is yet to come.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, Failure> {
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
            let mut longer = read_range(&self.file, from, self.start - from).await?;
            if longer.len() as u64 != self.start - from {
                return Err(Failure::Odd);
            }
            longer.append(&mut self.bytes);
            (self.start, self.bytes) = (from, longer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let written = Line::new("00a-1", "a \"b\"\n", 7, 3, Why::Removed).written().expect("JSON");
        assert!(written.starts_with(b"\n{") && written.ends_with(b"}\n"));
        let line = Line::read(&written).expect("a line");
        assert_eq!((&*line.id, &*line.path, line.at_ms), ("00a-1", "a \"b\"\n", 7));
        assert!(Line::read(b"").is_none() && Line::read(&written[..9]).is_none());
    }

    #[test]
    fn an_id_names_no_other_file() {
        assert!(is_id("0193-ab") && !is_id("") && !is_id("..") && !is_id("a/b") && !is_id("index"));
    }
}
