//! Committing uploads, and deleting: what is ready while a call is under way goes together in the
//! next.
//!
//! Dropbox lets one write into an account happen at a time and asks others for patience, so there
//! is never more than one. A lone file doesn't wait for anything: it goes in a single call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_plug::{Bytes, Fault, FaultKind};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::client::Client;
use crate::fault::Refusal;
use crate::gather::Gatherer;
use crate::hash;
use crate::state;

/// Most entries of one call.
const BATCH_MAX: usize = 1_000;
/// Most that wait.
const QUEUE_MAX: usize = 4_096;
/// Between two questions whether a batch is done, and how many there are.
const JOB_PAUSE: Duration = Duration::from_millis(200);
const JOB_ASKED_MAX: u32 = 1_500;

/// Why nothing is known of an entry.
const UNSAID: &str = "it didn't say what became of a file";

/// What became of each entry of a call.
type Results = Vec<Result<Value, Refusal>>;

/// Where a content is to stand, and what it replaces.
pub(crate) struct Place {
    /// The path in the account.
    pub(crate) at: String,
    /// The revision that it replaces, and nothing else.
    pub(crate) rev: Option<String>,
    /// To be kept as its time.
    pub(crate) mtime_ns: i64,
}

impl Place {
    fn commit(&self) -> Value {
        let mut commit = json!({
            "path": self.at, "mode": "add", "autorename": false, "mute": true,
            "strict_conflict": true,
        });
        if let Some(rev) = &self.rev {
            commit["mode"] = json!({ ".tag": "update", "update": rev });
        }
        if let Some(time) = state::time(self.mtime_ns) {
            commit["client_modified"] = Value::from(time);
        }
        commit
    }
}

/// What may be done many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Commit,
    Delete,
}

struct Job {
    kind: Kind,
    entry: Value,
    done: oneshot::Sender<Result<Value, Refusal>>,
}

/// Commits and deletes, one call after the other.
pub(crate) struct Committer {
    client: Arc<Client>,
    jobs: mpsc::Sender<Job>,
    gatherer: Gatherer,
}

impl Committer {
    /// Works until it is dropped.
    pub(crate) fn start(client: Arc<Client>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(run(Arc::clone(&client), queue));
        let gatherer = Gatherer::start(Arc::clone(&client));
        Self { client, jobs, gatherer }
    }

    /// Puts a whole content in its place; its metadata.
    pub(crate) async fn whole(&self, place: &Place, bytes: Bytes) -> Result<Value, Refusal> {
        let hash = hash::of(&bytes);
        let mut arg = place.commit();
        arg["content_hash"] = Value::from(hash.as_str());
        if let Some(placed) = self.client.upload_now(&arg, &bytes).await {
            return placed;
        }
        let length = bytes.len() as u64;
        let session = self.gatherer.send(bytes, hash).await?;
        self.session(place, &session, length).await
    }

    /// Puts what a closed session holds in its place; its metadata.
    pub(crate) async fn session(
        &self,
        place: &Place,
        session: &str,
        length: u64,
    ) -> Result<Value, Refusal> {
        let cursor = json!({ "session_id": session, "offset": length });
        let entry = json!({ "cursor": cursor, "commit": place.commit() });
        self.job(Kind::Commit, entry).await
    }

    /// Deletes a file, if it has the revision.
    pub(crate) async fn delete(&self, at: &str, rev: &str) -> Result<(), Refusal> {
        let entry = json!({ "path": at, "parent_rev": rev });
        self.job(Kind::Delete, entry).await.map(drop)
    }

    async fn job(&self, kind: Kind, entry: Value) -> Result<Value, Refusal> {
        let (done, told) = oneshot::channel();
        let ended =
            || Refusal::Fault(Fault::new(FaultKind::Cancelled, "the driver is being disconnected"));
        self.jobs.send(Job { kind, entry, done }).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }
}

async fn run(client: Arc<Client>, mut jobs: mpsc::Receiver<Job>) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(job) => job,
            None => match jobs.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        let _held = client.hold_writes().await;
        let kind = first.kind;
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX && next.is_none() {
            match jobs.try_recv() {
                Ok(job) if job.kind == kind => batch.push(job),
                other => {
                    next = other.ok();
                    break;
                }
            }
        }
        let (entries, asking): (Vec<Value>, Vec<_>) =
            batch.into_iter().map(|job| (job.entry, job.done)).unzip();
        let told = done(&client, kind, entries).await;
        let refused = told.as_ref().err().cloned();
        let mut told = told.unwrap_or_default().into_iter();
        for done in asking {
            let unsaid = || refused.clone().unwrap_or_else(|| Refusal::Lost(UNSAID.to_owned()));
            // Who no longer waits has given up.
            let _ = done.send(told.next().unwrap_or_else(|| Err(unsaid())));
        }
    }
}

