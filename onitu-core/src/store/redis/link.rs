//! The connection to the server: one, shared by all tasks, made anew when it breaks.
//!
//! A command is never sent twice, and none waits for a server that is away: it fails at once and
//! the caller decides. Measured (research §1): the crate's own `ConnectionManager` recovers, but
//! keeps every command for 9.5 s; and it can't promise what the fence below does.
//!
//! **The fence.** When an answer doesn't come in time, the command may still lie unread in the
//! server's socket. A new connection could then read the old state, write, and be overtaken by
//! the old command afterwards. So before a new connection is used it has the server kill the old
//! one: what was not carried out by then never will be.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, InfoDict, Pipeline, ServerError, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{LAYOUT_VERSION, keys, value};
use crate::store::StoreError;

/// A server that says nothing for so long is given up.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The same while connecting.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// After a failed attempt, commands fail for so long without another one.
const PAUSE: Duration = Duration::from_millis(50);

/// The connection.
pub struct Link {
    client: redis::Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// Whose commands may still lie unread in the server's socket.
    lost: Option<Peer>,
    failed: Option<(Instant, StoreError)>,
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    peer: Peer,
}

/// A connection as the server knows it.
#[derive(Clone, PartialEq, Eq)]
struct Peer {
    /// Numbers begin anew with each process.
    run: String,
    number: u64,
}

