//! One connection to a storage, from `connect` until it is lost: all tasks of a driver.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_core::bus::{Bus, BusError, Endpoint};
use onitu_core::status::{Report, ServiceState};
use onitu_core::store::{Incarnation, Store};
use onitu_core::{Fault, FaultKind, Path, Service, ServiceId, clock};

use crate::announce::Announcer;
use crate::brake::{Brake, brake};
use crate::claim::Claims;
use crate::control::{UnderWay, control};
use crate::filter::Filter;
use crate::hints::Hints;
use crate::implied::Implied;
use crate::limited::Limited;
use crate::mount::Mounted;
use crate::orders::Orders;
use crate::plug::{Plug, Setting};
use crate::retries::Retries;
use crate::serve::serve;
use crate::service::{Problems, Shared};
use crate::transfer::Puller;
use crate::twins::Twins;
use crate::verify::Verifier;
use crate::watching::{Trees, look, scan_trees};

const CHECK_PAUSE: Duration = Duration::from_secs(5);
const REPORT_PAUSE: Duration = Duration::from_secs(1);
/// An unchanged report is repeated after so many pauses, to show that the driver lives.
const REPORTS_SKIPPED: u32 = 4;
const RECONNECT_FIRST: Duration = Duration::from_millis(500);
const RECONNECT_LAST: Duration = Duration::from_secs(10);
const PROBLEMS_REPORTED: usize = 100;
const TRANSFERS_REPORTED: usize = 20;
const TRASH_DAYS: u32 = 30;

/// What a driver works with: the service it is, and where the others are.
#[derive(Clone)]
pub struct Post {
    /// As registered by the Core.
    pub service: Service,
    /// The metadata.
    pub store: Arc<dyn Store>,
    /// The messages.
    pub bus: Arc<dyn Bus>,
}

/// Keeps a service connected for ever: `connect` makes the plug, again and again with growing
/// pauses while the storage can't be used. Ends only when dropped.
pub async fn keep<P, F>(post: Post, connect: impl Fn(Setting) -> F) -> Infallible
where
    P: Plug,
    F: Future<Output = Result<P, Fault>> + Send,
{
    let mut pause = RECONNECT_FIRST;
    let mut told = String::new();
    let mut epoch = 0;
    let verifier = Arc::new(Verifier::default());
    loop {
        let began = tokio::time::Instant::now();
        verifier.remember(post.store.as_ref(), post.service.id).await;
        let fault = match begin(&post, &connect, &mut epoch).await {
            Ok(session) => session.run(&post, &verifier).await,
            Err(fault) => fault,
        };
        // The same again is no news.
        if told != fault.message {
            tracing::warn!(service = post.service.name, "{fault}");
            told.clone_from(&fault.message);
        }
        let mut report = Report {
            state: ServiceState::Unavailable,
            reason: Some(fault.message),
            pid: std::process::id(),
            epoch,
            at_ms: clock::now_ms(),
            ..Report::default()
        };
        verifier.tell(&mut report);
        let _ = post.store.set_report(post.service.id, &report).await;
        if began.elapsed() > RECONNECT_LAST {
            pause = RECONNECT_FIRST;
            told.clear();
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_LAST);
    }
}

async fn begin<P, F>(
    post: &Post,
    connect: &impl Fn(Setting) -> F,
    epoch: &mut u64,
) -> Result<Session<Mounted<Twins<Implied<Limited<P>>>>>, Fault>
where
    P: Plug,
    F: Future<Output = Result<P, Fault>> + Send,
{
    let away = |error: &dyn std::fmt::Display| {
        Fault::new(FaultKind::Unavailable, format!("waiting for the metadata store: {error}"))
    };
    let id = post.service.id;
    // Which store this session knows is read first: should it be wiped from here on, all that
    // follows has to be done again.
    let incarnation = post.store.incarnation().await.map_err(|error| away(&error))?;
    let held = post.store.counts().await.map_err(|error| away(&error))?.held;
    let streams = post.store.streams().await.map_err(|error| away(&error))?;
    let filter = Filter::load(post.store.as_ref()).await.map_err(|error| away(&error))?;
    let known = held.get(&id).is_some_and(|held| *held > 0);
    *epoch = next_epoch(streams.get(&id).map_or(0, |stream| stream.epoch).max(*epoch));
    let option = |name: &str| post.service.options.get(name).and_then(serde_json::Value::as_u64);
    let trash_days = option("trash_days").and_then(|days| u32::try_from(days).ok());
    let setting = Setting {
        service: post.service.name.clone(),
        known,
        trash_days: trash_days.unwrap_or(TRASH_DAYS),
        trash_size_bytes: option("trash_size_bytes"),
        state_dir: state_dir(&post.service)?,
    };
    let limited = Limited::over(connect(setting).await?, post.service.limit());
    let plug = Mounted::over(Twins::over(Implied::over(limited)), post.service.at());
    Ok(Session::new(post, plug, *epoch, (incarnation, filter)))
}

