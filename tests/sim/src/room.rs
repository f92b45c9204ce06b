//! Quotas: what was brought to a service has room in what it may hold.

use anyhow::{Result, ensure};
use onitu_core::{Mode, Path, Service};
use onitu_driver_memory::Thing;

use crate::books::{Books, bytes_of};
use crate::house::{House, Member};
use crate::user::Tree;

/// What each service may have had beyond its quota since before the last trouble.
///
/// The Referee knows what is under way, and what is on record. What a driver placed in the moment
/// in which it died, or of which the news or the record was lost, it learns of by the next scan:
/// other files may have taken that room. So only what comes while nothing of that happens counts.
#[derive(Default)]
pub(crate) struct Rooms {
    /// The bytes of all files at the last rest, users' own included: an update may replace them by
    /// fewer. [`None`] while something is amiss.
    held: Option<Vec<u64>>,
}

impl Rooms {
    pub(crate) fn rest(&mut self, house: &House) {
        let held = |tree: Tree| tree.values().filter_map(bytes_of).map(|it| it.len() as u64).sum();
        let trees = house.members.iter().map(|member| member.storage.tree());
        self.held = Some(trees.map(held).collect());
    }

    /// Something was killed or lost, or a quota was changed.
    pub(crate) fn disturb(&mut self) {
        self.held = None;
    }

    /// Nothing was brought beyond a quota, whatever users put there beside.
    pub(crate) fn check(&self, house: &House, books: &Books, trees: &[Tree]) -> Result<()> {
        let Some(before) = &self.held else { return Ok(()) };
        for (at, (member, tree)) in house.members.iter().zip(trees).enumerate() {
            let Some(quota) = member.service.quota_bytes() else { continue };
            let (now, name) = (brought(books, (at, member), tree), &member.service.name);
            ensure!(
                now <= quota.max(before[at]),
                "{now} bytes were brought to {name}, whose quota is {quota}"
            );
        }
        Ok(())
    }
}

/// The bytes of files that the service's own user never put there.
fn brought(books: &Books, (at, member): (usize, &Member), tree: &Tree) -> u64 {
    let Service { name, mode, .. } = &member.service;
    // What lost its name on a backup is on no record from then on, and counts no more.
    let set_aside = format!(" (conflict {name} ");
    let is_own = |path: &Path| *mode == Mode::Backup && path.as_str().contains(&set_aside);
    let foreign = |(path, thing): (&Path, &Thing)| {
        let bytes = bytes_of(thing).filter(|_| !is_own(path))?;
        (!books.has_ever_put(at, &bytes)).then_some(bytes.len() as u64)
    };
    tree.iter().filter_map(foreign).sum()
}
