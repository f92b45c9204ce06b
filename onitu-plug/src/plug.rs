//! The trait a driver implements.
//!
//! A driver knows one storage and nothing of Onitu: it lists, reads, writes and watches. When to
//! do which, retries, transfers, checksums and everything said to other processes is the
//! runtime's work. Each line of a method's list of behaviours is a test of the conformance suite.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use onitu_core::manifest::{Abilities, Manifest};
use onitu_core::trash::{TrashPage, TrashQuery};
use onitu_core::{Checksum, Content, Fault, FaultKind, Hasher, Path, State, Tag};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::hints::Hints;

/// What the runtime tells a driver when it connects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The service's name in `entries.toml`.
    pub service: String,
    /// Whether Onitu remembers paths that this service holds. A storage that carries a marker of
    /// its own and has lost it is then not empty but [`onitu_core::FaultKind::Unavailable`].
    pub known: bool,
    /// How many days the trash is kept.
    pub trash_days: u32,
    /// Most bytes of the trash: beyond, the oldest things go first.
    #[serde(default)]
    pub trash_size_bytes: Option<u64>,
    /// A private directory of this machine for what the driver wants to find again after a
    /// restart; it exists. Losing it must lose nothing but time. None where there is none.
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
}

/// One thing found while listing a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A name that can be synchronized, and its state (no checksum needed).
    Entry {
        /// The last component of its path.
        name: String,
        /// As [`Plug::look`] would tell.
        state: State,
    },
    /// Something that is there but can't be synchronized, so it is neither taken nor absent.
    Problem {
        /// Its name, with bytes that are no UTF-8 written `\xNN`.
        name: String,
        /// Why, and what to do about it.
        fault: Fault,
    },
}

/// Takes what [`Plug::list`] finds, in pages; waits while the reader is behind.
pub type Listing = mpsc::Sender<Vec<Found>>;

