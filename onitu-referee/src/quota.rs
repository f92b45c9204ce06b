//! How many bytes a service may hold, and what is held back because it has no room.
//!
//! What a service holds is summed up by the commits: for each path the size that is on record, also
//! where the service is behind, because that is what it is about to hold. What is under way to it
//! counts as held. All of it is one number a service, and what waits is asked for again when that
//! number falls.

use std::collections::{BTreeMap, BTreeSet};

use onitu_core::store::{Counts, CountsChange, Registry};
use onitu_core::{Fault, FaultKind, Path, Record, ServiceId};

/// Most paths of a service that are remembered to be asked for again at once; the others come with
/// their next turn.
const WAITING_MAX: usize = 65_536;

/// The services with a quota.
#[derive(Default)]
pub(crate) struct Quotas(BTreeMap<ServiceId, Quota>);

#[derive(Default)]
struct Quota {
    name: String,
    most: u64,
    used: i64,
    under_way: BTreeMap<Path, u64>,
    /// Where an update hasn't come yet.
    behind: BTreeMap<Path, Behind>,
    larger_sum: u64,
    waiting: BTreeSet<Path>,
}

/// What stands at a path of which another revision is on record.
#[derive(Clone, Copy, Default)]
struct Behind {
    /// The size of what is held, where that is known.
    has: Option<u64>,
    /// The most that may stand there: an order for any revision since may be under way.
    may_have: u64,
    /// By how much that is larger than what is on record.
    larger: u64,
}

impl Quota {
    fn taken(&self) -> u64 {
        let under_way = self.under_way.values().sum::<u64>();
        u64::try_from(self.used).unwrap_or(0) + under_way + self.larger_sum
    }

    /// What the service has at `path`, once its record has become `after`; [`None`] if nothing that
    /// differs from it.
    fn behind(
        &self,
        service: ServiceId,
        path: &Path,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Option<Behind> {
        let after = after.filter(|record| !record.is_current_on(service))?;
        let holds = after.holder(service)?;
        let former = before.and_then(|record| Some((record, record.holder(service)?)));
        let mut behind = if let Some((before, held)) = former {
            let size = before.content.size;
            let mut known = self.behind.get(path).copied().unwrap_or_default();
            if before.is_current_on(service) {
                (known.has, known.may_have) = (Some(size), size);
            } else if before.revision != after.revision {
                known.may_have = known.may_have.max(size);
            }
            Behind { has: known.has.filter(|_| held.tag == holds.tag), ..known }
        } else {
            // It got an earlier revision just now, or has something of its own.
            let may_have = self.under_way.get(path).copied().unwrap_or(0);
            Behind { may_have, ..Behind::default() }
        };
        behind.larger = behind.may_have.saturating_sub(after.content.size);
        Some(behind)
    }

    /// Whether `bytes` are less than what stands at `path`, where no order is under way any more: so
    /// none of the revisions since can have come but the one that is on record.
    fn shrinks(&mut self, path: &Path, bytes: u64) -> bool {
        let Some(behind) = self.behind.get_mut(path) else { return false };
        behind.may_have = behind.has.unwrap_or(behind.may_have);
        let larger = behind.may_have.saturating_sub(bytes);
        self.larger_sum = self.larger_sum - behind.larger + larger;
        behind.larger = larger;
        larger > 0
    }
}

impl Quotas {
    /// Those of `registry`, which hold what the store says.
    pub(crate) fn new(registry: &Registry, counts: &Counts) -> Self {
        let quota = |service: &onitu_core::Service| {
            let used = counts.bytes.get(&service.id).copied().unwrap_or(0);
            let quota = Quota {
                name: service.name.clone(),
                most: service.quota_bytes()?,
                used: i64::try_from(used).unwrap_or(i64::MAX),
                ..Quota::default()
            };
            Some((service.id, quota))
        };
        Self(registry.services.iter().filter_map(quota).collect())
    }

