//! Looking: what stands at a path now, compared with what it is known to be, announced if it
//! differs.
//!
//! Everything that makes a driver tell something about a path ends here, under the path's claim,
//! so no event speaks of a state that was not there when it was made.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use onitu_core::message::Event;
use onitu_core::{
    Checksum, Fault, FaultKind, Hasher, Kind, Path, Record, ServiceId, State, Tag, limits,
};

use crate::claim::Claim;
use crate::hints::Hint;
use crate::plug::{Plug, Source};
use crate::service::Shared;

/// Paths looked at together: their records are fetched at once, their renames recognized.
pub(crate) const LOOK_MAX: usize = 512;
/// Looks and hashes under way at once.
const LOOKS_AT_ONCE: usize = 16;

/// A path that was looked at and differs.
struct Finding {
    path: Path,
    claim: Claim,
    record: Option<Record>,
    known: Option<Tag>,
    hint: Hint,
    /// What is there now.
    state: Option<State>,
}

/// What a look at some paths brought beside its events.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Directories that are new or gone: what is below them must be compared too.
    pub(crate) trees: Vec<Path>,
}

/// Looks at `suspects` and announces what differs. Paths that are in use are looked at again when
/// they are free. Fails only if the whole service can't go on.
pub(crate) async fn look_at<P: Plug>(
    shared: &Arc<Shared<P>>,
    suspects: Vec<(Path, Hint)>,
) -> Result<Looked, Fault> {
    let _busy = shared.begin();
    let claimed: Vec<(Path, Hint, Claim)> = suspects
        .into_iter()
        .filter(|(path, _)| !path.is_root())
        .filter_map(|(path, hint)| {
            let claim = shared.claims.claim_or_mark(&path, hint)?;
            Some((path, hint, claim))
        })
        .collect();
    let paths: Vec<Path> = claimed.iter().map(|(path, ..)| path.clone()).collect();
    // What was announced is asked first, then the records, then the paths are looked at: an event
    // of this service that is committed meanwhile is in one of the first two.
    let announced: Vec<_> = paths.iter().map(|path| shared.announcer.known(path)).collect();
    let records = shared.records(&paths).await?;
    let mut findings = Vec::new();
    let mut looks = stream::iter(claimed.into_iter().zip(records).zip(announced))
        .map(|(((path, hint, claim), record), announced)| async move {
            let state = shared.plug.look(&path).await;
            let known = shared.known_tag(&path, announced, record.as_ref());
            (Finding { path, claim, record, known, hint, state: None }, state)
        })
        .buffered(LOOKS_AT_ONCE);
    while let Some((mut finding, state)) = looks.next().await {
        match state {
            Ok(state) => {
                if shared.retries.looked_at(&finding.path) {
                    shared.problems.clear(finding.path.as_str());
                }
                finding.state = state;
                findings.push(finding);
            }
            Err(fault) => note_fault(shared, &finding.path, fault)?,
        }
    }
    drop(looks);
    announce_findings(shared, findings).await
}

/// One path's fault is the path's problem; only a lost service ends the session.
fn note_fault<P: Plug>(shared: &Shared<P>, path: &Path, fault: Fault) -> Result<(), Fault> {
    if fault.kind == FaultKind::Unavailable {
        return Err(fault);
    }
    shared.problems.note(path.as_str(), &fault);
    shared.retries.add(path, Hint::Changed, &fault);
    Ok(())
}

async fn announce_findings<P: Plug>(
    shared: &Arc<Shared<P>>,
    findings: Vec<Finding>,
) -> Result<Looked, Fault> {
    let moves = recognize_moves(shared, &findings);
    let mut looked = Looked::default();
    let mut seen = Vec::new();
    let mut gone = Vec::new();
    let mut claims = Vec::new();
    for finding in findings {
        match (finding.state, finding.known) {
            (None, None) => {}
            (None, Some(_)) => {
                let moved_to = moves.to.get(&finding.path).cloned();
                if finding.record.as_ref().is_none_or(|r| r.content.kind == Kind::Directory) {
                    looked.trees.push(finding.path.clone());
                }
                gone.push(Event::Gone { path: finding.path, order: None, moved_to });
                claims.push(finding.claim);
            }
            (Some(state), known) => {
                let is_directory = state.content.kind == Kind::Directory;
                let was_directory =
                    finding.record.as_ref().is_some_and(|r| r.content.kind == Kind::Directory);
                if is_directory && known.is_none() || was_directory && !is_directory {
                    looked.trees.push(finding.path.clone());
                }
                let origin = moves.from.get(&finding.path).cloned();
                seen.push((finding, state, origin));
            }
        }
    }
    let mut events = Vec::new();
    let mut told = stream::iter(seen)
        .map(|(finding, state, moved)| async move {
            let event = describe(shared, &finding, state, moved).await;
            (finding, event)
        })
        .buffered(LOOKS_AT_ONCE);
    while let Some((finding, event)) = told.next().await {
        match event {
            Ok(Some(event)) => {
                events.push(event);
                claims.push(finding.claim);
            }
            Ok(None) => {}
            // It changed again while it was read: another look will come.
            Err(fault) if fault.kind == FaultKind::Changed => {
                shared.hints.tell(finding.path.clone(), Hint::Writing);
            }
            Err(fault) => note_fault(shared, &finding.path, fault)?,
        }
    }
    drop(told);
    // Appearances first, so that a rename's new name is known before the old one goes; children
    // go before their directories.
    gone.sort_by(|a, b| b.path().cmp(a.path()));
    events.extend(gone);
    shared.announcer.announce(events).await;
    drop(claims);
    Ok(looked)
}

