//! Writing one path: a small content is sent when it is placed, a larger one block by block in an
//! upload session.

use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Hasher, Kind, Path, Sink, State, Tag, Why};
use serde_json::Value;

use crate::change;
use crate::commit::Place;
use crate::fault::{Refusal, changed, taken};
use crate::folder::Folder;
use crate::hash::{self, BLOCK_BYTES};
use crate::name;
use crate::resume::Memory;
use crate::session::Session;
use crate::state::Thing;

/// A file of so many bytes isn't begun without asking for the room.
const ASK_ROOM_BYTES: u64 = 32 * 1024 * 1024;

/// Writes one path.
pub struct DropboxSink {
    folder: Arc<Folder>,
    memory: Memory,
    path: Path,
    /// Less than a block that isn't sent yet.
    rest: Vec<u8>,
    /// What is on its way, of a content of more than a block.
    session: Option<Session>,
    /// Why what it replaces goes to the trash, if that is to be noted.
    why: Option<Why>,
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
        Ok(Self { folder, memory, path, rest: Vec::new(), session: None, why: Some(Why::Replaced) })
    }

    /// What it replaces is noted so in the trash, or not at all.
    pub(crate) fn replacing_as(self, why: Option<Why>) -> Self {
        Self { why, ..self }
    }

    async fn send(&mut self, block: Bytes) -> Result<(), Fault> {
        if self.session.is_none() {
            let (folder, memory) = (Arc::clone(&self.folder), self.memory.clone());
            self.session = Some(Session::begin(folder, memory, self.path.clone()).await?);
        }
        match &mut self.session {
            Some(session) => session.send(block).await,
            None => Ok(()),
        }
    }

    /// Everything is sent and waits to be committed; the hash that it must have.
    async fn finish(&mut self, place: &Place) -> Result<(Value, String), Fault> {
        let rest = Bytes::from(std::mem::take(&mut self.rest));
        let committer = &self.folder.committer;
        let (placed, hash) = match &mut self.session {
            None => {
                let hash = hash::of(&rest);
                (committer.whole(place, rest).await, hash)
            }
            Some(session) => {
                let progress = session.close(rest).await?;
                let placed = committer.session(place, &progress.session, progress.sent).await;
                (placed, progress.hash.finish())
            }
        };
        match placed {
            Ok(metadata) => Ok((metadata, hash)),
            Err(refusal) => Err(self.refused(place, refusal).await),
        }
    }

    async fn refused(&self, place: &Place, refusal: Refusal) -> Fault {
        if place.rev.is_some() && refusal.has("conflict") {
            return changed(&self.path);
        }
        if refusal.has("lookup_failed") || refusal.has("concurrent_session_missing_data") {
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
        let mut gone = None;
        let rev = match replaced {
            Some(thing) if thing.is_folder() => {
                change::remove_folder(&self.folder, &self.path).await?;
                None
            }
            replaced => {
                let rev = replaced.as_ref().map(|thing| thing.rev.clone());
                gone = replaced;
                rev
            }
        };
        let place = Place { at: self.folder.at(&self.path), rev, mtime_ns: content.mtime_ns };
        let (metadata, hash) = self.finish(&place).await?;
        if let (Some(gone), Some(why)) = (gone, self.why) {
            self.folder.trashed(&self.path, &gone, why).await;
        }
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
        let told = (progress.sent, progress.checksum.clone());
        let (folder, memory) = (Arc::clone(&self.folder), self.memory.clone());
        self.session = Some(Session::resume(folder, memory, self.path.clone(), progress));
        Ok(told)
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let mut bytes = &bytes[..];
        while self.rest.len() + bytes.len() > BLOCK_BYTES {
            let (now, later) = bytes.split_at(BLOCK_BYTES - self.rest.len());
            self.rest.extend_from_slice(now);
            bytes = later;
            let block = std::mem::take(&mut self.rest);
            self.send(block.into()).await?;
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
        if let Some(session) = &mut self.session {
            session.stop().await;
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
        let text = format!(
            "the Dropbox has no room for the {size} bytes of `{path}`: make room in it, or buy some"
        );
        return Err(Fault::new(FaultKind::Full, text));
    }
    Ok(())
}
