//! Reading what the server answers; what can't be read is named, never taken for nothing.

use std::collections::BTreeMap;
use std::fmt::Display;

use redis::{FromRedisValue, Value};
use serde::de::DeserializeOwned;

use super::buckets::Layout;
use crate::store::StoreError;
use crate::{Path, Record, ServiceId};

/// The value at `key` is not what it should be.
pub fn damaged(key: impl Into<String>, reason: impl Display) -> StoreError {
    StoreError::Damaged { key: key.into(), reason: reason.to_string() }
}

/// The answer to a command at `key`.
pub fn read<T: FromRedisValue>(value: Value, key: &str) -> Result<T, StoreError> {
    redis::from_redis_value(value).map_err(|error| damaged(key, error))
}

/// Exactly `N` answers.
pub fn exactly<const N: usize>(values: Vec<Value>) -> Result<[Value; N], StoreError> {
    let count = values.len();
    values.try_into().map_err(|_| {
        StoreError::Unavailable(format!("the server gave {count} answers to {N} commands"))
    })
}

/// The next of several answers.
pub fn next(values: &mut impl Iterator<Item = Value>) -> Result<Value, StoreError> {
    values
        .next()
        .ok_or_else(|| StoreError::Unavailable("the server gave too few answers".to_owned()))
}

/// Fields and values of a hash.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The pairs of a hash.
pub fn pairs(value: Value, key: &str) -> Result<Pairs, StoreError> {
    read(value, key)
}

/// Text that has to be UTF-8.
pub fn text(bytes: Vec<u8>, key: &str) -> Result<String, StoreError> {
    String::from_utf8(bytes).map_err(|error| damaged(key, error))
}

/// A path.
pub fn path(bytes: Vec<u8>, key: &str) -> Result<Path, StoreError> {
    Path::new(&text(bytes, key)?).map_err(|error| damaged(key, error))
}

/// Something that was written as JSON.
pub fn json<T: DeserializeOwned>(bytes: &[u8], key: &str) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(key, error))
}

/// A number written in digits.
pub fn number<T: std::str::FromStr<Err: Display>>(text: &str, key: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| damaged(key, error))
}

/// The number of a service.
pub fn service(bytes: Vec<u8>, key: &str) -> Result<ServiceId, StoreError> {
    number(&text(bytes, key)?, key).map(ServiceId)
}

/// Two numbers with a comma between them.
pub fn two(bytes: Vec<u8>, key: &str) -> Result<(u64, u64), StoreError> {
    let text = text(bytes, key)?;
    let (a, b) = text.split_once(',').ok_or_else(|| damaged(key, "no comma"))?;
    Ok((number(a, key)?, number(b, key)?))
}

/// A directory's layout and how many names it has; [`None`] while it isn't split.
pub fn layout(value: Option<Vec<u8>>, key: &str) -> Result<Option<(Layout, u64)>, StoreError> {
    let Some(bytes) = value else { return Ok(None) };
    let (buckets, names) = two(bytes, key)?;
    let layout = u32::try_from(buckets).ok().and_then(Layout::of);
    let layout = layout.ok_or_else(|| damaged(key, format!("{buckets} buckets")))?;
    Ok(Some((layout, names)))
}

/// A packed record.
pub fn record(packed: &[u8], key: &str) -> Result<Record, StoreError> {
    Record::unpack(packed).map_err(|error| damaged(key, error))
}

/// The records of one bucket.
pub fn records(value: Value, key: &str) -> Result<BTreeMap<String, Record>, StoreError> {
    let pairs = pairs(value, key)?.into_iter();
    pairs.map(|(name, packed)| Ok((text(name, key)?, record(&packed, key)?))).collect()
}
