//! Verifying: what the service holds, compared with the records, because nothing says that bytes
//! on a disk are still those that were written.
//!
//! This room knows which verification runs, when the next one is due, and what is told of it. The
//! work is in [`walk`] and [`read`]. Nothing here changes a file, and nothing decides: what is
//! found leaves as a hint, a scan or an event, like everything a driver sees.

mod read;
mod walk;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onitu_core::message::Reply;
use onitu_core::status::Report;
use onitu_core::store::Store;
use onitu_core::verify::{
    Cycle, FINDINGS_MAX, Finding, Manner, Phase, VerifyRequest, VerifyStatus,
};
use onitu_core::{Fault, FaultKind, ServiceId, clock};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::plug::Plug;
use crate::service::Shared;

/// A verification that runs by itself reads at most so fast: the service has better to do.
const SCHEDULED_BYTES_PER_S: u64 = 20_000_000;
/// The schedule is looked at so often at least: a machine that sleeps stops the timer.
const LOOK_PAUSE: Duration = Duration::from_mins(10);
/// Before the first scan is done nothing is scheduled; looked at again after this.
const SCAN_PAUSE: Duration = Duration::from_secs(5);
/// After a scheduled one failed or was displaced the next attempt waits so long.
const RETRY_PAUSE: Duration = Duration::from_mins(1);

/// Which verification of one service runs. Lives as long as the driver, so that the sessions that
/// come and go know what was done.
#[derive(Default)]
pub(crate) struct Verifier {
    told: Mutex<Told>,
    asked: Notify,
    stopped: Notify,
}

#[derive(Default)]
struct Told {
    /// What an earlier process has done was read from the store.
    remembered: bool,
    status: Option<VerifyStatus>,
    /// The last one that a person asked for, if `status` is another one.
    asked: Option<VerifyStatus>,
    cycle: Option<Cycle>,
    next: Option<Job>,
    /// The running one shall end.
    stop: Option<&'static str>,
}

/// One verification to do.
#[derive(Debug, Clone, Copy)]
struct Job {
    id: u64,
    manner: Manner,
    scheduled: bool,
}

impl Verifier {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what an earlier process of this driver has left in the store, once.
    pub(crate) async fn remember(&self, store: &dyn Store, id: ServiceId) {
        if self.told().remembered {
            return;
        }
        let Ok(mut reports) = store.reports().await else { return };
        let report = reports.remove(&id).unwrap_or_default();
        let mut told = self.told();
        told.remembered = true;
        told.cycle = report.verify_cycle;
        told.status = report.verify;
        told.end(None, Some("its driver ended"));
    }

    /// Puts what is known of verifications into a report.
    pub(crate) fn tell(&self, report: &mut Report) {
        let told = self.told();
        report.verify.clone_from(&told.status);
        report.verify_cycle = told.cycle;
    }

    /// What a person asked for, by the Core.
    pub(crate) fn answer(&self, service: &str, asked: &VerifyRequest) -> Reply {
        let mut told = self.told();
        match asked {
            VerifyRequest::Progress { id } => {
                let asked = told.asked.as_ref().filter(|status| status.id == *id);
                let status = asked.or(told.status.as_ref()).cloned();
                return Reply::Verify(status.map(Box::new));
            }
            VerifyRequest::Stop { id } => {
                if told.next.is_some_and(|job| job.id == *id) {
                    told.next = None;
                    told.end(Some(*id), Some("stopped"));
                } else if told.runs(*id) {
                    told.stop = Some("stopped");
                    self.stopped.notify_one();
                }
            }
            VerifyRequest::Begin { id, manner } => {
                if let Some(running) = told.status.as_ref().filter(|it| !it.is_over()) {
                    if running.id == *id {
                        return Reply::Verify(told.status.clone().map(Box::new));
                    }
                    if !running.scheduled {
                        return Reply::Refused(already(service, running));
                    }
                    told.stop = Some("another one was asked for");
                    self.stopped.notify_one();
                }
                told.take(Job { id: *id, manner: *manner, scheduled: false });
                self.asked.notify_one();
            }
        }
        Reply::Verify(told.status.clone().map(Box::new))
    }

    /// Verifies whenever it is asked for or, every `every_ms`, due; for ever.
    pub(crate) async fn run<P: Plug>(
        &self,
        shared: &Arc<Shared<P>>,
        every_ms: Option<u64>,
    ) -> Result<(), Fault> {
        let _end = EndOfSession(self);
        let mut pause = None;
        loop {
            let job = self.next(shared, every_ms, pause).await;
            pause = None;
            let progress = Progress { verifier: self, job };
            let end = tokio::select! {
                biased;
                why = self.stop_asked() => Err(why.to_owned()),
                end = walk::verify(shared, &progress) => match end {
                    Err(fault) if fault.kind == FaultKind::Unavailable => return Err(fault),
                    end => end.map_err(|fault| fault.message),
                },
            };
            if end.is_err() && job.scheduled {
                pause = Some(Instant::now() + RETRY_PAUSE);
            }
            self.end(job, every_ms, end);
        }
    }

