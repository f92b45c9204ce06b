//! The driver as Onitu sees it: each method in a few lines, on top of the other rooms.

use std::sync::Arc;

use onitu_plug::{
    Abilities, Checksum, Content, Fault, FaultKind, Hints, Listing, Manifest, Path, Plug, Setting,
    State, Tag, TrashPage, TrashQuery,
};
use serde_json::Value;

use crate::change;
use crate::client::Client;
use crate::feed::Feed;
use crate::folder::{Folder, There};
use crate::list;
use crate::marker;
use crate::name;
use crate::options::{Options, manifest};
use crate::read::{self, DropboxSource};
use crate::resume::Uploads;
use crate::snapshot::Snapshot;
use crate::state;
use crate::trash::Trash;
use crate::watch::Watch;
use crate::write::DropboxSink;

/// A folder of a Dropbox account.
pub struct Dropbox {
    folder: Arc<Folder>,
    uploads: Uploads,
    feed: Feed,
    watch: Watch,
}

impl Plug for Dropbox {
    type Options = Options;
    type Source = DropboxSource;
    type Sink = DropboxSink;

    fn manifest() -> Manifest {
        manifest()
    }

    fn abilities(&self) -> Abilities {
        Abilities { trash: self.folder.trash.is_some(), ..manifest().abilities }
    }

    async fn connect(options: Options, setting: Setting) -> Result<Self, Fault> {
        let client = Client::new(&options)?;
        let namespace = options.namespace.as_deref().unwrap_or("home");
        let chosen = client.use_namespace(namespace).await;
        chosen.map_err(|refusal| refusal.fault("reach", "Dropbox"))?;
        let trash = match &setting.state_dir {
            Some(directory) => Some(Trash::open(directory, setting.trash_days).await?),
            None => None,
        };
        let folder = Arc::new(Folder::new(client, options.root(), trash));
        marker::find(&folder, &setting).await?;
        change::recover(&folder).await?;
        let uploads = Uploads::new(setting.state_dir.as_deref(), folder.root().to_owned());
        uploads.tend().await;
        let snapshot = match &setting.state_dir {
            Some(directory) => {
                Some(Snapshot::open(directory, whose(&folder, namespace).await?).await?)
            }
            None => None,
        };
        let feed = Feed::begin(&folder, snapshot).await?;
        Ok(Self { folder, uploads, feed, watch: Watch::default() })
    }

    async fn check(&self) -> Result<(), Fault> {
        self.folder.verify().await
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        self.watch.run(&self.folder, &self.feed, hints).await
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.watch.settle().await
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        if self.feed.list(&self.folder, directory, &listing).await? {
            return Ok(());
        }
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

    async fn trash(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        self.list_of_trash()?.page(query).await
    }

    async fn hash_trashed(&self, id: &str) -> Result<Checksum, Fault> {
        let line = self.list_of_trash()?.get(id).await?;
        change::hash_trashed(&self.folder, &line).await
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        let trash = self.list_of_trash()?;
        let line = trash.get(id).await?;
        let state = change::restore(&self.folder, &line, (path, expect)).await?;
        trash.forget(id).await?;
        Ok(state)
    }
}

impl Dropbox {
    fn list_of_trash(&self) -> Result<&Trash, Fault> {
        let none = || {
            let text = "there is no list of what is in the trash; dropbox.com shows it";
            Fault::new(FaultKind::Unsupported, text)
        };
        self.folder.trash.as_ref().ok_or_else(none)
    }
}

/// Tells the folders from each other that a snapshot may be of.
async fn whose(folder: &Folder, namespace: &str) -> Result<String, Fault> {
    let account = folder.client.ask("users/get_current_account", &Value::Null).await;
    let account = account.map_err(|refusal| refusal.fault("reach", "Dropbox"))?;
    let account = account["account_id"].as_str().unwrap_or_default();
    Ok(format!("{account}\n{namespace}\n{}", folder.root()))
}
