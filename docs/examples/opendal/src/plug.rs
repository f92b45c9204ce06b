//! The driver as Onitu sees it: each method in a few lines, on top of the other rooms.

use std::sync::Arc;

use onitu_plug::{
    Content, Fault, FaultKind, Hints, Listing, Manifest, Path, Plug, Setting, State, Tag,
};

use crate::client::Client;
use crate::folder::{Folder, to_its_end};
use crate::list;
use crate::options::{Options, manifest};
use crate::read::{self, OpendalSource};
use crate::swap;
use crate::trash;
use crate::watch::Watch;
use crate::write::OpendalSink;

/// A folder of a service that opendal reaches.
pub struct Opendal {
    folder: Arc<Folder>,
    watch: Watch,
}

impl Plug for Opendal {
    type Options = Options;
    type Source = OpendalSource;
    type Sink = OpendalSink;

    fn manifest() -> Manifest {
        manifest()
    }

    async fn connect(options: Options, setting: Setting) -> Result<Self, Fault> {
        let (client, shown) = (Client::new(&options)?, options.shown());
        let folder = Folder::open(client, &shown, setting).await?;
        // Neither keeps the service from working.
        let (leftovers, purged) =
            tokio::join!(folder.clear_leftovers(), trash::purge(&folder.client, &folder.setting));
        let _ = (leftovers, purged);
        Ok(Self { folder: Arc::new(folder), watch: Watch::new(options.poll()) })
    }

    async fn check(&self) -> Result<(), Fault> {
        self.folder.verify().await
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        self.watch.run(&self.folder, &hints).await
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.watch.settle().await;
        Ok(())
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        self.watch.ready().await;
        list::list(&self.folder, directory, &listing).await
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        Ok(self.folder.look(path).await?.state())
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<OpendalSource, Fault> {
        read::open(Arc::clone(&self.folder), path.clone(), tag, offset).await
    }

    async fn write(&self, path: &Path, content: &Content, _: u64) -> Result<OpendalSink, Fault> {
        OpendalSink::begin(&self.folder, path, content)
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        let path = path.clone();
        to_its_end(&self.folder, |folder| async move {
            swap::make_directory(&folder, &path, expect).await
        })
        .await
    }

    async fn set_attributes(&self, path: &Path, _: Tag, _: &Content) -> Result<State, Fault> {
        let text = format!("`{path}` can't be given a time: WebDAV has no way to");
        Err(Fault::new(FaultKind::Unsupported, text))
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let (from, to) = (from.clone(), to.clone());
        to_its_end(&self.folder, |folder| async move {
            swap::rename(&folder, (&from, expect_from), (&to, expect_to)).await
        })
        .await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        let path = path.clone();
        to_its_end(&self.folder, |folder| async move { swap::remove(&folder, &path, expect).await })
            .await
    }
}
