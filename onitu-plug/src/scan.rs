//! Scanning: a whole tree of the service against the records of it.
//!
//! A scan only finds suspects; each of them is looked at before anything is told. A directory that
//! can't be listed is unknown, not empty: nothing below it is suspected.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};
use onitu_core::ignore::{FILE_NAME, file_in};
use onitu_core::store::Cursor;
use onitu_core::{Fault, FaultKind, Kind, Mode, Path, Record, State, Tag};
use tokio::sync::mpsc;

use crate::brake::Manner;
use crate::hints::Hint;
use crate::implied;
use crate::look::{LOOK_MAX, look_at};
use crate::plug::{Found, Plug};
use crate::service::Shared;

/// Directories compared together: their records are fetched at once.
const DIRECTORIES_AT_ONCE: usize = 64;
/// Listings under way at once.
const LISTINGS_AT_ONCE: usize = 8;
/// New paths held back to find out where they came from; beyond, they are taken as new.
const NEW_MAX: usize = 65_536;

/// What differs between the service and the records.
#[derive(Default)]
struct Suspects {
    new: BTreeMap<Path, Tag>,
    gone: BTreeMap<Path, Tag>,
}

/// What a directory is known to hold.
struct Expected {
    directory: Path,
    announced: BTreeMap<Path, Option<Tag>>,
    records: BTreeMap<String, Record>,
}

/// What a directory holds.
enum Listed {
    Entries(BTreeMap<String, State>, Vec<String>),
    Missing,
    Unknown,
}

/// Compares everything at and below `roots` with the records and announces what differs.
pub(crate) async fn scan<P: Plug>(
    shared: &Arc<Shared<P>>,
    roots: BTreeSet<Path>,
) -> Result<(), Fault> {
    let _busy = shared.begin();
    let mut suspects = Suspects::default();
    let mut tops: Vec<(Path, Hint)> = Vec::new();
    let mut stack: Vec<Path> = Vec::new();
    for root in roots {
        if stack.iter().any(|above| root.is_within(above)) {
            continue;
        }
        if shared.filter.covers(&root, Kind::Directory) {
            if shared.retries.listed(&root) {
                shared.problems.clear(root.as_str());
            }
            continue;
        }
        if !root.is_root() {
            tops.push((root.clone(), Hint::Changed));
        }
        stack.push(root);
    }
    for chunk in tops.chunks(LOOK_MAX) {
        look_at(shared, chunk.to_vec(), Manner::Scanned).await?;
    }
    let whole = stack.first().is_some_and(Path::is_root);
    let mut visited = HashSet::new();
    while !stack.is_empty() {
        let at = stack.len().saturating_sub(DIRECTORIES_AT_ONCE);
        let directories = stack.split_off(at);
        // In this order, as in a look: what was announced, the records, the directories.
        let announced: Vec<_> =
            directories.iter().map(|directory| shared.announcer.known_in(directory)).collect();
        let records = shared.listings(&directories).await?;
        let expected = announced.into_iter().zip(records);
        let mut listings = stream::iter(directories.into_iter().zip(expected))
            .map(|(directory, (announced, records))| async move {
                let listed = list(shared, &directory).await;
                (Expected { directory, announced, records }, listed)
            })
            .buffered(LISTINGS_AT_ONCE);
        while let Some((expected, listed)) = listings.next().await {
            visited.insert(mark(&expected.directory));
            let listed = listed?;
            heed_ignore_file(shared, &expected, &listed).await?;
            compare(shared, &expected, listed, &mut suspects, &mut stack);
        }
        if suspects.new.len() >= NEW_MAX {
            let new = std::mem::take(&mut suspects.new);
            look_in_turn(shared, new.into_keys().collect()).await?;
        }
    }
    if whole {
        find_orphans(shared, &visited, &mut suspects).await?;
    }
    settle(shared, suspects).await
}

