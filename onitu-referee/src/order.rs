//! From what a record asks of a service to the order that does it, without any I/O.

use onitu_core::message::{Action, Origin};
use onitu_core::{Holder, Kind, Need, Path, Record, ServiceId, Tag};

/// Everything an order depends on.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Where.
    pub path: &'a Path,
    /// What is known of it.
    pub record: &'a Record,
    /// Who shall act.
    pub service: ServiceId,
    /// What the record asks of it ([`onitu_core::need`]).
    pub need: Need,
    /// The record of the path that `record.moved` names; [`None`] when there is none.
    pub moved: Option<&'a Record>,
    /// What is still below the path, where that matters.
    pub children: Children,
    /// Whether the record's hint is so fresh that the other half of the rename may be on its way.
    pub fresh: bool,
}

/// What stands below a directory that shall be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// Nothing that the service holds.
    None,
    /// Something that the service holds and has to remove first.
    Going,
    /// Something that lives: the directory has to live with it.
    Living,
}

/// What the records `inside` a directory mean for its removal from `service`; `record` is what has
/// become of the directory: a tombstone, or a file in its place.
pub fn below<'a>(
    service: ServiceId,
    record: &Record,
    inside: impl Iterator<Item = &'a Record>,
) -> Children {
    let may_hold_more = |held: Option<Holder>| match held {
        None => false,
        Some(held) => record.gone || held.revision != record.revision,
    };
    let mut children = Children::None;
    for child in inside {
        // Who has no directory can't hold anything in it: that child's end is on its way.
        let ends = child.holders.iter().any(|held| !may_hold_more(record.holder(held.service)));
        if !child.gone && !ends {
            return Children::Living;
        }
        if !child.gone || child.holder(service).is_some() {
            children = Children::Going;
        }
    }
    children
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is needed.
    Nothing,
    /// Something has to happen first.
    Wait(&'static str),
    /// This.
    Do(Action),
    /// The directory can't go ([`crate::decide::Observed::Occupied`]).
    Keep,
}

/// The order for `question`, with `sources` (holders of the current revision that can be reached,
/// best first).
pub fn plan(question: &Question<'_>, sources: &[Origin]) -> Plan {
    let record = question.record;
    let held = record.holder(question.service);
    match (question.need, held) {
        (Need::AwaitChecksum, _) => Plan::Wait("the contents are being compared"),
        (Need::Place, _) => place(question, sources),
        (Need::Remove, Some(held)) => remove(question, held),
        // A directory stays where something in it does, until that has gone.
        (Need::Evict, Some(_)) if question.children != Children::None => Plan::Nothing,
        (Need::Evict, Some(held)) => Plan::Do(Action::Remove { expect: held.tag }),
        (Need::SetAside, Some(held)) => Plan::Do(Action::SetAside {
            expect: held.tag,
            unless: if record.gone { None } else { record.content.checksum },
        }),
        (Need::Hash, Some(held)) => Plan::Do(Action::Hash { expect: held.tag }),
        (Need::Nothing | Need::Unable, _)
        | (Need::Remove | Need::Evict | Need::SetAside | Need::Hash, None) => Plan::Nothing,
    }
}

fn place(question: &Question<'_>, sources: &[Origin]) -> Plan {
    let record = question.record;
    let expect = record.holder(question.service).map(|held| held.tag);
    let revision = record.revision;
    if record.content.kind == Kind::Directory {
        return Plan::Do(Action::MakeDirectory { revision, expect });
    }
    if let (Some(from), Some(held)) = (record.moved.clone(), renameable(question)) {
        let content = record.content;
        return Plan::Do(Action::Rename { revision, content, from, expect_from: held.tag, expect });
    }
    if question.fresh && is_half_renamed(question) {
        return Plan::Wait("it was renamed, the end of its old name is awaited");
    }
    if sources.is_empty() {
        return Plan::Wait("no service that holds it can be reached");
    }
    let sources = sources.to_vec();
    Plan::Do(Action::Pull { revision, content: record.content, expect, sources })
}

/// Whether the wanted bytes stand at the path's former name, which hasn't been told to be gone yet:
/// that half of the rename may be on its way, and would save the transfer.
fn is_half_renamed(question: &Question<'_>) -> bool {
    question.moved.is_some_and(|former| {
        former.is_current_on(question.service)
            && former.content.same_bytes(&question.record.content) == Some(true)
    })
}

/// What the service holds at the path's former name, if it is certainly the wanted bytes and due
/// to be removed there.
fn renameable(question: &Question<'_>) -> Option<Holder> {
    let former = question.moved?;
    let held = former.holder(question.service)?;
    let same = former.content.same_bytes(&question.record.content) == Some(true);
    let is_there = held.tag != Tag::UNKNOWN && held.revision + 1 == former.revision;
    (former.gone && is_there && same).then_some(held)
}

fn remove(question: &Question<'_>, held: Holder) -> Plan {
    let record = question.record;
    // Who was behind may hold something else than the directory that was deleted.
    if record.content.kind == Kind::Directory && held.revision + 1 == record.revision {
        match question.children {
            Children::None => {}
            Children::Going => return Plan::Wait("something in it has to be removed first"),
            Children::Living => return Plan::Keep,
        }
    }
    if let Some(to) = &record.moved {
        match question.moved {
            // The rename's other half is not yet known: removing now would cost a transfer.
            None if question.fresh => return Plan::Wait("it was renamed, its new name is awaited"),
            Some(new) if will_rename(question, new, held) && question.fresh => {
                tracing::trace!(path = %question.path, %to, "the rename does it");
                return Plan::Wait("it will be renamed");
            }
            _ => {}
        }
    }
    Plan::Do(Action::Remove { expect: held.tag })
}

/// Whether the record at the new name will ask this service to rename.
fn will_rename(question: &Question<'_>, new: &Record, held: Holder) -> bool {
    !new.gone
        && new.moved.as_ref() == Some(question.path)
        && new.holder(question.service).is_none()
        && held.tag != Tag::UNKNOWN
        && held.revision + 1 == question.record.revision
        && new.content.same_bytes(&question.record.content) == Some(true)
}

#[cfg(test)]
mod tests;