    async fn stop_asked(&self) -> &'static str {
        loop {
            let stopped = self.stopped.notified();
            if let Some(why) = self.told().stop.take() {
                return why;
            }
            stopped.await;
        }
    }

    /// The next one, as soon as there is one.
    async fn next<P: Plug>(
        &self,
        shared: &Shared<P>,
        every_ms: Option<u64>,
        not_before: Option<Instant>,
    ) -> Job {
        loop {
            let asked = self.asked.notified();
            let pause = {
                let mut told = self.told();
                told.stop = None;
                if let Some(job) = told.next.take() {
                    return job;
                }
                let wait = not_before
                    .map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
                let is_scanned = shared.scans.load(Ordering::SeqCst) > 0;
                match every_ms {
                    None => None,
                    Some(_) if !is_scanned => Some(SCAN_PAUSE),
                    Some(_) if !wait.is_zero() => Some(wait),
                    Some(every_ms) => match told.due(every_ms) {
                        Err(pause) => Some(pause.min(LOOK_PAUSE)),
                        Ok(job) => {
                            told.take(job);
                            told.next = None;
                            return job;
                        }
                    },
                }
            };
            tokio::select! {
                biased;
                () = asked => {}
                () = sleep(pause) => {}
            }
        }
    }

    fn end(&self, job: Job, every_ms: Option<u64>, end: Result<(), String>) {
        let mut told = self.told();
        let now_ms = clock::now_ms();
        if end.is_ok() && every_ms.is_some() {
            let Manner { deep, part, .. } = job.manner;
            if job.scheduled {
                told.cycle = told.cycle.map(|cycle| cycle.after(now_ms));
            } else if deep && part == onitu_core::verify::Part::WHOLE {
                told.cycle = Some(Cycle { began_at_ms: now_ms, parts_done: 0 });
            }
        }
        told.end(Some(job.id), end.err().as_deref());
    }
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

fn already(service: &str, running: &VerifyStatus) -> Fault {
    let done = match running.phase {
        Phase::Reading => format!("{} of {} files are read", running.files, running.files_total),
        _ => format!("{} of {} paths are looked at", running.checked, running.total),
    };
    let message = format!("`{service}` is being verified already: {done}");
    Fault::new(FaultKind::RateLimited, message)
}

impl Told {
    fn runs(&self, id: u64) -> bool {
        self.status.as_ref().is_some_and(|status| status.id == id && !status.is_over())
    }

    fn take(&mut self, job: Job) {
        self.next = Some(job);
        let before = self.status.take();
        if let Some(asked) = before.filter(|status| !status.scheduled) {
            self.asked = Some(asked);
        }
        self.status = Some(VerifyStatus {
            id: job.id,
            deep: job.manner.deep,
            part: job.manner.part,
            scheduled: job.scheduled,
            began_at_ms: clock::now_ms(),
            ..VerifyStatus::default()
        });
    }

    /// The scheduled one that is due, or how long there is none.
    fn due(&mut self, every_ms: u64) -> Result<Job, Duration> {
        let now_ms = clock::now_ms();
        let first = Cycle { began_at_ms: now_ms, parts_done: 0 };
        let cycle = self.cycle.get_or_insert(first);
        // A clock that was ahead must not put it off for years.
        if cycle.began_at_ms > now_ms {
            *cycle = first;
        }
        let due_ms = cycle.due_at_ms(every_ms);
        if due_ms > now_ms {
            return Err(Duration::from_millis(due_ms - now_ms));
        }
        let bytes_per_s = Some(SCHEDULED_BYTES_PER_S);
        let manner = Manner { deep: true, part: cycle.next(), bytes_per_s };
        Ok(Job { id: now_ms, manner, scheduled: true })
    }

    /// Ends the one with this number, or whichever runs.
    fn end(&mut self, id: Option<u64>, why: Option<&str>) {
        let status = self.status.as_mut().filter(|status| !status.is_over());
        if let Some(status) = status.filter(|status| id.is_none_or(|id| status.id == id)) {
            status.phase = Phase::Ended;
            status.eta_s = None;
            status.ended_at_ms = Some(clock::now_ms());
            status.stopped = why.map(str::to_owned);
        }
    }
}

/// A verification ends with the session in which it runs.
struct EndOfSession<'a>(&'a Verifier);

impl Drop for EndOfSession<'_> {
    fn drop(&mut self) {
        let mut told = self.0.told();
        told.next = None;
        told.end(None, Some("the connection to its storage ended"));
    }
}

/// Where the running verification tells how far it is.
struct Progress<'a> {
    verifier: &'a Verifier,
    job: Job,
}

impl Progress<'_> {
    fn update(&self, change: impl FnOnce(&mut VerifyStatus)) {
        let mut told = self.verifier.told();
        if let Some(status) = told.status.as_mut().filter(|status| status.id == self.job.id) {
            change(status);
        }
    }

    fn note(&self, finding: Finding) {
        use onitu_core::verify::FindingKind;
        self.update(|status| {
            match finding.kind {
                FindingKind::Rotten => status.rotten += 1,
                FindingKind::Changed => status.changed += 1,
                FindingKind::Missing => status.missing += 1,
                FindingKind::Unreadable => status.unreadable += 1,
            }
            if status.findings.len() < FINDINGS_MAX {
                status.findings.push(finding);
            }
        });
    }
}

#[cfg(test)]
mod tests;
