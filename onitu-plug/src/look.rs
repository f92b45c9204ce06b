//! Looking: what stands at a path now, compared with what it is known to be, announced if it
//! differs.
//!
//! Everything that makes a driver tell something about a path ends here, under the path's claim,
//! so no event speaks of a state that was not there when it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use onitu_core::ignore::is_ignore_file;
use onitu_core::message::Event;
use onitu_core::{
    Content, Fault, FaultKind, Kind, Mode, Path, Record, ServiceId, State, Tag, limits,
};

use crate::brake::Manner;
use crate::claim::Claim;
use crate::hints::Hint;
use crate::implied;
use crate::media::has_untold_type;
use crate::plug::Plug;
use crate::read::{read_head, read_whole};
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
    /// Whether that is from what was announced and isn't recorded yet.
    is_announced: bool,
    /// It is a directory that the storage doesn't show, because nothing is in it any more.
    is_unshown: bool,
    hint: Hint,
    /// What is there now.
    state: Option<State>,
}

impl Finding {
    /// Whether what was known at the path may have been a directory.
    fn may_be_directory(&self) -> bool {
        self.is_announced
            || self.record.as_ref().is_none_or(|record| record.content.kind == Kind::Directory)
    }
}

/// What a look at some paths brought beside its events.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Directories that are new or gone: what is below them must be compared too.
    pub(crate) trees: Vec<Path>,
}

/// Looks at `suspects` and announces what differs, unless the brake has to judge it first. Paths
/// that are in use are looked at again when they are free. Fails only if the whole service can't
/// go on.
pub(crate) async fn look_at<P: Plug>(
    shared: &Arc<Shared<P>>,
    suspects: Vec<(Path, Hint)>,
    manner: Manner,
) -> Result<Looked, Fault> {
    let _busy = shared.begin();
    // What ignore files say holds for everything that is looked at with them.
    let (first, suspects): (Vec<_>, Vec<_>) =
        suspects.into_iter().partition(|(path, _)| is_ignore_file(path));
    let mut looked = Looked::default();
    for suspects in [first, suspects] {
        if !suspects.is_empty() {
            looked.trees.extend(look_at_once(shared, suspects, manner).await?.trees);
        }
    }
    Ok(looked)
}

async fn look_at_once<P: Plug>(
    shared: &Arc<Shared<P>>,
    suspects: Vec<(Path, Hint)>,
    manner: Manner,
) -> Result<Looked, Fault> {
    let mut findings = find(shared, suspects).await?;
    let former = former_names(shared, &findings);
    if !former.is_empty() {
        findings.extend(find(shared, former).await?);
    }
    announce_findings(shared, findings, manner).await
}

/// Claims the paths and finds out what is there and what is known of them.
async fn find<P: Plug>(
    shared: &Arc<Shared<P>>,
    suspects: Vec<(Path, Hint)>,
) -> Result<Vec<Finding>, Fault> {
    let claimed: Vec<(Path, Hint, Claim)> = suspects
        .into_iter()
        .filter(|(path, _)| !path.is_root() && !shared.is_ignored(path))
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
            let is_announced = announced.is_some();
            let is_unshown = false;
            (
                Finding { path, claim, record, known, is_announced, is_unshown, hint, state: None },
                state,
            )
        })
        .buffered(LOOKS_AT_ONCE);
    while let Some((mut finding, state)) = looks.next().await {
        let kind = state.as_ref().ok().and_then(|state| Some(state.as_ref()?.content.kind));
        let recorded = finding.record.as_ref().map(|record| record.content.kind);
        // A lost store may have forgotten that it was there, and then nothing is told of its end.
        if matches!(state, Ok(None)) && shared.filter.forget_at(&finding.path) {
            shared.hints.rescan("an ignore file is gone");
        }
        let mut state = state;
        if shared.is_ignored_as(&finding.path, kind.or(recorded)) {
            // What is ignored as the directory that it is may stand where a file was, or the other
            // way round: then that isn't there any more.
            let filter = &shared.filter;
            let is_ours = |was: Kind| Some(was) != kind && !filter.covers(&finding.path, was);
            if kind.is_none() || !recorded.is_some_and(is_ours) {
                continue;
            }
            state = Ok(None);
        }
        match state {
            Ok(mut state) => {
                if state.is_none() && implied::is_meant(finding.known) {
                    // What it may have held is told of by itself.
                    finding.is_unshown = finding.record.as_ref().is_none_or(|record| !record.gone);
                    state = finding.is_unshown.then(implied::state);
                }
                if state.is_none() {
                    mended(shared, &finding.path);
                }
                finding.state = state;
                findings.push(finding);
            }
            Err(fault) => note_fault(shared, &finding.path, fault)?,
        }
    }
    drop(looks);
    Ok(findings)
}

