//! One SFTP conversation: requests go out numbered, answers come back by number, many under way.
//!
//! Each lane is a channel of the SSH connection and, on the server, a process that works through
//! its requests one after the other in the order in which they were sent. So what is sent as one
//! batch happens in a row, with no round trip in between. Other lanes go on meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::fault::Failure;
use crate::lost::Lost;
use crate::wire::reply::{self, Extensions, Reply};
use crate::wire::request::{self, RawHandle, Request};
use crate::wire::{VERSION, code};

/// Requests under way at once in one lane.
const REQUESTS_MAX: usize = 128;
/// A server that is asked and says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// Longest packet of a server. OpenSSH's are 256 KiB at most.
const PACKET_BYTES_MAX: usize = 1024 * 1024;
/// Small packets are gathered to about so much.
const GATHER_BYTES: usize = 32 * 1024;
/// A file's bytes up to here travel with the packets around them.
const SMALL_BYTES: usize = 8 * 1024;
/// What may be read or written at once if the server doesn't say.
const DATA_BYTES: u32 = 32 * 1024;
/// What is read or written at once at most.
const DATA_BYTES_MAX: u64 = 255 * 1024;

/// One SFTP conversation.
pub(crate) struct Lane {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    extensions: Extensions,
    /// Most bytes that one request may read, and write.
    pub(crate) read_max: u32,
    pub(crate) write_max: u32,
}

struct Shared {
    queue: mpsc::UnboundedSender<Queued>,
    pending: Mutex<BTreeMap<u32, Pending>>,
    next: AtomicU32,
    heard: Mutex<Instant>,
    lost: Arc<Lost>,
}

/// Packets on their way out: some whole ones, and bytes of a file that end the last.
struct Queued {
    head: Bytes,
    tail: Bytes,
}

/// Who waits for an answer. The bound on requests counts it until it is there.
struct Pending {
    answer: oneshot::Sender<Reply>,
    opens: bool,
    _permit: Option<OwnedSemaphorePermit>,
    /// The bytes of a file that it has on their way.
    _room: Option<OwnedSemaphorePermit>,
}

/// An answer that is yet to come.
pub(crate) struct Answer {
    reply: oneshot::Receiver<Reply>,
    shared: Arc<Shared>,
}

/// Something that is open on the server; closed when dropped.
pub(crate) struct Handle {
    raw: RawHandle,
    lane: Arc<Lane>,
}

