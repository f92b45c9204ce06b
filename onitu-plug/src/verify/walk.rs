//! The way through the records of what the service holds: once for the tags, once for the bytes.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use onitu_core::store::Cursor;
use onitu_core::verify::{Finding, FindingKind, Part, Phase};
use onitu_core::{Content, Fault, FaultKind, Kind, Path, Record, State, Tag};
use tokio::time::Instant;

use super::Progress;
use super::read::Reader;
use crate::hints::Hint;
use crate::implied;
use crate::look::note_fault;
use crate::plug::Plug;
use crate::service::Shared;

/// Directories whose records are in memory at once.
const DIRECTORIES_AT_ONCE: usize = 32;
/// Looks under way at once.
const LOOKS_AT_ONCE: usize = 16;
/// Files read at once: enough to keep a storage far away busy, few enough for a disk.
const READS_AT_ONCE: usize = 4;

/// A path that the service is known to hold as it should be.
pub(super) struct Held {
    pub(super) path: Path,
    pub(super) content: Content,
    pub(super) tag: Tag,
    /// Whether another service holds the same.
    pub(super) elsewhere: bool,
}

impl Held {
    /// What `shared` holds at `path`, if that is current and not just being told anew.
    #[allow(clippy::option_option, reason = "as `Announcer::known`")]
    pub(super) fn of<P: Plug>(
        shared: &Shared<P>,
        path: Path,
        record: &Record,
        announced: Option<Option<Tag>>,
    ) -> Option<Self> {
        let holder = record.holder(shared.id).filter(|_| record.is_current_on(shared.id))?;
        if shared.announcer.known(&path).or(announced).is_some_and(|told| told != Some(holder.tag))
        {
            return None;
        }
        let elsewhere = record.current_holders().any(|held| held.service != shared.id);
        Some(Self { path, content: record.content, tag: holder.tag, elsewhere })
    }

    /// The same, from the record as it is now.
    pub(super) async fn again<P: Plug>(
        shared: &Shared<P>,
        path: &Path,
    ) -> Result<Option<Self>, Fault> {
        let announced = shared.announcer.known(path);
        let record = shared.records(std::slice::from_ref(path)).await?.pop().flatten();
        Ok(record.and_then(|record| Self::of(shared, path.clone(), &record, announced)))
    }
}

/// Everything that the service holds in one part of the tree, some directories at a time.
struct Walk {
    part: Part,
    cursor: Option<Cursor>,
    waiting: Vec<Path>,
}

impl Walk {
    fn new(part: Part) -> Self {
        Self { part, cursor: Some(Cursor::default()), waiting: Vec::new() }
    }

    async fn next<P: Plug>(&mut self, shared: &Shared<P>) -> Result<Option<Vec<Held>>, Fault> {
        while self.waiting.is_empty() {
            let Some(from) = self.cursor.take() else { return Ok(None) };
            (self.waiting, self.cursor) = shared.directories(&from).await?;
        }
        let at = self.waiting.len().saturating_sub(DIRECTORIES_AT_ONCE);
        let directories = self.waiting.split_off(at);
        // In this order, as in a look: an event that is committed meanwhile is in one of the two.
        let announced: Vec<_> =
            directories.iter().map(|directory| shared.announcer.known_in(directory)).collect();
        let listings = shared.listings(&directories).await?;
        let mut page = Vec::new();
        for ((directory, announced), records) in directories.iter().zip(announced).zip(listings) {
            for (name, record) in &records {
                let Ok(path) = directory.join(name) else { continue };
                if self.part.holds(&path) {
                    let announced = announced.get(&path).copied();
                    page.extend(Held::of(shared, path, record, announced));
                }
            }
        }
        Ok(Some(page))
    }
}

/// Compares what the service holds with the records; fails only if the service can't go on.
pub(super) async fn verify<P: Plug>(
    shared: &Arc<Shared<P>>,
    progress: &Progress<'_>,
) -> Result<(), Fault> {
    shared.plug.check().await?;
    look_at_all(shared, progress).await?;
    // What has no record yet, and whether what is missing was renamed, only a scan can tell.
    shared.hints.rescan("a verification looks for what is not recorded");
    if progress.job.manner.deep {
        read_all(shared, progress).await?;
    }
    Ok(())
}

