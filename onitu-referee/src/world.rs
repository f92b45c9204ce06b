//! What the decision needs to know of the configuration, and of the time.

use std::collections::BTreeMap;

use onitu_core::ignore::Ignoring;
use onitu_core::store::Registry;
use onitu_core::{InForce, Kind, Mode, Need, Path, Record, Service, ServiceId, Wish, need};

/// The services and the rules, compiled.
#[derive(Default)]
pub struct World {
    /// As registered by the Core.
    pub registry: Registry,
    /// The time for which everything is decided, in nanoseconds since the epoch: rules may ask how
    /// old a file is.
    pub now_ns: i64,
    in_force: InForce,
    /// Nothing, unless [`World::ignoring`] says what.
    ignoring: Ignoring,
    /// Of services with a quota.
    room: BTreeMap<ServiceId, u64>,
}

impl World {
    /// Compiles the registry's rules. The Core registers only rules that it has checked; should
    /// they be wrong all the same, nothing new is placed anywhere and the log says so.
    pub fn new(registry: Registry) -> Self {
        let in_force = InForce::new(&registry);
        if in_force.rules().is_none() {
            tracing::error!("the registered rules can't be read: nothing new is placed");
        }
        Self { registry, in_force, ..Self::default() }
    }

    /// The same world, in which this is ignored.
    #[must_use]
    pub fn ignoring(self, ignoring: Ignoring) -> Self {
        Self { ignoring, ..self }
    }

    /// Whether something of `kind` at `path` is no business of Onitu's. What the rules exclude is,
    /// from the moment at which that was published.
    pub fn ignores(&self, path: &Path, kind: Kind) -> bool {
        self.ignoring.covers(path, kind)
    }

    /// The configured services.
    pub fn services(&self) -> &[Service] {
        &self.registry.services
    }

    /// What is wanted of a path with this record.
    pub fn wish(&self, path: &Path, record: &Record) -> Wish {
        if self.ignores(path, record.content.kind) {
            return Wish { excluded: true, ..Wish::default() };
        }
        let services = self.registry.with_room(path, record, &self.room);
        self.in_force.wish_among(&services, path, record, self.now_ns)
    }

    /// Whether anything is ever removed because of rules.
    pub(crate) fn may_evict(&self) -> bool {
        !self.registry.approved.is_empty()
    }

    /// How many bytes more services with a quota may hold.
    pub(crate) fn set_room(&mut self, room: BTreeMap<ServiceId, u64>) {
        self.room = room;
    }

    /// How `service` is used; services that are gone from the configuration count as two-way.
    pub fn mode(&self, service: ServiceId) -> Mode {
        self.registry.by_id(service).map_or(Mode::Sync, |service| service.mode)
    }

    /// Which services have work at a path with this record, and what, or are unable to do it. In the
    /// services' order.
    pub fn needs(&self, path: &Path, record: Option<&Record>) -> Vec<(ServiceId, Need)> {
        let Some(record) = record else { return Vec::new() };
        self.needs_by(&self.wish(path, record), record)
    }

    /// The same where it is known what the rules want.
    pub(crate) fn needs_by(&self, wish: &Wish, record: &Record) -> Vec<(ServiceId, Need)> {
        self.registry
            .services
            .iter()
            .filter_map(|service| {
                let wanted = need(record, service.id, wish);
                let written_to = !matches!(wanted, Need::Nothing | Need::Hash);
                let allowed = !(written_to && service.mode == Mode::Source);
                (allowed && wanted != Need::Nothing).then_some((service.id, wanted))
            })
            .collect()
    }

    /// Services that are to get what the path holds, and may be placing it just now: those that are
    /// unable to keep it may be placing what stood there before, if anything did.
    pub fn awaited(&self, path: &Path, record: &Record) -> Vec<ServiceId> {
        let is_placing = |need: Need| match need {
            Need::Place => true,
            Need::Unable => record.revision > 1,
            _ => false,
        };
        let needs = self.needs(path, Some(record)).into_iter();
        needs.filter(|(_, need)| is_placing(*need)).map(|(who, _)| who).collect()
    }

    /// What `service` has to do at a path with this record.
    pub fn need_of(&self, path: &Path, record: Option<&Record>, service: ServiceId) -> Need {
        let needs = self.needs(path, record);
        needs.into_iter().find(|(who, _)| *who == service).map_or(Need::Nothing, |(_, need)| need)
    }
}

#[cfg(test)]
mod tests;
