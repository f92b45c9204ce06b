//! The Core's own state, and the one operation that changes anything: [`Core::establish`], which
//! brings store and supervisor to what the configuration says. Starting, reloading, pausing and
//! healing an emptied store are all this one operation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onitu_core::bus::{Bus, Endpoint, Requester};
use onitu_core::control::Wanted;
use onitu_core::store::{Incarnation, Registry, Store, StoreError};
use onitu_core::{Service, ServiceId, clock};
use tracing::{info, warn};

use crate::approval;
use crate::configuration::{Configuration, Remembered, Sources};
use crate::identity;
use crate::register::{self, Place};
use crate::scans::Scans;
use crate::supervisor::Supervisor;

/// The catalogue of services, and everything that is needed to keep it true.
pub struct Core {
    pub(crate) store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    pub(crate) supervisor: Supervisor,
    sources: Arc<dyn Sources>,
    place: Place,
    /// Held while the registry is being changed, so that changes come one after the other.
    changing: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
    requesters: Mutex<BTreeMap<ServiceId, Arc<Requester>>>,
    scans: Mutex<Scans>,
    /// When conflicts were last looked through.
    conflicts_tended: Mutex<Option<tokio::time::Instant>>,
}

/// What the Core remembers between two requests.
struct Known {
    /// The last one that was right.
    configuration: Configuration,
    /// As it stands in the store, or provisional.
    registry: Arc<Registry>,
    /// The store it stands in; [`None`] while nothing is registered or that is in doubt.
    registered: Option<Incarnation>,
    /// Of the store that was last registered in.
    generation: Option<String>,
    /// Keeps fingerprints of options from being guessed; the first generation that was seen.
    salt: Option<String>,
    /// Why services have no process, by name.
    missing: Arc<BTreeMap<String, String>>,
    /// What the supervisor has yet to be told.
    run: Option<Vec<Wanted>>,
    /// What is kept of rules beside the store, once it was read.
    remembered: Option<Remembered>,
}

/// What an operation asks to be different.
#[derive(Default)]
pub(crate) struct Change {
    /// Instead of the configuration that is known.
    pub(crate) configuration: Option<Configuration>,
    /// Whether each of these services is paused.
    pub(crate) paused: BTreeMap<String, bool>,
    /// Whether everything that the rules remove is approved of.
    pub(crate) approves: bool,
}

