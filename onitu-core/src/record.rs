//! What Onitu knows of one path: its content, and which services hold it.

mod pack;

use serde::{Deserialize, Serialize};

pub use pack::UnpackError;

use crate::{Checksum, Content, Kind, Path, ServiceId, Tag};

/// What Onitu knows of one path. Only the Referee writes it; packed in the store (design §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts accepted contents and deletions; starts at 1.
    pub revision: u64,
    /// Whether the path was deleted: a tombstone, kept until no holder is left. `content` then
    /// tells what was deleted.
    pub gone: bool,
    /// What the path holds at `revision`.
    pub content: Content,
    /// Who holds which revision of it, ordered by service.
    pub holders: Vec<Holder>,
    /// A hint that saves a transfer: of a living path where its content stood before, of a
    /// tombstone where it went. Wrong or missing, it costs a copy and nothing else.
    pub moved: Option<Path>,
    /// Checksums of earlier revisions, oldest first, kept while some service is behind: what it is
    /// found to hold may be one of them, placed by a driver that died before it could tell.
    #[serde(default)]
    pub ancestors: Vec<(u64, Checksum)>,
    /// The service on which the path was first seen; [`None`] for records of before this was kept.
    #[serde(default)]
    pub origin: Option<ServiceId>,
    /// Holders that were or may just be ordered to remove what they hold because the rules have it
    /// elsewhere, and the incarnation of the driver that was told: what is missing there was
    /// deleted by nobody. Committed before the order leaves.
    #[serde(default)]
    pub leaving: Vec<(ServiceId, u64)>,
}

/// A service that holds something at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who.
    pub service: ServiceId,
    /// The revision it holds; [`Holder::FOREIGN`] for a content that is no revision of the path.
    pub revision: u64,
    /// The exact state it holds.
    pub tag: Tag,
}

impl Holder {
    /// The revision of a content that lost the name in a conflict and waits to be set aside.
    pub const FOREIGN: u64 = 0;
}

impl Record {
    /// Ancestors kept at most; with more edits than that while a service is away, a copy that was
    /// never told of is taken for a foreign one.
    pub const ANCESTORS_MAX: usize = 8;

    /// A path that holds `content` at its first revision, and nobody who holds it yet.
    pub fn new(content: Content) -> Self {
        Self {
            revision: 1,
            gone: false,
            content,
            holders: Vec::new(),
            moved: None,
            ancestors: Vec::new(),
            origin: None,
            leaving: Vec::new(),
        }
    }

    /// Stands among the ancestors for the last deletion, under its revision.
    const DELETED: Checksum = Checksum([0; 20]);

    /// Keeps the checksum of the present content (of a tombstone: of what was deleted), which is
    /// about to be replaced.
    pub fn remember_ancestor(&mut self) {
        let Some(checksum) = self.content.checksum else { return };
        self.ancestors.retain(|(_, kept)| *kept != checksum);
        self.ancestors.push((self.revision.saturating_sub(self.gone.into()), checksum));
        if self.gone {
            self.ancestors.push((self.revision, Self::DELETED));
        }
        let beyond = self.ancestors.len().saturating_sub(Self::ANCESTORS_MAX);
        self.ancestors.drain(..beyond);
    }

    /// The last deletion before `revision` that is among the ancestors; 0 for none. Whoever wasn't
    /// noted as a holder then held nothing.
    pub fn deleted_before(&self, revision: u64) -> u64 {
        let mut deleted = self.ancestors.iter().rev().filter(|(_, kept)| *kept == Self::DELETED);
        deleted.find(|(at, _)| *at < revision).map_or(0, |(at, _)| *at)
    }

    /// Keeps the checksum of an earlier revision that was learned late.
    pub fn note_ancestor(&mut self, revision: u64, checksum: Checksum) {
        if self.ancestors.iter().any(|(kept, sum)| *kept == revision || *sum == checksum) {
            return;
        }
        let at = self.ancestors.partition_point(|(kept, _)| *kept < revision);
        self.ancestors.insert(at, (revision, checksum));
        if self.ancestors.len() > Self::ANCESTORS_MAX {
            self.ancestors.remove(0);
        }
    }

    /// What `service` holds at this path.
    pub fn holder(&self, service: ServiceId) -> Option<Holder> {
        self.holders.iter().copied().find(|holder| holder.service == service)
    }

    /// The incarnation of the driver of `service` that was told to remove what it holds here.
    pub fn leaving(&self, service: ServiceId) -> Option<u64> {
        self.leaving.iter().find(|(who, _)| *who == service).map(|(_, epoch)| *epoch)
    }

    /// Whether `service` may have removed what it is noted to hold, by order.
    pub fn is_leaving(&self, service: ServiceId) -> bool {
        self.leaving(service).is_some()
    }

    /// Notes that the driver of `service`, in its incarnation `epoch`, is to remove what it holds.
    pub fn set_leaving(&mut self, service: ServiceId, epoch: u64) {
        self.leaving.retain(|(who, _)| *who != service);
        let at = self.leaving.partition_point(|(who, _)| *who < service);
        self.leaving.insert(at, (service, epoch));
    }

    /// Notes that `service` holds `revision` in the state `tag`, and isn't leaving.
    pub fn set_holder(&mut self, service: ServiceId, revision: u64, tag: Tag) {
        self.leaving.retain(|(who, _)| *who != service);
        let holder = Holder { service, revision, tag };
        match self.holders.binary_search_by_key(&service, |held| held.service) {
            Ok(at) => self.holders[at] = holder,
            Err(at) => self.holders.insert(at, holder),
        }
    }

    /// Notes that `service` holds nothing here; whether it did.
    pub fn drop_holder(&mut self, service: ServiceId) -> bool {
        let before = self.holders.len();
        self.leaving.retain(|(who, _)| *who != service);
        self.holders.retain(|holder| holder.service != service);
        self.holders.len() != before
    }

    /// Whether `service` holds the current revision of a living path.
    pub fn is_current_on(&self, service: ServiceId) -> bool {
        !self.gone && self.holder(service).is_some_and(|held| held.revision == self.revision)
    }

    /// Whether this is a living file that nobody holds as recorded: it was lost, and others have
    /// only what stood there before, or something else.
    pub fn is_orphan(&self) -> bool {
        let is_file = self.content.kind != Kind::Directory;
        !self.gone && is_file && self.current_holders().next().is_none()
    }

    /// The holders of the current revision; none for a tombstone.
    pub fn current_holders(&self) -> impl Iterator<Item = Holder> + '_ {
        let wanted = if self.gone { None } else { Some(self.revision) };
        self.holders.iter().copied().filter(move |held| Some(held.revision) == wanted)
    }
}
