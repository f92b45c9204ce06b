//! Where what is removed or replaced is kept for some days: `.onitu/trash/2026-11-23/` has it all,
//! unchanged, under names that begin with the time and end with the name it had.

use onitu_plug::{Path, Setting, clock};
use opendal::raw::Timestamp;

use crate::client::Client;
use crate::fault::Refusal;

/// Where it is.
const TRASH: &str = ".onitu/trash/";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Most bytes of the name that a thing had; the rest of 255 is the time's.
const NAME_BYTES_MAX: usize = 200;

/// The day of a time, as `2026-11-23`.
fn day(at_ms: u64) -> String {
    let time = i64::try_from(at_ms).ok().and_then(|it| Timestamp::from_millisecond(it).ok());
    time.map(|time| time.to_string()).unwrap_or_default().chars().take(10).collect()
}

/// The directory of what goes now.
pub(crate) fn today() -> String {
    format!("{TRASH}{}/", day(clock::now_ms()))
}

/// Where what stood at `path` may go: a name that nothing else there has.
pub(crate) fn place(path: &Path) -> String {
    let name = path.name();
    let end = (0..=NAME_BYTES_MAX.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
    let name = name[..end.unwrap_or(0)].trim();
    format!("{}{:011x}-{:08x}-{name}", today(), clock::now_ms(), fastrand::u32(..))
}

/// Removes for good what is older than the setting says, and the oldest of what is too much.
pub(crate) async fn purge(client: &Client, setting: &Setting) -> Result<(), Refusal> {
    let oldest = day(clock::now_ms().saturating_sub(u64::from(setting.trash_days) * DAY_MS));
    let mut days = Vec::new();
    let mut entries = match client.list(TRASH).await {
        Err(Refusal::Missing) => return Ok(()),
        entries => entries?,
    };
    while let Some((name, _)) = entries.next().await? {
        if is_day(&name) && name < oldest {
            client.delete(&format!("{TRASH}{name}/")).await?;
        } else if is_day(&name) {
            days.push(name);
        }
    }
    let Some(most) = setting.trash_size_bytes else { return Ok(()) };
    days.sort_unstable_by(|one, other| other.cmp(one));
    let mut bytes = 0;
    for day in days {
        let directory = format!("{TRASH}{day}/");
        let mut entries = client.list(&directory).await?;
        let mut things = Vec::new();
        while let Some((name, thing)) = entries.next().await? {
            things.push((name, thing.size(), thing.is_directory()));
        }
        things.sort_unstable_by(|one, other| other.cmp(one));
        for (name, size, is_directory) in things {
            bytes += size;
            if bytes > most {
                let slash = if is_directory { "/" } else { "" };
                client.delete(&format!("{directory}{name}{slash}")).await?;
            }
        }
    }
    Ok(())
}

/// Whether a name is one that [`today`] makes: nothing else is ever removed.
fn is_day(name: &str) -> bool {
    let is_digit = |(at, byte): (usize, u8)| {
        if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() }
    };
    name.len() == 10 && name.bytes().enumerate().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_so_that_they_sort() {
        assert_eq!((day(0), day(1_795_392_000_000)), ("1970-01-01".into(), "2026-11-23".into()));
        assert!(is_day(&day(clock::now_ms())));
        for other in ["", "2026-11-2", "2026-11-233", "2026/11/23", "keep-me-ok"] {
            assert!(!is_day(other), "{other}");
        }
    }

    #[test]
    fn a_place_in_the_trash_has_a_name_that_can_be_held() {
        let long = "é".repeat(127);
        for name in ["a", long.as_str(), "x y"] {
            let path = Path::new(&format!("d/{name}")).expect("valid");
            let (one, other) = (place(&path), place(&path));
            assert_ne!(one, other);
            let name = one.rsplit('/').next().expect("a name");
            assert!(name.len() <= 255 && name.trim() == name, "{name}");
        }
    }
}
