//! Each call, carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use onitu_core::{Fault, FaultKind, Path};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::desk::{Connection, Open, Opened, Out};
use super::frame::CHUNK_BYTES_MAX;
use super::words::{Answer, Bulk, Call};
use crate::hints::Hints;
use crate::plug::{Plug, Setting, Sink, Source};

impl<P: Plug> Opened<P> {
    /// Carries out one call to its end; `wanted` says of each page whether there is a next one.
    pub(super) async fn call(
        &self,
        id: u64,
        on: u64,
        call: Call,
        out: &Out,
        wanted: mpsc::Receiver<bool>,
    ) -> Result<Answer, Fault> {
        match call {
            Call::ReadOptions { options } => read_options::<P>(options).map(|_| Answer::Done),
            Call::Connect { options, setting } => self.connect(id, options, setting).await,
            Call::Next { .. }
            | Call::Resumed
            | Call::Push { .. }
            | Call::Place { .. }
            | Call::Discard => self.move_bytes(on, call).await,
            Call::Watch | Call::Settle | Call::List { .. } => {
                let connection = self.connection(on)?;
                match call {
                    Call::Watch => watch(&connection, id, out).await,
                    Call::List { directory } => {
                        list(&connection.plug, id, &directory, out, wanted).await
                    }
                    _ => settle(&connection, out).await,
                }
            }
            Call::Read { path, tag, offset } => {
                let connection = self.connection(on)?;
                let source = connection.plug.read(&path, tag, offset).await?;
                let content = source.content();
                let source = Arc::new(tokio::sync::Mutex::new(source));
                self.insert(id, on, Open::Source(source));
                Ok(Answer::Reading(content))
            }
            Call::Write { path, content, resume } => {
                let connection = self.connection(on)?;
                let sink = connection.plug.write(&path, &content, resume).await?;
                let sink = Arc::new(tokio::sync::Mutex::new(Some(sink)));
                self.insert(id, on, Open::Sink(sink));
                Ok(Answer::Done)
            }
            call => at_once(&self.connection(on)?.plug, call).await,
        }
    }

    async fn connect(&self, id: u64, options: Value, setting: Setting) -> Result<Answer, Fault> {
        let plug = P::connect(read_options::<P>(options)?, setting).await?;
        let listing_lag_ms = u64::try_from(plug.listing_lag().as_millis()).unwrap_or(u64::MAX);
        let answer = Answer::Connected { abilities: plug.abilities(), listing_lag_ms };
        let watches = Mutex::new(BTreeMap::new());
        self.insert(id, id, Open::Connection(Arc::new(Connection { plug, watches })));
        Ok(answer)
    }

    fn connection(&self, id: u64) -> Result<Arc<Connection<P>>, Fault> {
        match self.get(id) {
            Some(Open::Connection(connection)) => Ok(connection),
            _ => Err(not_open(id, "connection")),
        }
    }

    /// What is said to a source or a sink.
    async fn move_bytes(&self, on: u64, call: Call) -> Result<Answer, Fault> {
        // Its last word takes a sink away, so that it ends with the call, however that ends.
        let is_last = matches!(call, Call::Place { .. } | Call::Discard);
        let sink = match self.get(on) {
            Some(Open::Source(source)) if matches!(call, Call::Next { .. }) => {
                let Call::Next { max } = call else { return Err(not_open(on, "source")) };
                let chunk = source.lock().await.next(max.min(CHUNK_BYTES_MAX)).await?;
                return Ok(Answer::Chunk(Bulk(chunk)));
            }
            Some(Open::Sink(sink)) => sink,
            _ => return Err(not_open(on, "source or sink")),
        };
        if is_last {
            self.remove(on);
        }
        let mut place = sink.lock().await;
        match (call, place.as_mut()) {
            (Call::Resumed, Some(sink)) => {
                let (bytes, hasher) = sink.resumed().await?;
                Ok(Answer::Resumed { bytes, checksum: hasher.finish() })
            }
            (Call::Push { bytes }, Some(sink)) => sink.write(bytes.0).await.map(|()| Answer::Done),
            (Call::Place { content, expect }, Some(_)) => {
                let sink = place.take().ok_or_else(|| not_open(on, "sink"))?;
                sink.place(content, expect).await.map(Answer::State)
            }
            (Call::Discard, Some(_)) => {
                let sink = place.take().ok_or_else(|| not_open(on, "sink"))?;
                sink.discard().await;
                Ok(Answer::Done)
            }
            _ => Err(not_open(on, "sink")),
        }
    }
}

