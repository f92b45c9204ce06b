//! One attempt to fetch one content from one source.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use onitu_core::limits::CHUNK_BYTES_MIN;
use onitu_core::message::{Open, Origin};
use onitu_core::{Checksum, Content, Fault, FaultKind, Hasher, Kind};
use tokio::time::timeout;
use tracing::debug;

use super::line::{Heard, Ticket};
use super::pace::Pace;
use super::progress::Shown;
use super::{Arrived, Failure, Puller, REOPENS_MAX, SILENCE, Side, Wanted};
use crate::media::Head;
use crate::plug::{Plug, Sink};

/// While the storage takes long to write, the source hears this often that it is wanted.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// The fetch's state between messages.
pub(super) struct Attempt<'a, P: Plug> {
    puller: &'a Puller,
    plug: &'a P,
    wanted: &'a Wanted,
    from: Origin,
    landing: Option<Landing<P::Sink>>,
    pace: Pace,
    credit: u32,
    /// Written and not yet granted again.
    owed: u32,
    shown: Option<Shown>,
}

/// Where the bytes go, and what has arrived so far.
struct Landing<S> {
    sink: S,
    hasher: Hasher,
    written: u64,
    head: Head,
}

impl<S: Sink> Landing<S> {
    /// Writes the next bytes, however long it takes.
    async fn write(&mut self, bytes: Bytes, ticket: &Ticket, chunk: u32) -> Result<(), Failure> {
        let length = bytes.len() as u64;
        let mut writing = pin!(self.sink.write(bytes.clone()));
        let written = async {
            loop {
                match timeout(SIGN_OF_LIFE, &mut writing).await {
                    Ok(written) => break written,
                    Err(_slow) => ticket.credit(0, chunk),
                }
            }
        };
        // Hashed while the storage is writing.
        let hashed = async {
            self.hasher.update(&bytes);
            self.head.update(&bytes);
        };
        let (written, ()) = tokio::join!(biased; written, hashed);
        written.map_err(here)?;
        self.written += length;
        Ok(())
    }
}

/// How one opening ended, if it didn't fail.
enum Turn {
    /// Everything is written and verified.
    Complete(Checksum),
    /// The connection was lost.
    Reset,
}

impl<'a, P: Plug> Attempt<'a, P> {
    pub(super) fn new(puller: &'a Puller, plug: &'a P, wanted: &'a Wanted, from: Origin) -> Self {
        let (landing, shown) = (None, None);
        Self { puller, plug, wanted, from, landing, pace: Pace::new(0), credit: 0, owed: 0, shown }
    }

    pub(super) async fn run(
        mut self,
        overtaken: impl Future<Output = ()>,
    ) -> Result<Arrived<P>, Failure> {
        if self.wanted.content.kind == Kind::Directory {
            let text = format!("the directory `{}` can't be fetched", self.wanted.path);
            return Err(here(Fault::new(FaultKind::Bug, text)));
        }
        let mut overtaken = pin!(overtaken);
        let wanted = self.wanted;
        let newer = || {
            let text = format!("`{}` was overtaken by a newer revision", wanted.path);
            here(Fault::new(FaultKind::Changed, text))
        };
        let (reserved, credit) = tokio::select! {
            biased;
            () = &mut overtaken => return Err(newer()),
            reserved = self.puller.reserve(self.wanted) => reserved.map_err(here)?,
        };
        self.credit = credit;
        self.pace = Pace::new(credit);
        let fetched = tokio::select! {
            biased;
            () = &mut overtaken => None,
            fetched = self.fetch() => Some(fetched),
        };
        let fetched = fetched.unwrap_or_else(|| Err(newer()));
        // What is written now is no longer on its way.
        drop(reserved);
        self.shown = None;
        match (fetched, self.landing.take()) {
            (Ok(checksum), Some(landing)) => {
                let mut content = Content { checksum: Some(checksum), ..self.wanted.content };
                content.media = content.media.or(landing.head.media());
                Ok(Arrived { sink: landing.sink, expect: self.wanted.expect, content })
            }
            (Err(failure), Some(landing)) => {
                if is_worthless(&failure) {
                    landing.sink.discard().await;
                }
                Err(failure)
            }
            (Err(failure), None) => Err(failure),
            (Ok(_), None) => unreachable!("a content was complete before anything was written"),
        }
    }

