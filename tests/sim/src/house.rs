//! The processes of one simulated Onitu, each a task that can be killed at any await.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::held::Share;
use onitu_core::ignore::Ignoring;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::{Problem, REFEREE};
use onitu_core::store::{MemoryStore, Registry, Store};
use onitu_core::{AT, Holder, KEEPS_SYMLINKS, Kind, Mode, Path, Record, Service, ServiceId};
use onitu_driver_memory::{Memory, Thing};
use onitu_plug::{Post, keep};
use onitu_referee::Referee;
use tokio::task::JoinHandle;

use crate::careless::Careless;
use crate::nature::Nature;
use crate::permit::Law;
use crate::rest::kind_of;
use crate::standing::Standing;

/// A process of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Referee,
    Driver(usize),
}

/// A service with its storage, configured or not.
pub(crate) struct Member {
    pub(crate) service: Service,
    pub(crate) storage: Standing,
    /// Whether the configuration names it.
    pub(crate) is_present: bool,
    /// Whether its mode ever was one in which it may be written to.
    pub(crate) was_written_to: bool,
    pub(crate) mode_changed: bool,
    driver: Option<JoinHandle<()>>,
}

/// All of them, with what they share.
pub(crate) struct House {
    pub(crate) store: MemoryStore,
    pub(crate) bus: MemoryBus,
    pub(crate) members: Vec<Member>,
    /// As the Core wants it to be registered.
    pub(crate) registry: Registry,
    referee: Option<JoinHandle<()>>,
    careless: bool,
    starts: u64,
    /// Whether no service's mode ever changes in this run.
    pub(crate) modes_are_fixed: bool,
    /// Whether the store ever was.
    pub(crate) wiped: Cell<bool>,
    /// How often it has lost something that it had acknowledged.
    pub(crate) losses: Cell<u64>,
}

impl Member {
    /// Whether its storage can keep what is recorded.
    pub(crate) fn keeps(&self, record: &Record) -> bool {
        record.content.kind != Kind::Symlink || self.storage.abilities().symlinks
    }
}

impl House {
    pub(crate) fn new(natures: &[Nature], seed: u64, careless: bool) -> Self {
        let members = natures.iter().enumerate().map(|(number, nature)| Member {
            service: service(number, nature),
            storage: Standing::new(nature.storage(), Path::root()),
            is_present: true,
            was_written_to: nature.mode != onitu_core::Mode::Source,
            mode_changed: false,
            driver: None,
        });
        let mut house = Self {
            store: MemoryStore::new(),
            bus: MemoryBus::new(seed),
            members: members.collect(),
            registry: Registry::default(),
            referee: None,
            careless,
            starts: 0,
            modes_are_fixed: true,
            wiped: Cell::new(false),
            losses: Cell::new(0),
        };
        house.configure(None);
        house
    }

    /// The configuration is now so: the members that are present, and these rules.
    pub(crate) fn configure(&mut self, rules: Option<String>) {
        let present = self.members.iter().filter(|member| member.is_present);
        let services = present.map(|member| member.service.clone()).collect();
        let approved = std::mem::take(&mut self.registry.approved);
        let version = self.registry.version + 1;
        self.registry = Registry { version, services, rules, approved, keeps_junk: false };
    }

    /// The root of a service stands at `at` from the beginning.
    pub(crate) fn mount(&mut self, number: usize, at: Path) {
        let member = &mut self.members[number];
        member.service.options.insert(AT.to_owned(), at.as_str().into());
        member.storage = Standing::new(member.storage.storage(), at);
    }

    /// A service may hold so many bytes, from the next configuration on.
    pub(crate) fn set_quota(&mut self, number: usize, bytes: u64) {
        let options = &mut self.members[number].service.options;
        options.insert("quota_bytes".to_owned(), bytes.into());
    }

    /// The first configuration has what was given to services since they were made.
    pub(crate) fn equipped(&mut self) {
        self.registry = Registry::default();
        self.configure(None);
    }

    /// What is published as ignored.
    pub(crate) fn ignoring(&self) -> Ignoring {
        Ignoring::compile(&self.store.published().unwrap_or_default())
    }

    /// A person has approved of what the rules remove.
    pub(crate) fn approve(&mut self) {
        self.registry.approved = self.registry.rules.iter().cloned().collect();
    }