async fn look_at_all<P: Plug>(
    shared: &Arc<Shared<P>>,
    progress: &Progress<'_>,
) -> Result<(), Fault> {
    let part = progress.job.manner.part;
    let held =
        shared.store.counts().await.ok().and_then(|counts| counts.held.get(&shared.id).copied());
    progress.update(|status| status.total = part.share_of(held.unwrap_or(0)));
    let begin = Instant::now();
    let mut walk = Walk::new(part);
    while let Some(page) = walk.next(shared).await? {
        let mut looks = stream::iter(page)
            .map(|held| async move {
                let state = shared.plug.look(&held.path).await;
                (held, state)
            })
            .buffer_unordered(LOOKS_AT_ONCE);
        while let Some((held, state)) = looks.next().await {
            let finding = match state {
                Ok(state) if state.map(|it| it.tag) == Some(held.tag) => Ok(None),
                Ok(None) if implied::is_meant(Some(held.tag)) => Ok(None),
                Ok(_) => differs(shared, &held.path).await,
                Err(fault) => Err(fault),
            };
            match finding {
                Ok(None) => {}
                Ok(Some(finding)) => {
                    if finding.kind == FindingKind::Changed {
                        shared.hints.tell(held.path.clone(), Hint::Changed);
                    }
                    progress.note(finding);
                }
                Err(fault) => {
                    note_fault(shared, &held.path, fault.clone())?;
                    progress.note(unreadable(&held.path, &fault));
                }
            }
            let is_read = held.content.kind != Kind::Directory;
            progress.update(|status| {
                status.checked += 1;
                status.total = status.total.max(status.checked);
                status.eta_s = left_s(begin, status.checked, status.total);
                if is_read && progress.job.manner.deep {
                    status.files_total += 1;
                    status.bytes_total += held.content.size;
                }
            });
        }
    }
    progress.update(|status| status.total = status.checked);
    Ok(())
}

/// What is wrong at a path that did not look as expected, unless it has become right meanwhile or
/// is just being worked at.
async fn differs<P: Plug>(shared: &Shared<P>, path: &Path) -> Result<Option<Finding>, Fault> {
    let Some(_claim) = shared.claims.try_claim(path) else { return Ok(None) };
    let Some(held) = Held::again(shared, path).await? else { return Ok(None) };
    let (kind, message) = match shared.plug.look(path).await? {
        Some(State { tag, .. }) if tag == held.tag => return Ok(None),
        Some(_) => (FindingKind::Changed, "it changed unnoticed, and is taken as it is now"),
        None => (FindingKind::Missing, "nothing is there any more; the service is scanned for it"),
    };
    Ok(Some(Finding { path: path.clone(), kind, message: message.to_owned() }))
}

fn unreadable(path: &Path, fault: &Fault) -> Finding {
    let (path, kind) = (path.clone(), FindingKind::Unreadable);
    Finding { path, kind, message: fault.message.clone() }
}

async fn read_all<P: Plug>(shared: &Arc<Shared<P>>, progress: &Progress<'_>) -> Result<(), Fault> {
    progress.update(|status| {
        status.phase = Phase::Reading;
        status.eta_s = None;
    });
    let reader = &Reader::new(shared, progress);
    let mut walk = Walk::new(progress.job.manner.part);
    while let Some(page) = walk.next(shared).await? {
        let files = page.into_iter().filter(|held| held.content.kind != Kind::Directory);
        let mut reads = stream::iter(files)
            .map(|held| async move {
                let end = reader.read(&held).await;
                (held, end)
            })
            .buffer_unordered(READS_AT_ONCE);
        while let Some((held, end)) = reads.next().await {
            match end {
                Ok(finding) => {
                    if let Some(finding) = finding {
                        progress.note(finding);
                    }
                }
                Err(fault) if fault.kind == FaultKind::Unavailable => return Err(fault),
                // Changed or gone since the tags were compared: ordinary life.
                Err(fault) if fault.kind == FaultKind::Changed => {
                    shared.hints.tell(held.path.clone(), Hint::Changed);
                }
                Err(fault) => {
                    shared.problems.keep(held.path.as_str(), &fault);
                    progress.note(unreadable(&held.path, &fault));
                }
            }
            progress.update(|status| {
                status.files += 1;
                status.files_total = status.files_total.max(status.files);
            });
        }
    }
    progress.update(|status| {
        status.files_total = status.files;
        status.bytes_total = status.bytes;
    });
    Ok(())
}

/// Seconds left when `done` of `all` took the time since `begin`.
pub(super) fn left_s(begin: Instant, done: u64, all: u64) -> Option<u64> {
    let left = u128::from(all.saturating_sub(done));
    let took_ms = begin.elapsed().as_millis();
    let left_ms = (left * took_ms).checked_div(u128::from(done))?;
    u64::try_from(left_ms / 1_000).ok()
}