    async fn fetch(&mut self) -> Result<Checksum, Failure> {
        if !self.wanted.is_small() {
            self.begin(true).await?;
        }
        for _ in 0..=REOPENS_MAX {
            match self.turn().await? {
                Turn::Complete(checksum) => return Ok(checksum),
                Turn::Reset => debug!(path = %self.wanted.path, "a transfer is opened anew"),
            }
        }
        Err(self.unavailable("was lost too often"))
    }

    /// Opens the sink. Without `resume` an earlier attempt's bytes are thrown away.
    async fn begin(&mut self, resume: bool) -> Result<(), Failure> {
        // What can't be taken up is discarded, and then there is nothing.
        for take_up in [resume, false] {
            let Wanted { path, content, .. } = self.wanted;
            let key = self.wanted.resume_key();
            let mut sink = self.plug.write(path, content, key).await.map_err(here)?;
            let (written, hasher) = sink.resumed().await.map_err(here)?;
            if written == 0 || (take_up && written <= content.size) {
                let (hasher, head) = match written {
                    0 => (Hasher::default(), Head::of(path, content.kind)),
                    _ => (hasher, Head::unseen()),
                };
                self.landing = Some(Landing { sink, hasher, written, head });
                if !self.wanted.is_small() {
                    self.show(written);
                }
                return Ok(());
            }
            sink.discard().await;
        }
        let text = format!("what was discarded of `{}` came back", self.wanted.path);
        Err(here(Fault::new(FaultKind::Bug, text)))
    }

    fn show(&mut self, done: u64) {
        let Wanted { path, content, source_name, .. } = self.wanted;
        let (id, board) = (self.puller.next_id(), &self.puller.shared.board);
        self.shown = Some(board.show(id, (path, source_name), content.size, done));
    }

    /// Opens the path at the source and takes what comes.
    async fn turn(&mut self) -> Result<Turn, Failure> {
        let mut ticket = self.puller.mailbox(self.from.service).open(Open {
            id: self.puller.next_id(),
            path: self.wanted.path.clone(),
            tag: self.from.tag,
            offset: self.landing.as_ref().map_or(0, |landing| landing.written),
            chunk_bytes: self.pace.chunk_bytes(),
            credit_bytes: self.credit,
            checksum: self.wanted.content.checksum,
        });
        self.owed = 0;
        loop {
            let Ok(heard) = timeout(SILENCE, ticket.next()).await else {
                return Err(self.unavailable(&format!("was silent for {} s", SILENCE.as_secs())));
            };
            match heard {
                None => return Err(self.unavailable("was closed")),
                Some(Heard::Reset) => return Ok(Turn::Reset),
                Some(Heard::Excess) => return Err(self.corrupt("sent more than was asked for")),
                Some(Heard::Refused(fault)) => {
                    ticket.over();
                    return Err(self.refused(&fault));
                }
                Some(Heard::Whole(content, bytes)) => {
                    ticket.over();
                    return self.take_whole(content, bytes).await;
                }
                Some(Heard::Opened(content)) => {
                    self.check_promise(&content)?;
                    if self.landing.is_none() {
                        self.begin(false).await?;
                    }
                    self.pace.restart();
                }
                Some(Heard::Chunk(offset, bytes)) => {
                    if !self.take_chunk(&ticket, offset, bytes).await? {
                        return Ok(Turn::Reset);
                    }
                }
                // A chunk was lost on the way; the source has checked that it sent all of them.
                Some(Heard::End(_)) if self.is_short() => return Ok(Turn::Reset),
                Some(Heard::End(checksum)) => return self.verify(checksum).map(Turn::Complete),
            }
        }
    }

    /// A small content, verified before a byte of it is written.
    async fn take_whole(&mut self, content: Content, bytes: Bytes) -> Result<Turn, Failure> {
        self.check_promise(&content)?;
        let checksum = Checksum::of(&bytes);
        self.check_sums(bytes.len() as u64, checksum, content.checksum)?;
        if self.landing.as_ref().is_none_or(|landing| landing.written > 0) {
            self.landing = None;
            self.begin(false).await?;
        }
        if let (Some(landing), false) = (&mut self.landing, bytes.is_empty()) {
            landing.head.update(&bytes);
            landing.sink.write(bytes).await.map_err(here)?;
        }
        Ok(Turn::Complete(checksum))
    }

