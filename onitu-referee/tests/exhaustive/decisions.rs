//! The real decision behind the model: records and orders come from here, each computed once.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use onitu_core::message::{Action, Event, Origin};
use onitu_core::store::Registry;
use onitu_core::{Checksum, Holder, Need, Path, Record, Service, ServiceId, State};
use onitu_referee::World;
use onitu_referee::order::{Children, Plan, Question, plan};
use onitu_referee::round::{Arrived, play};

use crate::state::{DIRECTORY, Item, Kinds, News, Rec, SERVICES_MAX, Scope, Task, Told, checksum};

/// The path, its record, who told what, and whether an order is under way there.
type Played = (usize, Option<Rec>, usize, News, bool);
/// The path, its record, that of the other path, who shall act, and whether a hint is fresh.
type Planned = (usize, Rec, Option<Rec>, usize, bool);

/// Quicker than what withstands an attacker.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }
    fn write_u8(&mut self, byte: u8) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_usize(&mut self, number: usize) {
        self.write_u8(number as u8);
    }
    fn write_isize(&mut self, number: isize) {
        self.write_usize(number.cast_unsigned());
    }
}

type Answers<Q, A> = HashMap<Q, A, BuildHasherDefault<Mixed>>;

/// What asked of the Referee has been answered so far.
pub(crate) struct Decisions {
    world: World,
    paths: [Path; 2],
    played: Answers<Played, Option<Rec>>,
    planned: Answers<Planned, Option<Task>>,
    idle: Answers<(Rec, usize), bool>,
}

fn id(service: usize) -> ServiceId {
    ServiceId(service as u16 + 1)
}

fn index(service: ServiceId) -> usize {
    usize::from(service.0) - 1
}

fn revision(revision: u64) -> u8 {
    u8::try_from(revision).expect("few revisions")
}

impl Decisions {
    pub(crate) fn new(scope: &Scope) -> Self {
        let service = |at: usize| Service {
            id: id(at),
            name: format!("service{at}"),
            driver: "model".to_owned(),
            mode: scope.modes[at],
            paused: false,
            options: BTreeMap::new(),
        };
        let services = (0..scope.services).map(service).collect();
        let rules = scope.rules.map(str::to_owned);
        let approved = rules.iter().cloned().collect();
        let registry = Registry { version: 1, services, rules, approved, keeps_junk: false };
        let world = World::new(registry);
        let paths = ["a", "b"].map(|name| Path::new(name).expect("a valid name"));
        let (played, planned, idle) = (Answers::default(), Answers::default(), Answers::default());
        Self { world, paths, played, planned, idle }
    }

    /// How many different questions were answered.
    pub(crate) fn count(&self) -> usize {
        self.played.len() + self.planned.len()
    }

    /// The record after `news` of a service; `busy` while orders are under way at the path.
    pub(crate) fn play(
        &mut self,
        path: usize,
        rec: Option<Rec>,
        service: usize,
        news: News,
        busy: bool,
    ) -> Option<Rec> {
        let asked = (path, rec, service, news, busy);
        if let Some(answer) = self.played.get(&asked) {
            return *answer;
        }
        let mut records = BTreeMap::new();
        records.insert(self.paths[path].clone(), rec.map(|rec| self.record(path, &rec)));
        let event = self.event(path, news);
        let arrived = Arrived { service: id(service), epoch: 1, sequence: 1, event };
        let round = play(&self.world, &mut records, &[arrived], 0, |_| busy);
        let after = records.remove(&self.paths[path]).flatten();
        for commit in round.commits.values() {
            for ((service, path), pending) in &commit.pending {
                let need = self.world.need_of(path, after.as_ref(), *service);
                assert_eq!(*pending, need != Need::Nothing, "pending work of {after:?}");
            }
        }
        let after = after.map(|record| rec_of(&record));
        self.played.insert(asked, after);
        after
    }

    /// Whether nothing is asked of a service.
    pub(crate) fn is_idle(&mut self, path: usize, rec: Rec, service: usize) -> bool {
        if let Some(answer) = self.idle.get(&(rec, service)) {
            return *answer;
        }
        let record = self.record(path, &rec);
        let need = self.world.need_of(&self.paths[path], Some(&record), id(service));
        self.idle.insert((rec, service), need == Need::Nothing);
        need == Need::Nothing
    }

