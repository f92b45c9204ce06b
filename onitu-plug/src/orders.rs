//! In: what the Referee wants done here, and the answer to it.
//!
//! An order is acknowledged at once and carried out by a task of its own; its end is an event like
//! any other. Asked twice, the second is dropped while the first is under way, and finds its work
//! done afterwards.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use onitu_core::bus::{BusError, Replier};
use onitu_core::message::{Action, Event, Order, Reply, Request, decode, encode};
use onitu_core::{Fault, FaultKind, Path, Shard, limits};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::carry::carry_out;
use crate::plug::Plug;
use crate::service::Shared;
use crate::session::next_epoch;
use crate::transfer::Puller;

/// Orders that move a large content at once.
const LARGE_AT_ONCE: usize = 4;
/// All other orders at once; many, so that a driver can put many in place with one flush.
const SMALL_AT_ONCE: usize = 256;

/// Carries out orders.
pub(crate) struct Orders<P> {
    shared: Arc<Shared<P>>,
    puller: Puller,
    under_way: Arc<Mutex<UnderWay>>,
    large: Arc<Semaphore>,
    small: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct UnderWay {
    /// With what wakes a transfer that may have been overtaken.
    orders: BTreeMap<u64, Arc<Notify>>,
    /// Given up before they began.
    cancelled: BTreeSet<u64>,
}

impl<P: Plug> Orders<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>, puller: Puller) -> Self {
        Self {
            shared,
            puller,
            under_way: Arc::default(),
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            small: Arc::new(Semaphore::new(SMALL_AT_ONCE)),
            tasks: JoinSet::new(),
        }
    }

    /// Answers the Referee until the bus ends.
    pub(crate) async fn serve(mut self, mut replier: Replier) -> Result<(), BusError> {
        loop {
            let (payload, answer) = replier.recv().await?;
            let reply = match decode::<Request>(&payload) {
                Ok(Request::Orders { epoch, acknowledged, replay, orders, cancel }) => {
                    if epoch == self.shared.announcer.epoch() {
                        self.shared.announcer.adopt();
                        self.take(acknowledged, orders, cancel);
                        self.replay(replay)
                    } else {
                        let epoch = self.shared.announcer.epoch();
                        Reply::Taken { epoch, batches: Vec::new() }
                    }
                }
                Ok(_) => refusal("only orders are taken here"),
                Err(error) => refusal(&error.to_string()),
            };
            answer.send(encode(&reply));
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn replay(&self, asked: Vec<(Shard, u64)>) -> Reply {
        let announcer = &self.shared.announcer;
        let mut batches = Vec::new();
        let mut events = 0;
        for (shard, after) in asked {
            if events >= limits::REPLAY_EVENTS_MAX {
                break;
            }
            let Some(batch) = announcer.replay(shard, after) else {
                tracing::warn!("the store has lost what it had: scanning everything again");
                announcer.begin_epoch(next_epoch(announcer.epoch()));
                self.shared.hints.rescan("the store has lost events");
                batches.clear();
                break;
            };
            events += batch.events.len();
            batches.push(batch);
        }
        Reply::Taken { epoch: announcer.epoch(), batches }
    }

    fn take(&mut self, acknowledged: Vec<(Shard, u64)>, orders: Vec<Order>, cancel: Vec<u64>) {
        for (shard, sequence) in acknowledged {
            if self.shared.announcer.acknowledge(shard, sequence) {
                self.shared.hints.rescan("something was told before it was no longer ignored");
            }
        }
        {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            for id in cancel {
                if let Some(overtaken) = under_way.orders.get(&id) {
                    overtaken.notify_one();
                    under_way.cancelled.insert(id);
                }
            }
        }
        for order in orders {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            if let Entry::Vacant(free) = under_way.orders.entry(order.id) {
                let overtaken = free.insert(Arc::default()).clone();
                drop(under_way);
                self.begin(order, overtaken);
            }
        }
    }

    fn begin(&mut self, order: Order, overtaken: Arc<Notify>) {
        let is_large = matches!(&order.action,
            Action::Pull { content, .. } if content.size > limits::INLINE_BYTES_MAX);
        let permits = if is_large { self.large.clone() } else { self.small.clone() };
        let (shared, puller) = (self.shared.clone(), self.puller.clone());
        let under_way = self.under_way.clone();
        let paths = paths_of(&order);
        shared.announcer.begin_order(order.id, &paths);
        self.tasks.spawn(async move {
            let busy = shared.begin();
            let _permit = permits.acquire_owned().await;
            let id = order.id;
            let given_up = {
                let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
                under_way.cancelled.remove(&id)
            };
            if given_up {
                let fault = Fault::new(FaultKind::Cancelled, "overtaken before it began");
                let path = order.path.clone();
                shared.announcer.announce(vec![Event::Failed { path, order: id, fault }]).await;
            } else {
                carry_out(&shared, &puller, order, &overtaken).await;
            }
            shared.announcer.end_order(id, &paths);
            let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.orders.remove(&id);
            under_way.cancelled.remove(&id);
            drop(busy);
        });
    }
}

/// The paths an order changes.
fn paths_of(order: &Order) -> Vec<Path> {
    let from = match &order.action {
        Action::Rename { from, .. } => Some(from.clone()),
        _ => None,
    };
    from.into_iter().chain([order.path.clone()]).collect()
}

fn refusal(why: &str) -> Reply {
    Reply::Refused(Fault::new(FaultKind::Unsupported, why))
}