/// Removals that wait at the brake and were the first half of a rename: what stood there has just
/// been found under another name.
fn former_names<P: Plug>(shared: &Shared<P>, findings: &[Finding]) -> Vec<(Path, Hint)> {
    if !shared.abilities.tag_survives_rename {
        return Vec::new();
    }
    let new = findings.iter().filter_map(|finding| {
        let tag = finding.state.filter(|it| it.content.kind != Kind::Directory)?.tag;
        (finding.known != Some(tag)).then_some(tag)
    });
    let waiting: BTreeSet<Path> = new.filter_map(|tag| shared.brake.waiting_under(tag)).collect();
    let is_there = |path: &Path| findings.iter().any(|finding| finding.path == *path);
    waiting.into_iter().filter(|path| !is_there(path)).map(|path| (path, Hint::Changed)).collect()
}

/// The path is no problem any more, if a look was what it waited for.
pub(crate) fn mended<P: Plug>(shared: &Shared<P>, path: &Path) {
    if shared.retries.looked_at(path) {
        shared.problems.clear(path.as_str());
    }
}

/// One path's fault is the path's problem; only a lost service ends the session.
pub(crate) fn note_fault<P: Plug>(
    shared: &Shared<P>,
    path: &Path,
    fault: Fault,
) -> Result<(), Fault> {
    if fault.kind == FaultKind::Unavailable {
        return Err(fault);
    }
    shared.problems.note(path.as_str(), &fault);
    shared.retries.add(path, Hint::Changed, &fault);
    Ok(())
}

/// Renames whose new name was told before the old one was found to be gone, by the old name.
async fn later_names<P: Plug>(
    shared: &Arc<Shared<P>>,
    gone: &[(Finding, Tag)],
) -> BTreeMap<Path, Path> {
    let mut names = BTreeMap::new();
    if !shared.abilities.tag_survives_rename {
        return names;
    }
    for (finding, tag) in gone {
        let new = shared.brake.appeared_under(*tag).filter(|path| *path != finding.path);
        let Some(path) = new else { continue };
        // It may be gone again by now, and then it explains nothing.
        if shared.plug.look(&path).await.is_ok_and(|it| it.is_some_and(|it| it.tag == *tag)) {
            names.insert(finding.path.clone(), path);
        }
    }
    names
}

async fn announce_findings<P: Plug>(
    shared: &Arc<Shared<P>>,
    findings: Vec<Finding>,
    manner: Manner,
) -> Result<Looked, Fault> {
    let moves = recognize_moves(shared, &findings);
    let mut looked = Looked::default();
    let mut seen = Vec::new();
    let mut gone = Vec::new();
    for finding in findings {
        match (finding.state, finding.known) {
            (None, None) => shared.brake.forget(&finding.path),
            (None, Some(tag)) => {
                if finding.may_be_directory() {
                    looked.trees.push(finding.path.clone());
                }
                gone.push((finding, tag));
            }
            (Some(state), known) => {
                let is_directory = state.content.kind == Kind::Directory;
                let was_directory =
                    finding.record.as_ref().is_some_and(|r| r.content.kind == Kind::Directory);
                let is_unshown = finding.is_unshown;
                if is_directory && known.is_none() || was_directory && !is_directory || is_unshown {
                    looked.trees.push(finding.path.clone());
                }
                seen.push((finding, state));
            }
        }
    }
    let mut told = appearances(shared, seen, &moves, manner).await?;
    let later = later_names(shared, &gone).await;
    let new: BTreeSet<Path> = told.iter().map(|(event, _)| event.path().clone()).collect();
    // Appearances first, so that a rename's new name is known before the old one goes; children
    // go before their directories.
    gone.sort_by(|(a, _), (b, _)| b.path.cmp(&a.path));
    for (finding, tag) in gone {
        // A new name that wasn't told explains nothing.
        let moved_to = moves.to.get(&finding.path).filter(|to| new.contains(*to));
        let moved_to = moved_to.or(later.get(&finding.path)).cloned();
        if let Some(event) = removal(shared, &finding, tag, moved_to, manner) {
            told.push((event, finding.claim));
        }
    }
    let (events, claims): (Vec<_>, Vec<_>) = told.into_iter().unzip();
    shared.announce(events).await;
    drop(claims);
    Ok(looked)
}

