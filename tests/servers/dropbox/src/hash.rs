//! Dropbox's content hash: SHA-256 over the SHA-256 of each block of 4 MiB.

use sha2::{Digest, Sha256};

/// Of one block.
pub const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// The content hash of `bytes`, in hexadecimal digits.
pub fn content_hash(bytes: &[u8]) -> String {
    let mut all = Sha256::new();
    for block in bytes.chunks(BLOCK_BYTES) {
        all.update(Sha256::digest(block));
    }
    hex(&all.finalize())
}

/// `bytes` in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_is_that_of_no_blocks() {
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(content_hash(b""), nothing);
    }

    #[test]
    fn a_second_block_is_hashed_apart() {
        let one = content_hash(&vec![7; BLOCK_BYTES]);
        let two = content_hash(&vec![7; BLOCK_BYTES + 1]);
        assert_ne!(one, two);
        let block = Sha256::digest(vec![7; BLOCK_BYTES]);
        let both = [&block[..], &Sha256::digest([7])[..]].concat();
        assert_eq!(two, hex(&Sha256::digest(both)));
    }
}
