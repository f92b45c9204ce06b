//! Publishers and subscribers: PUB and SUB, two frames a message, topic and payload.
//!
//! A publisher that has nothing to say says so under [`QUIET`] every tick. A subscriber that hears
//! nothing at all for some ticks, or sees the connection end, makes its socket anew; the crate
//! would reconnect by itself, but ever more slowly, and not to a publisher that merely hangs.

use bytes::Bytes;
use tokio::sync::mpsc;
use zeromq::{PubSocket, Socket, SocketEvent, SocketRecv, SocketSend, SubSocket, ZmqMessage};

use super::Pace;
use super::address::Address;
use crate::bus::{BusError, Publisher, QUEUE_MESSAGES, Subscriber, TaskGuard};

/// The topic of a publisher without news.
const QUIET: &str = "\0";

pub(super) async fn publisher(address: &Address, pace: Pace) -> Result<Publisher, BusError> {
    let socket = address.bind::<PubSocket>().await?;
    let (out, said) = mpsc::channel(QUEUE_MESSAGES);
    let task = tokio::spawn(publish(socket, said, pace));
    Ok(Publisher { out, _task: TaskGuard(task) })
}

async fn publish(mut socket: PubSocket, mut said: mpsc::Receiver<(String, Bytes)>, pace: Pace) {
    let mut ticks = pace.interval();
    let mut quiet = true;
    loop {
        let (topic, payload) = tokio::select! {
            biased;
            news = said.recv() => match news {
                Some(news) => {
                    quiet = false;
                    news
                }
                None => return,
            },
            _ = ticks.tick() => {
                if !std::mem::replace(&mut quiet, true) {
                    continue;
                }
                (QUIET.to_owned(), Bytes::new())
            }
        };
        let mut message = ZmqMessage::from(topic);
        message.push_back(payload);
        if let Err(error) = socket.send(message).await {
            tracing::debug!(%error, "news was not published");
        }
    }
}

pub(super) fn subscriber(address: Address, pace: Pace, topics: &[String]) -> Subscriber {
    let (heard, news) = mpsc::channel(QUEUE_MESSAGES);
    let mut topics = topics.to_vec();
    topics.push(QUIET.to_owned());
    let task = tokio::spawn(async move {
        let mut tried = 0;
        while !heard.is_closed() {
            address.listened(&mut tried).await;
            if hear(&address, pace, &topics, &heard).await.is_some() {
                tried = 0;
            }
        }
    });
    Subscriber { news, _task: TaskGuard(task) }
}

/// Hears one connection to its end. [`None`] when it didn't come about.
async fn hear(
    address: &Address,
    pace: Pace,
    topics: &[String],
    heard: &mpsc::Sender<(String, Bytes)>,
) -> Option<()> {
    let mut socket = Address::socket::<SubSocket>();
    let mut events = socket.monitor();
    for topic in topics {
        socket.subscribe(topic).await.ok()?;
    }
    socket.connect(&address.uri()).await.ok()?;
    let mut ticks = pace.interval();
    let mut silent_ticks = 0;
    loop {
        tokio::select! {
            biased;
            message = socket.recv() => {
                silent_ticks = 0;
                let Ok(message) = message else { return Some(()) };
                if let Some(news) = read(message) && heard.send(news).await.is_err() {
                    return Some(());
                }
            }
            event = events.recv() => match event {
                Ok(SocketEvent::Disconnected(_)) | Err(_) => return Some(()),
                Ok(_) => {}
            },
            _ = ticks.tick() => {
                silent_ticks += 1;
                if silent_ticks > pace.silence_ticks {
                    return Some(());
                }
            }
        }
    }
}

/// [`None`] for what isn't news.
fn read(message: ZmqMessage) -> Option<(String, Bytes)> {
    let [topic, payload] = message.into_vec().try_into().ok()?;
    let topic = std::str::from_utf8(&topic).ok()?;
    (topic != QUIET).then(|| (topic.to_owned(), payload))
}
