//! The connected folder: what stands at its paths, spelled exactly as they are asked for, and
//! whether it is still there.

use std::sync::Arc;

use onitu_plug::{Fault, FaultKind, Path, Tag, Why};
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::client::Client;
use crate::commit::Committer;
use crate::echo::Echo;
use crate::fault::{Refusal, changed, taken};
use crate::marker;
use crate::name;
use crate::spelling::{Spelling, above};
use crate::state::Thing;
use crate::trash::Trash;

/// Most blocks of 4 MiB under way, of all contents together.
const BLOCKS_MAX: usize = 8;

/// A folder of an account.
pub(crate) struct Folder {
    pub(crate) client: Arc<Client>,
    pub(crate) committer: Committer,
    /// Held by each block of a large content that is under way.
    pub(crate) blocks: Arc<Semaphore>,
    /// Nothing for the whole account, else `/…`.
    root: String,
    pub(crate) spelling: Spelling,
    pub(crate) echo: Echo,
    /// Where it is written down what went to the trash, if it is.
    pub(crate) trash: Option<Trash>,
    /// When the last look at the marker began that found it.
    verified: Mutex<Option<Instant>>,
}

/// What stands at a path.
pub(crate) enum There {
    Nothing,
    /// Something else whose name Dropbox can't tell from this one, or it is in such a folder.
    Twin,
    Is(Thing),
}

/// The folders above a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    Exact,
    Missing,
    Twin,
    File,
}

impl Folder {
    pub(crate) fn new(client: Client, root: String, trash: Option<Trash>) -> Self {
        let client = Arc::new(client);
        Self {
            committer: Committer::start(Arc::clone(&client)),
            blocks: Arc::new(Semaphore::new(BLOCKS_MAX)),
            client,
            root,
            spelling: Spelling::default(),
            echo: Echo::default(),
            trash,
            verified: Mutex::new(None),
        }
    }

    /// Notes that a file went to the trash, where somebody put it.
    pub(crate) async fn trashed(&self, path: &Path, thing: &Thing, why: Why) {
        let Some(trash) = &self.trash else { return };
        if let Err(fault) = trash.add(path, thing, why).await {
            // It is gone all the same, and Dropbox has it.
            tracing::warn!(%path, "not in the list of the trash: {fault}");
        }
    }

    /// Nothing for the whole account, else `/…`.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// A path as Dropbox has it.
    pub(crate) fn at(&self, path: &Path) -> String {
        format!("{}{}", self.root, name::held(path))
    }

    /// A path of Onitu's own files.
    pub(crate) fn own(&self, rest: &str) -> String {
        format!("{}/{}{rest}", self.root, name::OWN)
    }