/// What an ignore file says that is new here holds before anything else in its directory is looked
/// at.
async fn heed_ignore_file<P: Plug>(
    shared: &Arc<Shared<P>>,
    expected: &Expected,
    listed: &Listed,
) -> Result<(), Fault> {
    let Listed::Entries(entries, _) = listed else { return Ok(()) };
    let Some(state) = entries.get(FILE_NAME) else { return Ok(()) };
    let path = file_in(&expected.directory);
    let announced = expected.announced.get(&path).copied();
    let record = expected.records.get(FILE_NAME);
    if shared.known_tag(&path, announced, record) == Some(state.tag) {
        let is_deleted = record.is_some_and(|record| record.gone);
        if is_deleted && shared.mode == Mode::Source && shared.filter.forget(&expected.directory) {
            // Others have deleted it. Here it stays, and has no effect, as after a restart.
            shared.hints.rescan("an ignore file was deleted elsewhere");
        }
        let is_taken =
            |record: &Record| record.is_current_on(shared.id) && record.content.checksum.is_some();
        let is_taken = record.is_some_and(is_taken);
        if is_taken && shared.mode != Mode::Backup && shared.filter.lacks(&expected.directory) {
            // A store that was put back may know the file and not what it says.
            let directory = expected.directory.clone();
            if let Err(fault) = shared.take_ignore_file(&path, directory, &mut state.clone()).await
            {
                shared.retries.add(&path, Hint::Changed, &fault);
            }
        }
        return Ok(());
    }
    look_in_turn(shared, vec![path]).await
}

/// What a visited directory is remembered by.
fn mark(directory: &Path) -> Tag {
    Tag::of(directory.as_str().as_bytes())
}

/// Records below what is no directory any more: the walk can't come by them.
async fn find_orphans<P: Plug>(
    shared: &Arc<Shared<P>>,
    visited: &HashSet<Tag>,
    suspects: &mut Suspects,
) -> Result<(), Fault> {
    let mut cursor = Some(Cursor::default());
    while let Some(from) = cursor {
        let (directories, next) = shared.directories(&from).await?;
        cursor = next;
        let missed: Vec<Path> =
            directories.into_iter().filter(|path| !visited.contains(&mark(path))).collect();
        let listings = shared.listings(&missed).await?;
        for (directory, records) in missed.iter().zip(listings) {
            for (name, record) in &records {
                let Ok(path) = directory.join(name) else { continue };
                if shared.filter.covers(&path, record.content.kind) {
                    continue;
                }
                if let Some(tag) = shared.known_tag(&path, None, Some(record)) {
                    suspects.gone.insert(path, tag);
                }
            }
        }
    }
    Ok(())
}

/// Whether it can be the name of something directly inside a directory; a driver's word is not
/// enough.
fn is_name(name: &str) -> bool {
    !name.contains('/') && Path::root().join(name).is_ok()
}

async fn list<P: Plug>(shared: &Shared<P>, directory: &Path) -> Result<Listed, Fault> {
    let (pages, mut listing) = mpsc::channel(2);
    let mut entries = BTreeMap::new();
    let mut problems = Vec::new();
    let read = async {
        while let Some(page) = listing.recv().await {
            for found in page {
                match found {
                    Found::Entry { name, .. } if !is_name(&name) => {
                        let text = format!("the driver told of {name:?}, which is no file's name");
                        let fault = Fault::new(FaultKind::InvalidName, text);
                        shared.problems.note(&format!("{directory}/{name:?}"), &fault);
                    }
                    Found::Entry { name, state } => {
                        entries.insert(name, state);
                    }
                    Found::Problem { name, fault } => {
                        let shown = if directory.is_root() {
                            name.clone()
                        } else {
                            format!("{directory}/{name}")
                        };
                        let path = directory.join(&name);
                        if !path.is_ok_and(|path| shared.filter.covers_any(&path)) {
                            shared.problems.note(&shown, &fault);
                        }
                        problems.push(name);
                    }
                }
            }
        }
    };
    let (listed, ()) = tokio::join!(shared.plug.list(directory, pages), read);
    let mended = || {
        if shared.retries.listed(directory) {
            shared.problems.clear(directory.as_str());
        }
    };
    match listed {
        Ok(()) => {
            mended();
            Ok(Listed::Entries(entries, problems))
        }
        Err(fault) => match fault.kind {
            FaultKind::NotFound | FaultKind::NotADirectory if !directory.is_root() => {
                mended();
                Ok(Listed::Missing)
            }
            FaultKind::NotFound | FaultKind::NotADirectory | FaultKind::Unavailable => {
                Err(Fault::new(FaultKind::Unavailable, fault.message))
            }
            _ => {
                shared.problems.note(directory.as_str(), &fault);
                shared.retries.add(directory, Hint::Tree, &fault);
                Ok(Listed::Unknown)
            }
        },
    }
}