/// The events for what is there and wasn't known, each with the claim to its path.
async fn appearances<P: Plug>(
    shared: &Arc<Shared<P>>,
    seen: Vec<(Finding, State)>,
    moves: &Moves,
    manner: Manner,
) -> Result<Vec<(Event, Claim)>, Fault> {
    let mut events = Vec::new();
    let mut described = stream::iter(seen)
        .map(|(finding, state)| async move {
            let origin = moves.from.get(&finding.path).cloned();
            let event = describe(shared, &finding, state, origin).await;
            (finding, event)
        })
        .buffered(LOOKS_AT_ONCE);
    while let Some((finding, event)) = described.next().await {
        // Only now, after what was there could be read as well: else a file that can be seen but
        // not read would be tried without a growing pause, and be no problem in between.
        if event.is_ok() {
            mended(shared, &finding.path);
        }
        match event {
            Ok(Some(event)) => {
                if let Some(event) = appearance(shared, &finding, event, manner) {
                    events.push((event, finding.claim));
                }
            }
            Ok(None) => shared.brake.forget(&finding.path),
            // It changed again while it was read: another look will come.
            Err(fault) if fault.kind == FaultKind::Changed => {
                shared.hints.tell(finding.path.clone(), Hint::Writing);
            }
            Err(fault) => note_fault(shared, &finding.path, fault)?,
        }
    }
    Ok(events)
}

/// The event for a path that is gone; [`None`] if it waits for a judgement.
fn removal<P: Plug>(
    shared: &Shared<P>,
    finding: &Finding,
    tag: Tag,
    moved_to: Option<Path>,
    manner: Manner,
) -> Option<Event> {
    let (brake, path, record) = (&shared.brake, &finding.path, finding.record.as_ref());
    // What was ordered to be removed there was no user's removal.
    let is_leaving = record.is_some_and(|record| record.is_leaving(shared.id));
    if manner.is_unjudged() && moved_to.is_none() && !is_leaving {
        let announced = shared.announcer.known(path).is_some();
        if brake.waits_for_judgement(record, announced) {
            brake.removed(path.clone(), tag, record);
            return None;
        }
    }
    brake.forget(path);
    let is_file = record.is_none_or(|record| record.content.kind != Kind::Directory);
    if manner == Manner::Judged && is_file && moved_to.is_none() && !is_leaving {
        brake.told_removal(path);
    }
    Some(Event::Gone { path: path.clone(), order: None, moved_to })
}

/// The event for a path where something else is than was known; [`None`] if it waits for a
/// judgement.
fn appearance<P: Plug>(
    shared: &Shared<P>,
    finding: &Finding,
    event: Event,
    manner: Manner,
) -> Option<Event> {
    let (brake, path, record) = (&shared.brake, &finding.path, finding.record.as_ref());
    let Event::Seen { state, .. } = &event else { return Some(event) };
    let is_new = finding.known.is_some_and(|known| known != state.tag);
    let is_change = is_new && brake.holds_change(record, &state.content);
    match manner {
        _ if is_change && manner.is_unjudged() => {
            brake.replaced(path.clone(), state.tag, record);
            return None;
        }
        Manner::Judged if is_change => brake.told_change(path),
        _ if finding.known.is_none() && state.content.kind != Kind::Directory => {
            brake.appeared(path, state.tag, manner == Manner::Hinted);
        }
        _ => {}
    }
    brake.forget(path);
    Some(event)
}

