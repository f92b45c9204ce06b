//! `.onitu/trash`: what orders removed or replaced, as copies that never left the server.
//!
//! The key tells all there is to say: `ID/the/path`, and the id begins with the time, turned round
//! so that the newest comes first in a listing.

use std::sync::atomic::{AtomicU64, Ordering};

use onitu_plug::{
    Checksum, Fault, FaultKind, Hasher, Kind, Path, TrashPage, TrashQuery, Trashed, Why, clock,
};

use crate::client::{Expect, Object, PAGE, Start, etag};
use crate::fault::{Refusal, unavailable};
use crate::key::{KEY_BYTES_MAX, decode};
use crate::object::Bucket;

const NAME: &str = "trash/";
/// Of an id: the time, a hyphen, a random number and the reason.
pub(crate) const ID_BYTES: usize = 16 + 1 + 4 + 1;
/// Pages of the listing that one question may take.
const PAGES_MAX: usize = 10;
const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;

/// What is about to go is kept.
#[derive(Debug, Clone)]
pub(crate) enum Buried {
    /// As a copy in the trash, under this key.
    Copy(String),
    /// As a version of a bucket that keeps all of them, since it can't be copied from an archive.
    Version,
}

/// What the key of something in the trash says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    id: String,
    path: Path,
    at_us: u64,
    why: Why,
}

fn letter(why: Why) -> char {
    match why {
        Why::Removed => 'd',
        Why::Replaced => 'r',
        Why::Restored => 'u',
        Why::Unknown => 'x',
    }
}

/// A time in microseconds later than any told before by this process.
fn now_us() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = clock::now_ms() * 1_000;
    let told =
        LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
    told.map_or(now, |last| now.max(last + 1))
}

fn id(at_us: u64, why: Why) -> String {
    format!("{:016x}-{:04x}{}", u64::MAX - at_us, fastrand::u16(..), letter(why))
}

/// When and why, if it is an id.
fn parse_id(id: &str) -> Option<(u64, Why)> {
    let (time, rest) = id.split_once('-')?;
    let is_hex =
        |text: &str| text.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it));
    let random = rest.get(..4)?;
    if id.len() != ID_BYTES || time.len() != 16 || !is_hex(time) || !is_hex(random) {
        return None;
    }
    let whys = [Why::Removed, Why::Replaced, Why::Restored, Why::Unknown];
    let why = whys.into_iter().find(|why| rest[4..].starts_with(letter(*why)))?;
    Some((u64::MAX - u64::from_str_radix(time, 16).ok()?, why))
}

/// What `key` says, as it stands after the trash's own beginning.
fn told(key: &str) -> Option<Told> {
    let (id, path) = key.split_once('/')?;
    let (at_us, why) = parse_id(id)?;
    Some(Told { id: id.to_owned(), path: Path::new(path).ok()?, at_us, why })
}

/// When the oldest things went that are still kept for so many days: each until its last day is
/// over.
pub(crate) fn oldest_us(now_ms: u64, days: u32) -> u64 {
    let today_us = now_ms * 1_000 / DAY_US * DAY_US;
    today_us.saturating_sub(u64::from(days) * DAY_US)
}

fn not_found(id: &str) -> Fault {
    Fault::new(FaultKind::NotFound, format!("`{id}` is no longer in the trash"))
}

