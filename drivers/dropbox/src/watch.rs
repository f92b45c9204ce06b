//! Waiting for changes: a cursor over everything below the root, asked for what is new whenever
//! Dropbox says that something is.
//!
//! The cursor lives in memory and moves on only when its changes are told. A new connection begins
//! with a scan; its cursor is from before, so nothing falls between the two.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_plug::{Fault, FaultKind, Hint, Hints};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::fault::Refusal;
use crate::folder::Folder;

/// Between two attempts to wait for changes while Dropbox doesn't answer.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);
/// Most that wait at once until everything is told.
const SETTLERS_MAX: usize = 64;

/// Who waits until everything is told.
type Settler = oneshot::Sender<()>;

/// The watch of one connection.
pub(crate) struct Watch {
    set: Mutex<Set>,
    /// Everything before it is told.
    cursor: Mutex<String>,
}

/// Whether a watch is set.
#[derive(Default, Clone)]
enum Set {
    #[default]
    Unset,
    Told(mpsc::Sender<Settler>),
    /// It failed: what it would have told isn't known.
    Broken,
}

/// Says that there is no watch any more, if it is dropped.
struct Unset<'a>(&'a Watch);

impl Drop for Unset<'_> {
    fn drop(&mut self) {
        *self.0.set() = Set::Unset;
    }
}

impl Watch {
    /// A watch that tells what changes from now on, once it is set.
    pub(crate) async fn begin(folder: &Folder) -> Result<Self, Fault> {
        let cursor = Mutex::new(latest(folder).await?);
        Ok(Self { set: Mutex::default(), cursor })
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cursor(&self) -> MutexGuard<'_, String> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells `hints` of all changes until dropped.
    pub(crate) async fn run(&self, folder: &Folder, hints: Hints) -> Result<(), Fault> {
        let (settlers, waiting) = mpsc::channel(SETTLERS_MAX);
        *self.set() = Set::Told(settlers);
        let unset = Unset(self);
        let ended = self.follow(folder, &hints, waiting).await;
        drop(unset);
        *self.set() = Set::Broken;
        ended
    }

    /// Returns when everything is told that was changed before.
    pub(crate) async fn settle(&self) -> Result<(), Fault> {
        let set = self.set().clone();
        if let Set::Told(settlers) = set {
            let (done, told) = oneshot::channel();
            if settlers.send(done).await.is_ok() && told.await.is_ok() {
                return Ok(());
            }
        }
        match &*self.set() {
            Set::Broken => Err(Fault::new(FaultKind::Unavailable, "the watch has ended")),
            Set::Unset | Set::Told(_) => Ok(()),
        }
    }

    /// Tells what is new whenever something is, or when somebody waits for it.
    async fn follow(
        &self,
        folder: &Folder,
        hints: &Hints,
        mut waiting: mpsc::Receiver<Settler>,
    ) -> Result<(), Fault> {
        loop {
            let asked = self.cursor().clone();
            let mut woken = std::pin::pin!(woken(folder, &asked));
            loop {
                let mut settling = Vec::new();
                tokio::select! {
                    biased;
                    one = waiting.recv() => settling.extend(one),
                    () = &mut woken => {}
                }
                let is_woken = settling.is_empty();
                while let Ok(one) = waiting.try_recv() {
                    settling.push(one);
                }
                let told = tell(folder, hints, self.cursor().clone());
                *self.cursor() = told.await?;
                for one in settling {
                    // Who no longer waits has given up.
                    let _ = one.send(());
                }
                if is_woken {
                    break;
                }
            }
        }
    }
}

/// A cursor after everything that is there now.
async fn latest(folder: &Folder) -> Result<String, Fault> {
    let arg = json!({ "path": folder.root(), "recursive": true });
    let told = folder.client.ask("files/list_folder/get_latest_cursor", &arg).await;
    let told = told.map_err(|refusal| refusal.fault("watch", "the folder"))?;
    Ok(told["cursor"].as_str().unwrap_or_default().to_owned())
}

/// Returns when something may have changed.
async fn woken(folder: &Folder, cursor: &str) {
    let mut pause = RETRY_FIRST;
    loop {
        match folder.client.poll(cursor).await {
            Ok((changes, backoff)) => {
                sleep(backoff).await;
                if changes {
                    return;
                }
                pause = RETRY_FIRST;
            }
            // Asking for the changes tells more of it.
            Err(refusal) if refusal.is("reset") => return,
            Err(Refusal::Busy(wait)) => sleep(wait).await,
            Err(_) => {
                sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(RETRY_LAST);
            }
        }
    }
}

/// Tells everything after `cursor`; the cursor after that.
async fn tell(folder: &Folder, hints: &Hints, mut cursor: String) -> Result<String, Fault> {
    loop {
        let arg = json!({ "cursor": cursor });
        let told = match folder.client.ask("files/list_folder/continue", &arg).await {
            Ok(told) => told,
            Err(refusal) if refusal.is("reset") || refusal.has("not_found") => {
                // First the new cursor, so that nothing falls between it and the scan.
                let cursor = latest(folder).await?;
                hints.rescan("Dropbox has reset the cursor of changes");
                return Ok(cursor);
            }
            Err(refusal) => return Err(refusal.fault("watch", "the folder")),
        };
        let entries = told["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        tell_entries(folder, hints, entries).await;
        cursor = told["cursor"].as_str().unwrap_or_default().to_owned();
        if told["has_more"] != true {
            return Ok(cursor);
        }
    }
}

async fn tell_entries(folder: &Folder, hints: &Hints, entries: &[Value]) {
    if entries.iter().any(|entry| entry[".tag"] != "file") {
        folder.spelling.forget();
    }
    let mut told = Vec::new();
    for entry in entries {
        if entry["rev"].as_str().is_some_and(|rev| folder.echo.is_own(rev)) {
            continue;
        }
        let shown = entry["path_display"].as_str().unwrap_or_default();
        let Some(path) = folder.path_of(shown).await else { continue };
        // It isn't said whether what was deleted held something.
        let hint = if entry[".tag"] == "deleted" { Hint::Tree } else { Hint::Changed };
        told.push((path, hint));
    }
    hints.tell_all(told);
}
