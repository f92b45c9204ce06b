//! Sending small contents: those that are ready at one moment go up together.
//!
//! Each gets an upload session of its own, invisible until it is committed. Sessions are asked for
//! in advance, many in one call, and filled in one call as well; nothing waits for company, and a
//! content that is alone goes alone. A session that was never used holds nothing and is forgotten
//! by Dropbox.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_plug::{Bytes, Fault, FaultKind};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::client::Client;
use crate::commit::result;
use crate::fault::Refusal;
use crate::hash;

/// Most contents of one call: its arguments travel in a header, which can't be of any length.
const TOGETHER_MAX: usize = 64;
/// Most bytes of one call, if there is more than one content.
const TOGETHER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most that wait.
const QUEUE_MAX: usize = 256;
/// Sessions asked for at once; Dropbox allows 1,000.
const SESSIONS: usize = 256;
/// Dropbox keeps a session for seven days.
const SESSION_LIFE: Duration = Duration::from_hours(24);

/// One content on its way; it is told its session.
struct Small {
    bytes: Bytes,
    hash: String,
    done: oneshot::Sender<Result<String, Refusal>>,
}

/// Sends small contents.
pub(crate) struct Gatherer(mpsc::Sender<Small>);

/// Sessions that hold nothing yet, and since when.
#[derive(Default)]
struct Pool(Mutex<(Vec<String>, Option<Instant>)>);

impl Gatherer {
    /// Works until it is dropped.
    pub(crate) fn start(client: Arc<Client>) -> Self {
        let (contents, queue) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(run(client, queue));
        Self(contents)
    }

    /// Sends a whole content; the closed session that holds it.
    pub(crate) async fn send(&self, bytes: Bytes, hash: String) -> Result<String, Refusal> {
        let (done, told) = oneshot::channel();
        let ended =
            || Refusal::Fault(Fault::new(FaultKind::Cancelled, "the driver is being disconnected"));
        self.0.send(Small { bytes, hash, done }).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }
}

async fn run(client: Arc<Client>, mut queue: mpsc::Receiver<Small>) {
    let pool = Pool::default();
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(small) => small,
            None => match queue.recv().await {
                Some(small) => small,
                None => return,
            },
        };
        let mut bytes = first.bytes.len();
        let mut batch = vec![first];
        while batch.len() < TOGETHER_MAX
            && let Ok(small) = queue.try_recv()
        {
            bytes += small.bytes.len();
            if bytes > TOGETHER_BYTES_MAX {
                next = Some(small);
                break;
            }
            batch.push(small);
        }
        let told = match &batch[..] {
            [only] => alone(&client, only).await.map(|session| vec![Ok(session)]),
            all => {
                // What was sent and not answered is in sessions that nobody will commit.
                client.together(true, async || together(&client, &pool, all).await).await
            }
        };
        let refused = told.as_ref().err().cloned();
        let mut told = told.unwrap_or_default().into_iter();
        for small in batch {
            let unsaid = || refused.clone().unwrap_or_else(|| Refusal::Lost(String::new()));
            // Who no longer waits has given up.
            let _ = small.done.send(told.next().unwrap_or_else(|| Err(unsaid())));
        }
    }
}

async fn alone(client: &Client, small: &Small) -> Result<String, Refusal> {
    let arg = json!({ "close": true, "content_hash": small.hash });
    let route = "files/upload_session/start";
    let told = client.upload_again(route, &arg, small.bytes.clone()).await?;
    Ok(told["session_id"].as_str().unwrap_or_default().to_owned())
}

/// Sends all of them in one call; the session of each.
async fn together(
    client: &Client,
    pool: &Pool,
    all: &[Small],
) -> Result<Vec<Result<String, Refusal>>, Refusal> {
    let sessions = pool.take(client, all.len()).await?;
    let entries: Vec<Value> = all
        .iter()
        .zip(&sessions)
        .map(|(small, session)| {
            let cursor = json!({ "session_id": session, "offset": 0 });
            json!({ "cursor": cursor, "length": small.bytes.len(), "close": true })
        })
        .collect();
    let bytes: Vec<u8> = all.iter().flat_map(|small| &small.bytes[..]).copied().collect();
    let arg = json!({ "entries": entries, "content_hash": hash::of(&bytes) });
    let route = "files/upload_session/append_batch";
    let told = client.sent_with(route, &arg, bytes.into()).await?;
    let told = sessions.into_iter().enumerate().map(|(at, session)| {
        match result(&told["entries"][at]) {
            Ok(_) => Ok(session),
            Err(refusal) => {
                // One that was forgotten is seldom alone.
                pool.clear();
                Err(Refusal::Lost(format!("an upload session was refused: {refusal:?}")))
            }
        }
    });
    Ok(told.collect())
}

impl Pool {
    fn held(&self) -> std::sync::MutexGuard<'_, (Vec<String>, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        self.held().0.clear();
    }

    /// So many sessions that nobody else has.
    async fn take(&self, client: &Client, count: usize) -> Result<Vec<String>, Refusal> {
        {
            let mut held = self.held();
            if held.1.is_none_or(|since| since.elapsed() > SESSION_LIFE) {
                held.0.clear();
            }
            if held.0.len() >= count {
                let at = held.0.len() - count;
                return Ok(held.0.split_off(at));
            }
        }
        let arg = json!({ "num_sessions": SESSIONS });
        let told = client.sent("files/upload_session/start_batch", &arg).await?;
        let ids = told["session_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut ids: Vec<String> =
            ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
        if ids.len() < count {
            return Err(Refusal::Lost("it began fewer upload sessions than asked for".to_owned()));
        }
        let taken = ids.split_off(ids.len() - count);
        *self.held() = (ids, Some(Instant::now()));
        Ok(taken)
    }
}
