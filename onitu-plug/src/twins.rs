//! Twins: paths that a service can't tell from each other.
//!
//! A wrapper around every driver. For one with exact names it does nothing. For one without, the
//! path that comes second is held under an encoded name ([`onitu_core::twin`]), a directory like a
//! file; everybody else goes on speaking of paths. Nothing is remembered but what can be
//! forgotten: where a path is held is found by looking ([`find`]), so that a restart, a user who
//! renames things, or a lost note can't make one path look like another, or like nothing.

mod find;
mod list;
mod sink;

use onitu_core::manifest::{Abilities, Manifest};
use onitu_core::trash::{TrashPage, TrashQuery};
use onitu_core::{Content, Fault, FaultKind, Path, State, Tag, twin};

use self::find::Spot;
use self::sink::Refused;
pub use self::sink::TwinSink;
use crate::hints::Hints;
use crate::plug::{Listing, Plug, Setting};

/// A driver whose names are exact, whatever the one within can do. The runtime wraps every driver
/// itself; it is public for tests.
pub struct Twins<P> {
    inner: P,
    /// Whether the service is exact by itself: then everything passes through.
    exact: bool,
    refused: Refused,
}

impl<P: Plug> Twins<P> {
    /// Wraps a driver that is connected.
    pub fn over(inner: P) -> Self {
        let exact = inner.abilities().exact_names;
        Self { inner, exact, refused: Refused::default() }
    }

    /// What is changed under its own name may stand under an encoded one.
    async fn read_where_it_is(
        &self,
        path: &Path,
        tag: Tag,
        offset: u64,
    ) -> Result<P::Source, Fault> {
        let own = find::own_path(path).unwrap_or_else(|| path.clone());
        let changed = match self.inner.read(&own, tag, offset).await {
            Err(fault) if fault.kind == FaultKind::Changed => fault,
            read => return read,
        };
        match self.spot(path).await?.own().filter(|held| **held != own) {
            Some(held) => self.inner.read(held, tag, offset).await,
            None => Err(changed),
        }
    }

    /// Renames to the encoded name of a path whose own is taken; and from there to its own if it
    /// was the renamed thing itself that had taken it: its spelling was changed.
    async fn rename_to_encoded(
        &self,
        from: &Path,
        expect: Tag,
        (encoded, expect_to): (&Path, Option<Tag>),
        own: Option<&Path>,
    ) -> Result<State, Fault> {
        let state = self.inner.rename(from, expect, encoded, expect_to).await?;
        let Some(own) = own else { return Ok(state) };
        // If not, it is where it can stay.
        Ok(self.inner.rename(encoded, state.tag, own, None).await.unwrap_or(state))
    }

    /// The name on the service of what stands at `path`; that which it would have, if nothing does.
    async fn held(&self, path: &Path) -> Result<Path, Fault> {
        Ok(self.spot(path).await?.own().cloned().unwrap_or_else(|| path.clone()))
    }

    /// Where `path` is to be changed. What can't be synchronized is in the way under its own name,
    /// and the driver refuses.
    async fn spot(&self, path: &Path) -> Result<Spot, Fault> {
        match self.find(path).await {
            Err(fault) if fault.kind == FaultKind::Unsupported => Ok(Spot::in_the_way(path)),
            found => found,
        }
    }
}

/// What to say when a twin came in between: tried again, it is found where it is.
fn overtaken(path: &Path, fault: Fault) -> Fault {
    if fault.kind != FaultKind::Taken {
        return fault;
    }
    let text = format!("a name like `{path}` appeared in this instant: {}", fault.message);
    Fault::new(FaultKind::Cancelled, text)
}

/// `path` can be held neither under its own name nor under an encoded one.
fn unheld(path: &Path) -> Fault {
    let text = format!(
        "this service can't tell `{path}` from another name that is there already, and it is too \
         long to be marked: rename one of them"
    );
    Fault::new(FaultKind::InvalidName, text)
}

