//! A large content on its way: a concurrent upload session, several blocks under way at once.
//!
//! Blocks arrive in any order. What is remembered is how far everything before has arrived, so a
//! crash costs at most the blocks that were under way; sending one of those again changes nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use onitu_plug::{Bytes, Fault, Hasher, Path};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::fault::Refusal;
use crate::folder::Folder;
use crate::hash::ContentHash;
use crate::resume::{Memory, Progress};

/// Most blocks of one content under way. How many of all contents is for the folder to say.
const BLOCKS_AT_ONCE: usize = 4;
const APPEND: &str = "files/upload_session/append_v2";

/// One upload. Dropped, what is under way is given up.
pub(crate) struct Session {
    folder: Arc<Folder>,
    path: Path,
    /// All that was handed over.
    reached: Progress,
    sending: JoinSet<Result<(), Refusal>>,
    arrived: Arc<Arrived>,
    failed: Option<Fault>,
}

/// What has arrived, and is remembered.
struct Arrived {
    memory: Memory,
    /// For each block that was handed over: how far the upload is with it, and whether it is there.
    /// The first one isn't.
    blocks: Mutex<VecDeque<(Progress, bool)>>,
}

impl Arrived {
    /// The block that ends at `end` is there.
    async fn note(&self, end: u64) {
        let mut blocks = self.blocks.lock().await;
        if let Some(block) = blocks.iter_mut().find(|(progress, _)| progress.sent == end) {
            block.1 = true;
        }
        let mut reached = None;
        while blocks.front().is_some_and(|(_, is_there)| *is_there) {
            reached = blocks.pop_front();
        }
        if let Some((progress, _)) = reached {
            // The next one waits for this: what is remembered never goes back.
            self.memory.save(&progress).await;
        }
    }
}

impl Session {
    /// Begins one.
    pub(crate) async fn begin(
        folder: Arc<Folder>,
        memory: Memory,
        path: Path,
    ) -> Result<Self, Fault> {
        let arg = json!({ "session_type": "concurrent" });
        let route = "files/upload_session/start";
        let told = folder.client.upload_again(route, &arg, Bytes::new()).await;
        let told = told.map_err(|refusal| refusal.fault("write", &path))?;
        let reached = Progress {
            session: told["session_id"].as_str().unwrap_or_default().to_owned(),
            sent: 0,
            is_closed: false,
            hash: ContentHash::default(),
            checksum: Hasher::default(),
        };
        Ok(Self::resume(folder, memory, path, reached))
    }

    /// Goes on where an earlier one was.
    pub(crate) fn resume(
        folder: Arc<Folder>,
        memory: Memory,
        path: Path,
        reached: Progress,
    ) -> Self {
        let arrived = Arc::new(Arrived { memory, blocks: Mutex::default() });
        Self { folder, path, reached, sending: JoinSet::new(), arrived, failed: None }
    }

    /// Sends the next block, which is a whole one.
    pub(crate) async fn send(&mut self, block: Bytes) -> Result<(), Fault> {
        while self.sending.len() >= BLOCKS_AT_ONCE {
            self.one_arrived().await?;
        }
        self.append(block, false).await
    }

    /// Sends what is left, when all the rest has arrived, and closes the session; how far it is.
    pub(crate) async fn close(&mut self, rest: Bytes) -> Result<Progress, Fault> {
        while !self.sending.is_empty() {
            self.one_arrived().await?;
        }
        if !self.reached.is_closed {
            self.append(rest, true).await?;
            self.one_arrived().await?;
        }
        Ok(self.reached.clone())
    }

    /// Gives up what is under way: nothing is remembered after this.
    pub(crate) async fn stop(&mut self) {
        self.sending.shutdown().await;
    }

    async fn one_arrived(&mut self) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let Some(told) = self.sending.join_next().await else { return Ok(()) };
        let lost = |_| Refusal::Lost("the upload ended without an answer".to_owned());
        let Err(refusal) = told.map_err(lost).and_then(|told| told) else { return Ok(()) };
        self.sending.shutdown().await;
        if matches!(refusal, Refusal::Route(..)) {
            // Whatever it is that Dropbox has of it, it can't be gone on with.
            self.arrived.memory.forget().await;
        }
        let fault = refusal.fault("write", &self.path);
        self.failed = Some(fault.clone());
        Err(fault)
    }

    async fn append(&mut self, block: Bytes, is_last: bool) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let offset = self.reached.sent;
        let turn = Arc::clone(&self.folder.blocks).acquire_owned().await;
        let hash = self.reached.hash.take(&block);
        self.reached.checksum.update(&block);
        self.reached.sent += block.len() as u64;
        self.reached.is_closed = is_last;
        let end = self.reached.sent;
        self.arrived.blocks.lock().await.push_back((self.reached.clone(), false));
        let (folder, arrived) = (Arc::clone(&self.folder), Arc::clone(&self.arrived));
        let cursor = json!({ "session_id": self.reached.session, "offset": offset });
        let arg = json!({ "cursor": cursor, "close": is_last, "content_hash": hash });
        self.sending.spawn(async move {
            let _turn = turn;
            match folder.client.upload_again(APPEND, &arg, block).await {
                // Its answer was lost the first time.
                Err(refusal) if is_last && refusal.has("closed") => {}
                told => drop(told?),
            }
            arrived.note(end).await;
            Ok(())
        });
        Ok(())
    }
}
