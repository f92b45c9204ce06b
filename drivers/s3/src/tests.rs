//! The driver against a real server, where the conformance suite doesn't look: what the server
//! lacks, refuses, or loses on the way.

mod archive;
mod conditions;
mod keys;
mod lease;
mod queue;
mod requests;
mod reuse;
mod transfers;
mod trouble;

use onitu_plug::{
    Checksum, Content, Fault, Found, Kind, Path, Plug, Setting, Sink, Source, State, Tag,
};
use onitu_test_s3::{Bucket, Fresh};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Options, S3};

fn at(text: &str) -> Path {
    Path::new(text).unwrap()
}

/// A bucket with the settings of the test server.
fn bucket(settings: &Value) -> Fresh {
    Bucket::fresh(settings)
}

/// Connects to the bucket with some options that differ from the usual ones.
async fn connect(bucket: &Bucket, differing: &Value) -> Result<S3, Fault> {
    connect_with(bucket, differing, None).await
}

/// The same, with a directory of this machine for the driver's own state.
async fn connect_with(
    bucket: &Bucket,
    differing: &Value,
    state_dir: Option<&std::path::Path>,
) -> Result<S3, Fault> {
    let mut options = bucket.options("");
    for (name, value) in differing.as_object().unwrap() {
        options[name] = value.clone();
    }
    let setting = Setting {
        service: "s3".to_owned(),
        known: false,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: state_dir.map(std::path::Path::to_owned),
    };
    S3::connect(Options::deserialize(options).unwrap(), setting).await
}

/// A bucket of a server that knows everything, and the driver connected to it.
async fn usual() -> (Fresh, S3) {
    let bucket = bucket(&json!({}));
    let plug = connect(&bucket, &json!({})).await.unwrap();
    (bucket, plug)
}

fn content(bytes: &[u8]) -> Content {
    Content {
        kind: Kind::File,
        size: bytes.len() as u64,
        mtime_ns: 1_600_000_000_500_000_000,
        checksum: Some(Checksum::of(bytes)),
        ..Content::DIRECTORY
    }
}

/// Bytes that repeat nowhere at a distance a mistake would have.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0]).collect()
}

async fn place(plug: &S3, path: &str, bytes: &[u8], expect: Option<Tag>) -> Result<State, Fault> {
    let content = content(bytes);
    let mut sink = plug.write(&at(path), &content, fastrand::u64(..)).await?;
    sink.resumed().await?;
    for chunk in bytes.chunks(100_003) {
        sink.write(chunk.to_vec().into()).await?;
    }
    sink.place(content, expect).await
}

async fn look(plug: &S3, path: &str) -> State {
    plug.look(&at(path)).await.unwrap().unwrap()
}

async fn read(plug: &S3, path: &str, state: &State) -> Result<Vec<u8>, Fault> {
    let mut source = plug.read(&at(path), state.tag, 0).await?;
    let mut bytes = Vec::new();
    loop {
        let chunk = source.next(64 * 1024).await?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// What is listed of a directory: names, those of problems with a `!`.
async fn list(plug: &S3, path: &str) -> Result<Vec<String>, Fault> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Vec<Found>>(2);
    let path = at(path);
    let read = async {
        let mut names = Vec::new();
        while let Some(page) = receiver.recv().await {
            names.extend(page.into_iter().map(|found| match found {
                Found::Entry { name, .. } => name,
                Found::Problem { name, .. } => format!("!{name}"),
            }));
        }
        names.sort();
        names
    };
    let (listed, names) = tokio::join!(plug.list(&path, sender), read);
    listed.map(|()| names)
}
