//! What stands at a path.

use onitu_plug::{Fault, FaultKind, Path, State, Tag};

use crate::client::{Object, Start};
use crate::fault::{Refusal, changed};
use crate::key::{KEY_BYTES_MAX, can_be_asked, decode, is_own};
use crate::object::{Bucket, directory};

/// What stands at a path.
pub(crate) enum There {
    Nothing,
    Directory,
    File(Object),
}

impl There {
    /// As it is told.
    pub(crate) fn state(&self) -> Option<State> {
        match self {
            Self::Nothing => None,
            Self::Directory => Some(directory()),
            Self::File(object) => Some(object.state()),
        }
    }
}

impl Bucket {
    /// What is at the path; a file where both a file and a directory are.
    pub(crate) async fn at(&self, path: &Path) -> Result<There, Refusal> {
        if is_own(path) {
            return Ok(There::Nothing);
        }
        let key = self.keys.file(path);
        if path.is_root() {
            return Ok(There::Directory);
        }
        if key.len() > KEY_BYTES_MAX {
            return Ok(There::Nothing);
        }
        if !can_be_asked(&key) {
            return self.at_blank(path, &key).await;
        }
        if let Some(object) = self.requests.head(&key).await? {
            return Ok(There::File(object));
        }
        // Also tells apart what `HEAD` doesn't: a key that isn't there from a bucket that isn't.
        if key.len() < KEY_BYTES_MAX && self.holds_something(path).await? {
            return Ok(There::Directory);
        }
        self.recent.keep_absent(&key);
        Ok(There::Nothing)
    }

    /// The same for a key that only a listing can tell of.
    async fn at_blank(&self, path: &Path, key: &str) -> Result<There, Refusal> {
        let page = self.requests.list(key, &Start::Beginning, true, 1).await?;
        let first = page.contents().first().and_then(|object| decode(object.key()?));
        if first.as_deref() == Some(key) {
            return Err(Refusal::unspeakable());
        }
        let is_directory = self.holds_something(path).await?;
        Ok(if is_directory { There::Directory } else { There::Nothing })
    }

    /// As [`onitu_plug::Plug::look`].
    pub(crate) async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        let there = self.at(path).await.map_err(|refusal| refusal.fault("look at", path))?;
        Ok(there.state())
    }

    /// The file at the path, if it has the tag.
    pub(crate) async fn expect_file(&self, path: &Path, tag: Tag) -> Result<Object, Fault> {
        let key = self.keys.file(path);
        if !can_be_asked(&key) || key.len() > KEY_BYTES_MAX {
            return Err(changed(path));
        }
        let found = self.requests.head(&key).await;
        let found = found.map_err(|refusal| refusal.fault("look at", path))?;
        found.filter(|it| it.state().tag == tag).ok_or_else(|| changed(path))
    }

    /// Fails if something above the path is a file.
    pub(crate) async fn refuse_blocked(&self, path: &Path) -> Result<(), Fault> {
        let above = std::iter::successors(path.parent(), Path::parent);
        for directory in above.take_while(|it| !it.is_root()) {
            if self.recent.is_directory(&directory) {
                return Ok(());
            }
            let key = self.keys.file(&directory);
            if !can_be_asked(&key) {
                continue;
            }
            let found = self.requests.head(&key).await;
            if found.map_err(|refusal| refusal.fault("look at", &directory))?.is_some() {
                let text = format!("`{directory}` is a file: `{path}` can't be below it");
                return Err(Fault::new(FaultKind::NotADirectory, text));
            }
        }
        Ok(())
    }
}
