//! Requests and answers in memory.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Door, Presence, Shared};
use crate::bus::{Call, Endpoint, QUEUE_MESSAGES, Replier, ReplyTo, Requester, TaskGuard};

/// A request that arrived, and the way back.
pub(super) struct Asked {
    payload: Bytes,
    answer: oneshot::Sender<Bytes>,
}

pub(super) fn replier(shared: &Arc<Shared>, at: &Endpoint) -> Replier {
    let (heard, asked) = mpsc::channel(1);
    let (door, mut arriving) = mpsc::channel::<Asked>(QUEUE_MESSAGES);
    let presence = Presence::new(shared, at, Door::Asks(door));
    let task = tokio::spawn(async move {
        let _presence = presence;
        while let Some(Asked { payload, answer }) = arriving.recv().await {
            let (reply, replied) = oneshot::channel();
            if heard.send((payload, ReplyTo(reply))).await.is_err() {
                return;
            }
            if let Ok(bytes) = replied.await {
                let _ = answer.send(bytes);
            }
        }
    });
    Replier { asked, _task: TaskGuard(task) }
}

pub(super) fn requester(shared: &Arc<Shared>, at: &Endpoint) -> Requester {
    let (out, mut calls) = mpsc::channel::<Call>(QUEUE_MESSAGES);
    let (shared, endpoint) = (shared.clone(), at.0.clone());
    let task = tokio::spawn(async move {
        while let Some(Call { payload, mut answer }) = calls.recv().await {
            tokio::select! {
                biased;
                () = answer.closed() => {}
                bytes = ask(&shared, &endpoint, &payload) => {
                    let _ = answer.send(bytes);
                }
            }
        }
    });
    Requester { endpoint: at.0.clone(), out, _task: TaskGuard(task) }
}

/// Asks until there is an answer; the asker's patience ends it.
async fn ask(shared: &Shared, endpoint: &str, payload: &Bytes) -> Bytes {
    loop {
        let (id, door) = shared.door(endpoint, Door::asks).await;
        if shared.chance(|weather| weather.lose_request) {
            return std::future::pending().await;
        }
        arrive(shared).await;
        let (answer, answered) = oneshot::channel();
        if door.send(Asked { payload: payload.clone(), answer }).await.is_ok()
            && let Ok(bytes) = answered.await
        {
            if shared.chance(|weather| weather.lose_answer) {
                return std::future::pending().await;
            }
            arrive(shared).await;
            return bytes;
        }
        // Nobody will answer this one. If the replier lives it chose not to: the asker waits in
        // vain. If it crashed, its successor is asked.
        shared.gone(endpoint, id).await;
    }
}

async fn arrive(shared: &Shared) {
    let arrival = shared.arrival();
    if arrival > tokio::time::Instant::now() {
        tokio::time::sleep_until(arrival).await;
    }
}