impl Core {
    /// A Core that will establish `configuration`, the first that was read from `sources`.
    pub fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        supervisor: Supervisor,
        sources: Arc<dyn Sources>,
        place: Place,
        configuration: Configuration,
    ) -> Self {
        let known = Known {
            registry: Arc::new(register::provisional(&configuration)),
            configuration,
            registered: None,
            generation: None,
            salt: None,
            missing: Arc::default(),
            run: None,
            remembered: None,
        };
        Self {
            store,
            bus,
            supervisor,
            sources,
            place,
            changing: tokio::sync::Mutex::new(()),
            known: Mutex::new(known),
            requesters: Mutex::default(),
            scans: Mutex::default(),
            conflicts_tended: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which scans count.
    pub(crate) fn scans(&self) -> MutexGuard<'_, Scans> {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When conflicts were last looked through.
    pub(crate) fn conflicts_tended(&self) -> Option<tokio::time::Instant> {
        *self.conflicts_tended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that conflicts were looked through.
    pub(crate) fn set_conflicts_tended(&self, at: tokio::time::Instant) {
        *self.conflicts_tended.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// The services and rules as far as they are known; provisional until
    /// they are registered.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.known().registry.clone()
    }

    /// Where the rules in force were read, if a file told them: the file and their first line.
    pub(crate) fn rules_place(&self) -> Option<(PathBuf, usize)> {
        self.known().configuration.rules_place.clone()
    }

    /// Why services have no process, by name.
    pub(crate) fn missing(&self) -> Arc<BTreeMap<String, String>> {
        self.known().missing.clone()
    }

    /// Whether the store holds the registry and the supervisor was told what to run.
    pub(crate) fn is_established(&self) -> bool {
        let known = self.known();
        known.registered.is_some() && known.run.is_none()
    }

    /// The socket on which `service` is asked; one for all that ask.
    pub(crate) fn requester(&self, service: ServiceId) -> Arc<Requester> {
        let mut requesters = self.requesters.lock().unwrap_or_else(PoisonError::into_inner);
        requesters
            .entry(service)
            .or_insert_with(|| Arc::new(self.bus.requester(&Endpoint::control(service))))
            .clone()
    }

    /// Reads the configuration again; an error is every mistake of it, rendered.
    pub(crate) async fn read_configuration(&self) -> Result<Configuration, String> {
        let sources = self.sources.clone();
        tokio::task::spawn_blocking(move || sources.configuration())
            .await
            .unwrap_or_else(|error| Err(format!("reading the configuration failed: {error}")))
    }

    /// Does what is due: registers again when the store is not the one that was registered in,
    /// and tells the supervisor what it was not told yet. May be called at any time.
    pub async fn tend(&self) -> Result<(), StoreError> {
        let incarnation = self.store.incarnation().await?;
        let registered = self.known().registered.clone();
        if registered.as_ref() != Some(&incarnation) {
            if registered.is_some() {
                warn!(?incarnation, "the metadata store is another one: registering again");
            }
            self.establish(Change::default()).await?;
        }
        {
            let _alone = self.changing.lock().await;
            self.tell_supervisor().await;
        }
        self.tend_scans().await?;
        self.tend_conflicts().await
    }

    /// Brings registry and processes to what is known and `change`, and answers what is different.
    /// After an error nothing is known to have changed, and [`Core::tend`] writes what was before.
    pub(crate) async fn establish(&self, change: Change) -> Result<String, StoreError> {
        let _alone = self.changing.lock().await;
        let result = self.establish_alone(change).await;
        if result.is_err() {
            self.known().registered = None;
        }
        result
    }

    async fn establish_alone(&self, change: Change) -> Result<String, StoreError> {
        let generation = self.store.set_up().await?;
        // The generation that was set up, not the one read after: should the store be emptied in
        // between, the next look tells them apart.
        let run = self.store.incarnation().await?.run;
        let incarnation = Incarnation { generation: Some(generation.clone()), run };
        let stored = self.store.registry().await?;
        let (before, configuration) = self.before(stored.as_ref(), change.configuration);
        let configuration = identity::dated(configuration, &before, clock::now_ms());
        let paused = paused(&before, &change.paused);
        let ids = self.ids(&configuration, &before).await?;
        let mut registry = register::registry(&configuration, &paused, &ids);
        let known = self.remembered(stored.as_ref()).await;
        let approved = approval::approved(known.as_ref(), &registry, change.approves);
        let (approved, trouble) = self.keep_approved(&registry, approved).await;
        registry.approved = approved;
        let version = before.version.max(stored.as_ref().map_or(0, |stored| stored.version));
        match &stored {
            Some(stored) if register::same(stored, &registry) => registry.version = stored.version,
            _ => {
                registry.version = version + 1;
                self.store.set_registry(&registry).await?;
            }
        }
        for service in register::removed(stored.as_ref().unwrap_or(&before), &registry) {
            self.store.forget_pending(service.id).await?;
        }
        let mut said = register::changes(&before, &registry);
        said.extend(approval::waiting(&before, &registry));
        said.extend(trouble);
        let said = if said.is_empty() { "nothing changed".to_owned() } else { said.join("; ") };
        info!(version = registry.version, "services: {said}");
        self.remember(configuration, registry, incarnation, generation).await;
        self.tell_supervisor().await;
        Ok(said)
    }

    /// What is kept of rules beside the store; what the store has where that was never kept.
    async fn remembered(&self, stored: Option<&Registry>) -> Option<Remembered> {
        if let Some(known) = self.known().remembered.clone() {
            return Some(known);
        }
        let sources = self.sources.clone();
        let kept = tokio::task::spawn_blocking(move || sources.remembered()).await;
        match kept.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(Some(kept)) => Some(kept),
            Ok(None) => stored.map(|stored| Remembered {
                rules: stored.rules.clone(),
                approved: stored.approved.clone(),
            }),
            Err(error) => {
                warn!("what was approved of removing can't be read, so nothing is: {error}");
                Some(Remembered::default())
            }
        }
    }

    /// Keeps what is approved of beside the store; nothing is approved of that can't be kept.
    async fn keep_approved(
        &self,
        registry: &Registry,
        approved: Vec<String>,
    ) -> (Vec<String>, Option<String>) {
        let wanted = Remembered { rules: registry.rules.clone(), approved };
        if self.known().remembered.as_ref() == Some(&wanted) {
            return (wanted.approved, None);
        }
        let (sources, kept) = (self.sources.clone(), wanted.clone());
        let done = tokio::task::spawn_blocking(move || sources.remember(&kept)).await;
        if let Err(error) = done.unwrap_or_else(|error| Err(error.to_string())) {
            warn!("{error}");
            // As long as this Core lives it knows what was in force; after it nobody may.
            let nothing = Remembered { rules: wanted.rules, approved: Vec::new() };
            self.known().remembered = Some(nothing);
            return (Vec::new(), Some(format!("nothing is removed because of rules: {error}")));
        }
        self.known().remembered = Some(wanted.clone());
        (wanted.approved, None)
    }

    /// The registry that was in force, and the configuration to come. What is remembered counts
    /// more than what is stored: the store may have lost its last second.
    fn before(
        &self,
        stored: Option<&Registry>,
        configuration: Option<Configuration>,
    ) -> (Registry, Configuration) {
        let known = self.known();
        let before = match stored {
            Some(stored) if known.salt.is_none() => stored.clone(),
            _ if known.salt.is_none() => Registry::default(),
            _ => Registry::clone(&known.registry),
        };
        (before, configuration.unwrap_or_else(|| known.configuration.clone()))
    }

    async fn ids(
        &self,
        configuration: &Configuration,
        before: &Registry,
    ) -> Result<BTreeMap<String, ServiceId>, StoreError> {
        let mut ids = BTreeMap::new();
        for name in register::names_by_age(configuration, before) {
            let configured = configuration.services.iter().find(|it| it.name == name);
            let key = configured.map_or_else(|| name.clone(), identity::key);
            ids.insert(name, self.store.service_id(&key).await?);
        }
        Ok(ids)
    }

    async fn remember(
        &self,
        configuration: Configuration,
        registry: Registry,
        incarnation: Incarnation,
        generation: String,
    ) {
        let programs = self.programs(&registry.services).await;
        let mut known = self.known();
        if known.generation.as_ref().is_some_and(|before| *before != generation) {
            self.scans().lose(&registry);
        } else if known.registered.is_some() && register::may_uncover(&known.registry, &registry) {
            // What nobody has looked at stands there unseen.
            self.scans().lose(&registry);
        }
        let salt = known.salt.get_or_insert_with(|| generation.clone()).clone();
        let (run, missing) = register::wanted(&registry, &programs, &self.place, &salt);
        known.configuration = configuration;
        known.registry = Arc::new(registry);
        known.registered = Some(incarnation);
        known.generation = Some(generation);
        known.missing = Arc::new(missing);
        known.run = Some(run);
    }

    async fn programs(&self, services: &[Service]) -> BTreeMap<String, Result<PathBuf, String>> {
        let drivers: BTreeSet<String> =
            services.iter().map(|service| service.driver.clone()).collect();
        let sources = self.sources.clone();
        let find = move || -> BTreeMap<_, _> {
            drivers
                .into_iter()
                .map(|driver| {
                    let program = sources.program(&driver);
                    (driver, program)
                })
                .collect()
        };
        tokio::task::spawn_blocking(find).await.unwrap_or_else(|error| {
            warn!("looking for drivers failed: {error}");
            BTreeMap::new()
        })
    }

    /// Tells the supervisor what it was not told yet; what fails is tried again by [`Core::tend`].
    /// Called with `changing` held, so that no older list arrives after a newer one.
    async fn tell_supervisor(&self) {
        let Some(run) = self.known().run.clone() else { return };
        match self.supervisor.run(run.clone()).await {
            Ok(()) => {
                let mut known = self.known();
                if known.run.as_ref() == Some(&run) {
                    known.run = None;
                }
            }
            Err(error) => warn!("{error}"),
        }
    }
}

fn paused(before: &Registry, change: &BTreeMap<String, bool>) -> BTreeSet<String> {
    before
        .services
        .iter()
        .map(|service| (service.name.clone(), service.paused))
        .chain(change.clone())
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .filter_map(|(name, paused)| paused.then_some(name))
        .collect()
}

#[cfg(test)]
mod tests;
