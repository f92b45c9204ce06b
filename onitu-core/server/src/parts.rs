//! Collects what a status is made of: from the store, the supervisor and the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use onitu_core::ignore::IgnoreSet;
use onitu_core::status::{ProcessStatus, Report};
use onitu_core::store::{Counts, Registry, StoreError};
use onitu_core::{Fault, Path, ServiceId, clock};
use tokio::time::timeout;

use crate::core::Core;

/// The store is waited for so long before a status says that it is away.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// Most problems of a service that are counted.
const PROBLEMS_COUNTED_MAX: usize = 1_000;

/// Everything a status is computed from.
pub(crate) struct Parts {
    /// The services, in any order.
    pub(crate) registry: Arc<Registry>,
    /// Whether the store knows them and the supervisor was told.
    pub(crate) established: bool,
    /// Why services have no process, by name.
    pub(crate) missing: Arc<BTreeMap<String, String>>,
    /// Services whose scans' findings were lost with the store.
    pub(crate) doubtful: BTreeSet<String>,
    /// What the store says, or why it can't.
    pub(crate) stored: Result<Stored, StoreError>,
    /// Every process; [`None`] while the supervisor can't be asked.
    pub(crate) processes: Option<Vec<ProcessStatus>>,
    /// Milliseconds since the epoch.
    pub(crate) now_ms: u64,
}

/// The store's parts.
#[derive(Default)]
pub(crate) struct Stored {
    /// Sums over all records.
    pub(crate) counts: Counts,
    /// What each driver last said of itself.
    pub(crate) reports: BTreeMap<ServiceId, Report>,
    /// Why work at some paths fails.
    pub(crate) problems: BTreeMap<ServiceId, Vec<(Path, Fault)>>,
    /// What is ignored; [`None`] before the Referee has said so.
    pub(crate) ignoring: Option<IgnoreSet>,
    /// Bytes the server uses.
    pub(crate) used_memory_bytes: u64,
}

impl Core {
    /// Collects the parts; never fails and never waits long, whatever is away.
    pub(crate) async fn parts(&self) -> Parts {
        let registry = self.registry();
        let (stored, processes) =
            tokio::join!(timeout(STORE_PATIENCE, self.stored(&registry)), self.supervisor.list());
        let stored =
            stored.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".to_owned())));
        let reports = stored.as_ref().map(|stored| &stored.reports);
        let doubtful = reports.map_or_else(|_| BTreeSet::new(), |it| self.doubtful(&registry, it));
        Parts {
            registry,
            established: self.is_established(),
            missing: self.missing(),
            doubtful,
            stored,
            processes: processes.ok(),
            now_ms: clock::now_ms(),
        }
    }

    async fn stored(&self, registry: &Registry) -> Result<Stored, StoreError> {
        self.store.check_writes().await?;
        let counts = self.store.counts().await?;
        let reports = self.store.reports().await?;
        let mut problems = BTreeMap::new();
        for service in &registry.services {
            let found = self.store.problems(service.id, PROBLEMS_COUNTED_MAX).await?;
            problems.insert(service.id, found);
        }
        let ignoring = self.store.ignoring(0).await?;
        let used_memory_bytes = self.store.used_memory_bytes().await?;
        Ok(Stored { counts, reports, problems, ignoring, used_memory_bytes })
    }
}
