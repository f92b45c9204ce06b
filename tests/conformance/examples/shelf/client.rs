//! Stands for the client of your service: keys with bytes and a version each, written if the
//! version is still the expected one, and a log of changes. This one lives in the process, so that
//! the example runs anywhere; yours sends requests, and its calls are `async`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use onitu_plug::Bytes;
use tokio::sync::watch;

/// Most changes that the service remembers.
const LOG_MAX: usize = 10_000;

static SHELVES: Mutex<BTreeMap<String, Client>> = Mutex::new(BTreeMap::new());

/// Why the service refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It knows no such shelf.
    NoShelf,
    /// The key doesn't have the expected version.
    Conflict,
    /// It doesn't know the upload any more.
    NoUpload,
}

/// What is listed: a key, or all keys with a prefix up to the next `/`.
pub enum Item {
    /// A key with its size and version.
    Key(String, u64, u64),
    /// A common prefix.
    Prefix(String),
}

/// A connection to one shelf.
#[derive(Clone)]
pub struct Client {
    shelf: Arc<Mutex<Shelf>>,
    last: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct Shelf {
    objects: BTreeMap<String, (Bytes, u64)>,
    uploads: BTreeMap<u64, Vec<u8>>,
    log: VecDeque<(u64, String)>,
    numbers: u64,
}

impl Client {
    /// Builds a new, empty shelf. Done by people, never by the driver.
    #[allow(dead_code, reason = "the driver never builds shelves, its tests do")]
    pub fn build(name: &str) {
        let client = Self { shelf: Arc::default(), last: Arc::new(watch::Sender::new(0)) };
        SHELVES.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), client);
    }

    /// Connects to a shelf that is there.
    pub fn open(name: &str) -> Result<Self, Refusal> {
        let shelves = SHELVES.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.get(name).cloned().ok_or(Refusal::NoShelf)
    }

    fn with<R>(&self, work: impl FnOnce(&mut Shelf) -> R) -> R {
        work(&mut self.shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Size and version of a key.
    pub fn head(&self, key: &str) -> Option<(u64, u64)> {
        self.with(|shelf| shelf.objects.get(key).map(|it| (it.0.len() as u64, it.1)))
    }

    /// Up to `max` bytes of a key in one version.
    pub fn get(&self, key: &str, version: u64, from: u64, max: u32) -> Result<Bytes, Refusal> {
        self.with(|shelf| {
            let (bytes, found) = shelf.objects.get(key).ok_or(Refusal::Conflict)?;
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
            let to = from.saturating_add(max as usize).min(bytes.len());
            if *found == version { Ok(bytes.slice(from..to)) } else { Err(Refusal::Conflict) }
        })
    }

    /// Begins an upload that nobody sees.
    pub fn begin(&self) -> u64 {
        self.with(|shelf| {
            shelf.numbers += 1;
            shelf.uploads.insert(shelf.numbers, Vec::new());
            shelf.numbers
        })
    }

    /// Adds to an upload.
    pub fn upload(&self, upload: u64, bytes: &[u8]) -> Result<(), Refusal> {
        self.with(|shelf| {
            shelf.uploads.get_mut(&upload).ok_or(Refusal::NoUpload)?.extend_from_slice(bytes);
            Ok(())
        })
    }

    /// Ends an upload without a trace.
    pub fn abort(&self, upload: u64) {
        self.with(|shelf| shelf.uploads.remove(&upload));
    }

    /// Makes an upload visible as `key` if that has the version `expect`; tells the new one.
    pub fn complete(&self, upload: u64, key: &str, expect: Option<u64>) -> Result<u64, Refusal> {
        let version = self.with(|shelf| {
            if shelf.objects.get(key).map(|it| it.1) != expect {
                return Err(Refusal::Conflict);
            }
            let bytes = shelf.uploads.remove(&upload).ok_or(Refusal::NoUpload)?;
            let version = shelf.note(key);
            shelf.objects.insert(key.to_owned(), (bytes.into(), version));
            Ok(version)
        })?;
        self.last.send_replace(version);
        Ok(version)
    }

    /// Deletes a key that has the version `expect`; one that is gone is fine.
    pub fn delete(&self, key: &str, expect: u64) -> Result<(), Refusal> {
        let change = self.with(|shelf| match shelf.objects.get(key) {
            None => Ok(None),
            Some((_, version)) if *version != expect => Err(Refusal::Conflict),
            Some(_) => {
                shelf.objects.remove(key);
                Ok(Some(shelf.note(key)))
            }
        })?;
        change.map(|change| self.last.send_replace(change));
        Ok(())
    }

    /// Up to `max` items below a prefix, beginning at the key `from` (or at the first, if that is
    /// empty), and the key at which the next page begins.
    pub fn list(&self, prefix: &str, from: &str, max: usize) -> (Vec<Item>, Option<String>) {
        let mut items = Vec::new();
        let mut from = from.max(prefix).to_owned();
        self.with(|shelf| {
            while items.len() < max {
                let next = shelf.objects.range(from.clone()..).next();
                let Some((key, object)) = next else { return (items, None) };
                let Some(rest) = key.strip_prefix(prefix) else { return (items, None) };
                if let Some((name, _)) = rest.split_once('/') {
                    items.push(Item::Prefix(format!("{prefix}{name}")));
                    // `0` comes next after `/`: behind all keys of the prefix, before any other.
                    from = format!("{prefix}{name}0");
                } else {
                    items.push(Item::Key(key.clone(), object.0.len() as u64, object.1));
                    from = format!("{key}\0");
                }
            }
            (items, Some(from))
        })
    }

    /// The number of the last change.
    pub fn cursor(&self) -> u64 {
        *self.last.borrow()
    }

    /// Waits for changes after `cursor`; their keys, or nothing if the service forgot some.
    pub async fn changes(&self, cursor: u64) -> (Option<Vec<String>>, u64) {
        let mut last = self.last.subscribe();
        let reached = last.wait_for(|last| *last > cursor).await.map_or(cursor, |last| *last);
        let keys = self.with(|shelf| {
            let forgot = shelf.log.len() == LOG_MAX
                && shelf.log.front().is_some_and(|(number, _)| *number > cursor);
            let news = shelf.log.iter().filter(|it| it.0 > cursor && it.0 <= reached);
            (!forgot).then(|| news.map(|(_, key)| key.clone()).collect())
        });
        (keys, reached)
    }
}

impl Shelf {
    fn note(&mut self, key: &str) -> u64 {
        self.numbers += 1;
        self.log.push_back((self.numbers, key.to_owned()));
        if self.log.len() > LOG_MAX {
            self.log.pop_front();
        }
        self.numbers
    }
}
