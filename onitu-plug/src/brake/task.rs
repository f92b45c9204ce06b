//! The brake's own task: waits until a burst is over, judges it, tells what is harmless.

use std::sync::Arc;
use std::time::Duration;

use onitu_core::held::Verdict;
use onitu_core::{Fault, Path};
use tokio::time::{Instant, sleep};

use super::count::count_files;
use super::load::is_crowded;
use super::reject::reject;
use super::{Brake, Counted, Manner, State, What};
use crate::hints::Hint;
use crate::look::{LOOK_MAX, look_at};
use crate::plug::Plug;
use crate::service::Shared;
use crate::watching::Trees;

/// A burst is over when nothing was added for so long,
const QUIET: Duration = Duration::from_millis(15);
/// or for so long once it is as large as a part of what would be held,
const QUIET_LARGE: Duration = Duration::from_millis(250);
/// or at the latest so long after its first path; sooner if nothing was removed, for files that are
/// edited all the time can't be kept waiting.
const QUIET_LAST: Duration = Duration::from_mins(1);
const QUIET_LAST_CHANGES: Duration = Duration::from_secs(2);
/// So many paths are no burst yet.
const FEW: u64 = 3;
/// That part.
const PART: u64 = 4;
/// How often the machine is looked at meanwhile,
const SLICE: Duration = Duration::from_millis(5);
/// and for how long its being crowded puts off a judgement.
const CROWDED_MAX: Duration = Duration::from_millis(200);

/// What there is to do.
enum Work {
    Judge,
    Decide(Verdict),
}

/// What is to be judged of one kind.
struct Tally {
    /// Files that wait.
    waiting: u64,
    /// Files that were told within the last minute and count.
    told: u64,
    /// Files that were removed within the last minute, be it by orders: they are no longer counted.
    gone: u64,
}

impl Tally {
    /// How many files there were before, where there are now `files` of which those that wait are
    /// counted.
    fn before(&self, files: u64) -> u64 {
        files + self.gone
    }
}

/// Judges and tells what waits, for ever.
pub(crate) async fn brake<P: Plug>(shared: &Arc<Shared<P>>, trees: &Trees) -> Result<(), Fault> {
    loop {
        match shared.brake.next().await {
            Work::Judge => {
                burst_is_over(shared, trees).await?;
                let _working = Working::begin(&shared.brake);
                shared.announcer.stir();
                judge(shared, What::Removed).await?;
                judge(shared, What::Changed).await?;
            }
            Work::Decide(verdict) => {
                let _working = Working::begin(&shared.brake);
                shared.announcer.stir();
                decide(shared, verdict).await?;
            }
        }
    }
}

/// Something is being judged or told while it lives.
struct Working<'a>(&'a Brake);

impl<'a> Working<'a> {
    fn begin(brake: &'a Brake) -> Self {
        brake.state().working = true;
        Self(brake)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.state().working = false;
    }
}

impl Brake {
    async fn next(&self) -> Work {
        loop {
            let news = self.news.notified();
            {
                let mut state = self.state();
                if let Some(verdict) = state.verdict {
                    return Work::Decide(verdict);
                }
                if state.pile(What::Removed).unjudged || state.pile(What::Changed).unjudged {
                    return Work::Judge;
                }
            }
            news.await;
        }
    }

    fn additions(&self) -> u64 {
        self.state().additions
    }

    /// How long nothing may be added before what waits is judged.
    fn quiet(&self) -> Duration {
        let state = self.state();
        let most = state.removed.files().max(state.changed.files());
        let is_part = |what, count: u64| {
            let count = count.saturating_mul(PART);
            !self.limits.is_harmless(what, count, state.files.files)
        };
        let is_large = is_part(What::Removed, state.removed.files())
            || is_part(What::Changed, state.changed.files());
        if most > FEW && is_large { QUIET_LARGE } else { QUIET }
    }