impl Bucket {
    /// Copies what is about to go into the trash.
    pub(crate) async fn bury(
        &self,
        path: &Path,
        object: &Object,
        why: Why,
    ) -> Result<Buried, Fault> {
        let key = format!("{}{}/{path}", self.keys.own(NAME), id(now_us(), why));
        if key.len() > KEY_BYTES_MAX {
            let text = format!("`{path}` is too long to be kept in the trash: remove it by hand");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        let from = self.keys.file(path);
        match self.copy((&from, object), &key, &Expect::Anything).await {
            Ok(_) => {
                self.recent.bury();
                Ok(Buried::Copy(key))
            }
            Err(refusal) if refusal.is_archived() && self.keeps_versions().await => {
                Ok(Buried::Version)
            }
            Err(refusal) if refusal.may_pass() && self.is_copied(&key, object).await => {
                self.recent.bury();
                Ok(Buried::Copy(key))
            }
            Err(refusal) => Err(self.refused(&refusal, "keep in the trash", path, &from).await),
        }
    }

    /// Whether a copy to the trash was made though nobody has said so: each further attempt would
    /// make one more. Nobody else knows the key, an object is there as a whole or not at all, and a
    /// copy may have another `ETag` than what was uploaded in parts.
    async fn is_copied(&self, key: &str, object: &Object) -> bool {
        let found = self.requests.head(key).await;
        found.is_ok_and(|found| found.is_some_and(|found| found.size == object.size))
    }

    /// What was to go didn't. Its copy is one too many if it still stands there as it was; else it
    /// may be the only one.
    pub(crate) async fn unbury(&self, path: &Path, object: &Object, buried: &Buried) {
        let Buried::Copy(copy) = buried else { return };
        let now = self.requests.head(&self.keys.file(path)).await;
        if now.is_ok_and(|now| now.is_some_and(|now| now.state().tag == object.state().tag)) {
            let _ = self.requests.delete(copy, &Expect::Anything).await;
        }
    }

    /// As [`onitu_plug::Plug::trash`].
    pub(crate) async fn trashed(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        let prefix = self.keys.own(NAME);
        let mut page = TrashPage::default();
        let mut from = match &query.cursor {
            Some(cursor) => Start::After(format!("{prefix}{cursor}")),
            None => Start::Beginning,
        };
        let mut last = None;
        for _ in 0..PAGES_MAX {
            let listed = self.requests.list(&prefix, &from, true, PAGE).await;
            let listed = listed.map_err(|refusal| refusal.fault("list", &prefix))?;
            for object in listed.contents() {
                let key = object.key().and_then(decode);
                let Some(key) = key.as_deref().and_then(|key| key.strip_prefix(&prefix)) else {
                    return Err(unavailable("the listing of the trash can't be read"));
                };
                let Some(told) = told(key) else { continue };
                if told.at_us / 1_000 <= query.after_ms {
                    return Ok(page);
                }
                if told.path.is_within(&query.below) {
                    if page.items.len() == query.limit {
                        page.next = last;
                        return Ok(page);
                    }
                    page.items.push(trashed(told, object.size()));
                }
                last = Some(key.to_owned());
            }
            match Start::after(&listed) {
                Some(next) => from = next,
                None => return Ok(page),
            }
        }
        page.next = last;
        Ok(page)
    }

    /// The key of the thing called `id`, its path and what it is.
    pub(crate) async fn in_trash(&self, id: &str) -> Result<(String, Object), Fault> {
        if parse_id(id).is_none() {
            return Err(not_found(id));
        }
        let failed = |refusal: Refusal| refusal.fault("look up in the trash", id);
        let prefix = format!("{}{id}/", self.keys.own(NAME));
        let listed =
            self.requests.list(&prefix, &Start::Beginning, true, 1).await.map_err(failed)?;
        let key = listed.contents().first().and_then(|object| decode(object.key()?));
        let key = key.ok_or_else(|| not_found(id))?;
        let object = self.requests.head(&key).await.map_err(failed)?;
        Ok((key, object.ok_or_else(|| not_found(id))?))
    }

    /// As [`onitu_plug::Plug::hash_trashed`].
    pub(crate) async fn hash_trashed(&self, id: &str) -> Result<Checksum, Fault> {
        let (key, object) = self.in_trash(id).await?;
        if let Some(checksum) = object.checksum {
            return Ok(checksum);
        }
        let failed = |refusal: Refusal| refusal.fault("read in the trash", id);
        let found = match self.requests.get(&key, None, &object.expect()).await {
            Err(refusal) if refusal.is_archived() => {
                let path = told(key.trim_start_matches(&self.keys.own(NAME)));
                let path = path.map_or_else(Path::root, |told| told.path);
                return Err(self.refused(&refusal, "read", &path, &key).await);
            }
            found => found.map_err(failed)?,
        };
        let (mut body, mut hasher) = (found.body, Hasher::default());
        let mut size = 0;
        while let Some(chunk) = body.next().await {
            let chunk =
                chunk.map_err(|error| unavailable(format!("can't read `{id}`: {error}")))?;
            size += chunk.len() as u64;
            hasher.update(&chunk);
        }
        if size != object.size || etag(found.e_tag.as_deref()) != Some(object.etag) {
            return Err(unavailable(format!("`{id}` in the trash was cut off")));
        }
        Ok(hasher.finish())
    }

    /// Removes what went before a time, in microseconds since 1970, and the oldest beyond the size.
    pub(crate) async fn purge(&self, oldest_us: u64, bytes_max: Option<u64>) -> Result<(), Fault> {
        let prefix = self.keys.own(NAME);
        let failed = |refusal: Refusal| refusal.fault("clear", &prefix);
        let mut from = match bytes_max {
            // Only what is too old needs to be seen.
            None => Start::After(format!("{prefix}{:016x}", u64::MAX - oldest_us)),
            Some(_) => Start::Beginning,
        };
        let mut bytes = 0_u64;
        loop {
            let listed = self.requests.list(&prefix, &from, true, PAGE).await.map_err(failed)?;
            let mut keys = Vec::new();
            for object in listed.contents() {
                let Some(key) = object.key().and_then(decode) else { continue };
                let Some(told) = key.strip_prefix(&prefix).and_then(told) else { continue };
                bytes += object.size().and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
                if told.at_us < oldest_us || bytes_max.is_some_and(|most| bytes > most) {
                    keys.push(key);
                }
            }
            if !keys.is_empty() {
                self.requests.delete_all(&keys).await.map_err(failed)?;
            }
            match Start::after(&listed) {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }
}

fn trashed(told: Told, size: Option<i64>) -> Trashed {
    Trashed {
        id: told.id,
        path: told.path,
        at_ms: told.at_us / 1_000,
        kind: Kind::File,
        size: size.and_then(|size| size.try_into().ok()).unwrap_or(0),
        mtime_ns: 0,
        why: told.why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_what_was_buried_and_the_newest_comes_first() {
        let (first, second) = (now_us(), now_us());
        assert!(second > first);
        let (older, newer) = (id(first, Why::Removed), id(second, Why::Replaced));
        assert!(newer < older);
        assert_eq!(older.len(), ID_BYTES);
        let told = told(&format!("{older}/a/b")).unwrap();
        assert_eq!(told.path.as_str(), "a/b");
        assert_eq!((told.at_us, told.why), (first, Why::Removed));
    }

    #[test]
    fn things_are_kept_until_their_last_day_is_over() {
        let day_ms = DAY_US / 1_000;
        assert_eq!(oldest_us(100 * day_ms + 5, 0), 100 * DAY_US);
        assert_eq!(oldest_us(100 * day_ms + 5, 30), 70 * DAY_US);
        assert_eq!(oldest_us(day_ms, 30), 0);
    }

    #[test]
    fn what_is_no_id_is_not_looked_up() {
        for text in ["", "..", "../../file", "2020-01-01/0-0", "00000000000000aa-00ffq", "é"] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }
}