    /// The order for a service, if it can be given now. `fresh` as in [`Question`].
    pub(crate) fn plan(
        &mut self,
        path: usize,
        rec: Rec,
        other: Option<Rec>,
        service: usize,
        fresh: bool,
    ) -> Option<Task> {
        let other = if rec.moved { other } else { None };
        let asked = (path, rec, other, service, fresh);
        if let Some(answer) = self.planned.get(&asked) {
            return *answer;
        }
        let record = self.record(path, &rec);
        let moved = other.map(|other| self.record(1 - path, &other));
        let need = self.world.need_of(&self.paths[path], Some(&record), id(service));
        let question = Question {
            path: &self.paths[path],
            record: &record,
            service: id(service),
            need,
            moved: moved.as_ref(),
            children: Children::None,
            fresh,
        };
        let holders = record.current_holders().filter(|held| held.service != id(service));
        let sources: Vec<Origin> =
            holders.map(|held| Origin { service: held.service, tag: held.tag }).collect();
        let planned = plan(&question, &sources);
        assert_eq!(planned, plan(&question, &sources), "the same question, another order");
        let task = match planned {
            Plan::Do(action) => {
                assert_ne!(need, Need::Nothing, "an order without need: {action:?}");
                let held = rec.holders[service].map(|(_, item)| item);
                let mut task = task_of(&action);
                if need == Need::Evict {
                    task.kind = Kinds::Evict;
                }
                assert_eq!(task.expect, held, "an order that expects what isn't recorded");
                Some(task)
            }
            Plan::Nothing => {
                assert_eq!(need, Need::Nothing, "a need without an order: {record:?}");
                None
            }
            Plan::Wait(_) | Plan::Keep => None,
        };
        self.planned.insert(asked, task);
        task
    }

    fn event(&self, path: usize, news: News) -> Event {
        let order = news.ends.then_some(1);
        let moved = news.moved.then(|| self.paths[1 - path].clone());
        let path = self.paths[path].clone();
        match news.item {
            None => Event::Gone { path, order, moved_to: moved },
            Some(item) => {
                let state =
                    State { content: Told::of(item, news.hashed).content(), tag: item.tag() };
                let placed = (news.placed > 0).then(|| u64::from(news.placed));
                let (moved_from, set_aside_from) = (moved, None);
                Event::Seen { path, state, order, placed, moved_from, set_aside_from }
            }
        }
    }

    fn record(&self, path: usize, rec: &Rec) -> Record {
        let holder = |(at, held): (usize, &Option<(u8, Item)>)| {
            let (revision, item) = (*held)?;
            Some(Holder { service: id(at), revision: u64::from(revision), tag: item.tag() })
        };
        Record {
            revision: u64::from(rec.revision),
            gone: rec.gone,
            content: rec.content.content(),
            holders: rec.holders.iter().enumerate().filter_map(holder).collect(),
            moved: rec.moved.then(|| self.paths[1 - path].clone()),
            ancestors: rec
                .ancestors
                .iter()
                .take_while(|(revision, _)| *revision > 0)
                .map(|(revision, class)| (u64::from(*revision), checksum(*class)))
                .collect(),
            origin: None,
            leaving: (0..SERVICES_MAX)
                .filter(|at| rec.leaving[*at] > 0)
                .map(|at| (id(at), u64::from(rec.leaving[at])))
                .collect(),
        }
    }
}

fn rec_of(record: &Record) -> Rec {
    let mut holders = [None; SERVICES_MAX];
    for held in &record.holders {
        let item = Item::from_tag(held.tag);
        holders[index(held.service)] = Some((revision(held.revision), item));
    }
    let mut ancestors = <[(u8, u8); Record::ANCESTORS_MAX]>::default();
    for (at, (of, sum)) in record.ancestors.iter().enumerate() {
        ancestors[at] = (revision(*of), class_of(*sum));
    }
    Rec {
        revision: revision(record.revision),
        gone: record.gone,
        content: Told::from_content(&record.content),
        holders,
        moved: record.moved.is_some(),
        ancestors,
        leaving: std::array::from_fn(|at| record.leaving(id(at)).map_or(0, revision)),
    }
}

fn class_of(sum: Checksum) -> u8 {
    // 0 stands for a deletion among the ancestors.
    (0..DIRECTORY).find(|class| checksum(*class) == sum).expect("a class")
}

fn task_of(action: &Action) -> Task {
    let item = |tag: &onitu_core::Tag| Item::from_tag(*tag);
    let mut task = Task::default();
    match action {
        Action::Pull { revision: placed, content, expect, sources } => {
            task.kind = Kinds::Pull;
            task.revision = revision(*placed);
            task.content = Told::from_content(content);
            task.expect = expect.as_ref().map(item);
            for source in sources {
                task.sources[index(source.service)] = Some(item(&source.tag));
            }
        }
        Action::MakeDirectory { revision: placed, expect } => {
            task.kind = Kinds::MakeDirectory;
            task.revision = revision(*placed);
            task.expect = expect.as_ref().map(item);
        }
        Action::Rename { revision: placed, content, expect_from, expect, .. } => {
            task.kind = Kinds::Rename;
            task.revision = revision(*placed);
            task.content = Told::from_content(content);
            task.expect = expect.as_ref().map(item);
            task.expect_from = Some(item(expect_from));
        }
        Action::Remove { expect } => {
            task.kind = Kinds::Remove;
            task.expect = Some(item(expect));
        }
        Action::SetAside { expect, unless } => {
            task.kind = Kinds::SetAside;
            task.expect = Some(item(expect));
            task.unless = unless.map_or(0, class_of);
        }
        Action::Hash { expect } => {
            task.kind = Kinds::Hash;
            task.expect = Some(item(expect));
        }
    }
    task
}