impl Lane {
    /// Speaks SFTP on the channel, on which the subsystem was asked for.
    pub(crate) async fn begin(channel: Channel<Msg>, lost: Arc<Lost>) -> Result<Self, Failure> {
        let (mut read, write) = channel.split();
        let odd = |_| Failure::Lost("the server closed the channel for SFTP".to_owned());
        write.data_bytes(request::init()).await.map_err(odd)?;
        let mut buffer = BytesMut::new();
        let first = loop {
            if let Some(packet) = packet(&mut buffer).map_err(|()| Failure::Odd)? {
                break packet;
            }
            match timeout(SILENCE_MAX, read.wait()).await {
                Ok(Some(ChannelMsg::Data { data })) => buffer.extend_from_slice(&data),
                Ok(Some(ChannelMsg::Failure) | None) | Err(_) => {
                    let text = "the server doesn't offer SFTP (its `Subsystem sftp`)";
                    return Err(Failure::Lost(text.to_owned()));
                }
                Ok(Some(_)) => {}
            }
        };
        let (version, extensions) = reply::decode_version(first).ok_or(Failure::Odd)?;
        if version < VERSION {
            let text = format!("the server speaks version {version} of SFTP only, not {VERSION}");
            return Err(Failure::Lost(text));
        }
        let (queue, queued) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            queue,
            pending: Mutex::default(),
            next: AtomicU32::new(1),
            heard: Mutex::new(Instant::now()),
            lost,
        });
        tokio::spawn(speak(queued, write, Arc::clone(&shared.lost)));
        tokio::spawn(listen(read, buffer, Arc::clone(&shared)));
        let permits = Arc::new(Semaphore::new(REQUESTS_MAX));
        let (read_max, write_max) = (DATA_BYTES, DATA_BYTES);
        let mut lane = Self { shared, permits, extensions, read_max, write_max };
        if extensions.limits
            && let Ok(Reply::Extended(bytes)) = lane.ask(Request::limits()).await
            && let Some((read, write)) = reply::decode_limits(bytes)
        {
            let bounded = |told: u64| match told {
                0 => DATA_BYTES,
                told => told.min(DATA_BYTES_MAX) as u32,
            };
            (lane.read_max, lane.write_max) = (bounded(read), bounded(write));
        }
        Ok(lane)
    }

    /// What the server can do beyond the protocol.
    pub(crate) fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// How many requests it has room for.
    pub(crate) fn room(&self) -> usize {
        self.permits.available_permits()
    }

    /// Asks one thing, and waits for the answer.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        let [answer] = self.send([request]).await?;
        answer.wait().await
    }

    /// Asks for one thing that is done or not.
    pub(crate) async fn tell(&self, request: Request) -> Result<(), Failure> {
        done(self.ask(request).await?)
    }

    /// Sends requests in a row; nothing else of this lane comes in between. All of them are under
    /// way when this returns, and stay so if their answers are dropped.
    pub(crate) async fn send<const N: usize>(
        &self,
        requests: [Request; N],
    ) -> Result<[Answer; N], Failure> {
        const { assert!(N <= REQUESTS_MAX / 4, "a batch is a few requests") };
        let permits = Arc::clone(&self.permits).acquire_many_owned(N as u32).await;
        let mut permits = permits.map_err(|_| self.shared.lost.failure())?;
        let mut answers = Vec::with_capacity(N);
        {
            let mut pending = self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if self.shared.lost.is_lost() {
                return Err(self.shared.lost.failure());
            }
            let mut head = BytesMut::new();
            for request in requests {
                let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
                let opens = request.opens();
                let tail = request.encode(id, &mut head);
                if tail.len() <= SMALL_BYTES {
                    head.extend_from_slice(&tail);
                } else {
                    self.shared.queue(head.split().freeze(), tail);
                }
                let (answer, reply) = oneshot::channel();
                pending
                    .insert(id, Pending { answer, opens, _permit: permits.split(1), _room: None });
                answers.push(Answer { reply, shared: Arc::clone(&self.shared) });
            }
            // Under the lock, so that no other batch comes in between.
            self.shared.queue(head.freeze(), Bytes::new());
        }
        answers.try_into().map_err(|_| Failure::Odd)
    }

    /// Sends one request that holds `room` until it is answered.
    pub(crate) async fn send_with(
        &self,
        request: Request,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Answer, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| self.shared.lost.failure())?;
        let mut pending = self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.lost.is_lost() {
            return Err(self.shared.lost.failure());
        }
        let mut head = BytesMut::new();
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let opens = request.opens();
        let tail = request.encode(id, &mut head);
        let (answer, reply) = oneshot::channel();
        pending.insert(id, Pending { answer, opens, _permit: Some(permit), _room: room });
        self.shared.queue(head.freeze(), tail);
        Ok(Answer { reply, shared: Arc::clone(&self.shared) })
    }

    /// Opens a file.
    pub(crate) async fn open(self: &Arc<Self>, request: Request) -> Result<Handle, Failure> {
        match self.ask(request).await? {
            Reply::Handle(raw) => Ok(Handle { raw, lane: Arc::clone(self) }),
            other => Err(refused(other)),
        }
    }
}

impl Answer {
    /// Waits for it. A server that is silent for too long is taken for gone.
    pub(crate) async fn wait(mut self) -> Result<Reply, Failure> {
        let asked = Instant::now();
        loop {
            match timeout(SILENCE_MAX, &mut self.reply).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(_)) => return Err(self.shared.lost.failure()),
                Err(_) => {
                    let heard = *self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
                    if heard.max(asked).elapsed() >= SILENCE_MAX {
                        let text = "the server has not answered for a minute";
                        self.shared.lost.tell(text);
                        return Err(self.shared.lost.failure());
                    }
                }
            }
        }
    }

    /// Waits for word that it is done.
    pub(crate) async fn done(self) -> Result<(), Failure> {
        done(self.wait().await?)
    }

    /// Waits for attributes; [`None`] if nothing is there.
    pub(crate) async fn attrs(self) -> Result<Option<crate::wire::Attrs>, Failure> {
        match self.wait().await? {
            Reply::Attrs(attrs) => Ok(Some(attrs)),
            other => match refused(other) {
                failure if failure.is_missing() => Ok(None),
                failure => Err(failure),
            },
        }
    }

    /// Waits for one path.
    pub(crate) async fn path(self) -> Result<Bytes, Failure> {
        match self.wait().await? {
            Reply::Names(names) if names.len() == 1 => {
                names.into_iter().next().map(|entry| entry.name).ok_or(Failure::Odd)
            }
            other => Err(refused(other)),
        }
    }

    /// Waits for bytes of a file; [`None`] at its end.
    pub(crate) async fn data(self) -> Result<Option<Bytes>, Failure> {
        match self.wait().await? {
            Reply::Data(bytes) => Ok(Some(bytes)),
            Reply::Status(code::EOF, _) => Ok(None),
            other => Err(refused(other)),
        }
    }
}

