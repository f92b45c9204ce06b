//! Writing one path: a small content is sent when it is placed, a larger one block by block in an
//! upload session, one block ahead of the next.

use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Hasher, Kind, Path, Sink, State, Tag};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::change;
use crate::commit::Place;
use crate::fault::{Refusal, changed, taken};
use crate::folder::Folder;
use crate::hash::{self, BLOCK_BYTES, ContentHash};
use crate::name;
use crate::resume::{Memory, Progress};
use crate::state::Thing;

/// How often a block is sent whose answer was lost.
const SENDS_MAX: u32 = 3;
/// A file of so many bytes isn't begun without asking for the room.
const ASK_ROOM_BYTES: u64 = 32 * 1024 * 1024;

/// Writes one path.
pub struct DropboxSink {
    folder: Arc<Folder>,
    memory: Memory,
    path: Path,
    /// Less than a block that isn't sent yet.
    rest: Vec<u8>,
    /// What is on its way, or there.
    sent: Sent,
}

enum Sent {
    Nothing,
    There(Progress),
    Sending(JoinHandle<Result<Progress, Refusal>>),
    /// An earlier block failed with this.
    Failed(Fault),
}

impl DropboxSink {
    /// Begins to write; see [`onitu_plug::Plug::write`].
    pub(crate) async fn begin(
        folder: Arc<Folder>,
        memory: Memory,
        (path, content): (Path, Content),
    ) -> Result<Self, Fault> {
        name::check(&path)?;
        if content.kind != Kind::File {
            let text = format!("`{path}` can't be kept: Dropbox keeps no symbolic links");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        if content.size >= ASK_ROOM_BYTES {
            check_room(&folder, &path, content.size).await?;
        }
        Ok(Self { folder, memory, path, rest: Vec::new(), sent: Sent::Nothing })
    }

    /// Waits for the block on its way; what is there then.
    async fn arrived(&mut self) -> Result<Option<Progress>, Fault> {
        match std::mem::replace(&mut self.sent, Sent::Nothing) {
            Sent::Nothing => Ok(None),
            Sent::There(progress) => Ok(Some(progress)),
            Sent::Failed(fault) => {
                self.sent = Sent::Failed(fault.clone());
                Err(fault)
            }
            Sent::Sending(sending) => {
                let lost = |_| Refusal::Lost("the upload ended without an answer".to_owned());
                let sent = sending.await.map_err(lost).and_then(|sent| sent);
                sent.map(Some).map_err(|refusal| {
                    let fault = refusal.fault("write", &self.path);
                    self.sent = Sent::Failed(fault.clone());
                    fault
                })
            }
        }
    }

    /// Sends a block while the next one gathers; the last one ends the session.
    async fn send(&mut self, block: Bytes, is_last: bool) -> Result<(), Fault> {
        let before = self.arrived().await?;
        let (folder, memory) = (Arc::clone(&self.folder), self.memory.clone());
        self.sent = Sent::Sending(tokio::spawn(async move {
            let sent = send(&folder, before, block, is_last).await;
            match &sent {
                Ok(progress) => memory.save(progress).await,
                Err(refusal) if refusal.has("not_found") || refusal.has("incorrect_offset") => {
                    memory.forget().await;
                }
                Err(_) => {}
            }
            sent
        }));
        Ok(())
    }

    /// Everything is sent and waits to be committed; the hash that it must have.
    async fn finish(&mut self, place: &Place) -> Result<(Value, String), Fault> {
        let rest = Bytes::from(std::mem::take(&mut self.rest));
        let Some(progress) = self.arrived().await? else {
            let hash = hash::of(&rest);
            return match self.folder.committer.whole(place, rest).await {
                Ok(metadata) => Ok((metadata, hash)),
                Err(refusal) => Err(self.refused(place, refusal).await),
            };
        };
        let progress = if progress.is_closed {
            progress
        } else {
            self.sent = Sent::There(progress);
            self.send(rest, true).await?;
            self.arrived().await?.ok_or_else(|| changed(&self.path))?
        };
        match self.folder.committer.session(place, &progress.session, progress.sent).await {
            Ok(metadata) => Ok((metadata, progress.hash.finish())),
            Err(refusal) => Err(self.refused(place, refusal).await),
        }
    }

    async fn refused(&self, place: &Place, refusal: Refusal) -> Fault {
        if place.rev.is_some() && refusal.has("conflict") {
            return changed(&self.path);
        }
        if refusal.has("lookup_failed") {
            let text = format!("Dropbox has forgotten what it was sent of `{}`", self.path);
            return Fault::new(FaultKind::Cancelled, text);
        }
        self.folder.in_the_way(&self.path, refusal).await
    }

    async fn put(&mut self, content: &Content, expect: Option<Tag>) -> Result<State, Fault> {
        let replaced = match expect {
            Some(_) => self.folder.target(&self.path, expect).await?,
            None => self.folder.reach(&self.path).await.map(|()| None)?,
        };
        let rev = match replaced {
            Some(thing) if thing.is_folder() => {
                change::remove_folder(&self.folder, &self.path).await?;
                None
            }
            replaced => replaced.map(|thing| thing.rev),
        };
        let place = Place { at: self.folder.at(&self.path), rev, mtime_ns: content.mtime_ns };
        let (metadata, hash) = self.finish(&place).await?;
        let thing = Thing::read(&metadata).ok_or_else(|| changed(&self.path))?;
        if thing.hash != hash {
            let text = format!("Dropbox has other bytes of `{}` than were sent", self.path);
            return Err(Fault::new(FaultKind::Corrupt, text));
        }
        if !self.folder.is_at(&thing, &self.path).await? {
            // It went into a twin of its folder that was made in this instant.
            change::take_back(&self.folder, &self.path, &thing).await?;
            return Err(taken(&self.path));
        }
        self.folder.echo.made(&thing.rev);
        Ok(thing.state)
    }
}

/// Whether a fault may pass, so that what was sent is worth keeping.
fn may_pass(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Unavailable | FaultKind::RateLimited | FaultKind::Full)
}

