//! Listing one directory in pages, with memory for one page.

use futures_util::{StreamExt, stream};
use onitu_plug::{Fault, FaultKind, Found, Listing, Path};

use crate::area::Entries;
use crate::client::Remote;
use crate::fault::{Failure, fault, not_a_directory};
use crate::name;
use crate::read::told;
use crate::state::There;
use crate::watch::seen::Record;
use crate::wire::reply::Entry;
use crate::wire::request::Request;
use crate::wire::{Attrs, FileKind};

/// Entries in a page.
const PAGE: usize = 1_000;
/// Entries that have to be looked at by themselves, together.
const ALONE_MAX: usize = 4_096;
/// Looks under way at once.
const LOOKS_AT_ONCE: usize = 32;

/// A directory, open for being listed.
pub(crate) struct Opened {
    /// What it holds.
    pub(crate) entries: Entries,
    /// Its own time, before it was listed.
    pub(crate) mtime_s: u32,
}

/// Whether `path` is a directory that has this time of its own, and no link is on the way: then
/// nothing was made, renamed or removed in it. Anything else, errors too, is for a listing to tell.
pub(crate) async fn is_same(remote: &Remote, path: &Path, mtime_s: u32) -> bool {
    let full = remote.full(path);
    let asked = [Request::realpath(&full), Request::lstat(&full)];
    let Ok([real, stat]) = remote.lane().send(asked).await else { return false };
    let (real, stat) = (real.path().await, stat.attrs().await);
    real.is_ok_and(|real| real[..] == full[..])
        && matches!(stat, Ok(Some(attrs)) if attrs.kind() == FileKind::Directory
            && attrs.mtime_s() == mtime_s)
}

/// Opens the directory `path` for listing, if it is one and no link is on the way.
pub(crate) async fn open(remote: &Remote, path: &Path) -> Result<Opened, Fault> {
    let shown = if path.is_root() { "the root" } else { path.as_str() };
    let failed = |failure: &Failure| fault("list", shown, failure);
    let missing = || Fault::new(FaultKind::NotFound, format!("there is no directory `{shown}`"));
    let full = remote.full(path);
    let lane = remote.lane();
    let [real, stat] = lane
        .send([Request::realpath(&full), Request::lstat(&full)])
        .await
        .map_err(|it| failed(&it))?;
    let (real, stat) = (real.path().await, stat.attrs().await);
    let stat = match stat {
        Ok(attrs) => attrs,
        Err(failure) if failure.is_bad_name() => None,
        Err(failure) => return Err(failed(&failure)),
    };
    let mtime_s = stat.map_or(0, |attrs| attrs.mtime_s());
    match (real, stat.map(|attrs| attrs.kind())) {
        (Ok(real), Some(FileKind::Directory)) if real[..] == full[..] => {}
        (_, Some(FileKind::Directory) | None) => {
            // A directory that is missing because the root is gone isn't missing but unknown.
            remote.verify().await?;
            return Err(missing());
        }
        (_, Some(_)) => return Err(not_a_directory(shown)),
    }
    match Entries::open(lane, &full).await {
        Err(failure) if failure.is_missing() => {
            remote.verify().await?;
            Err(missing())
        }
        Err(failure) => Err(failed(&failure)),
        Ok(entries) => Ok(Opened { entries, mtime_s }),
    }
}

