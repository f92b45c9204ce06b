//! Contents that say of each of their parts whose it is, so that whoever reads one can tell
//! whether it is whole, and which it is, without a book.

/// Each part of so many bytes begins with the content's number, its size and the part's place.
const PART_BYTES: usize = 1024;
/// No content is shorter, so that its first line is whole.
pub(super) const SIZE_MIN: usize = 64;

/// What the bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Everything of this content.
    Whole(u64),
    /// Not a byte.
    Empty,
    /// Begins as this content and isn't all of it.
    Part(u64),
    /// None of the contents.
    Foreign,
}

/// The content number `id`, of `size` bytes.
pub(super) fn content(id: u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + PART_BYTES);
    for part in 0..size.div_ceil(PART_BYTES) {
        let head = format!("{id:012} {size:012} {part:09}\n");
        bytes.extend(head.as_bytes());
        let fill = u8::try_from(id % 64).unwrap_or(0) + b'!';
        bytes.resize((part + 1) * PART_BYTES, fill);
    }
    bytes.truncate(size);
    bytes
}

/// Tells what `bytes` are.
pub(super) fn nature(bytes: &[u8]) -> Nature {
    if bytes.is_empty() {
        return Nature::Empty;
    }
    let number = |from: usize| {
        let digits = bytes.get(from..from + 12)?;
        std::str::from_utf8(digits).ok()?.parse::<u64>().ok()
    };
    let Some(id) = number(0) else { return Nature::Foreign };
    let size = number(13).and_then(|size| usize::try_from(size).ok());
    if size == Some(bytes.len()) && content(id, bytes.len()) == bytes {
        return Nature::Whole(id);
    }
    Nature::Part(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_whole_only_with_all_its_bytes_and_no_others() {
        for size in [SIZE_MIN, 1000, 1024, 1025, 100_000] {
            let bytes = content(7, size);
            assert_eq!((bytes.len(), nature(&bytes)), (size, Nature::Whole(7)));
            assert_eq!(nature(&bytes[..size - 1]), Nature::Part(7));
            let mixed = [&bytes[..size / 2], &content(8, size)[size / 2..]].concat();
            assert_eq!(nature(&mixed), Nature::Part(7));
            let longer = [bytes, vec![0]].concat();
            assert_eq!(nature(&longer), Nature::Part(7));
        }
        assert_eq!(nature(b""), Nature::Empty);
        assert_eq!(nature(&[0; 4096]), Nature::Foreign);
    }
}