impl Sink for DropboxSink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        let Some(progress) = self.memory.load().await else { return Ok((0, Hasher::default())) };
        if !is_kept(&self.folder, &progress).await.map_err(|it| it.fault("write", &self.path))? {
            self.memory.forget().await;
            return Ok((0, Hasher::default()));
        }
        let told = (progress.sent, progress.checksum.clone());
        self.sent = Sent::There(progress);
        Ok(told)
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let mut bytes = &bytes[..];
        while self.rest.len() + bytes.len() > BLOCK_BYTES {
            let (now, later) = bytes.split_at(BLOCK_BYTES - self.rest.len());
            self.rest.extend_from_slice(now);
            bytes = later;
            let block = std::mem::take(&mut self.rest);
            self.send(block.into(), false).await?;
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    async fn place(mut self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let placed = self.put(&content, expect).await;
        if placed.as_ref().err().is_none_or(|fault| !may_pass(fault)) {
            self.discard().await;
        }
        placed
    }

    async fn discard(mut self) {
        if let Sent::Sending(sending) = std::mem::replace(&mut self.sent, Sent::Nothing) {
            sending.abort();
            // It must not remember anything after this.
            let _ = sending.await;
        }
        self.memory.forget().await;
    }
}

async fn check_room(folder: &Folder, path: &Path, size: u64) -> Result<(), Fault> {
    let told = folder.client.ask("users/get_space_usage", &Value::Null).await;
    let told = told.map_err(|refusal| refusal.fault("write", path))?;
    let allocation = &told["allocation"];
    let number = |value: &Value| value.as_u64();
    // A team's members share its room.
    let used = number(&allocation["used"]).or_else(|| number(&told["used"])).unwrap_or(0);
    let room = number(&allocation["allocated"]).map(|all| all.saturating_sub(used));
    if room.is_some_and(|room| room < size) {
        let text = format!("the Dropbox has no room for the {size} bytes of `{path}`");
        return Err(Fault::new(FaultKind::Full, text));
    }
    Ok(())
}

/// Sends the next bytes of a session, or begins one with them.
async fn send(
    folder: &Folder,
    before: Option<Progress>,
    block: Bytes,
    is_last: bool,
) -> Result<Progress, Refusal> {
    let mut next = before.clone().unwrap_or_else(|| Progress {
        session: String::new(),
        sent: 0,
        is_closed: false,
        hash: ContentHash::default(),
        checksum: Hasher::default(),
    });
    next.hash.block(&block);
    next.checksum.update(&block);
    next.sent += block.len() as u64;
    next.is_closed = is_last;
    let hash = hash::of(&block);
    let Some(before) = before else {
        let arg = json!({ "close": is_last, "content_hash": hash });
        let told = folder.client.upload("files/upload_session/start", &arg, block).await?;
        told["session_id"].as_str().unwrap_or_default().clone_into(&mut next.session);
        return Ok(next);
    };
    let cursor = json!({ "session_id": before.session, "offset": before.sent });
    let arg = json!({ "cursor": cursor, "close": is_last, "content_hash": hash });
    for attempt in 1.. {
        let route = "files/upload_session/append_v2";
        match folder.client.upload(route, &arg, block.clone()).await {
            Err(Refusal::Lost(_)) if attempt < SENDS_MAX => {}
            Err(refusal) if attempt > 1 && arrived_before(&refusal, &next) => break,
            Err(refusal) => return Err(refusal),
            Ok(_) => break,
        }
    }
    Ok(next)
}

/// Whether the block whose answer was lost is there.
fn arrived_before(refusal: &Refusal, next: &Progress) -> bool {
    match refusal {
        Refusal::Route(error, _) if refusal.has("incorrect_offset") => {
            error["correct_offset"].as_u64() == Some(next.sent)
        }
        _ => next.is_closed && refusal.has("closed"),
    }
}

/// Whether Dropbox still has what was sent, and nothing more.
async fn is_kept(folder: &Folder, progress: &Progress) -> Result<bool, Refusal> {
    let cursor = json!({ "session_id": progress.session, "offset": progress.sent });
    let arg = json!({ "cursor": cursor });
    let route = "files/upload_session/append_v2";
    match folder.client.upload(route, &arg, Bytes::new()).await {
        Ok(_) => Ok(!progress.is_closed),
        Err(refusal) if refusal.has("closed") => Ok(progress.is_closed),
        Err(Refusal::Route(..)) => Ok(false),
        Err(refusal) => Err(refusal),
    }
}
