//! Removing for good: what is too old, and the oldest of what is too much.
//!
//! Only directories named by a date are ever touched, and nothing in them while something is put
//! back from there. What can't be removed stays, is told, and stops nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use onitu_plug::clock;
use onitu_plug::date::{DAY_MS, date};

use super::index::{INDEX, is_id};
use super::list::days;
use crate::area::Entries;
use crate::client::Remote;
use crate::fault::Failure;
use crate::wire::request::Request;

/// Things of one day that are looked at together; beyond, they are taken in turns.
const THINGS_MAX: usize = 50_000;

/// Removes what is too old, and the oldest of what is too much, if something came since.
pub(crate) async fn purge(remote: &Remote) -> Result<(), Failure> {
    let trash = &remote.trash;
    let today = clock::now_ms() / DAY_MS;
    let oldest = date(today.saturating_sub(trash.days.into()));
    let (old, kept): (Vec<String>, Vec<String>) =
        days(remote).await?.into_iter().partition(|day| *day < oldest);
    for day in old {
        remove_day(remote, &day).await?;
    }
    match trash.bytes {
        Some(most) if trash.has_grown.swap(false, Ordering::Relaxed) => {
            by_size(remote, &kept, most).await
        }
        _ => Ok(()),
    }
}

/// Removes the oldest until all of them together have at most `most` bytes.
async fn by_size(remote: &Remote, days: &[String], most: u64) -> Result<(), Failure> {
    let mut sizes = BTreeMap::new();
    for day in days {
        sizes.insert(day, things(remote, day).await?.iter().map(|(_, size)| size).sum::<u64>());
    }
    let mut excess = sizes.values().sum::<u64>().saturating_sub(most);
    for day in days {
        if excess == 0 {
            break;
        }
        let mut things = things(remote, day).await?;
        // Their names begin with the time.
        things.sort_unstable();
        for (name, size) in things {
            if excess == 0 {
                break;
            }
            let _nothing_returns = remote.trash.settling.write().await;
            remove(remote, day, &name).await?;
            excess = excess.saturating_sub(size);
        }
    }
    Ok(())
}

/// The names and sizes of what a day holds.
async fn things(remote: &Remote, day: &str) -> Result<Vec<(Bytes, u64)>, Failure> {
    let mut entries = match Entries::open(remote.lane(), &remote.trash.day(day)).await {
        Err(failure) if failure.is_missing() => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut things = Vec::new();
    while let Some(some) = entries.next().await? {
        let ours = some.into_iter().filter(|it| std::str::from_utf8(&it.name).is_ok_and(is_id));
        things.extend(ours.map(|entry| (entry.name, entry.attrs.size.unwrap_or(0))));
        if things.len() > THINGS_MAX {
            break;
        }
    }
    Ok(things)
}

/// Removes a day with everything in it, the index last: what is left after an interruption can
/// still be told.
async fn remove_day(remote: &Remote, day: &str) -> Result<(), Failure> {
    loop {
        let things = things(remote, day).await?;
        if things.is_empty() {
            break;
        }
        for (name, _) in things {
            let _nothing_returns = remote.trash.settling.write().await;
            remove(remote, day, &name).await?;
        }
    }
    remove(remote, day, INDEX.as_bytes()).await?;
    match remote.lane().tell(Request::rmdir(&remote.trash.day(day))).await {
        // Something is in it that isn't ours, or came meanwhile.
        Err(failure) if failure.is_vague() || failure.is_missing() => Ok(()),
        removed => removed,
    }
}

async fn remove(remote: &Remote, day: &str, name: &[u8]) -> Result<(), Failure> {
    let full = [&remote.trash.day(day)[..], b"/", name].concat();
    match remote.lane().tell(Request::remove(&full)).await {
        Err(failure) if failure.is_missing() => Ok(()),
        removed => removed,
    }
}
