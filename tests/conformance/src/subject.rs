//! The storage under test, and its user.

use std::future::Future;

use onitu_plug::{Fault, FaultKind, Path, Plug, Setting};
use serde::Deserialize;
use serde_json::Value;

use crate::through;

/// Whether a subject could do what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// It is done.
    Used,
    /// This storage has no such thing.
    None,
}

/// A storage under test with the edits its user makes, behind the driver's back.
///
/// Two methods are needed; with them alone, the user's edits go through a second connection of
/// the driver itself. A subject that knows another way into its storage should say so by
/// [`Subject::has_door`] and edit through it: only then the suite sees how the driver deals with
/// edits it didn't make. Paths are below the service's root.
pub trait Subject: Sized + Send + Sync + 'static {
    /// The driver.
    type Plug: Plug;

    /// A new, empty storage, which is there until it is dropped. Called once per case; cases run
    /// at the same time in several processes.
    fn fresh() -> impl Future<Output = Self> + Send;

    /// The driver's options for this storage, as they stand in `entries.toml`.
    fn options(&self) -> Value;

    /// Whether the driver takes these options, whatever they lead to.
    fn takes(&self, options: Value) -> impl Future<Output = bool> + Send {
        let taken = <Self::Plug as Plug>::Options::deserialize(options).is_ok();
        std::future::ready(taken)
    }

    /// Opens the storage as the runtime does. `known` as in [`Setting::known`].
    fn connect(&self, known: bool) -> impl Future<Output = Result<Self::Plug, Fault>> + Send {
        let options = <Self::Plug as Plug>::Options::deserialize(self.options());
        let setting = Setting {
            service: "conformance".to_owned(),
            known,
            trash_days: 30,
            trash_size_bytes: None,
            state_dir: None,
        };
        async move {
            let wrong = |error: serde_json::Error| Fault::new(FaultKind::Bug, error.to_string());
            <Self::Plug as Plug>::connect(options.map_err(wrong)?, setting).await
        }
    }

    /// Whether the user's edits below reach the storage without the driver.
    fn has_door(&self) -> bool {
        false
    }

    /// Saves a whole file, replacing what is there in one step, as editors do; makes its parents.
    fn write(&self, path: &Path, bytes: &[u8]) -> impl Future<Output = Result<(), Fault>> + Send {
        async move { through::write(&self.connect(true).await?, path, bytes).await }
    }

    /// Writes at the end of a file that is there, in place where the storage can.
    fn append(&self, path: &Path, bytes: &[u8]) -> impl Future<Output = Result<(), Fault>> + Send {
        async move { through::append(&self.connect(true).await?, path, bytes).await }
    }

    /// Removes a file, a link or an empty directory that is there.
    fn remove(&self, path: &Path) -> impl Future<Output = Result<(), Fault>> + Send {
        async move { through::remove(&self.connect(true).await?, path).await }
    }

    /// Renames a file, a link or a directory. Only asked where the storage can rename.
    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = Result<(), Fault>> + Send {
        async move { through::rename(&self.connect(true).await?, from, to).await }
    }

    /// Makes a directory and its parents. Only asked where empty directories are kept.
    fn make_directory(&self, path: &Path) -> impl Future<Output = Result<(), Fault>> + Send {
        async move { self.connect(true).await?.make_directory(path, None).await.map(drop) }
    }

    /// Makes a symbolic link with this text. Only asked where links are kept.
    fn symlink(&self, path: &Path, target: &str) -> impl Future<Output = Result<(), Fault>> + Send {
        async move { through::symlink(&self.connect(true).await?, path, target).await }
    }

    /// Sets a file's mtime, in nanoseconds since the epoch, and executable bit. Only asked where
    /// both are kept.
    fn set_attributes(
        &self,
        path: &Path,
        mtime_ns: i64,
        executable: bool,
    ) -> impl Future<Output = Result<(), Fault>> + Send {
        async move {
            through::set_attributes(&self.connect(true).await?, path, mtime_ns, executable).await
        }
    }

    /// Makes something that is neither file, directory nor link: a pipe, a device.
    fn make_strange(&self, _path: &Path) -> impl Future<Output = Result<Door, Fault>> + Send {
        async { Ok(Door::None) }
    }

    /// Makes something in the root whose name can't be a [`Path`], for example no UTF-8.
    fn make_unnameable(&self) -> impl Future<Output = Result<Door, Fault>> + Send {
        async { Ok(Door::None) }
    }

    /// Takes the whole storage away: unmounts the disk, stops the server, renames the folder.
    fn take_away(&self) -> impl Future<Output = Result<Door, Fault>> + Send {
        async { Ok(Door::None) }
    }

    /// Whether something stands where the storage was before it was taken away.
    fn stands_again(&self) -> bool {
        false
    }

    /// Brings back the storage that was taken away, with all it held.
    fn bring_back(&self) -> impl Future<Output = Result<Door, Fault>> + Send {
        async { Ok(Door::None) }
    }

    /// Destroys the marker by which the driver knows its storage again, if it leaves one.
    fn lose_marker(&self) -> impl Future<Output = Result<Door, Fault>> + Send {
        async { Ok(Door::None) }
    }

    /// Lets the storage take so many more bytes and then be full.
    fn limit_space(&self, _bytes: u64) -> impl Future<Output = Result<Door, Fault>> + Send {
        async { Ok(Door::None) }
    }

    /// The bytes of everything that is in the trash; [`None`] if there is no way to look.
    fn trash(&self) -> impl Future<Output = Result<Option<Vec<Vec<u8>>>, Fault>> + Send {
        async { Ok(None) }
    }
}