/// Does all of them in a call; what became of each.
async fn done(client: &Client, kind: Kind, entries: Vec<Value>) -> Result<Results, Refusal> {
    match (kind, &entries[..]) {
        (Kind::Commit, _) => commit(client, &entries).await,
        (Kind::Delete, [only]) => {
            client.call("files/delete_v2", only).await?;
            Ok(vec![Ok(Value::Null)])
        }
        (Kind::Delete, _) => {
            let route = "files/delete_batch";
            let told = client.call(route, &json!({ "entries": entries })).await?;
            let told = finished(client, route, told).await?;
            Ok((0..entries.len()).map(|at| result(&told["entries"][at])).collect())
        }
    }
}

/// Commits all of them. Those that were one write too many are committed again, they alone.
async fn commit(client: &Client, entries: &[Value]) -> Result<Results, Refusal> {
    let results: Mutex<Vec<Option<Result<Value, Refusal>>>> =
        Mutex::new(entries.iter().map(|_| None).collect());
    let open = || {
        let results = results.lock().unwrap_or_else(PoisonError::into_inner);
        (0..entries.len()).filter(|at| results[*at].is_none()).collect::<Vec<_>>()
    };
    let told = client.together(false, async || {
        let open = open();
        let wanted: Vec<&Value> = open.iter().map(|at| &entries[*at]).collect();
        let route = "files/upload_session/finish_batch_v2";
        let told = client.sent(route, &json!({ "entries": wanted })).await?;
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = Ok(());
        for (entry, at) in open.into_iter().enumerate() {
            match result(&told["entries"][entry]) {
                Err(Refusal::Busy(wait)) => busy = Err(Refusal::Busy(wait)),
                told => results[at] = Some(told),
            }
        }
        busy
    });
    let refused = told.await.err();
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let unsaid = || refused.clone().unwrap_or_else(|| Refusal::Lost(UNSAID.to_owned()));
    Ok(results.into_iter().map(|told| told.unwrap_or_else(|| Err(unsaid()))).collect())
}

/// What became of a batch that may take its time.
async fn finished(client: &Client, route: &str, mut told: Value) -> Result<Value, Refusal> {
    let Some(id) = told["async_job_id"].as_str().map(str::to_owned) else { return Ok(told) };
    let route = format!("{route}/check");
    for _ in 0..JOB_ASKED_MAX {
        sleep(JOB_PAUSE).await;
        told = client.ask(&route, &json!({ "async_job_id": id })).await?;
        match told[".tag"].as_str() {
            Some("in_progress") => {}
            Some("complete") => return Ok(told),
            _ => break,
        }
    }
    Err(Refusal::Lost("it didn't say what became of a batch".to_owned()))
}

/// What became of one entry of a batch.
pub(crate) fn result(entry: &Value) -> Result<Value, Refusal> {
    match entry[".tag"].as_str() {
        Some("success") => {
            // The entry's tag stands where that of the metadata would.
            let mut metadata = entry.clone();
            metadata[".tag"] = Value::from("file");
            Ok(metadata)
        }
        Some("failure") => Err(Refusal::route(summary(&entry["failure"]))),
        _ => Err(Refusal::Lost(UNSAID.to_owned())),
    }
}

/// The tags of an error, as Dropbox sums them up where it is the answer's own.
fn summary(error: &Value) -> String {
    let mut tags = Vec::new();
    let mut inner = error;
    while let Some(tag) = inner[".tag"].as_str() {
        tags.push(tag);
        inner = if inner[tag].is_object() { &inner[tag] } else { &inner["reason"] };
    }
    tags.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_entry_is_told_as_a_failed_call_would_be() {
        let conflict = json!({ ".tag": "conflict", "conflict": { ".tag": "file" } });
        let entry = json!({
            ".tag": "failure", "failure": { ".tag": "path", "path": conflict },
        });
        let refusal = result(&entry).expect_err("it failed");
        assert!(refusal.is("path/conflict/file"), "{refusal:?}");
        assert!(matches!(result(&Value::Null), Err(Refusal::Lost(_))));
    }

    #[test]
    fn a_commit_never_overwrites_what_it_doesnt_know() {
        let place = |rev: Option<&str>| Place {
            at: "/a".to_owned(),
            rev: rev.map(str::to_owned),
            mtime_ns: 1_600_000_000_000_000_000,
        };
        let new = place(None).commit();
        assert_eq!((&new["mode"], &new["strict_conflict"]), (&json!("add"), &json!(true)));
        assert_eq!(new["client_modified"], "2020-09-13T12:26:40Z");
        let update = place(Some("012345678")).commit();
        assert_eq!(update["mode"], json!({ ".tag": "update", "update": "012345678" }));
        assert_eq!(update["autorename"], false);
    }
}