    /// What is to be judged; [`None`] if nothing was added since the last judgement.
    fn tally(&self, what: What) -> Option<Tally> {
        let now = Instant::now();
        let mut state = self.state();
        let State { removed, changed, recent, .. } = &mut *state;
        let gone = recent.gone(now);
        let (pile, told) = match what {
            What::Removed => (removed, recent.removals(now)),
            What::Changed => {
                let told = recent.changes(now, |path| changed.contains(path));
                (changed, told)
            }
        };
        std::mem::take(&mut pile.unjudged).then(|| Tally { waiting: pile.files(), told, gone })
    }
}

/// Returns when what waits is all of a burst: nothing was added for a moment, the storage has told
/// of everything that happened before, and nothing of that is still being looked at.
async fn burst_is_over<P: Plug>(shared: &Arc<Shared<P>>, trees: &Trees) -> Result<(), Fault> {
    let brake = &shared.brake;
    let begin = Instant::now();
    let is_last = || {
        let removed = brake.state().removed.files() > 0;
        begin.elapsed() >= if removed { QUIET_LAST } else { QUIET_LAST_CHANGES }
    };
    loop {
        let additions = brake.additions();
        pause(brake.quiet()).await;
        if brake.additions() != additions && !is_last() {
            continue;
        }
        // One that can't tell is looked at as it is; every path is looked at again anyway.
        if let Err(fault) = shared.plug.settle().await {
            tracing::debug!(service = shared.name, "not settled: {fault}");
        }
        while !(brake.is_calm() && shared.hints.is_empty() && trees.is_empty()) {
            brake.calmed.notified().await;
        }
        if brake.additions() == additions || is_last() {
            break;
        }
    }
    // Whether it is still the same storage, before anything of it is told to be gone.
    shared.plug.check().await
}

/// Waits until it was quiet for `length`. While more wants to run than can, whoever removes files
/// may be among those who wait, and a silence means nothing.
async fn pause(length: Duration) {
    let (mut left, mut patience) = (length, CROWDED_MAX);
    while !left.is_zero() {
        sleep(SLICE).await;
        if is_crowded() && !patience.is_zero() {
            patience = patience.saturating_sub(SLICE);
        } else {
            left = left.saturating_sub(SLICE);
        }
    }
}

async fn judge<P: Plug>(shared: &Arc<Shared<P>>, what: What) -> Result<(), Fault> {
    let brake = &shared.brake;
    let Some(tally) = brake.tally(what) else { return Ok(()) };
    let rest = brake.state().rest;
    if let Some(verdict) = rest {
        return decide_rest(shared, verdict).await;
    }
    let is_held = brake.state().pile(what).held.is_some();
    if !is_held {
        let Some(of) = exceeded(shared, what, &tally).await? else {
            let paths = brake.with(|state| {
                let is_partial = state.pile(what).is_partial;
                if is_partial {
                    state.rest = Some(Verdict::Approve);
                }
                state.pile(what).take()
            });
            tell(shared, paths.into_iter().map(|(path, _)| path), Manner::Judged).await?;
            find_the_rest(shared);
            return Ok(());
        };
        let (service, waiting) = (&shared.name, tally.waiting);
        tracing::warn!(service, "held: {waiting} files of {of} ({what:?})");
        brake.with(|state| state.pile(what).held = Some(of));
    }
    let free = brake.with(|state| {
        state.version += 1;
        state.pile(what).take_empty_directories()
    });
    tell(shared, free.into_iter(), Manner::Judged).await
}

/// How many files the service held before, if what waits is too many of them.
async fn exceeded<P: Plug>(
    shared: &Arc<Shared<P>>,
    what: What,
    tally: &Tally,
) -> Result<Option<u64>, Fault> {
    let brake = &shared.brake;
    let count = tally.waiting + tally.told;
    let gone = shared.announcer.gone();
    let known = brake.state().files;
    let least = tally.before(known.files.saturating_sub(gone.saturating_sub(known.gone)));
    if brake.limits.is_harmless(what, count, least) {
        return Ok(None);
    }
    let files = count_files(shared).await?;
    brake.state().files = Counted { files, gone };
    let of = tally.before(files);
    Ok((tally.waiting > 0 && brake.limits.is_exceeded(what, count, of)).then_some(of))
}

