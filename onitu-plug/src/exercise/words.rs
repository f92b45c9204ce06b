//! What is said: calls, and what becomes of them.

use std::fmt;

use bytes::Bytes;
use onitu_core::manifest::Abilities;
use onitu_core::trash::{TrashPage, TrashQuery};
use onitu_core::{Checksum, Content, Fault, Path, State, Tag};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hints::{Gathered, Hint, Hints};
use crate::plug::{Found, Setting};

/// What the suite sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// From 1 on, used once; names afterwards what the call has opened.
    pub id: u64,
    /// The id of the request that opened what this call is made on; 0 where it is made on nothing.
    #[serde(default)]
    pub on: u64,
    /// What is to be done.
    pub call: Call,
}

/// A call; each is the method of its name, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Reads options and opens nothing.
    ReadOptions {
        /// As in `entries.toml`.
        options: Value,
    },
    /// `Plug::connect`; opens a connection.
    Connect {
        /// As in `entries.toml`.
        options: Value,
        /// What the runtime would say.
        setting: Setting,
    },
    /// `Plug::check`.
    Check,
    /// `Plug::watch`: hints until it is dropped.
    Watch,
    /// `Plug::settle`: what was hinted at before is told before the answer.
    Settle,
    /// `Plug::list`: pages, each waiting for [`Call::Wanted`].
    List {
        /// What is listed.
        directory: Path,
    },
    /// Said of a listing's last page, and not answered.
    Wanted {
        /// Whether there is still a reader.
        more: bool,
    },
    /// `Plug::look`.
    Look {
        /// Where.
        path: Path,
    },
    /// `Plug::read`; opens a source.
    Read {
        /// Where.
        path: Path,
        /// In this state.
        tag: Tag,
        /// From there on.
        offset: u64,
    },
    /// `Source::next`.
    Next {
        /// At most [`super::CHUNK_BYTES_MAX`].
        max: u32,
    },
    /// `Plug::write`; opens a sink.
    Write {
        /// Where.
        path: Path,
        /// What.
        content: Content,
        /// The key under which it may be taken up again.
        resume: u64,
    },
    /// `Sink::resumed`.
    Resumed,
    /// `Sink::write`.
    Push {
        /// At most [`super::CHUNK_BYTES_MAX`].
        bytes: Bulk,
    },
    /// `Sink::place`, the sink's end.
    Place {
        /// What it is.
        content: Content,
        /// State to replace.
        expect: Option<Tag>,
    },
    /// `Sink::discard`, the sink's end.
    Discard,
    /// `Plug::make_directory`.
    MakeDirectory {
        /// Where.
        path: Path,
        /// State to replace.
        expect: Option<Tag>,
    },
    /// `Plug::set_attributes`.
    SetAttributes {
        /// Where.
        path: Path,
        /// In this state.
        expect: Tag,
        /// What has them.
        content: Content,
    },
    /// `Plug::rename`.
    Rename {
        /// The old name.
        from: Path,
        /// Its state.
        expect_from: Tag,
        /// The new name.
        to: Path,
        /// State to replace there.
        expect_to: Option<Tag>,
    },
    /// `Plug::remove`.
    Remove {
        /// Where.
        path: Path,
        /// In this state.
        expect: Tag,
    },
    /// `Plug::trash`.
    Trash(TrashQuery),
    /// `Plug::hash_trashed`.
    HashTrashed {
        /// The thing's name in the trash.
        id: String,
    },
    /// `Plug::restore`.
    Restore {
        /// The thing's name in the trash.
        id: String,
        /// Where to.
        path: Path,
        /// State to replace.
        expect: Option<Tag>,
    },
    /// Ends the call `on` if it is under way, and closes what it opened; not answered.
    Drop,
}

/// What the driver sends: exactly one of the four, and after an answer or a fault no more of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Of the request.
    pub id: u64,
    /// It succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// It failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Part of a listing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Vec<Found>>,
    /// What a watch has heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints: Option<Hinted>,
}

/// How a call succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// There is nothing to tell.
    Done,
    /// The storage is open.
    Connected {
        /// `Plug::abilities`.
        abilities: Abilities,
        /// `Plug::listing_lag`, in milliseconds.
        #[serde(default)]
        listing_lag_ms: u64,
    },
    /// What is at the path.
    Looked(Option<State>),
    /// The source is open: `Source::content`.
    Reading(Content),
    /// The next bytes of a source.
    Chunk(Bulk),
    /// What a sink has from an earlier attempt.
    Resumed {
        /// How many bytes.
        bytes: u64,
        /// Of them.
        checksum: Checksum,
    },
    /// The new state.
    State(State),
    /// Part of the trash.
    Trash(TrashPage),
    /// Of a thing in the trash.
    Checksum(Checksum),
}

/// What a watch has heard since it told last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hinted {
    /// Paths with the strongest hint given.
    #[serde(default)]
    pub paths: Vec<(Path, Hint)>,
    /// Why everything must be scanned, if it must.
    #[serde(default)]
    pub rescan: Option<String>,
    /// What the user should know about the watch; empty: nothing any more.
    #[serde(default)]
    pub notice: Option<String>,
    /// Names with problems found by the watch, and their end.
    #[serde(default)]
    pub problems: Vec<(String, Option<Fault>)>,
}

impl From<Gathered> for Hinted {
    fn from(gathered: Gathered) -> Self {
        let Gathered { paths, rescan, notice, problems } = gathered;
        let notice = notice.map(Option::unwrap_or_default);
        Self { paths: paths.into_iter().collect(), rescan, notice, problems }
    }
}

impl Hinted {
    /// Gives all of it to `hints`, as the driver did.
    pub fn tell(self, hints: &Hints) {
        hints.tell_all(self.paths);
        if let Some(why) = self.rescan {
            hints.rescan(why);
        }
        if let Some(text) = self.notice {
            hints.notice(Some(text).filter(|text| !text.is_empty()));
        }
        for (name, fault) in self.problems {
            hints.problem(name, fault);
        }
    }
}

/// Bytes of a file, written as such and not as a list of numbers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bulk(pub Bytes);

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
