//! Listing a directory: a thousand keys a request, and never a request for each of them.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, Object};
use futures_util::StreamExt;
use futures_util::stream;
use onitu_plug::{Content, Fault, FaultKind, Found, Kind, Listing, Path, State};

use crate::client::{PAGE, Start, etag};
use crate::fault::{Refusal, unavailable};
use crate::key::{KEY_BYTES_MAX, can_be_asked, decode, is_own, is_own_text};
use crate::look::There;
use crate::object::{Bucket, directory, file};
use crate::watch::{Entry, Snapshot};

/// Objects of one page that are asked for at once, where a listing doesn't tell all of them.
const ASKING_MAX: usize = 16;

/// One line of a page, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// An object, by what its key has after the directory's; whether the server knows a checksum
    /// of it that it tells when asked for the object.
    Object { name: String, etag: Option<String>, size: u64, has_sum: bool },
    /// Keys with this beginning, which ends in `/`.
    Prefix(String),
}

impl Line {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Object { name, .. } | Self::Prefix(name) => name,
        }
    }
}

/// Turns lines into what is told. An object is held back for as long as a directory of the same
/// name may still come: `a`, `a-b`, `a/`.
#[derive(Default)]
struct Teller {
    /// Each a beginning of the one after it.
    held: Vec<(String, Found)>,
    /// Of one directory that has its own key.
    told: Vec<Found>,
}

impl Teller {
    fn take(&mut self, path: &Path, line: &Line, state: Option<State>) {
        while self.held.last().is_some_and(|(name, _)| !line.text().starts_with(name.as_str())) {
            self.told.extend(self.held.pop().map(|(_, found)| found));
        }
        match (line, state) {
            // The directory's own marker.
            (Line::Object { name, size: 0, .. }, _) if name.is_empty() => {}
            (Line::Object { name, .. }, Some(state)) => {
                let found = entry(path, name, state);
                self.held.push((name.clone(), found));
            }
            (Line::Object { .. }, None) => {}
            (Line::Prefix(text), _) => {
                let name = text.strip_suffix('/').unwrap_or(text);
                let twin = self.held.last().is_some_and(|(held, _)| held == name);
                if twin {
                    self.held.pop();
                    let text = format!(
                        "`{}{name}` is an object, and others have keys below it: rename one of them",
                        shown(path)
                    );
                    let fault = Fault::new(FaultKind::Unsupported, text);
                    self.told.push(Found::Problem { name: name.to_owned(), fault });
                } else {
                    self.told.push(entry(path, name, directory()));
                }
            }
        }
    }

    fn page(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.told)
    }

    fn last(mut self) -> Vec<Found> {
        self.told.extend(self.held.into_iter().map(|(_, found)| found));
        self.told
    }
}

fn shown(path: &Path) -> String {
    if path.is_root() { String::new() } else { format!("{path}/") }
}

fn entry(path: &Path, name: &str, state: State) -> Found {
    match path.join(name) {
        Ok(joined) if !name.contains('/') && joined.name() == name => {
            Found::Entry { name: name.to_owned(), state }
        }
        _ => {
            let text = format!(
                "the key `{}{name}` can't be a path: give the object another name",
                shown(path)
            );
            let name = if name.is_empty() { "/" } else { name };
            let fault = Fault::new(FaultKind::InvalidName, text);
            Found::Problem { name: name.to_owned(), fault }
        }
    }
}

/// The lines of a page, sorted, and whether they came so; fails if the answer can't be understood.
pub(crate) fn lines(page: &ListObjectsV2Output, prefix: &str) -> Result<(Vec<Line>, bool), Fault> {
    let garbled = || unavailable("the server's listing has a key that can't be read");
    let rest = |text: Option<&str>| {
        let text = decode(text?)?;
        text.strip_prefix(prefix).map(str::to_owned)
    };
    let mut lines = Vec::with_capacity(page.contents().len() + page.common_prefixes().len());
    for object in page.contents() {
        let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        let name = rest(object.key()).ok_or_else(garbled)?;
        lines.push(Line::Object {
            name,
            etag: etag(object.e_tag()),
            size,
            has_sum: has_sum(object),
        });
    }
    let objects = lines.len();
    for common in page.common_prefixes() {
        lines.push(Line::Prefix(rest(common.prefix()).ok_or_else(garbled)?));
    }
    let is_sorted = |lines: &[Line]| lines.is_sorted_by(|one, next| one.text() < next.text());
    let came_sorted = is_sorted(&lines[..objects]) && is_sorted(&lines[objects..]);
    lines.sort_by(|one, other| one.text().cmp(other.text()));
    Ok((lines, came_sorted))
}

/// Whether the server has computed a checksum of all the object's bytes that is of use here.
pub(crate) fn has_sum(object: &Object) -> bool {
    object.checksum_algorithm().contains(&ChecksumAlgorithm::Sha1)
        && object.checksum_type() != Some(&ChecksumType::Composite)
}

