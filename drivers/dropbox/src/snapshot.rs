//! What the folder held, as far as the cursor that stands beside it: on disk, so that a restart
//! asks only for what is new and a listing asks for nothing.
//!
//! An embedded database, because entries and cursor must change in one step whatever crashes, and
//! memory may not grow with them. It is knowledge and never the truth: what is damaged, or of
//! another folder, is thrown away and listed anew; who finds something missing here asks Dropbox.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use onitu_plug::{Content, Fault, FaultKind, Found, Kind, Listing, Path, State, Tag};
use redb::{Database, DatabaseError, ReadableDatabase, Table, TableDefinition};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::list::{PAGE, found};
use crate::name;
use crate::state::Thing;

/// By the folder and the name, both in lower case, with a NUL in between.
const ENTRIES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("entries 1");
/// The cursor, whether everything before it was listed, and whose all of it is.
const STATE: TableDefinition<'static, &str, &str> = TableDefinition::new("state 1");
/// Bytes of the database in memory.
const CACHE_BYTES: usize = 4 * 1024 * 1024;
/// An earlier incarnation may need a moment to let go of it.
const OPENS_MAX: u32 = 50;
const OPEN_PAUSE: Duration = Duration::from_millis(100);

type Error = Box<dyn std::error::Error + Send + Sync>;
type Entries<'a> = Table<'a, &'static str, &'static [u8]>;

/// The snapshot of one service's folder.
#[derive(Clone)]
pub(crate) struct Snapshot {
    db: Arc<Database>,
    file: PathBuf,
    whose: String,
}

/// How far it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Nothing if nothing is known.
    pub(crate) cursor: String,
    /// Whether all that was there is listed; from then on the cursor tells of changes.
    pub(crate) is_complete: bool,
}

/// One entry: name, size, time in seconds, tag, whether it is a folder, what is odd about it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept(String, u64, i64, Tag, bool, Option<u8>);

impl Kept {
    fn of(thing: &Thing) -> Self {
        let content = &thing.state.content;
        let seconds = content.mtime_ns / 1_000_000_000;
        let (name, tag) = (thing.name.clone(), thing.state.tag);
        Self(name, content.size, seconds, tag, thing.is_folder(), thing.odd)
    }

    fn thing(self) -> Thing {
        let Self(name, size, seconds, tag, is_folder, odd) = self;
        let mut content = Content::DIRECTORY;
        if !is_folder {
            let mtime_ns = Content::told_mtime_ns(seconds.saturating_mul(1_000_000_000));
            content = Content { kind: Kind::File, size, mtime_ns, ..content };
        }
        let state = State { content, tag };
        Thing { name, state, odd, shown: String::new(), rev: String::new(), hash: String::new() }
    }
}

fn key(folder: &str, name: &str) -> String {
    format!("{folder}\0{name}")
}

fn lower(held: &str) -> String {
    held.chars().map(|letter| letter.to_lowercase().next().unwrap_or(letter)).collect()
}

/// Forgets everything below a folder.
fn forget_below(entries: &mut Entries<'_>, folder: &str) -> Result<(), Error> {
    for (from, to) in [("\0", "\u{1}"), ("/", "0")] {
        let (from, to) = (format!("{folder}{from}"), format!("{folder}{to}"));
        entries.retain_in(from.as_str()..to.as_str(), |_, _| false)?;
    }
    Ok(())
}

/// Applies what the cursor told of one path, as the API asks of its clients.
fn apply(entries: &mut Entries<'_>, root_depth: usize, told: &Value) -> Result<(), Error> {
    let path = told["path_lower"].as_str().unwrap_or_default();
    let below = match path.match_indices('/').nth(root_depth) {
        Some((at, _)) => &path[at..],
        None => "",
    };
    let Some((folder, name)) = below.rsplit_once('/') else {
        // The root itself.
        return if told[".tag"] == "deleted" { forget_below(entries, "") } else { Ok(()) };
    };
    let key = key(folder, name);
    let Some(thing) = Thing::read(told) else {
        entries.remove(key.as_str())?;
        return forget_below(entries, below);
    };
    let kept = serde_json::to_vec(&Kept::of(&thing))?;
    let was_folder = match entries.insert(key.as_str(), kept.as_slice())? {
        Some(bytes) => serde_json::from_slice::<Kept>(bytes.value())?.4,
        None => false,
    };
    if was_folder && !thing.is_folder() { forget_below(entries, below) } else { Ok(()) }
}