    /// What stands at a path of the account, however it is spelled.
    pub(crate) async fn metadata(&self, at: &str) -> Result<Option<Thing>, Refusal> {
        match self.client.ask("files/get_metadata", &json!({ "path": at })).await {
            Ok(metadata) => Ok(Thing::read(&metadata)),
            Err(refusal) if refusal.is("path/not_found") => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn stands(&self, held: &str, path: &Path) -> Result<Option<Thing>, Fault> {
        let found = self.metadata(&format!("{}{held}", self.root)).await;
        found.map_err(|refusal| refusal.fault("look at", path))
    }

    /// Refuses if the folder is gone, or isn't known to be there.
    pub(crate) async fn verify(&self) -> Result<(), Fault> {
        let asked = Instant::now();
        // Who waited here while another looked has the answer.
        let mut verified = self.verified.lock().await;
        if verified.is_some_and(|begun| begun >= asked) {
            return Ok(());
        }
        let begun = Instant::now();
        marker::check(self).await?;
        *verified = Some(begun);
        Ok(())
    }

    /// What stands at a path that isn't the root.
    pub(crate) async fn find(&self, path: &Path) -> Result<There, Fault> {
        let held = name::held(path);
        let Some(thing) = self.stands(&held, path).await? else { return Ok(There::Nothing) };
        if !held.ends_with(&format!("/{}", thing.name)) {
            return Ok(There::Twin);
        }
        Ok(match self.above(&held, path).await? {
            Above::Exact => There::Is(thing),
            Above::Twin => There::Twin,
            // Moved away in this instant.
            Above::Missing | Above::File => There::Nothing,
        })
    }

    async fn above(&self, held: &str, path: &Path) -> Result<Above, Fault> {
        for folder in above(held) {
            if self.spelling.knows(folder) {
                continue;
            }
            let Some(thing) = self.stands(folder, path).await? else {
                return Ok(Above::Missing);
            };
            if !folder.ends_with(&format!("/{}", thing.name)) {
                return Ok(Above::Twin);
            }
            if !thing.is_folder() {
                return Ok(Above::File);
            }
            self.spelling.remember(folder);
        }
        Ok(Above::Exact)
    }

    /// What stands at a path that is about to be changed, if that is `expect`.
    pub(crate) async fn target(
        &self,
        path: &Path,
        expect: Option<Tag>,
    ) -> Result<Option<Thing>, Fault> {
        match self.find(path).await? {
            There::Twin => Err(taken(path)),
            There::Is(thing) => {
                let is_it = expect == Some(thing.state.tag) && thing.odd.is_none();
                if is_it { Ok(Some(thing)) } else { Err(changed(path)) }
            }
            There::Nothing => {
                self.reach(path).await?;
                if expect.is_some() { Err(changed(path)) } else { Ok(None) }
            }
        }
    }

    /// Refuses a path that nothing can be put at, whether or not something stands there: a call
    /// that puts something there without replacing anything finds out about that by itself.
    pub(crate) async fn reach(&self, path: &Path) -> Result<(), Fault> {
        let above = self.above(&name::held(path), path).await?;
        // Nothing may be made where the folder itself is gone.
        self.verify().await?;
        match above {
            Above::Twin => Err(taken(path)),
            Above::File => Err(not_a_directory(path)),
            Above::Exact | Above::Missing => Ok(()),
        }
    }

    /// Why something could not be put at a path where it was to be.
    pub(crate) async fn in_the_way(&self, path: &Path, refusal: Refusal) -> Fault {
        if !refusal.has("conflict") {
            return refusal.fault("write", path);
        }
        match self.target(path, None).await {
            Err(fault) => fault,
            // It is gone again.
            Ok(_) => changed(path),
        }
    }

    /// Whether a thing that was just made is where it was to be, and not in a folder that is a
    /// twin of the one that was meant.
    pub(crate) async fn is_at(&self, thing: &Thing, path: &Path) -> Result<bool, Fault> {
        let held = name::held(path);
        if thing.shown.ends_with(&held) {
            return Ok(true);
        }
        self.spelling.forget();
        let exact = self.above(&held, path).await? == Above::Exact;
        Ok(exact && held.ends_with(&format!("/{}", thing.name)))
    }

    /// The path of a thing that Dropbox shows, with each name as it really is; [`None`] if it is
    /// no path, is the root, or Onitu's own.
    pub(crate) async fn path_of(&self, shown: &str) -> Option<Path> {
        let below = self.root.matches('/').count() + 1;
        let at = shown.match_indices('/').nth(below - 1)?.0;
        let held = self.spelled(&shown[at..]).await;
        let names: Vec<String> = held.split('/').skip(1).map(name::decode).collect();
        let path = Path::new(&names.join("/")).ok()?;
        (!path.is_root() && !is_own(&path)).then_some(path)
    }

    /// A held path with the true names of its folders, as far as they are there.
    async fn spelled(&self, held: &str) -> String {
        let Some((folders, last)) = held.rsplit_once('/') else { return held.to_owned() };
        if self.spelling.knows(folders) {
            return held.to_owned();
        }
        let mut spelled = String::new();
        for shown in folders.split('/').skip(1) {
            let asked = format!("{spelled}/{shown}");
            if self.spelling.knows(&asked) {
                spelled = asked;
                continue;
            }
            let found = self.metadata(&format!("{}{asked}", self.root)).await.ok().flatten();
            match found.filter(Thing::is_folder) {
                Some(folder) => {
                    spelled = format!("{spelled}/{}", folder.name);
                    self.spelling.remember(&spelled);
                }
                None => spelled = asked,
            }
        }
        format!("{spelled}/{last}")
    }
}

/// Whether a path that Dropbox shows is Onitu's own, in whatever letters.
fn is_own(path: &Path) -> bool {
    path.as_str().split('/').next().is_some_and(|first| first.eq_ignore_ascii_case(name::OWN))
}

/// Something that is no folder stands where a folder is needed.
pub(crate) fn not_a_directory(path: &Path) -> Fault {
    let text = format!("a folder above `{path}` is a file");
    Fault::new(FaultKind::NotADirectory, text)
}