impl Bucket {
    /// As [`onitu_plug::Plug::list`].
    pub(crate) async fn list(&self, path: &Path, listing: &Listing) -> Result<(), Fault> {
        let failed = |refusal: Refusal| refusal.fault("list", path);
        if is_own(path) || self.keys.directory(path).len() > KEY_BYTES_MAX {
            return Err(not_found(path));
        }
        let prefix = self.keys.directory(path);
        let mut teller = Teller::default();
        let mut from = Some(Start::Beginning);
        let mut is_empty = true;
        while let Some(begin) = from {
            let page = self.requests.list(&prefix, &begin, false, PAGE).await.map_err(failed)?;
            let (lines, _) = lines(&page, &prefix)?;
            let asking: Vec<_> = lines.iter().map(|line| self.told(&prefix, line)).collect();
            let mut states = stream::iter(asking).buffered(ASKING_MAX);
            for line in &lines {
                is_empty = false;
                if listing.is_closed() {
                    return Err(unread());
                }
                let state = states.next().await.transpose().map_err(failed)?.flatten();
                if path.is_root() && is_own_text(line.text()) {
                    continue;
                }
                match line {
                    Line::Object { name, .. } if !can_be_asked(&format!("{prefix}{name}")) => {
                        teller.told.extend((!name.is_empty()).then(|| unspeakable(name)));
                    }
                    _ => teller.take(path, line, state),
                }
            }
            from = Start::after(&page);
            send(listing, teller.page()).await?;
        }
        send(listing, teller.last()).await?;
        self.refuse_empty(path, is_empty).await
    }

    /// As [`Self::list`], from a listing of everything.
    pub(crate) async fn list_kept(
        &self,
        snapshot: &Snapshot,
        path: &Path,
        listing: &Listing,
    ) -> Result<(), Fault> {
        let unread_file =
            |error: std::io::Error| unavailable(format!("can't read a kept listing: {error}"));
        let prefix = self.keys.directory(path);
        let own_name = if path.is_root() { String::new() } else { format!("{path}/") };
        let mut within = snapshot.within(&own_name).map_err(unread_file)?;
        let mut teller = Teller::default();
        while let Some(entries) = within.next().map_err(unread_file)? {
            for entry in entries {
                let (line, state) = match entry {
                    Entry::Object { name, tag, size } => {
                        let content = Content { kind: Kind::File, size, ..Content::DIRECTORY };
                        let state = Some(State { content, tag });
                        (Line::Object { name, etag: None, size, has_sum: false }, state)
                    }
                    Entry::Directory(name) => (Line::Prefix(name), None),
                };
                match &line {
                    Line::Object { name, .. } if !can_be_asked(&format!("{prefix}{name}")) => {
                        teller.told.push(unspeakable(name));
                    }
                    _ => teller.take(path, &line, state),
                }
            }
            send(listing, teller.page()).await?;
            // Much may be passed over in which nothing is to be told.
            tokio::task::yield_now().await;
        }
        send(listing, teller.last()).await?;
        self.refuse_empty(path, !within.is_there()).await
    }

    /// Fails if nothing was found in a directory, which then is none.
    async fn refuse_empty(&self, path: &Path, is_empty: bool) -> Result<(), Fault> {
        if !is_empty || path.is_root() {
            return Ok(());
        }
        let there = self.at(path).await.map_err(|refusal| refusal.fault("list", path))?;
        Err(match there {
            There::File(_) => {
                let text = format!("`{path}` is a file");
                Fault::new(FaultKind::NotADirectory, text)
            }
            _ => not_found(path),
        })
    }

    /// The state of a listed object. Few servers leave out the `ETag`; with those it is asked for.
    async fn told(&self, prefix: &str, line: &Line) -> Result<Option<State>, Refusal> {
        match line {
            Line::Prefix(_) => Ok(None),
            Line::Object { etag: Some(etag), size, .. } => Ok(Some(file(etag, *size, None))),
            Line::Object { name, .. } if !can_be_asked(&format!("{prefix}{name}")) => Ok(None),
            Line::Object { name, .. } => {
                let found = self.requests.head(&format!("{prefix}{name}")).await?;
                Ok(found.map(|object| object.state()))
            }
        }
    }
}

fn unspeakable(name: &str) -> Found {
    let fault = Refusal::unspeakable().fault("synchronize", name);
    Found::Problem { name: name.to_owned(), fault: Fault { kind: FaultKind::InvalidName, ..fault } }
}

fn not_found(path: &Path) -> Fault {
    Fault::new(FaultKind::NotFound, format!("`{path}` is not there"))
}

async fn send(listing: &Listing, page: Vec<Found>) -> Result<(), Fault> {
    if page.is_empty() {
        return Ok(());
    }
    let sent = listing.send(page).await;
    sent.map_err(|_| unread())
}

fn unread() -> Fault {
    Fault::new(FaultKind::Cancelled, "nobody reads the listing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, texts: &[&str]) -> Vec<(String, bool)> {
        let path = Path::new(path).unwrap();
        let mut teller = Teller::default();
        for text in texts {
            let line = match text.strip_suffix('/') {
                Some(name) if !name.is_empty() || text.len() == 1 => Line::Prefix((*text).into()),
                _ => Line::Object {
                    name: (*text).into(),
                    etag: Some("e".into()),
                    size: 1,
                    has_sum: false,
                },
            };
            teller.take(&path, &line, Some(file("e", 1, None)));
        }
        let mut found: Vec<_> = teller
            .last()
            .into_iter()
            .map(|found| match found {
                Found::Entry { name, .. } => (name, true),
                Found::Problem { name, .. } => (name, false),
            })
            .collect();
        found.sort();
        found
    }

    fn all(names: &[(&str, bool)]) -> Vec<(String, bool)> {
        names.iter().map(|(name, is_entry)| ((*name).to_owned(), *is_entry)).collect()
    }

    #[test]
    fn an_object_with_keys_below_it_is_one_problem() {
        assert_eq!(
            told("d", &["a", "a-b", "a/", "b", "b-", "b-/", "c/"]),
            all(&[("a", false), ("a-b", true), ("b", true), ("b-", false), ("c", true)])
        );
    }

    #[test]
    fn keys_that_cant_be_paths_are_problems_and_end_nothing() {
        assert_eq!(
            told("", &["../", "./", "/", "a", "z/"]),
            all(&[(".", false), ("..", false), ("/", false), ("a", true), ("z", true)])
        );
    }
}
