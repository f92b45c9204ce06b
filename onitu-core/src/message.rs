//! Everything that is said on the bus, and how it is written down.
//!
//! A message is one version byte followed by [MessagePack] with named fields: a reader ignores
//! fields it doesn't know and defaults those it misses, so a driver of the previous minor version
//! still works. Bulk bytes travel as frames of their own, unencoded.
//!
//! [MessagePack]: https://github.com/msgpack/msgpack/blob/master/spec.md

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::held::{Approval, Review};
use crate::resolve::ResolveRequest;
use crate::trash::{Restore, Restored, TrashPage, TrashQuery};
use crate::verify::{VerifyRequest, VerifyStatus};
use crate::{Checksum, Content, Fault, Path, ServiceId, Shard, State, Tag};

/// The first byte of every message.
pub const VERSION: u8 = 1;

/// The topic of heartbeats; events have their shard's ([`Shard`] as text).
pub const HEARTBEAT_TOPIC: &str = "hb";

/// A message that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It was written by a newer Onitu.
    #[error("a message of version {0} can't be read, this is version {VERSION}: update this side")]
    Version(u8),
    /// It has no bytes.
    #[error("an empty message")]
    Empty,
    /// It isn't what it should be.
    #[error("a damaged message: {0}")]
    Damaged(#[from] rmp_serde::decode::Error),
}

/// Writes a message down.
///
/// # Panics
/// Never for the types of this module: each of them can be written.
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, message)
        .unwrap_or_else(|error| unreachable!("a message can't be written: {error}"));
    bytes.into()
}

/// Reads what [`encode`] wrote.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rmp_serde::from_slice(rest)?),
        Some((&version, _)) => Err(MessageError::Version(version)),
        None => Err(MessageError::Empty),
    }
}

/// What a driver publishes about one path. Each is the whole truth of that path on that service
/// at the moment it was made, so it may be heard twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The path holds this.
    Seen {
        /// Where.
        path: Path,
        /// What.
        state: State,
        /// Set when the order of this id led here.
        #[serde(default)]
        order: Option<u64>,
        /// Set when this state was placed by an order: the revision it holds.
        #[serde(default)]
        placed: Option<u64>,
        /// The same bytes stood here before on this service.
        #[serde(default)]
        moved_from: Option<Path>,
        /// This content lost the name `set_aside_from` in a conflict.
        #[serde(default)]
        set_aside_from: Option<Path>,
    },
    /// Nothing is at the path.
    Gone {
        /// Where.
        path: Path,
        /// Set when the order of this id took away what was there: that is nobody's deletion.
        #[serde(default)]
        order: Option<u64>,
        /// The bytes are there now.
        #[serde(default)]
        moved_to: Option<Path>,
    },
    /// An order could not be carried out; nothing changed.
    Failed {
        /// Of the order.
        path: Path,
        /// Its id.
        order: u64,
        /// Why.
        fault: Fault,
    },
    /// Nothing usable is at the path, and nobody deleted it: the service wants it back.
    Lost {
        /// Where.
        path: Path,
    },
    /// In the state that was told before stand other bytes than were told: a rotten copy, or an
    /// edit that left size and times as they were.
    Rotten {
        /// Where.
        path: Path,
        /// What is there, with the checksum that was found.
        state: State,
    },
    /// A whole copy of a revision whose checksum nobody had told is here under a temporary name; it
    /// is put in place when this is committed, so that a driver that dies before it can tell what
    /// it placed leaves nothing that nobody recognizes.
    Fetched {
        /// Where it will stand.
        path: Path,
        /// What it is.
        revision: u64,
        /// As ordered, with the checksum that was found.
        content: Content,
    },
    /// A person has looked at the conflict whose copy stands at the path, and keeps both.
    Resolved {
        /// Of the copy.
        path: Path,
    },
    /// The path holds something from the service's trash, because a person asked for it, or stands
    /// from now on for another copy of the same bytes as well: taken as an edit, whatever stood
    /// there, even from a service whose own changes are never taken.
    Restored {
        /// Where.
        path: Path,
        /// What.
        state: State,
    },
}

