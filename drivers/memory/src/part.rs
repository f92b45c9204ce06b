//! Half-written files: kept under their resume key until they are placed or given up.

use std::collections::BTreeMap;

use onitu_plug::{Fault, FaultKind, Path};

use crate::faults::Dice;

/// Most half-written files that are kept; the oldest go first.
const PARTS_MAX: usize = 1_024;

/// All half-written files of a storage.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    parts: BTreeMap<(Path, u64), Part>,
    owners: u64,
}

#[derive(Debug, Default)]
struct Part {
    bytes: Vec<u8>,
    /// The sink that writes it; an older one that lives on writes no more.
    owner: u64,
}

/// Names a half-written file and the sink that may write it.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    key: (Path, u64),
    owner: u64,
}

impl Parts {
    /// Takes up what was written for `path` under `resume`, or begins anew.
    pub(crate) fn claim(&mut self, path: &Path, resume: u64) -> Claim {
        self.owners += 1;
        let key = (path.clone(), resume);
        self.parts.entry(key.clone()).or_default().owner = self.owners;
        while self.parts.len() > PARTS_MAX {
            let oldest = self.parts.iter().min_by_key(|(_, part)| part.owner);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.parts.remove(&key);
        }
        Claim { key, owner: self.owners }
    }

    pub(crate) fn bytes(&mut self, claim: &Claim) -> Result<&mut Vec<u8>, Fault> {
        let part = self.parts.get_mut(&claim.key).filter(|part| part.owner == claim.owner);
        let path = &claim.key.0;
        part.map(|part| &mut part.bytes).ok_or_else(|| {
            Fault::new(FaultKind::Cancelled, format!("another writer took over `{path}`"))
        })
    }

    pub(crate) fn give_up(&mut self, claim: &Claim) {
        if self.bytes(claim).is_ok() {
            self.parts.remove(&claim.key);
        }
    }

    pub(crate) fn paths(&self) -> Vec<Path> {
        self.parts.keys().map(|(path, _)| path.clone()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// What a crash does to them.
    pub(crate) fn tear(&mut self, dice: &mut Dice) {
        for part in self.parts.values_mut() {
            if dice.happens(dice.faults.tear_part) {
                part.bytes.truncate(dice.below(part.bytes.len()));
            }
        }
    }
}
