//! One program that shall run: started again when it ends, stopped when told.
//!
//! A [`Job`] is a handle; a task of its own has the process. What is wished for is a state, not a
//! list of commands: the task compares what it runs with the latest wish, so a program that is
//! wanted, unwanted and wanted again is never run twice at once, and nothing piles up.

use std::future::Future;
use std::io;
use std::time::Duration;

use onitu_core::status::ProcessStatus;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

#[cfg(test)]
mod tests;

/// How long a program may take to end after it was asked to, before it is killed.
pub const STOP_GRACE: Duration = Duration::from_secs(4);
/// How long a killed process is waited for; only a kernel that is stuck takes longer.
const KILL_LIMIT: Duration = Duration::from_millis(500);
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A program that ran for so long is started again at once when it ends.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// What a job runs.
pub trait Program: Clone + PartialEq + Send + Sync + 'static {
    /// A run of it.
    type Child: Child;
    /// Starts it. Called again for every run.
    ///
    /// # Errors
    ///
    /// As the system says; it counts as a run that ended at once.
    fn start(&self) -> io::Result<Self::Child>;
    /// Is told that a run ended by itself, and how long the next one will be waited for.
    fn ended(&self, how: &str, again_in: Duration);
}

/// A run of a program.
pub trait Child: Send + 'static {
    /// Its process id.
    fn pid(&self) -> u32;
    /// Waits for its end and describes it. May be dropped and called again before the end.
    fn ended(&mut self) -> impl Future<Output = String> + Send;
    /// Sends a signal; one that ended is no error.
    fn signal(&mut self, signal: Signal);
}

/// A program that is kept running. Dropping it stops the program.
#[derive(Debug)]
pub struct Job<P> {
    wish: watch::Sender<Wish<P>>,
    seen: watch::Receiver<Seen>,
}

#[derive(Debug, Clone, PartialEq)]
struct Wish<P> {
    program: Option<P>,
    /// Another number means: start it anew.
    turn: u64,
    grace: Duration,
}

/// What the task tells of its process.
#[derive(Debug, Clone)]
struct Seen {
    status: ProcessStatus,
    /// Nothing runs and nothing shall run.
    idle: bool,
}

impl<P: Program> Job<P> {
    /// A job that runs nothing yet, called `name` in its status. Must be called inside a runtime.
    pub fn new(name: &str) -> Job<P> {
        let (wish, wishes) = watch::channel(Wish { program: None, turn: 0, grace: STOP_GRACE });
        let status =
            ProcessStatus { name: name.to_owned(), pid: None, restarts: 0, last_exit: None };
        let (tell, seen) = watch::channel(Seen { status, idle: true });
        tokio::spawn(Keeper { wishes, tell, backoff: Backoff::default() }.keep());
        Job { wish, seen }
    }

    /// From now on this program shall run. One that differs is stopped first; the same one goes
    /// on untouched.
    pub fn run(&self, program: P) {
        self.wish.send_if_modified(|wish| {
            let changed = wish.program.as_ref() != Some(&program);
            wish.program = Some(program);
            changed
        });
    }

    /// Stops the program and starts it anew at once; no effect while nothing shall run.
    pub fn restart(&self) {
        self.wish.send_if_modified(|wish| {
            wish.turn += 1;
            wish.program.is_some()
        });
    }

    /// From now on nothing shall run: asks the program to end, and kills it after `grace`.
    pub fn stop(&self, grace: Duration) {
        self.wish.send_if_modified(|wish| {
            wish.grace = grace;
            wish.program.take().is_some()
        });
    }

    /// Waits until nothing runs and nothing shall run.
    pub async fn stopped(&self) {
        let wished = self.wish.subscribe();
        let mut seen = self.seen.clone();
        // The task may not yet have seen the latest wish.
        let done = |seen: &Seen| seen.idle && wished.borrow().program.is_none();
        // The task ends only after its job, so there is always somebody to wait for.
        let _ = seen.wait_for(done).await;
    }

    /// Waits until the program has ended by itself `times` times, and says how it last did.
    pub fn failed(&self, times: u64) -> impl Future<Output = String> + Send + use<P> {
        let mut seen = self.seen.clone();
        async move {
            let failed = |seen: &Seen| seen.status.restarts >= times;
            let seen = seen.wait_for(failed).await;
            seen.ok().and_then(|seen| seen.status.last_exit.clone()).unwrap_or_default()
        }
    }

    /// How it is now.
    pub fn status(&self) -> ProcessStatus {
        self.seen.borrow().status.clone()
    }

    /// Whether a program runs or shall run.
    pub fn is_active(&self) -> bool {
        self.wish.borrow().program.is_some() || !self.seen.borrow().idle
    }
}

/// The task behind a [`Job`].
struct Keeper<P> {
    wishes: watch::Receiver<Wish<P>>,
    tell: watch::Sender<Seen>,
    backoff: Backoff,
}

impl<P: Program> Keeper<P> {
    async fn keep(mut self) {
        while self.wishes.has_changed().is_ok() {
            let wish = self.wishes.borrow_and_update().clone();
            if let Some(program) = wish.program {
                self.tell.send_if_modified(|seen| std::mem::take(&mut seen.idle));
                self.run(&program).await;
            } else {
                self.tell.send_modify(|seen| seen.idle = true);
                if self.wishes.changed().await.is_err() {
                    return;
                }
                self.backoff = Backoff::default();
            }
        }
    }

    /// One run and, if it ended by itself, the pause after it.
    async fn run(&mut self, program: &P) {
        let since = Instant::now();
        let how = match program.start() {
            Err(error) => error.to_string(),
            Ok(mut child) => {
                self.tell.send_modify(|seen| seen.status.pid = Some(child.pid()));
                tokio::select! {
                    how = child.ended() => how,
                    // Another wish, or none because the job is gone.
                    _ = self.wishes.changed() => {
                        let grace = self.wishes.borrow().grace;
                        let how = end(&mut child, grace).await;
                        self.record(how);
                        self.backoff = Backoff::default();
                        return;
                    }
                }
            }
        };
        let pause = self.backoff.next(since.elapsed());
        program.ended(&how, pause);
        self.record(how);
        self.tell.send_modify(|seen| seen.status.restarts += 1);
        tokio::select! {
            () = sleep(pause) => {}
            _ = self.wishes.changed() => self.backoff = Backoff::default(),
        }
    }

    fn record(&self, how: String) {
        self.tell.send_modify(|seen| {
            seen.status.pid = None;
            seen.status.last_exit = Some(how);
        });
    }
}

async fn end(child: &mut impl Child, grace: Duration) -> String {
    child.signal(Signal::TERM);
    if let Ok(how) = timeout(grace, child.ended()).await {
        return how;
    }
    child.signal(Signal::KILL);
    let stuck = || "can't be killed".to_owned();
    timeout(KILL_LIMIT, child.ended()).await.unwrap_or_else(|_| stuck())
}

/// How long to wait before the next start.
#[derive(Debug, Default)]
struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// After a run that ended by itself and had lasted `ran`.
    fn next(&mut self, ran: Duration) -> Duration {
        let pause = match self.last {
            Some(last) if ran < GOOD_RUN => (last * 2).min(BACKOFF_MAX),
            _ => BACKOFF_FIRST,
        };
        self.last = Some(pause);
        pause
    }
}
