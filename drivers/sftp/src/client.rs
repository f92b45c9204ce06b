//! The folder on the server, and nothing outside of it.
//!
//! The protocol knows paths only, and the server follows links in them. So each look asks for the
//! real path of the directory as well, and what isn't there where it should be isn't there at all.

use std::sync::Arc;

use bytes::Bytes;
use onitu_plug::{Fault, FaultKind, Kind, Path, Setting, Tag};
use russh::Channel;
use russh::client::Msg;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::fault::{Failure, changed, fault, not_a_directory, unavailable};
use crate::flush::Flush;
use crate::fresh::Fresh;
use crate::gate::Gate;
use crate::lane::{Handle, Lane};
use crate::lock::Lock;
use crate::lost::Lost;
use crate::marker::Marker;
use crate::name;
use crate::options::Options;
use crate::reuse::Reuses;
use crate::ssh::{self, Connection};
use crate::state::{Standing, There};
use crate::trash::Trash;
use crate::watch::placed::Placed;
use crate::watch::seen::Seen;
use crate::wire::reply::Extensions;
use crate::wire::request::{Request, open};
use crate::wire::{Attrs, FileKind};

/// SFTP conversations on one connection. Servers allow ten; each is a process there.
const LANES: usize = 6;
/// Most bytes of small files that wait in memory to be written.
const BUFFER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most bytes of large files that are on their way in all lanes together, in each direction.
const FLIGHT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A path that changes each time it is looked at is looked at so often.
const LOOKS_MAX: usize = 5;

/// The root of one service, connected.
pub(crate) struct Remote {
    lanes: Vec<Arc<Lane>>,
    /// Ends when dropped.
    connection: Connection,
    lost: Arc<Lost>,
    /// Without links; no `/` at its end.
    root: Vec<u8>,
    shown: String,
    service: String,
    marker: Marker,
    lock: Lock,
    buffer: Arc<Semaphore>,
    /// Bytes on their way from the server.
    pub(crate) inbound: Arc<Semaphore>,
    /// Bytes on their way to the server.
    pub(crate) outbound: Arc<Semaphore>,
    pub(crate) clock: Clock,
    pub(crate) gate: Gate,
    pub(crate) flush: Flush,
    pub(crate) trash: Trash,
    pub(crate) fresh: Fresh,
    pub(crate) seen: Seen,
    pub(crate) placed: Placed,
    pub(crate) reuses: Reuses,
}

impl Remote {
    /// Connects, logs in and opens the folder.
    pub(crate) async fn open(options: &Options, setting: &Setting) -> Result<Self, Fault> {
        let lost = Arc::new(Lost::default());
        let connection = ssh::connect(options, Arc::clone(&lost)).await?;
        let first = open_lane(&connection, &lost).await.map_err(|failure| {
            unavailable(fault("speak SFTP with", options.server(), &failure).message)
        })?;
        let shown = format!("{} on {}", options.root, options.server());
        let root = open_root(&first, &options.root, &shown).await?;
        let place = crate::area::Place { lane: &first, root: &root, shown: &shown };
        let marker = Marker::claim(&place, &setting.service, setting.known).await?;
        let clock = place.prepare().await?;
        let lock = Lock::take(&place, setting, &clock).await?;
        let mut lanes = vec![first];
        let more = (1..LANES).map(|_| open_lane(&connection, &lost));
        lanes.extend(futures_util::future::join_all(more).await.into_iter().flatten());
        let trash = Trash::new(&root, setting);
        Ok(Self {
            lanes,
            connection,
            lost,
            root,
            shown,
            service: setting.service.clone(),
            marker,
            lock,
            buffer: Arc::new(Semaphore::new(BUFFER_BYTES_MAX)),
            inbound: Arc::new(Semaphore::new(FLIGHT_BYTES_MAX)),
            outbound: Arc::new(Semaphore::new(FLIGHT_BYTES_MAX)),
            clock,
            gate: Gate::default(),
            flush: Flush::default(),
            trash,
            fresh: Fresh::default(),
            seen: Seen::default(),
            placed: Placed::default(),
            reuses: Reuses::new(options.hash_command.as_deref()),
        })
    }

    /// A channel beside those for SFTP; the error is a sentence.
    pub(crate) async fn session(&self) -> Result<Channel<Msg>, String> {
        let refused = |error| format!("the server refuses one more channel: {error}");
        self.connection.channel_open_session().await.map_err(refused)
    }

    /// The lane with the most room, and its number.
    pub(crate) fn numbered_lane(&self) -> (usize, &Arc<Lane>) {
        let lanes = self.lanes.iter().enumerate();
        let emptiest = lanes.max_by_key(|(at, lane)| (lane.room(), std::cmp::Reverse(*at)));
        emptiest.unwrap_or_else(|| unreachable!("a connection has a lane"))
    }

