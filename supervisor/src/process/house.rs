//! All processes of an instance.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_core::control::Wanted;
use onitu_core::status::ProcessStatus;

use super::{Job, Launch, STOP_GRACE, Surroundings};

/// Most drivers at once.
const DRIVERS_MAX: usize = 1024;
/// What every driver's process is called, before its service's name.
const DRIVER_PREFIX: &str = "driver-";
/// How long the Core and the Referee may take to end; they keep nothing that isn't in the store.
const CORE_GRACE: Duration = Duration::from_millis(1500);
/// How long the metadata server may take to end; it writes its last second to the disk.
const REDIS_GRACE: Duration = Duration::from_secs(2);

/// The process of the metadata server.
pub const REDIS: &str = "redis";
/// The process of the Core.
pub const CORE: &str = "core";
/// The process of the Referee.
pub const REFEREE: &str = "referee";

/// The jobs of an instance: the three of its own, and the drivers the Core wants.
#[derive(Debug)]
pub struct House {
    surroundings: Arc<Surroundings>,
    jobs: Mutex<Jobs>,
}

#[derive(Debug, Default)]
struct Jobs {
    by_name: BTreeMap<String, Job<Launch>>,
    /// From now on nothing new is started.
    closing: bool,
}

impl House {
    /// A house in which nothing runs. Must be used inside a runtime on the main thread.
    pub fn new(surroundings: Arc<Surroundings>) -> House {
        House { surroundings, jobs: Mutex::default() }
    }

    /// Runs one of the house's own processes.
    pub fn start(&self, name: &str, program: PathBuf, arguments: Vec<std::ffi::OsString>) {
        let launch = self.launch(name, program, arguments);
        self.jobs().run(name, launch);
    }

    /// Makes exactly these drivers run: starts what is missing, stops what is too much, starts
    /// anew what differs and leaves the rest alone. May be repeated.
    ///
    /// # Errors
    ///
    /// When a name is no driver's or stands twice, or the house is closing; then nothing changed.
    pub fn run(&self, wanted: Vec<Wanted>) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for driver in &wanted {
            if driver.name.strip_prefix(DRIVER_PREFIX).is_none_or(str::is_empty) {
                return Err(format!("`{}` is no name of a driver's process", driver.name));
            }
            if !names.insert(driver.name.clone()) {
                return Err(format!("`{}` is wanted twice", driver.name));
            }
        }
        if names.len() > DRIVERS_MAX {
            return Err(format!("more than {DRIVERS_MAX} drivers"));
        }
        let mut jobs = self.jobs();
        if jobs.closing {
            return Err("the supervisor is stopping".to_owned());
        }
        for (name, job) in &jobs.by_name {
            if name.starts_with(DRIVER_PREFIX) && !names.contains(name) {
                job.stop(STOP_GRACE);
            }
        }
        for driver in wanted {
            let arguments = driver.arguments.into_iter().map(Into::into).collect();
            let launch = self.launch(&driver.name, driver.program, arguments);
            jobs.run(&driver.name, launch);
        }
        // One that is still being stopped stays, so that it isn't started beside itself.
        jobs.by_name.retain(|_, job| job.is_active());
        Ok(())
    }

    /// Starts one process anew.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub fn restart(&self, name: &str) -> Result<(), String> {
        match self.jobs().by_name.get(name) {
            Some(job) => {
                job.restart();
                Ok(())
            }
            None => Err(format!("there is no process `{name}`")),
        }
    }

    /// Every process, the house's own first.
    pub fn list(&self) -> Vec<ProcessStatus> {
        let jobs = self.jobs();
        let (drivers, own): (Vec<_>, Vec<_>) = jobs
            .by_name
            .values()
            .filter(|job| job.is_active())
            .map(Job::status)
            .partition(|status| status.name.starts_with(DRIVER_PREFIX));
        own.into_iter().chain(drivers).collect()
    }

    /// Waits until the process `name` has ended by itself `times` times, and says how it last did.
    pub async fn failed(&self, name: &str, times: u64) -> String {
        let failed = self.jobs().by_name.get(name).map(|job| job.failed(times));
        match failed {
            Some(failed) => failed.await,
            None => std::future::pending().await,
        }
    }

    /// Stops everything, children first: the drivers, then the Core and the Referee, then the
    /// metadata server. Takes at most ten seconds, even if nothing obeys. Nothing is started afterwards.
    pub async fn close(&self) {
        let mut jobs = {
            let mut jobs = self.jobs();
            jobs.closing = true;
            std::mem::take(&mut jobs.by_name)
        };
        let redis = jobs.remove(REDIS);
        let own = [CORE, REFEREE].into_iter().filter_map(|name| jobs.remove(name)).collect();
        stop(jobs.into_values().collect(), STOP_GRACE).await;
        stop(own, CORE_GRACE).await;
        stop(redis.into_iter().collect(), REDIS_GRACE).await;
    }

    fn launch(&self, name: &str, program: PathBuf, arguments: Vec<std::ffi::OsString>) -> Launch {
        let surroundings = self.surroundings.clone();
        Launch { name: name.to_owned(), program, arguments, surroundings }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    fn run(&mut self, name: &str, launch: Launch) {
        if !self.closing {
            self.by_name.entry(name.to_owned()).or_insert_with(|| Job::new(name)).run(launch);
        }
    }
}

/// Stops these jobs, all at the same time.
async fn stop(jobs: Vec<Job<Launch>>, grace: Duration) {
    for job in &jobs {
        job.stop(grace);
    }
    for job in &jobs {
        job.stopped().await;
    }
}
