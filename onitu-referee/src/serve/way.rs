//! A link or file in the way of what stands in a directory on a service that can't keep it.
//!
//! Where a service is to replace a directory, its driver finds out that something nobody knew of is
//! in it, and the directory keeps its name. A service that can't keep what is to come there is
//! never asked: what its user puts into the old directory meets the link elsewhere, and is what
//! tells that the directory lives.

use std::collections::{BTreeMap, BTreeSet};

use onitu_core::store::StoreError;
use onitu_core::{FaultKind, Kind, Need, Path, Record, ServiceId};

use super::Referee;
use super::dispatch::Records;
use crate::round::Ended;

/// The paths that could not be brought somewhere because something that is no directory stands
/// above them.
pub(super) fn blocked(ended: &[Ended]) -> BTreeSet<Path> {
    let is_blocked = |ended: &&Ended| {
        ended.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::NotADirectory)
    };
    ended.iter().filter(is_blocked).map(|ended| ended.path.clone()).collect()
}

impl Referee {
    /// Gives the directories of `blocked` their names back, where only services that can't keep
    /// what took them hold anything in them; answers the records that it read or changed.
    pub(super) async fn make_way(
        &mut self,
        blocked: BTreeSet<Path>,
    ) -> Result<Records, StoreError> {
        let mut records = Records::new();
        for path in blocked {
            let above = std::iter::successors(path.parent(), Path::parent);
            let above: Vec<Path> = above.filter(|it| !it.is_root()).collect();
            let asked: Vec<Path> = above.iter().cloned().chain([path.clone()]).collect();
            let found = self.store.get(&asked).await?;
            let found: BTreeMap<Path, Option<Record>> = asked.into_iter().zip(found).collect();
            records.extend(found.clone());
            let Some(Some(child)) = found.get(&path) else { continue };
            for directory in above {
                let Some(Some(taken)) = found.get(&directory) else { continue };
                if let Some(service) = self.keeper(&directory, taken, child) {
                    self.keep(service, vec![directory], &mut records).await?;
                }
            }
        }
        Ok(records)
    }

    /// Who has a directory where `taken` stands, with `child` in it, for good.
    fn keeper(&self, directory: &Path, taken: &Record, child: &Record) -> Option<ServiceId> {
        let is_taken = !taken.gone && taken.content.kind != Kind::Directory;
        // Who has what took the name has no directory: that child's end is on its way.
        let ends = child.holders.iter().any(|held| taken.is_current_on(held.service));
        let is_kept =
            |service: &ServiceId| match self.world.need_of(directory, Some(taken), *service) {
                Need::Unable => true,
                Need::Place => {
                    self.peers.get(service).is_some_and(|(peer, _)| peer.has_refused(directory))
                }
                _ => false,
            };
        let mut holders = child.current_holders().map(|held| held.service);
        holders.find(|who| is_taken && !ends && taken.holder(*who).is_some() && is_kept(who))
    }
}
