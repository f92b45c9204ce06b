//! Writing, copying and removing objects only where something certain stands.
//!
//! A server that knows conditions decides in the very instant. For one that doesn't (`probe` has
//! found out), what stands there is looked at right before and, where that can tell anything,
//! right after: a narrower promise, which `docs/drivers/s3.md` explains.

use onitu_plug::{Bytes, Checksum, Content, Kind, Path, State, Tag};

use crate::archive::Thawing;
use crate::client::{Expect, Label, Object, Requests, Start};
use crate::fault::Refusal;
use crate::key::Keys;
use crate::options::Options;
use crate::recent::Recent;
use crate::reuse::Shelf;

/// S3's limits: the least and the usual size of a part, the number of parts, one copy.
const PART_BYTES: u64 = 8 * 1024 * 1024;
const PARTS_MAX: u64 = 10_000;
const COPY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// Which requests the server makes depend on what stands under the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about one server")]
pub(crate) struct Conditions {
    pub(crate) put: bool,
    pub(crate) complete: bool,
    pub(crate) copy: bool,
    /// Of the object from which a part is copied.
    pub(crate) part_source: bool,
    pub(crate) delete: bool,
}

/// A bucket, or the part of one that a service has.
pub(crate) struct Bucket {
    pub(crate) requests: Requests,
    pub(crate) keys: Keys,
    pub(crate) conditions: Conditions,
    pub(crate) recent: Recent,
    pub(crate) thawing: Thawing,
    /// Where hashes of parts are kept, if there is such a place.
    pub(crate) shelf: Option<Shelf>,
    part_bytes: u64,
    copy_bytes_max: u64,
}

/// The tag of an object: its `ETag` and size. Never taken for a hash of its bytes.
pub(crate) fn tag(etag: &str, size: u64) -> Tag {
    Tag::of(format!("{etag} {size}").as_bytes())
}

/// The state of a file.
pub(crate) fn file(etag: &str, size: u64, checksum: Option<Checksum>) -> State {
    let content = Content { kind: Kind::File, size, checksum, ..Content::DIRECTORY };
    State { content, tag: tag(etag, size) }
}

/// The state of every directory: a key's beginning has nothing that could change.
pub(crate) fn directory() -> State {
    State { content: Content::DIRECTORY, tag: Tag::of(b"directory") }
}

impl Object {
    pub(crate) fn state(&self) -> State {
        file(&self.etag, self.size, self.checksum)
    }

    pub(crate) fn expect(&self) -> Expect {
        Expect::Etag(self.etag.clone())
    }
}

impl Bucket {
    /// Over a connection, for a server that knows no conditions until something else was found.
    pub(crate) fn new(requests: Requests, options: &Options) -> Self {
        let none = Conditions {
            put: false,
            complete: false,
            copy: false,
            part_source: false,
            delete: false,
        };
        Self {
            requests,
            keys: Keys::new(&options.prefix),
            conditions: none,
            recent: Recent::default(),
            thawing: options.thawing(),
            shelf: None,
            part_bytes: options.part_bytes.unwrap_or(PART_BYTES).max(1),
            copy_bytes_max: options.copy_bytes_max.unwrap_or(COPY_BYTES_MAX).max(1),
        }
    }

    /// How large the parts of a file of this size are: few enough for S3 to take them all.
    pub(crate) fn part_bytes(&self, size: u64) -> u64 {
        let least = size.div_ceil(PARTS_MAX - 1_000);
        self.part_bytes.max(least.next_multiple_of(1024 * 1024).min(least * 2))
    }

    /// Whether anything stands below the directory's key.
    pub(crate) async fn holds_something(&self, path: &Path) -> Result<bool, Refusal> {
        let prefix = self.keys.directory(path);
        let page = self.requests.list(&prefix, &Start::Beginning, true, 1).await?;
        Ok(!page.contents().is_empty())
    }

    /// What stands under the key is what is expected, now.
    pub(crate) async fn check(&self, key: &str, expect: &Expect) -> Result<(), Refusal> {
        let is_met = match expect {
            Expect::Anything => true,
            Expect::Nothing => self.requests.head(key).await?.is_none(),
            Expect::Etag(etag) => {
                self.requests.head(key).await?.is_some_and(|found| found.etag == *etag)
            }
        };
        if is_met { Ok(()) } else { Err(Refusal::unmet()) }
    }

    /// Does something under a condition that the server may not know, and that is then looked at
    /// before and after.
    async fn guarded(
        &self,
        is_known: bool,
        key: &str,
        expect: &Expect,
        size: u64,
        request: impl AsyncFnOnce(&Expect) -> Result<Option<String>, Refusal>,
    ) -> Result<State, Refusal> {
        if is_known || *expect == Expect::Anything {
            let etag = request(expect).await?;
            return self.placed(key, etag, size).await;
        }
        self.check(key, expect).await?;
        let etag = request(&Expect::Anything).await?;
        let state = self.placed(key, etag, size).await?;
        match self.requests.head(key).await? {
            Some(found) if found.state().tag == state.tag => Ok(state),
            _ => Err(Refusal::unmet()),
        }
    }

