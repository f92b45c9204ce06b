//! The books on what users did: what must not be lost, what may stand where.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fastrand::Rng;
use onitu_core::conflict::conflict_paths;
use onitu_core::{Checksum, Path, limits};
use onitu_driver_memory::Thing;

/// Everything users ever did, as far as an invariant needs it.
///
/// A user *puts* a content at a path by writing, linking or renaming it there. Users *give up* a
/// content at a path by deleting, replacing, editing or renaming away what they see there, on any
/// service (who sees a file can't know where it was written); giving up the copy that a conflict
/// left means the same for the path it is a copy of. What was put somewhere and not given up
/// there is *owed*: it must exist on some service. What was given up at a path once and is put
/// back there isn't: a file that was renamed away and back is the one that others have replaced
/// meanwhile.
#[derive(Default)]
pub(crate) struct Books {
    written: BTreeSet<Bytes>,
    owed: BTreeMap<Bytes, BTreeSet<Path>>,
    given_up: BTreeSet<(Path, Bytes)>,
    named: BTreeSet<Path>,
    put: BTreeSet<(usize, Path)>,
    put_contents: BTreeSet<(usize, Path, Bytes)>,
    /// Where each service's user did something since the last rest.
    touched: BTreeSet<(usize, Path)>,
    /// What stood where, by anybody's doing, and what each service's user ever put anywhere.
    stood: BTreeSet<(Path, Bytes)>,
    ever_put: BTreeSet<(usize, Bytes)>,
    /// The names of all services, as conflict names tell them.
    services: Vec<String>,
    count: u64,
}

impl Books {
    pub(crate) fn new(services: Vec<String>) -> Self {
        Self { services, ..Self::default() }
    }

    /// A number no other has had.
    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// A content unlike any other (but that some are empty), short or long.
    pub(crate) fn new_content(&mut self, rng: &mut Rng) -> Bytes {
        let mut bytes = format!("content {} ", self.number()).into_bytes();
        let size = match rng.u32(0..100) {
            0..4 => usize::try_from(limits::INLINE_BYTES_MAX).unwrap_or(0) + rng.usize(0..400_000),
            4..22 => rng.usize(0..20_000),
            22..25 => return Bytes::new(),
            _ => rng.usize(0..60),
        };
        bytes.resize(bytes.len() + size, b'.');
        Bytes::from(bytes)
    }

    /// The user of a service gave a path its name.
    pub(crate) fn name(&mut self, service: usize, path: &Path) {
        let mut above = Some(path.clone());
        while let Some(path) = above.filter(|path| !path.is_root()) {
            above = path.parent();
            self.put.insert((service, path.clone()));
            self.named.insert(path);
        }
    }

    /// The user of a service put a content at a path.
    pub(crate) fn put(&mut self, service: usize, path: &Path, content: &Bytes) {
        self.name(service, path);
        self.put_contents.insert((service, path.clone(), content.clone()));
        self.stood.insert((path.clone(), content.clone()));
        self.ever_put.insert((service, content.clone()));
        if !content.is_empty() {
            self.written.insert(content.clone());
            if self.given_up.contains(&(path.clone(), content.clone())) {
                return;
            }
            self.owed.entry(content.clone()).or_default().insert(path.clone());
        }
    }

    /// A user saw this content at the path and gave it up.
    pub(crate) fn gave_up(&mut self, path: &Path, content: &Bytes) {
        self.given_up.insert((path.clone(), content.clone()));
        let Some(paths) = self.owed.get_mut(content) else { return };
        paths.remove(path);
        if is_conflict_name(path) {
            paths.retain(|of| !is_copy(path, of, content, &self.services));
        }
        if paths.is_empty() {
            self.owed.remove(content);
        }
    }

    pub(crate) fn was_written(&self, content: &Bytes) -> bool {
        content.is_empty() || self.written.contains(content)
    }

    /// Whether a user gave the path its name, or a conflict did.
    pub(crate) fn was_named(&self, path: &Path) -> bool {
        self.named.contains(path) || is_conflict_name(path)
    }

    /// The names that users gave to what is in `directory`.
    pub(crate) fn named_within<'a>(
        &'a self,
        directory: &'a Path,
    ) -> impl Iterator<Item = &'a Path> {
        self.named.iter().filter(move |path| path.is_within(directory))
    }

    /// Whether the user of that service put something there, since the last rest.
    pub(crate) fn was_put(&self, service: usize, path: &Path) -> bool {
        self.put.contains(&(service, path.clone()))
    }

    /// Everything is at rest: what was put somewhere is there, or gone for good.
    pub(crate) fn rest(&mut self) {
        self.put.clear();
        self.put_contents.clear();
        self.touched.clear();
    }

    /// Whether the user of that service put this there, since the last rest.
    pub(crate) fn has_put(&self, service: usize, path: &Path, content: &Bytes) -> bool {
        self.put_contents.contains(&(service, path.clone(), content.clone()))
    }

    /// Whether somebody put this there at any time, on any service.
    pub(crate) fn has_stood(&self, path: &Path, content: &Bytes) -> bool {
        self.stood.contains(&(path.clone(), content.clone()))
    }

    /// Whether the user of that service put this anywhere there at any time.
    pub(crate) fn has_ever_put(&self, service: usize, content: &Bytes) -> bool {
        self.ever_put.contains(&(service, content.clone()))
    }

    /// The user of a service is about to do something at the path.
    pub(crate) fn touch(&mut self, service: usize, path: &Path) {
        self.touched.insert((service, path.clone()));
    }

    /// Whether that user did something there, above or below, since the last rest.
    pub(crate) fn was_touched(&self, service: usize, path: &Path) -> bool {
        let is_theirs = |(by, at): &&(usize, Path)| {
            *by == service && (path.is_within(at) || at.is_within(path))
        };
        self.touched.iter().any(|it| is_theirs(&it))
    }

    pub(crate) fn owed(&self) -> impl Iterator<Item = (&Bytes, &BTreeSet<Path>)> {
        self.owed.iter()
    }
}

/// Whether a conflict named the path, or a directory above it.
pub(crate) fn is_conflict_name(path: &Path) -> bool {
    path.as_str().contains(" (conflict ")
}

/// Whether `copy` may be what a conflict made of this content at `of`: by setting it aside, or a
/// directory above it.
fn is_copy(copy: &Path, of: &Path, content: &[u8], services: &[String]) -> bool {
    let (mut copied, mut original) = (copy.clone(), of.clone());
    while let (Some(copied_in), Some(original_in)) = (copied.parent(), original.parent()) {
        let sum = (copied == *copy).then(|| Checksum::of(content));
        let is_set_aside = |service: &String| {
            conflict_paths(&original, service, sum).any(|name| name.name() == copied.name())
        };
        if copied.name() != original.name() && !services.iter().any(is_set_aside) {
            return false;
        }
        (copied, original) = (copied_in, original_in);
    }
    copied == original
}

/// The bytes of a file or the text of a link.
pub(crate) fn bytes_of(thing: &Thing) -> Option<Bytes> {
    match thing {
        Thing::File { bytes, .. } => Some(bytes.clone()),
        Thing::Symlink { target, .. } => Some(Bytes::from(target.clone().into_bytes())),
        Thing::Directory | Thing::Strange => None,
    }
}
