//! A Core in a house of fakes: store and bus in memory, a supervisor that only keeps a list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use onitu_core::bus::{Bus, Endpoint, MemoryBus};
use onitu_core::control::{FromSupervisor, ToSupervisor, Wanted};
use onitu_core::held::{Held, Review, Verdict};
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::{ProcessStatus, Report, ServiceState};
use onitu_core::store::{Commit, MemoryStore, Registry, Store};
use onitu_core::trash::{Restore, Restored, TrashPage, TrashQuery, Trashed};
use onitu_core::{
    Checksum, Content, Fault, FaultKind, Kind, Mode, Path, Record, Service, ServiceId, Shard, Tag,
    clock,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::configuration::{Configuration, Remembered, Sources};
use crate::core::Core;
use crate::register::Place;
use crate::supervisor::Supervisor;

pub(crate) fn path(text: &str) -> Path {
    Path::new(text).expect("a legal path")
}

pub(crate) fn service(id: u16, name: &str) -> Service {
    Service {
        id: ServiceId(id),
        name: name.to_owned(),
        driver: "local".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::from([("root".to_owned(), format!("/srv/{name}").into())]),
    }
}

/// Services with the numbers 1, 2, 3 …
pub(crate) fn registry(names: &[&str]) -> Registry {
    let services = (1..).zip(names).map(|(id, name)| service(id, name)).collect();
    Registry { version: 1, services, ..Registry::default() }
}

pub(crate) fn configuration(names: &[&str]) -> Configuration {
    Configuration::from(registry(names))
}

pub(crate) fn record(kind: Kind, text: &str, holders: &[u16]) -> Record {
    let checksum = (kind != Kind::Directory).then(|| Checksum::of(text.as_bytes()));
    let size = text.len() as u64;
    let content = Content { kind, size, mtime_ns: 7, executable: false, checksum, media: None };
    let mut record = Record {
        revision: 1,
        gone: false,
        content,
        holders: vec![],
        moved: None,
        ancestors: Vec::new(),
        origin: None,
        leaving: Vec::new(),
    };
    for id in holders {
        record.set_holder(ServiceId(*id), 1, Tag::of(b"x"));
    }
    record
}

/// Puts records into a store, a commit each.
pub(crate) async fn put(store: &MemoryStore, records: &[(&str, Record)]) {
    for (at, record) in records {
        let mut commit = Commit::default();
        commit.records.insert(path(at), Some(record.clone()));
        commit.counts.entries = i64::from(!record.gone);
        store.commit(vec![(Shard::of(&path(at)), commit)]).await.expect("the store is there");
    }
}

/// What the outside says, changeable.
pub(crate) struct FakeSources {
    pub(crate) configuration: Mutex<Result<Configuration, String>>,
    pub(crate) drivers: Mutex<BTreeSet<String>>,
    pub(crate) remembered: Mutex<Result<Option<Remembered>, String>>,
}

impl Sources for FakeSources {
    fn configuration(&self) -> Result<Configuration, String> {
        self.configuration.lock().expect("whole").clone()
    }

    fn program(&self, driver: &str) -> Result<PathBuf, String> {
        if self.drivers.lock().expect("whole").contains(driver) {
            Ok(PathBuf::from(format!("/bin/onitu-driver-{driver}")))
        } else {
            Err(format!("its driver `{driver}` is not installed"))
        }
    }

    fn remembered(&self) -> Result<Option<Remembered>, String> {
        self.remembered.lock().expect("whole").clone()
    }

    fn remember(&self, remembered: &Remembered) -> Result<(), String> {
        let mut kept = self.remembered.lock().expect("whole");
        kept.as_ref().map_err(Clone::clone)?;
        *kept = Ok(Some(remembered.clone()));
        Ok(())
    }
}

/// What the pretended supervisor runs.
#[derive(Default)]
pub(crate) struct Running {
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) processes: BTreeMap<String, ProcessStatus>,
    pid: u32,
}

impl Running {
    fn answer(&mut self, question: ToSupervisor) -> FromSupervisor {
        match question {
            ToSupervisor::Run(wanted) => {
                self.run(wanted);
                FromSupervisor::Done
            }
            ToSupervisor::List => {
                FromSupervisor::Processes(self.processes.values().cloned().collect())
            }
            ToSupervisor::Restart(name) => FromSupervisor::Error(format!("no `{name}`")),
        }
    }

