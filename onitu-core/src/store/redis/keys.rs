//! The names of keys, as `docs/protocol.md` tells them.
//!
//! A path holds no NUL, so a NUL divides a directory from the number of its bucket; every other
//! byte a path may hold stands in a key as it is.

use crate::{Path, ServiceId, Shard};

/// JSON of the registry.
pub const REGISTRY: &str = "registry";
/// Service's name to number.
pub const SERVICE_IDS: &str = "service-ids";
/// Service's number to JSON of what its driver says.
pub const REPORTS: &str = "reports";
/// A hash: `version` and `set`, the JSON of what is ignored.
pub const IGNORING: &str = "ignoring";
/// Service's number, `:` and the path of an ignore file to JSON of what it says there.
pub const IGNORE_TEXTS: &str = "ignore-texts";
/// What the store itself is: the fields below.
pub const META: &str = "meta";
/// Field of [`META`]: version of keys and encodings.
pub const LAYOUT: &str = "layout";
/// Field of [`META`]: chosen when the store was set up.
pub const GENERATION: &str = "generation";
/// Field of [`META`]: the last number given to a service.
pub const LAST_SERVICE: &str = "last-service";
/// Field of a shard's counts: living records.
pub const ENTRIES: &str = "entries";
/// Begins a field of a shard's counts: paths held by the service of the number that follows.
pub const HELD: &str = "held:";
/// Begins a field of a shard's counts: bytes on record of what that service holds.
pub const BYTES: &str = "bytes:";

/// A hash: name to packed record, of one bucket of a directory.
pub fn records(shard: Shard, directory: &str, bucket: u32) -> String {
    match bucket {
        0 => format!("{{{shard}}}:d:{directory}"),
        _ => format!("{{{shard}}}:d:{directory}\0{bucket}"),
    }
}

/// Matches the keys of all directories' buckets.
pub const RECORDS_PATTERN: &str = "{??}:d:*";

/// Matches the keys in which pending work stood before layout 3.
pub const FORMER_PATTERN: &str = "{??}:p:*";

/// Matches every key that belongs to a shard.
pub const SHARDED_PATTERN: &str = "{??}:*";

/// The directory a key of [`RECORDS_PATTERN`] belongs to, and whether it is its first bucket;
/// [`None`] for other keys.
pub fn directory(key: &[u8]) -> Option<(Path, bool)> {
    let (shard, rest) = sharded(key)?;
    let rest = rest.strip_prefix("d:")?;
    let (directory, is_first) = match rest.split_once('\0') {
        Some((directory, _)) => (directory, false),
        None => (rest, true),
    };
    let path = Path::new(directory).ok()?;
    (Shard::of_directory(directory) == shard).then_some((path, is_first))
}

/// Whether a key that matches [`SHARDED_PATTERN`] is one of ours.
pub fn is_ours(key: &[u8]) -> bool {
    sharded(key).is_some_and(|(_, rest)| {
        matches!(rest, "n" | "c" | "s" | "count")
            || ["d:", "w:", "u:", "x:", "p:"].iter().any(|kind| rest.starts_with(kind))
    })
}

fn sharded(key: &[u8]) -> Option<(Shard, &str)> {
    let key = std::str::from_utf8(key).ok()?;
    let (shard, rest) = key.strip_prefix('{')?.split_once("}:")?;
    Some((Shard::all().find(|each| each.to_string() == shard)?, rest))
}

/// A hash: split directory to its layout.
pub fn layouts(shard: Shard) -> String {
    format!("{{{shard}}}:n")
}

/// A hash: path at which the service has work to do to since when, in milliseconds since the epoch.
pub fn pending(shard: Shard, service: ServiceId) -> String {
    format!("{{{shard}}}:w:{service}")
}

/// A hash: path that the service can't keep to since when, in milliseconds since the epoch.
pub fn unable(shard: Shard, service: ServiceId) -> String {
    format!("{{{shard}}}:u:{service}")
}

/// A hash: path to JSON of the fault that keeps the service from its work.
pub fn problems(shard: Shard, service: ServiceId) -> String {
    format!("{{{shard}}}:x:{service}")
}

/// A hash: path of the copy to JSON of the conflict.
pub fn conflicts(shard: Shard) -> String {
    format!("{{{shard}}}:c")
}

/// A hash: service's number to epoch and sequence number.
pub fn streams(shard: Shard) -> String {
    format!("{{{shard}}}:s")
}

/// A hash: [`ENTRIES`] and [`HELD`] to numbers.
pub fn counts(shard: Shard) -> String {
    format!("{{{shard}}}:count")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_directory_whatever_bytes_that_has() {
        for text in ["", "a/b", "x}:d:y", "{07}:d:z", "a\nb", "*[?]", "\u{1f4a9}"] {
            for bucket in [0, 1, 77] {
                let key = records(Shard::of_directory(text), text, bucket);
                let (directory, is_first) = directory(key.as_bytes()).unwrap();
                assert_eq!((directory.as_str(), is_first), (text, bucket == 0));
                assert!(is_ours(key.as_bytes()));
            }
        }
        let other = Shard::all().find(|shard| *shard != Shard::of_directory("a")).unwrap();
        let elsewhere = records(other, "a", 0);
        for strange in ["", "registry", "{zz}:d:a", "{00}:x:1", &elsewhere, "{00}d:"] {
            assert_eq!(directory(strange.as_bytes()), None, "{strange}");
        }
        assert!(!is_ours(b"{00}:session") && !is_ours(b"{10}:d:a"));
    }
}
