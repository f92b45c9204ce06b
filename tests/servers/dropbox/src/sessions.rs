//! Upload sessions: bytes on their way, which nobody sees until they are committed.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::errors::{tag, with};

/// What a piece of a concurrent session begins at, and is a multiple of.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;

/// An `UploadSessionCursor`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Which session.
    pub session_id: String,
    /// Where the bytes of this call begin.
    pub offset: u64,
}

/// All sessions of an account.
#[derive(Debug, Default)]
pub struct Sessions {
    open: BTreeMap<String, Session>,
    started: u64,
}

#[derive(Debug, Default)]
struct Session {
    is_concurrent: bool,
    is_closed: bool,
    bytes: Vec<u8>,
    /// Of a concurrent session, by where they begin.
    pieces: BTreeMap<u64, Bytes>,
}

impl Session {
    fn append(&mut self, offset: u64, bytes: &Bytes, close: bool) -> Result<(), Value> {
        if self.is_concurrent {
            return self.append_piece(offset, bytes, close);
        }
        if self.is_closed {
            return Err(tag("closed"));
        }
        self.expect(offset)?;
        self.bytes.extend_from_slice(bytes);
        self.is_closed = close;
        Ok(())
    }

    fn append_piece(&mut self, offset: u64, bytes: &Bytes, close: bool) -> Result<(), Value> {
        if self.is_closed {
            return Err(tag("closed"));
        }
        if !offset.is_multiple_of(PIECE_BYTES) {
            return Err(tag("concurrent_session_invalid_offset"));
        }
        if !close && !(bytes.len() as u64).is_multiple_of(PIECE_BYTES) {
            return Err(tag("concurrent_session_invalid_data_size"));
        }
        self.pieces.insert(offset, bytes.clone());
        self.is_closed = close;
        Ok(())
    }

    fn expect(&self, offset: u64) -> Result<(), Value> {
        let correct = self.bytes.len() as u64;
        if offset == correct {
            return Ok(());
        }
        Err(with("incorrect_offset", json!({ "correct_offset": correct })))
    }

    /// All bytes, if they are complete.
    fn whole(&self, last: &Bytes) -> Result<Bytes, Value> {
        if !self.is_concurrent {
            return Ok([&self.bytes, &last[..]].concat().into());
        }
        if !last.is_empty() {
            return Err(tag("concurrent_session_data_not_allowed"));
        }
        if !self.is_closed {
            return Err(tag("concurrent_session_not_closed"));
        }
        let mut all = Vec::new();
        for (offset, piece) in &self.pieces {
            if *offset != all.len() as u64 {
                return Err(tag("concurrent_session_missing_data"));
            }
            all.extend_from_slice(piece);
        }
        Ok(all.into())
    }
}

impl Sessions {
    /// How many there are that were not committed.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Forgets them all, as Dropbox does after seven days.
    pub fn expire(&mut self) {
        self.open.clear();
    }

    /// Begins one with these bytes; an `UploadSessionStartError` if that can't be.
    pub fn start(
        &mut self,
        kind: Option<&Value>,
        bytes: &Bytes,
        close: bool,
    ) -> Result<String, Value> {
        let name = kind.and_then(|kind| kind.as_str().or_else(|| kind.get(".tag")?.as_str()));
        let is_concurrent = name == Some("concurrent");
        if is_concurrent && !bytes.is_empty() {
            return Err(tag("concurrent_session_data_not_allowed"));
        }
        if is_concurrent && close {
            return Err(tag("concurrent_session_close_not_allowed"));
        }
        self.started += 1;
        let id = format!("pid_upload_session:fake-{:08}-{:016x}", self.started, fastrand::u64(..));
        let session = Session {
            is_concurrent,
            is_closed: close,
            bytes: bytes.to_vec(),
            ..Session::default()
        };
        self.open.insert(id.clone(), session);
        Ok(id)
    }

    /// Takes more bytes; an `UploadSessionLookupError` if that can't be.
    pub fn append(&mut self, cursor: &Cursor, bytes: &Bytes, close: bool) -> Result<(), Value> {
        let session = self.open.get_mut(&cursor.session_id).ok_or_else(|| tag("not_found"))?;
        session.append(cursor.offset, bytes, close)
    }

    /// The bytes of a session with the last ones of the call that finishes it. The last ones stay
    /// in it, so that the call may be repeated without.
    pub fn finish(&mut self, cursor: &Cursor, last: &Bytes, closed: bool) -> Result<Bytes, Failed> {
        let session = self
            .open
            .get_mut(&cursor.session_id)
            .ok_or_else(|| Failed::Lookup(tag("not_found")))?;
        if closed && !session.is_closed {
            return Err(Failed::Lookup(tag("not_closed")));
        }
        if !session.is_concurrent {
            if !last.is_empty() && session.is_closed {
                return Err(Failed::Lookup(tag("closed")));
            }
            session.expect(cursor.offset).map_err(Failed::Lookup)?;
        }
        let whole = session.whole(last).map_err(Failed::Finish)?;
        if !session.is_concurrent {
            session.bytes = whole.to_vec();
        }
        Ok(whole)
    }

    /// Forgets one that was committed.
    pub fn forget(&mut self, id: &str) {
        self.open.remove(id);
    }
}

/// Why a session couldn't be finished.
#[derive(Debug)]
pub enum Failed {
    /// An `UploadSessionLookupError`.
    Lookup(Value),
    /// An `UploadSessionFinishError`.
    Finish(Value),
}
