//! The driver as Onitu sees it: each method in a few lines, on top of the other rooms.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use onitu_plug::{
    Checksum, Content, Fault, Hints, Listing, Manifest, Path, Plug, Setting, State, Tag, TrashPage,
    TrashQuery,
};

use crate::change::{self, to_its_end};
use crate::client::Remote;
use crate::list;
use crate::options::{Options, manifest};
use crate::read::{self, SftpSource, told};
use crate::rename;
use crate::restore;
use crate::swap;
use crate::trash;
use crate::watch::Watch;
use crate::watch::helper::Helper;
use crate::write::SftpSink;

/// A folder of another machine, reached by SSH. It lives as long as its connection: a lost one
/// makes everything [`onitu_plug::FaultKind::Unavailable`], and the runtime connects anew.
pub struct Sftp {
    remote: Arc<Remote>,
    watch: Watch,
    poll: Duration,
    helper: Option<Helper>,
}

impl Sftp {
    async fn help(&self, hints: &Hints) -> Infallible {
        match &self.helper {
            Some(helper) => helper.attend(&self.remote, &self.watch, hints, self.poll).await,
            None => std::future::pending().await,
        }
    }
}

impl Plug for Sftp {
    type Options = Options;
    type Source = SftpSource;
    type Sink = SftpSink;

    fn manifest() -> Manifest {
        manifest()
    }

    async fn connect(options: Options, setting: Setting) -> Result<Self, Fault> {
        let remote = Arc::new(Remote::open(&options, &setting).await?);
        let helper = options.watch_command.as_deref().map(Helper::new);
        Ok(Self { remote, watch: Watch::default(), poll: options.poll(), helper })
    }

    async fn check(&self) -> Result<(), Fault> {
        self.remote.check().await
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        tokio::select! {
            biased;
            fault = self.remote.lost() => Err(fault),
            end = self.watch.run(&self.remote, &hints, self.poll) => end,
            never = self.help(&hints) => match never {},
        }
    }

    async fn settle(&self) -> Result<(), Fault> {
        tokio::select! {
            biased;
            fault = self.remote.lost() => Err(fault),
            end = self.watch.settle() => end,
        }
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        list::list(&self.remote, directory, &listing).await
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        told(path, &self.remote.look(path).await?)
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<SftpSource, Fault> {
        read::open(Arc::clone(&self.remote), path.clone(), tag, offset).await
    }

    async fn write(&self, path: &Path, content: &Content, resume: u64) -> Result<SftpSink, Fault> {
        SftpSink::begin(Arc::clone(&self.remote), path.clone(), *content, resume).await
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        let path = path.clone();
        to_its_end(&self.remote, |remote| async move {
            change::make_directory(&remote, &path, expect).await
        })
        .await
    }

    async fn set_attributes(
        &self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> Result<State, Fault> {
        let (path, content) = (path.clone(), *content);
        to_its_end(&self.remote, |remote| async move {
            change::set_attributes(&remote, &path, expect, &content).await
        })
        .await
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let (from, to) = (from.clone(), to.clone());
        to_its_end(&self.remote, |remote| async move {
            rename::rename(&remote, (&from, expect_from), (&to, expect_to)).await
        })
        .await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        let path = path.clone();
        to_its_end(&self.remote, |remote| async move { swap::remove(&remote, &path, expect).await })
            .await
    }

    async fn trash(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        trash::list::page(&self.remote, query).await
    }

    async fn hash_trashed(&self, id: &str) -> Result<Checksum, Fault> {
        restore::hash(&self.remote, id).await
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        let (id, path) = (id.to_owned(), path.clone());
        to_its_end(&self.remote, |remote| async move {
            restore::restore(&remote, &id, &path, expect).await
        })
        .await
    }
}
