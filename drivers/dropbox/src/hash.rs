//! Dropbox's content hash: SHA-256 over the SHA-256 of each block of 4 MiB.

use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};

/// Bytes of one block.
pub(crate) const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// The content hash of bytes that come block by block.
#[derive(Clone, Default)]
pub(crate) struct ContentHash(Sha256);

impl ContentHash {
    /// Takes the next block: all of them but the last are whole.
    pub(crate) fn block(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.update(Sha256::digest(bytes));
        }
    }

    /// Takes the next block, and tells the hash of it alone: its bytes are gone through once.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> String {
        let digest = Sha256::digest(bytes);
        if !bytes.is_empty() {
            self.0.update(digest);
            return hex(&Sha256::digest(digest));
        }
        of(bytes)
    }

    /// As Dropbox writes it.
    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }

    /// What [`ContentHash::load`] takes up again.
    pub(crate) fn save(&self) -> String {
        hex(&self.0.serialize())
    }

    /// A hash as it was saved; [`None`] if it isn't one.
    pub(crate) fn load(saved: &str) -> Option<Self> {
        let bytes = unhex(saved)?;
        let state = bytes.as_slice().try_into().ok()?;
        Sha256::deserialize(state).ok().map(Self)
    }
}

/// The content hash of bytes that come in pieces of any length.
#[derive(Default)]
pub(crate) struct Running {
    blocks: Sha256,
    block: Sha256,
    filled: usize,
}

impl Running {
    /// Takes the next bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
            self.block.update(now);
            self.filled += now.len();
            if self.filled == BLOCK_BYTES {
                self.blocks.update(self.block.finalize_reset());
                self.filled = 0;
            }
            bytes = later;
        }
    }

    /// As Dropbox writes it.
    pub(crate) fn finish(mut self) -> String {
        if self.filled > 0 {
            self.blocks.update(self.block.finalize());
        }
        hex(&self.blocks.finalize())
    }
}

/// The content hash of bytes that are all there.
pub(crate) fn of(bytes: &[u8]) -> String {
    let mut hash = ContentHash::default();
    bytes.chunks(BLOCK_BYTES).for_each(|block| hash.block(block));
    hash.finish()
}

/// In hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_goes_on_where_it_was_saved() {
        let bytes = vec![7; BLOCK_BYTES + 3];
        let mut first = ContentHash::default();
        first.block(&bytes[..BLOCK_BYTES]);
        let mut second = ContentHash::load(&first.save()).expect("it was saved");
        second.block(&bytes[BLOCK_BYTES..]);
        assert_eq!(second.finish(), of(&bytes));
        assert!(ContentHash::load("7").is_none() && ContentHash::load("").is_none());
    }

    #[test]
    fn it_is_the_hash_that_dropbox_has() {
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of(b""), nothing);
        let bytes = vec![1; 2 * BLOCK_BYTES + 1];
        assert_eq!(of(&bytes), onitu_test_dropbox::content_hash(&bytes));
        let mut hash = ContentHash::default();
        for block in bytes.chunks(BLOCK_BYTES) {
            assert_eq!(hash.take(block), of(block));
        }
        let mut running = Running::default();
        bytes.chunks(999_999).for_each(|piece| running.update(piece));
        assert_eq!((running.finish(), Running::default().finish()), (of(&bytes), of(b"")));
        assert_eq!((hash.finish(), ContentHash::default().take(b"")), (of(&bytes), of(b"")));
    }
}
