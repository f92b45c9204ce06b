//! The driver as Onitu sees it: each method in a few lines, on top of the other rooms.

use std::sync::Arc;

use onitu_plug::{Content, Fault, Hints, Listing, Manifest, Path, Plug, Setting, State, Tag};

use crate::change;
use crate::client::Client;
use crate::folder::{Folder, There};
use crate::list;
use crate::marker;
use crate::name;
use crate::options::{Options, manifest};
use crate::read::{self, DropboxSource};
use crate::resume::Uploads;
use crate::state;
use crate::watch::Watch;
use crate::write::DropboxSink;

/// A folder of a Dropbox account.
pub struct Dropbox {
    folder: Arc<Folder>,
    uploads: Uploads,
    watch: Watch,
}

impl Plug for Dropbox {
    type Options = Options;
    type Source = DropboxSource;
    type Sink = DropboxSink;

    fn manifest() -> Manifest {
        manifest()
    }

    async fn connect(options: Options, setting: Setting) -> Result<Self, Fault> {
        let client = Client::new(&options)?;
        let namespace = options.namespace.as_deref().unwrap_or("home");
        let chosen = client.use_namespace(namespace).await;
        chosen.map_err(|refusal| refusal.fault("reach", "Dropbox"))?;
        let folder = Arc::new(Folder::new(client, options.root()));
        marker::find(&folder, &setting).await?;
        change::recover(&folder).await?;
        let whose = format!("{}\0{}", setting.service, folder.root());
        let uploads = Uploads::new(&options.token_file, whose);
        uploads.tend().await;
        let watch = Watch::begin(&folder).await?;
        Ok(Self { folder, uploads, watch })
    }

    async fn check(&self) -> Result<(), Fault> {
        self.folder.verify().await
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        self.watch.run(&self.folder, hints).await
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.watch.settle().await
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        list::list(&self.folder, directory, &listing).await
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        if path.is_root() {
            self.folder.verify().await?;
            return Ok(Some(state::root()));
        }
        if name::is_own(path) {
            return Ok(None);
        }
        match self.folder.find(path).await? {
            There::Is(thing) => thing.told().map(Some),
            There::Twin => Ok(None),
            There::Nothing => {
                // What is missing because the folder is gone isn't missing but unknown.
                self.folder.verify().await?;
                Ok(None)
            }
        }
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<DropboxSource, Fault> {
        read::open(Arc::clone(&self.folder), path.clone(), tag, offset).await
    }

    async fn write(
        &self,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<DropboxSink, Fault> {
        let folder = Arc::clone(&self.folder);
        let memory = self.uploads.memory(path, resume);
        DropboxSink::begin(folder, memory, (path.clone(), *content)).await
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        change::make_directory(&self.folder, path, expect).await
    }

    async fn set_attributes(
        &self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> Result<State, Fault> {
        change::set_attributes(&self.folder, (path, expect), content).await
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        change::rename(&self.folder, (from, expect_from), (to, expect_to)).await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        change::remove(&self.folder, path, expect).await
    }
}
