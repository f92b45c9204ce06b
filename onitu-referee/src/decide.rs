//! What an observation makes of a record: the heart of Onitu, without any I/O.
//!
//! The table of the design (§6), read with `base` = the revision the observing service held, as
//! the record itself says:
//!
//! | observed | base = revision | base behind, or none |
//! |---|---|---|
//! | the record's bytes | holder; other attributes make a new revision | holder; its executable bit is set as recorded |
//! | new content | new revision | **conflict**: foreign holder, set aside |
//! | gone | tombstone | ignored: the service is brought up to date again |
//!
//! Anything seen at a tombstone revives it: an edit beats a deletion. A directory keeps its name
//! against a file, whoever came first, because its children can't change theirs. What is to be
//! done about the new record is [`onitu_core::need`]'s business, how it is ordered
//! [`crate::order`]'s.

use onitu_core::{Content, Holder, Kind, Mode, Path, Record, ServiceId, State, Tag};

/// Who made an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The service.
    pub service: ServiceId,
    /// How it is used.
    pub mode: Mode,
    /// The incarnation of its driver.
    pub epoch: u64,
    /// Whether the rules in force have the path removed there: then what is missing was removed by
    /// Onitu, as far as anybody can tell after a store or a driver has forgotten it.
    pub is_evicted: bool,
}

/// What a service was found to hold at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// This.
    Seen {
        /// As found.
        state: State,
        /// The revision that an order has just placed.
        placed: Option<u64>,
        /// Where the same bytes stood before on that service.
        moved_from: Option<Path>,
    },
    /// Nothing.
    Gone {
        /// Where the bytes went on that service.
        moved_to: Option<Path>,
    },
    /// Nothing, because an order took it away. That is no user's deletion, even if the record, in a
    /// store that has lost what it had, says that the service was current.
    Removed,
    /// A directory that holds what Onitu doesn't know and so can't be removed or replaced.
    Occupied,
    /// Nothing, and nobody deleted it.
    Lost,
    /// Other bytes in the state that it is known to hold.
    Rotten(State),
    /// Nothing new, but the checksum of what it was ordered to bring here.
    Fetched {
        /// Of which revision.
        revision: u64,
        /// The content, with its checksum.
        content: Content,
    },
    /// This, put there from a trash because a person asked: an edit, whatever the service's mode,
    /// and certainly nothing that an order has placed.
    Restored(State),
}

/// The record after `observed` was found by `witness`; [`None`] when nothing
/// needs to be remembered of the path. A tombstone that nobody holds any more is still answered: an
/// order that is under way may place what was deleted, so when to forget it is the caller's to say. The same arguments always give the same record, and an
/// observation that was taken already changes nothing.
pub fn decide(record: Option<&Record>, witness: &Witness, observed: &Observed) -> Option<Record> {
    let Witness { service, mode, .. } = *witness;
    let still_there = record.and_then(|record| still_there(record, witness, observed));
    let record = still_there.as_ref().or(record);
    let mode = if has_nobody_behind_it(record, service) { without_backup(mode) } else { mode };
    match observed {
        Observed::Seen { state, placed, moved_from } => match record {
            None if mode == Mode::Backup => None,
            None => Some(first_seen(service, state, moved_from.as_ref())),
            Some(record) => Some(match placed {
                Some(revision) if can_be(record, *revision, state) => {
                    after_placed(record, service, *revision, state)
                }
                _ => {
                    let (moved_from, restored) = (moved_from.as_ref(), false);
                    let is_doubted = is_doubted(record, witness, state);
                    Seen { record, service, mode, state, moved_from, restored, is_doubted }.decide()
                }
            }),
        },
        Observed::Gone { moved_to } => match record {
            Some(record) if has_left(record, witness, moved_to.as_ref()) => {
                Some(without(record, service))
            }
            _ => record.and_then(|record| after_gone(record, service, mode, moved_to.as_ref())),
        },
        Observed::Occupied => record.map(|record| after_occupied(record, service, mode)),
        Observed::Removed if record.is_some_and(|record| record.gone) => {
            record.and_then(|record| after_gone(record, service, mode, None))
        }
        // Should nobody have it any more, it is forgotten when no order may bring it back.
        Observed::Removed => record.map(|record| without(record, service)),
        Observed::Lost => record.and_then(|record| after_lost(record, service)),
        Observed::Restored(state) => Some(match record {
            None => first_seen(service, state, None),
            Some(record) => {
                let (mode, moved_from, restored) = (Mode::Sync, None, true);
                let is_doubted = is_doubted(record, witness, state);
                Seen { record, service, mode, state, moved_from, restored, is_doubted }.decide()
            }
        }),
        Observed::Rotten(state) => record.map(|record| after_rotten(record, service, state)),
        Observed::Fetched { revision, content } => {
            record.map(|record| after_fetched(record, *revision, content))
        }
    }
}

