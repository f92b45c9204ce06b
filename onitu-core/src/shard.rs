//! Logical shards: the unit of one Redis transaction, of one topic, and of a Referee's ownership.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::Path;

/// One of [`Shard::COUNT`] parts of the tree: a path belongs to its parent directory's shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(u8);

impl Shard {
    /// How many shards there are; fixed for the life of a store.
    pub const COUNT: usize = 16;

    /// The shard of everything directly inside `directory` (text of a path, empty for the root).
    pub fn of_directory(directory: &str) -> Self {
        Self((xxh3_64(directory.as_bytes()) % Self::COUNT as u64) as u8)
    }

    /// The shard of `path`'s record.
    pub fn of(path: &Path) -> Self {
        Self::of_directory(path.parent_str())
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    /// Its number, below [`Shard::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Two hexadecimal digits: the topic on the bus and the hash tag in Redis.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_share_a_shard() {
        let [a, b] = ["d/a", "d/b"].map(|text| Path::new(text).expect("valid"));
        assert_eq!(Shard::of(&a), Shard::of(&b));
        assert_eq!(Shard::of(&a), Shard::of_directory("d"));
        assert_eq!(Shard::all().count(), Shard::COUNT);
        assert_eq!(Shard::all().last().map(|shard| shard.to_string()), Some("0f".to_owned()));
    }
}
