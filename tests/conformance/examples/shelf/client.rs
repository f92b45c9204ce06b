//! Stands for the client of your service: keys with bytes and a version each, written if the
//! version is still the expected one, and a log of changes. This one keeps a shelf in a file of this
//! machine, so that the example runs anywhere; yours sends requests, and its calls are `async`.
//!
//! The file has a line of JSON for each change, key, version and size, and then the bytes. An empty
//! file is an empty shelf.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
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
    /// It has no room.
    Full,
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

struct Shelf {
    file: File,
    objects: BTreeMap<String, (Bytes, u64)>,
    uploads: BTreeMap<u64, Vec<u8>>,
    log: VecDeque<(u64, String)>,
    numbers: u64,
}

impl Client {
    /// Builds a new, empty shelf. Done by people (`touch NAME`), never by the driver.
    #[allow(dead_code, reason = "the driver never builds shelves, its tests do")]
    pub fn build(name: &str) -> io::Result<()> {
        File::create_new(name).map(drop)
    }

    /// Connects to a shelf that is there.
    pub fn open(name: &str) -> Result<Self, Refusal> {
        let mut shelves = SHELVES.lock().unwrap_or_else(PoisonError::into_inner);
        // A second connection of this process sees what the first one does.
        if let Some(client) = shelves.get(name) {
            return Ok(client.clone());
        }
        let shelf = Shelf::read(name).map_err(|_| Refusal::NoShelf)?;
        let last = Arc::new(watch::Sender::new(shelf.numbers));
        let client = Self { shelf: Arc::new(Mutex::new(shelf)), last };
        shelves.insert(name.to_owned(), client.clone());
        Ok(client)
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
            let version = shelf.note(key, Some(&bytes))?;
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
                let change = shelf.note(key, None)?;
                shelf.objects.remove(key);
                Ok(Some(change))
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
    /// Reads a shelf's file; what was being written when the power failed is not there.
    fn read(name: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).open(name)?;
        let mut objects = BTreeMap::new();
        let mut numbers = 0;
        let (mut reader, mut line) = (BufReader::new(&file), String::new());
        while reader.read_line(&mut line)? > 0 {
            let read = serde_json::from_str::<(String, u64, Option<usize>)>(&line);
            let Ok((key, version, size)) = read else { break };
            let mut bytes = vec![0; size.unwrap_or(0)];
            if io::Read::read_exact(&mut reader, &mut bytes).is_err() {
                break;
            }
            match size {
                Some(_) => objects.insert(key, (bytes.into(), version)),
                None => objects.remove(&key),
            };
            numbers = version;
            line.clear();
        }
        Ok(Self { file, objects, uploads: BTreeMap::new(), log: VecDeque::new(), numbers })
    }

    /// Writes down what a key holds from now on, and tells the number of the change.
    fn note(&mut self, key: &str, bytes: Option<&[u8]>) -> Result<u64, Refusal> {
        let version = self.numbers + 1;
        let mut line = serde_json::json!([key, version, bytes.map(<[u8]>::len)]).to_string();
        line.push('\n');
        let all = [line.as_bytes(), bytes.unwrap_or_default()].concat();
        self.file
            .write_all(&all)
            .and_then(|()| self.file.sync_data())
            .map_err(|_| Refusal::Full)?;
        self.numbers = version;
        self.log.push_back((version, key.to_owned()));
        if self.log.len() > LOG_MAX {
            self.log.pop_front();
        }
        Ok(version)
    }
}