/// Whether what is missing was removed because the rules have it elsewhere, and deleted by nobody.
/// A file that went to another name was there to be renamed.
fn has_left(record: &Record, who: &Witness, moved_to: Option<&Path>) -> bool {
    let may_have = record.is_leaving(who.service) || who.is_evicted;
    !record.gone && may_have && moved_to.is_none()
}

/// Whether an order to remove what `witness` holds went to an earlier incarnation, and something
/// else stands there now: it may have been written into the empty place, by somebody who knew
/// nothing of what had been there.
fn is_doubted(record: &Record, witness: &Witness, state: &State) -> bool {
    let is_another = record.holder(witness.service).is_some_and(|held| held.tag != state.tag);
    is_another && record.leaving(witness.service).is_some_and(|told| told != witness.epoch)
}

/// The record after `witness` was found to hold still what it was to remove.
fn still_there(record: &Record, witness: &Witness, observed: &Observed) -> Option<Record> {
    let (Observed::Seen { state, .. } | Observed::Restored(state)) = observed else { return None };
    let held = record.holder(witness.service)?;
    let is_there = held.tag == state.tag && record.is_leaving(witness.service);
    is_there.then(|| {
        let mut after = record.clone();
        after.set_holder(held.service, held.revision, held.tag);
        after
    })
}

/// Whether `service` alone has what is recorded, or nobody: then nobody could put anything back there.
fn has_nobody_behind_it(record: Option<&Record>, service: ServiceId) -> bool {
    let alone = |r: &Record| r.is_current_on(service) && r.current_holders().count() == 1;
    record.is_some_and(|r| alone(r) || r.is_orphan())
}

fn without_backup(mode: Mode) -> Mode {
    if mode == Mode::Backup { Mode::Sync } else { mode }
}

fn first_seen(service: ServiceId, state: &State, moved_from: Option<&Path>) -> Record {
    let mut record = Record::new(state.content);
    record.set_holder(service, 1, state.tag);
    record.origin = Some(service);
    record.moved = moved_from.cloned();
    record
}

/// Whether `state` may be `revision` as the record tells it. A store that lost its last second may
/// know less than the driver; then the state is an observation like any other.
fn can_be(record: &Record, revision: u64, state: &State) -> bool {
    revision != Holder::FOREIGN
        && (revision < record.revision
            || (revision == record.revision
                && !record.gone
                && record.content.same_bytes(&state.content) != Some(false)
                && record.content.executable == state.content.executable))
}

fn after_placed(record: &Record, service: ServiceId, revision: u64, state: &State) -> Record {
    let mut after = record.clone();
    if after.holder(service).is_some_and(|held| held.tag == state.tag && held.revision > revision) {
        return after;
    }
    after.set_holder(service, revision, state.tag);
    if revision == record.revision {
        after.content.learn(&state.content);
    }
    after
}

struct Seen<'a> {
    record: &'a Record,
    service: ServiceId,
    mode: Mode,
    state: &'a State,
    moved_from: Option<&'a Path>,
    /// By a person, from a trash.
    restored: bool,
    /// Whoever made this may not have known what the service is noted to hold.
    is_doubted: bool,
}