/// Looks at each of `paths` again and tells what is found.
async fn tell<P: Plug>(
    shared: &Arc<Shared<P>>,
    paths: impl Iterator<Item = Path>,
    manner: Manner,
) -> Result<(), Fault> {
    let paths: Vec<Path> = paths.collect();
    for chunk in paths.chunks(LOOK_MAX) {
        let suspects = chunk.iter().map(|path| (path.clone(), Hint::Changed)).collect();
        look_at(shared, suspects, manner).await?;
    }
    Ok(())
}

/// Does what a person has decided about everything that is held.
async fn decide<P: Plug>(shared: &Arc<Shared<P>>, verdict: Verdict) -> Result<(), Fault> {
    tracing::info!(service = shared.name, "{verdict:?}: what was held");
    carry_out(shared, verdict, |state, what| state.pile(what).held.is_some()).await?;
    find_the_rest(shared);
    Ok(())
}

/// Does the same with what a scan has found since.
async fn decide_rest<P: Plug>(shared: &Arc<Shared<P>>, verdict: Verdict) -> Result<(), Fault> {
    shared.brake.state().rest = None;
    carry_out(shared, verdict, |_, _| true).await?;
    find_the_rest(shared);
    Ok(())
}

async fn carry_out<P: Plug>(
    shared: &Arc<Shared<P>>,
    verdict: Verdict,
    is_meant: impl Fn(&mut State, What) -> bool,
) -> Result<(), Fault> {
    let piles = shared.brake.with(|state| {
        state.verdict = None;
        state.version += 1;
        [What::Removed, What::Changed].map(|what| {
            if !is_meant(state, what) {
                return Vec::new();
            }
            if state.pile(what).is_partial {
                state.rest = Some(verdict);
            }
            state.pile(what).take()
        })
    });
    for (pile, what) in piles.into_iter().zip([What::Removed, What::Changed]) {
        match verdict {
            Verdict::Approve => {
                tell(shared, pile.into_iter().map(|(path, _)| path), Manner::Approved).await?;
            }
            Verdict::Reject => reject(shared, what, pile).await?,
        }
    }
    Ok(())
}

/// Has a scan find what was too much to be remembered.
fn find_the_rest<P: Plug>(shared: &Arc<Shared<P>>) {
    if shared.brake.state().rest.is_some() {
        shared.hints.rescan("more was removed at once than is remembered");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use onitu_core::{Mode, Service, ServiceId, Tag};

    use super::*;

    fn brake() -> Brake {
        Brake::new(&Service {
            id: ServiceId(1),
            name: "a".to_owned(),
            driver: "memory".to_owned(),
            mode: Mode::Sync,
            paused: false,
            options: BTreeMap::new(),
        })
    }

    #[test]
    fn what_orders_removed_within_the_minute_makes_the_service_no_smaller() {
        // Removed by orders, told before, waiting; now held; whether that is too much.
        let table = [
            (0, 0, 30, 60, 60, false),
            (0, 0, 31, 60, 60, true),
            (30, 0, 16, 30, 60, false),
            (30, 0, 30, 30, 60, false),
            (30, 15, 16, 15, 60, true),
            (59, 0, 1, 1, 60, false),
        ];
        for (ordered, told, waiting, files, before, exceeded) in table {
            let brake = brake();
            let path = |at: u64| Path::new(&at.to_string()).expect("a valid path");
            (0..ordered).for_each(|_| brake.ordered_removal());
            (0..told).for_each(|at| brake.told_removal(&path(1_000 + at)));
            (0..waiting).for_each(|at| brake.removed(path(at), Tag::of(b"x"), None));
            let tally = brake.tally(What::Removed).expect("something waits");
            let of = tally.before(files);
            assert_eq!(of, before, "{ordered} {told} {waiting}");
            let count = tally.waiting + tally.told;
            let is_exceeded = brake.limits.is_exceeded(What::Removed, count, of);
            assert_eq!(is_exceeded, exceeded, "{ordered} {told} {waiting}");
        }
    }
}