/// The event for a path at which `state` stands; [`None`] if that is what is known already.
async fn describe<P: Plug>(
    shared: &Shared<P>,
    finding: &Finding,
    mut state: State,
    moved: Option<(Path, Option<Content>)>,
) -> Result<Option<Event>, Fault> {
    let path = &finding.path;
    let content = finding.record.as_ref().filter(|record| record.is_current_on(shared.id));
    let content = content.map(|record| record.content);
    let recorded = finding.record.as_ref().map(|record| &record.content);
    state.content = shared.as_kept(state.content, recorded);
    if finding.known == Some(state.tag) {
        let bytes_count = matches!(finding.hint, Hint::Doubted | Hint::Written)
            && state.content.kind != Kind::Directory;
        let recorded = content.and_then(|content| content.checksum);
        if !bytes_count || recorded.is_none() {
            return Ok(None);
        }
        // Written within the same clock tick: only the bytes can tell.
        state.content = read_whole(shared.plug.as_ref(), path, &state).await?;
        if state.content.checksum == recorded {
            return Ok(None);
        }
        if finding.hint == Hint::Doubted && is_repairable(shared, finding) {
            return rotten(shared, path, state).await;
        }
    }
    let (moved_from, known) = moved.map_or((None, None), |(from, known)| (Some(from), known));
    if let Some(known) = known {
        state.content.learn(&known);
        state.content.media = known.media.filter(|_| has_untold_type(path, state.content.kind));
    }
    if state.content.kind != Kind::Directory && state.content.checksum.is_none() {
        let touched_only = content.is_some_and(|content| content.size == state.content.size);
        // Who isn't known to hold what is recorded may hold it, or an earlier revision, all the
        // same: only the bytes can tell.
        let is_behind = finding.record.is_some() && content.is_none();
        if touched_only || is_behind || state.content.size <= limits::INLINE_BYTES_MAX {
            state.content = read_whole(shared.plug.as_ref(), path, &state).await?;
        } else {
            // A file nobody may read is this service's problem, not that of all who would pull it.
            let mut source = shared.plug.read(path, state.tag, 0).await?;
            state.content.media = read_head(&mut source, path, state.content.kind).await?;
        }
    }
    let path = path.clone();
    let (order, placed, set_aside_from) = (None, None, None);
    Ok(Some(Event::Seen { path, state, order, placed, moved_from, set_aside_from }))
}

/// Whether another service has the content that is recorded of what this one holds.
fn is_repairable<P: Plug>(shared: &Shared<P>, finding: &Finding) -> bool {
    let elsewhere = |record: &Record| record.current_holders().any(|it| it.service != shared.id);
    shared.mode != Mode::Source && finding.record.as_ref().is_some_and(elsewhere)
}

/// The event for bytes that changed without a trace: a failing disk's, or an edit's that put size
/// and times back. It is kept under a conflict name and goes nowhere as if it were an edit. What its
/// user has just written is told by the watcher, and looked at in its turn.
async fn rotten<P: Plug>(
    shared: &Shared<P>,
    path: &Path,
    state: State,
) -> Result<Option<Event>, Fault> {
    shared.plug.settle().await?;
    if shared.hints.may_concern(path) {
        return Ok(None);
    }
    tracing::warn!(service = shared.name, %path, "its bytes are not those that were recorded");
    Ok(Some(Event::Rotten { path: path.clone(), state }))
}

/// What the record knows of the content that `service` holds under `tag`. What was announced and
/// isn't committed yet is another state, of which it knows nothing.
fn known_of(record: &Record, service: ServiceId, tag: Tag) -> Option<Content> {
    let held = record.holder(service).filter(|held| held.tag == tag)?;
    (held.revision == record.revision).then_some(record.content)
}

#[derive(Default)]
struct Moves {
    /// New path → old path, and what the store knows of the content.
    from: BTreeMap<Path, (Path, Option<Content>)>,
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
            let known =
                old.record.as_ref().and_then(|record| known_of(record, shared.id, state.tag));
            moves.from.insert(finding.path.clone(), (old.path.clone(), known));
            moves.to.insert(old.path.clone(), finding.path.clone());
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use onitu_core::Checksum;

    use super::*;

    #[test]
    fn a_checksum_is_taken_from_the_record_only_for_the_state_it_speaks_of() {
        let (service, other) = (ServiceId(1), ServiceId(2));
        let checksum = Some(Checksum::of(b"first"));
        let mut record = Record::new(Content { checksum, ..Content::DIRECTORY });
        let [told, announced] = [Tag::of(b"1"), Tag::of(b"2")];
        record.set_holder(service, 1, told);
        let sum_of = |record: &Record, who, tag| known_of(record, who, tag)?.checksum;
        assert_eq!(sum_of(&record, service, told), checksum);
        assert_eq!(sum_of(&record, service, announced), None, "edited since, and not committed");
        assert_eq!(sum_of(&record, other, told), None);
        record.revision = 2;
        assert_eq!(sum_of(&record, service, told), None, "it holds an earlier revision");
    }
}
