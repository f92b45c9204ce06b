//! The one thread that changes the user's tree, so that concurrent changes share their flushes.
//!
//! While one flush is under way the next changes gather and share the next one; a lone change
//! waits for nobody. Of each batch first the contents are flushed, then the names are changed,
//! then those are flushed, together with the contents of the batch that came meanwhile. What was
//! answered is durable.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use onitu_plug::{Fault, State};
use tokio::sync::oneshot;

use crate::change::{Ready, Work};
use crate::client::Root;
use crate::fault::{fault, lost};
use crate::flush::Flush;

/// Most changes that share a flush.
const BATCH_MAX: usize = 512;

type Outcome = Result<Option<State>, Fault>;

struct Job {
    work: Work,
    answer: oneshot::Sender<Outcome>,
}

/// The way to the thread; it ends when this is dropped.
pub(crate) struct Commit {
    jobs: Sender<Job>,
}

impl Commit {
    /// Starts the thread.
    pub(crate) fn start(root: Arc<Root>) -> std::io::Result<Self> {
        let (jobs, received) = channel();
        std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || run(&root, &received))?;
        Ok(Self { jobs })
    }

    /// Carries `work` out; durable when it returns. Tells the new state, unless it is a removal.
    pub(crate) async fn ask(&self, work: Work) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { work, answer }).map_err(|_| lost("the commit thread"))?;
        answered.await.map_err(|_| lost("a change"))?
    }
}

fn run(root: &Root, jobs: &Receiver<Job>) {
    let mut flush = Flush::default();
    // Changed but not flushed yet.
    let mut applied = Vec::new();
    loop {
        let Some(batch) = gather(jobs, applied.is_empty()) else { return };
        let prepared: Vec<_> = batch
            .into_iter()
            .filter_map(|Job { work, answer }| match work.prepare(root, &mut flush) {
                Ok(ready) => Some((ready, answer)),
                Err(fault) => {
                    tell(answer, Err(fault));
                    None
                }
            })
            .collect();
        let flushed = flush.run().map_err(|errno| fault("flush", root.shown(), errno));
        for (state, answer) in applied.drain(..) {
            tell(answer, flushed.clone().map(|()| state));
        }
        for (ready, answer) in prepared {
            match flushed.clone().and_then(|()| Ready::apply(ready, root, &mut flush)) {
                Ok(state) => applied.push((state, answer)),
                Err(fault) => tell(answer, Err(fault)),
            }
        }
    }
}

/// What there is to do: waits for something if `idle`; nothing when nobody can ask any more.
fn gather(jobs: &Receiver<Job>, idle: bool) -> Option<Vec<Job>> {
    let mut batch = Vec::new();
    if idle {
        batch.push(jobs.recv().ok()?);
    }
    batch.extend(jobs.try_iter().take(BATCH_MAX - batch.len()));
    Some(batch)
}

fn tell(answer: oneshot::Sender<Outcome>, outcome: Outcome) {
    // Whoever asked may have gone; the change is done all the same, and the watch tells of it.
    let _ = answer.send(outcome);
}
