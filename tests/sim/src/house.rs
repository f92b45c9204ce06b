//! The processes of one simulated Onitu, each a task that can be killed at any await.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::held::Share;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::{REFEREE, Report};
use onitu_core::store::{MemoryStore, Registry, Store};
use onitu_core::{Kind, Mode, Path, Record, Service, ServiceId};
use onitu_driver_memory::{Memory, MemoryService, Thing};
use onitu_plug::{Post, keep};
use onitu_referee::Referee;
use tokio::task::JoinHandle;

use crate::careless::Careless;
use crate::nature::Nature;

/// A process of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Referee,
    Driver(usize),
}

/// A service with its storage, configured or not.
pub(crate) struct Member {
    pub(crate) service: Service,
    pub(crate) storage: MemoryService,
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
}

impl House {
    pub(crate) fn new(natures: &[Nature], seed: u64, careless: bool) -> Self {
        let members = natures.iter().enumerate().map(|(number, nature)| Member {
            service: service(number, nature),
            storage: nature.storage(),
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
                let (service, storage) = (member.service.clone(), member.storage.clone());
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
        let Some(before) = self.activity().await else { return false };
        // `onitu wait` doesn't wait for paths that can't be read; here no cause is left for that.
        let Ok(reports) = self.store.reports().await else { return false };
        let swept = reports.get(&REFEREE).is_some_and(|it| it.epoch == self.registry.version);
        let present = self.present_members().filter_map(|member| reports.get(&member.service.id));
        // A person is told what keeps a directory that was deleted elsewhere; it stays told.
        let is_read = |report: &Report| {
            report.problems.iter().all(|problem| problem.message.contains("which is ignored"))
        };
        if !swept || present.into_iter().any(|report| !is_read(report)) {
            return false;
        }
        for member in self.present_members() {
            let Ok(pending) = self.store.pending(member.service.id, usize::MAX).await else {
                return false;
            };
            if pending.iter().any(|path| !self.is_out_of_reach(path)) {
                return false;
            }
        }
        // The Referee forgets a deletion only when no order is under way there any more.
        let buried = |record: &Record| record.gone && record.holders.is_empty();
        !self.store.snapshot().values().any(buried) && self.activity().await == Some(before)
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
        let sources = || self.present_members().filter(|it| it.service.mode == Mode::Source);
        let is_blocked = |above: &Path| {
            let file = records.get(above).filter(|r| !r.gone && r.content.kind != Kind::Directory);
            file.is_some() && sources().any(|it| it.storage.thing(above) == Some(Thing::Directory))
        };
        if std::iter::successors(path.parent(), Path::parent).any(|above| is_blocked(&above)) {
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

fn service(number: usize, nature: &Nature) -> Service {
    let id = u16::try_from(number + 1).unwrap_or(u16::MAX);
    // The brake has tests of its own; here no person is there to decide.
    let no_brake = ("max_delete".to_owned(), serde_json::json!(Share::Count(u64::MAX)));
    Service {
        id: ServiceId(id),
        name: format!("s{id}"),
        driver: "memory".to_owned(),
        mode: nature.mode,
        paused: false,
        options: BTreeMap::from([no_brake]),
    }
}

async fn ended(never: impl Future<Output = Infallible>) {
    match never.await {}
}
