//! Writing one file: its bytes go to the service as they come, under a name that nobody sees.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use onitu_plug::{Bytes, Content, Fault, FaultKind, Hasher, Kind, Path, Sink, State, Tag};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fault::{Refusal, fault};
use crate::fence::{BODY, Upload};
use crate::folder::{Folder, new_name, to_its_end};
use crate::swap;

/// Pieces that wait to be sent.
const AHEAD: usize = 2;
/// A server that takes no byte for so long is away.
const STALL: Duration = Duration::from_mins(1);
/// It may have much to do before it says that it has it all.
const END: Duration = Duration::from_mins(5);

/// Writes one path.
pub struct OpendalSink {
    folder: Arc<Folder>,
    path: Path,
    size: u64,
    sent: u64,
    temporary: Temporary,
    sending: Option<Sending>,
}

/// A body on its way.
struct Sending {
    pieces: mpsc::Sender<Bytes>,
    request: JoinHandle<Result<(), Refusal>>,
}

/// A file that nobody sees; removed when dropped.
struct Temporary {
    folder: Arc<Folder>,
    name: String,
    is_there: bool,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.request.abort();
    }
}

impl Temporary {
    async fn remove(mut self) {
        if std::mem::take(&mut self.is_there) {
            // What can't be removed now is removed as a leftover later.
            let _ = self.folder.client.delete(&self.name).await;
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let (folder, name) = (Arc::clone(&self.folder), std::mem::take(&mut self.name));
        if let (true, Ok(runtime)) = (self.is_there, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let _ = folder.client.delete(&name).await;
            });
        }
    }
}

impl OpendalSink {
    /// Begins to write; see [`onitu_plug::Plug::write`].
    pub(crate) fn begin(
        folder: &Arc<Folder>,
        path: &Path,
        content: &Content,
    ) -> Result<Self, Fault> {
        folder.check(path)?;
        if content.kind != Kind::File {
            let text = format!("`{path}` is no file: this service keeps only files");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        let temporary =
            Temporary { folder: Arc::clone(folder), name: new_name("new"), is_there: false };
        Ok(Self {
            folder: Arc::clone(folder),
            path: path.clone(),
            size: content.size,
            sent: 0,
            temporary,
            sending: None,
        })
    }

    fn failed(&self, refusal: &Refusal) -> Fault {
        match refusal {
            // The directory of temporary files is gone, and perhaps the whole folder.
            Refusal::Missing | Refusal::Parent | Refusal::Taken => {
                let refusal = Refusal::Lost("the folder is not as it was".to_owned());
                fault("write", &self.path, &refusal)
            }
            refusal => fault("write", &self.path, refusal),
        }
    }

    fn sending(&mut self) -> &mut Sending {
        let (folder, temporary, size) = (&self.folder, &mut self.temporary, self.size);
        self.sending.get_or_insert_with(|| {
            temporary.is_there = true;
            let (pieces, receiver) = mpsc::channel(AHEAD);
            let (client, name) = (folder.client.clone(), temporary.name.clone());
            let body = Mutex::new(Some(Upload { size, pieces: receiver }));
            let request = tokio::spawn(BODY.scope(body, async move { client.upload(&name).await }));
            Sending { pieces, request }
        })
    }

    /// Waits for the server to say that it has it all.
    async fn finish(&mut self) -> Result<(), Fault> {
        self.sending();
        let Some(mut sending) = self.sending.take() else { return Ok(()) };
        // Closed: that was all.
        let (closed, _) = mpsc::channel(1);
        sending.pieces = closed;
        match timeout(END, &mut sending.request).await {
            Ok(Ok(written)) => written.map_err(|refusal| self.failed(&refusal)),
            _ => Err(self.failed(&Refusal::Lost("no answer in time".to_owned()))),
        }
    }
}

impl Sink for OpendalSink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        Ok((0, Hasher::default()))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.sent += bytes.len() as u64;
        if self.sent > self.size {
            let text = format!("`{}` has more bytes than were promised", self.path);
            return Err(Fault::new(FaultKind::Corrupt, text));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = timeout(STALL, self.sending().pieces.send(bytes)).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            // The request has ended before its body: the answer says why.
            Ok(Err(_)) => {
                self.finish().await?;
                Err(self.failed(&Refusal::Lost("the server took only a part".to_owned())))
            }
            Err(_) => Err(self.failed(&Refusal::Lost("the server takes no bytes".to_owned()))),
        }
    }

    async fn place(mut self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        if self.sent != self.size || content.size != self.size {
            let text = format!("`{}` has other bytes than were promised", self.path);
            return Err(Fault::new(FaultKind::Corrupt, text));
        }
        self.finish().await?;
        let folder = Arc::clone(&self.folder);
        to_its_end(&folder, |folder| async move {
            // All of it, so that nothing is removed before the end.
            let mut sink = self;
            let name = sink.temporary.name.clone();
            let placed = swap::place(&folder, &name, &sink.path, (sink.size, expect)).await;
            if placed.is_ok() {
                sink.temporary.is_there = false;
            }
            sink.discard().await;
            placed
        })
        .await
    }

    async fn discard(mut self) {
        drop(self.sending.take());
        self.temporary.remove().await;
    }
}
