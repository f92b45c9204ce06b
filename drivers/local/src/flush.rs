//! Making many changes durable for the price of a few.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;

use crate::area::Area;
use crate::disk::{fsync, syncfs};

/// Up to so many files and directories are flushed one by one, more by one call for all of their
/// file system. Measured on ext4 with four and eight placements under way, flushing up to eight
/// one by one takes five to ten times as long; the one call also waits for what other programs
/// have written, so a lone file doesn't use it.
const FEW: usize = 2;

/// What waits to be flushed together.
#[derive(Default)]
pub(crate) struct Flush {
    few: Vec<Arc<OwnedFd>>,
    many: bool,
    areas: Vec<Arc<Area>>,
}

impl Flush {
    /// Adds a changed file or directory of `area`'s file system.
    pub(crate) fn add(&mut self, changed: impl Into<Arc<OwnedFd>>, area: &Arc<Area>) {
        if !self.areas.iter().any(|known| known.mount() == area.mount()) {
            self.areas.push(Arc::clone(area));
        }
        if self.few.len() >= FEW {
            // Not held open any longer, so that a batch needs no more descriptors than a few.
            self.few.clear();
            self.many = true;
        }
        if !self.many {
            self.few.push(changed.into());
        }
    }

    /// Returns when all that was added is durable, or can't be; empty afterwards.
    pub(crate) fn run(&mut self) -> Result<(), Errno> {
        let Self { few, many, areas } = std::mem::take(self);
        if many {
            areas.iter().try_for_each(|area| syncfs(area.tmp()))
        } else {
            few.iter().try_for_each(|one| fsync(&**one))
        }
    }
}
