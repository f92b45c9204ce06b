//! The folder of the service: what stands at a path of it.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use onitu_plug::{Fault, FaultKind, Path, Setting, Tag};
use tokio::sync::{Mutex, RwLock, RwLockWriteGuard};

use crate::client::Client;
use crate::fault::{Refusal, fault, unavailable};
use crate::marker::Marker;
use crate::name;
use crate::probe;
use crate::state::{There, Thing};

/// Where files wait that nobody may see yet.
pub(crate) const TEMPORARY: &str = ".onitu/tmp/";
/// A temporary file that is older was left by a crash.
const LEFTOVER_MS: i64 = 24 * 60 * 60 * 1_000;
/// Paths share locks; few enough to forget, many enough that a wait is rare.
const LOCKS: usize = 256;

/// A folder that was found to be the right one.
pub(crate) struct Folder {
    pub(crate) client: Client,
    pub(crate) setting: Setting,
    marker: Marker,
    /// Letters that the server can't have in a name.
    odd: String,
    locks: Vec<RwLock<()>>,
    /// Held while directories are made: some servers fail if two make the same one.
    making: Mutex<()>,
}

/// A name that no other temporary file has.
pub(crate) fn new_name(what: &str) -> String {
    format!("{TEMPORARY}{what}-{:016x}", fastrand::u64(..))
}

/// A path as opendal wants it.
pub(crate) fn key(path: &Path) -> &str {
    if path.is_root() { "/" } else { path.as_str() }
}

impl Folder {
    /// Finds the folder, and refuses another one.
    pub(crate) async fn open(client: Client, shown: &str, setting: Setting) -> Result<Self, Fault> {
        let marker = Marker::claim(&client, shown, &setting).await?;
        let made = client.make_directory(TEMPORARY).await;
        made.map_err(|it| unavailable(fault("make", TEMPORARY, &it).message))?;
        let odd = probe::probe(&client, shown).await?;
        let locks = (0..LOCKS).map(|_| RwLock::new(())).collect();
        Ok(Self { client, setting, marker, odd, locks, making: Mutex::new(()) })
    }

    /// Refuses what can't be changed here: it is Onitu's own, or has a name that can't be held.
    pub(crate) fn check(&self, path: &Path) -> Result<(), Fault> {
        name::check(path)?;
        let Some(letter) = path.as_str().chars().find(|it| self.odd.contains(*it)) else {
            return Ok(());
        };
        let text = format!("`{path}`: the server can't have {letter:?} in a name: rename it");
        Err(Fault::new(FaultKind::InvalidName, text))
    }

    /// Whether it is still there, and the one that was opened.
    pub(crate) async fn verify(&self) -> Result<(), Fault> {
        self.marker.verify(&self.client).await
    }

    /// Removes what earlier incarnations left half written.
    pub(crate) async fn clear_leftovers(&self) -> Result<(), Refusal> {
        let now_ms = i64::try_from(onitu_plug::clock::now_ms()).unwrap_or(i64::MAX);
        let mut entries = self.client.list(TEMPORARY).await?;
        while let Some((name, thing)) = entries.next().await? {
            let is_old = thing.changed_ms().is_some_and(|it| it + LEFTOVER_MS < now_ms);
            if is_old && !thing.is_directory() {
                self.client.delete(&format!("{TEMPORARY}{name}")).await?;
            }
        }
        Ok(())
    }

    /// What stands at a path that nobody else of this driver is changing.
    pub(crate) async fn look(&self, path: &Path) -> Result<There, Fault> {
        if name::is_own(path) {
            return Ok(There::Nothing);
        }
        if !name::can_be_asked(path) {
            return self.look_at_unspeakable(path).await;
        }
        if path.is_root() {
            self.verify().await?;
            return Ok(There::Is(Thing::DIRECTORY));
        }
        let there = {
            let _nothing_is_exchanged = self.lock(path).read().await;
            self.peek(path).await?
        };
        if there == There::Nothing {
            // What is missing because the folder is gone isn't missing but unknown.
            self.verify().await?;
        }
        Ok(there)
    }

    /// What stands at a path, right now.
    pub(crate) async fn peek(&self, path: &Path) -> Result<There, Fault> {
        self.at(key(path)).await.map_err(|refusal| fault("look at", path, &refusal))
    }

    /// The same for any of the service's paths. Below a file nothing is.
    pub(crate) async fn at(&self, key: &str) -> Result<There, Refusal> {
        match self.client.stat(key).await {
            Err(Refusal::Parent) => Ok(There::Nothing),
            there => there,
        }
    }

    /// Only the listing of its directory tells of a name that can't be asked for.
    async fn look_at_unspeakable(&self, path: &Path) -> Result<There, Fault> {
        let parent = path.parent().unwrap_or_else(Path::root);
        if !name::can_be_asked(&parent) {
            return Ok(There::Nothing);
        }
        let failed = |refusal: Refusal| fault("look at", path, &refusal);
        if !matches!(self.peek(&parent).await?, There::Is(it) if it.is_directory()) {
            return Ok(There::Nothing);
        }
        let mut entries = self.client.list(&name::directory(&parent)).await.map_err(failed)?;
        while let Some((name, _)) = entries.next().await.map_err(failed)? {
            if name == path.name() {
                return Err(name::unspeakable(path.as_str()));
            }
        }
        Ok(There::Nothing)
    }

    /// What stands at a path that is about to be changed, with the directories above it made if
    /// `expect` allows that there are none. A file above it is no directory.
    pub(crate) async fn enter(&self, path: &Path, expect: Option<Tag>) -> Result<There, Fault> {
        let mut above = path.parent().filter(|it| !it.is_root());
        let parent = above.clone();
        let mut is_there = true;
        while let Some(directory) = above {
            match self.peek(&directory).await? {
                There::Is(thing) if thing.is_directory() => break,
                There::Is(_) => {
                    let text = format!("`{directory}` is a file: `{path}` can't be below it");
                    return Err(Fault::new(FaultKind::NotADirectory, text));
                }
                There::Nothing => is_there = false,
            }
            above = directory.parent().filter(|it| !it.is_root());
        }
        let Some(parent) = parent.filter(|_| !is_there) else { return self.peek(path).await };
        if expect.is_none() {
            self.verify().await?;
            let _alone = self.making.lock().await;
            let made = self.client.make_directory(&name::directory(&parent)).await;
            made.map_err(|refusal| fault("make", &parent, &refusal))?;
        }
        Ok(There::Nothing)
    }

    /// Makes a directory whose parent is there.
    pub(crate) async fn make(&self, directory: &str) -> Result<(), Refusal> {
        let _alone = self.making.lock().await;
        self.client.make_directory(directory).await
    }

    /// Nobody looks at `path` while the answer lives.
    pub(crate) async fn exchange(&self, path: &Path) -> RwLockWriteGuard<'_, ()> {
        self.lock(path).write().await
    }

    fn lock(&self, path: &Path) -> &RwLock<()> {
        let mut hasher = DefaultHasher::new();
        path.as_str().hash(&mut hasher);
        &self.locks[(hasher.finish() % LOCKS as u64) as usize]
    }
}

/// Works to its end, even if whoever asked for it goes away: what was taken from its name must not
/// stay without one.
pub(crate) async fn to_its_end<T, F, R>(folder: &Arc<Folder>, change: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(Arc<Folder>) -> R,
    R: Future<Output = Result<T, Fault>> + Send + 'static,
{
    let task = tokio::spawn(change(Arc::clone(folder)));
    task.await.map_err(|_| Fault::new(FaultKind::Bug, "a change ended without an answer"))?
}