fn compare<P: Plug>(
    shared: &Shared<P>,
    expected: &Expected,
    listed: Listed,
    suspects: &mut Suspects,
    stack: &mut Vec<Path>,
) {
    let (entries, problems) = match listed {
        Listed::Entries(entries, problems) => (entries, problems),
        Listed::Missing => (BTreeMap::new(), Vec::new()),
        Listed::Unknown => return,
    };
    let Expected { directory, announced, records } = expected;
    let known_tag =
        |path: &Path, record| shared.known_tag(path, announced.get(path).copied(), record);
    shared.scanned.fetch_add(entries.len() as u64, Ordering::Relaxed);
    for (name, state) in &entries {
        let Ok(path) = directory.join(name) else { continue };
        if shared.filter.covers(&path, state.content.kind) {
            continue;
        }
        if known_tag(&path, records.get(name)) != Some(state.tag) {
            suspects.new.insert(path.clone(), state.tag);
        }
        if state.content.kind == Kind::Directory {
            stack.push(path);
        }
    }
    let names = records.keys().map(String::as_str).chain(announced.keys().map(Path::name));
    for name in names.collect::<BTreeSet<_>>() {
        let Ok(path) = directory.join(name) else { continue };
        let record = records.get(name);
        // Something of another kind that is ignored has the place of what was there.
        let is_another = |state: &State| {
            record.is_some_and(|record| record.content.kind != state.content.kind)
                && shared.filter.covers(&path, state.content.kind)
        };
        // A name that is there but can't be told is not gone.
        if entries.get(name).is_some_and(|state| !is_another(state))
            || problems.iter().any(|problem| problem == name)
        {
            continue;
        }
        if shared.is_ignored_as(&path, record.map(|record| record.content.kind)) {
            continue;
        }
        if let Some(tag) = known_tag(&path, record) {
            if implied::is_meant(Some(tag)) {
                stack.push(path);
                continue;
            }
            // Of what was announced since, the record says nothing.
            let is_recorded = record.filter(|_| !announced.contains_key(&path));
            if is_recorded.is_none_or(|record| record.content.kind == Kind::Directory) {
                stack.push(path.clone());
            }
            suspects.gone.insert(path, tag);
        }
    }
}

/// Looks at the suspects, each new path together with the one it may have been renamed from.
async fn settle<P: Plug>(shared: &Arc<Shared<P>>, suspects: Suspects) -> Result<(), Fault> {
    let Suspects { new, mut gone } = suspects;
    let by_tag: BTreeMap<Tag, Path> = gone.iter().map(|(path, tag)| (*tag, path.clone())).collect();
    let mut chunks = vec![Vec::new()];
    let mut add = |unit: Vec<Path>| match chunks.last_mut() {
        Some(chunk) if chunk.len() + unit.len() <= LOOK_MAX => chunk.extend(unit),
        _ => chunks.push(unit),
    };
    for (path, tag) in new {
        match by_tag.get(&tag).filter(|from| gone.contains_key(*from)) {
            Some(from) => {
                gone.remove(from);
                add(vec![from.clone(), path]);
            }
            None => add(vec![path]),
        }
    }
    gone.into_keys().rev().for_each(|path| add(vec![path]));
    for chunk in chunks {
        look_in_turn(shared, chunk).await?;
    }
    Ok(())
}

async fn look_in_turn<P: Plug>(shared: &Arc<Shared<P>>, paths: Vec<Path>) -> Result<(), Fault> {
    for chunk in paths.chunks(LOOK_MAX) {
        let suspects = chunk.iter().map(|path| (path.clone(), Hint::Changed)).collect();
        look_at(shared, suspects, Manner::Scanned).await?;
    }
    Ok(())
}