impl Seen<'_> {
    fn decide(&self) -> Record {
        let held = self.record.holder(self.service);
        let is_current = self.record.is_current_on(self.service) && !self.is_doubted;
        let same_bytes = self.record.content.same_bytes(&self.state.content);
        if self.restored && is_current {
            // Whoever deletes what stood there before doesn't know of this.
            return self.new_revision();
        }
        if self.record.is_orphan() {
            return self.adopted();
        }
        // What stands for another content from now on is news, also where nothing changed.
        if !self.restored && held.is_some_and(|held| held.tag == self.state.tag) {
            let foreign = held.is_some_and(|held| held.revision == Holder::FOREIGN);
            // The tag says that nothing changed; only the bytes themselves may say otherwise.
            match same_bytes {
                Some(true) if foreign && !self.record.gone => {}
                Some(false) if is_current => {}
                _ if is_current => return self.holder_of_current(),
                _ => return self.record.clone(),
            }
        }
        if let Some(revision) = self.placed_unseen(held, same_bytes) {
            let mut after = self.record.clone();
            after.set_holder(self.service, revision, self.state.tag);
            return after;
        }
        if self.record.gone {
            return match (self.mode, self.state.content.kind) {
                // Only a file can be set aside; of a backup's own directory nothing is known.
                (Mode::Backup, Kind::Directory) => self.unknown(),
                // What it never got from others is its own affair.
                (Mode::Backup, _) if held.is_none() => self.record.clone(),
                (Mode::Backup, _) => self.foreign(),
                _ => self.new_revision(),
            };
        }
        match (same_bytes, is_current) {
            (Some(true), true) if self.record.content.same_attributes(&self.state.content) => {
                self.holder_of_current()
            }
            (_, true) if self.mode != Mode::Backup => self.new_revision(),
            (Some(true), _) if self.is_executable_as_recorded() => self.holder_of_current(),
            (Some(true), _) => self.attributes_behind(),
            _ if self.is_orphaned() => self.new_revision(),
            _ => self.conflict(),
        }
    }

    /// The earlier revision that this certainly is: its bytes are those of one, and the service was
    /// to get it. Its driver died after it had placed them and before it had told. Time only goes
    /// forward: who held that revision, or a later one, and has its bytes now, has edited.
    fn placed_unseen(&self, held: Option<Holder>, same_bytes: Option<bool>) -> Option<u64> {
        let after = match held {
            _ if self.restored || self.mode == Mode::Source => return None,
            Some(held) if held.tag == Tag::UNKNOWN => self.record.deleted_before(held.revision),
            Some(held) if held.revision == Holder::FOREIGN => return None,
            Some(held) => held.revision,
            // Where it was deleted, whoever may be placing it is noted as a holder.
            None if self.record.gone => return None,
            None => self.record.deleted_before(self.record.revision),
        };
        let deleted = self.record.revision.saturating_sub(1);
        if self.record.gone && same_bytes == Some(true) && deleted > after {
            return Some(deleted);
        }
        if same_bytes == Some(true) {
            return None;
        }
        let found = self.state.content.checksum?;
        let mut ancestors = self.record.ancestors.iter().rev();
        ancestors.find(|(revision, sum)| *sum == found && *revision > after).map(|found| found.0)
    }

    /// The service holds the record's content; what it found out of the bytes is learned.
    fn holder_of_current(&self) -> Record {
        let mut after = self.record.clone();
        after.set_holder(self.service, self.record.revision, self.state.tag);
        if after.content.size == self.state.content.size {
            after.content.learn(&self.state.content);
        }
        after
    }

    /// Whether a file's executable bit agrees. Its mtime may differ where two services had the
    /// same bytes before they met: no file is touched for that.
    fn is_executable_as_recorded(&self) -> bool {
        self.record.content.executable == self.state.content.executable
    }

    /// The service has the bytes but not the executable bit of the record: the record moves on by
    /// one revision, and the service is the one behind.
    fn attributes_behind(&self) -> Record {
        let mut after = self.record.clone();
        after.revision += 1;
        for holder in &mut after.holders {
            if holder.revision == self.record.revision {
                holder.revision = after.revision;
            }
        }
        after.set_holder(self.service, self.record.revision, self.state.tag);
        after.content.learn(&self.state.content);
        after
    }

    /// Whether nobody certainly has what is recorded: then what is left takes the name.
    fn is_orphaned(&self) -> bool {
        let has_it = |held: &Holder| !(self.is_doubted && held.service == self.service);
        !self.record.gone && !self.record.current_holders().any(|held| has_it(&held))
    }

    /// The service's content becomes the record's.
    fn new_revision(&self) -> Record {
        let mut after = self.record.clone();
        after.remember_ancestor();
        after.revision += 1;
        after.gone = false;
        after.content = self.state.content;
        if self.record.content.same_bytes(&self.state.content) == Some(true) {
            after.content.learn(&self.record.content);
        }
        after.moved = self.moved_from.cloned();
        after.set_holder(self.service, after.revision, self.state.tag);
        after
    }

    /// Nobody has what is recorded any more: whatever a service has takes its place. What is lost
    /// is no earlier revision, for who finds it again wants it back.
    fn adopted(&self) -> Record {
        let mut after = self.new_revision();
        after.ancestors.clone_from(&self.record.ancestors);
        after
    }

    fn conflict(&self) -> Record {
        let is_directory = |kind: Kind| kind == Kind::Directory;
        let directory_wins = is_directory(self.state.content.kind) && self.mode != Mode::Backup;
        // Not even a source takes the name from a directory: that couldn't be set aside.
        let source_wins = self.mode == Mode::Source && !is_directory(self.record.content.kind);
        if directory_wins || source_wins {
            // The others give way: what they hold is set aside on their side.
            let mut after = self.new_revision();
            // What lost the name is nobody's old revision: its user may well want it back there.
            after.ancestors.clone_from(&self.record.ancestors);
            for holder in &mut after.holders {
                if holder.service != self.service && holder.revision == self.record.revision {
                    holder.revision = Holder::FOREIGN;
                }
            }
            return after;
        }
        self.foreign()
    }

    /// What the service holds is none of the path's business.
    fn unknown(&self) -> Record {
        let mut after = self.record.clone();
        after.drop_holder(self.service);
        after
    }

    /// The service's content lost the name.
    fn foreign(&self) -> Record {
        let mut after = self.record.clone();
        after.set_holder(self.service, Holder::FOREIGN, self.state.tag);
        after
    }
}