impl Snapshot {
    /// Opens the one in `directory`, or begins one; what is there of something else than `whose`
    /// is thrown away.
    pub(crate) async fn open(directory: &FilePath, whose: String) -> Result<Self, Fault> {
        let file = directory.join("snapshot.redb");
        for attempt in 0.. {
            let (path, of) = (file.clone(), whose.clone());
            let opened = spawn_blocking(move || open(&path, &of)).await;
            match opened {
                Ok(Ok(db)) => return Ok(Self { db: Arc::new(db), file, whose }),
                Ok(Err(Failed::InUse)) if attempt < OPENS_MAX => {
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                Ok(Err(Failed::InUse)) => {
                    let text = format!("another driver is using `{}`", file.display());
                    return Err(Fault::new(FaultKind::Unavailable, text));
                }
                Ok(Err(Failed::Other(_))) | Err(_) if attempt < OPENS_MAX => {
                    // It is knowledge that can be had again.
                    let _ = std::fs::remove_file(&file);
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                Ok(Err(Failed::Other(error))) => return Err(unusable(&file, &error.to_string())),
                Err(_) => return Err(unusable(&file, "it is damaged")),
            }
        }
        Err(unusable(&file, "it can't be opened"))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Fault> {
        let db = Arc::clone(&self.db);
        let why = match spawn_blocking(move || work(&db)).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it is damaged".to_owned(),
        };
        // The next connection begins another one.
        let _ = std::fs::remove_file(&self.file);
        Err(unusable(&self.file, &why))
    }

    /// How far it goes.
    pub(crate) async fn reached(&self) -> Result<Reached, Fault> {
        self.with(|db| {
            let state = db.begin_read()?.open_table(STATE)?;
            let text = |key: &str| -> Result<String, Error> {
                Ok(state.get(key)?.map(|it| it.value().to_owned()).unwrap_or_default())
            };
            Ok(Reached { cursor: text("cursor")?, is_complete: text("complete")? == "yes" })
        })
        .await
    }

    /// Forgets everything.
    pub(crate) async fn clear(&self) -> Result<(), Fault> {
        let whose = self.whose.clone();
        self.with(move |db| begin(db, &whose)).await
    }

    /// Applies a page, and keeps how far it goes, in one step.
    pub(crate) async fn apply(
        &self,
        root: &str,
        told: Vec<Value>,
        reached: Reached,
    ) -> Result<(), Fault> {
        let root_depth = root.matches('/').count();
        self.with(move |db| {
            let write = db.begin_write()?;
            {
                let mut entries = write.open_table(ENTRIES)?;
                for told in &told {
                    apply(&mut entries, root_depth, told)?;
                }
                let mut state = write.open_table(STATE)?;
                state.insert("cursor", reached.cursor.as_str())?;
                state.insert("complete", if reached.is_complete { "yes" } else { "" })?;
            }
            Ok(write.commit()?)
        })
        .await
    }

    /// Tells what is in a folder; `false`, and nothing is told, if it isn't known here by exactly
    /// this name. `marker` is a file of Onitu's own without which nothing is told.
    pub(crate) async fn list(
        &self,
        directory: &Path,
        marker: &str,
        listing: &Listing,
    ) -> Result<bool, Fault> {
        let (directory, listing, marker) = (directory.clone(), listing.clone(), marker.to_owned());
        self.with(move |db| {
            let entries = db.begin_read()?.open_table(ENTRIES)?;
            let get = |folder: &str, name: &str| -> Result<Option<Kept>, Error> {
                let found = entries.get(key(&lower(folder), &lower(name)).as_str())?;
                Ok(found.map(|it| serde_json::from_slice(it.value())).transpose()?)
            };
            let held = name::held(&directory);
            let mut above = String::new();
            for name in held.split('/').skip(1) {
                if !get(&above, name)?.is_some_and(|kept| kept.0 == name && kept.4) {
                    return Ok(false);
                }
                above = format!("{above}/{name}");
            }
            let own = format!("/{}", name::OWN);
            if get(&own, marker.trim_start_matches('/'))?.is_none() {
                return Ok(false);
            }
            let folder = lower(&held);
            let (from, to) = (format!("{folder}\0"), format!("{folder}\u{1}"));
            let mut page: Vec<Found> = Vec::new();
            for entry in entries.range(from.as_str()..to.as_str())? {
                let kept: Kept = serde_json::from_slice(entry?.1.value())?;
                page.extend(found(&directory, &kept.thing()));
                if page.len() >= PAGE && listing.blocking_send(std::mem::take(&mut page)).is_err() {
                    return Ok(true);
                }
            }
            if !page.is_empty() {
                // Nobody may be reading any more.
                let _ = listing.blocking_send(page);
            }
            Ok(true)
        })
        .await
    }
}

enum Failed {
    InUse,
    Other(Error),
}

fn open(file: &FilePath, whose: &str) -> Result<Database, Failed> {
    let mut builder = Database::builder();
    let db = builder.set_cache_size(CACHE_BYTES).create(file).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => Failed::InUse,
        error => Failed::Other(error.into()),
    })?;
    if !is_of(&db, whose).unwrap_or(false) {
        begin(&db, whose).map_err(Failed::Other)?;
    }
    Ok(db)
}

fn is_of(db: &Database, whose: &str) -> Result<bool, Error> {
    let read = db.begin_read()?;
    read.open_table(ENTRIES)?;
    Ok(read.open_table(STATE)?.get("whose")?.is_some_and(|it| it.value() == whose))
}

/// Begins anew.
fn begin(db: &Database, whose: &str) -> Result<(), Error> {
    let write = db.begin_write()?;
    write.delete_table(ENTRIES)?;
    write.delete_table(STATE)?;
    {
        write.open_table(ENTRIES)?;
        write.open_table(STATE)?.insert("whose", whose)?;
    }
    Ok(write.commit()?)
}

fn unusable(file: &FilePath, why: &str) -> Fault {
    let text = format!(
        "`{}`, where the driver keeps what it knows of the folder, can't be used: {why}",
        file.display()
    );
    Fault::new(FaultKind::Unavailable, text)
}

#[cfg(test)]
mod tests;
