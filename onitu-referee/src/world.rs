//! What the decision needs to know of the configuration.

use std::borrow::Cow;
use std::collections::BTreeMap;

use onitu_core::ignore::Ignoring;
use onitu_core::rules::{Facts, Rules};
use onitu_core::store::Registry;
use onitu_core::{Kind, Mode, Need, Path, Record, Service, ServiceId, clock, need};

/// The services and the rules, compiled.
#[derive(Default)]
pub struct World {
    /// As registered by the Core.
    pub registry: Registry,
    /// [`None`] when the registered ones can't be read: then nothing new is placed.
    rules: Option<Rules>,
    /// Nothing, unless [`World::ignoring`] says what.
    ignoring: Ignoring,
    /// Of services with a quota.
    room: BTreeMap<ServiceId, u64>,
}

impl World {
    /// Compiles the registry's rules. The Core registers only rules that it has checked; should
    /// they be wrong all the same, nothing new is placed anywhere and the log says so.
    pub fn new(registry: Registry) -> Self {
        let names: Vec<String> =
            registry.services.iter().map(|service| service.name.clone()).collect();
        let rules = match &registry.rules {
            None => Some(Rules::everywhere()),
            Some(text) => Rules::parse(text, &names).0,
        };
        if rules.is_none() {
            tracing::error!("the registered rules can't be read: nothing new is placed");
        }
        Self { registry, rules, ignoring: Ignoring::default(), room: BTreeMap::new() }
    }

    /// The same world, in which this is ignored.
    #[must_use]
    pub fn ignoring(self, ignoring: Ignoring) -> Self {
        Self { ignoring, ..self }
    }

    /// Whether something of `kind` at `path` is no business of Onitu's.
    pub fn ignores(&self, path: &Path, kind: Kind) -> bool {
        self.ignoring.covers(path, kind)
    }

    /// The configured services.
    pub fn services(&self) -> &[Service] {
        &self.registry.services
    }

    /// Where the rules place `path`, with what is on record of it.
    pub fn targets(&self, path: &Path, record: Option<&Record>) -> Vec<ServiceId> {
        let Some(rules) = &self.rules else { return Vec::new() };
        let services = self.services_for(path, record);
        let now_ns = i64::try_from(clock::now_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let held = record.map(|it| it.holders.iter().map(|held| held.service).collect::<Vec<_>>());
        let facts = Facts::of(path, record, now_ns);
        rules.place(&facts, &services, &held.unwrap_or_default()).targets
    }

    /// The services on which something can stand at `path`. One that has no room for what the record
    /// says isn't available, and another one is chosen where the rules leave a choice.
    fn services_for(&self, path: &Path, record: Option<&Record>) -> Cow<'_, [Service]> {
        let mut services = self.registry.reaching(path);
        let Some(record) = record.filter(|_| !self.room.is_empty()) else { return services };
        let is_full = |service: &Service| {
            let room = self.room.get(&service.id).copied();
            room.is_some_and(|room| {
                record.holder(service.id).is_none() && room < record.content.size
            })
        };
        if services.iter().any(&is_full) {
            for service in services.to_mut() {
                service.paused |= is_full(service);
            }
        }
        services
    }

    /// How many bytes more services with a quota may hold.
    pub(crate) fn set_room(&mut self, room: BTreeMap<ServiceId, u64>) {
        self.room = room;
    }

    /// How `service` is used; services that are gone from the configuration count as two-way.
    pub fn mode(&self, service: ServiceId) -> Mode {
        self.registry.by_id(service).map_or(Mode::Sync, |service| service.mode)
    }

    /// Which services have work at a path with this record, and what. In the services' order.
    pub fn needs(&self, path: &Path, record: Option<&Record>) -> Vec<(ServiceId, Need)> {
        let Some(record) = record else { return Vec::new() };
        if self.ignores(path, record.content.kind) {
            return Vec::new();
        }
        let targets = self.targets(path, Some(record));
        self.registry
            .services
            .iter()
            .filter_map(|service| {
                let wanted = need(record, service.id, targets.contains(&service.id));
                let written_to = !matches!(wanted, Need::Nothing | Need::Hash);
                let allowed = !(written_to && service.mode == Mode::Source);
                (allowed && wanted != Need::Nothing).then_some((service.id, wanted))
            })
            .collect()
    }

    /// Services that are to get what the path holds, and may be placing it just now.
    pub fn awaited(&self, path: &Path, record: &Record) -> Vec<ServiceId> {
        let needs = self.needs(path, Some(record));
        needs.into_iter().filter(|(_, need)| *need == Need::Place).map(|(who, _)| who).collect()
    }

    /// What `service` has to do at a path with this record.
    pub fn need_of(&self, path: &Path, record: Option<&Record>, service: ServiceId) -> Need {
        let needs = self.needs(path, record);
        needs.into_iter().find(|(who, _)| *who == service).map_or(Need::Nothing, |(_, need)| need)
    }
}