    /// The lane of that number.
    pub(crate) fn lane_of(&self, number: usize) -> &Arc<Lane> {
        &self.lanes[number % self.lanes.len()]
    }

    /// The lane with the most room.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        self.numbered_lane().1
    }

    /// What the server can do beyond the protocol.
    pub(crate) fn extensions(&self) -> Extensions {
        self.lane().extensions()
    }

    /// Waits until the connection is lost.
    pub(crate) async fn lost(&self) -> Fault {
        fault("reach", &self.shown, &self.lost.wait().await)
    }

    /// The name of the service.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// Permits for bytes that wait in memory.
    pub(crate) fn buffer(&self) -> &Arc<Semaphore> {
        &self.buffer
    }

    /// The path as the server has it.
    pub(crate) fn full(&self, path: &Path) -> Vec<u8> {
        if path.is_root() { self.top() } else { below(&self.root, path.as_str()) }
    }

    /// The directory that holds `path`, as the server has it.
    pub(crate) fn full_parent(&self, path: &Path) -> Vec<u8> {
        let parent = path.parent_str();
        if parent.is_empty() { self.top() } else { below(&self.root, parent) }
    }

    /// A path among the driver's own files.
    pub(crate) fn own(&self, rest: &str) -> Vec<u8> {
        below(&self.root, &format!("{}/{rest}", name::OWN))
    }

    fn top(&self) -> Vec<u8> {
        if self.root.is_empty() { b"/".to_vec() } else { self.root.clone() }
    }

    /// Moves what stands at `from`, whatever that is by then, to a name that nothing has.
    pub(crate) fn take_out(&self, from: &[u8], to: &[u8]) -> Request {
        if self.extensions().posix_rename {
            Request::posix_rename(from, to)
        } else {
            Request::rename(from, to)
        }
    }

    /// Whether the folder is still there and carries its marker.
    pub(crate) async fn verify(&self) -> Result<(), Fault> {
        let place = self.place();
        let asked = self.lane().ask(Request::lstat(&place.marker())).await;
        let marker = match asked {
            Ok(crate::wire::reply::Reply::Attrs(attrs)) => Some(attrs),
            Ok(other) => match crate::lane::refused(other) {
                failure if failure.is_missing() => None,
                failure => return Err(fault("look at", &self.shown, &failure)),
            },
            Err(failure) => return Err(fault("look at", &self.shown, &failure)),
        };
        self.marker.verify(&place, marker).await
    }

    /// Whether all of this is still so: the folder is there, and nobody else's Onitu works in it.
    pub(crate) async fn check(&self) -> Result<(), Fault> {
        self.verify().await?;
        self.lock.renew(&self.place(), &self.clock).await
    }

    fn place(&self) -> crate::area::Place<'_> {
        crate::area::Place { lane: self.lane(), root: &self.root, shown: &self.shown }
    }

    /// What stands at `path` at this moment; it may still change within the second. "Nothing" is
    /// only told while the marker stands: a folder that was taken away is not empty.
    pub(crate) async fn peek(&self, path: &Path) -> Result<There, Fault> {
        let failed = |failure: &Failure| fault("look at", shown(path), failure);
        let (full, parent) = (self.full(path), self.full_parent(path));
        let place = self.place();
        for _ in 0..LOOKS_MAX {
            let lane = self.lane();
            let [real, stat, marker] = lane
                .send([
                    Request::realpath(&parent),
                    Request::lstat(&full),
                    Request::lstat(&place.marker()),
                ])
                .await
                .map_err(|failure| failed(&failure))?;
            let real = real.path().await;
            let stat = stat.attrs().await;
            let marker = marker.attrs().await.map_err(|failure| failed(&failure))?;
            let found = match (real, stat) {
                (Ok(real), Ok(Some(attrs))) if real[..] == parent[..] => Some(attrs),
                (Ok(_), Ok(_)) => None,
                (Err(failure), _) | (_, Err(failure))
                    if failure.is_missing() || failure.is_bad_name() =>
                {
                    None
                }
                (Err(failure), _) | (_, Err(failure)) => return Err(failed(&failure)),
            };
            let Some(attrs) = found else {
                self.marker.verify(&place, marker).await?;
                return Ok(There::Nothing);
            };
            if attrs.kind() != FileKind::Link {
                return Ok(There::of(&attrs, b""));
            }
            match self.link(&full).await {
                Ok(text) => return Ok(There::of(&attrs, &text)),
                // Replaced between the two questions.
                Err(failure) if failure.is_missing() || failure.is_bad_name() => {}
                Err(failure) => return Err(failed(&failure)),
            }
        }
        Err(changed(path))
    }

    /// A link's text.
    pub(crate) async fn link(&self, full: &[u8]) -> Result<Bytes, Failure> {
        let [text] = self.lane().send([Request::readlink(full)]).await?;
        text.path().await
    }

    /// What stands at `path`, such that any change from now on makes it look different: a file
    /// that was changed in the second that isn't over is looked at again when it is.
    pub(crate) async fn look(&self, path: &Path) -> Result<There, Fault> {
        if name::is_own(path) {
            return Ok(There::Nothing);
        }
        for _ in 0..LOOKS_MAX {
            let there = {
                let _nothing_moves = self.gate.look(path).await;
                self.peek(path).await?
            };
            let Some(standing) = there.standing().filter(|it| it.state.content.kind == Kind::File)
            else {
                return Ok(there);
            };
            let mtime_s = standing.attrs.mtime_s();
            if !self.clock.settle(mtime_s).await.map_err(|it| fault("look at", path, &it))? {
                return Ok(there);
            }
        }
        let text = format!("`{path}` is being written all the time: it is looked at again later");
        Err(Fault::new(FaultKind::Changed, text))
    }

    /// Whether `path` is still in the state `tag`.
    pub(crate) async fn still(&self, path: &Path, tag: Tag) -> Result<(), Fault> {
        if self.peek(path).await?.is(Some(tag)) { Ok(()) } else { Err(changed(path)) }
    }

    /// What an open file is.
    pub(crate) async fn opened(&self, handle: &Handle) -> Result<There, Failure> {
        let [attrs] = handle.lane().send([Request::fstat(handle.raw())]).await?;
        Ok(attrs.attrs().await?.map_or(There::Nothing, |attrs| There::of(&attrs, b"")))
    }

    /// What one of the driver's own paths holds; a link with its text.
    pub(crate) async fn at(&self, full: &[u8]) -> Result<There, Failure> {
        let [attrs] = self.lane().send([Request::lstat(full)]).await?;
        let Some(attrs) = attrs.attrs().await? else { return Ok(There::Nothing) };
        let text = match attrs.kind() {
            FileKind::Link => self.link(full).await?,
            _ => Bytes::new(),
        };
        Ok(There::of(&attrs, &text))
    }

    /// Makes the directories of `path` that are missing, if they may be; tells those in which one
    /// was made. What stands in the way is [`FaultKind::NotADirectory`].
    pub(crate) async fn make_parents(&self, path: &Path) -> Result<Vec<Path>, Fault> {
        let failed = |failure: &Failure| fault("make the directory of", path, failure);
        let mut above: Vec<Path> =
            std::iter::successors(path.parent(), Path::parent).filter(|it| !it.is_root()).collect();
        above.reverse();
        let lane = self.lane();
        let mut made = Vec::new();
        for directory in above {
            let full = self.full(&directory);
            // One after the other: below a link nothing may be made.
            let [stat] = lane.send([Request::lstat(&full)]).await.map_err(|it| failed(&it))?;
            match stat.attrs().await.map_err(|it| failed(&it))?.map(|attrs| attrs.kind()) {
                Some(FileKind::Directory) => continue,
                Some(_) => return Err(not_a_directory(path)),
                None => {}
            }
            let attrs = Attrs { permissions: Some(0o777), ..Attrs::default() };
            let vague = match lane.tell(Request::mkdir(&full, &attrs)).await {
                Ok(()) => {
                    made.extend(directory.parent());
                    continue;
                }
                // Made by somebody else in this instant, or something else was.
                Err(failure) if failure.is_vague() => failure,
                Err(failure) => return Err(failed(&failure)),
            };
            let [stat] = lane.send([Request::lstat(&full)]).await.map_err(|it| failed(&it))?;
            match stat.attrs().await.map_err(|it| failed(&it))?.map(|attrs| attrs.kind()) {
                Some(FileKind::Directory) => {}
                Some(_) => return Err(not_a_directory(path)),
                None => return Err(self.not_written(path, vague).await),
            }
        }
        Ok(made)
    }

    /// Sees to it that the directory of `path` is there, made only if nothing is expected at the
    /// path; and that it is no link. Answers what stands at the path.
    pub(crate) async fn enter(&self, path: &Path, expect: Option<Tag>) -> Result<There, Fault> {
        let (full, parent) = (self.full(path), self.full_parent(path));
        let lane = self.lane();
        let failed = |failure: &Failure| fault("write", path, failure);
        for attempt in 0..2 {
            let asked = [
                Request::realpath(&parent),
                Request::lstat(&parent),
                Request::lstat(&full),
                Request::lstat(&self.place().marker()),
            ];
            let [real, above, stat, marker] = lane.send(asked).await.map_err(|it| failed(&it))?;
            let (real, above) = (real.path().await, above.attrs().await);
            let (stat, marker) = (stat.attrs().await, marker.attrs().await);
            let kind = above.map_err(|it| failed(&it))?.map(|attrs| attrs.kind());
            match (real, kind) {
                (Ok(real), Some(FileKind::Directory)) if real[..] == parent[..] => {
                    let marker = marker.map_err(|it| failed(&it))?;
                    self.marker.verify(&self.place(), marker).await?;
                    return match stat.map_err(|it| failed(&it))? {
                        None => Ok(There::Nothing),
                        Some(attrs) if attrs.kind() != FileKind::Link => Ok(There::of(&attrs, b"")),
                        Some(_) => self.peek(path).await,
                    };
                }
                (Err(failure), _) if !failure.is_missing() => return Err(failed(&failure)),
                _ if attempt > 0 => return Err(changed(path)),
                _ => {}
            }
            // Nothing is made where the whole folder is gone.
            self.verify().await?;
            if expect.is_some() {
                return Err(changed(path));
            }
            for made in self.make_parents(path).await? {
                self.flush.directory(self, &made).await?;
            }
        }
        Err(changed(path))
    }

    /// The fault of bytes that could not be written: OpenSSH doesn't say whether the disk is full.
    pub(crate) async fn not_written(&self, path: &Path, failure: Failure) -> Fault {
        let full = |why: &str| Fault::new(FaultKind::Full, format!("can't write `{path}`: {why}"));
        if !failure.is_vague() {
            return fault("write", path, &failure);
        }
        match self.space().await {
            Some(space) if space.free_bytes < 1024 * 1024 => full("the server's disk is full"),
            Some(space) if space.files_left == Some(0) => {
                full("the server's disk has no room for more files")
            }
            _ => full(
                "the server failed to and doesn't say why, as with a quota that is used up or a \
                 file that is too large for its file system",
            ),
        }
    }

    async fn space(&self) -> Option<crate::wire::reply::Space> {
        if !self.extensions().statvfs {
            return None;
        }
        match self.lane().ask(Request::statvfs(&self.top())).await {
            Ok(crate::wire::reply::Reply::Extended(bytes)) => {
                crate::wire::reply::decode_space(bytes)
            }
            _ => None,
        }
    }

    /// Opens a directory, able to be flushed where the server takes it for a file.
    pub(crate) fn open_directory(full: &[u8]) -> Request {
        Request::open(full, open::READ, &Attrs::default())
    }

    /// What is replaced keeps its owner and permissions where that is possible.
    pub(crate) fn kept(there: &There) -> Option<&Standing> {
        there.standing().filter(|it| it.state.content.kind == Kind::File)
    }
}

