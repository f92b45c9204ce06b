//! What only Dropbox does: tokens that expire, requests for patience, cursors that are reset,
//! answers that are lost, uploads that outlive the driver.

#[path = "service/changes.rs"]
mod changes;
mod fixture;
#[path = "service/sign_in.rs"]
mod sign_in;
#[path = "service/transfers.rs"]
mod transfers;
#[path = "service/waiting.rs"]
mod waiting;
#[path = "service/watching.rs"]
mod watching;

use std::collections::BTreeSet;
use std::time::Duration;

use fixture::{Fixture, ROOT};
use onitu_conformance::{Subject, at, file};
use onitu_driver_dropbox::Dropbox;
use onitu_plug::{
    Content, Fault, FaultKind, Found, Hints, Path, Plug, Setting, Sink, Source, State,
};
use onitu_test_dropbox::{Fault as Told, Trouble, write_as_user};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

const MIB: usize = 1024 * 1024;
/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

async fn connected(fixture: &Fixture) -> Dropbox {
    fixture.connect(false).await.expect("it is there")
}

async fn begun(
    plug: &Dropbox,
    path: &str,
    bytes: &[u8],
    key: u64,
) -> (u64, <Dropbox as Plug>::Sink) {
    let mut sink = plug.write(&at(path), &file(bytes), key).await.expect("a sink");
    let (written, _) = sink.resumed().await.expect("what is there");
    (written, sink)
}

async fn place(plug: &Dropbox, path: &str, bytes: &[u8]) -> Result<State, Fault> {
    let (_, mut sink) = begun(plug, path, bytes, fastrand::u64(..)).await;
    sink.write(bytes.to_vec().into()).await?;
    sink.place(file(bytes), None).await
}

async fn read(plug: &Dropbox, path: &str) -> Result<Vec<u8>, Fault> {
    let state = plug.look(&at(path)).await?.expect("it is there");
    let mut source = plug.read(&at(path), state.tag, 0).await?;
    let mut all = Vec::new();
    loop {
        let bytes = source.next(100_000).await?;
        if bytes.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&bytes);
    }
}

async fn names(plug: &Dropbox, directory: &str) -> Result<BTreeSet<String>, Fault> {
    let (sender, mut receiver) = mpsc::channel(100);
    plug.list(&at(directory), sender).await?;
    let mut names = BTreeSet::new();
    while let Some(page) = receiver.recv().await {
        names.extend(page.into_iter().map(|found| match found {
            Found::Entry { name, .. } | Found::Problem { name, .. } => name,
        }));
    }
    Ok(names)
}

/// How many bytes of an upload are remembered.
fn remembered(fixture: &Fixture) -> u64 {
    let Ok(entries) = std::fs::read_dir(fixture.state_dir().join("uploads")) else { return 0 };
    let sent = |entry: std::fs::DirEntry| {
        let text = std::fs::read(entry.path()).ok()?;
        let written: serde_json::Value = serde_json::from_slice(&text).ok()?;
        written["sent"].as_u64()
    };
    entries.flatten().filter_map(sent).max().unwrap_or(0)
}

fn trouble(fixture: &Fixture, route: &str, times: u32, trouble: Trouble) {
    let fault = Told { route: route.to_owned(), after: 0, times, trouble };
    fixture.server.account().faults.add(fault);
}

fn count(fixture: &Fixture, route: &str) -> usize {
    fixture.server.account().faults.count(route)
}

/// Every path below the root as it is shown there, without Onitu's own.
fn tree(fixture: &Fixture) -> Vec<String> {
    let all = fixture.server.account().tree.all().into_keys();
    let own = format!("{ROOT}/.onitu");
    all.filter(|path| !path.starts_with(&own) && path != ROOT).collect()
}

/// Bytes of which no two blocks are alike.
fn bytes(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}