impl Event {
    /// The path it speaks of.
    pub fn path(&self) -> &Path {
        match self {
            Self::Seen { path, .. }
            | Self::Gone { path, .. }
            | Self::Failed { path, .. }
            | Self::Lost { path }
            | Self::Rotten { path, .. }
            | Self::Fetched { path, .. }
            | Self::Resolved { path }
            | Self::Restored { path, .. } => path,
        }
    }

    /// The order it answers.
    pub fn order(&self) -> Option<u64> {
        match self {
            Self::Seen { order, .. } | Self::Gone { order, .. } => *order,
            Self::Failed { order, .. } => Some(*order),
            Self::Lost { .. }
            | Self::Rotten { .. }
            | Self::Fetched { .. }
            | Self::Resolved { .. }
            | Self::Restored { .. } => None,
        }
    }
}

/// A run of events of one service and shard, published under the shard's topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Who saw them.
    pub service: ServiceId,
    /// The driver's incarnation; sequences start at 1 in each.
    pub epoch: u64,
    /// The shard all of them belong to.
    pub shard: Shard,
    /// Sequence number of the first event; the next ones follow without a gap.
    pub first: u64,
    /// At most [`crate::limits::BATCH_EVENTS_MAX`].
    pub events: Vec<Event>,
}

/// Published under [`HEARTBEAT_TOPIC`] every [`crate::limits::HEARTBEAT_MS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who lives.
    pub service: ServiceId,
    /// The driver's incarnation.
    pub epoch: u64,
    /// The last sequence number given in each shard; [`Shard::COUNT`] of them.
    pub last: Vec<u64>,
}

/// What a driver is asked to do at one path. Asked twice it does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Unique; the event that ends the order carries it.
    pub id: u64,
    /// Where.
    pub path: Path,
    /// What.
    pub action: Action,
}

/// The kinds of orders. `expect` is the state the path must be in ([`None`]: absent) at the very
/// moment of the change; if it isn't, nothing is changed and the driver tells what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Bring `content` (a file or link) here: where the bytes are right already only mtime and the
    /// executable bit are set, else it is fetched from the first of `sources` that works.
    Pull {
        /// The revision it will hold.
        revision: u64,
        /// What to fetch.
        content: Content,
        /// State to replace.
        expect: Option<Tag>,
        /// Holders of the revision, best first.
        sources: Vec<Origin>,
    },
    /// Make a directory.
    MakeDirectory {
        /// The revision it will hold.
        revision: u64,
        /// State to replace.
        expect: Option<Tag>,
    },
    /// The bytes stand at `from`; rename them to the order's path.
    Rename {
        /// The revision it will hold.
        revision: u64,
        /// What it will be, attributes included.
        content: Content,
        /// Where the bytes stand.
        from: Path,
        /// State of `from`.
        expect_from: Tag,
        /// State to replace.
        expect: Option<Tag>,
    },
    /// Remove what is there (to the trash, where there is one).
    Remove {
        /// State to remove.
        expect: Tag,
    },
    /// Rename what is there to its conflict name, unless its bytes turn out to be `unless`:
    /// then tell so ([`Event::Seen`] with the checksum) and leave it.
    SetAside {
        /// State to set aside.
        expect: Tag,
        /// The checksum of the content that keeps the name.
        unless: Option<Checksum>,
    },
    /// Read what is there and tell its checksum.
    Hash {
        /// State to read.
        expect: Tag,
    },
}

/// A service that holds the wanted revision, and the tag it holds it under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who.
    pub service: ServiceId,
    /// In this exact state.
    pub tag: Tag,
}

