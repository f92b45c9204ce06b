//! Each request in the driver's own words, with a limit in time. What opendal does with an answer
//! is not believed where it would make "unknown" look like "absent".

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use onitu_plug::{Bytes, Calls, Fault, FaultKind};
use opendal::{Buffer, FuturesBytesStream, HttpTransporter, Lister, OperationContext, Operator};
use tokio::time::timeout;

use crate::fault::{Refusal, fault, of, unavailable};
use crate::fence::Fence;
use crate::options::Options;
use crate::state::{There, Thing};
use crate::ways;

/// An answer that takes longer doesn't come.
const LIMIT: Duration = Duration::from_mins(2);

/// Requests under way at once.
const AT_ONCE: usize = 16;

/// A service, as opendal reaches it. Paths are below its root; a directory's ends in `/`.
#[derive(Clone)]
pub(crate) struct Client {
    operator: Operator,
    calls: Arc<Calls>,
}

async fn within<T>(asked: impl Future<Output = opendal::Result<T>>) -> Result<T, Refusal> {
    match timeout(LIMIT, asked).await {
        Ok(answer) => answer.map_err(|error| of(&error)),
        Err(_) => Err(Refusal::Lost("no answer in time".to_owned())),
    }
}

/// As [`Calls`] has it: only what may pass is a fault.
async fn answered<T>(
    asked: impl Future<Output = opendal::Result<T>>,
) -> Result<Result<T, Refusal>, Fault> {
    match within(asked).await {
        Err(Refusal::Lost(why)) => Err(unavailable(why)),
        Err(busy @ Refusal::Busy(_)) => Err(fault("ask", "the service", &busy)),
        other => Ok(other),
    }
}

fn understood<T>(answer: Result<Result<T, Refusal>, Fault>) -> Result<T, Refusal> {
    answer.unwrap_or_else(|fault| {
        Err(match fault.kind {
            FaultKind::RateLimited => {
                Refusal::Busy(fault.retry_after_ms.map(Duration::from_millis))
            }
            _ => Refusal::Lost(fault.message),
        })
    })
}

impl Client {
    /// Knows how to reach it; asks nothing yet.
    pub(crate) fn new(options: &Options) -> Result<Self, Fault> {
        opendal::init_default_registry();
        let scheme = options.scheme.as_str();
        let operator = Operator::via_iter(scheme, options.pairs()).map_err(|error| {
            unavailable(format!("`{scheme}` can't be used: {}", error.message()))
        })?;
        ways::check(scheme, operator.info().capability())?;
        let fence = HttpTransporter::new(Fence::new()?);
        let context = OperationContext::new().with_http_transport(fence);
        let calls = Arc::new(Calls::new(AT_ONCE));
        Ok(Self { operator: operator.with_context(context), calls })
    }

    /// A request that may be sent more than once.
    async fn ask<T, F>(&self, mut asked: impl FnMut() -> F) -> Result<T, Refusal>
    where
        F: Future<Output = opendal::Result<T>>,
    {
        understood(self.calls.run(|| answered(asked())).await)
    }

    /// What stands at a path. Of the root opendal says that it is there without asking, so that is
    /// listed.
    pub(crate) async fn stat(&self, path: &str) -> Result<There, Refusal> {
        if path == "/" {
            return match self.list(path).await {
                Ok(_) => Ok(There::Is(Thing::DIRECTORY)),
                Err(Refusal::Missing) => Ok(There::Nothing),
                Err(refusal) => Err(refusal),
            };
        }
        match self.ask(|| self.operator.stat(path)).await {
            Ok(told) => Ok(There::Is(Thing::of(&told))),
            Err(Refusal::Missing) => Ok(There::Nothing),
            Err(refusal) => Err(refusal),
        }
    }

    /// Everything directly inside a directory. The answer comes at once, the entries in turn.
    pub(crate) async fn list(&self, directory: &str) -> Result<Entries, Refusal> {
        let asked = || async {
            let mut lister = self.operator.lister(directory).await?;
            let first = lister.try_next().await?;
            Ok((lister, first))
        };
        let (lister, first) = self.ask(asked).await?;
        let directory = directory.trim_start_matches('/').to_owned();
        Ok(Entries { lister, first, directory })
    }

    /// All of a small file.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<Bytes>, Refusal> {
        match self.ask(|| self.operator.read(path)).await {
            Ok(bytes) => Ok(Some(bytes.to_bytes())),
            Err(Refusal::Missing) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// The bytes of a file from `from` up to `to`, as they come.
    pub(crate) async fn stream(
        &self,
        path: &str,
        from: u64,
        to: u64,
    ) -> Result<FuturesBytesStream, Refusal> {
        let asked =
            || async { self.operator.reader(path).await?.into_bytes_stream(from..to).await };
        self.ask(asked).await
    }

    /// Writes a small file of the driver's own.
    pub(crate) async fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), Refusal> {
        self.ask(|| self.operator.write(path, bytes.clone())).await.map(drop)
    }

    /// Writes the body that [`crate::fence::BODY`] has, however long that takes: whoever produces it
    /// may wait for a request of ours, so it counts as none.
    pub(crate) async fn upload(&self, path: &str) -> Result<(), Refusal> {
        understood(self.calls.once(async { Ok(Ok(())) }).await)?;
        let written = self.operator.write(path, Buffer::new()).await;
        written.map(drop).map_err(|error| of(&error))
    }

    /// Makes a directory and its parents; one that is there is fine.
    pub(crate) async fn make_directory(&self, path: &str) -> Result<(), Refusal> {
        self.ask(|| self.operator.create_dir(path)).await
    }

    /// Moves a file, or a directory with all it holds, to where nothing is: what is there by then
    /// stays, and is [`Refusal::Taken`]. Sent once: the second time it might move another one.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<(), Refusal> {
        let (from, to) = (from.trim_end_matches('/'), to.trim_end_matches('/'));
        let is_fenced = !self.operator.info().capability().rename_with_if_not_exists;
        let asked = async {
            if is_fenced {
                return self.operator.rename(from, to).await;
            }
            self.operator.rename_with(from, to).if_not_exists(true).await
        };
        understood(self.calls.once(answered(asked)).await)
    }

    /// Deletes a file of the driver's own, or a directory of its own **with all it holds**.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Refusal> {
        match self.ask(|| self.operator.delete(path)).await {
            Err(Refusal::Missing) => Ok(()),
            deleted => deleted,
        }
    }
}

/// What a directory holds.
pub(crate) struct Entries {
    lister: Lister,
    /// Asked for already, so that a failure is one of the request.
    first: Option<opendal::Entry>,
    directory: String,
}

impl Entries {
    /// The next name and what stands there; [`None`] at the end. A name that isn't one of this
    /// directory is a failure of the whole: something was not understood.
    pub(crate) async fn next(&mut self) -> Result<Option<(String, Thing)>, Refusal> {
        loop {
            let entry = match self.first.take() {
                Some(first) => first,
                None => match within(self.lister.try_next()).await? {
                    Some(entry) => entry,
                    None => return Ok(None),
                },
            };
            let (path, told) = entry.into_parts();
            // The directory tells of itself, too.
            if path == self.directory || path == "/" && self.directory.is_empty() {
                continue;
            }
            let name = path.strip_prefix(&self.directory).unwrap_or_default();
            let name = name.strip_suffix('/').unwrap_or(name);
            if name.is_empty() || name.contains('/') {
                let text = format!("the server lists `{path}` in `{}`", self.directory);
                return Err(Refusal::Lost(text));
            }
            return Ok(Some((name.to_owned(), Thing::of(&told))));
        }
    }
}