/// Does something at a path that is to be held here: under its own name, or under the encoded one
/// if a twin has taken it.
macro_rules! hold {
    ($path:expr, $spot:expr, |$held:ident| $act:expr) => {{
        let spot: &Spot = $spot;
        let first = match spot.own() {
            Some($held) => $act,
            None => Err(unheld($path)),
        };
        match first {
            Err(fault) if fault.kind == FaultKind::Taken => match spot.encoded() {
                Some($held) => $act.map_err(|fault| overtaken($path, fault)),
                None => Err(unheld($path)),
            },
            done => done,
        }
    }};
}

impl<P: Plug> Plug for Twins<P> {
    type Options = P::Options;
    type Source = P::Source;
    type Sink = TwinSink<P::Sink>;

    fn manifest() -> Manifest {
        let manifest = P::manifest();
        Manifest { abilities: Abilities { exact_names: true, ..manifest.abilities }, ..manifest }
    }

    fn abilities(&self) -> Abilities {
        Abilities { exact_names: true, ..self.inner.abilities() }
    }

    crate::forward_plug!(inner: listing_lag, check, settle, hash_trashed);

    async fn connect(options: P::Options, setting: Setting) -> Result<Self, Fault> {
        P::connect(options, setting).await.map(Self::over)
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        self.inner.watch(if self.exact { hints } else { hints.decoding() }).await
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        if self.exact {
            return self.inner.list(directory, listing).await;
        }
        self.list_decoded(directory, listing).await
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        if self.exact {
            return self.inner.look(path).await;
        }
        Ok(self.find(path).await?.state)
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<P::Source, Fault> {
        if self.exact {
            return self.inner.read(path, tag, offset).await;
        }
        self.read_where_it_is(path, tag, offset).await
    }

    async fn write(
        &self,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<Self::Sink, Fault> {
        if self.exact {
            return self.inner.write(path, content, resume).await.map(TwinSink::plain);
        }
        let mut spot = self.spot(path).await?;
        if spot.own().is_some_and(|own| self.refused.take(own)) {
            spot.give_up_own();
        }
        let sink = hold!(path, &spot, |held| {
            let sink = self.inner.write(held, content, resume).await;
            sink.map(|sink| TwinSink::of(sink, held.clone(), self.refused.clone()))
        })?;
        Ok(sink)
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        if self.exact {
            return self.inner.make_directory(path, expect).await;
        }
        let spot = self.spot(path).await?;
        hold!(path, &spot, |held| self.inner.make_directory(held, expect).await)
    }

    async fn set_attributes(
        &self,
        path: &Path,
        expect: Tag,
        content: &Content,
    ) -> Result<State, Fault> {
        if self.exact {
            return self.inner.set_attributes(path, expect, content).await;
        }
        let held = self.held(path).await?;
        self.inner.set_attributes(&held, expect, content).await
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        if self.exact {
            return self.inner.rename(from, expect_from, to, expect_to).await;
        }
        let (from, spot) = (self.held(from).await?, self.spot(to).await?);
        let own = spot.own();
        hold!(to, &spot, |held| if Some(held) == own {
            self.inner.rename(&from, expect_from, held, expect_to).await
        } else {
            self.rename_to_encoded(&from, expect_from, (held, expect_to), own).await
        })
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        if self.exact {
            return self.inner.remove(path, expect).await;
        }
        let held = self.held(path).await?;
        self.inner.remove(&held, expect).await
    }

    async fn trash(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        if self.exact {
            return self.inner.trash(query).await;
        }
        // The trash remembers the service's own names: what is meant is chosen after decoding.
        let everywhere = TrashQuery { below: Path::root(), ..query.clone() };
        let mut page = self.inner.trash(&everywhere).await?;
        for item in &mut page.items {
            item.path = twin::decode_path(&item.path);
        }
        page.items.retain(|item| item.path.is_within(&query.below));
        Ok(page)
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        if self.exact {
            return self.inner.restore(id, path, expect).await;
        }
        let spot = self.spot(path).await?;
        hold!(path, &spot, |held| self.inner.restore(id, held, expect).await)
    }
}