fn below(root: &[u8], path: &str) -> Vec<u8> {
    [root, b"/", path.as_bytes()].concat()
}

fn shown(path: &Path) -> &str {
    if path.is_root() { "the root" } else { path.as_str() }
}

async fn open_lane(connection: &Connection, lost: &Arc<Lost>) -> Result<Arc<Lane>, Failure> {
    let refused = |error: russh::Error| Failure::Lost(format!("it refuses a channel: {error}"));
    let channel = connection.channel_open_session().await.map_err(refused)?;
    channel.request_subsystem(true, "sftp").await.map_err(refused)?;
    Lane::begin(channel, Arc::clone(lost)).await.map(Arc::new)
}

/// The folder's path without links, as the server tells it.
async fn open_root(lane: &Lane, root: &str, shown: &str) -> Result<Vec<u8>, Fault> {
    let failed = |failure: &Failure| {
        let hint = if failure.is_missing() { ": create it, or mount its disk" } else { "" };
        unavailable(format!("{}{hint}", fault("open the folder", shown, failure)))
    };
    // Paths are relative to the user's home anyway.
    let root = root.strip_prefix("~/").unwrap_or(if root == "~" { "." } else { root });
    let [real] = lane.send([Request::realpath(root.as_bytes())]).await.map_err(|it| failed(&it))?;
    let real = real.path().await.map_err(|it| failed(&it))?;
    let [stat] = lane.send([Request::lstat(&real)]).await.map_err(|it| failed(&it))?;
    match stat.attrs().await.map_err(|it| failed(&it))?.map(|attrs| attrs.kind()) {
        Some(FileKind::Directory) => {
            let end = real.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
            Ok(real[..end].to_vec())
        }
        Some(_) => Err(unavailable(format!("`{shown}` is no folder: `root` must name one"))),
        None => Err(unavailable(format!(
            "the folder `{shown}` doesn't exist: create it, or mount its disk; it is not made on \
             its own, since an empty folder would look as if everything had been deleted"
        ))),
    }
}