/// The event for a path at which `state` stands; [`None`] if that is what is known already.
async fn describe<P: Plug>(
    shared: &Shared<P>,
    finding: &Finding,
    mut state: State,
    moved: Option<(Path, Option<Checksum>)>,
) -> Result<Option<Event>, Fault> {
    let path = &finding.path;
    let content = finding.record.as_ref().filter(|record| record.is_current_on(shared.id));
    let content = content.map(|record| record.content);
    let recorded = finding.record.as_ref().map(|record| &record.content);
    state.content = shared.as_kept(state.content, recorded);
    if finding.known == Some(state.tag) {
        let bytes_count = finding.hint == Hint::Written && state.content.kind != Kind::Directory;
        let recorded = content.and_then(|content| content.checksum);
        if !bytes_count || recorded.is_none() {
            return Ok(None);
        }
        // Written within the same clock tick: only the bytes can tell.
        state.content.checksum = Some(checksum(shared.plug.as_ref(), path, &state).await?);
        if state.content.checksum == recorded {
            return Ok(None);
        }
    }
    let (moved_from, known_sum) = moved.map_or((None, None), |(from, sum)| (Some(from), sum));
    state.content.checksum = state.content.checksum.or(known_sum);
    if state.content.kind != Kind::Directory && state.content.checksum.is_none() {
        let touched_only = content.is_some_and(|content| content.size == state.content.size);
        if touched_only || state.content.size <= limits::INLINE_BYTES_MAX {
            state.content.checksum = Some(checksum(shared.plug.as_ref(), path, &state).await?);
        } else {
            // A file nobody may read is this service's problem, not that of all who would pull it.
            drop(shared.plug.read(path, state.tag, 0).await?);
        }
    }
    let path = path.clone();
    let (order, placed, set_aside_from) = (None, None, None);
    Ok(Some(Event::Seen { path, state, order, placed, moved_from, set_aside_from }))
}

/// The checksum of what stands at `path` in exactly this state.
pub(crate) async fn checksum<P: Plug>(
    plug: &P,
    path: &Path,
    state: &State,
) -> Result<Checksum, Fault> {
    let mut source = plug.read(path, state.tag, 0).await?;
    let mut hasher = Hasher::default();
    let mut size = 0;
    loop {
        let bytes = source.next(limits::CHUNK_BYTES_MIN * 4).await?;
        if bytes.is_empty() {
            break;
        }
        size += bytes.len() as u64;
        hasher.update(&bytes);
    }
    if size != state.content.size {
        let message = format!("`{path}` changed while it was read");
        return Err(Fault::new(FaultKind::Changed, message));
    }
    Ok(hasher.finish())
}

/// The checksum that `record` knows of what `service` holds under `tag`. The record may be older
/// than what the service has announced; then it speaks of other bytes.
fn recorded_checksum(record: Option<&Record>, service: ServiceId, tag: Tag) -> Option<Checksum> {
    let record = record.filter(|record| record.is_current_on(service))?;
    let held = record.holder(service)?;
    (held.tag == tag).then_some(record.content.checksum).flatten()
}

#[derive(Default)]
struct Moves {
    /// New path → old path, and the checksum the store knows for it.
    from: BTreeMap<Path, (Path, Option<Checksum>)>,
    /// Old path → new path.
    to: BTreeMap<Path, Path>,
}

/// Pairs what is gone with what is new under the same tag.
fn recognize_moves<P: Plug>(shared: &Shared<P>, findings: &[Finding]) -> Moves {
    let mut moves = Moves::default();
    if !shared.abilities.tag_survives_rename {
        return moves;
    }
    let mut gone: BTreeMap<Tag, &Finding> = findings
        .iter()
        .filter(|finding| finding.state.is_none())
        .filter_map(|finding| Some((finding.known?, finding)))
        .collect();
    for finding in findings {
        let Some(state) = finding.state.filter(|state| finding.known != Some(state.tag)) else {
            continue;
        };
        if state.content.kind == Kind::Directory {
            continue;
        }
        if let Some(old) = gone.remove(&state.tag) {
            let sum = recorded_checksum(old.record.as_ref(), shared.id, state.tag);
            moves.from.insert(finding.path.clone(), (old.path.clone(), sum));
            moves.to.insert(old.path.clone(), finding.path.clone());
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use onitu_core::{Content, Holder};

    use super::*;

    #[test]
    fn a_record_that_is_behind_the_announcements_tells_no_checksum_of_what_was_renamed() {
        let (service, sum) = (ServiceId(1), Checksum::of(b"as recorded"));
        let content = Content {
            kind: Kind::File,
            size: 11,
            mtime_ns: 0,
            executable: false,
            checksum: Some(sum),
        };
        let (recorded, edited) =
            (Tag::of(b"as recorded"), Tag::of(b"edited, and told, but no more"));
        let holders = vec![Holder { service, revision: 1, tag: recorded }];
        let record = Record { revision: 1, gone: false, content, holders, moved: None };
        assert_eq!(recorded_checksum(Some(&record), service, recorded), Some(sum));
        assert_eq!(recorded_checksum(Some(&record), service, edited), None);
        assert_eq!(recorded_checksum(Some(&record), ServiceId(2), recorded), None);
        assert_eq!(recorded_checksum(None, service, recorded), None);
    }
}
