//! `at`: a service whose root stands at a directory of the tree.
//!
//! A wrapper around every driver, outside of the one for twins: the driver speaks of its own paths,
//! everybody else of the tree's. The directory itself and those above it are there without the
//! service having them (*virtual*): they can't be removed, changed or replaced from here. Nothing
//! outside of them is ever here, and nothing is brought there.

use onitu_core::trash::{TrashPage, TrashQuery};
use onitu_core::{Content, Fault, FaultKind, Path, State, Tag};

use crate::hints::Hints;
use crate::plug::{Found, Listing, Plug, Setting};

/// A driver whose root stands at a directory of the tree, which may be the tree's root. The runtime
/// wraps every driver itself; it is public for tests.
pub struct Mounted<P> {
    inner: P,
    at: Path,
}

/// Where a path of the tree is on the service.
enum Place {
    /// At this path of its own.
    Inside(Path),
    /// It is the directory at which the service stands, or one above it.
    Virtual,
    Outside,
}

impl<P: Plug> Mounted<P> {
    /// Puts the root of a connected driver at `at`.
    pub fn over(inner: P, at: Path) -> Self {
        Self { inner, at }
    }

    fn place(&self, path: &Path) -> Place {
        if self.at.is_root() {
            return Place::Inside(path.clone());
        }
        if self.at.is_within(path) {
            return Place::Virtual;
        }
        let below = path.as_str().strip_prefix(self.at.as_str());
        let below = below.and_then(|rest| rest.strip_prefix('/'));
        match below.map(Path::new) {
            Some(Ok(path)) => Place::Inside(path),
            _ => Place::Outside,
        }
    }

    /// Where a path is that is to be changed.
    fn inside(&self, path: &Path) -> Result<Path, Fault> {
        match self.place(path) {
            Place::Inside(path) => Ok(path),
            Place::Virtual => {
                let text = format!("`{path}` can't be changed here: this service stands there");
                Err(Fault::new(FaultKind::Denied, text))
            }
            Place::Outside => Err(self.outside(path)),
        }
    }

    fn outside(&self, path: &Path) -> Fault {
        let text = format!("`{path}` is outside of `{}`, where this service stands", self.at);
        Fault::new(FaultKind::Denied, text)
    }

    /// The name directly in the virtual `directory` that leads to the service.
    fn next_name(&self, directory: &Path) -> String {
        let skip = if directory.is_root() { 0 } else { directory.as_str().len() + 1 };
        self.at.as_str()[skip..].split('/').next().unwrap_or_default().to_owned()
    }
}

/// The state of every virtual directory: always the same.
fn standing() -> State {
    State { content: Content::DIRECTORY, tag: Tag::of(b"a directory at which a service stands") }
}

impl<P: Plug> Plug for Mounted<P> {
    type Options = P::Options;
    type Source = P::Source;
    type Sink = P::Sink;

    crate::forward_plug!(inner: manifest, abilities, listing_lag, check, settle, hash_trashed);

    async fn connect(options: P::Options, setting: Setting) -> Result<Self, Fault> {
        P::connect(options, setting).await.map(|inner| Self::over(inner, Path::root()))
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        self.inner.watch(hints.mounted(&self.at)).await
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        if self.at.is_root() {
            return self.inner.list(directory, listing).await;
        }
        if *directory == self.at {
            let listed = self.inner.list(&Path::root(), listing).await;
            return listed.map_err(|fault| match fault.kind {
                // For a directory that would mean that it is gone, with all that was in it.
                FaultKind::NotFound | FaultKind::NotADirectory => {
                    Fault { kind: FaultKind::Unavailable, ..fault }
                }
                _ => fault,
            });
        }
        match self.place(directory) {
            Place::Inside(path) => self.inner.list(&path, listing).await,
            Place::Virtual => {
                let entry = Found::Entry { name: self.next_name(directory), state: standing() };
                let gone = |_| Fault::new(FaultKind::Cancelled, "nobody reads the listing");
                listing.send(vec![entry]).await.map_err(gone)
            }
            Place::Outside => Err(Fault { kind: FaultKind::NotFound, ..self.outside(directory) }),
        }
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        match self.place(path) {
            Place::Inside(path) => self.inner.look(&path).await,
            Place::Virtual => Ok(Some(standing())),
            Place::Outside => Ok(None),
        }
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<P::Source, Fault> {
        match self.place(path) {
            Place::Inside(path) => self.inner.read(&path, tag, offset).await,
            _ => Err(Fault { kind: FaultKind::Changed, ..self.outside(path) }),
        }
    }

    async fn write(&self, path: &Path, content: &Content, resume: u64) -> Result<P::Sink, Fault> {
        self.inner.write(&self.inside(path)?, content, resume).await
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        match self.place(path) {
            Place::Inside(path) => self.inner.make_directory(&path, expect).await,
            Place::Virtual => Ok(standing()),
            Place::Outside => Err(self.outside(path)),
        }
    }

    async fn set_attributes(
        &self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> Result<State, Fault> {
        self.inner.set_attributes(&self.inside(path)?, expect, content).await
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let (from, to) = (self.inside(from)?, self.inside(to)?);
        self.inner.rename(&from, expect_from, &to, expect_to).await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        match self.place(path) {
            Place::Inside(path) => self.inner.remove(&path, expect).await,
            Place::Virtual => {
                let text = format!("`{path}` stays: this service stands there");
                Err(Fault::new(FaultKind::NotEmpty, text))
            }
            Place::Outside => Ok(()),
        }
    }

    async fn trash(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        let below = match self.place(&query.below) {
            Place::Inside(path) => path,
            Place::Virtual => Path::root(),
            Place::Outside => return Ok(TrashPage::default()),
        };
        let mut page = self.inner.trash(&TrashQuery { below, ..query.clone() }).await?;
        if !self.at.is_root() {
            // What would be too long here can't be put back here.
            page.items.retain_mut(|item| {
                let meant = self.at.join(item.path.as_str());
                meant.map(|path| item.path = path).is_ok()
            });
        }
        Ok(page)
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        self.inner.restore(id, &self.inside(path)?, expect).await
    }
}
