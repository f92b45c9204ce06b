//! Changing what stands at paths by order: making room, removing, renaming, restoring.
//!
//! Everything is copied before it goes, and goes only in the state that was copied: whatever fails
//! in between, a content stands at one of the two places.

use onitu_plug::{Fault, FaultKind, Path, State, Tag, Why};

use crate::client::{Expect, Object, PAGE, Start, etag};
use crate::fault::{Refusal, changed};
use crate::key::{decode, is_own};
use crate::look::There;
use crate::object::{Bucket, directory};
use crate::trash::Buried;

/// A place at which something may be put: what stood there is in the trash, or was an empty
/// directory.
pub(crate) struct Way {
    pub(crate) key: String,
    pub(crate) expect: Expect,
    replaced: Option<(Object, Buried)>,
    /// Whether a directory's marker was taken away.
    unmarked: bool,
}

impl Bucket {
    /// Makes room at the path where `expect` stands.
    pub(crate) async fn clear(
        &self,
        path: &Path,
        expect: Option<Tag>,
        why: Why,
    ) -> Result<Way, Fault> {
        let key = self.keys.placeable(path)?;
        self.refuse_blocked(path).await?;
        let failed = |refusal: Refusal| refusal.fault("look at", path);
        let mut way = Way { key, expect: Expect::Nothing, replaced: None, unmarked: false };
        match expect {
            None => {
                let is_free = self.recent.take_absent(&way.key);
                if !is_free && self.holds_something(path).await.map_err(failed)? {
                    return Err(changed(path));
                }
            }
            Some(tag) if tag == directory().tag => {
                if !matches!(self.at(path).await.map_err(failed)?, There::Directory) {
                    return Err(changed(path));
                }
                self.unmark(path).await?;
                way.unmarked = true;
            }
            Some(tag) => {
                let object = self.expect_file(path, tag).await?;
                let buried = self.bury(path, &object, why).await?;
                way.expect = object.expect();
                way.replaced = Some((object, buried));
            }
        }
        Ok(way)
    }

    /// Takes back what was done to make room, since nothing was put there; tells why.
    pub(crate) async fn close(&self, path: &Path, way: &Way, refusal: &Refusal) -> Fault {
        if way.unmarked {
            self.recent.forget(path);
            // Whoever has put something there meanwhile has made the directory again.
            let _ = self.mark(path).await;
        }
        if let Some((object, buried)) = &way.replaced {
            self.unbury(path, object, buried).await;
        }
        if refusal.is_unmet() { changed(path) } else { refusal.fault("write", path) }
    }

    /// As [`Self::close`] where something was to be copied there, which may lie in an archive.
    async fn close_copy(
        &self,
        (from, key): (&Path, &str),
        to: &Path,
        way: &Way,
        refusal: &Refusal,
    ) -> Fault {
        let fault = self.close(to, way, refusal).await;
        if refusal.is_archived() { self.refused(refusal, "copy", from, key).await } else { fault }
    }

    /// Removes the marker of an empty directory.
    async fn unmark(&self, path: &Path) -> Result<(), Fault> {
        let marker = self.keys.directory(path);
        let failed = |refusal: Refusal| refusal.fault("remove", path);
        let page = self.requests.list(&marker, &Start::Beginning, true, 2).await.map_err(failed)?;
        let keys = page.contents().iter().map(|object| object.key().and_then(decode));
        if keys.into_iter().any(|key| key.is_none_or(|key| key != marker)) {
            let text = format!("the directory `{path}` holds something");
            return Err(Fault::new(FaultKind::NotEmpty, text));
        }
        // What is put into it in this instant makes the directory stand without its marker.
        self.recent.forget(path);
        self.requests.delete(&marker, &Expect::Anything).await.map_err(failed)?;
        self.recent.keep_own(&marker, None);
        Ok(())
    }

