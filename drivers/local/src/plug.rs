//! The driver as Onitu sees it: each method in a few lines, on top of the other rooms.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use onitu_plug::{
    Abilities, Checksum, Content, Fault, Hints, Listing, Manifest, Path, Plug, Setting, State, Tag,
    TrashPage, TrashQuery,
};
use tokio::task::spawn_blocking;

use crate::change::Work;
use crate::client::Root;
use crate::commit::Commit;
use crate::fault::{lost, unavailable};
use crate::list;
use crate::options::{Options, manifest};
use crate::read::{self, LocalSource, told};
use crate::restore;
use crate::trash::{self, purge::Purge};
use crate::watch::{Limits, Watch};
use crate::write::LocalSink;

/// Between two looks at the bounds of the trash.
const TEND_PAUSE: Duration = Duration::from_secs(5);
/// What a problem with it is shown with.
const TRASH: &str = ".onitu/trash";

/// A folder of this machine.
pub struct Local {
    root: Arc<Root>,
    commit: Arc<Commit>,
    watch: Watch,
}

impl Local {
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Root>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let root = Arc::clone(&self.root);
        spawn_blocking(move || work(root)).await.map_err(|_| lost("a call"))?
    }

    async fn change(&self, work: Work) -> Result<State, Fault> {
        self.commit.ask(work).await?.ok_or_else(|| lost("a change"))
    }

    /// Keeps the trash within its bounds. That it can't be is told with the service's problems,
    /// and harms nothing else.
    async fn tend_trash(&self, hints: &Hints) -> Infallible {
        let mut told = false;
        loop {
            match self.blocking(|root| root.areas().purge(&root)).await {
                Err(fault) => {
                    hints.problem(TRASH, Some(fault));
                    told = true;
                }
                Ok(true) if told => {
                    hints.problem(TRASH, None);
                    told = false;
                }
                Ok(_) => {}
            }
            tokio::time::sleep(TEND_PAUSE).await;
        }
    }
}

impl Plug for Local {
    type Options = Options;
    type Source = LocalSource;
    type Sink = LocalSink;

    fn manifest() -> Manifest {
        manifest()
    }

    fn abilities(&self) -> Abilities {
        let exact_names = !self.root.folds();
        Abilities { exact_names, ..Self::manifest().abilities }
    }

    async fn connect(options: Options, setting: Setting) -> Result<Self, Fault> {
        let mut limits = Limits::default();
        limits.watches_max = options.watches_max.unwrap_or(limits.watches_max);
        limits.poll = options.poll_s.map_or(limits.poll, Duration::from_secs);
        let purge = Purge::new(setting.trash_days, setting.trash_size_bytes);
        let opened = spawn_blocking(move || {
            Root::open(options.root, &setting.service, setting.known, purge)
        });
        let root = Arc::new(opened.await.map_err(|_| lost("a call"))??);
        let commit = Commit::start(Arc::clone(&root))
            .map_err(|error| unavailable(format!("can't start a thread: {error}")))?;
        let watch = Watch::new(Arc::clone(&root), limits);
        Ok(Self { root, commit: Arc::new(commit), watch })
    }

    async fn check(&self) -> Result<(), Fault> {
        self.blocking(|root| root.verify()).await
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        if let Some(notice) = self.root.notice() {
            hints.notice(Some(notice));
        }
        tokio::select! {
            biased;
            end = self.watch.run(hints.clone()) => end,
            never = self.tend_trash(&hints) => match never {},
        }
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.watch.settle().await
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        let directory = directory.clone();
        self.blocking(move |root| list::list(&root, &directory, &listing)).await
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        let path = path.clone();
        self.blocking(move |root| told(&path, &root.look(&path)?)).await
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<LocalSource, Fault> {
        let path = path.clone();
        self.blocking(move |root| read::open(root, path, tag, offset)).await
    }

    async fn write(&self, path: &Path, content: &Content, resume: u64) -> Result<LocalSink, Fault> {
        let (root, commit) = (Arc::clone(&self.root), Arc::clone(&self.commit));
        LocalSink::begin(root, commit, path.clone(), *content, resume).await
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        self.change(Work::MakeDirectory { path: path.clone(), expect }).await
    }

    async fn set_attributes(
        &self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> Result<State, Fault> {
        self.change(Work::SetAttributes { path: path.clone(), expect, content: *content }).await
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let (from, to) = (from.clone(), to.clone());
        self.change(Work::Rename { from, expect_from, to, expect_to }).await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        self.commit.ask(Work::Remove { path: path.clone(), expect }).await.map(drop)
    }

    async fn trash(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        let query = query.clone();
        self.blocking(move |root| trash::list::page(&root.areas().all(&root)?, &query)).await
    }

    async fn hash_trashed(&self, id: &str) -> Result<Checksum, Fault> {
        let id = id.to_owned();
        self.blocking(move |root| restore::hash(&root, &id)).await
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        self.change(Work::Restore { id: id.to_owned(), path: path.clone(), expect }).await
    }
}
