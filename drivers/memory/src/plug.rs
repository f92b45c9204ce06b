//! The driver: the trait's calls, each an effect on the storage between two chances to fail.

use std::marker::PhantomData;
use std::time::Duration;

use onitu_plug::{
    Abilities, Checksum, Content, Fault, FaultKind, Found, Hints, Kind, Listing, Manifest, Path,
    Plug, Setting, State, Tag, TrashPage, TrashQuery,
};

use crate::abilities::{Able, Everything};
use crate::faults::Call;
use crate::options::{MemoryOptions, manifest};
use crate::service::MemoryService;
use crate::sink::MemorySink;
use crate::source::MemorySource;
use crate::storage::Storage;
use crate::watch;

/// Most entries of one page of a listing.
const PAGE_ENTRIES_MAX: usize = 1_000;

/// A driver over a [`MemoryService`], with the abilities of `A`. Dropping it (and its sources and
/// sinks) is its crash.
#[derive(Debug)]
pub struct Memory<A: Able = Everything> {
    service: MemoryService,
    abilities: PhantomData<fn() -> A>,
}

impl Memory<Everything> {
    /// A driver over a storage that can do everything; see [`Memory::begin`] for others.
    pub fn over(service: MemoryService) -> Self {
        Self::begin(service)
    }
}

impl<A: Able> Memory<A> {
    /// A driver over the storage, whatever that can do. What the driver before it left half written suffers the crash now, if [`crate::Faults::tear_part`] says so.
    pub fn begin(service: MemoryService) -> Self {
        service.with(|storage| {
            storage.parts.tear(&mut storage.dice);
        });
        Self { service, abilities: PhantomData }
    }

    /// As [`Memory::begin`], but fails as [`Plug::connect`] would: `Unavailable` while the storage
    /// is offline, and by chance.
    pub async fn try_begin(service: MemoryService) -> Result<Self, Fault> {
        let access = Access::begin(&service, Call::Reads, "connect").await?;
        reach(&service, |_| Ok(()))?;
        access.end().await?;
        Ok(Self::begin(service))
    }

    /// Runs one call: a pause and a chance to fail, the effect, and both again.
    async fn call<R>(
        &self,
        call: Call,
        name: &'static str,
        effect: impl FnOnce(&mut Storage) -> Result<R, Fault> + Send,
    ) -> Result<R, Fault> {
        let access = Access::begin(&self.service, call, name).await?;
        let done = reach(&self.service, effect)?;
        access.end().await?;
        Ok(done)
    }
}

impl<A: Able> Plug for Memory<A> {
    type Options = MemoryOptions;
    type Source = MemorySource;
    type Sink = MemorySink;

    fn manifest() -> Manifest {
        manifest::<A>()
    }

    fn abilities(&self) -> Abilities {
        self.service.abilities()
    }

    fn listing_lag(&self) -> Duration {
        self.service.with(|storage| storage.lag.most)
    }

    async fn connect(options: MemoryOptions, setting: Setting) -> Result<Self, Fault> {
        let name = options.storage.unwrap_or(setting.service);
        Self::try_begin(MemoryService::named::<A>(&name)).await
    }

    async fn check(&self) -> Result<(), Fault> {
        self.call(Call::Reads, "answer", |_| Ok(())).await
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        watch::run(&self.service, hints).await
    }