/// Tells what is in `directory`.
pub(crate) async fn list(
    remote: &Remote,
    directory: &Path,
    listing: &Listing,
) -> Result<(), Fault> {
    if name::is_own(directory) {
        return Err(Fault::new(FaultKind::NotFound, format!("there is no `{directory}`")));
    }
    let reached = remote.clock.reached().await;
    let Opened { mut entries, mtime_s } = open(remote, directory).await?;
    let record = Record::of(mtime_s, reached);
    let mut pages = Pages { remote, directory, listing, page: Vec::new(), record };
    let mut alone = Vec::new();
    loop {
        let next = entries.next().await;
        let Some(some) = next.map_err(|it| fault("list", directory, &it))? else { break };
        for Entry { name, attrs } in some {
            if let Some(name) = pages.name(&name).await? {
                // Of a link there is more to know, of a file of this second there may be.
                let is_sure = match attrs.kind() {
                    FileKind::Link => false,
                    FileKind::File => attrs.mtime_s() < reached,
                    FileKind::Directory | FileKind::Other(_) => attrs.permissions.is_some(),
                };
                if is_sure {
                    pages.take(name, &There::of(&attrs, b""), Some(&attrs)).await?;
                } else {
                    alone.push(name);
                }
            }
        }
        if alone.len() >= ALONE_MAX {
            pages.look(std::mem::take(&mut alone)).await?;
        }
    }
    pages.look(alone).await?;
    // What was just told is only the truth if this is still the service's root.
    remote.verify().await?;
    pages.end().await
}

/// What was found and not told yet.
struct Pages<'a> {
    remote: &'a Remote,
    directory: &'a Path,
    listing: &'a Listing,
    page: Vec<Found>,
    record: Record,
}

impl Pages<'_> {
    /// The entry's name, if it is a user's and can be synchronized; else it is dealt with.
    async fn name(&mut self, name: &[u8]) -> Result<Option<String>, Fault> {
        match name::text(name) {
            Ok(name::OWN) if self.directory.is_root() => Ok(None),
            Ok(name) => match self.directory.join(name) {
                Ok(_) => Ok(Some(name.to_owned())),
                Err(error) => {
                    let fault = Fault::new(FaultKind::InvalidName, error.to_string());
                    self.push(Found::Problem { name: name.to_owned(), fault }).await?;
                    Ok(None)
                }
            },
            Err(shown) => {
                let fault = name::not_text(&shown);
                self.push(Found::Problem { name: shown, fault }).await?;
                Ok(None)
            }
        }
    }

    /// Looks at some entries by themselves.
    async fn look(&mut self, names: Vec<String>) -> Result<(), Fault> {
        let remote = self.remote;
        let looks = stream::iter(names)
            .map(|name| {
                let path = self.directory.join(&name);
                async move {
                    let path = path.map_err(|_| crate::fault::lost("a name"))?;
                    Ok::<_, Fault>((name, remote.look(&path).await))
                }
            })
            .buffered(LOOKS_AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        for looked in looks {
            let (name, there) = looked?;
            match there {
                Ok(there) => {
                    let attrs = there.standing().map(|it| it.attrs);
                    self.take(name, &there, attrs.as_ref()).await?;
                }
                Err(fault) if fault.kind == FaultKind::Unavailable => return Err(fault),
                Err(fault) => self.push(Found::Problem { name, fault }).await?,
            }
        }
        Ok(())
    }

    /// Takes what stands at a name; nothing if it went away meanwhile.
    async fn take(
        &mut self,
        name: String,
        there: &There,
        attrs: Option<&Attrs>,
    ) -> Result<(), Fault> {
        let path = self.directory.join(&name).map_err(|_| crate::fault::lost("a name"))?;
        if let Some(attrs) = attrs {
            self.record.note(&name, attrs);
        }
        match told(&path, there) {
            Ok(None) => Ok(()),
            Ok(Some(state)) => self.push(Found::Entry { name, state }).await,
            Err(fault) => self.push(Found::Problem { name, fault }).await,
        }
    }

    async fn push(&mut self, found: Found) -> Result<(), Fault> {
        self.page.push(found);
        if self.page.len() < PAGE {
            return Ok(());
        }
        self.send().await
    }

    async fn send(&mut self) -> Result<(), Fault> {
        let gone = |_| Fault::new(FaultKind::Cancelled, "nobody reads the listing any more");
        self.listing.send(std::mem::take(&mut self.page)).await.map_err(gone)
    }

    async fn end(mut self) -> Result<(), Fault> {
        if !self.page.is_empty() {
            self.send().await?;
        }
        self.remote.seen.remember(self.directory, self.record);
        Ok(())
    }
}