/// The driver's own directory, made if it isn't there.
fn state_dir(service: &Service) -> Result<Option<PathBuf>, Fault> {
    let Some(directory) = service.state_dir() else { return Ok(None) };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(|error| {
        let text =
            format!("can't make `{}`, the driver's own directory: {error}", directory.display());
        Fault::new(FaultKind::Unavailable, text)
    })?;
    Ok(Some(directory))
}

/// An incarnation later than `known` and than any other: by the clock, because a store that was
/// lost knows none of those before, and by a counter for two in one millisecond. A clock that went
/// back still tells two incarnations apart of which the first has left no trace in the store.
pub(crate) fn next_epoch(known: u64) -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) & 0x3ff;
    let by_clock = (clock::now_ms() << 10) + count;
    if by_clock > known { by_clock } else { known + 1 + (by_clock & 0x3fff_ffff) }
}

struct Session<P> {
    shared: Arc<Shared<P>>,
    puller: Puller,
    trees: Trees,
    notice: Mutex<Option<String>>,
    /// Files that their writers keep open.
    quiet: AtomicUsize,
    /// Of the store when the session began.
    incarnation: Incarnation,
}

impl<P: Plug> Session<P> {
    fn new(post: &Post, plug: P, epoch: u64, (incarnation, filter): (Incarnation, Filter)) -> Self {
        let hints = Hints::default();
        let id = post.service.id;
        let shared = Shared {
            abilities: plug.abilities(),
            plug: Arc::new(plug),
            store: post.store.clone(),
            announcer: Announcer::new(id, epoch),
            claims: Claims::new(hints.clone()),
            hints,
            id,
            name: post.service.name.clone(),
            mode: post.service.mode,
            names: Mutex::default(),
            problems: Problems::default(),
            retries: Retries::default(),
            brake: Brake::new(&post.service),
            filter,
            busy: AtomicUsize::default(),
            scans: AtomicU64::default(),
            scanned: AtomicU64::default(),
        };
        let trees = Trees::default();
        trees.add([Path::root()]);
        Self {
            shared: Arc::new(shared),
            puller: Puller::new(post.bus.clone()),
            trees,
            notice: Mutex::default(),
            quiet: AtomicUsize::default(),
            incarnation,
        }
    }

    /// Runs all tasks until one of them can't go on; tells why.
    async fn run(self, post: &Post, verifier: &Verifier) -> Fault {
        match self.try_run(post, verifier).await {
            Ok(never) => match never {},
            Err(fault) => fault,
        }
    }

    async fn try_run(self, post: &Post, verifier: &Verifier) -> Result<Infallible, Fault> {
        let id = self.shared.id;
        let bus = &post.bus;
        let publisher = bus.publisher(&Endpoint::news(id)).await.map_err(closed)?;
        let orders_socket = bus.replier(&Endpoint::orders(id)).await.map_err(closed)?;
        let control_socket = bus.replier(&Endpoint::control(id)).await.map_err(closed)?;
        let router = bus.router(&Endpoint::contents(id)).await.map_err(closed)?;
        let orders = Orders::new(self.shared.clone(), self.puller.clone());
        let shared = &self.shared;
        let every_s = post.service.options.get("verify_s").and_then(serde_json::Value::as_u64);
        let schedule_ms = every_s.map(|every_s| every_s.saturating_mul(1_000));
        let under_way = UnderWay { shared, trees: &self.trees, quiet: &self.quiet, verifier };
        let served = serve(shared.plug.clone(), router, shared.hints.clone());
        // The watch comes first: what changes while the scan runs is hinted at.
        tokio::select! {
            biased;
            fault = pin!(self.watch()) => Err(fault),
            end = pin!(shared.announcer.publish(publisher)) => Err(ended(end)),
            end = pin!(orders.serve(orders_socket)) => Err(ended(end)),
            end = pin!(served) => Err(ended(end.map(|never| match never {}))),
            end = pin!(control(&under_way, control_socket)) => Err(ended(end)),
            end = pin!(look(shared, &self.trees, &self.notice, &self.quiet)) => Err(lost(end)),
            end = pin!(scan_trees(shared, &self.trees)) => Err(lost(end)),
            end = pin!(brake(shared, &self.trees)) => Err(lost(end)),
            end = pin!(self.check()) => Err(lost(end)),
            end = pin!(verifier.run(shared, schedule_ms)) => Err(lost(end)),
            () = pin!(self.report(post, verifier)) => Err(lost(Ok(()))),
        }
    }

    /// Watches until that can't go on. A service that asks for patience is still there.
    async fn watch(&self) -> Fault {
        let Shared { plug, hints, .. } = &*self.shared;
        loop {
            match plug.watch(hints.clone()).await {
                Err(fault) if fault.kind == FaultKind::RateLimited => {
                    let wait = fault.retry_after_ms.map_or(CHECK_PAUSE, Duration::from_millis);
                    tokio::time::sleep(wait).await;
                    hints.rescan("the service had asked not to be watched for a while");
                }
                Err(fault) => return fault,
                Ok(()) => return Fault::new(FaultKind::Unavailable, "the watch ended"),
            }
        }
    }

