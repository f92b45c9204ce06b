//! What the trash holds, the newest first, in pages.
//!
//! A page's end is a place in an index, so the next one goes on there without reading anything
//! twice. The indexes may be large and hold little that is asked for, so a page also ends after
//! some lines, however few it found.

use onitu_plug::date::{DAY_MS, date, is_date};
use onitu_plug::{Fault, FaultKind, Path, TrashPage, TrashQuery, Trashed, Why};

use super::index::{Backwards, Line, is_id};
use crate::area::Entries;
use crate::client::Remote;
use crate::fault::{Failure, fault};
use crate::name::OWN;

/// Most lines that one page looks at.
const LINES_MAX: usize = 10_000;
/// Things looked for at once.
const LOOKS_AT_ONCE: usize = 64;

/// Where a page ended: the day, and the end of the next line in it.
type Position = (String, u64);

/// One page of the trash.
pub(crate) async fn page(remote: &Remote, query: &TrashQuery) -> Result<TrashPage, Fault> {
    let bad = |_| Fault::new(FaultKind::Unsupported, "the place in the trash can't be understood");
    let from: Option<Position> =
        query.cursor.as_deref().map(serde_json::from_str).transpose().map_err(bad)?;
    let found = collect(remote, query, from).await;
    let (items, next) = found.map_err(|failure| fault("read the trash in", OWN, &failure))?;
    Ok(TrashPage { items, next: next.and_then(|next| serde_json::to_string(&next).ok()) })
}

/// The thing that `name` of a [`Trashed`] stands for: its day and its id there.
pub(crate) fn parts(name: &str) -> Option<(&str, &str)> {
    let (day, id) = name.split_once('/')?;
    (is_id(id) && is_date(day)).then_some((day, id))
}

/// The days that are there, in order. Whatever isn't named by a date is somebody else's.
pub(super) async fn days(remote: &Remote) -> Result<Vec<String>, Failure> {
    let mut entries = match Entries::open(remote.lane(), &remote.trash.top).await {
        Err(failure) if failure.is_missing() => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut days = Vec::new();
    while let Some(some) = entries.next().await? {
        let names = some.iter().filter_map(|entry| std::str::from_utf8(&entry.name).ok());
        days.extend(names.filter(|name| is_date(name)).map(str::to_owned));
    }
    days.sort_unstable();
    Ok(days)
}

async fn collect(
    remote: &Remote,
    query: &TrashQuery,
    from: Option<Position>,
) -> Result<(Vec<Trashed>, Option<Position>), Failure> {
    let oldest = date(query.after_ms / DAY_MS);
    let mut days = days(remote).await?;
    let until = from.as_ref().map(|(day, _)| day.clone());
    days.retain(|day| *day >= oldest && until.as_ref().is_none_or(|until| day <= until));
    let (mut items, mut budget) = (Vec::new(), LINES_MAX);
    while let Some(day) = days.pop() {
        let end = from.as_ref().filter(|(of, _)| *of == day).map(|(_, end)| *end);
        let full = remote.trash.day(&day);
        // A day that was purged meanwhile has nothing to tell.
        let Some(mut lines) = Backwards::open(remote, &full, end).await? else { continue };
        let mut ended = false;
        while !ended {
            let room = (query.limit - items.len()).min(LOOKS_AT_ONCE);
            let (mut some, mut reached) = (Vec::new(), u64::MAX);
            while some.len() < room && budget > 0 && !ended {
                match lines.next().await? {
                    None => ended = true,
                    Some((start, bytes)) => {
                        (budget, reached) = (budget - 1, start);
                        some.extend(Wanted::read(query, &bytes));
                    }
                }
            }
            items.extend(standing(remote, &full, &day, some).await?);
            if !ended && (items.len() == query.limit || budget == 0) {
                return Ok((items, Some((day, reached))));
            }
        }
        if items.len() == query.limit || budget == 0 {
            return Ok((items, days.pop().map(|day| (day, u64::MAX))));
        }
    }
    Ok((items, None))
}

/// What a line tells of that is asked for.
struct Wanted {
    id: String,
    path: Path,
    at_ms: u64,
    why: Why,
}

impl Wanted {
    fn read(query: &TrashQuery, bytes: &[u8]) -> Option<Self> {
        let line = Line::read(bytes).filter(|line| line.at_ms > query.after_ms)?;
        let path = Path::new(&line.path).ok().filter(|path| path.is_within(&query.below))?;
        Some(Self { id: line.id.into_owned(), path, at_ms: line.at_ms, why: line.why })
    }
}

/// Those that are there.
async fn standing(
    remote: &Remote,
    full: &[u8],
    day: &str,
    wanted: Vec<Wanted>,
) -> Result<Vec<Trashed>, Failure> {
    let looks = wanted.into_iter().map(|Wanted { id, path, at_ms, why }| async move {
        let there = remote.at(&[full, b"/", id.as_bytes()].concat()).await?;
        Ok::<_, Failure>(there.state().map(|state| Trashed {
            id: format!("{day}/{id}"),
            path,
            at_ms,
            kind: state.content.kind,
            size: state.content.size,
            mtime_ns: state.content.mtime_ns,
            why,
        }))
    });
    let found = futures_util::future::try_join_all(looks).await?;
    Ok(found.into_iter().flatten().collect())
}
