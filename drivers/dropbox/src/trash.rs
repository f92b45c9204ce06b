//! The trash: Dropbox's own deleted files and versions. What Onitu removed or replaced is found
//! again by its revision, which Dropbox keeps for 30 days or longer.
//!
//! Dropbox can't list by time what is gone, nor by who removed it. So the driver writes that down,
//! in its own directory: one file a day, a line for each thing. A line begins with `+`, or with
//! `-` once the thing was put back. Who loses these files loses the list and no content.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use onitu_plug::{Fault, FaultKind, Kind, Path, TrashPage, TrashQuery, Trashed, Why, clock};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::state::Thing;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Bytes that are read at once; longer than any line.
const READ_BYTES: u64 = 128 * 1_024;
/// Most bytes that are gone through for one page.
const PAGE_BYTES_MAX: u64 = 4 * 1_024 * 1_024;

/// The list of what went to the trash.
#[derive(Clone)]
pub(crate) struct Trash(std::sync::Arc<Book>);

struct Book {
    directory: PathBuf,
    days: u32,
    /// When the last thing went, in milliseconds: no two went at the same time.
    last_ms: Mutex<u64>,
}

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Where it stood.
    pub(crate) path: Path,
    /// What Dropbox finds it by.
    pub(crate) rev: String,
    size: u64,
    /// Its time, in nanoseconds.
    pub(crate) mtime_ns: i64,
    at_ms: u64,
    why: Why,
}

fn failed(why: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Unavailable, format!("can't use the list of what is in the trash: {why}"))
}

fn gone() -> Fault {
    Fault::new(FaultKind::NotFound, "it is no longer in the trash")
}

/// The name of the file of the day that holds this time.
fn day(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1_000).unwrap_or(0);
    let at = Timestamp::from_second(seconds).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

fn is_day(name: &str) -> bool {
    name.parse::<jiff::civil::Date>().is_ok_and(|day| day.to_string() == name)
}

impl Trash {
    /// In the driver's own directory; what is older than `days` is forgotten.
    pub(crate) async fn open(state_dir: &std::path::Path, days: u32) -> Result<Self, Fault> {
        let directory = state_dir.join("trash");
        let book = Book { directory, days, last_ms: Mutex::default() };
        let trash = Self(std::sync::Arc::new(book));
        trash.with(Book::tidy).await?;
        Ok(trash)
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Book) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let book = std::sync::Arc::clone(&self.0);
        let done = spawn_blocking(move || work(&book)).await;
        done.map_err(|_| failed("it was given up"))?.map_err(failed)
    }

    /// A file was removed or replaced.
    pub(crate) async fn add(&self, path: &Path, thing: &Thing, why: Why) -> Result<(), Fault> {
        let content = &thing.state.content;
        let line = Line {
            path: path.clone(),
            rev: thing.rev.clone(),
            size: content.size,
            mtime_ns: content.mtime_ns,
            at_ms: 0,
            why,
        };
        self.with(move |book| book.add(line)).await
    }

    /// What `id` stands for.
    pub(crate) async fn get(&self, id: &str) -> Result<Line, Fault> {
        let id = id.to_owned();
        self.with(move |book| book.get(&id)).await?.ok_or_else(gone)
    }

    /// It was put back.
    pub(crate) async fn forget(&self, id: &str) -> Result<(), Fault> {
        let id = id.to_owned();
        self.with(move |book| book.forget(&id)).await
    }

    /// One page of it, the newest first.
    pub(crate) async fn page(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        let query = query.clone();
        self.with(move |book| book.page(&query)).await
    }
}

/// The day and the offset that an id names.
fn place(id: &str) -> Option<(&str, u64)> {
    let (day, offset) = id.split_once('/')?;
    Some((day, offset.parse().ok()?)).filter(|_| is_day(day))
}

/// The line that begins there, if there is one and it wasn't put back.
fn line(bytes: &[u8]) -> Option<Line> {
    serde_json::from_slice(bytes.strip_prefix(b"+")?).ok()
}

impl Book {
    fn names(&self) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            names.extend(entry?.file_name().into_string().ok().filter(|name| is_day(name)));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn tidy(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let oldest = day(self.oldest_ms());
        for name in self.names()?.into_iter().filter(|name| *name < oldest) {
            std::fs::remove_file(self.directory.join(name))?;
        }
        // Also after the clock went back, what goes later is told to have gone later.
        let query = TrashQuery { below: Path::root(), after_ms: 0, cursor: None, limit: 1 };
        let last = self.page(&query)?.items.first().map_or(0, |item| item.at_ms);
        *self.last_ms.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(())
    }