/// A storage, as one driver process sees it. All methods may be called at the same time from many
/// tasks, except that no two of them change one path at once.
///
/// A storage may be unable to tell some names from each other: `a` and `A`, or composed and
/// decomposed letters. They are *twins*. Its driver denies the ability `exact_names` and makes up
/// for it, for every component of a path:
///
/// - It spells names as they were made, and tells them so in listings and hints.
/// - A path is what is spelled exactly so. Where only a twin stands, [`Plug::look`] finds nothing,
///   [`Plug::list`] is `NotFound`, [`Plug::read`] and [`Plug::set_attributes`] are `Changed`, and
///   [`Plug::remove`] succeeds and leaves the twin alone.
/// - What would need a name whose twin stands there is [`onitu_core::FaultKind::Taken`] and
///   changes nothing: at [`Plug::write`] where that is known by then, at the latest at
///   [`Sink::place`], [`Plug::make_directory`] and [`Plug::rename`].
/// - Renaming something to a twin of its own name spells it anew, or is `Taken` like any other if
///   the storage can't do that in one step.
///
/// The runtime then holds the path under another name that the driver need not know of.
pub trait Plug: Sized + Send + Sync + 'static {
    /// The driver's own options, as its manifest describes them.
    type Options: DeserializeOwned + Send;
    /// Reads one path in one state.
    type Source: Source;
    /// Writes one path.
    type Sink: Sink;

    /// Name, options and abilities; constant.
    fn manifest() -> Manifest;

    /// What this very storage can do: what the manifest says, or less where that depends on what
    /// was connected. Constant as long as it is connected.
    fn abilities(&self) -> Abilities {
        Self::manifest().abilities
    }

    /// For how long [`Plug::list`] may not show what has changed; a look at a path always does.
    /// After so long everything is listed a second time, and only then a scan is complete. None
    /// for a storage whose listings are consistent. Constant as long as it is connected.
    fn listing_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Opens the storage. Repeated with growing pauses while it fails.
    ///
    /// - A storage that doesn't exist, can't be reached or refuses is `Unavailable`, with a
    ///   sentence that says what to do; nothing is created in its place.
    /// - Leftovers of earlier incarnations (temporary files, unfinished uploads) are found and
    ///   ended or kept for resumption.
    fn connect(
        options: Self::Options,
        setting: Setting,
    ) -> impl Future<Output = Result<Self, Fault>> + Send;

    /// Whether the storage is still there and the one that was connected; asked before each scan
    /// and every few seconds.
    fn check(&self) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Tells `hints` of everything that may have changed, from now on and until dropped. Returns
    /// only when it can't go on.
    ///
    /// - A hint is never the truth: the runtime looks at the path afterwards.
    /// - Whatever might have been missed is told by [`Hints::rescan`], never passed over.
    /// - What appears in a new directory while its watch is being set is hinted at.
    /// - The driver's own temporary files are not hinted at.
    fn watch(&self, hints: Hints) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Returns when all changes that were made on the storage before the call have been hinted at
    /// (as far as the storage tells of changes at all).
    fn settle(&self) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Tells everything directly inside `directory` to `listing`, in pages of about 1,000.
    ///
    /// - A missing directory is `NotFound`, a path that is none `NotADirectory`.
    /// - A page that failed makes the whole call fail: a half listing never looks complete.
    /// - One impossible or unreadable name is a [`Found::Problem`] and doesn't end the listing.
    /// - The driver's own files (`.onitu`) are left out.
    /// - Memory stays bounded, whatever the number of entries.
    fn list(
        &self,
        directory: &Path,
        listing: Listing,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// What is at `path` now; [`None`] if certainly nothing.
    ///
    /// - A symbolic link is told as a link, never followed; so is one among its parents: then
    ///   nothing is at `path`.
    /// - The same state has the same tag each time; a state that differs in bytes, mtime or the
    ///   executable bit has another one.
    /// - Things that are neither file, directory nor link are `Unsupported`.
    fn look(&self, path: &Path) -> impl Future<Output = Result<Option<State>, Fault>> + Send;

    /// Opens `path` for reading from `offset`, if its tag is `tag`.
    ///
    /// - Another tag, or nothing there, is `Changed`.
    /// - A link reads as its target's text.
    fn read(
        &self,
        path: &Path,
        tag: Tag,
        offset: u64,
    ) -> impl Future<Output = Result<Self::Source, Fault>> + Send;

    /// Begins to write `content` for `path`, invisible until [`Sink::place`].
    ///
    /// - With the same `resume` key (and only then) what an earlier, interrupted call wrote
    ///   durably may be taken up again.
    /// - Missing parent directories are made when it is placed.
    /// - A name the storage can't hold is `InvalidName`, no space `Full`.
    fn write(
        &self,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> impl Future<Output = Result<Self::Sink, Fault>> + Send;

    /// Makes a directory where `expect` stands; its parents too.
    ///
    /// - Never asked of a storage that keeps no empty directories: the runtime makes up for it.
    /// - A directory that is there already is fine and its state is told.
    /// - Another state than `expect` is `Changed`, and left alone.
    fn make_directory(
        &self,
        path: &Path,
        expect: Option<Tag>,
    ) -> impl Future<Output = Result<State, Fault>> + Send;

    /// Sets mtime and the executable bit of the file whose tag is `expect`, and tells its new
    /// state. Only asked of a storage that keeps one of them.
    fn set_attributes(
        &self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> impl Future<Output = Result<State, Fault>> + Send;

    /// Renames `from` to `to` without moving the bytes and tells the new state.
    ///
    /// - `from` is in the state `expect_from` and `to` in `expect_to`, else `Changed` and both
    ///   are left as they are.
    /// - What was replaced goes to the trash.
    /// - Missing parents of `to` are made.
    fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> impl Future<Output = Result<State, Fault>> + Send;

    /// Removes `path` in the state `expect`; files and links to the trash.
    ///
    /// - Removing what is already gone succeeds.
    /// - Another state is `Changed`, and left alone.
    /// - A directory that still holds something is `NotEmpty`, and left alone.
    fn remove(&self, path: &Path, expect: Tag) -> impl Future<Output = Result<(), Fault>> + Send;

    /// One page of what the trash holds. Only asked, as the two methods below, where
    /// [`onitu_core::manifest::Abilities::trash`] says that there is one.
    ///
    /// - What was removed or replaced is told with the path it had, its size, when it went and why.
    /// - The newest is told first, and following the pages tells each thing once.
    /// - Only what stood at the path that is asked for, or below it, is told.
    /// - Only what went later than the time that is asked for is told.
    /// - Memory and time of one call stay bounded, whatever the trash holds: a page may be empty
    ///   and yet not be the last one.
    fn trash(&self, query: &TrashQuery) -> impl Future<Output = Result<TrashPage, Fault>> + Send {
        let _ = query;
        std::future::ready(Err(no_trash()))
    }

    /// The checksum of the thing called `id` in the trash.
    ///
    /// - What is no longer in the trash is `NotFound`.
    fn hash_trashed(&self, id: &str) -> impl Future<Output = Result<Checksum, Fault>> + Send {
        let _ = id;
        std::future::ready(Err(no_trash()))
    }

    /// Puts the thing called `id` from the trash at `path`, atomically and durably, where `expect`
    /// stands, and tells its state there.
    ///
    /// - It has its bytes, mtime and executable bit again, and is no longer in the trash.
    /// - Missing parents are made.
    /// - Another state than `expect` is `Changed`, and both are left where they are; so is a
    ///   directory, whatever was expected.
    /// - What `expect` names goes to the trash in exchange.
    /// - What is no longer in the trash is `NotFound`, and nothing is changed.
    fn restore(
        &self,
        id: &str,
        path: &Path,
        expect: Option<Tag>,
    ) -> impl Future<Output = Result<State, Fault>> + Send {
        let _ = (id, path, expect);
        std::future::ready(Err(no_trash()))
    }
}

fn no_trash() -> Fault {
    Fault::new(FaultKind::Unsupported, "this service keeps no trash")
}

/// Reads one path in one state.
pub trait Source: Send + Sync + 'static {
    /// What is read; its checksum only if the storage knows it.
    fn content(&self) -> Content;

    /// The next bytes, at most `max` of them; empty at the end.
    ///
    /// - As soon as the path no longer has the tag it was opened with: `Changed`. At the latest
    ///   the call that would answer the end tells it.
    fn next(&mut self, max: u32) -> impl Future<Output = Result<Bytes, Fault>> + Send;
}

/// Writes one path. Dropped before it was placed, it leaves nothing under a user's name.
pub trait Sink: Send + Sync + 'static {
    /// How many bytes are already there from an earlier attempt, and the hash of them. Asked once,
    /// before the first write.
    fn resumed(&mut self) -> impl Future<Output = Result<(u64, Hasher), Fault>> + Send;

    /// Takes the next bytes.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Makes what was written durable and puts it, with `content`'s mtime
    /// ([`Content::wanted_mtime_ns`]) and executable bit, atomically where `expect` stands; tells
    /// the new state. The runtime has verified length and checksum before.
    ///
    /// - Another state than `expect` is `Changed`: it stays, and what was written is discarded.
    /// - A state that differs only in the last instant is not lost: it becomes a conflict copy.
    /// - What was replaced goes to the trash.
    /// - An empty directory may be replaced; one that holds something is `NotEmpty`.
    /// - A parent that is a file is `NotADirectory`.
    fn place(
        self,
        content: Content,
        expect: Option<Tag>,
    ) -> impl Future<Output = Result<State, Fault>> + Send;

    /// Gives up for good: removes what was written.
    fn discard(self) -> impl Future<Output = ()> + Send;
}
