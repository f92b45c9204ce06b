//! A large file on its way: an upload in parts that outlives a crash.
//!
//! S3 doesn't give back the bytes of parts, so what is needed to go on (the upload's id, how many
//! parts are there, and the checksum's state after them) is kept in `.onitu/uploads`, written after
//! the part it tells of. What nobody took up again is ended after some days.

use std::collections::VecDeque;
use std::sync::Arc;

use onitu_plug::{Bytes, Content, Fault, Hasher, Path, Tag, clock};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::client::{Expect, Label, PAGE, Start};
use crate::fault::{Refusal, unavailable};
use crate::key::decode;
use crate::marker::read_own;
use crate::object::Bucket;
use crate::reuse::{self, Hash, Known, Whole};
use crate::write::label;

const NAME: &str = "uploads/";
/// Far more than a record ever holds.
const BYTES_MAX: i64 = 64 * 1024;
/// Parts of one upload that are sent at once.
const SENDING_MAX: usize = 4;
/// An upload may have begun so much earlier than the record of it says: two clocks.
const CLOCKS_S: u64 = 60;

/// What is kept of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    key: String,
    size: u64,
    part_bytes: u64,
    begun_ms: u64,
    /// Nothing until S3 has said it.
    upload: Option<String>,
    /// How many parts are there, without a gap.
    parts: usize,
    /// Of their `ETag`s, to know them again.
    tag: Tag,
    /// Of the checksum after them.
    hash: Vec<u8>,
}

impl Record {
    fn is_for(&self, key: &str, size: u64, part_bytes: u64) -> bool {
        (self.key.as_str(), self.size, self.part_bytes) == (key, size, part_bytes)
    }
}

fn tag_of(etags: &[String]) -> Tag {
    Tag::of(etags.join(" ").as_bytes())
}

/// A part that arrived: its `ETag`, and what it holds.
type Sent = (String, Hash);