    /// The state of what was just put, for which the answer has the `ETag`, or else a look.
    async fn placed(&self, key: &str, etag: Option<String>, size: u64) -> Result<State, Refusal> {
        let state = match etag {
            Some(etag) => file(&etag, size, None),
            None => self.requests.head(key).await?.ok_or_else(Refusal::unmet)?.state(),
        };
        self.recent.appeared(key);
        Ok(state)
    }

    /// Writes a whole object.
    pub(crate) async fn put(
        &self,
        key: &str,
        body: Bytes,
        label: &Label,
        expect: &Expect,
    ) -> Result<State, Refusal> {
        let size = body.len() as u64;
        let put = async |expect: &Expect| self.requests.put(key, body, label, expect).await;
        self.guarded(self.conditions.put, key, expect, size, put).await
    }

    /// Makes an object of an upload's parts; tells its `ETag` too, if the server did.
    pub(crate) async fn complete(
        &self,
        (key, upload): (&str, &str),
        parts: &[String],
        size: u64,
        expect: &Expect,
    ) -> Result<(State, Option<String>), Refusal> {
        let mut made = None;
        let complete = async |expect: &Expect| {
            made = self.requests.complete_upload(key, upload, parts, expect).await?;
            Ok(made.clone())
        };
        let state = self.guarded(self.conditions.complete, key, expect, size, complete).await?;
        Ok((state, made))
    }

    /// Copies an object that is in this state, without its bytes leaving the server.
    pub(crate) async fn copy(
        &self,
        (from, object): (&str, &Object),
        to: &str,
        expect: &Expect,
    ) -> Result<State, Refusal> {
        let size = object.size;
        let is_known = self.conditions.copy || *expect == Expect::Anything;
        let in_parts = size > 0 && !is_known && self.conditions.complete;
        if size > self.copy_bytes_max || in_parts {
            return self.copy_in_parts((from, object), to, expect).await;
        }
        let copy = async |expect: &Expect| self.requests.copy(from, &object.etag, to, expect).await;
        self.guarded(is_known, to, expect, size, copy).await
    }

    async fn copy_in_parts(
        &self,
        (from, object): (&str, &Object),
        to: &str,
        expect: &Expect,
    ) -> Result<State, Refusal> {
        let upload = self.requests.begin_upload(to, &Label::of_file()).await?;
        let copied = async {
            let (mut parts, mut at) = (Vec::new(), 0);
            for number in 1.. {
                let end = object.size.min(at + self.copy_bytes_max);
                let range = (at, end - 1);
                let source = (from, object.etag.as_str(), range);
                parts.push(self.requests.copy_part(source, to, &upload, number).await?);
                at = end;
                if at == object.size {
                    break;
                }
            }
            let completed = self.complete((to, &upload), &parts, object.size, expect).await;
            completed.map(|(state, _)| state)
        };
        let copied = copied.await;
        if copied.is_err() {
            // Its parts cost money for as long as they are there. What isn't ended now is left.
            let _ = self.requests.abort_upload(to, &upload).await;
        }
        copied
    }

    /// Removes an object that is in this state.
    pub(crate) async fn delete(&self, key: &str, object: &Object) -> Result<(), Refusal> {
        let expect = object.expect();
        if self.conditions.delete {
            self.requests.delete(key, &expect).await?;
        } else {
            self.check(key, &expect).await?;
            self.requests.delete(key, &Expect::Anything).await?;
        }
        Ok(())
    }

    /// Makes the directory stand even if it is empty, and those above it.
    pub(crate) async fn mark(&self, path: &Path) -> Result<(), Refusal> {
        let above: Vec<Path> = std::iter::successors(Some(path.clone()), Path::parent)
            .take_while(|it| !it.is_root())
            .collect();
        for above in above.into_iter().rev() {
            if self.recent.is_directory(&above) {
                continue;
            }
            let key = self.keys.directory(&above);
            let label = Label::default();
            match self.put(&key, Bytes::new(), &label, &Expect::Nothing).await {
                Err(refusal) if !refusal.is_unmet() => return Err(refusal),
                _ => {
                    self.recent.keep_own(&key, Some(directory().tag));
                    self.recent.keep_directory(&above);
                }
            }
        }
        Ok(())
    }

    /// As [`Self::mark`] for the directory of what was just placed or is about to go: that it
    /// can't be has no other consequence than that the directory may go with its last file.
    pub(crate) async fn mark_parent(&self, path: &Path) {
        if let Some(parent) = path.parent()
            && let Err(refusal) = self.mark(&parent).await
        {
            tracing::debug!("{}", refusal.fault("mark", &parent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_or_another_size_have_another_tag() {
        assert_eq!(tag("a", 1), tag("a", 1));
        assert_ne!(tag("a", 1), tag("b", 1));
        assert_ne!(tag("a", 1), tag("a", 2));
        assert_ne!(tag("a", 1), directory().tag);
    }
}
