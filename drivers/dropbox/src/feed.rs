//! The cursor over everything below the root: what it tells is applied and handed over, and only
//! then the cursor moves on.
//!
//! With a directory of its own, the driver keeps a snapshot, and the cursor in it: the first time
//! the whole folder is listed, 2,000 entries a call; after that only changes are asked for, also
//! after a restart. Whoever lists waits until the snapshot is complete. Without, the cursor lives
//! in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_plug::{Fault, FaultKind, Hint, Hints, Listing, Path};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::folder::Folder;
use crate::marker::MARKER;
use crate::snapshot::{Reached, Snapshot};

/// Entries of a page of everything.
const PAGE: usize = 2_000;
/// While everything new is hinted at anyway, a listing below the root may be as old as this.
const FRESH: Duration = Duration::from_secs(2);
/// Changes that are remembered while nobody listens; beyond, everything is to be looked at.
const PENDING_MAX: usize = 1_024;

/// What one connection knows of changes.
pub(crate) struct Feed {
    snapshot: Option<Snapshot>,
    /// Held by whoever asks.
    reached: tokio::sync::Mutex<Reached>,
    /// Since when everything is known.
    fresh: Mutex<Option<Instant>>,
    listener: Mutex<Listener>,
}

/// Who is told.
enum Listener {
    /// Nobody yet: what they will be told, and whether it was too much.
    Nobody(Vec<(Path, Hint)>, bool),
    Is(Hints),
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    /// Everything from now on will be told.
    pub(crate) async fn begin(folder: &Folder, snapshot: Option<Snapshot>) -> Result<Self, Fault> {
        let reached = match &snapshot {
            Some(snapshot) => snapshot.reached().await?,
            None => Reached { cursor: latest(folder).await?, is_complete: true },
        };
        let listener = Mutex::new(Listener::Nobody(Vec::new(), false));
        let reached = tokio::sync::Mutex::new(reached);
        let feed = Self { snapshot, reached, fresh: Mutex::default(), listener };
        if feed.snapshot.is_some() {
            // From the first page on, the cursor covers what changes. What it tells of the time
            // before needs no hint: a connection begins with a scan.
            feed.page(folder, &mut *feed.reached.lock().await).await?;
            *held(&feed.listener) = Listener::Nobody(Vec::new(), false);
        }
        Ok(feed)
    }

    /// Tells `hints` from now on, first what was missed.
    pub(crate) fn listen(&self, hints: &Hints) {
        let before = std::mem::replace(&mut *held(&self.listener), Listener::Is(hints.clone()));
        if let Listener::Nobody(pending, is_much) = before {
            hints.tell_all(pending);
            if is_much {
                hints.rescan("much has changed since the connection");
            }
        }
    }

    /// Nobody listens any more.
    pub(crate) fn ignore(&self) {
        *held(&self.listener) = Listener::Nobody(Vec::new(), true);
    }

    /// Everything before it is told.
    pub(crate) async fn cursor(&self) -> String {
        self.reached.lock().await.cursor.clone()
    }

    /// Tells what is new, until nothing is; what had happened before this was called is told then.
    pub(crate) async fn catch_up(&self, folder: &Folder) -> Result<(), Fault> {
        let asked = Instant::now();
        let mut reached = self.reached.lock().await;
        // Who waited here while another asked has the answer.
        if held(&self.fresh).is_some_and(|since| since >= asked) {
            return Ok(());
        }
        let mut begun = Instant::now();
        while self.page(folder, &mut reached).await? {
            if !reached.is_complete {
                begun = Instant::now();
            }
        }
        *held(&self.fresh) = Some(begun);
        Ok(())
    }

    /// Asks once; whether there is more.
    async fn page(&self, folder: &Folder, reached: &mut Reached) -> Result<bool, Fault> {
        let told = if reached.cursor.is_empty() {
            let arg = json!({ "path": folder.root(), "recursive": true, "limit": PAGE });
            folder.client.ask("files/list_folder", &arg).await
        } else {
            let arg = json!({ "cursor": reached.cursor });
            folder.client.ask("files/list_folder/continue", &arg).await
        };
        let mut told = match told {
            Ok(told) => told,
            Err(refusal) if refusal.is("reset") || refusal.has("not_found") => {
                self.begin_anew(folder, reached).await?;
                return Ok(true);
            }
            Err(refusal) => return Err(refusal.fault("watch", "the folder")),
        };
        let entries = match told["entries"].take() {
            Value::Array(entries) => entries,
            _ => Vec::new(),
        };
        let has_more = told["has_more"] == true;
        let next = Reached {
            cursor: told["cursor"].as_str().unwrap_or_default().to_owned(),
            is_complete: reached.is_complete || !has_more,
        };
        if !entries.is_empty() {
            // Who lists because of what is told now waits until the snapshot has it.
            *held(&self.fresh) = None;
        }
        if reached.is_complete {
            self.tell(folder, &entries).await;
        }
        if let Some(snapshot) = &self.snapshot
            && (!entries.is_empty() || next != *reached)
        {
            snapshot.apply(folder.root(), entries, next.clone()).await?;
        }
        *reached = next;
        Ok(has_more)
    }

    /// Dropbox no longer knows what the cursor has told: all of it is unknown.
    async fn begin_anew(&self, folder: &Folder, reached: &mut Reached) -> Result<(), Fault> {
        // It isn't known of a folder that is gone that it is empty.
        folder.verify().await?;
        *held(&self.fresh) = None;
        match &self.snapshot {
            Some(snapshot) => {
                snapshot.clear().await?;
                *reached = Reached::default();
            }
            // First the new cursor, so that nothing falls between it and the scan.
            None => reached.cursor = latest(folder).await?,
        }
        match &mut *held(&self.listener) {
            Listener::Is(hints) => hints.rescan("Dropbox has reset the cursor of changes"),
            Listener::Nobody(_, is_much) => *is_much = true,
        }
        Ok(())
    }

    async fn tell(&self, folder: &Folder, entries: &[Value]) {
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
        match &mut *held(&self.listener) {
            Listener::Is(hints) => hints.tell_all(told),
            Listener::Nobody(pending, is_much) => {
                *is_much |= pending.len() + told.len() > PENDING_MAX;
                if !*is_much {
                    pending.extend(told);
                }
            }
        }
    }

    /// Tells what is in a folder, if that is known here; else `false`.
    pub(crate) async fn list(
        &self,
        folder: &Folder,
        directory: &Path,
        listing: &Listing,
    ) -> Result<bool, Fault> {
        let Some(snapshot) = &self.snapshot else { return Ok(false) };
        let is_heard = matches!(*held(&self.listener), Listener::Is(_));
        let is_fresh = held(&self.fresh).is_some_and(|since| since.elapsed() < FRESH);
        // A scan begins with the root.
        if directory.is_root() || !is_heard || !is_fresh {
            self.catch_up(folder).await?;
        }
        snapshot.list(directory, MARKER, listing).await
    }
}

/// A cursor after everything that is there now.
async fn latest(folder: &Folder) -> Result<String, Fault> {
    let arg = json!({ "path": folder.root(), "recursive": true });
    let told = folder.client.ask("files/list_folder/get_latest_cursor", &arg).await;
    let told = told.map_err(|refusal| refusal.fault("watch", "the folder"))?;
    match told["cursor"].as_str() {
        Some(cursor) if !cursor.is_empty() => Ok(cursor.to_owned()),
        _ => Err(Fault::new(FaultKind::Unavailable, "Dropbox gave no cursor of changes")),
    }
}
