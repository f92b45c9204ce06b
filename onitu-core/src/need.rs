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
    /// Remove what is held here; it was deleted elsewhere.
    Remove,
    /// Give what is held here its conflict name.
    SetAside,
    /// Something else is held here, but whether it differs is unknown until a holder of the
    /// current revision has told its checksum.
    AwaitChecksum,
    /// Tell what is there, with its checksum: another service's content waits to be compared with it,
    /// or it is to take the place of a content that nobody has any more.
    Hash,
}

/// What `record` asks of `service`; `target` tells whether the rules place the path there. A
/// service that holds a path gets its updates even where it is no target.
pub fn need(record: &Record, service: ServiceId, target: bool) -> Need {
    let held = record.holder(service);
    match held {
        Some(_) if record.is_orphan() => Need::Hash,
        Some(holder) if holder.revision == Holder::FOREIGN => {
            if awaits_checksum(record) {
                Need::AwaitChecksum
            } else {
                Need::SetAside
            }
        }
        Some(_) if record.gone => Need::Remove,
        None if record.gone => Need::Nothing,
        Some(holder) if holder.revision == record.revision => {
            if awaits_checksum(record) && record.holders.iter().any(is_foreign) {
                Need::Hash
            } else {
                Need::Nothing
            }
        }
        Some(_) => Need::Place,
        None if target => Need::Place,
        None => Need::Nothing,
    }
}

/// Whether a content can't be compared with the record's because nobody knows its checksum, and
/// somebody can be asked for it.
fn awaits_checksum(record: &Record) -> bool {
    !record.gone
        && record.content.kind != Kind::Directory
        && record.content.checksum.is_none()
        && record.current_holders().next().is_some()
}

fn is_foreign(holder: &Holder) -> bool {
    holder.revision == Holder::FOREIGN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checksum, Content, Tag};

    const A: ServiceId = ServiceId(1);
    const B: ServiceId = ServiceId(2);

    fn record(gone: bool, checksum: bool, holders: &[(ServiceId, u64)]) -> Record {
        let mut record = Record {
            revision: 3,
            gone,
            content: Content {
                kind: Kind::File,
                size: 3,
                mtime_ns: 0,
                executable: false,
                checksum: checksum.then(|| Checksum::of(b"abc")),
            },
            holders: Vec::new(),
            moved: None,
            ancestors: Vec::new(),
        };
        for &(service, revision) in holders {
            record.set_holder(service, revision, Tag::of(b""));
        }
        record
    }

    #[test]
    fn every_cell() {
        let live = |holders: &[_]| record(false, true, holders);
        let bare = |holders: &[_]| record(false, false, holders);
        let dead = |holders: &[_]| record(true, true, holders);
        let table = [
            ("current", live(&[(A, 3)]), A, true, Need::Nothing),
            ("absent target", live(&[(A, 3)]), B, true, Need::Place),
            ("absent, no target", live(&[(A, 3)]), B, false, Need::Nothing),
            ("behind target", live(&[(A, 3), (B, 2)]), B, true, Need::Place),
            ("behind, no target any more", live(&[(A, 3), (B, 2)]), B, false, Need::Place),
            ("foreign", live(&[(A, 3), (B, 0)]), B, true, Need::SetAside),
            ("foreign before the checksum", bare(&[(A, 3), (B, 0)]), B, true, Need::AwaitChecksum),
            ("asked for the checksum", bare(&[(A, 3), (B, 0)]), A, true, Need::Hash),
            ("nobody has it any more", live(&[(A, 2), (B, 0)]), A, true, Need::Hash),
            ("the same, foreign", bare(&[(A, 2), (B, 0)]), B, true, Need::Hash),
            ("the same, absent", live(&[(A, 2)]), B, true, Need::Place),
            ("nobody asks", bare(&[(A, 3)]), A, true, Need::Nothing),
            ("deleted elsewhere", dead(&[(B, 2)]), B, true, Need::Remove),
            ("deleted here", dead(&[(B, 2)]), A, true, Need::Nothing),
            ("foreign at a deleted path", dead(&[(B, 0)]), B, true, Need::SetAside),
        ];
        for (name, record, service, target, expected) in table {
            assert_eq!(need(&record, service, target), expected, "{name}");
        }
    }
}
