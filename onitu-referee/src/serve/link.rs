//! The two tasks that speak with one driver.

use std::time::Duration;

use onitu_core::bus::{Bus, Endpoint, Requester, Subscriber};
use onitu_core::message::{self, HEARTBEAT_TOPIC, Reply, Request};
use onitu_core::{ServiceId, Shard, limits};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Input;

/// A connection to one driver; dropping it ends it.
pub(crate) struct Link {
    requests: mpsc::Sender<Request>,
    tasks: [JoinHandle<()>; 2],
}

impl Link {
    pub(crate) fn new(bus: &dyn Bus, service: ServiceId, to: mpsc::Sender<Input>) -> Self {
        let topics: Vec<String> = Shard::all()
            .map(|shard| shard.to_string())
            .chain([HEARTBEAT_TOPIC.to_owned()])
            .collect();
        let subscriber = bus.subscriber(&Endpoint::news(service), &topics);
        let requester = bus.requester(&Endpoint::orders(service));
        let (requests, asked) = mpsc::channel(1);
        let listener = tokio::spawn(listen(service, subscriber, to.clone()));
        let tasks = [listener, tokio::spawn(ask(service, requester, asked, to))];
        Self { requests, tasks }
    }

    /// Sends `request`; [`Input::Answered`] tells how it went. One at a time.
    pub(crate) fn ask(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(service: ServiceId, mut subscriber: Subscriber, to: mpsc::Sender<Input>) {
    while let Ok((topic, payload)) = subscriber.recv().await {
        let input = if topic == HEARTBEAT_TOPIC {
            message::decode(&payload).map(|beat| Input::Heartbeat(service, beat))
        } else {
            message::decode(&payload).map(|batch| Input::Batch(service, batch))
        };
        match input {
            Ok(input) => {
                if to.send(input).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(%service, "{error}"),
        }
    }
}

async fn ask(
    service: ServiceId,
    requester: Requester,
    mut asked: mpsc::Receiver<Request>,
    to: mpsc::Sender<Input>,
) {
    let timeout = Duration::from_millis(limits::REQUEST_TIMEOUT_MS);
    while let Some(request) = asked.recv().await {
        let payload = message::encode(&request);
        let reply = loop {
            let answer = requester.request(payload.clone(), timeout).await;
            match answer.map(|bytes| message::decode::<Reply>(&bytes)) {
                Ok(Ok(reply)) => break reply,
                // Whether it was heard is unknown, so it is asked again until it is answered:
                // its orders would be under way for ever otherwise.
                Ok(Err(error)) => {
                    tracing::warn!(%service, "{error}");
                    tokio::time::sleep(timeout).await;
                }
                Err(error) => tracing::debug!(%service, "{error}"),
            }
        };
        if to.send(Input::Answered(service, reply)).await.is_err() {
            return;
        }
    }
}