impl Handle {
    /// As the server calls it.
    pub(crate) fn raw(&self) -> &RawHandle {
        &self.raw
    }

    /// The only lane in which it is known.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.lane.shared.send_unasked(Request::close(&self.raw));
    }
}

impl Lane {
    /// Sends a request whose answer nobody waits for, behind all that was sent before.
    pub(crate) fn send_unasked(&self, request: Request) {
        self.shared.send_unasked(request);
    }
}

impl Shared {
    fn queue(&self, head: Bytes, tail: Bytes) {
        // If nobody takes it any more, nobody answers either, which is told to whoever waits.
        let _ = self.queue.send(Queued { head, tail });
    }

    fn send_unasked(&self, request: Request) {
        let mut head = BytesMut::new();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let tail = request.encode(id, &mut head);
        self.queue(head.freeze(), tail);
    }

    fn answer(&self, id: u32, reply: Reply) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let Some(Pending { answer, opens, .. }) = pending else { return };
        // Whoever asked has gone: what was opened for them would stay open.
        if let Err(Reply::Handle(raw)) = answer.send(reply)
            && opens
        {
            self.send_unasked(Request::close(&raw));
        }
    }
}

/// A status is good or a refusal; anything else is no answer to what was asked.
fn done(reply: Reply) -> Result<(), Failure> {
    if reply.is_ok() { Ok(()) } else { Err(refused(reply)) }
}

/// What was answered instead of what was asked for.
pub(crate) fn refused(reply: Reply) -> Failure {
    match reply {
        Reply::Status(code, words) if code != code::OK => Failure::Refused(code, words),
        _ => Failure::Odd,
    }
}

/// Sends what is queued, small packets together.
async fn speak(
    mut queue: mpsc::UnboundedReceiver<Queued>,
    channel: ChannelWriteHalf<Msg>,
    lost: Arc<Lost>,
) {
    let mut head = BytesMut::new();
    while let Some(queued) = queue.recv().await {
        let mut next = Some(queued);
        let mut sent = Ok(());
        while let Some(Queued { head: more, tail }) = next {
            head.extend_from_slice(&more);
            next = None;
            if !tail.is_empty() {
                sent = channel.data_bytes(head.split().freeze()).await;
                if sent.is_ok() {
                    sent = channel.data_bytes(tail).await;
                }
            } else if head.len() < GATHER_BYTES {
                next = queue.try_recv().ok();
            }
        }
        if sent.is_ok() && !head.is_empty() {
            sent = channel.data_bytes(head.split().freeze()).await;
        }
        if let Err(error) = sent {
            return lost.tell(format!("the connection to the server was lost: {error}"));
        }
    }
}

/// Takes answers to whoever waits for them, until the channel ends; then nobody gets one any more.
async fn listen(mut channel: ChannelReadHalf, mut buffer: BytesMut, shared: Arc<Shared>) {
    let why = loop {
        match packet(&mut buffer) {
            Ok(Some(packet)) => match reply::decode(packet) {
                Some((id, reply)) => shared.answer(id, reply),
                None => break "the server sent what isn't SFTP",
            },
            Ok(None) => match channel.wait().await {
                Some(ChannelMsg::Data { data }) => buffer.extend_from_slice(&data),
                None | Some(ChannelMsg::Eof | ChannelMsg::Close) => {
                    break "the connection to the server was lost";
                }
                Some(_) => {}
            },
            Err(()) => break "the server sent a packet that is too long",
        }
    };
    shared.lost.tell(why);
    shared.pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Takes the next whole packet, without its length; an error if it is too long to be one.
fn packet(buffer: &mut BytesMut) -> Result<Option<Bytes>, ()> {
    let Some(length) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > PACKET_BYTES_MAX {
        return Err(());
    }
    if buffer.len() < 4 + length {
        buffer.reserve(4 + length - buffer.len());
        return Ok(None);
    }
    let mut packet = buffer.split_to(4 + length).freeze();
    Ok(Some(packet.split_off(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_taken_when_it_is_whole() {
        let mut buffer = BytesMut::from(&b"\0\0\0\x02a"[..]);
        assert_eq!(packet(&mut buffer), Ok(None));
        buffer.extend_from_slice(b"b\0\0");
        assert_eq!(packet(&mut buffer), Ok(Some(Bytes::from_static(b"ab"))));
        assert_eq!(packet(&mut buffer), Ok(None));
        assert_eq!(&buffer[..], b"\0\0");
    }

    #[test]
    fn no_server_makes_the_driver_wait_for_gigabytes() {
        assert_eq!(packet(&mut BytesMut::from(&b"\x7f\0\0\0"[..])), Err(()));
    }
}