/// What opens nothing and has one answer.
async fn at_once<P: Plug>(plug: &P, call: Call) -> Result<Answer, Fault> {
    match call {
        Call::Check => plug.check().await.map(|()| Answer::Done),
        Call::Look { path } => plug.look(&path).await.map(Answer::Looked),
        Call::MakeDirectory { path, expect } => {
            plug.make_directory(&path, expect).await.map(Answer::State)
        }
        Call::SetAttributes { path, expect, content } => {
            plug.set_attributes(&path, expect, &content).await.map(Answer::State)
        }
        Call::Rename { from, expect_from, to, expect_to } => {
            plug.rename(&from, expect_from, &to, expect_to).await.map(Answer::State)
        }
        Call::Remove { path, expect } => plug.remove(&path, expect).await.map(|()| Answer::Done),
        Call::Trash(query) => plug.trash(&query).await.map(Answer::Trash),
        Call::HashTrashed { id } => plug.hash_trashed(&id).await.map(Answer::Checksum),
        Call::Restore { id, path, expect } => {
            plug.restore(&id, &path, expect).await.map(Answer::State)
        }
        call => Err(Fault::new(FaultKind::Bug, format!("nobody carries out {call:?}"))),
    }
}

fn read_options<P: Plug>(options: Value) -> Result<P::Options, Fault> {
    P::Options::deserialize(options)
        .map_err(|error| Fault::new(FaultKind::Unavailable, error.to_string()))
}

async fn list<P: Plug>(
    plug: &P,
    id: u64,
    directory: &Path,
    out: &Out,
    mut wanted: mpsc::Receiver<bool>,
) -> Result<Answer, Fault> {
    let (listing, mut pages) = mpsc::channel(1);
    let forward = async move {
        while let Some(page) = pages.recv().await {
            out.page(id, page).await;
            if wanted.recv().await != Some(true) {
                return;
            }
        }
    };
    let (listed, ()) = tokio::join!(plug.list(directory, listing), forward);
    listed.map(|()| Answer::Done)
}

/// Forgets a watch's hints when it ends, however it ends.
struct Watching<'a, P>(&'a Connection<P>, u64);

impl<P> Drop for Watching<'_, P> {
    fn drop(&mut self) {
        self.0.watches().remove(&self.1);
    }
}

async fn watch<P: Plug>(connection: &Connection<P>, id: u64, out: &Out) -> Result<Answer, Fault> {
    let hints = Hints::default();
    connection.watches().insert(id, hints.clone());
    let _watching = Watching(connection, id);
    let forward = async {
        loop {
            hints.arrived().await;
            out.hints(id, &hints).await;
        }
    };
    let ended = tokio::select! {
        biased;
        ended = connection.plug.watch(hints.clone()) => ended,
        () = forward => Ok(()),
    };
    out.hints(id, &hints).await;
    ended.map(|()| Answer::Done)
}

async fn settle<P: Plug>(connection: &Connection<P>, out: &Out) -> Result<Answer, Fault> {
    connection.plug.settle().await?;
    let watches: Vec<_> = connection.watches().clone().into_iter().collect();
    for (id, hints) in watches {
        out.hints(id, &hints).await;
    }
    Ok(Answer::Done)
}

fn not_open(id: u64, what: &str) -> Fault {
    Fault::new(FaultKind::Bug, format!("nothing is open under {id} that is a {what}"))
}