    /// The same, after those of an earlier configuration: orders go on, and so does what is waited
    /// for.
    #[must_use]
    pub(crate) fn after(mut self, before: Self) -> Self {
        for (service, old) in before.0 {
            if let Some(quota) = self.0.get_mut(&service) {
                quota.under_way = old.under_way;
                (quota.behind, quota.larger_sum) = (old.behind, old.larger_sum);
            }
        }
        self
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing is on record any more of the paths of which `is_forgotten` is true.
    pub(crate) fn forget(&mut self, is_forgotten: impl Fn(&Path) -> bool) {
        for quota in self.0.values_mut() {
            quota.behind.retain(|path, _| !is_forgotten(path));
            quota.larger_sum = quota.behind.values().map(|it| it.larger).sum();
        }
    }

    /// Whether `service` has one.
    pub(crate) fn has(&self, service: ServiceId) -> bool {
        self.0.contains_key(&service)
    }

    /// How many bytes more each of them may hold.
    pub(crate) fn room(&self) -> BTreeMap<ServiceId, u64> {
        self.0.iter().map(|(id, quota)| (*id, quota.most.saturating_sub(quota.taken()))).collect()
    }

    /// What a commit changed; answers what waits where there is more room now.
    pub(crate) fn apply(&mut self, change: &CountsChange) -> Vec<(ServiceId, Path)> {
        let mut free = Vec::new();
        for (service, bytes) in &change.bytes {
            let Some(quota) = self.0.get_mut(service) else { continue };
            quota.used += bytes;
            if *bytes < 0 {
                free.extend(
                    std::mem::take(&mut quota.waiting).into_iter().map(|it| (*service, it)),
                );
            }
        }
        free
    }

    /// The record of `path` became another one. Who held what was recorded `before`, and is behind
    /// now, has the larger file until the update comes; answers what waits where that is over.
    pub(crate) fn note(
        &mut self,
        path: &Path,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Vec<(ServiceId, Path)> {
        let mut free = Vec::new();
        for (service, quota) in &mut self.0 {
            let known = quota.behind.get(path).map(|it| it.larger);
            match quota.behind(*service, path, before, after) {
                Some(it) if known.is_some() || quota.behind.len() < WAITING_MAX => {
                    quota.behind.insert(path.clone(), it);
                }
                _ => drop(quota.behind.remove(path)),
            }
            let known = known.unwrap_or(0);
            let now = quota.behind.get(path).map_or(0, |it| it.larger);
            quota.larger_sum = quota.larger_sum - known + now;
            if now < known {
                free.extend(
                    std::mem::take(&mut quota.waiting).into_iter().map(|it| (*service, it)),
                );
            }
        }
        free
    }

    /// As [`Quotas::apply`], where the sums of the store are known.
    pub(crate) fn recount(&mut self, counts: &Counts) -> Vec<(ServiceId, Path)> {
        let change = self.0.iter().map(|(service, quota)| {
            let used = counts.bytes.get(service).copied().unwrap_or(0);
            (*service, i64::try_from(used).unwrap_or(i64::MAX).saturating_sub(quota.used))
        });
        let change = CountsChange { bytes: change.collect(), ..CountsChange::default() };
        self.apply(&change)
    }

    /// Why `bytes` can't be brought to `path`, if they can't. `holds`: something stands there whose
    /// place they take, and which is counted with the new size already.
    pub(crate) fn refuses(
        &mut self,
        service: ServiceId,
        path: &Path,
        bytes: u64,
        holds: bool,
    ) -> Option<Fault> {
        let quota = self.0.get_mut(&service)?;
        if holds && quota.shrinks(path, bytes) {
            // It makes room, and others may wait for that.
            return None;
        }
        let more = if holds { 0 } else { bytes };
        if quota.taken() + more <= quota.most {
            return None;
        }
        if quota.waiting.len() < WAITING_MAX {
            quota.waiting.insert(path.clone());
        }
        let Quota { name, most, .. } = quota;
        let message = format!(
            "`{path}` ({bytes} bytes) has no room in the quota of `{name}`, which is {most} bytes: \
             it comes by itself when there is room, or when `quota` is raised"
        );
        Some(Fault::new(FaultKind::Full, message))
    }

    /// An order to bring `bytes` has left. `holds` as for [`Quotas::refuses`].
    pub(crate) fn sent(&mut self, service: ServiceId, path: &Path, bytes: u64, holds: bool) {
        if let Some(quota) = self.0.get_mut(&service).filter(|_| !holds) {
            quota.under_way.insert(path.clone(), bytes);
        }
    }

    /// The order at `path` has brought nothing.
    pub(crate) fn failed(&mut self, service: ServiceId, path: &Path) {
        if let Some(quota) = self.0.get_mut(&service) {
            quota.under_way.remove(path);
        }
    }

    /// Only at paths of which `is_under_way` is true any order is still under way.
    pub(crate) fn retain(&mut self, service: ServiceId, is_under_way: impl Fn(&Path) -> bool) {
        if let Some(quota) = self.0.get_mut(&service) {
            quota.under_way.retain(|path, _| is_under_way(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use onitu_core::{Content, Kind, Mode, Service, Tag};

    use super::*;

    const A: ServiceId = ServiceId(1);

    fn quotas(most: u64, used: u64) -> Quotas {
        let options = BTreeMap::from([("quota_bytes".to_owned(), most.into())]);
        let (name, driver) = ("a".to_owned(), "local".to_owned());
        let service = Service { id: A, name, driver, mode: Mode::Sync, paused: false, options };
        let registry = Registry { services: vec![service], ..Registry::default() };
        let counts = Counts { bytes: BTreeMap::from([(A, used)]), ..Counts::default() };
        Quotas::new(&registry, &counts)
    }

    fn path(text: &str) -> Path {
        Path::new(text).expect("a path")
    }

    #[test]
    fn what_is_under_way_counts_and_what_fits_exactly_fits() {
        let mut quotas = quotas(100, 40);
        assert_eq!(quotas.refuses(A, &path("x"), 60, false), None);
        quotas.sent(A, &path("x"), 60, false);
        let refused = quotas.refuses(A, &path("y"), 1, false).expect("no room");
        assert_eq!(refused.kind, FaultKind::Full);
        assert_eq!(quotas.room(), BTreeMap::from([(A, 0)]));
        quotas.failed(A, &path("x"));
        assert_eq!(quotas.room(), BTreeMap::from([(A, 60)]), "it can be given again");
        quotas.sent(A, &path("x"), 60, false);
        quotas.retain(A, |_| false);
        assert_eq!(quotas.refuses(A, &path("y"), 1, false), None, "that order failed");
        assert_eq!(quotas.refuses(ServiceId(2), &path("y"), 1_000, false), None, "it has none");
    }

    #[test]
    fn what_waits_is_told_when_there_is_more_room_and_only_then() {
        let mut quotas = quotas(100, 90);
        assert!(quotas.refuses(A, &path("x"), 11, false).is_some());
        let change = |bytes| {
            let bytes = BTreeMap::from([(A, bytes), (ServiceId(2), -5)]);
            CountsChange { bytes, ..CountsChange::default() }
        };
        assert_eq!(quotas.apply(&change(5)), []);
        assert_eq!(quotas.apply(&change(-20)), [(A, path("x"))]);
        assert_eq!(quotas.refuses(A, &path("x"), 11, false), None);
        assert_eq!(quotas.apply(&change(-20)), [], "told once");
    }

    #[test]
    fn what_is_under_way_still_counts_under_a_new_configuration() {
        let mut before = quotas(100, 0);
        before.sent(A, &path("x"), 60, false);
        let mut after = quotas(100, 0).after(before);
        assert!(after.refuses(A, &path("y"), 50, false).is_some(), "x may arrive at any moment");
        assert_eq!(after.room(), BTreeMap::from([(A, 40)]));
    }

    #[test]
    fn a_file_that_is_to_shrink_takes_its_room_until_it_has() {
        let of = |size: u64, revision: u64, held: u64| {
            let content = Content { kind: Kind::File, size, ..Content::DIRECTORY };
            let mut record = Record { revision, ..Record::new(content) };
            record.set_holder(A, held, Tag::of(b"x"));
            record
        };
        let (large, shrunk, smaller, arrived) =
            (of(80, 1, 1), of(10, 2, 1), of(5, 3, 1), of(5, 3, 3));
        // The commits have counted it with the new size each time.
        let mut quotas = quotas(100, 10);
        assert_eq!(quotas.note(&path("x"), Some(&large), Some(&shrunk)), []);
        assert!(quotas.refuses(A, &path("y"), 21, false).is_some(), "80 bytes stand there");
        assert_eq!(quotas.refuses(A, &path("z"), 20, false), None);
        assert_eq!(quotas.refuses(A, &path("x"), 10, true), None, "that makes room");
        let change = CountsChange { bytes: BTreeMap::from([(A, -5)]), ..CountsChange::default() };
        assert_eq!(quotas.apply(&change), [(A, path("y"))]);
        assert_eq!(quotas.note(&path("x"), Some(&shrunk), Some(&smaller)), []);
        assert!(quotas.refuses(A, &path("y"), 21, false).is_some(), "they still do");
        let free = quotas.note(&path("x"), Some(&smaller), Some(&arrived));
        assert_eq!(free, [(A, path("y"))], "it has come");
        assert_eq!(quotas.refuses(A, &path("y"), 95, false), None);
        quotas.note(&path("x"), Some(&large), Some(&shrunk));
        quotas.forget(|_| true);
        assert_eq!(quotas.room(), BTreeMap::from([(A, 95)]));
    }

    #[test]
    fn an_update_that_never_came_makes_no_room_when_it_is_replaced_by_a_smaller_one() {
        let of = |size: u64, revision: u64, held: u64, tag: &[u8]| {
            let content = Content { kind: Kind::File, size, ..Content::DIRECTORY };
            let mut record = Record { revision, ..Record::new(content) };
            record.set_holder(A, held, Tag::of(tag));
            record
        };
        let (small, large) = (of(4, 1, 1, b"x"), of(80, 2, 1, b"x"));
        let (medium, came) = (of(60, 3, 1, b"x"), of(60, 3, 2, b"y"));
        // Beside 50 bytes of others; the commits have counted it with the new size each time.
        let mut quotas = quotas(100, 130);
        quotas.note(&path("x"), Some(&small), Some(&large));
        assert!(quotas.refuses(A, &path("x"), 80, true).is_some());
        let change = CountsChange { bytes: BTreeMap::from([(A, -20)]), ..CountsChange::default() };
        quotas.apply(&change);
        quotas.note(&path("x"), Some(&large), Some(&medium));
        assert!(quotas.refuses(A, &path("x"), 60, true).is_some(), "4 bytes stand there");
        // The order for the larger one was under way after all, and has brought it.
        quotas.note(&path("x"), Some(&large), Some(&medium));
        quotas.note(&path("x"), Some(&medium), Some(&came));
        assert_eq!(quotas.refuses(A, &path("x"), 60, true), None, "80 bytes stand there");
    }

    #[test]
    fn an_earlier_revision_that_came_late_takes_its_room_until_it_is_replaced() {
        let content = Content { kind: Kind::File, size: 10, ..Content::DIRECTORY };
        let awaited = Record { revision: 2, ..Record::new(content) };
        let mut came = awaited.clone();
        came.set_holder(A, 1, Tag::of(b"x"));
        let mut quotas = quotas(100, 10);
        quotas.sent(A, &path("x"), 80, false);
        quotas.note(&path("x"), Some(&awaited), Some(&came));
        quotas.retain(A, |_| false);
        assert!(quotas.refuses(A, &path("y"), 21, false).is_some(), "80 bytes stand there");
        assert_eq!(quotas.refuses(A, &path("x"), 10, true), None, "that makes room");
    }

    #[test]
    fn an_update_is_refused_while_what_is_held_is_beyond_the_quota() {
        let mut quotas = quotas(100, 101);
        assert!(quotas.refuses(A, &path("x"), 50, true).is_some(), "it is counted as 50 already");
        let change = CountsChange { bytes: BTreeMap::from([(A, -1)]), ..CountsChange::default() };
        quotas.apply(&change);
        assert_eq!(quotas.refuses(A, &path("x"), 50, true), None);
    }
}
