//! An Onitu over services in memory in which only happens what a test does: the real Referee and
//! drivers' runtime on one thread, by a clock that jumps to whatever comes next. Only for tests
//! with `start_paused = true`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::Report;
use onitu_core::store::{Conflict, MemoryStore, Registry, Store};
use onitu_core::verify::{Manner, VerifyRequest, VerifyStatus};
use onitu_core::{Mode, Path, Record, Service, ServiceId, clock};
use onitu_driver_memory::{Memory, MemoryService};
use onitu_plug::{Post, keep};
use onitu_referee::Referee;
use tokio::task::JoinHandle;

const BEGIN_MS: u64 = 1_700_000_000_000;
/// Far more simulated time than anything here takes.
const LIMIT: Duration = Duration::from_hours(2);

pub fn path(text: &str) -> Path {
    Path::new(text).expect("a legal path")
}

pub struct Calm {
    pub store: MemoryStore,
    pub bus: MemoryBus,
    /// Number 1 first.
    pub services: Vec<MemoryService>,
    registry: Registry,
    drivers: Vec<JoinHandle<()>>,
    _referee: JoinHandle<()>,
}

impl Calm {
    /// So many services, in step.
    pub async fn new(services: usize) -> Self {
        Self::with(services, |_| {}).await
    }

    /// The same, each changed by `option` before it is registered.
    pub async fn with(services: usize, option: impl Fn(&mut Service)) -> Self {
        Self::over((0..services).map(|_| MemoryService::new()).collect(), option).await
    }

    /// The same over these storages.
    pub async fn over(services: Vec<MemoryService>, option: impl Fn(&mut Service)) -> Self {
        clock::simulate(BEGIN_MS);
        let store = MemoryStore::new();
        let bus = MemoryBus::new(1);
        let registered = (1..).take(services.len()).map(|number| {
            let mut service = Service {
                id: ServiceId(number),
                name: format!("s{number}"),
                driver: "memory".to_owned(),
                mode: Mode::Sync,
                paused: false,
                options: BTreeMap::new(),
            };
            option(&mut service);
            service
        });
        let registry =
            Registry { version: 1, services: registered.collect(), ..Registry::default() };
        store.set_up().await.expect("a store");
        store.set_registry(&registry).await.expect("a store");
        let referee = Referee::new(Arc::new(store.clone()), Arc::new(bus.clone()), 1);
        let referee = tokio::spawn(async move {
            let Err(error) = referee.run().await;
            panic!("the referee ended: {error}");
        });
        let mut calm =
            Self { store, bus, services, registry, drivers: Vec::new(), _referee: referee };
        for number in 0..calm.services.len() {
            let driver = calm.drive(number);
            calm.drivers.push(driver);
        }
        calm.wait().await;
        calm
    }

    /// Puts these rules in force, approved of all that they remove.
    #[allow(dead_code, reason = "only some tests have rules")]
    pub async fn govern(&mut self, rules: &str) {
        self.registry.version += 1;
        self.registry.rules = Some(rules.to_owned());
        self.registry.approved = vec![rules.to_owned()];
        self.store.set_registry(&self.registry).await.expect("a store");
        self.report(0).await;
        self.wait().await;
    }

    fn drive(&self, number: usize) -> JoinHandle<()> {
        let service = self.registry.services[number].clone();
        let (store, bus) = (Arc::new(self.store.clone()), Arc::new(self.bus.clone()));
        let storage = self.services[number].clone();
        tokio::spawn(async move {
            let post = Post { service, store, bus };
            match Box::pin(keep::<Memory, _>(post, move |_| <Memory>::try_begin(storage.clone())))
                .await {}
        })
    }

    /// Kills the driver of a service wherever it is, and starts another one.
    pub async fn restart(&mut self, number: usize) {
        self.drivers[number].abort();
        let _ = (&mut self.drivers[number]).await;
        self.drivers[number] = self.drive(number);
    }

    /// What the driver of a service answers to the Core.
    pub async fn ask(&self, number: usize, request: &Request) -> Option<Reply> {
        let id = self.registry.services[number].id;
        let requester = self.bus.requester(&Endpoint::control(id));
        let answer = requester.request(encode(request), Duration::from_secs(5)).await.ok()?;
        Some(decode(&answer).expect("readable"))
    }

    /// Returns when nothing is under way or pending anywhere.
    pub async fn wait(&self) {
        let mut calm_looks = 0;
        let begin = tokio::time::Instant::now();
        while calm_looks < 2 {
            assert!(begin.elapsed() < LIMIT, "no rest");
            tokio::time::sleep(Duration::from_millis(20)).await;
            calm_looks = if self.is_calm().await { calm_looks + 1 } else { 0 };
        }
    }

    async fn is_calm(&self) -> bool {
        for number in 0..self.services.len() {
            let answer = self.ask(number, &Request::Settle).await;
            if !matches!(answer, Some(Reply::Settled { idle: true, .. })) {
                return false;
            }
        }
        let counts = self.store.counts().await.expect("a store");
        counts.pending.values().all(|pending| *pending == 0)
    }

    pub async fn record(&self, at: &str) -> Option<Record> {
        self.store.get(&[path(at)]).await.expect("a store").remove(0)
    }

    pub async fn conflicts(&self) -> Vec<Conflict> {
        self.store.conflicts().await.expect("a store")
    }

    /// What a driver says of itself, when it has had the time to say it.
    pub async fn report(&self, number: usize) -> Report {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut reports = self.store.reports().await.expect("a store");
        reports.remove(&self.registry.services[number].id).expect("a report")
    }

    /// Begins a verification.
    pub async fn begin(&self, number: usize, id: u64, manner: Manner) -> Reply {
        let begin = Request::Verify(VerifyRequest::Begin { id, manner });
        self.ask(number, &begin).await.expect("an answer")
    }

    /// How far a verification is.
    pub async fn progress(&self, number: usize, id: u64) -> Option<VerifyStatus> {
        match self.ask(number, &Request::Verify(VerifyRequest::Progress { id })).await? {
            Reply::Verify(status) => status.map(|status| *status),
            other => panic!("{other:?}"),
        }
    }

    /// Verifies a service to the end.
    pub async fn verify(&self, number: usize, manner: Manner) -> VerifyStatus {
        let id = clock::now_ms();
        let answer = self.begin(number, id, manner).await;
        assert!(matches!(answer, Reply::Verify(Some(_))), "{answer:?}");
        let since = tokio::time::Instant::now();
        loop {
            assert!(since.elapsed() < LIMIT, "no end");
            tokio::time::sleep(Duration::from_millis(50)).await;
            if let Some(status) = self.progress(number, id).await
                && status.id == id
                && status.is_over()
            {
                return status;
            }
        }
    }
}

pub const SHALLOW: Manner =
    Manner { deep: false, part: onitu_core::verify::Part::WHOLE, bytes_per_s: None };
pub const DEEP: Manner = Manner { deep: true, ..SHALLOW };