    /// As [`onitu_plug::Plug::remove`].
    pub(crate) async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        if path.is_root() || is_own(path) {
            let text = format!("`{path}` can't be removed: it belongs to Onitu itself");
            return Err(Fault::new(FaultKind::InvalidName, text));
        }
        let there = self.at(path).await.map_err(|refusal| refusal.fault("look at", path))?;
        match there {
            There::Nothing => Ok(()),
            There::Directory if expect == directory().tag => {
                self.mark_parent(path).await;
                self.unmark(path).await
            }
            There::File(object) if object.state().tag == expect => {
                let buried = self.bury(path, &object, Why::Removed).await?;
                self.mark_parent(path).await;
                self.take_away(path, &object, Some(&buried)).await?;
                self.recent.keep_own(&self.keys.file(path), None);
                Ok(())
            }
            _ => Err(changed(path)),
        }
    }

    /// Removes a file that has its copy. That it is gone by now is as good.
    async fn take_away(
        &self,
        path: &Path,
        object: &Object,
        buried: Option<&Buried>,
    ) -> Result<(), Fault> {
        let key = self.keys.file(path);
        self.recent.forget(path);
        let Err(refusal) = self.delete(&key, object).await else { return Ok(()) };
        if refusal.is_unmet() {
            // An answer may have been lost, and the request made again.
            if matches!(self.requests.head(&key).await, Ok(None)) {
                return Ok(());
            }
            if let Some(buried) = buried {
                self.unbury(path, object, buried).await;
            }
            return Err(changed(path));
        }
        Err(refusal.fault("remove", path))
    }

    /// As [`onitu_plug::Plug::make_directory`].
    pub(crate) async fn make_directory(
        &self,
        path: &Path,
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        let failed = |refusal: Refusal| refusal.fault("make", path);
        if path.is_root() {
            return Ok(directory());
        }
        self.keys.placeable(path)?;
        self.refuse_blocked(path).await?;
        match self.at(path).await.map_err(failed)? {
            There::Nothing if expect.is_none() => {}
            There::Directory => {}
            There::File(object) if expect == Some(object.state().tag) => {
                let buried = self.bury(path, &object, Why::Replaced).await?;
                self.take_away(path, &object, Some(&buried)).await?;
            }
            _ => return Err(changed(path)),
        }
        self.mark(path).await.map_err(failed)?;
        Ok(directory())
    }

    /// As [`onitu_plug::Plug::rename`].
    pub(crate) async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        self.keys.placeable(from)?;
        if expect_from == directory().tag {
            return self.rename_directory(from, to, expect_to).await;
        }
        let object = self.expect_file(from, expect_from).await?;
        let way = self.clear(to, expect_to, Why::Replaced).await?;
        if matches!(way.replaced, Some((_, Buried::Version))) {
            // Should `from` turn out to have changed, it couldn't be put back.
            let text = format!("can't replace `{to}` by a rename: it is in an archive");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        let source = self.keys.file(from);
        let copied = self.copy((&source, &object), &way.key, &way.expect).await;
        let state = match copied {
            Ok(state) => state,
            Err(refusal) => return Err(self.close_copy((from, &source), to, &way, &refusal).await),
        };
        self.mark_parent(to).await;
        self.mark_parent(from).await;
        let taken = self.take_away(from, &object, None).await;
        if taken.as_ref().is_err_and(|fault| fault.kind == FaultKind::Changed) {
            self.take_back(to, &way, &state).await;
        }
        taken?;
        self.recent.keep_own(&source, None);
        self.recent.keep_own(&way.key, Some(state.tag));
        Ok(state)
    }

    /// Undoes the half of a rename that was done when the other half turned out to be wrong.
    async fn take_back(&self, to: &Path, way: &Way, state: &State) {
        let Ok(Some(object)) = self.requests.head(&way.key).await else { return };
        if object.state().tag != state.tag || self.delete(&way.key, &object).await.is_err() {
            return;
        }
        if let Some((object, Buried::Copy(copy))) = &way.replaced {
            let copied = self.copy((copy, object), &way.key, &Expect::Nothing).await;
            if copied.is_ok() {
                let _ = self.requests.delete(copy, &Expect::Anything).await;
            }
        }
        self.recent.forget(to);
    }

    /// Renames what is in a directory, one object after the other. Should it end in the middle,
    /// each object stands under one of its two names.
    async fn rename_directory(
        &self,
        from: &Path,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let failed = |refusal: Refusal| refusal.fault("rename", from);
        self.keys.placeable(to)?;
        if to.is_within(from) || expect_to.is_some() {
            let text = format!("the directory `{from}` can't be renamed to `{to}`");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        self.refuse_blocked(to).await?;
        let (there, free) = (self.at(from).await, self.at(to).await);
        let is_there = matches!(there.map_err(failed)?, There::Directory);
        if !is_there || !matches!(free.map_err(failed)?, There::Nothing) {
            return Err(changed(from));
        }
        self.mark(to).await.map_err(failed)?;
        self.mark_parent(from).await;
        let (prefix, new) = (self.keys.directory(from), self.keys.directory(to));
        let mut start = Some(Start::Beginning);
        while let Some(begin) = start {
            let page = self.requests.list(&prefix, &begin, true, PAGE).await.map_err(failed)?;
            for listed in page.contents() {
                let Some(key) = listed.key().and_then(decode) else { continue };
                let Some(rest) = key.strip_prefix(&prefix) else { continue };
                let size = listed.size().and_then(|size| size.try_into().ok()).unwrap_or(0);
                let object = match etag(listed.e_tag()) {
                    Some(etag) => Some(Object { etag, size, checksum: None }),
                    None => self.requests.head(&key).await.map_err(failed)?,
                };
                let Some(object) = object else { continue };
                if !rest.is_empty() {
                    let target = format!("{new}{rest}");
                    self.copy((&key, &object), &target, &Expect::Nothing).await.map_err(failed)?;
                }
                self.delete(&key, &object).await.map_err(failed)?;
            }
            start = Start::after(&page);
        }
        self.recent.forget(from);
        Ok(directory())
    }

    /// As [`onitu_plug::Plug::restore`].
    pub(crate) async fn restore(
        &self,
        id: &str,
        path: &Path,
        expect: Option<Tag>,
    ) -> Result<State, Fault> {
        let (key, object) = self.in_trash(id).await?;
        if expect == Some(directory().tag) {
            return Err(changed(path));
        }
        let way = self.clear(path, expect, Why::Restored).await?;
        match self.copy((&key, &object), &way.key, &way.expect).await {
            Ok(state) => {
                self.mark_parent(path).await;
                // What can't be removed now is in the trash once more than needed.
                let _ = self.requests.delete(&key, &Expect::Anything).await;
                self.recent.keep_own(&way.key, Some(state.tag));
                Ok(state)
            }
            Err(refusal) => Err(self.close_copy((path, &key), path, &way, &refusal).await),
        }
    }
}
