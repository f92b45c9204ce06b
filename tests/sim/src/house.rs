//! The processes of one simulated Onitu, each a task that can be killed at any await.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::store::{MemoryStore, Registry, Store};
use onitu_core::{Mode, Service, ServiceId};
use onitu_driver_memory::{Memory, MemoryService};
use onitu_plug::{Post, keep};
use onitu_referee::Referee;
use tokio::task::JoinHandle;

use crate::careless::Careless;

/// A process of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Referee,
    Driver(usize),
}

/// All of them, with what they share.
pub(crate) struct House {
    pub(crate) store: MemoryStore,
    pub(crate) bus: MemoryBus,
    pub(crate) services: Vec<(Service, MemoryService)>,
    registry: Registry,
    referee: Option<JoinHandle<()>>,
    drivers: Vec<Option<JoinHandle<()>>>,
    careless: bool,
    starts: u64,
    /// Whether the store ever was.
    pub(crate) wiped: Cell<bool>,
}

impl House {
    pub(crate) async fn new(services: usize, seed: u64, careless: bool) -> Self {
        let store = MemoryStore::new();
        let bus = MemoryBus::new(seed);
        let services: Vec<(Service, MemoryService)> =
            (0..services).map(|number| (service(number), MemoryService::new())).collect();
        let registry = Registry {
            version: 1,
            services: services.iter().map(|(service, _)| service.clone()).collect(),
            rules: None,
        };
        let drivers = services.iter().map(|_| None).collect();
        let mut house = Self {
            store,
            bus,
            services,
            registry,
            referee: None,
            drivers,
            careless,
            starts: 0,
            wiped: Cell::new(false),
        };
        house.register().await;
        house.start_all();
        house
    }

    /// What the Core does: sets up the store if it is empty.
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

    pub(crate) fn start_all(&mut self) {
        if self.referee.is_none() {
            self.start(Process::Referee);
        }
        for number in 0..self.drivers.len() {
            if self.drivers[number].is_none() {
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
                let (service, storage) = self.services[number].clone();
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
                self.drivers[number] = Some(task);
            }
        }
    }

    /// Kills a process wherever it is.
    pub(crate) async fn kill(&mut self, process: Process) {
        let task = match process {
            Process::Referee => self.referee.take(),
            Process::Driver(number) => self.drivers[number].take(),
        };
        if let Some(task) = task {
            task.abort();
            // Until it has really gone another one could run beside it.
            let _ = task.await;
        }
    }

    /// Whether everything is in step, as `onitu wait` would find out.
    pub(crate) async fn is_settled(&self) -> bool {
        let Some(before) = self.activity().await else { return false };
        let Ok(counts) = self.store.counts().await else { return false };
        if counts.pending.values().any(|pending| *pending > 0) {
            return false;
        }
        // `onitu wait` doesn't wait for paths that can't be read; here no cause is left for that.
        let Ok(reports) = self.store.reports().await else { return false };
        if reports.values().any(|report| report.problems_total > 0) {
            return false;
        }
        self.activity().await == Some(before)
    }

    async fn activity(&self) -> Option<BTreeMap<ServiceId, u64>> {
        let mut all = BTreeMap::new();
        for (service, _) in &self.services {
            let requester = self.bus.requester(&Endpoint::control(service.id));
            let asked = encode(&Request::Settle);
            let answer = requester.request(asked, Duration::from_secs(2)).await.ok()?;
            match decode::<Reply>(&answer).ok()? {
                Reply::Settled { idle: true, activity } => all.insert(service.id, activity),
                _ => return None,
            };
        }
        Some(all)
    }
}

fn service(number: usize) -> Service {
    let id = u16::try_from(number + 1).unwrap_or(u16::MAX);
    Service {
        id: ServiceId(id),
        name: format!("s{id}"),
        driver: "memory".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::new(),
    }
}

async fn ended(never: impl Future<Output = Infallible>) {
    match never.await {}
}
