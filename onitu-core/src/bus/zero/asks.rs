//! Requests and answers, two frames each: a number and the payload. An answer repeats the number.
//!
//! The asking side is a REQ socket, made anew after every failure and every answer that didn't
//! come (the Lazy Pirate pattern): once its peer is gone, the crate's REQ fails for ever. The
//! answering side is a ROUTER, which a REQ can't tell from a REP: it keeps a queue for each asker,
//! so one that stopped reading doesn't stop the others, and it closes its connections when it is
//! dropped, which the crate's REP doesn't.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use zeromq::{ReqSocket, RouterSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

use super::address::Address;
use crate::bus::{BusError, Call, QUEUE_MESSAGES, Replier, ReplyTo, Requester, TaskGuard};

/// An asker whose queue is full has so long to make room for its answer.
const SEND_LIMIT: Duration = Duration::from_secs(1);

pub(super) async fn replier(address: &Address) -> Result<Replier, BusError> {
    let socket = address.bind::<RouterSocket>().await?;
    let (heard, asked) = mpsc::channel(1);
    let task = tokio::spawn(reply(socket, heard));
    Ok(Replier { asked, _task: TaskGuard(task) })
}

async fn reply(mut socket: RouterSocket, heard: mpsc::Sender<(Bytes, ReplyTo)>) {
    loop {
        let Ok(message) = socket.recv().await else { return };
        let Ok([peer, delimiter, number, payload]) = <[Bytes; 4]>::try_from(message.into_vec())
        else {
            tracing::debug!("a request was not understood");
            continue;
        };
        let (answer, answered) = oneshot::channel();
        if heard.send((payload, ReplyTo(answer))).await.is_err() {
            return;
        }
        let Ok(payload) = answered.await else { continue };
        let Ok(message) = ZmqMessage::try_from(vec![peer, delimiter, number, payload]) else {
            continue;
        };
        // An asker that went away is no error.
        let _ = tokio::time::timeout(SEND_LIMIT, socket.send(message)).await;
    }
}

pub(super) fn requester(address: Address) -> Requester {
    let endpoint = address.name();
    let (out, calls) = mpsc::channel(QUEUE_MESSAGES);
    let task = tokio::spawn(Asker { address, socket: None, number: 0, tried: 0 }.run(calls));
    Requester { endpoint, out, _task: TaskGuard(task) }
}

struct Asker {
    address: Address,
    /// Connected, and without a request under way.
    socket: Option<ReqSocket>,
    number: u64,
    tried: u32,
}

impl Asker {
    async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        while let Some(Call { payload, mut answer }) = calls.recv().await {
            tokio::select! {
                biased;
                () = answer.closed() => {}
                bytes = self.ask(&payload) => {
                    let _ = answer.send(bytes);
                }
            }
        }
    }

    /// Asks until there is an answer; the asker's patience ends it, and then the socket, which is
    /// not in its place, is gone too.
    async fn ask(&mut self, payload: &Bytes) -> Bytes {
        loop {
            let mut socket = match self.socket.take() {
                Some(socket) => socket,
                None => self.connect().await,
            };
            self.number += 1;
            if let Some(answer) = exchange(&mut socket, self.number, payload).await {
                self.socket = Some(socket);
                self.tried = 0;
                return answer;
            }
        }
    }

    async fn connect(&mut self) -> ReqSocket {
        loop {
            self.address.listened(&mut self.tried).await;
            let mut socket = Address::socket::<ReqSocket>();
            if socket.connect(&self.address.uri()).await.is_ok() {
                return socket;
            }
        }
    }
}

/// One request over one socket. [`None`] when the socket can't be used any more.
async fn exchange(socket: &mut ReqSocket, number: u64, payload: &Bytes) -> Option<Bytes> {
    let number = Bytes::copy_from_slice(&number.to_be_bytes());
    let mut message = ZmqMessage::from(number.clone());
    message.push_back(payload.clone());
    socket.send(message).await.ok()?;
    let [answered, answer] = socket.recv().await.ok()?.into_vec().try_into().ok()?;
    (answered == number).then_some(answer)
}
