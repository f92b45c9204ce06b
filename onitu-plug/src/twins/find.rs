//! Where a path is on a service that can't tell all names from each other.
//!
//! Each of a path's names is held as it is, or encoded. Usually everything is as it is, and one
//! look says so. That something is *not* there is only told after every way to it was tried: the
//! directory may be the encoded one, or both may be there, since a user may have made the plain
//! one. Then they count as one directory, and of two files the plain one counts.

use onitu_core::{Fault, FaultKind, Path, State, twin};

use super::Twins;
use crate::plug::Plug;

/// Where a path is, or where it would be.
#[derive(Debug)]
pub(super) struct Spot {
    /// What stands there.
    pub(super) state: Option<State>,
    own: Option<Path>,
    encoded: Option<Path>,
}

impl Spot {
    fn standing(at: Path, state: State) -> Self {
        Self { state: Some(state), own: Some(at), encoded: None }
    }

    /// Something stands there that has no state.
    pub(super) fn in_the_way(path: &Path) -> Self {
        Self { state: None, own: own_path(path), encoded: None }
    }

    /// Its name on the service, or the one to try first; [`None`] if that would be too long.
    pub(super) fn own(&self) -> Option<&Path> {
        self.own.as_ref()
    }

    /// The name to use if a twin has taken the first one; [`None`] if that would be too long, or
    /// if something stands there already.
    pub(super) fn encoded(&self) -> Option<&Path> {
        self.encoded.as_ref()
    }

    /// The first name is known to be taken.
    pub(super) fn give_up_own(&mut self) {
        if self.state.is_none() {
            self.own = self.encoded.take();
        }
    }
}

/// The name a service would hold `name` under. One that stands for another name is never held as
/// it is.
fn own(name: &str) -> Option<String> {
    if twin::decode(name).is_some() { twin::encode(name) } else { Some(name.to_owned()) }
}

/// The name to hold `name` under where [`own`] is taken.
fn encoded(name: &str) -> Option<String> {
    if twin::decode(name).is_some() { None } else { twin::encode(name) }
}

/// The path of `names` below `directory`, each held under its own name.
fn below<'a>(directory: &Path, names: impl IntoIterator<Item = &'a str>) -> Option<Path> {
    names.into_iter().try_fold(directory.clone(), |at, name| at.join(&own(name)?).ok())
}

/// The path of the service that holds `path` if nothing is encoded for a twin's sake.
pub(super) fn own_path(path: &Path) -> Option<Path> {
    below(&Path::root(), names(path))
}

impl<P: Plug> Twins<P> {
    /// Whether anything stands at `held`, be it only to be in the way.
    pub(super) async fn stands(&self, held: &Path) -> Result<bool, Fault> {
        match self.inner.look(held).await {
            Ok(state) => Ok(state.is_some()),
            Err(fault) if fault.kind == FaultKind::Unsupported => Ok(true),
            Err(fault) if fault.kind == FaultKind::InvalidName => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Where `path` is.
    pub(super) async fn find(&self, path: &Path) -> Result<Spot, Fault> {
        let (names, plain) = (names(path), own_path(path));
        if let Some(state) = self.look_at(plain.as_ref()).await? {
            return Ok(Spot::standing(plain.unwrap_or_else(Path::root), state));
        }
        let spot = self.search(&names).await?;
        if spot.state.is_none()
            && let Some(plain) = plain
            && let Some(state) = self.inner.look(&plain).await?
        {
            // It got its own name back while the others were tried.
            return Ok(Spot::standing(plain, state));
        }
        Ok(spot)
    }

    async fn look_at(&self, held: Option<&Path>) -> Result<Option<State>, Fault> {
        match held {
            Some(held) => self.inner.look(held).await,
            None => Ok(None),
        }
    }

    /// Tries every way but the plainest to `names`, of which there is at least one.
    async fn search(&self, names: &[&str]) -> Result<Spot, Fault> {
        let Some((last, above)) = names.split_last() else {
            return Err(Fault::new(FaultKind::Unavailable, "the root is gone"));
        };
        let mut directories = vec![Path::root()];
        for (at, name) in above.iter().enumerate() {
            let found = self.standing_in(&directories, name).await?;
            if found.is_empty() {
                return Ok(missing(&directories[0], &names[at..]));
            }
            directories = found;
        }
        for directory in &directories {
            for held in ways(directory, last) {
                if let Some(state) = self.inner.look(&held).await? {
                    return Ok(Spot::standing(held, state));
                }
            }
        }
        Ok(missing(&directories[0], &[last]))
    }

    /// What stands for `name` in any of these directories of the service, the best first.
    async fn standing_in(&self, directories: &[Path], name: &str) -> Result<Vec<Path>, Fault> {
        let mut found = Vec::new();
        for held in directories.iter().flat_map(|directory| ways(directory, name)) {
            if self.stands(&held).await? {
                found.push(held);
            }
        }
        Ok(found)
    }

    /// All directories of the service that together are `directory`, the best first; none if it
    /// isn't there.
    pub(super) async fn find_directories(&self, directory: &Path) -> Result<Vec<Path>, Fault> {
        let mut found = vec![Path::root()];
        for name in names(directory) {
            found = self.standing_in(&found, name).await?;
        }
        Ok(found)
    }

    /// Whether the path of `name` is something better than `held`, which is the one at `at` of
    /// the `directories` that hold it.
    pub(super) async fn is_hidden(
        &self,
        directories: &[Path],
        at: usize,
        name: &str,
        held: &str,
    ) -> Result<Option<Path>, Fault> {
        let this = directories[at].join(held).ok();
        for better in directories[..=at].iter().flat_map(|directory| ways(directory, name)) {
            if Some(&better) == this.as_ref() {
                return Ok(None);
            }
            if self.stands(&better).await? {
                return Ok(Some(better));
            }
        }
        Ok(None)
    }
}

/// The names under which `directory` of the service may hold `name`, the best first.
fn ways(directory: &Path, name: &str) -> impl Iterator<Item = Path> {
    let both = [own(name), encoded(name)];
    both.into_iter().flatten().filter_map(|held| directory.join(&held).ok())
}

/// Where `names` would be held, of which the first is missing in `directory`. A twin can only have
/// taken that one: below it there is nothing.
fn missing(directory: &Path, names: &[&str]) -> Spot {
    let own = below(directory, names.iter().copied());
    let encoded = names.split_first().and_then(|(first, rest)| {
        below(&directory.join(&encoded(first)?).ok()?, rest.iter().copied())
    });
    Spot { state: None, own, encoded }
}

fn names(path: &Path) -> Vec<&str> {
    path.as_str().split('/').filter(|name| !name.is_empty()).collect()
}
