//! Sources and sinks of a driver in another process.

use std::sync::Arc;

use bytes::Bytes;
use onitu_plug::exercise::{Answer, Bulk, CHUNK_BYTES_MAX, Call};
use onitu_plug::{Checksum, Content, Fault, FaultKind, Hasher, Path, Sink, Source, State, Tag};

use super::process::Process;
use super::{done, odd};

/// Reads one path, in the driver's process.
pub struct RemoteSource {
    process: Arc<Process>,
    id: u64,
    content: Content,
}

impl RemoteSource {
    pub(super) fn new(process: &Arc<Process>, id: u64, content: Content) -> Self {
        Self { process: process.clone(), id, content }
    }
}

impl Drop for RemoteSource {
    fn drop(&mut self) {
        self.process.close(self.id);
    }
}

impl Source for RemoteSource {
    fn content(&self) -> Content {
        self.content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        let call = Call::Next { max: max.min(CHUNK_BYTES_MAX) };
        match self.process.begin(self.id, call).end().await? {
            Answer::Chunk(Bulk(bytes)) => Ok(bytes),
            other => Err(odd(&other)),
        }
    }
}

/// Writes one path, in the driver's process.
pub struct RemoteSink {
    process: Arc<Process>,
    id: u64,
    key: (Path, u64),
    /// What was pushed: should it be taken up again, the driver tells only its checksum.
    written: Vec<u8>,
    ended: bool,
}

impl RemoteSink {
    pub(super) fn new(process: &Arc<Process>, id: u64, path: &Path, resume: u64) -> Self {
        let key = (path.clone(), resume);
        Self { process: process.clone(), id, key, written: Vec::new(), ended: false }
    }
}

impl Drop for RemoteSink {
    fn drop(&mut self) {
        if !self.ended {
            self.process.close(self.id);
            let written = std::mem::take(&mut self.written);
            self.process.keep(self.key.clone(), written);
        }
    }
}

impl Sink for RemoteSink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        let answer = self.process.begin(self.id, Call::Resumed).end().await?;
        let Answer::Resumed { bytes, checksum } = answer else { return Err(odd(&answer)) };
        let kept = self.process.kept(&self.key);
        let there = usize::try_from(bytes).ok().and_then(|bytes| kept.get(..bytes));
        let Some(there) = there else {
            let (key, count) = (&self.key, kept.len());
            let text = format!(
                "{bytes} bytes of `{}` are said to be there, but only {count} were ever written",
                key.0
            );
            return Err(Fault::new(FaultKind::Corrupt, text));
        };
        if Checksum::of(there) != checksum {
            let text = format!("the {bytes} bytes that are there aren't those that were written");
            return Err(Fault::new(FaultKind::Corrupt, text));
        }
        self.written = there.to_vec();
        let mut hasher = Hasher::default();
        hasher.update(there);
        Ok((bytes, hasher))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        for part in bytes.chunks(CHUNK_BYTES_MAX as usize) {
            // Before it is sent: a call that is dropped may have had its effect.
            self.written.extend_from_slice(part);
            let bytes = Bulk(Bytes::copy_from_slice(part));
            done(&self.process.begin(self.id, Call::Push { bytes }).end().await?)?;
        }
        Ok(())
    }

    async fn place(mut self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        self.ended = true;
        match self.process.begin(self.id, Call::Place { content, expect }).end().await? {
            Answer::State(state) => Ok(state),
            other => Err(odd(&other)),
        }
    }

    async fn discard(mut self) {
        self.ended = true;
        // What becomes of it is asked by whoever looks afterwards.
        let _ = self.process.begin(self.id, Call::Discard).end().await;
    }
}