    fn run(&mut self, wanted: Vec<Wanted>) {
        let kept: BTreeSet<_> = wanted
            .iter()
            .filter(|new| self.wanted.contains(new))
            .map(|kept| kept.name.clone())
            .collect();
        self.processes.retain(|name, _| kept.contains(name));
        for new in wanted.iter().filter(|new| !kept.contains(&new.name)) {
            self.pid += 1;
            let (name, pid) = (new.name.clone(), Some(1_000 + self.pid));
            let process = ProcessStatus { name, pid, restarts: 0, last_exit: None };
            self.processes.insert(new.name.clone(), process);
        }
        self.wanted = wanted;
    }
}

async fn supervise(listener: UnixListener, running: Arc<Mutex<Running>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (from, mut to) = stream.into_split();
        let mut line = String::new();
        BufReader::new(from).read_line(&mut line).await.expect("a line");
        let question = serde_json::from_str(&line).expect("a question");
        let answer = running.lock().expect("whole").answer(question);
        let mut line = serde_json::to_vec(&answer).expect("writable");
        line.push(b'\n');
        to.write_all(&line).await.expect("the Core listens");
    }
}

/// Everything around one Core, and the Core.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: MemoryStore,
    pub(crate) bus: MemoryBus,
    pub(crate) sources: Arc<FakeSources>,
    pub(crate) running: Arc<Mutex<Running>>,
    pub(crate) core: Arc<Core>,
}

impl House {
    /// A house whose Core has established services of these names.
    pub(crate) async fn new(names: &[&str]) -> Self {
        let house = Self::unsupervised(names);
        house.supervise();
        house.core.tend().await.expect("the store is there");
        house
    }

    /// A house whose supervisor isn't there yet, and whose Core has done nothing yet.
    pub(crate) fn unsupervised(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = MemoryStore::new();
        let bus = MemoryBus::new(1);
        let configuration = configuration(names);
        let sources = Arc::new(FakeSources {
            configuration: Mutex::new(Ok(configuration.clone())),
            drivers: Mutex::new(BTreeSet::from(["local".to_owned()])),
            remembered: Mutex::new(Ok(None)),
        });
        let core = a_core(&dir, &store, &bus, &sources, configuration);
        Self { dir, store, bus, sources, running: Arc::default(), core }
    }

    pub(crate) fn supervise(&self) {
        let listener = UnixListener::bind(self.dir.path().join("supervisor.sock")).expect("free");
        tokio::spawn(supervise(listener, self.running.clone()));
    }

    /// Another Core process in the same house, with what the sources say now.
    pub(crate) async fn restart_core(&mut self) {
        let configuration = self.sources.configuration().expect("right");
        self.core = a_core(&self.dir, &self.store, &self.bus, &self.sources, configuration);
        self.core.tend().await.expect("the store is there");
    }

    pub(crate) fn configure(&self, configuration: Result<Configuration, String>) {
        *self.sources.configuration.lock().expect("whole") = configuration;
    }

    pub(crate) async fn registry(&self) -> Registry {
        // After a restart of the store each connection fails once.
        let answer = match self.store.registry().await {
            Err(_) => self.store.registry().await,
            answer => answer,
        };
        answer.expect("the store is there").expect("registered")
    }

    /// The process of a service's driver.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        let running = self.running.lock().expect("whole");
        running.processes.get(&format!("driver-{name}")).and_then(|process| process.pid)
    }

    /// Starts a pretended driver for service `id`, ready and idle.
    pub(crate) async fn drive(&self, id: u16, name: &str) -> Arc<FakeDriver> {
        let driver = Arc::new(FakeDriver { idle: true.into(), ..FakeDriver::default() });
        let mut replier =
            self.bus.replier(&Endpoint::control(ServiceId(id))).await.expect("a free address");
        let answering = driver.clone();
        tokio::spawn(async move {
            while let Ok((request, reply)) = replier.recv().await {
                reply.send(encode(&answering.answer(&request)));
            }
        });
        let pid = self.pid(name).unwrap_or_default();
        self.report(id, &Report { pid, ..ready() }).await;
        driver
    }

    pub(crate) async fn report(&self, id: u16, report: &Report) {
        self.store.set_report(ServiceId(id), report).await.expect("the store is there");
    }
}

