//! `.onitu` in the root: where the driver keeps its temporary files, and what it does there before
//! anything else.

use std::sync::Arc;

use bytes::Bytes;
use onitu_plug::Fault;

use crate::clock::Clock;
use crate::fault::{Failure, fault, unavailable};
use crate::lane::{Handle, Lane, refused};
use crate::name::OWN;
use crate::wire::reply::{Entry, Reply};
use crate::wire::request::{RawHandle, Request, open};
use crate::wire::{Attrs, FileKind, code};

/// A temporary file that nobody resumed for so long is removed at the next start.
const LEFTOVER_S: u32 = 24 * 60 * 60;
/// Listed at once, of what an earlier incarnation left.
const LEFTOVERS_MAX: usize = 10_000;

/// A folder on the server, while it is being opened or looked after.
pub(crate) struct Place<'a> {
    pub(crate) lane: &'a Arc<Lane>,
    pub(crate) root: &'a [u8],
    /// For messages.
    pub(crate) shown: &'a str,
}

/// A name that no other temporary file has.
pub(crate) fn new_name() -> String {
    format!("tmp/new-{:016x}", fastrand::u64(..))
}

impl Place<'_> {
    /// A path among the driver's own files.
    pub(crate) fn own(&self, rest: &str) -> Vec<u8> {
        [self.root, b"/", OWN.as_bytes(), b"/", rest.as_bytes()].concat()
    }

    /// The marker's path.
    pub(crate) fn marker(&self) -> Vec<u8> {
        self.own("service")
    }

    /// What went wrong with the folder as a whole.
    pub(crate) fn failed(&self, verb: &str, rest: &str, failure: &Failure) -> Fault {
        let on = format!("{OWN}/{rest} in {}", self.shown);
        unavailable(fault(verb, on, failure).message)
    }

    /// Makes a directory of the driver's own that isn't there; what stands in its place is an
    /// error of whatever is done in it.
    pub(crate) async fn make(&self, full: &[u8]) -> Result<(), Failure> {
        let attrs = Attrs { permissions: Some(0o700), ..Attrs::default() };
        match self.lane.tell(Request::mkdir(full, &attrs)).await {
            Err(failure) if !failure.is_vague() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Makes what the driver needs, looks at what the server can't do, removes what an earlier
    /// incarnation left, and reads the clock.
    pub(crate) async fn prepare(&self) -> Result<Clock, Fault> {
        for directory in ["tmp", "trash"] {
            let made = self.make(&self.own(directory)).await;
            made.map_err(|failure| self.failed("make", directory, &failure))?;
        }
        let flags = open::WRITE | open::CREATE;
        let name = "tmp/clock";
        let clock = async {
            let file = Request::open(&self.own(name), flags, &Attrs::default());
            Clock::new(self.lane.open(file).await?).await
        };
        let clock = clock.await.map_err(|failure| self.failed("write", name, &failure))?;
        self.refuse_folding().await?;
        let now_s = clock.reached().await;
        self.clear_leftovers(now_s)
            .await
            .map_err(|failure| self.failed("clear", "tmp", &failure))?;
        Ok(clock)
    }

    /// Onitu tells `a` from `A`; a file system that doesn't would have one overwrite the other.
    async fn refuse_folding(&self) -> Result<(), Fault> {
        let name = format!("tmp/Fold-{:08x}-\u{e9}", fastrand::u32(..));
        let others = [name.replace("Fold", "fold"), name.replace('\u{e9}', "e\u{301}")];
        let tried = async {
            let flags = open::WRITE | open::CREATE | open::EXCLUSIVE;
            let file = self.lane.open(Request::open(&self.own(&name), flags, &Attrs::default()));
            drop(file.await?);
            let mut folds = false;
            for other in others {
                let [stat] = self.lane.send([Request::lstat(&self.own(&other))]).await?;
                // A name that the file system can't have stands for no other.
                folds |= stat.attrs().await.is_ok_and(|attrs| attrs.is_some());
            }
            self.lane.tell(Request::remove(&self.own(&name))).await?;
            Ok(folds)
        };
        match tried.await {
            Ok(false) => Ok(()),
            Ok(true) => Err(unavailable(format!(
                "the file system of `{}` can't tell all names from each other (`a` from `A`, or \
                 letters composed in two ways), which this driver doesn't make up for: use a \
                 folder on another file system",
                self.shown
            ))),
            Err(failure) => Err(self.failed("write", &name, &failure)),
        }
    }

    /// Removes temporary files that nobody has written to for a day.
    async fn clear_leftovers(&self, now_s: u32) -> Result<(), Failure> {
        let mut listing = Entries::open(self.lane, &self.own("tmp")).await?;
        let mut old = Vec::new();
        while let Some(entries) = listing.next().await? {
            old.extend(entries.into_iter().filter(|entry| {
                let times = entry.attrs.times.unwrap_or_default();
                let is_ours = entry.name.starts_with(b"new-")
                    || entry.name.starts_with(b"resume-")
                    || entry.name.starts_with(b"Fold-");
                is_ours && times.0.max(times.1).saturating_add(LEFTOVER_S) < now_s
            }));
            if old.len() > LEFTOVERS_MAX {
                break;
            }
        }
        for entry in old {
            let path = [&self.own("tmp")[..], b"/", &entry.name].concat();
            match entry.attrs.kind() {
                FileKind::Directory => self.lane.send_unasked(Request::rmdir(&path)),
                _ => self.lane.send_unasked(Request::remove(&path)),
            }
        }
        Ok(())
    }

    /// A small file of the driver's own; [`None`] if there is none.
    pub(crate) async fn read(&self, rest: &str, max: u32) -> Result<Option<Bytes>, Failure> {
        let request = Request::open(&self.own(rest), open::READ, &Attrs::default());
        let file = match self.lane.open(request).await {
            Err(failure) if failure.is_missing() => return Ok(None),
            file => file?,
        };
        let [data] = self.lane.send([Request::read(file.raw(), 0, max)]).await?;
        Ok(Some(data.data().await?.unwrap_or_default()))
    }
}

/// The entries of a directory, some at a time.
pub(crate) struct Entries {
    directory: Handle,
    /// Asked for already: servers tell a hundred at a time.
    asked: std::collections::VecDeque<crate::lane::Answer>,
    ended: bool,
}

/// Questions for entries that are on their way at once.
const AHEAD: usize = 3;

impl Entries {
    /// Opens a directory.
    pub(crate) async fn open(lane: &Arc<Lane>, full: &[u8]) -> Result<Self, Failure> {
        let directory = lane.open(Request::opendir(full)).await?;
        Ok(Self { directory, asked: std::collections::VecDeque::new(), ended: false })
    }

    /// The next entries, without `.` and `..`; [`None`] at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Entry>>, Failure> {
        // The first question alone: most directories end with it.
        let ahead = if self.asked.is_empty() && !self.ended { 2 } else { AHEAD };
        while !self.ended && self.asked.len() < ahead {
            let raw: &RawHandle = self.directory.raw();
            let [answer] = self.directory.lane().send([Request::readdir(raw)]).await?;
            self.asked.push_back(answer);
        }
        let Some(answer) = self.asked.pop_front() else { return Ok(None) };
        match answer.wait().await? {
            Reply::Names(names) => {
                let is_entry = |entry: &Entry| &entry.name[..] != b"." && &entry.name[..] != b"..";
                Ok(Some(names.into_iter().filter(is_entry).collect()))
            }
            Reply::Status(code::EOF, _) => {
                self.ended = true;
                self.asked.clear();
                Ok(None)
            }
            other => Err(refused(other)),
        }
    }
}