    /// The numbers of the configured services.
    pub(crate) fn present(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.members.len()).filter(|number| self.members[*number].is_present)
    }

    /// The configured services.
    pub(crate) fn present_members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_present)
    }

    /// What the Core does: sets up the store if it is empty, and registers the configuration.
    pub(crate) async fn register(&self) {
        for _attempt in 0..5 {
            let set_up = async {
                self.store.set_up().await?;
                self.store.set_registry(&self.registry).await
            };
            if set_up.await.is_ok() {
                return;
            }
        }
    }

    /// Whether the driver of a service was started and not killed.
    pub(crate) fn is_running(&self, member: usize) -> bool {
        self.members[member].driver.is_some()
    }

    pub(crate) fn start_all(&mut self) {
        if self.referee.is_none() {
            self.start(Process::Referee);
        }
        for number in 0..self.members.len() {
            if self.members[number].is_present && self.members[number].driver.is_none() {
                self.start(Process::Driver(number));
            }
        }
    }

    pub(crate) fn start(&mut self, process: Process) {
        self.starts += 1;
        match process {
            Process::Referee => {
                let (store, bus) = (Arc::new(self.store.clone()), Arc::new(self.bus.clone()));
                let referee = Referee::new(store, bus, self.starts);
                self.referee = Some(tokio::spawn(async move {
                    let Err(error) = referee.run().await;
                    tracing::error!("the referee ended: {error}");
                }));
            }
            Process::Driver(number) => {
                let member = &mut self.members[number];
                let (service, storage) = (member.service.clone(), member.storage.storage());
                let store = Arc::new(self.store.clone());
                let post = Post { service, store, bus: Arc::new(self.bus.clone()) };
                let task = if self.careless {
                    tokio::spawn(ended(keep::<Careless, _>(post, move |_| {
                        let storage = storage.clone();
                        async move { <Memory>::try_begin(storage).await.map(Careless) }
                    })))
                } else {
                    tokio::spawn(ended(keep::<Memory, _>(post, move |_| {
                        <Memory>::try_begin(storage.clone())
                    })))
                };
                member.driver = Some(task);
            }
        }
    }

    /// Kills a process wherever it is.
    pub(crate) async fn kill(&mut self, process: Process) {
        let task = match process {
            Process::Referee => self.referee.take(),
            Process::Driver(number) => self.members[number].driver.take(),
        };
        if let Some(task) = task {
            task.abort();
            // Until it has really gone another one could run beside it.
            let _ = task.await;
        }
    }

    pub(crate) async fn kill_all(&mut self) {
        self.kill(Process::Referee).await;
        for number in 0..self.members.len() {
            self.kill(Process::Driver(number)).await;
        }
    }

    /// Whether everything is in step, as `onitu wait` would find out.
    pub(crate) async fn is_settled(&self) -> bool {
        self.unsettled().await.is_none()
    }

    /// What is going on, if anything is.
    pub(crate) async fn unsettled(&self) -> Option<String> {
        let Some(before) = self.activity().await else { return Some("somebody works".to_owned()) };
        let away = || Some("the store is away".to_owned());
        let Ok(reports) = self.store.reports().await else { return away() };
        let published = self.store.published().map_or(0, |set| set.version);
        let mut told = self.present_members().map(|it| it.service.id).chain([REFEREE]);
        if told.any(|id| reports.get(&id).is_none_or(|report| report.ignoring != published)) {
            return Some("somebody has yet to hear what is ignored".to_owned());
        }
        if reports.get(&REFEREE).is_none_or(|it| it.epoch != self.registry.version) {
            return Some("the configuration is new".to_owned());
        }
        for member in self.present_members() {
            let Some(report) = reports.get(&member.service.id) else { continue };
            // `onitu wait` doesn't wait for paths that can't be read; here no cause is left for that.
            if let Some(problem) = report.problems.iter().find(|it| !is_for_a_person(it)) {
                return Some(format!("{problem:?}"));
            }
            let Ok(pending) = self.store.pending(member.service.id, usize::MAX).await else {
                return away();
            };
            let Ok(counts) = self.store.counts().await else { return away() };
            let (law, records) = (Law::with_room(self, &counts), self.store.snapshot());
            let waits = |path: &&Path| {
                let record = records.get(*path);
                let is_held = record.is_some_and(|it| law.has_no_room(path, it, &member.service));
                !is_held && !self.is_out_of_reach(path)
            };
            if let Some(path) = pending.iter().find(waits) {
                return Some(format!("{} has work at {path}", member.service.name));
            }
        }
        // The Referee forgets a deletion only when no order is under way there any more.
        let buried = |record: &Record| record.gone && record.holders.is_empty();
        if self.store.snapshot().values().any(buried) {
            return Some("a deletion isn't forgotten".to_owned());
        }
        (self.activity().await != Some(before)).then(|| "something has happened".to_owned())
    }

    /// Asks the services whose mode has changed for a scan, as the Core must when the Referee
    /// knows of the change.
    pub(crate) async fn rescan_changed(&self) {
        for member in self.present_members().filter(|member| member.mode_changed) {
            let requester = self.bus.requester(&Endpoint::control(member.service.id));
            let _ = requester.request(encode(&Request::Rescan), Duration::from_secs(2)).await;
        }
    }

    /// Whether the work at a path has to wait: because nobody but services that aren't configured
    /// any more has what is recorded there, or because it is in a directory that only a source
    /// has, which isn't written to, where others have a file.
    pub(crate) fn is_out_of_reach(&self, path: &Path) -> bool {
        let records = self.store.snapshot();
        // Who has no room for the file that is to take a directory's place keeps the directory.
        let keeps =
            |it: &&Member| it.service.mode == Mode::Source || it.service.quota_bytes().is_some();
        let sources = || self.present_members().filter(keeps);
        let is_blocked = |above: &Path| {
            let file = records.get(above).filter(|r| !r.gone && r.content.kind != Kind::Directory);
            file.is_some() && sources().any(|it| it.storage.thing(above) == Some(Thing::Directory))
        };
        if std::iter::successors(path.parent(), Path::parent).any(|above| is_blocked(&above)) {
            return true;
        }
        // A file that stands where a service does, which can't give way: a person has to see to it.
        let is_mount = |above: &Path| {
            let file = records.get(above).filter(|r| !r.gone && r.content.kind != Kind::Directory);
            let is_foreign = |it: &Member| {
                let held = records.get(above).and_then(|r| r.holder(it.service.id));
                held.is_some_and(|held| held.revision == Holder::FOREIGN)
            };
            let stands = |it: &Member| it.storage.is_virtual(above);
            self.present_members().any(|it| stands(it) && (file.is_some() || is_foreign(it)))
        };
        // And so it is with what is ignored as the directory that it is, and not as a file, or the
        // other way round.
        let ignoring = self.ignoring();
        let is_in_the_way = |above: &Path| {
            let living = records.get(above).filter(|record| !record.gone);
            let kind = living.map(|record| record.content.kind);
            kind.is_some()
                && self.present_members().any(|member| {
                    let stands = member.storage.thing(above).map(|thing| kind_of(&thing));
                    stands.is_some_and(|stands| {
                        Some(stands) != kind && ignoring.covers(above, stands)
                    })
                })
        };
        let mut ways = std::iter::successors(Some(path.clone()), Path::parent);
        if ways.any(|it| is_mount(&it) || is_in_the_way(&it)) {
            return true;
        }
        let id = |member: &Member| member.service.id;
        let present: Vec<ServiceId> = self.present_members().map(id).collect();
        if present.len() == self.members.len() {
            return false;
        }
        let record = records.get(path).filter(|record| !record.gone);
        record.is_some_and(|r| r.current_holders().all(|held| !present.contains(&held.service)))
    }

    async fn activity(&self) -> Option<BTreeMap<ServiceId, u64>> {
        let mut all = BTreeMap::new();
        for member in self.present_members() {
            let requester = self.bus.requester(&Endpoint::control(member.service.id));
            let asked = encode(&Request::Settle);
            let answer = requester.request(asked, Duration::from_secs(2)).await.ok()?;
            match decode::<Reply>(&answer).ok()? {
                Reply::Settled { idle: true, activity } => all.insert(member.service.id, activity),
                _ => return None,
            };
        }
        Some(all)
    }
}

/// Whether a problem is one that stays until a person does something: what is ignored is left alone.
fn is_for_a_person(problem: &Problem) -> bool {
    problem.message.contains("is ignored") || problem.message.contains("has no effect")
}

fn service(number: usize, nature: &Nature) -> Service {
    let id = u16::try_from(number + 1).unwrap_or(u16::MAX);
    // The brake has tests of its own; here no person is there to decide.
    let no_brake = ("max_delete".to_owned(), serde_json::json!(Share::Count(u64::MAX)));
    let no_links = (KEEPS_SYMLINKS.to_owned(), serde_json::json!(false));
    let told = nature.is_told_without_links().then_some(no_links);
    Service {
        id: ServiceId(id),
        name: format!("s{id}"),
        driver: "memory".to_owned(),
        mode: nature.mode,
        paused: false,
        options: [no_brake].into_iter().chain(told).collect(),
    }
}

async fn ended(never: impl Future<Output = Infallible>) {
    match never.await {}
}