    async fn check(&self) -> Result<(), Fault> {
        loop {
            tokio::time::sleep(CHECK_PAUSE).await;
            match self.shared.plug.check().await {
                Err(fault) if fault.kind != FaultKind::RateLimited => return Err(fault),
                _ => {}
            }
        }
    }

    /// Tells the store how things are, once a second at most.
    async fn report(&self, post: &Post, verifier: &Verifier) {
        let mut told: Option<Report> = None;
        let mut skipped = 0;
        let mut incarnation = self.incarnation.clone();
        loop {
            self.notice_loss(post, &mut incarnation).await;
            self.shared.adopt_ignoring().await;
            if skipped == 0
                && let Ok(Some(registry)) = post.store.registry().await
            {
                let names: BTreeMap<ServiceId, String> =
                    registry.services.into_iter().map(|s| (s.id, s.name)).collect();
                *self.shared.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
            }
            let version = self.shared.brake.version();
            let mut report = self.current();
            verifier.tell(&mut report);
            let same = told.as_ref().is_some_and(|told| {
                report.at_ms = told.at_ms;
                *told == report
            });
            if same && skipped < REPORTS_SKIPPED {
                skipped += 1;
                self.shared.brake.reported(version);
            } else {
                skipped = 0;
                report.at_ms = clock::now_ms();
                let sent = post.store.set_report(self.shared.id, &report).await.is_ok();
                told = sent.then_some(report);
                if sent {
                    self.shared.brake.reported(version);
                }
            }
            tokio::select! {
                biased;
                () = self.shared.brake.news() => {}
                () = tokio::time::sleep(REPORT_PAUSE) => {}
            }
        }
    }

    /// A store that was wiped and set up anew knows nothing of what it once acknowledged, and one
    /// that was restarted may have lost its last second: a scan finds what it lacks.
    async fn notice_loss(&self, post: &Post, known: &mut Incarnation) {
        let Ok(now) = post.store.incarnation().await else { return };
        if now.generation.is_none() || now == *known {
            return;
        }
        if now.generation == known.generation {
            self.shared.hints.rescan("the metadata store was restarted");
        } else {
            self.shared.announcer.begin_epoch(next_epoch(self.shared.announcer.epoch()));
            self.shared.hints.rescan("the metadata store was set up anew");
        }
        *known = now;
    }

    fn current(&self) -> Report {
        let shared = &self.shared;
        let scans = shared.scans.load(Ordering::SeqCst);
        let (problems, problems_total) = shared.problems.list(PROBLEMS_REPORTED);
        let mut transfers = self.puller.progress();
        transfers.sort_by_key(|transfer| std::cmp::Reverse(transfer.size_bytes));
        transfers.truncate(TRANSFERS_REPORTED);
        let notice = self.notice.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (held, why) = shared.brake.status().unzip();
        let state = match held {
            _ if scans == 0 => ServiceState::Scanning,
            Some(_) => ServiceState::Held,
            None => ServiceState::Ready,
        };
        Report {
            state,
            reason: why.or(notice),
            pid: std::process::id(),
            epoch: shared.announcer.epoch(),
            scans,
            scanned: shared.scanned.load(Ordering::Relaxed),
            problems,
            problems_total,
            transfers,
            at_ms: clock::now_ms(),
            held,
            ignoring: shared.filter.version(),
            ..Report::default()
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn closed(error: BusError) -> Fault {
    Fault::new(FaultKind::Unavailable, error.to_string())
}

fn ended(end: Result<(), BusError>) -> Fault {
    closed(end.err().unwrap_or(BusError::Closed))
}

fn lost(end: Result<(), Fault>) -> Fault {
    end.err().unwrap_or_else(|| Fault::new(FaultKind::Bug, "a task ended by itself"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_incarnation_is_later_than_the_known_one_whatever_the_clock_says() {
        clock::simulate(1_700_000_000_000);
        let first = next_epoch(0);
        assert!(next_epoch(first) > first, "two in one millisecond");
        // Back by six hours, by fifty years, and to where a machine without a battery begins.
        for now_ms in [1_700_000_000_000 - 6 * 3_600_000, 100_000_000_000, 0] {
            clock::simulate(now_ms);
            assert!(next_epoch(first) > first, "{now_ms}");
        }
        clock::simulate(1_700_000_000_000 + 6 * 3_600_000);
        let later = next_epoch(first);
        assert!(later > first + 1 && next_epoch(later) > later);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_store_is_no_reason_to_begin_where_an_earlier_incarnation_was() {
        clock::simulate(1_700_000_000_000);
        let first = next_epoch(0);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(next_epoch(0) > first, "nothing is known, but the clock went on");
    }

    #[test]
    fn two_incarnations_after_the_same_one_have_different_numbers_even_if_the_clock_is_behind() {
        let known = u64::MAX / 2;
        let (first, second) = (next_epoch(known), next_epoch(known));
        assert!(first > known && second > known);
        assert_ne!(first, second);
        assert!(next_epoch(0) > 0);
    }
}