fn after_gone(
    record: &Record,
    service: ServiceId,
    mode: Mode,
    moved_to: Option<&Path>,
) -> Option<Record> {
    let deletes = record.is_current_on(service) && mode != Mode::Backup;
    let mut after = record.clone();
    if !after.drop_holder(service) {
        return Some(after);
    }
    if deletes {
        after.revision += 1;
        after.gone = true;
        after.moved = moved_to.cloned();
    }
    (after.gone || !after.holders.is_empty()).then_some(after)
}

fn without(record: &Record, service: ServiceId) -> Record {
    let mut after = record.clone();
    after.drop_holder(service);
    after
}

/// The service has nothing any more and is due the record's content again. Where nobody has that, an
/// earlier content that somebody still has takes its place ([`Record::is_orphan`]).
fn after_lost(record: &Record, service: ServiceId) -> Option<Record> {
    let mut after = record.clone();
    after.drop_holder(service);
    // What nobody holds can't come back from anywhere.
    (!after.holders.is_empty()).then_some(after)
}

/// Where another service has the right bytes the wrong ones are set aside; the only copy stays.
fn after_rotten(record: &Record, service: ServiceId, state: &State) -> Record {
    let mut after = record.clone();
    let is_known = record.holder(service).is_some_and(|held| held.tag == state.tag);
    let elsewhere = record.current_holders().any(|held| held.service != service);
    let differs = record.content.same_bytes(&state.content) == Some(false);
    if is_known && record.is_current_on(service) && elsewhere && differs {
        after.set_holder(service, Holder::FOREIGN, state.tag);
    }
    after
}

/// A checksum is learned: of the present content, of what was deleted, or of an earlier revision.
fn after_fetched(record: &Record, revision: u64, content: &Content) -> Record {
    let mut after = record.clone();
    let Some(checksum) = content.checksum else { return after };
    let Content { kind, size, mtime_ns, .. } = record.content;
    let is_it = (kind, size, mtime_ns) == (content.kind, content.size, content.mtime_ns);
    if revision + u64::from(record.gone) == record.revision {
        // A store that was lost numbers anew: then it is another content.
        if is_it && record.content.checksum.is_none() {
            after.content.learn(content);
        }
    } else if revision < record.revision {
        after.note_ancestor(revision, checksum);
    }
    after
}

/// The record of a path that was just deleted, as it was `before`: a service that was to get what
/// was deleted may hold it by now without having told, so each of `awaited` is asked to remove it.
pub fn doubt(before: &Record, after: &mut Record, awaited: &[ServiceId]) {
    if before.gone || !after.gone {
        return;
    }
    for service in awaited {
        if after.holder(*service).is_none() {
            after.set_holder(*service, before.revision, Tag::UNKNOWN);
        }
    }
}

fn after_occupied(record: &Record, service: ServiceId, mode: Mode) -> Record {
    let Some(held) = record.holder(service) else { return record.clone() };
    if !record.gone && record.content.kind == Kind::Directory {
        return record.clone();
    }
    let mut after = record.clone();
    if mode == Mode::Backup {
        // It makes no revision: its directory stays there unknown, or gives way to the file.
        if record.gone {
            after.drop_holder(service);
        } else {
            after.set_holder(service, Holder::FOREIGN, held.tag);
        }
        return after;
    }
    for holder in &mut after.holders {
        if !record.gone && holder.revision == record.revision {
            holder.revision = Holder::FOREIGN;
        }
    }
    after.revision += 1;
    after.gone = false;
    after.content = Content::DIRECTORY;
    after.moved = None;
    if held.tag == Tag::UNKNOWN {
        // It was only to get the directory, and may have none.
        after.drop_holder(service);
    } else {
        after.set_holder(service, after.revision, held.tag);
    }
    after
}

#[cfg(test)]
mod tests;