impl Link {
    /// Connects to `url`: `redis+unix:///path`, `redis://host`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let client = redis::Client::open(url).map_err(|error| unavailable(&error))?;
        let link = Self { client, state: Mutex::default() };
        link.live().await?;
        Ok(link)
    }

    /// Sends all commands of `pipe` in one go and answers their values in order. None of them is
    /// an error of the server's: that would be answered instead. Other clients' commands may come
    /// in between, save between `MULTI` and `EXEC`.
    pub async fn run(&self, pipe: &Pipeline) -> Result<Vec<Value>, StoreError> {
        if pipe.is_empty() {
            return Ok(Vec::new());
        }
        let mut live = self.live().await?;
        match live.connection.send_packed_commands(pipe, 0, pipe.len()).await {
            Ok(values) if values.len() == pipe.len() => refuse_errors(values, pipe),
            Ok(values) => {
                self.give_up(live.peer).await;
                let (answers, commands) = (values.len(), pipe.len());
                Err(StoreError::Unavailable(format!("{answers} answers to {commands} commands")))
            }
            Err(error) => {
                self.give_up(live.peer).await;
                Err(unavailable(&error))
            }
        }
    }

    async fn live(&self) -> Result<Live, StoreError> {
        let mut state = self.state.lock().await;
        if let Some(live) = &state.live {
            return Ok(live.clone());
        }
        if let Some((at, error)) = &state.failed
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        match self.connect(state.lost.as_ref()).await {
            Ok(live) => {
                *state = State { live: Some(live.clone()), ..State::default() };
                Ok(live)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn give_up(&self, peer: Peer) {
        let mut state = self.state.lock().await;
        if state.live.as_ref().is_some_and(|live| live.peer == peer) {
            state.live = None;
            state.lost = Some(peer);
        }
    }

    async fn connect(&self, lost: Option<&Peer>) -> Result<Live, StoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connection.map_err(|error| unavailable(&error))?;
        let peer = greet(&mut connection).await?;
        if let Some(lost) = lost
            && lost.run == peer.run
        {
            fence(&mut connection, lost).await?;
        }
        Ok(Live { connection, peer })
    }
}

/// Learns whom we talk to, checks that we understand what it holds, and sets it up for us. Done
/// for every connection: a server that was restarted has forgotten its settings.
async fn greet(connection: &mut MultiplexedConnection) -> Result<Peer, StoreError> {
    let mut pipe = Pipeline::new();
    pipe.cmd("CLIENT").arg("ID");
    pipe.cmd("INFO").arg("server");
    pipe.cmd("HGET").arg(keys::META).arg(keys::LAYOUT);
    let values = connection.send_packed_commands(&pipe, 0, pipe.len()).await;
    let values = refuse_errors(values.map_err(|error| unavailable(&error))?, &pipe)?;
    let [number, info, layout] = value::exactly(values)?;
    let layout: Option<u32> = value::read(layout, keys::META)?;
    if let Some(found) = layout.filter(|found| *found > LAYOUT_VERSION) {
        return Err(StoreError::Newer { found, known: LAYOUT_VERSION });
    }
    let info: InfoDict = value::read(info, "INFO server")?;
    let run = info.get("run_id").unwrap_or_default();
    set_bounds(connection).await?;
    Ok(Peer { run, number: value::read(number, "CLIENT ID")? })
}

/// Buckets stay listpacks only below these bounds. A server of someone else's may refuse; it then
/// needs more memory and nothing else.
async fn set_bounds(connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
    let mut pipe = Pipeline::new();
    pipe.cmd("CONFIG").arg("SET").arg("hash-max-listpack-entries").arg(512);
    pipe.cmd("CONFIG").arg("SET").arg("hash-max-listpack-value").arg(512);
    let values = connection.send_packed_commands(&pipe, 0, pipe.len()).await;
    let values = values.map_err(|error| unavailable(&error))?;
    if let Err(error) = refuse_errors(values, &pipe) {
        tracing::warn!(%error, "the store's server can't be told how to save memory");
    }
    Ok(())
}

async fn fence(connection: &mut MultiplexedConnection, lost: &Peer) -> Result<(), StoreError> {
    let mut pipe = Pipeline::new();
    pipe.cmd("CLIENT").arg("KILL").arg("ID").arg(lost.number);
    let values = connection.send_packed_commands(&pipe, 0, pipe.len()).await;
    let values = values.map_err(|error| unavailable(&error))?;
    if let Err(error) = refuse_errors(values, &pipe) {
        tracing::warn!(%error, "the store's server may not end a lost connection of ours");
    }
    Ok(())
}

fn unavailable(error: &redis::RedisError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Looks for errors among the answers and inside those of transactions.
fn refuse_errors(values: Vec<Value>, pipe: &Pipeline) -> Result<Vec<Value>, StoreError> {
    for (at, value) in values.iter().enumerate() {
        match value {
            Value::ServerError(error) => return Err(told(error, &key_of(pipe, at))),
            Value::Array(inner) => {
                if let Some(Value::ServerError(error)) =
                    inner.iter().find(|value| matches!(value, Value::ServerError(_)))
                {
                    return Err(told(error, "a transaction"));
                }
            }
            _ => {}
        }
    }
    Ok(values)
}

fn told(error: &ServerError, key: &str) -> StoreError {
    let reason = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    match error.code() {
        "WRONGTYPE" => StoreError::Damaged { key: key.to_owned(), reason },
        "MISCONF" => StoreError::Full(error.details().unwrap_or_default().to_owned()),
        _ => StoreError::Unavailable(reason),
    }
}

fn key_of(pipe: &Pipeline, at: usize) -> String {
    let key = pipe.cmd_iter().nth(at).and_then(|command| command.args_iter().nth(1));
    match key {
        Some(redis::Arg::Simple(key)) => String::from_utf8_lossy(key).into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::server::Server;

    #[tokio::test]
    async fn a_connection_that_was_given_up_is_ended_before_another_is_used() {
        let server = Server::start();
        drop(server.store().await);
        let link = Link::open(&server.url()).await.unwrap();
        let mut old = link.live().await.unwrap();
        link.give_up(old.peer.clone()).await;
        let mut get = Pipeline::new();
        get.cmd("GET").arg("key");
        assert_eq!(link.run(&get).await.unwrap(), [Value::Nil]);
        // Somebody still holds the old connection, as a task does that waits for an answer.
        let mut late = Pipeline::new();
        late.cmd("SET").arg("key").arg("late");
        assert!(old.connection.send_packed_commands(&late, 0, 1).await.is_err());
        assert_eq!(link.run(&get).await.unwrap(), [Value::Nil]);
    }
}
