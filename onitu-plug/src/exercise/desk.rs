//! The driver's side: what is open, what is under way, and who is told what.
//!
//! One task looks at the requests, in order, and owns the list of calls; each call is a task of its
//! own. What calls open lies in a map that they share.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use onitu_core::{Fault, FaultKind};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::frame::to_frame;
use super::words::{Answer, Ask, Call, Hinted, Told};
use crate::hints::Hints;
use crate::plug::{Found, Plug};

/// Everything of one process.
pub(super) struct Desk<P: Plug> {
    open: Arc<Opened<P>>,
    underway: BTreeMap<u64, Underway>,
    out: Out,
}

/// A call that may not have ended yet.
struct Underway {
    task: JoinHandle<()>,
    /// The id of what it is made on.
    on: u64,
    /// The connection it belongs to; its own id if it is to open one.
    through: u64,
    /// Takes whether a listing goes on.
    wanted: mpsc::Sender<bool>,
}

/// What calls have opened, by their ids.
pub(super) struct Opened<P: Plug>(Mutex<BTreeMap<u64, (u64, Open<P>)>>);

/// One thing that is open; each is cheap to clone, and closed with the last one.
pub(super) enum Open<P: Plug> {
    Connection(Arc<Connection<P>>),
    Source(Arc<tokio::sync::Mutex<P::Source>>),
    /// Taken out by whoever ends it.
    Sink(Arc<tokio::sync::Mutex<Option<P::Sink>>>),
}

impl<P: Plug> Clone for Open<P> {
    fn clone(&self) -> Self {
        match self {
            Self::Connection(it) => Self::Connection(it.clone()),
            Self::Source(it) => Self::Source(it.clone()),
            Self::Sink(it) => Self::Sink(it.clone()),
        }
    }
}

/// A connected driver with its watches.
pub(super) struct Connection<P> {
    pub(super) plug: P,
    /// Where each watch leaves its hints, by the id of its call.
    pub(super) watches: Mutex<BTreeMap<u64, Hints>>,
}

impl<P> Connection<P> {
    pub(super) fn watches(&self) -> MutexGuard<'_, BTreeMap<u64, Hints>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Plug> Opened<P> {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, (u64, Open<P>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what the call `id` has opened through a connection.
    pub(super) fn insert(&self, id: u64, through: u64, open: Open<P>) {
        self.all().insert(id, (through, open));
    }

    pub(super) fn get(&self, id: u64) -> Option<Open<P>> {
        self.all().get(&id).map(|(_, open)| open.clone())
    }

    pub(super) fn remove(&self, id: u64) -> Option<Open<P>> {
        self.all().remove(&id).map(|(_, open)| open)
    }
}

impl<P: Plug> Desk<P> {
    pub(super) fn new(out: mpsc::Sender<Vec<u8>>) -> Self {
        let open = Arc::new(Opened(Mutex::new(BTreeMap::new())));
        Self { open, underway: BTreeMap::new(), out: Out { frames: out, telling: Arc::default() } }
    }

    /// Begins what is asked; what needs no answer has happened when this returns.
    pub(super) async fn take(&mut self, ask: Ask) {
        self.underway.retain(|_, call| !call.task.is_finished());
        let Ask { id, on, call } = ask;
        match call {
            Call::Drop => self.end(on).await,
            Call::Wanted { more } => {
                // A page is answered once; who says more than that isn't heard.
                let call = self.underway.get(&on);
                let _ = call.map(|call| call.wanted.try_send(more));
            }
            call => {
                let through = self.connection_of(id, on);
                let (wanted, answers) = mpsc::channel(1);
                let (open, out) = (self.open.clone(), self.out.clone());
                let task = tokio::spawn(async move {
                    let work = open.call(id, on, call, &out, answers);
                    let end = AssertUnwindSafe(work).catch_unwind().await;
                    out.end(id, end.unwrap_or_else(|panic| Err(told_of(&*panic)))).await;
                });
                self.underway.insert(id, Underway { task, on, through, wanted });
            }
        }
    }

    fn connection_of(&self, id: u64, on: u64) -> u64 {
        match self.open.all().get(&on) {
            Some((through, _)) => *through,
            None => id,
        }
    }

    /// Ends the call `id` and those made on what it has opened, and closes that.
    async fn end(&mut self, id: u64) {
        let is_meant = |at: u64, call: &Underway| at == id || call.on == id || call.through == id;
        let meant: Vec<u64> = self
            .underway
            .iter()
            .filter(|(at, call)| is_meant(**at, call))
            .map(|it| *it.0)
            .collect();
        for at in meant {
            if let Some(Underway { task, .. }) = self.underway.remove(&at) {
                task.abort();
                // It was ended or had ended; either way nothing of it moves any more.
                let _ = task.await;
            }
        }
        // Dropped outside of the lock: closing may take a while.
        let closed: Vec<_> = {
            let mut open = self.open.all();
            open.extract_if(.., |at, (through, _)| *at == id || *through == id).collect()
        };
        drop(closed);
    }

    /// Ends everything.
    pub(super) async fn close(mut self) {
        for (_, call) in std::mem::take(&mut self.underway) {
            call.task.abort();
            let _ = call.task.await;
        }
        drop(std::mem::take(&mut *self.open.all()));
    }
}

fn told_of(panic: &(dyn Any + Send)) -> Fault {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::new(FaultKind::Bug, format!("the driver panicked: {}", text.unwrap_or("no words")))
}

/// To the one who asks.
#[derive(Clone)]
pub(super) struct Out {
    frames: mpsc::Sender<Vec<u8>>,
    /// Held while hints are taken and told, so that whoever finds none knows that they were told.
    telling: Arc<Mutex<()>>,
}

impl Out {
    async fn end(&self, id: u64, end: Result<Answer, Fault>) {
        let told = match end {
            Ok(answer) => Told { id, answer: Some(answer), ..Told::default() },
            Err(fault) => Told { id, fault: Some(fault), ..Told::default() },
        };
        // Nobody listens any more: stdin will end, too.
        let _ = self.frames.send(frame_of(&told)).await;
    }

    pub(super) async fn page(&self, id: u64, page: Vec<Found>) {
        let told = Told { id, page: Some(page), ..Told::default() };
        let _ = self.frames.send(frame_of(&told)).await;
    }

    /// Takes what `hints` has and tells it, or neither where this is dropped.
    pub(super) async fn hints(&self, id: u64, hints: &Hints) {
        let Ok(place) = self.frames.reserve().await else { return };
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gathered) = hints.try_take() {
            let told = Told { id, hints: Some(Hinted::from(gathered)), ..Told::default() };
            place.send(frame_of(&told));
        }
    }
}

/// A page or an answer that is too long is a mistake of the driver.
fn frame_of(told: &Told) -> Vec<u8> {
    to_frame(told).unwrap_or_else(|error| {
        let fault = Fault::new(FaultKind::Bug, error.to_string());
        let told = Told { id: told.id, fault: Some(fault), ..Told::default() };
        to_frame(&told).unwrap_or_default()
    })
}