fn a_core(
    dir: &tempfile::TempDir,
    store: &MemoryStore,
    bus: &MemoryBus,
    sources: &Arc<FakeSources>,
    configuration: Configuration,
) -> Arc<Core> {
    let place = Place {
        runtime_dir: PathBuf::from("/run/onitu"),
        redis_url: "redis+unix:///run/onitu/redis.sock".to_owned(),
    };
    let supervisor = Supervisor::new(dir.path().join("supervisor.sock"));
    let (store, bus) = (Arc::new(store.clone()), Arc::new(bus.clone()));
    Arc::new(Core::new(store, bus, supervisor, sources.clone(), place, configuration))
}

/// A report of a driver that has scanned and is ready, just now.
pub(crate) fn ready() -> Report {
    Report { state: ServiceState::Ready, scans: 1, at_ms: clock::now_ms(), ..Report::default() }
}

/// Answers as a driver does.
#[derive(Default)]
pub(crate) struct FakeDriver {
    pub(crate) idle: AtomicBool,
    pub(crate) activity: AtomicU64,
    /// Whether something happens between every two looks.
    pub(crate) restless: AtomicBool,
    pub(crate) rescans: AtomicU64,
    /// What its brake holds.
    pub(crate) held: Mutex<Option<Held>>,
    /// What was decided about it.
    pub(crate) verdict: Mutex<Option<Verdict>>,
    pub(crate) trash: FakeTrash,
}

impl FakeDriver {
    fn answer(&self, request: &[u8]) -> Reply {
        match decode(request).expect("a request") {
            Request::Settle => {
                let step = u64::from(self.restless.load(Ordering::Relaxed));
                let activity = self.activity.fetch_add(step, Ordering::Relaxed);
                Reply::Settled { idle: self.idle.load(Ordering::Relaxed), activity }
            }
            Request::Rescan => {
                self.rescans.fetch_add(1, Ordering::Relaxed);
                Reply::Done
            }
            Request::Brake(approval) => match *self.held.lock().expect("whole") {
                None => Reply::Refused(Fault::new(FaultKind::NotFound, "nothing is held")),
                Some(held) if approval.verdict.is_none() => {
                    Reply::Held(Box::new(Review { held, ..Review::default() }))
                }
                Some(_) => {
                    *self.verdict.lock().expect("whole") = approval.verdict;
                    Reply::Done
                }
            },
            Request::Trash(query) => self.trash.page(&query),
            Request::Restore { items, .. } => self.trash.restore(items),
            Request::Verify(_) | Request::Resolve(_) => Reply::Done,
            Request::Orders { .. } => panic!("the Core orders nothing"),
        }
    }
}

/// The trash of a pretended driver: its pages are short, and all that is asked for is put back.
#[derive(Default)]
pub(crate) struct FakeTrash {
    /// The newest first; [`None`] where there is no trash.
    pub(crate) items: Mutex<Option<Vec<Trashed>>>,
    pub(crate) restored: Mutex<Vec<Restore>>,
    asked: AtomicU64,
}

impl FakeTrash {
    fn page(&self, query: &TrashQuery) -> Reply {
        let items = self.items.lock().expect("whole");
        let Some(items) = items.as_ref() else {
            return Reply::Refused(Fault::new(FaultKind::Unsupported, "no trash"));
        };
        let from: usize = query.cursor.as_ref().map_or(0, |it| it.parse().expect("a number"));
        let page = items.iter().skip(from).take(2);
        let page = page.filter(|it| it.path.is_within(&query.below) && it.at_ms > query.after_ms);
        let next = (from + 2 < items.len()).then(|| (from + 2).to_string());
        Reply::Trash(TrashPage { items: page.cloned().collect(), next })
    }

    /// Every second question is answered: the work takes a while.
    fn restore(&self, items: Vec<Restore>) -> Reply {
        if self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            return Reply::Restored(None);
        }
        let outcomes = items.iter().map(|it| Restored::Placed { replaced: it.replace });
        let outcomes = outcomes.collect();
        self.restored.lock().expect("whole").extend(items);
        Reply::Restored(Some(outcomes))
    }
}

/// Asks on a socket, as the command line does; answers every line up to the last.
pub(crate) async fn ask(stream: &mut UnixStream, line: &str) -> String {
    stream.write_all(line.as_bytes()).await.expect("the Core listens");
    stream.write_all(b"\n").await.expect("the Core listens");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.expect("an answer");
    answer
}
