//! Makes changes of names durable, where the server lets a directory be flushed.
//!
//! Flushes of one directory that are asked for while one is under way are done as one: what was
//! changed before a flush begins is covered by it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use onitu_plug::{Fault, Path};
use tokio::sync::Mutex as Turn;

use crate::client::Remote;
use crate::fault::{Failure, fault};
use crate::lane::Handle;
use crate::wire::code;
use crate::wire::request::Request;

/// What is known of the flushes of one directory.
#[derive(Default)]
struct Line {
    /// How many were asked for; whoever holds the turn flushes for all of them.
    asked: u64,
    /// Of those, how many are done.
    done: u64,
    /// Who is waiting or at work.
    users: usize,
    turn: Arc<Turn<()>>,
}

/// The flushes of directories.
#[derive(Default)]
pub(crate) struct Flush {
    lines: Mutex<BTreeMap<Vec<u8>, Line>>,
    /// Whether the server was seen to refuse.
    is_refused: AtomicBool,
}

impl Flush {
    /// Returns when all that was changed in the directory before is durable.
    pub(crate) async fn directory(&self, remote: &Remote, path: &Path) -> Result<(), Fault> {
        self.own_directory(remote, remote.full(path)).await
    }

    /// The same for a directory by the server's path.
    pub(crate) async fn own_directory(&self, remote: &Remote, full: Vec<u8>) -> Result<(), Fault> {
        if !remote.extensions().fsync || self.is_refused.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (ticket, turn) = self.with(&full, |line| {
            line.asked += 1;
            line.users += 1;
            (line.asked, Arc::clone(&line.turn))
        });
        let _leaves = Leaves { flush: self, full: &full };
        let _turn = turn.lock().await;
        let (asked, done) = self.with(&full, |line| (line.asked, line.done));
        if done >= ticket {
            return Ok(());
        }
        self.flush(remote, &full).await.map_err(|failure| {
            fault("make a change durable in", String::from_utf8_lossy(&full), &failure)
        })?;
        self.with(&full, |line| line.done = line.done.max(asked));
        Ok(())
    }

    async fn flush(&self, remote: &Remote, full: &[u8]) -> Result<(), Failure> {
        let lane = remote.lane();
        let opened: Result<Handle, Failure> = lane.open(Remote::open_directory(full)).await;
        let flushed = match opened {
            // Gone with all that was in it: nothing is left to be lost.
            Err(failure) if failure.is_missing() => return Ok(()),
            Err(failure) => Err(failure),
            Ok(directory) => lane.tell(Request::fsync(directory.raw())).await,
        };
        match flushed {
            Err(failure @ Failure::Lost(_)) => Err(failure),
            // Denied is a directory in which the user may write and not read.
            Ok(()) | Err(Failure::Refused(code::PERMISSION_DENIED, _)) => Ok(()),
            Err(_) => {
                // Not every server takes a directory for a file, nor every file system flushes one.
                self.is_refused.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn with<T>(&self, full: &[u8], change: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        change(lines.entry(full.to_vec()).or_default())
    }
}

/// Forgets a directory when its last user has gone.
struct Leaves<'a> {
    flush: &'a Flush,
    full: &'a [u8],
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let mut lines = self.flush.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(self.full) {
            line.users -= 1;
            if line.users == 0 {
                lines.remove(self.full);
            }
        }
    }
}