/// A part on its way, and the checksum's state after it; given up when dropped.
struct Sending {
    task: JoinHandle<Result<Sent, Refusal>>,
    hash: Vec<u8>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A large file on its way.
pub(crate) struct Upload {
    bucket: Arc<Bucket>,
    path: Path,
    /// Of the record.
    name: String,
    record: Record,
    id: String,
    etags: Vec<String>,
    /// Of the parts that were sent now; those of an earlier attempt aren't known.
    hashes: Vec<Hash>,
    /// The object that is replaced, if its parts are known.
    known: Option<Known>,
    sending: VecDeque<Sending>,
    hasher: Hasher,
    part: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
    size: u64,
}

impl Upload {
    /// Takes up the upload that was begun under `resume`, or begins one.
    pub(crate) async fn begin(
        bucket: Arc<Bucket>,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<Self, Fault> {
        let mut upload = Self::begin_anew_or_not(bucket, path, content, resume).await?;
        if let Some(shelf) = upload.bucket.shelf.as_ref()
            // Else parts might be copied of something else.
            && upload.bucket.conditions.part_source
        {
            let known = shelf.known(upload.bucket.requests.bucket(), &upload.record.key).await;
            let part_bytes = upload.record.part_bytes;
            upload.known = known.filter(|known| known.whole.part_bytes == part_bytes);
        }
        Ok(upload)
    }

    async fn begin_anew_or_not(
        bucket: Arc<Bucket>,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<Self, Fault> {
        let key = bucket.keys.file(path);
        let name = format!("{NAME}{resume:016x}-{:?}", Tag::of(key.as_bytes()));
        let part_bytes = bucket.part_bytes(content.size);
        let failed = |refusal: Refusal| refusal.fault("write", path);
        let found = read(&bucket, &name).await.map_err(failed)?;
        if let Some(found) = found {
            if found.is_for(&key, content.size, part_bytes)
                && let Some(taken) =
                    Self::take_up(&bucket, path, &name, &found).await.map_err(failed)?
            {
                return Ok(taken);
            }
            end(&bucket, &found).await.map_err(failed)?;
        }
        let mut record = Record {
            key: key.clone(),
            size: content.size,
            part_bytes,
            begun_ms: clock::now_ms(),
            upload: None,
            parts: 0,
            tag: tag_of(&[]),
            hash: Hasher::default().state(),
        };
        // Before there is an upload: should this end here, it is known where to look for one.
        keep(&bucket, &name, &record).await.map_err(failed)?;
        let id = bucket.requests.begin_upload(&key, &label(content)).await.map_err(failed)?;
        record.upload = Some(id.clone());
        keep(&bucket, &name, &record).await.map_err(failed)?;
        Ok(Self::new(bucket, path, name, record, id, Vec::new(), Hasher::default()))
    }

    fn new(
        bucket: Arc<Bucket>,
        path: &Path,
        name: String,
        record: Record,
        id: String,
        etags: Vec<String>,
        hasher: Hasher,
    ) -> Self {
        Self {
            bucket,
            path: path.clone(),
            name,
            id,
            size: etags.len() as u64 * record.part_bytes,
            hashes: vec![reuse::UNKNOWN; etags.len()],
            known: None,
            record,
            etags,
            sending: VecDeque::new(),
            hasher,
            part: Vec::new(),
            room: None,
        }
    }

    /// Goes on with an upload, if its parts are there as the record has them.
    async fn take_up(
        bucket: &Arc<Bucket>,
        path: &Path,
        name: &str,
        record: &Record,
    ) -> Result<Option<Self>, Refusal> {
        let (Some(id), Some(hasher)) = (&record.upload, Hasher::resume(&record.hash)) else {
            return Ok(None);
        };
        let mut etags: Vec<String> = Vec::new();
        while etags.len() < record.parts {
            let after = i32::try_from(etags.len()).unwrap_or(i32::MAX);
            let parts = match bucket.requests.parts(&record.key, id, after).await {
                Err(refusal) if refusal.is_no_upload() || refusal.is_missing() => return Ok(None),
                parts => parts?,
            };
            let before = etags.len();
            for (number, etag, size) in parts {
                let is_next = usize::try_from(number) == Ok(etags.len() + 1);
                if is_next && size == record.part_bytes && etags.len() < record.parts {
                    etags.push(etag);
                }
            }
            if etags.len() == before {
                return Ok(None);
            }
        }
        if record.parts == 0 || tag_of(&etags) != record.tag {
            return Ok(None);
        }
        let (record, name) = (record.clone(), name.to_owned());
        let id = id.clone();
        Ok(Some(Self::new(Arc::clone(bucket), path, name, record, id, etags, hasher)))
    }

    /// As [`onitu_plug::Sink::resumed`].
    pub(crate) fn resumed(&self) -> (u64, Hasher) {
        (self.size, self.hasher.clone())
    }

    /// The key and the upload's id.
    pub(crate) fn id(&self) -> (&str, &str) {
        (&self.record.key, &self.id)
    }

    /// The `ETag`s of all parts, once it is finished.
    pub(crate) fn parts(&self) -> &[String] {
        &self.etags
    }

    /// Bytes that were written.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// As [`onitu_plug::Sink::write`].
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), Fault> {
        let part_bytes = usize::try_from(self.record.part_bytes).unwrap_or(usize::MAX);
        while !bytes.is_empty() {
            if self.room.is_none() {
                self.room = self.bucket.requests.room(self.record.part_bytes).await;
                self.part = Vec::with_capacity(part_bytes);
            }
            let piece = bytes.split_to(bytes.len().min(part_bytes - self.part.len()));
            self.hasher.update(&piece);
            self.size += piece.len() as u64;
            self.part.extend_from_slice(&piece);
            if self.part.len() == part_bytes {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Fault> {
        while self.sending.len() >= SENDING_MAX
            || self.sending.front().is_some_and(|first| first.task.is_finished())
        {
            self.take_sent().await?;
        }
        let number = i32::try_from(self.etags.len() + self.sending.len() + 1).unwrap_or(i32::MAX);
        let (bucket, key, id) =
            (Arc::clone(&self.bucket), self.record.key.clone(), self.id.clone());
        let (part, room) = (Bytes::from(std::mem::take(&mut self.part)), self.room.take());
        let known = self.known.clone();
        let task = tokio::spawn(async move {
            let sent = send_part(&bucket, known, (&key, &id, number), part).await;
            drop(room);
            sent
        });
        self.sending.push_back(Sending { task, hash: self.hasher.state() });
        Ok(())
    }

    /// Waits for the first part that is on its way, and writes down that it is there.
    async fn take_sent(&mut self) -> Result<(), Fault> {
        let Some(mut first) = self.sending.pop_front() else { return Ok(()) };
        let sent = (&mut first.task).await;
        let sent = sent.map_err(|error| unavailable(format!("a part was given up: {error}")))?;
        let (etag, hash) = sent.map_err(|refusal| refusal.fault("write", &self.path))?;
        self.etags.push(etag);
        self.hashes.push(hash);
        self.record.parts = self.etags.len();
        self.record.tag = tag_of(&self.etags);
        self.record.hash = std::mem::take(&mut first.hash);
        let is_whole = self.record.parts as u64 * self.record.part_bytes <= self.size;
        if is_whole {
            let kept = keep(&self.bucket, &self.name, &self.record).await;
            kept.map_err(|refusal| refusal.fault("write", &self.path))?;
        }
        Ok(())
    }

    /// Sends what is left and waits until all parts are there.
    pub(crate) async fn finish(&mut self) -> Result<(), Fault> {
        if !self.part.is_empty() {
            self.send().await?;
        }
        while !self.sending.is_empty() {
            self.take_sent().await?;
        }
        Ok(())
    }

    /// It became an object with this `ETag`: the next one may be made of its parts.
    pub(crate) async fn keep_parts(&mut self, etag: Option<String>) {
        let (Some(kept_on), Some(etag)) = (&self.bucket.shelf, etag) else { return };
        let Record { key, size, part_bytes, .. } = self.record.clone();
        let bucket = self.bucket.requests.bucket().to_owned();
        let whole = Whole { bucket, key, etag, size, part_bytes };
        kept_on.keep(whole, std::mem::take(&mut self.hashes)).await;
    }

    /// It was placed: nothing is to be taken up any more.
    pub(crate) async fn forget(&self) {
        let key = self.bucket.keys.own(&self.name);
        // A record that stays is found to be of no upload later on.
        let _ = self.bucket.requests.delete(&key, &Expect::Anything).await;
    }

    /// Gives it up and removes its parts.
    pub(crate) async fn abort(&mut self) {
        self.sending.clear();
        if end(&self.bucket, &self.record).await.is_ok() {
            self.forget().await;
        }
    }
}

/// Sends a part, or has it copied from the object that is replaced if that holds the same.
async fn send_part(
    bucket: &Bucket,
    known: Option<Known>,
    (key, upload, number): (&str, &str, i32),
    part: Bytes,
) -> Result<Sent, Refusal> {
    let hash = match &bucket.shelf {
        Some(_) => reuse::hash(&part),
        None => reuse::UNKNOWN,
    };
    let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
    if let Some(known) = known
        && let Some(range) = known.same(index, &hash)
    {
        let source = (key, known.whole.etag.as_str(), range);
        match bucket.requests.copy_part(source, key, upload, number).await {
            Ok(etag) if !etag.is_empty() => return Ok((etag, hash)),
            // It has changed, or the server can't: all the rest is sent.
            _ => known.give_up(),
        }
    }
    Ok((bucket.requests.upload_part(key, upload, number, part).await?, hash))
}

async fn read(bucket: &Bucket, name: &str) -> Result<Option<Record>, Refusal> {
    let bytes = read_own(bucket, name, BYTES_MAX).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

async fn keep(bucket: &Bucket, name: &str, record: &Record) -> Result<(), Refusal> {
    let body = serde_json::to_vec(record).unwrap_or_default();
    let key = bucket.keys.own(name);
    bucket.requests.put(&key, body.into(), &Label::default(), &Expect::Anything).await.map(drop)
}

/// Ends the upload that a record tells of. One of which the id was never heard is looked for: begun
/// for this key, at that time.
async fn end(bucket: &Bucket, record: &Record) -> Result<(), Refusal> {
    if let Some(id) = &record.upload {
        return bucket.requests.abort_upload(&record.key, id).await;
    }
    let begun_s = record.begun_ms / 1_000;
    let near = begun_s.saturating_sub(CLOCKS_S)..=begun_s + CLOCKS_S;
    for (id, initiated_s) in bucket.requests.uploads(&record.key).await? {
        if u64::try_from(initiated_s).is_ok_and(|it| near.contains(&it)) {
            bucket.requests.abort_upload(&record.key, &id).await?;
        }
    }
    Ok(())
}

/// Ends the uploads that nobody has gone on with for so long.
pub(crate) async fn end_abandoned(bucket: &Bucket, kept_s: u64) -> Result<(), Fault> {
    let prefix = bucket.keys.own(NAME);
    let failed = |refusal: Refusal| refusal.fault("end abandoned uploads in", &prefix);
    let before_s = (clock::now_ms() / 1_000).saturating_sub(kept_s);
    let mut from = Some(Start::Beginning);
    while let Some(begin) = from {
        let page = bucket.requests.list(&prefix, &begin, true, PAGE).await.map_err(failed)?;
        for object in page.contents() {
            let changed_s = object.last_modified().and_then(|it| u64::try_from(it.secs()).ok());
            let Some(key) = object.key().and_then(decode) else { continue };
            let Some(name) = key.strip_prefix(&prefix) else { continue };
            if changed_s.is_none_or(|it| it > before_s) {
                continue;
            }
            if let Some(record) = read(bucket, &format!("{NAME}{name}")).await.map_err(failed)? {
                end(bucket, &record).await.map_err(failed)?;
            }
            bucket.requests.delete(&key, &Expect::Anything).await.map_err(failed)?;
        }
        from = Start::after(&page);
    }
    Ok(())
}