/// What is asked of a driver: [`Request::Orders`] on the socket for orders, by the Referee; the
/// others on the one for control, by the Core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The Referee's turn: what it has committed, what it missed, what it wants done.
    Orders {
        /// The incarnation that is meant; another one answers with its own epoch and does nothing.
        epoch: u64,
        /// Last committed sequence number per shard.
        acknowledged: Vec<(Shard, u64)>,
        /// Shards in which events after that number were missed.
        replay: Vec<(Shard, u64)>,
        /// At most [`crate::limits::ORDERS_IN_FLIGHT_MAX`].
        orders: Vec<Order>,
        /// Orders that were overtaken.
        cancel: Vec<u64>,
    },
    /// Whether everything that happened on the service before now has been announced.
    Settle,
    /// Scan the whole service.
    Rescan,
    /// What the brake holds back, or what a person says about it.
    Brake(Approval),
    /// One page of what the trash holds.
    Trash(TrashQuery),
    /// Put things from the trash in their places. Answered within a second; asked again with the
    /// same `id` it goes on, and begins nothing twice.
    Restore {
        /// Unique for each question.
        id: u64,
        /// At most [`crate::trash::RESTORES_MAX`].
        items: Vec<Restore>,
    },
    /// Verify the service, or tell how far that is.
    Verify(VerifyRequest),
    /// End a conflict, as a user of the service would; answered by [`Reply::Done`].
    Resolve(Box<ResolveRequest>),
}

/// What a driver answers on its REP socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Orders`]: taken, unless `epoch` is another than asked for.
    Taken {
        /// The driver's incarnation.
        epoch: u64,
        /// What was asked to be replayed, at most [`crate::limits::REPLAY_EVENTS_MAX`] events.
        batches: Vec<Batch>,
    },
    /// To [`Request::Settle`].
    Settled {
        /// Nothing is being looked at, announced, carried out or scanned.
        idle: bool,
        /// Grows with everything that happens: equal twice means nothing happened in between.
        activity: u64,
    },
    /// To [`Request::Rescan`], and to [`Request::Brake`] with a verdict: it will be done.
    Done,
    /// The request can't be served.
    Refused(Fault),
    /// To [`Request::Brake`] without a verdict.
    Held(Box<Review>),
    /// To [`Request::Trash`].
    Trash(TrashPage),
    /// To [`Request::Restore`]: what became of each item, in order; [`None`] while it is under
    /// way.
    Restored(Option<Vec<Restored>>),
    /// To [`Request::Verify`]: the running or last verification; [`None`] if there was none.
    Verify(Option<Box<VerifyStatus>>),
}

/// What a puller says to a holder (DEALER to ROUTER).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Begin these transfers.
    Open {
        /// Many small files share one message.
        opens: Vec<Open>,
    },
    /// So many bytes more may be sent.
    Credit {
        /// Of the transfer.
        id: u64,
        /// Added to what is left.
        bytes: u32,
        /// Size of the chunks from now on.
        chunk_bytes: u32,
    },
    /// The transfer is over; nothing more is wanted.
    Close {
        /// Of the transfer.
        id: u64,
    },
    /// Say that you are there.
    Ping,
}

/// The beginning of one transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Chosen by the puller, unique on its socket.
    pub id: u64,
    /// What to read.
    pub path: Path,
    /// The state it must be in, from the first byte to the last.
    pub tag: Tag,
    /// First byte wanted; what stands before is already there.
    pub offset: u64,
    /// Size of chunks.
    pub chunk_bytes: u32,
    /// Bytes that may be sent before more credit comes.
    pub credit_bytes: u32,
    /// What the record says of the bytes. A holder that finds others has to look at its path again.
    #[serde(default)]
    pub checksum: Option<Checksum>,
}

/// What a holder says to a puller (ROUTER to DEALER).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Whole contents; frame `n + 1` holds the bytes of `items[n]`.
    Whole {
        /// Each with its checksum.
        items: Vec<Whole>,
    },
    /// The transfer has begun.
    Opened {
        /// Of the transfer.
        id: u64,
        /// As it is on the holder.
        content: Content,
    },
    /// The bytes in the second frame stand at `offset`.
    Chunk {
        /// Of the transfer.
        id: u64,
        /// In the file.
        offset: u64,
    },
    /// All bytes were sent, and the state was the same from first to last.
    End {
        /// Of the transfer.
        id: u64,
        /// Of the whole content, computed while it was read.
        checksum: Checksum,
    },
    /// The transfer can't begin or go on.
    Refused {
        /// Of the transfer.
        id: u64,
        /// Why.
        fault: Fault,
    },
    /// To [`Ask::Ping`].
    Pong,
}

/// A small file, sent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// Of the transfer.
    pub id: u64,
    /// With its checksum.
    pub content: Content,
}

#[cfg(test)]
mod tests;
