//! Parts of a large object that need not be sent again when it is replaced: the server copies what
//! hasn't changed.
//!
//! An `ETag` doesn't tell what a part holds, so each part that is sent is hashed (SHA-256), and the
//! hashes are kept on this machine with the `ETag` of the object they became. A part of the next
//! content whose hash is the same is copied from the old object, on the condition that it still has
//! that `ETag`. Losing the hashes, or a server that can't copy, costs bytes on the wire and nothing
//! else; the checksum of the whole is computed from the bytes themselves either way.

use std::fs;
use std::io;
use std::path::{Path as File, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onitu_plug::{Checksum, Tag};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const DIRECTORY: &str = "parts";
/// Files of hashes at most: an object whose place is taken takes it over.
const FILES_MAX: u64 = 4_096;
const HASH_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 20;
/// A file of the most parts an object can have, and far more.
const BYTES_MAX: u64 = 1024 * 1024;

/// What a part holds.
pub(crate) type Hash = [u8; HASH_BYTES];
/// Of a part of which it isn't known: no part has it.
pub(crate) const UNKNOWN: Hash = [0; HASH_BYTES];

/// The hash of a part.
pub(crate) fn hash(part: &[u8]) -> Hash {
    Sha256::digest(part).into()
}

/// The object that the hashes are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) part_bytes: u64,
}

/// Where hashes are kept.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    directory: PathBuf,
}

impl Shelf {
    /// In the driver's own directory of this machine.
    pub(crate) fn new(state_dir: &File) -> Self {
        Self { directory: state_dir.join(DIRECTORY) }
    }

    fn file(&self, bucket: &str, key: &str) -> PathBuf {
        let tag = Tag::of(format!("{bucket}/{key}").as_bytes());
        let number = tag.0.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        self.directory.join(format!("{:04x}", number % FILES_MAX))
    }

    /// Keeps the hashes of an object's parts; that they can't be kept has no consequence.
    pub(crate) async fn keep(&self, whole: Whole, parts: Vec<Hash>) {
        let file = self.file(&whole.bucket, &whole.key);
        let kept = tokio::task::spawn_blocking(move || write(&file, &whole, &parts)).await;
        if let Ok(Err(error)) = kept {
            tracing::debug!("the hashes of parts can't be kept: {error}");
        }
    }

    /// The object under the key as it was when its hashes were kept.
    pub(crate) async fn known(&self, bucket: &str, key: &str) -> Option<Known> {
        let file = self.file(bucket, key);
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        let known = read.ok().flatten()?;
        ((known.whole.bucket.as_str(), known.whole.key.as_str()) == (bucket, key)).then_some(known)
    }
}

fn write(file: &File, whole: &Whole, parts: &[Hash]) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(whole)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(parts.as_flattened());
    bytes.extend_from_slice(&Checksum::of(&bytes).0);
    let Some(directory) = file.parent() else { return Ok(()) };
    fs::create_dir_all(directory)?;
    let new = file.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, file)
}

fn read(file: &File) -> Option<Known> {
    if fs::metadata(file).ok()?.len() > BYTES_MAX {
        return None;
    }
    let bytes = fs::read(file).ok()?;
    let (told, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if Checksum::of(told).0.as_slice() != checksum {
        return None;
    }
    let end = told.iter().position(|byte| *byte == b'\n')?;
    let whole: Whole = serde_json::from_slice(&told[..end]).ok()?;
    let parts = told[end + 1..].chunks_exact(HASH_BYTES);
    let parts: Vec<Hash> = parts.filter_map(|part| part.try_into().ok()).collect();
    let is_right =
        whole.part_bytes > 0 && parts.len() as u64 == whole.size.div_ceil(whole.part_bytes);
    is_right.then(|| Known { whole, parts, is_over: Arc::default() })
}

/// An object whose parts are known.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) whole: Whole,
    parts: Vec<Hash>,
    /// It has changed, or the server doesn't copy parts.
    is_over: Arc<AtomicBool>,
}

impl Known {
    /// The range of the object that holds the same as the part with this index, counted from 0;
    /// its first and last byte.
    pub(crate) fn same(&self, index: usize, hash: &Hash) -> Option<(u64, u64)> {
        if self.is_over.load(Ordering::Relaxed) || *hash == UNKNOWN {
            return None;
        }
        self.parts.get(index).filter(|part| *part == hash)?;
        let from = index as u64 * self.whole.part_bytes;
        Some((from, self.whole.size.min(from + self.whole.part_bytes) - 1))
    }

    /// Nothing of it can be copied any more.
    pub(crate) fn give_up(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(key: &str) -> Whole {
        let (bucket, key, etag) = ("b".to_owned(), key.to_owned(), "e".to_owned());
        Whole { bucket, key, etag, size: 25, part_bytes: 10 }
    }

    fn parts() -> Vec<Hash> {
        vec![hash(b"one"), UNKNOWN, hash(b"three")]
    }

    #[tokio::test]
    async fn what_was_kept_is_known_again_and_tells_equal_parts_at_their_places() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path());
        assert!(shelf.known("b", "k").await.is_none());
        shelf.keep(whole("k"), parts()).await;
        let known = shelf.known("b", "k").await.unwrap();
        assert_eq!(known.whole, whole("k"));
        assert_eq!(known.same(0, &hash(b"one")), Some((0, 9)));
        assert_eq!(known.same(2, &hash(b"three")), Some((20, 24)));
        assert_eq!(known.same(1, &UNKNOWN), None);
        assert_eq!(known.same(1, &hash(b"one")), None);
        assert_eq!(known.same(3, &hash(b"three")), None);
        known.clone().give_up();
        assert_eq!(known.same(0, &hash(b"one")), None);
        assert!(shelf.known("other", "k").await.is_none());
    }

    #[tokio::test]
    async fn a_file_that_is_damaged_tells_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path());
        shelf.keep(whole("k"), parts()).await;
        let file = shelf.file("b", "k");
        let good = fs::read(&file).unwrap();
        for (at, end) in [(0, good.len()), (good.len() - 30, good.len()), (1, 40), (1, 10)] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            bad.truncate(end);
            fs::write(&file, bad).unwrap();
            assert!(shelf.known("b", "k").await.is_none(), "{at} {end}");
        }
        fs::write(&file, &good).unwrap();
        assert!(shelf.known("b", "k").await.is_some());
    }

    #[test]
    fn there_are_never_more_files_than_bounded() {
        let shelf = Shelf::new(File::new("dir"));
        let files: std::collections::BTreeSet<_> =
            (0..100_000).map(|number| shelf.file("b", &format!("{number}"))).collect();
        assert!(files.len() as u64 <= FILES_MAX && files.len() > 4_000, "{}", files.len());
    }
}