    fn oldest_ms(&self) -> u64 {
        clock::now_ms().saturating_sub(u64::from(self.days) * DAY_MS)
    }

    fn add(&self, mut line: Line) -> std::io::Result<()> {
        let mut last_ms = self.last_ms.lock().unwrap_or_else(PoisonError::into_inner);
        line.at_ms = clock::now_ms().max(*last_ms + 1);
        let file = self.directory.join(day(line.at_ms));
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(file)?;
        // One that a crash has torn ends here.
        let mut last = [b'\n'];
        if let Some(at) = file.metadata()?.len().checked_sub(1) {
            file.read_exact_at(&mut last, at)?;
        }
        let torn = if last == [b'\n'] { "" } else { "\n" };
        let text = serde_json::to_string(&line)?;
        file.write_all(format!("{torn}+{text}\n").as_bytes())?;
        *last_ms = line.at_ms;
        Ok(())
    }

    fn read(&self, id: &str) -> std::io::Result<Option<(File, u64, Line)>> {
        let Some((day, offset)) = place(id) else { return Ok(None) };
        let file = match OpenOptions::new().read(true).write(true).open(self.directory.join(day)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut before = [b'\n'];
        if offset > 0 && file.read_at(&mut before, offset - 1)? == 0 || before != [b'\n'] {
            return Ok(None);
        }
        let bytes = read_at(&file, offset, offset + READ_BYTES)?;
        let text = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(line(text).map(|line| (file, offset, line)))
    }

    fn get(&self, id: &str) -> std::io::Result<Option<Line>> {
        Ok(self.read(id)?.map(|(.., line)| line))
    }

    fn forget(&self, id: &str) -> std::io::Result<()> {
        let Some((file, offset, _)) = self.read(id)? else { return Ok(()) };
        file.write_all_at(b"-", offset)
    }

    fn page(&self, query: &TrashQuery) -> std::io::Result<TrashPage> {
        let mut page = TrashPage::default();
        let after_ms = query.after_ms.max(self.oldest_ms());
        let from = query.cursor.as_deref().and_then(place);
        let mut left = PAGE_BYTES_MAX;
        for name in self.names()?.into_iter().rev() {
            if from.is_some_and(|(day, _)| *name > *day) {
                continue;
            }
            let file = File::open(self.directory.join(&name))?;
            let mut end = file.metadata()?.len();
            if let Some((_, offset)) = from.filter(|(day, _)| *day == name) {
                end = end.min(offset);
            }
            while end > 0 {
                if left == 0 || page.items.len() >= query.limit {
                    page.next = Some(format!("{name}/{end}"));
                    return Ok(page);
                }
                let start = end.saturating_sub(READ_BYTES);
                let bytes = read_at(&file, start, end)?;
                left = left.saturating_sub(READ_BYTES);
                // The first one may have begun before.
                let first = match bytes.iter().position(|byte| *byte == b'\n') {
                    Some(at) if start > 0 && at + 1 < bytes.len() => at + 1,
                    _ => 0,
                };
                let whole = &bytes[first..];
                let body = whole.strip_suffix(b"\n").unwrap_or(whole);
                let mut at = end - (whole.len() - body.len()) as u64;
                end = start + first as u64;
                for text in body.rsplit(|byte| *byte == b'\n') {
                    let offset = at - text.len() as u64;
                    at = offset.saturating_sub(1);
                    let Some(line) = line(text) else { continue };
                    if line.at_ms <= after_ms {
                        // All others went earlier.
                        return Ok(page);
                    }
                    if !line.path.is_within(&query.below) {
                        continue;
                    }
                    if page.items.len() >= query.limit {
                        // This one is the next page's.
                        end = offset + text.len() as u64 + 1;
                        break;
                    }
                    page.items.push(told(format!("{name}/{offset}"), line));
                }
            }
        }
        Ok(page)
    }
}

fn told(id: String, line: Line) -> Trashed {
    let Line { path, size, mtime_ns, at_ms, why, .. } = line;
    Trashed { id, path, at_ms, kind: Kind::File, size, mtime_ns, why }
}

fn read_at(file: &File, start: u64, end: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
