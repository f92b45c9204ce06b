//! What stands at a path.

use onitu_plug::{Fault, FaultKind, Path, State, Tag};

use crate::client::{Object, PAGE, Start};
use crate::fault::{Refusal, changed};
use crate::key::{KEY_BYTES_MAX, can_be_asked, decode, is_own};
use crate::list::lines;
use crate::nearby::Near;
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
        match self.near(path).await {
            Some(Near::Nothing) => {
                self.recent.keep_absent(&self.keys.file(path));
                return Ok(None);
            }
            Some(Near::Directory) => return Ok(Some(directory())),
            Some(Near::File(state, false)) => return Ok(Some(state)),
            // A request by which all its bytes need not be read.
            Some(Near::File(_, true)) | None => {}
        }
        let there = self.at(path).await.map_err(|refusal| refusal.fault("look at", path))?;
        Ok(there.state())
    }

    /// What stands at the path by a listing of its directory, which also tells of its neighbours;
    /// nothing where that isn't certain.
    async fn near(&self, path: &Path) -> Option<Near> {
        let (key, nearby) = (self.keys.file(path), &self.requests.nearby);
        if path.is_root() || is_own(path) || !can_be_asked(&key) || key.len() >= KEY_BYTES_MAX {
            return None;
        }
        if let Some(near) = nearby.take(&key) {
            return Some(near);
        }
        let turn = nearby.turn(&key).await;
        if turn.is_some()
            && let Some(near) = nearby.take(&key)
        {
            return Some(near);
        }
        let ask = nearby.begin(&key)?;
        let prefix = &key[..key.len() - path.name().len()];
        let start = match format!("{prefix}{}", ask.from) {
            start if start.is_empty() => Start::Beginning,
            start => Start::After(start),
        };
        // Whatever goes wrong here is told by the request for this path alone.
        let most = i32::try_from(ask.size).unwrap_or(PAGE);
        let page = self.requests.list(prefix, &start, false, most).await.ok()?;
        let (lines, is_sorted) = lines(&page, prefix).ok()?;
        // Where it isn't said that nothing follows, something may.
        let is_all = page.is_truncated() == Some(false) && page.next_continuation_token().is_none();
        nearby.end(&ask, (&lines, is_sorted), !is_all);
        nearby.take(&key)
    }

    /// The path was changed by somebody else: what is remembered of it is forgotten.
    pub(crate) fn forget(&self, path: &Path) {
        self.recent.forget(path);
        self.requests.nearby.touch(&self.keys.file(path));
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
