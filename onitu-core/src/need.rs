//! What a record asks of a service: the one reading of it, shared by the Referee (who turns it
//! into orders) and the Core (who explains it).

use serde::{Deserialize, Serialize};

use crate::{Holder, Kind, Record, ServiceId};

/// The work a service has at a path. Computed from the record alone, whenever it is wanted, so
/// that nothing is lost when a process dies and ten edits are one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Nothing to do.
    Nothing,
    /// Bring the current revision here: by a transfer, a rename, a directory made or attributes set.
    Place,
    /// Nothing can be done: the current revision is of a kind that the service can't keep. What it
    /// holds of an earlier one stays as it is.
    Unable,
    /// Remove what is held here; it was deleted elsewhere.
    Remove,
    /// Remove what is held here: the rules have it elsewhere, and everybody who should holds it.
    Evict,
    /// Give what is held here its conflict name.
    SetAside,
    /// Something else is held here, but whether it differs is unknown until a holder of the
    /// current revision has told its checksum.
    AwaitChecksum,
    /// Tell what is held here, with its checksum: another service's content waits to be compared,
    /// or whether it is still there is in doubt.
    Hash,
}

impl Need {
    /// Whether anything is to be done.
    pub fn is_work(self) -> bool {
        !matches!(self, Self::Nothing | Self::Unable)
    }
}

/// What the rules in force want of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The services that should hold it, in ascending order.
    pub targets: Vec<ServiceId>,
    /// The only services that may ever hold it; [`None`] where nothing is restricted.
    pub only: Option<Vec<ServiceId>>,
    /// Services from which it is to be removed once every target holds it.
    pub evicted: Vec<ServiceId>,
    /// Services from which the rules would have it removed, if a person had approved of it.
    pub unapproved: Vec<ServiceId>,
    /// Whether it is none of Onitu's business.
    pub excluded: bool,
    /// How many copies every removal must leave among whom.
    pub copies: Vec<(usize, Vec<ServiceId>)>,
    /// Services that can't keep what is recorded, whatever is wanted of them.
    pub unable: Vec<ServiceId>,
    /// When time alone makes this another wish, in nanoseconds since the epoch.
    pub changes_at_ns: Option<i64>,
}

impl Wish {
    /// That these services hold it, and nothing else.
    pub fn of(targets: Vec<ServiceId>) -> Self {
        Self { targets, ..Self::default() }
    }

    /// Whether `service` may never get a byte of it.
    pub fn forbids(&self, service: ServiceId) -> bool {
        self.only.as_ref().is_some_and(|only| !only.contains(&service))
    }

    /// Bringing the current revision to `service`, as far as that can be.
    fn placing(&self, service: ServiceId) -> Need {
        if self.unable.contains(&service) { Need::Unable } else { Need::Place }
    }

    /// Whether every target certainly holds the current revision, and enough copies would be left
    /// if `service`, which is none, had no more.
    pub fn is_kept_without(&self, record: &Record, service: ServiceId) -> bool {
        let keeps = |other: &&ServiceId| {
            **other != service && record.is_current_on(**other) && !record.is_leaving(**other)
        };
        let are_left =
            |(count, among): &(usize, Vec<ServiceId>)| among.iter().filter(keeps).count() >= *count;
        let is_held = !self.targets.is_empty() && self.targets.iter().all(|other| keeps(&other));
        is_held && self.copies.iter().all(are_left)
    }

    /// Whether `service` is to remove what it holds as soon as what the others hold is verified.
    fn is_due(&self, record: &Record, service: ServiceId) -> bool {
        !record.gone && self.evicted.contains(&service) && self.is_kept_without(record, service)
    }
}

/// What `record` asks of `service`, given what the rules want. A service that holds a path gets its
/// updates even where it is no target, unless it may never hold it.
pub fn need(record: &Record, service: ServiceId, wish: &Wish) -> Need {
    if wish.excluded {
        return Need::Nothing;
    }
    let Some(held) = record.holder(service) else {
        let wanted = wish.targets.contains(&service) && !wish.forbids(service);
        let is_somewhere = !record.gone && !record.holders.is_empty();
        return if wanted && is_somewhere { wish.placing(service) } else { Need::Nothing };
    };
    if record.is_orphan() {
        // What is left is the best there is; its holder says what that is.
        return Need::Hash;
    }
    if is_foreign(&held) {
        return if awaits_checksum(record) { Need::AwaitChecksum } else { Need::SetAside };
    }
    if record.gone {
        return Need::Remove;
    }
    if wish.is_due(record, service) {
        return if is_verified(record) { Need::Evict } else { Need::Nothing };
    }
    if held.revision == record.revision {
        of_current(record, service, wish)
    } else if wish.forbids(service) {
        Need::Nothing
    } else {
        wish.placing(service)
    }
}

/// What a holder of the current revision has to do.
fn of_current(record: &Record, service: ServiceId, wish: &Wish) -> Need {
    let waits = |held: &Holder| is_foreign(held) || wish.is_due(record, held.service);
    let is_asked = awaits_checksum(record) && record.holders.iter().any(waits);
    // An order to remove it may have been carried out and never told.
    let is_doubted = record.is_leaving(service) && record.content.kind != Kind::Directory;
    if is_asked || is_doubted { Need::Hash } else { Need::Nothing }
}

/// Whether what a holder of the current revision holds was compared with the record.
fn is_verified(record: &Record) -> bool {
    record.content.kind == Kind::Directory || record.content.checksum.is_some()
}

/// Whether a content can't be compared with the record's because nobody knows its checksum, and
/// somebody can be asked for it.
fn awaits_checksum(record: &Record) -> bool {
    !record.gone && !is_verified(record) && record.current_holders().next().is_some()
}

fn is_foreign(holder: &Holder) -> bool {
    holder.revision == Holder::FOREIGN
}

#[cfg(test)]
mod tests;
