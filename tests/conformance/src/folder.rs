//! A subject for drivers whose storage is a folder of this machine: its user edits the files.

use std::marker::PhantomData;
use std::path::PathBuf;

use onitu_plug::{Fault, Path, Plug};
use serde_json::{Value, json};

use crate::subject::{Door, Subject};
use crate::yard::Yard;

/// Where a folder is made: a disk of its own kind, there until it is dropped.
pub trait Ground: Sized + Send + Sync + 'static {
    /// Makes it.
    ///
    /// # Panics
    /// When it can't be made, which fails the test.
    fn prepare() -> Self;

    /// A directory on it.
    fn path(&self) -> PathBuf;
}

/// The system's directory for temporary files.
#[derive(Debug)]
pub struct Anywhere;

impl Ground for Anywhere {
    fn prepare() -> Self {
        Self
    }

    fn path(&self) -> PathBuf {
        std::env::temp_dir()
    }
}

/// A temporary folder that the driver `P` has for its root, given as the option `root`. What the
/// driver keeps for itself is looked for in `.onitu` of the root.
pub struct Folder<P, G = Anywhere> {
    yard: Yard,
    plug: PhantomData<fn() -> P>,
    /// Dropped last.
    _ground: G,
}

impl<P, G> Folder<P, G> {
    /// The service's root.
    pub fn root(&self) -> PathBuf {
        self.yard.root()
    }
}

impl<P: Plug, G: Ground> Subject for Folder<P, G> {
    type Plug = P;

    async fn fresh() -> Self {
        let ground = G::prepare();
        let yard = Yard::make(&ground.path())
            .unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        Self { yard, plug: PhantomData, _ground: ground }
    }

    fn options(&self) -> Value {
        json!({ "root": self.root() })
    }

    fn has_door(&self) -> bool {
        true
    }

    async fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        self.yard.write(path, bytes)
    }

    async fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        self.yard.append(path, bytes)
    }

    async fn remove(&self, path: &Path) -> Result<(), Fault> {
        self.yard.remove(path)
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.yard.rename(from, to)
    }

    async fn make_directory(&self, path: &Path) -> Result<(), Fault> {
        self.yard.make_directory(path)
    }

    async fn symlink(&self, path: &Path, target: &str) -> Result<(), Fault> {
        self.yard.symlink(path, target)
    }

    async fn set_attributes(
        &self,
        path: &Path,
        mtime_ns: i64,
        executable: bool,
    ) -> Result<(), Fault> {
        self.yard.set_attributes(path, mtime_ns, executable)
    }

    async fn make_strange(&self, path: &Path) -> Result<Door, Fault> {
        self.yard.make_strange(path)
    }

    async fn make_unnameable(&self) -> Result<Door, Fault> {
        self.yard.make_unnameable()
    }

    async fn take_away(&self) -> Result<Door, Fault> {
        self.yard.take_away()
    }

    fn stands_again(&self) -> bool {
        self.yard.stands_again()
    }

    async fn bring_back(&self) -> Result<Door, Fault> {
        self.yard.bring_back()
    }

    async fn lose_marker(&self) -> Result<Door, Fault> {
        self.yard.lose_marker()
    }

    async fn trash(&self) -> Result<Option<Vec<Vec<u8>>>, Fault> {
        Ok(Some(self.yard.trash()))
    }
}