    /// Writes a chunk and grants as much again; false if one before it is missing.
    async fn take_chunk(
        &mut self,
        ticket: &Ticket,
        offset: u64,
        bytes: Bytes,
    ) -> Result<bool, Failure> {
        let size = self.wanted.content.size;
        let Some(landing) = &mut self.landing else {
            if bytes.is_empty() {
                return Ok(true);
            }
            return Err(self.corrupt("sent bytes before it said of what"));
        };
        let length = bytes.len();
        if offset != landing.written {
            // One that is heard twice does no harm; after a gap the rest is asked for again.
            return Ok(offset < landing.written);
        }
        if length as u64 > size - offset {
            return Err(self.corrupt(&format!("sent more than the {size} bytes it promised")));
        }
        if length == 0 {
            return Ok(true);
        }
        landing.write(bytes, ticket, self.pace.chunk_bytes()).await?;
        let written = landing.written;
        self.pace.passed(length);
        if let Some(shown) = &self.shown {
            shown.reached(written);
        }
        self.grant(ticket, length);
        Ok(true)
    }

    /// Credit goes back in pieces no smaller than a chunk, so that chunks stay whole.
    fn grant(&mut self, ticket: &Ticket, length: usize) {
        self.owed += u32::try_from(length).unwrap_or(u32::MAX);
        if self.owed >= self.pace.chunk_bytes().min(self.credit / 4).max(CHUNK_BYTES_MIN) {
            ticket.credit(self.owed, self.pace.chunk_bytes());
            self.owed = 0;
        }
    }

    fn is_short(&self) -> bool {
        self.landing.as_ref().is_some_and(|landing| landing.written < self.wanted.content.size)
    }

    fn verify(&self, theirs: Checksum) -> Result<Checksum, Failure> {
        let Some(landing) = &self.landing else {
            return Err(self.corrupt("ended before it began"));
        };
        let own = landing.hasher.clone().finish();
        self.check_sums(landing.written, own, Some(theirs))?;
        Ok(own)
    }

    fn check_promise(&self, content: &Content) -> Result<(), Failure> {
        let Content { kind, size, .. } = self.wanted.content;
        if content.kind == kind && content.size == size {
            return Ok(());
        }
        let (their_kind, their_size) = (content.kind, content.size);
        Err(self.corrupt(&format!(
            "has a {their_kind:?} of {their_size} bytes where a {kind:?} of {size} was promised"
        )))
    }

    fn check_sums(
        &self,
        length: u64,
        own: Checksum,
        theirs: Option<Checksum>,
    ) -> Result<(), Failure> {
        let Content { size, checksum, .. } = self.wanted.content;
        if length != size {
            return Err(self.corrupt(&format!("gave {length} of {size} bytes")));
        }
        if theirs != Some(own) {
            return Err(self.corrupt("gave bytes that don't have the checksum it told"));
        }
        if checksum.is_some_and(|known| known != own) {
            return Err(
                self.corrupt(&format!("gave bytes with the checksum {own}, not the record's"))
            );
        }
        Ok(())
    }

    fn refused(&self, fault: &Fault) -> Failure {
        let Wanted { source_name, path, .. } = self.wanted;
        let message = format!("`{source_name}` can't give `{path}`: {}", fault.message);
        Failure { side: Side::Source, fault: Fault { message, ..fault.clone() } }
    }

    fn corrupt(&self, what: &str) -> Failure {
        let Wanted { source_name, path, .. } = self.wanted;
        let message = format!("`{source_name}` {what}, for `{path}`");
        Failure { side: Side::Source, fault: Fault::new(FaultKind::Corrupt, message) }
    }

    fn unavailable(&self, what: &str) -> Failure {
        let Wanted { source_name, path, .. } = self.wanted;
        let message = format!("the connection to `{source_name}` {what} while fetching `{path}`");
        Failure { side: Side::Source, fault: Fault::new(FaultKind::Unavailable, message) }
    }
}

fn here(fault: Fault) -> Failure {
    Failure { side: Side::Here, fault }
}

/// Whether what was written can't help a later attempt, or must make room.
fn is_worthless(failure: &Failure) -> bool {
    matches!(failure.fault.kind, FaultKind::Corrupt | FaultKind::Changed | FaultKind::Full)
}
