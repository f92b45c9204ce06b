//! A driver in another process, as a [`Plug`] in this one.
//!
//! Each method is a call to the driver's program (`onitu-driver-NAME exercise`), as
//! `docs/protocol.md` tells under "Exercise". A future that is dropped drops its call there, and what was
//! opened is closed when it is dropped here, before anything that is asked afterwards.

mod bytes;
mod process;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use onitu_plug::exercise::{Answer, Call};
use onitu_plug::{
    Abilities, Checksum, Content, Fault, FaultKind, Hints, Listing, Manifest, Path, Plug, Setting,
    State, Tag, TrashPage, TrashQuery,
};
use serde_json::Value;
use tokio::sync::mpsc;

pub use self::bytes::{RemoteSink, RemoteSource};
pub use self::process::Process;

/// The installed driver that this process is about: a trait's manifest is constant.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    manifest: Manifest,
}

static PROGRAM: OnceLock<Program> = OnceLock::new();

/// Has [`Remote`] speak to this driver from now on.
///
/// # Errors
/// When it was said before: there is one such driver in a process.
pub fn exercise(program: PathBuf, manifest: Manifest) -> Result<(), Fault> {
    let twice = |_| Fault::new(FaultKind::Bug, "another driver is exercised by this process");
    PROGRAM.set(Program { path: program, manifest }).map_err(twice)
}

fn program() -> &'static Program {
    PROGRAM.get().unwrap_or_else(|| unreachable!("nobody has said which driver is exercised"))
}

/// A connection of a driver that runs in a process of its own, perhaps beside others.
pub struct Remote {
    process: Arc<Process>,
    connection: u64,
    abilities: Abilities,
    listing_lag: Duration,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.process.close(self.connection);
    }
}

impl Remote {
    /// Starts a process of the driver that [`exercise`] named; it ends when nothing of it is in use.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start() -> Result<Arc<Process>, Fault> {
        Process::start(&program().path)
    }

    /// Connects in a process that runs.
    pub async fn over(
        process: &Arc<Process>,
        options: Value,
        setting: Setting,
    ) -> Result<Self, Fault> {
        let call = process.begin(0, Call::Connect { options, setting });
        let connection = call.id();
        match call.end().await? {
            Answer::Connected { abilities, listing_lag_ms } => Ok(Self {
                process: process.clone(),
                connection,
                abilities,
                listing_lag: Duration::from_millis(listing_lag_ms),
            }),
            other => Err(odd(&other)),
        }
    }

    async fn ask(&self, call: Call) -> Result<Answer, Fault> {
        self.process.begin(self.connection, call).end().await
    }

    async fn do_it(&self, call: Call) -> Result<(), Fault> {
        done(&self.ask(call).await?)
    }

    async fn change(&self, call: Call) -> Result<State, Fault> {
        match self.ask(call).await? {
            Answer::State(state) => Ok(state),
            other => Err(odd(&other)),
        }
    }
}

fn done(answer: &Answer) -> Result<(), Fault> {
    if *answer == Answer::Done { Ok(()) } else { Err(odd(answer)) }
}

/// The driver's mistake.
fn odd(answer: &Answer) -> Fault {
    Fault::new(FaultKind::Bug, format!("that is no answer to what was asked: {answer:?}"))
}

impl Plug for Remote {
    /// Whether they are right is the driver's to say.
    type Options = Value;
    type Source = RemoteSource;
    type Sink = RemoteSink;

    fn manifest() -> Manifest {
        program().manifest.clone()
    }

    fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn listing_lag(&self) -> Duration {
        self.listing_lag
    }

    async fn connect(options: Value, setting: Setting) -> Result<Self, Fault> {
        Self::over(&Self::start()?, options, setting).await
    }

    async fn check(&self) -> Result<(), Fault> {
        self.do_it(Call::Check).await
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        let call = self.process.begin_watch(self.connection, hints);
        done(&call.end().await?)
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.do_it(Call::Settle).await
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        let call = Call::List { directory: directory.clone() };
        let mut call = self.process.begin(self.connection, call);
        let mut is_read = true;
        while let Some(page) = call.page().await? {
            is_read = is_read && listing.send(page).await.is_ok();
            call.wanted(is_read);
        }
        let ended = call.end().await.and_then(|answer| done(&answer));
        let gone = || Fault::new(FaultKind::Cancelled, "nobody reads the listing");
        ended.and_then(|()| if is_read { Ok(()) } else { Err(gone()) })
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        match self.ask(Call::Look { path: path.clone() }).await? {
            Answer::Looked(state) => Ok(state),
            other => Err(odd(&other)),
        }
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<RemoteSource, Fault> {
        let call = Call::Read { path: path.clone(), tag, offset };
        let call = self.process.begin(self.connection, call);
        let id = call.id();
        match call.end().await? {
            Answer::Reading(content) => Ok(RemoteSource::new(&self.process, id, content)),
            other => Err(odd(&other)),
        }
    }

    async fn write(
        &self,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<RemoteSink, Fault> {
        let call = Call::Write { path: path.clone(), content: *content, resume };
        let call = self.process.begin(self.connection, call);
        let id = call.id();
        done(&call.end().await?)?;
        Ok(RemoteSink::new(&self.process, id, path, resume))
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        self.change(Call::MakeDirectory { path: path.clone(), expect }).await
    }

    async fn set_attributes(
        &self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> Result<State, Fault> {
        let call = Call::SetAttributes { path: path.clone(), expect, content: *content };
        self.change(call).await
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let (from, to) = (from.clone(), to.clone());
        self.change(Call::Rename { from, expect_from, to, expect_to }).await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        self.do_it(Call::Remove { path: path.clone(), expect }).await
    }

    async fn trash(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        match self.ask(Call::Trash(query.clone())).await? {
            Answer::Trash(page) => Ok(page),
            other => Err(odd(&other)),
        }
    }

    async fn hash_trashed(&self, id: &str) -> Result<Checksum, Fault> {
        match self.ask(Call::HashTrashed { id: id.to_owned() }).await? {
            Answer::Checksum(checksum) => Ok(checksum),
            other => Err(odd(&other)),
        }
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        self.change(Call::Restore { id: id.to_owned(), path: path.clone(), expect }).await
    }
}

/// Whether the driver takes these options; opens nothing.
pub(crate) async fn takes(process: &Arc<Process>, options: Value) -> Result<(), Fault> {
    done(&process.begin(0, Call::ReadOptions { options }).end().await?)
}

/// A call's frames, in order; few, since a page waits to be wanted.
type Frames = mpsc::Receiver<onitu_plug::exercise::Told>;
