//! Publishers and subscribers in memory.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::underway::Underway;
use super::{Door, Presence, Shared};
use crate::bus::{Endpoint, Publisher, QUEUE_MESSAGES, Subscriber, TaskGuard};

/// As many as ZeroMQ keeps for a slow subscriber before it drops.
const BACKLOG_MESSAGES: usize = 100_000;

/// What a publisher knows of one subscriber.
pub(super) struct Hearing {
    topics: Vec<String>,
    inbox: mpsc::Sender<News>,
}

struct News {
    arrival: Instant,
    in_order: bool,
    message: (String, Bytes),
}

pub(super) fn publisher(shared: &Arc<Shared>, at: &Endpoint) -> Publisher {
    let (out, mut said) = mpsc::channel(QUEUE_MESSAGES);
    let presence = Presence::new(shared, at, Door::News);
    let task = tokio::spawn(async move {
        while let Some(message) = said.recv().await {
            publish(&presence, &message);
        }
    });
    Publisher { out, _task: TaskGuard(task) }
}

fn publish(presence: &Presence, message: &(String, Bytes)) {
    let mut state = presence.shared.state();
    if state.listeners.get(&presence.endpoint).is_none_or(|(id, _)| *id != presence.id) {
        return;
    }
    let everybody = (presence.endpoint.clone(), 0)..=(presence.endpoint.clone(), u64::MAX);
    let inboxes: Vec<_> = state
        .subscribers
        .range(everybody)
        .filter(|(_, hearing)| hearing.topics.iter().any(|topic| message.0.starts_with(topic)))
        .map(|(_, hearing)| hearing.inbox.clone())
        .collect();
    for inbox in inboxes {
        if state.chance(|weather| weather.lose_news) {
            continue;
        }
        let copies = 1 + usize::from(state.chance(|weather| weather.double_news));
        for _ in 0..copies {
            let news = News {
                arrival: state.arrival(),
                in_order: !state.weather.reorder_news,
                message: message.clone(),
            };
            // A subscriber that is too slow misses it, as on the real bus.
            let _ = inbox.try_send(news);
        }
    }
}

/// A subscriber's entry, as long as its task lives.
struct Subscribed {
    shared: Arc<Shared>,
    key: (String, u64),
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.shared.state().subscribers.remove(&self.key);
    }
}

pub(super) fn subscriber(shared: &Arc<Shared>, at: &Endpoint, topics: &[String]) -> Subscriber {
    let (heard, news) = mpsc::channel(QUEUE_MESSAGES);
    let (inbox, arriving) = mpsc::channel(BACKLOG_MESSAGES);
    let mut state = shared.state();
    let key = (at.0.clone(), state.id());
    state.subscribers.insert(key.clone(), Hearing { topics: topics.to_vec(), inbox });
    drop(state);
    let subscribed = Subscribed { shared: shared.clone(), key };
    let task = tokio::spawn(async move {
        let _subscribed = subscribed;
        hear(arriving, heard).await;
    });
    Subscriber { news, _task: TaskGuard(task) }
}

async fn hear(mut arriving: mpsc::Receiver<News>, heard: mpsc::Sender<(String, Bytes)>) {
    let mut underway = Underway::new();
    loop {
        tokio::select! {
            biased;
            message = underway.next() => {
                if heard.send(message).await.is_err() {
                    return;
                }
            }
            news = arriving.recv(), if underway.len() < BACKLOG_MESSAGES => match news {
                Some(News { arrival, in_order, message }) => {
                    underway.push(arrival, in_order, message);
                }
                None => return,
            },
        }
    }
}
