//! What the trash holds, the newest first, in pages: those of all mounts merged by date.
//!
//! A page's end is a place in each index, so the next one goes on there without reading anything
//! twice. The indexes may be large and hold little that is asked for, so a page also ends after
//! some lines, however few it found.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use onitu_plug::{Fault, FaultKind, Path, TrashPage, TrashQuery, Trashed};
use rustix::io::Errno;

use super::Trash;
use super::date::{DAY_MS, date};
use super::index::{Backwards, Line, is_id};
use crate::area::Area;
use crate::fault::fault;
use crate::state;

/// Most lines that one page looks at.
const LINES_MAX: usize = 20_000;

/// Where a page ended in the trash of one mount: its top (as text, below the root), the day, and
/// the end of the next line in it.
type Position = (String, String, u64);

/// The trash of one mount on its way from the newest to the oldest.
struct Walk<'a> {
    top: String,
    trash: &'a Trash,
    /// The days to come, the next one last.
    days: Vec<String>,
    day: Option<(String, OwnedFd, Backwards)>,
    /// Everything from here on is yet to be told; [`None`] at the end.
    position: Option<(String, u64)>,
    /// Found and not told yet.
    ready: Option<Trashed>,
    /// The position behind what is ready.
    behind: Option<(String, u64)>,
}

/// One page of the trashes of `areas`, each with its top.
pub(crate) fn page(areas: &[(String, Arc<Area>)], query: &TrashQuery) -> Result<TrashPage, Fault> {
    let bad = |_| Fault::new(FaultKind::Unsupported, "the place in the trash can't be understood");
    let positions: Option<Vec<Position>> =
        query.cursor.as_deref().map(serde_json::from_str).transpose().map_err(bad)?;
    let failed = |errno| fault("read the trash below", crate::name::OWN, errno);
    let mut walks = Vec::new();
    for (top, area) in areas {
        let from = match &positions {
            None => None,
            Some(positions) => match positions.iter().find(|(known, ..)| known == top) {
                Some((_, day, end)) => Some((day.as_str(), *end)),
                None => continue,
            },
        };
        walks.push(Walk::begin(top, area.trash(), query.after_ms, from).map_err(failed)?);
    }
    let mut items = Vec::new();
    let mut budget = LINES_MAX;
    'page: while items.len() < query.limit {
        for walk in &mut walks {
            if !walk.find(query, &mut budget).map_err(failed)? {
                break 'page;
            }
        }
        let newest = walks.iter_mut().filter(|walk| walk.ready.is_some());
        let newest = newest.max_by_key(|walk| walk.ready.as_ref().map(|item| item.at_ms));
        let Some(newest) = newest else { break };
        items.extend(newest.tell());
    }
    let left: Vec<Position> = walks.into_iter().filter_map(Walk::end).collect();
    let next = if left.is_empty() { None } else { serde_json::to_string(&left).ok() };
    Ok(TrashPage { items, next })
}

/// The thing that `name` of a [`Trashed`] stands for: its mount's top, its day and its id there.
pub(crate) fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (thing, top) = name.split_once('@').unwrap_or((name, ""));
    let (day, id) = thing.split_once('/')?;
    is_id(id).then_some((top, day, id))
}

fn name_of(top: &str, day: &str, id: &str) -> String {
    if top.is_empty() { format!("{day}/{id}") } else { format!("{day}/{id}@{top}") }
}

impl<'a> Walk<'a> {
    fn begin(
        top: &str,
        trash: &'a Trash,
        after_ms: u64,
        from: Option<(&str, u64)>,
    ) -> Result<Self, Errno> {
        let oldest = date(after_ms / DAY_MS);
        let mut days = trash.days()?;
        days.retain(|day| *day >= oldest && from.is_none_or(|(from, _)| day.as_str() < from));
        let mut walk = Self {
            top: top.to_owned(),
            trash,
            days,
            day: None,
            position: None,
            ready: None,
            behind: None,
        };
        match from {
            Some((day, end)) => walk.enter(day.to_owned(), Some(end))?,
            None => walk.next_day()?,
        }
        Ok(walk)
    }

    fn next_day(&mut self) -> Result<(), Errno> {
        self.position = None;
        match self.days.pop() {
            Some(day) => self.enter(day, None),
            None => Ok(()),
        }
    }

    /// A day that was purged meanwhile has nothing to tell.
    fn enter(&mut self, day: String, end: Option<u64>) -> Result<(), Errno> {
        let opened = match self.trash.day_of(&day) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
            dir => {
                let dir = dir?;
                Backwards::open(&dir, end)?.map(|lines| (dir, lines))
            }
        };
        let Some((dir, lines)) = opened else { return self.next_day() };
        self.position = Some((day.clone(), end.unwrap_or(u64::MAX)));
        self.day = Some((day, dir, lines));
        Ok(())
    }

    /// Makes the next thing ready, unless there is none; `false` if too many lines were read.
    fn find(&mut self, query: &TrashQuery, budget: &mut usize) -> Result<bool, Errno> {
        while self.ready.is_none() && self.position.is_some() {
            let Some((day, dir, lines)) = &mut self.day else { break };
            let Some((start, bytes)) = lines.next()? else {
                self.next_day()?;
                continue;
            };
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            let behind = Some((day.clone(), start));
            self.ready = match Line::read(&bytes) {
                Some(line) if line.at_ms > query.after_ms => {
                    thing(&self.top, day, dir, &line, &query.below)?
                }
                _ => None,
            };
            if self.ready.is_some() { self.behind = behind } else { self.position = behind }
        }
        Ok(true)
    }

    fn tell(&mut self) -> Option<Trashed> {
        self.position = self.behind.take();
        self.ready.take()
    }

    fn end(self) -> Option<Position> {
        let Self { top, position, .. } = self;
        position.map(|(day, end)| (top, day, end))
    }
}

/// What the line tells of, if it is there and below `below`.
fn thing(
    top: &str,
    day: &str,
    dir: &OwnedFd,
    line: &Line<'_>,
    below: &Path,
) -> Result<Option<Trashed>, Errno> {
    let Ok(path) = Path::new(&line.path) else { return Ok(None) };
    if !path.is_within(below) {
        return Ok(None);
    }
    let there = state::at(dir, line.id.as_ref())?;
    Ok(there.state().map(|state| Trashed {
        id: name_of(top, day, &line.id),
        path,
        at_ms: line.at_ms,
        kind: state.content.kind,
        size: state.content.size,
        mtime_ns: state.content.mtime_ns,
        why: line.why,
    }))
}
