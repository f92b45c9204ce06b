//! A driver that lies about names and sizes harms nobody but itself: each lie is told, nothing of
//! it reaches another service, and everything else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onitu_core::bus::MemoryBus;
use onitu_core::store::{MemoryStore, Registry, Store};
use onitu_core::{Mode, Service, ServiceId, clock};
use onitu_driver_memory::{Memory, MemoryService};
use onitu_plug::{Fault, Found, Listing, Manifest, Path, Plug, Post, Setting, State, keep};
use onitu_referee::Referee;

/// Names that lead out of the tree, or are none.
const NAMES: [&str; 8] =
    ["..", ".", "", "../outside", "a/../../outside", "/etc/passwd", "d/x", "a\0b"];

/// [`Memory`], but it lists what isn't there and tells wrong sizes until it is made honest.
struct Liar(Memory, Arc<AtomicBool>);

impl Liar {
    fn told(&self, path: &Path, mut state: State) -> State {
        if !self.1.load(Ordering::SeqCst) && path.name() == "shorter" {
            state.content.size += 1;
        }
        if !self.1.load(Ordering::SeqCst) && path.name() == "longer" {
            state.content.size -= 1;
        }
        state
    }
}

impl Plug for Liar {
    type Options = <Memory as Plug>::Options;
    type Source = <Memory as Plug>::Source;
    type Sink = <Memory as Plug>::Sink;

    fn manifest() -> Manifest {
        <Memory>::manifest()
    }

    onitu_plug::forward_plug!(0: check, watch, settle, read, write, make_directory, set_attributes, rename, remove);

    async fn connect(options: Self::Options, setting: Setting) -> Result<Self, Fault> {
        <Memory>::connect(options, setting).await.map(|it| Self(it, Arc::default()))
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        let (pages, mut honest) = tokio::sync::mpsc::channel(8);
        self.0.list(directory, pages).await?;
        let mut lies = Vec::new();
        while let Some(page) = honest.recv().await {
            for found in page {
                let Found::Entry { name, state } = found else { continue };
                let path = directory.join(&name).expect("an honest name");
                lies.push(Found::Entry { name, state: self.told(&path, state) });
            }
        }
        if let (Some(Found::Entry { state, .. }), true) =
            (lies.first().cloned(), directory.is_root())
        {
            lies.extend(NAMES.map(|name| Found::Entry { name: name.to_owned(), state }));
        }
        let _ = listing.send(lies).await;
        Ok(())
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        Ok(self.0.look(path).await?.map(|state| self.told(path, state)))
    }
}

fn service(number: u16) -> Service {
    Service {
        id: ServiceId(number),
        name: format!("s{number}"),
        driver: "memory".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::new(),
    }
}

fn path(text: &str) -> Path {
    Path::new(text).expect("valid")
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_lies_about_names_and_sizes_is_told_and_reaches_nobody() {
    clock::simulate(1_700_000_000_000);
    let (store, bus) = (MemoryStore::new(), MemoryBus::new(1));
    let (liar, other) = (MemoryService::new(), MemoryService::new());
    let large = "12345".repeat(60_000);
    for (name, bytes) in [("honest", "truth"), ("shorter", "12345"), ("longer", &large)] {
        liar.save(&path(name), bytes.to_owned()).expect("saved");
    }
    other.save(&path("from the other"), "also true").expect("saved");
    let services = vec![service(1), service(2)];
    store.set_up().await.expect("set up");
    let registry = Registry { version: 1, services: services.clone(), ..Registry::default() };
    store.set_registry(&registry).await.expect("registered");
    let is_honest = Arc::new(AtomicBool::default());
    let shared: (Arc<dyn Store>, Arc<dyn onitu_core::bus::Bus>) =
        (Arc::new(store.clone()), Arc::new(bus.clone()));
    let post = |at: usize| Post {
        service: services[at].clone(),
        store: shared.0.clone(),
        bus: shared.1.clone(),
    };
    tokio::spawn(Referee::new(shared.0.clone(), shared.1.clone(), 1).run());
    let (storage, honest) = (liar.clone(), is_honest.clone());
    tokio::spawn(keep::<Liar, _>(post(0), move |_| {
        let (storage, honest) = (storage.clone(), honest.clone());
        async move { Ok(Liar(<Memory>::try_begin(storage).await?, honest)) }
    }));
    let storage = other.clone();
    tokio::spawn(keep::<Memory, _>(post(1), move |_| <Memory>::try_begin(storage.clone())));

    until("what is true arrives", async || {
        other.thing(&path("honest")).is_some() && liar.thing(&path("from the other")).is_some()
    })
    .await;
    until("each false name is told", async || {
        let reports = store.reports().await.expect("reports");
        let told = reports.get(&ServiceId(1)).map(|report| report.problems.clone());
        let told = told.unwrap_or_default();
        let is_told = |name: &str| told.iter().any(|it| it.message.contains(&format!("{name:?}")));
        NAMES.iter().copied().all(is_told)
    })
    .await;
    until("the false sizes are told", async || {
        // A small one by its own driver, which reads it, a large one by whoever pulls it.
        let reports = store.reports().await.expect("reports");
        let own = reports.get(&ServiceId(1)).is_some_and(|report| {
            report.problems.iter().any(|it| it.path == "shorter" && it.message.contains("6 bytes"))
        });
        let failing = store.problems(ServiceId(2), 10).await.expect("problems");
        own && failing.iter().any(|(path, _)| path.as_str() == "longer")
    })
    .await;
    let names: Vec<_> = other.tree().into_keys().map(|path| path.to_string()).collect();
    assert_eq!(names, ["from the other", "honest"]);

    is_honest.store(true, Ordering::SeqCst);
    for name in ["shorter", "longer"] {
        liar.touch(&path(name), 1_700_000_000_000_000_000);
    }
    until("the truth arrives", async || {
        other.read(&path("shorter")).is_some_and(|it| it == "12345")
            && other.read(&path("longer")).is_some_and(|it| it == large)
    })
    .await;
    assert_eq!(liar.tree().len(), 4);
}