    async fn settle(&self) -> Result<(), Fault> {
        let caught_up = self.service.with(|storage| storage.lag.caught_up());
        if let Some(caught_up) = caught_up {
            tokio::time::sleep_until(caught_up).await;
        }
        let tell_all = |storage: &mut Storage| {
            storage.news.deliver(None);
            Ok(())
        };
        self.call(Call::Reads, "settle", tell_all).await
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        let mut after: Option<String> = None;
        loop {
            let page = self
                .call(Call::Reads, "list", |storage| page(storage, directory, after.as_deref()))
                .await?;
            let sent = listing.send(page.found).await;
            if let Some(fault) = page.broken {
                return Err(fault);
            }
            sent.map_err(|_| Fault::new(FaultKind::Cancelled, "nobody reads the listing"))?;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        let look = |storage: &mut Storage| {
            if watch::is_own(path) {
                return Ok(None);
            }
            let state = storage.look(path)?;
            Ok(state.map(|state| storage.told(state)))
        };
        self.call(Call::Reads, "look", look).await
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<MemorySource, Fault> {
        let open = |storage: &mut Storage| {
            storage.work.reads += 1;
            storage.expect(path, Some(tag))?;
            match storage.look(path)? {
                Some(state) if state.content.kind != Kind::Directory => Ok(state.content),
                _ => Err(unsupported(format!("`{path}` is a directory, it has no bytes"))),
            }
        };
        let content = self.call(Call::Reads, "open", open).await?;
        let (service, path) = (self.service.clone(), path.clone());
        Ok(MemorySource { service, path, tag, content, offset })
    }

    async fn write(
        &self,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<MemorySink, Fault> {
        let begin = |storage: &mut Storage| {
            refuse_name(path)?;
            if content.kind == Kind::Symlink && !storage.tree.abilities().symlinks {
                return Err(unsupported(format!("`{path}` can't be a symbolic link here")));
            }
            storage.refuse_taken(path)?;
            storage.refuse_beyond_capacity(path, content.size)?;
            Ok(storage.parts.claim(path, resume))
        };
        let claim = self.call(Call::Writes, "begin a file", begin).await?;
        Ok(MemorySink { service: self.service.clone(), path: path.clone(), claim })
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        let make = |storage: &mut Storage| {
            if !storage.tree.abilities().directories {
                return Err(unsupported(format!("`{path}` can't be an empty directory here")));
            }
            if !path.is_root() {
                refuse_name(path)?;
            }
            storage.make_directory(path, expect)
        };
        self.call(Call::Writes, "make a directory", make).await
    }

    async fn set_attributes(
        &self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> Result<State, Fault> {
        let set = |storage: &mut Storage| storage.set_attributes(path, expect, content);
        self.call(Call::Writes, "set attributes", set).await
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let rename = |storage: &mut Storage| {
            if !storage.tree.abilities().rename {
                return Err(unsupported(format!("`{from}` can't be renamed here")));
            }
            refuse_name(from)?;
            refuse_name(to)?;
            storage.rename(from, expect_from, to, expect_to)
        };
        self.call(Call::Writes, "rename", rename).await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        let remove = |storage: &mut Storage| {
            refuse_name(path)?;
            storage.remove(path, expect)
        };
        self.call(Call::Writes, "remove", remove).await
    }

    async fn trash(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        let page = |storage: &mut Storage| {
            refuse_no_trash::<A>()?;
            Ok(storage.trash.page(query))
        };
        self.call(Call::Reads, "list the trash", page).await
    }

    async fn hash_trashed(&self, id: &str) -> Result<Checksum, Fault> {
        let hash = |storage: &mut Storage| {
            refuse_no_trash::<A>()?;
            storage.trash.hash(id)
        };
        self.call(Call::Reads, "read in the trash", hash).await
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        let restore = |storage: &mut Storage| {
            refuse_no_trash::<A>()?;
            refuse_name(path)?;
            storage.restore(id, path, expect)
        };
        self.call(Call::Writes, "restore", restore).await
    }
}

/// One page of a listing.
struct Page {
    found: Vec<Found>,
    /// After which key the next page begins, if there is one.
    next: Option<String>,
    /// Why the listing ends here although it isn't complete.
    broken: Option<Fault>,
}

fn page(storage: &mut Storage, directory: &Path, after: Option<&str>) -> Result<Page, Fault> {
    let tree = &storage.tree;
    let missing = || Fault::new(FaultKind::NotFound, format!("`{directory}` is not there"));
    let number = tree.find_exact(directory).ok_or_else(missing)?;
    let held = tree.directory(number).ok_or_else(|| {
        Fault::new(FaultKind::NotADirectory, format!("`{directory}` is no directory"))
    })?;
    let names = held.page(after, PAGE_ENTRIES_MAX);
    let next = (names.len() == PAGE_ENTRIES_MAX).then(|| names.last().map(|it| it.0.clone()));
    let mut found = Vec::with_capacity(names.len());
    for (_, name, number) in names {
        let path = directory.join(&name);
        if directory.is_root() && name == ".onitu" {
            continue;
        }
        let invalid =
            |it: onitu_plug::InvalidPath| Fault::new(FaultKind::InvalidName, it.to_string());
        match path.map_err(invalid).and_then(|path| tree.state(&path, number)) {
            Ok(state) => found.push(Found::Entry { name, state }),
            Err(fault) => found.push(Found::Problem { name, fault }),
        }
    }
    storage.lag.distort(directory, after.is_none(), &mut found);
    for entry in &found {
        if let Found::Entry { state, .. } = entry {
            storage.told(*state);
        }
    }
    let held = storage.tree.directory(number).ok_or_else(missing)?;
    if after.is_none() {
        found.extend(held.unnameable.iter().map(|name| unnameable(name)));
    }
    let dice = &mut storage.dice;
    let mut broken = None;
    if dice.happens(dice.faults.half_listing) {
        found.truncate(dice.below(found.len()));
        let message = format!("the listing of `{directory}` broke off");
        let kind = dice.faults.kinds.first().copied().unwrap_or(FaultKind::Unavailable);
        broken = Some(Fault::new(kind, message));
    }
    Ok(Page { found, next: next.flatten(), broken })
}

fn unnameable(name: &[u8]) -> Found {
    let shown: String = name.utf8_chunks().fold(String::new(), |shown, chunk| {
        let bytes = chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}"));
        shown + chunk.valid() + &bytes.collect::<String>()
    });
    let message = format!("the name `{shown}` is no UTF-8: rename it, and it is synchronized");
    Found::Problem { name: shown, fault: Fault::new(FaultKind::InvalidName, message) }
}

/// Refuses the root and what is the driver's own.
fn refuse_name(path: &Path) -> Result<(), Fault> {
    if path.is_root() || watch::is_own(path) {
        let message = format!("`{path}` belongs to the driver");
        return Err(Fault::new(FaultKind::InvalidName, message));
    }
    Ok(())
}

fn refuse_no_trash<A: Able>() -> Result<(), Fault> {
    if A::ABILITIES.trash {
        return Ok(());
    }
    Err(unsupported("this storage keeps no trash".to_owned()))
}

fn unsupported(message: String) -> Fault {
    Fault::new(FaultKind::Unsupported, message)
}

/// Has an effect on the storage if it is there.
pub(crate) fn reach<R>(
    service: &MemoryService,
    effect: impl FnOnce(&mut Storage) -> Result<R, Fault>,
) -> Result<R, Fault> {
    service.with(|storage| {
        if storage.online {
            return effect(storage);
        }
        let message = "the storage is offline: bring it back with `set_online`";
        Err(Fault::new(FaultKind::Unavailable, message))
    })
}

/// One call on its way: its fate is thrown when it begins.
pub(crate) struct Access {
    pause: Duration,
    fault: Option<Fault>,
}

impl Access {
    /// Waits and fails as the dice say, before any effect.
    pub(crate) async fn begin(
        service: &MemoryService,
        call: Call,
        name: &str,
    ) -> Result<Self, Fault> {
        let (pause, failed, after) = service.with(|storage| {
            storage.work.writes += u64::from(call == Call::Writes);
            let dice = &mut storage.dice;
            let pause = dice.delay(dice.faults.delay_ms_max);
            let failed = dice.fault(dice.faults.fail, call, name);
            let fault = dice.fault(dice.faults.lose_answer, call, name);
            (pause, failed, Self { pause: dice.delay(dice.faults.delay_ms_max), fault })
        });
        wait(pause).await;
        failed.map_or(Ok(after), Err)
    }

    /// Waits and fails as the dice said, after the effect.
    pub(crate) async fn end(self) -> Result<(), Fault> {
        wait(self.pause).await;
        self.fault.map_or(Ok(()), Err)
    }
}

async fn wait(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}
