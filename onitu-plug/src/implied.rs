//! Directories on a service that keeps none that is empty: there a directory is what paths have
//! in common.
//!
//! Everybody else speaks of directories as things that are made and removed. A wrapper around
//! every driver makes it so: a directory has one state, always the same, whether it was made by
//! order or is there because something is in it. For a driver that keeps empty directories it does
//! nothing. That the storage doesn't show one says nothing, so a look at a path at which this state
//! is known finds it again ([`is_meant`]), and its end is never told from here: what was in it is
//! told file by file, and an order removes it.

use onitu_core::message::Action;
use onitu_core::{Content, Fault, FaultKind, Hasher, Kind, Path, State, Tag};

use crate::plug::{Found, Listing, Plug, Setting, Sink};

/// A driver with directories, whatever the one within keeps. The runtime wraps every driver itself.
pub(crate) struct Implied<P> {
    inner: P,
    /// Whether the service keeps them by itself: then everything passes through.
    keeps: bool,
}

/// The state of every directory on a service that keeps none by itself.
pub(crate) fn state() -> State {
    State { content: Content::DIRECTORY, tag: Tag::of(b"a directory that what is in it implies") }
}

/// Whether nothing at a path under whose name `known` is known means nothing.
pub(crate) fn is_meant(known: Option<Tag>) -> bool {
    known == Some(state().tag)
}

/// The same order with what it expects as the storage shows it: a directory in which nothing is
/// is nothing to replace.
pub(crate) fn as_shown(mut action: Action) -> Action {
    if let Action::Pull { expect, .. }
    | Action::MakeDirectory { expect, .. }
    | Action::Rename { expect, .. } = &mut action
    {
        *expect = shown(*expect);
    }
    action
}

fn shown(expect: Option<Tag>) -> Option<Tag> {
    expect.filter(|tag| *tag != state().tag)
}

/// What is found, with the one state if it is a directory.
fn told(found: State) -> State {
    if found.content.kind == Kind::Directory { state() } else { found }
}

impl<P: Plug> Implied<P> {
    /// Around a driver that is connected.
    pub(crate) fn over(inner: P) -> Self {
        let keeps = inner.abilities().directories;
        Self { inner, keeps }
    }
}

impl<P: Plug> Plug for Implied<P> {
    type Options = P::Options;
    type Source = P::Source;
    type Sink = ImpliedSink<P::Sink>;

    crate::forward_plug!(
        inner: manifest, abilities, listing_lag, check, watch, settle, read, set_attributes, trash,
        hash_trashed,
    );

    async fn connect(options: P::Options, setting: Setting) -> Result<Self, Fault> {
        P::connect(options, setting).await.map(Self::over)
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        if self.keeps {
            return self.inner.list(directory, listing).await;
        }
        let (sender, mut pages) = tokio::sync::mpsc::channel::<Vec<Found>>(1);
        let pass_on = async {
            while let Some(mut page) = pages.recv().await {
                for found in &mut page {
                    if let Found::Entry { state, .. } = found {
                        *state = told(*state);
                    }
                }
                // Who doesn't read on has its reasons; the driver hears of it by its own channel.
                if listing.send(page).await.is_err() {
                    break;
                }
            }
            drop(pages);
        };
        let (listed, ()) = tokio::join!(self.inner.list(directory, sender), pass_on);
        listed
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        let found = self.inner.look(path).await?;
        Ok(if self.keeps { found } else { found.map(told) })
    }

    async fn write(
        &self,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<Self::Sink, Fault> {
        let inner = self.inner.write(path, content, resume).await?;
        Ok(ImpliedSink { inner, keeps: self.keeps })
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        if self.keeps {
            return self.inner.make_directory(path, expect).await;
        }
        match self.inner.look(path).await? {
            Some(there) if there.content.kind == Kind::Directory => {}
            // A file that makes room for it; what comes to be in it can't stand below a file.
            Some(there) if expect == Some(there.tag) => self.inner.remove(path, there.tag).await?,
            None if shown(expect).is_none() => {}
            _ => {
                let text = format!("`{path}` is not what was expected there");
                return Err(Fault::new(FaultKind::Changed, text));
            }
        }
        Ok(state())
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        if !self.keeps && expect_from == state().tag {
            let text = format!("`{from}` is no directory of its own here");
            return Err(Fault::new(FaultKind::Unsupported, text));
        }
        let expect_to = if self.keeps { expect_to } else { shown(expect_to) };
        self.inner.rename(from, expect_from, to, expect_to).await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        if self.keeps || expect != state().tag {
            return self.inner.remove(path, expect).await;
        }
        match self.inner.look(path).await? {
            None => Ok(()),
            Some(there) if there.content.kind == Kind::Directory => {
                let text = format!("`{path}` still holds something");
                Err(Fault::new(FaultKind::NotEmpty, text))
            }
            Some(_) => {
                let text = format!("`{path}` is no directory any more");
                Err(Fault::new(FaultKind::Changed, text))
            }
        }
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        self.inner.restore(id, path, if self.keeps { expect } else { shown(expect) }).await
    }
}

/// Writes one path.
pub(crate) struct ImpliedSink<S> {
    inner: S,
    keeps: bool,
}

impl<S: Sink> Sink for ImpliedSink<S> {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        self.inner.resumed().await
    }

    async fn write(&mut self, bytes: crate::Bytes) -> Result<(), Fault> {
        self.inner.write(bytes).await
    }

    async fn place(self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        self.inner.place(content, if self.keeps { expect } else { shown(expect) }).await
    }

    async fn discard(self) {
        self.inner.discard().await;
    }
}
