//! The world of the model: what stands on each service, what is under way, what is on record.

use onitu_core::{Checksum, Content, Kind, Mode, Record, Tag};

pub(crate) const SERVICES_MAX: usize = 3;
pub(crate) const PATHS_MAX: usize = 2;
/// Events of one service at one path that nobody has heard yet.
const TOLD_MAX: usize = 8;
/// The class of a directory; contents are 1, 2, 3.
pub(crate) const DIRECTORY: u8 = 15;

/// How far a search goes.
#[allow(clippy::struct_excessive_bools, reason = "each is one thing that may happen or not")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) services: usize,
    /// 2 allows renames between them.
    pub(crate) paths: usize,
    pub(crate) contents: u8,
    /// Changes by users and faults, together.
    pub(crate) events: usize,
    /// Services whose users change something: the first ones.
    pub(crate) writers: usize,
    pub(crate) modes: [Mode; SERVICES_MAX],
    /// Whether a look tells the checksum, as it does for small files. Else it does so only where
    /// the runtime has a reason to.
    pub(crate) hashed: bool,
    /// Whether drivers refuse orders that were computed from less than they have told. Without it
    /// the search has to find what goes wrong.
    pub(crate) careful: bool,
    /// Whether users also save the same bytes again.
    pub(crate) touches: bool,
    pub(crate) directories: bool,
    pub(crate) crashes: bool,
    /// Whether the Referee may be started anew, while drivers go on with what it had ordered.
    pub(crate) restarts: bool,
    /// Whether the store may lose everything.
    pub(crate) wipes: bool,
    /// Rules, all that they remove approved of; they place things on the first `targets` services.
    pub(crate) rules: Option<&'static str>,
    pub(crate) targets: usize,
}

/// What stands at a path of a service. Its state's tag tells all of it, so it serves as the tag too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    /// Unlike that of every other state the service ever had.
    pub(crate) id: u8,
    /// Which bytes.
    pub(crate) class: u8,
    /// When a user wrote it: the modification time.
    pub(crate) stamp: u8,
}

/// A content as records and orders tell it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    pub(crate) class: u8,
    pub(crate) stamp: u8,
    /// Whether the checksum is known.
    pub(crate) hashed: bool,
}

/// A record, small enough to be copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Rec {
    pub(crate) revision: u8,
    pub(crate) gone: bool,
    pub(crate) content: Told,
    pub(crate) holders: [Option<(u8, Item)>; SERVICES_MAX],
    /// The hint, which can only name the other path.
    pub(crate) moved: bool,
    /// Revision and class, oldest first; zeros follow.
    pub(crate) ancestors: [(u8, u8); Record::ANCESTORS_MAX],
    /// Who is to remove what it holds: 1 if its driver was told as it lives now, 2 if one was that
    /// is no more.
    pub(crate) leaving: [u8; SERVICES_MAX],
}

/// What a driver tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct News {
    /// What stands there.
    pub(crate) item: Option<Item>,
    pub(crate) hashed: bool,
    /// The revision that an order placed; 0 for none.
    pub(crate) placed: u8,
    /// It was renamed from, or went to, the other path.
    pub(crate) moved: bool,
    /// It ends the order under way.
    pub(crate) ends: bool,
}

/// News on its way, in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    kept: [News; TOLD_MAX],
    count: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, news: News) {
        self.kept[self.count] = news;
        self.count += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<News> {
        let first = self.as_slice().first().copied()?;
        self.kept.rotate_left(1);
        self.count -= 1;
        self.kept[self.count] = News::default();
        Some(first)
    }

    pub(crate) fn as_slice(&self) -> &[News] {
        &self.kept[..self.count]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [News] {
        &mut self.kept[..self.count]
    }
}

/// The kinds of orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kinds {
    #[default]
    Pull,
    MakeDirectory,
    Rename,
    Remove,
    SetAside,
    Hash,
    /// A removal that the rules ask for.
    Evict,
}

impl Kinds {
    pub(crate) const ALL: [Self; 7] = [
        Self::Pull,
        Self::MakeDirectory,
        Self::Rename,
        Self::Remove,
        Self::SetAside,
        Self::Hash,
        Self::Evict,
    ];
}

/// An order that a driver has and hasn't carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Task {
    pub(crate) kind: Kinds,
    pub(crate) revision: u8,
    pub(crate) content: Told,
    pub(crate) expect: Option<Item>,
    /// Of a rename: what has to stand at the other path.
    pub(crate) expect_from: Option<Item>,
    /// Of a pull: who has promised which state.
    pub(crate) sources: [Option<Item>; SERVICES_MAX],
    /// Of a set aside: the bytes that keep the name; 0 for none.
    pub(crate) unless: u8,
    /// Something was told of its path since the record that it was computed from.
    pub(crate) outdated: bool,
}

/// One path of one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) disk: Option<Item>,
    pub(crate) news: Queue,
    pub(crate) task: Option<Task>,
    /// An order of a Referee that is no more.
    pub(crate) stale: Option<Task>,
}

impl Spot {
    /// Whether the Referee has an order under way here.
    pub(crate) fn is_busy(&self) -> bool {
        self.task.is_some() || self.news.as_slice().iter().any(|news| news.ends)
    }
}

/// Everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// By path, then service.
    pub(crate) spots: [[Spot; SERVICES_MAX]; PATHS_MAX],
    pub(crate) records: [Option<Rec>; PATHS_MAX],
    /// By path: the contents that somebody wrote there and that nobody has deleted or replaced,
    /// knowing them.
    pub(crate) wanted: [u8; PATHS_MAX],
    /// The contents that were set aside.
    pub(crate) kept: u8,
    /// By path: the contents that somebody has deleted or replaced there, as long as anything speaks of them.
    /// Written elsewhere by someone who can't know of it they count as the same content: equal
    /// bytes are never a conflict.
    pub(crate) given_up: [u8; PATHS_MAX],
}

impl State {
    /// What `service` is known to hold: by what it told and nobody has heard, else by the record.
    pub(crate) fn known(&self, path: usize, service: usize) -> Option<Item> {
        match self.spots[path][service].news.as_slice().last() {
            Some(news) => news.item,
            None => self.records[path].and_then(|rec| rec.holders[service]).map(|(_, item)| item),
        }
    }

    /// A driver tells something: what it was ordered to do at that path is out of date.
    pub(crate) fn tell(&mut self, path: usize, service: usize, news: News) {
        self.spots[path][service].news.push(news);
        for (at, spots) in self.spots.iter_mut().enumerate() {
            let spot = &mut spots[service];
            for task in spot.task.iter_mut().chain(&mut spot.stale) {
                task.outdated |= at == path || task.kind == Kinds::Rename;
            }
        }
    }

    /// Whether all there is to know of a path has reached `service`.
    pub(crate) fn is_informed(&self, path: usize, service: usize) -> bool {
        let quiet = (0..SERVICES_MAX).all(|at| {
            let spot = &self.spots[path][at];
            spot.news.as_slice().is_empty() && spot.disk == self.known(path, at)
        });
        quiet
            && match self.records[path] {
                None => true,
                Some(rec) if rec.gone => self.spots[path][service].disk.is_none(),
                Some(rec) => rec.holders[service].is_some_and(|(held, _)| held == rec.revision),
            }
    }

    /// Whether any order is under way at a path.
    pub(crate) fn is_in_flight(&self, path: usize) -> bool {
        self.spots[path].iter().any(Spot::is_busy)
    }

    /// A tag that `service` never had.
    pub(crate) fn fresh_id(&self, service: usize) -> u8 {
        let mut last = 0;
        let mut see = |item: Option<Item>| last = last.max(item.map_or(0, |item| item.id));
        for path in 0..PATHS_MAX {
            let spot = &self.spots[path][service];
            see(spot.disk);
            spot.news.as_slice().iter().for_each(|news| see(news.item));
            for task in spot.task.iter().chain(&spot.stale) {
                see(task.expect);
                see(task.expect_from);
            }
            see(self.records[path].and_then(|rec| rec.holders[service]).map(|(_, item)| item));
            for other in &self.spots[path] {
                let tasks = other.task.iter().chain(&other.stale);
                tasks.for_each(|task| see(task.sources[service]));
            }
        }
        last + 1
    }

    /// A time later than every other.
    pub(crate) fn fresh_stamp(&self) -> u8 {
        let mut last = 0;
        for path in 0..PATHS_MAX {
            last = last.max(self.records[path].map_or(0, |rec| rec.content.stamp));
            for service in 0..SERVICES_MAX {
                let spot = &self.spots[path][service];
                let held = self.records[path].and_then(|rec| rec.holders[service]);
                let items = spot.news.as_slice().iter().filter_map(|news| news.item);
                let items = items.chain(spot.disk).chain(held.map(|(_, item)| item));
                last = items.map(|item| item.stamp).fold(last, u8::max);
                for task in spot.task.iter().chain(&spot.stale) {
                    let items = task.sources.into_iter().flatten();
                    let items = items.chain(task.expect).chain(task.expect_from);
                    last = items.map(|item| item.stamp).fold(last, u8::max);
                    last = last.max(task.content.stamp);
                }
            }
        }
        last + 1
    }
}

/// The bit of a content.
pub(crate) fn bit(class: u8) -> u8 {
    if class == DIRECTORY { 0 } else { 1 << class }
}

/// The checksum that stands for a class.
pub(crate) fn checksum(class: u8) -> Checksum {
    Checksum([class; 20])
}

impl Told {
    pub(crate) fn of(item: Item, hashed: bool) -> Self {
        Self { class: item.class, stamp: item.stamp, hashed }
    }

    /// All contents are of one size, so that nothing but their bytes tells them apart.
    pub(crate) fn content(self) -> Content {
        if self.class == DIRECTORY {
            return Content::DIRECTORY;
        }
        let checksum = self.hashed.then(|| checksum(self.class));
        let mtime_ns = i64::from(self.stamp) << 8 | i64::from(self.class);
        Content { kind: Kind::File, size: 1, mtime_ns, executable: false, checksum, media: None }
    }

    pub(crate) fn from_content(content: &Content) -> Self {
        if content.kind == Kind::Directory {
            return Self { class: DIRECTORY, ..Self::default() };
        }
        let [class, stamp, ..] = content.mtime_ns.to_le_bytes();
        let hashed = content.checksum.is_some_and(|sum| sum == checksum(class));
        assert!(hashed || content.checksum.is_none(), "the checksum of other bytes: {content:?}");
        Self { class, stamp, hashed }
    }
}

impl Item {
    pub(crate) fn tag(self) -> Tag {
        Tag([self.id, self.class, self.stamp, 0, 0, 0])
    }

    pub(crate) fn from_tag(tag: Tag) -> Self {
        let [id, class, stamp, ..] = tag.0;
        Self { id, class, stamp }
    }
}
