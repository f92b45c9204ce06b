//! A driver that makes one mistake, chosen by its type, over the memory driver.

use std::sync::Arc;

use onitu_conformance::Subject;
use onitu_driver_memory::{Memory, MemoryService, MemorySink, MemorySource};
use onitu_plug::{
    Bytes, Content, Fault, Hasher, Hints, Listing, Manifest, Path, Plug, Setting, Sink, Source,
    State, Tag,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const NO_MISTAKE: u8 = 0;
pub const IGNORES_EXPECT: u8 = 1;
pub const PLACES_EARLY: u8 = 2;
pub const FORGETS_PAGES: u8 = 3;
pub const READS_ON: u8 = 4;
pub const REMOVES_ANYWAY: u8 = 5;
pub const HINTS_AT_NOTHING: u8 = 6;

/// The driver.
pub struct Careless<const MISTAKE: u8> {
    plug: Arc<Memory>,
    service: MemoryService,
}

/// Its source; one that reads on has all bytes from the start and asks nobody again.
pub struct CarelessSource<const MISTAKE: u8> {
    source: MemorySource,
    rest: Bytes,
}

/// Its sink.
pub struct CarelessSink<const MISTAKE: u8> {
    plug: Arc<Memory>,
    service: MemoryService,
    sink: MemorySink,
    path: Path,
}

impl<const MISTAKE: u8> Plug for Careless<MISTAKE> {
    type Options = <Memory as Plug>::Options;
    type Source = CarelessSource<MISTAKE>;
    type Sink = CarelessSink<MISTAKE>;

    fn manifest() -> Manifest {
        <Memory>::manifest()
    }

    onitu_plug::forward_plug!(plug: check, settle, look, make_directory, set_attributes, rename);

    async fn connect(options: Self::Options, setting: Setting) -> Result<Self, Fault> {
        let name = options.storage.clone().unwrap_or_default();
        let plug = Arc::new(Memory::connect(options, setting).await?);
        let service = MemoryService::named::<onitu_driver_memory::Everything>(&name);
        Ok(Self { plug, service })
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        if MISTAKE == HINTS_AT_NOTHING {
            return std::future::pending().await;
        }
        self.plug.watch(hints).await
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        if MISTAKE != FORGETS_PAGES {
            return self.plug.list(directory, listing).await;
        }
        let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
        self.plug.list(directory, sender).await?;
        if let Some(page) = receiver.recv().await {
            let _ = listing.send(page).await;
        }
        Ok(())
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<Self::Source, Fault> {
        let source = self.plug.read(path, tag, offset).await?;
        let all = self.service.read(path).unwrap_or_default();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
        Ok(CarelessSource { source, rest: all.slice(from..) })
    }

    async fn write(&self, path: &Path, content: &Content, key: u64) -> Result<Self::Sink, Fault> {
        let sink = self.plug.write(path, content, key).await?;
        let (plug, service) = (Arc::clone(&self.plug), self.service.clone());
        Ok(CarelessSink { plug, service, sink, path: path.clone() })
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        let standing = self.plug.look(path).await?.map_or(expect, |state| state.tag);
        let expect = if MISTAKE == REMOVES_ANYWAY { standing } else { expect };
        self.plug.remove(path, expect).await
    }
}

impl<const MISTAKE: u8> Source for CarelessSource<MISTAKE> {
    fn content(&self) -> Content {
        self.source.content()
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        if MISTAKE == READS_ON {
            return Ok(self.rest.split_to(self.rest.len().min(max as usize)));
        }
        self.source.next(max).await
    }
}

impl<const MISTAKE: u8> Sink for CarelessSink<MISTAKE> {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        self.sink.resumed().await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        if MISTAKE == PLACES_EARLY {
            self.service.append(&self.path, &bytes)?;
        }
        self.sink.write(bytes).await
    }

    async fn place(self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let standing = self.plug.look(&self.path).await?.map(|state| state.tag);
        let careless = MISTAKE == IGNORES_EXPECT || MISTAKE == PLACES_EARLY;
        self.sink.place(content, if careless { standing } else { expect }).await
    }

    async fn discard(self) {
        self.sink.discard().await;
    }
}

/// A storage of its own for each case, edited by its user without the careless driver.
pub struct Shop<const MISTAKE: u8> {
    service: MemoryService,
    /// Gives the storage a name that no other has.
    name: TempDir,
}

impl<const MISTAKE: u8> Subject for Shop<MISTAKE> {
    type Plug = Careless<MISTAKE>;

    async fn fresh() -> Self {
        let name = tempfile::tempdir().expect("a temporary folder");
        let service = MemoryService::named::<onitu_driver_memory::Everything>(&shown(&name));
        Self { service, name }
    }

    fn options(&self) -> Value {
        json!({ "storage": shown(&self.name) })
    }

    fn has_door(&self) -> bool {
        true
    }

    async fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        self.service.save(path, bytes.to_vec())
    }

    async fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        self.service.append(path, bytes)
    }

    async fn remove(&self, path: &Path) -> Result<(), Fault> {
        self.service.remove(path);
        Ok(())
    }
}

fn shown(name: &TempDir) -> String {
    name.path().display().to_string()
}
