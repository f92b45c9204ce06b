//! What a driver did, what its user may find at each moment, and whether that is so whenever the
//! power fails.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use onitu_plug::Plug;
use tokio::sync::{Mutex, MutexGuard};

use super::super::{Home, connect, home, path};
use super::model::{Fate, Model, Seen};
use crate::disk::record::{Op, Record, remark};

/// So many unsure changes are tried in every combination; of more, a choice is tried.
const ALL_MAX: usize = 7;
/// How many random combinations are tried then.
const RANDOM: u64 = 12;
/// How many changes are tried as the only one kept, and as the only one lost.
const SINGLE: usize = 12;

/// The record is one for the process: one tale at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// One path in one step: what may be seen while the step is under way, and after it was answered;
/// anything where nothing is listed.
pub(super) struct Turn {
    path: String,
    during: Vec<Option<Seen>>,
    after: Vec<Option<Seen>>,
}

/// A driver at work, and everything it does.
pub(super) struct Tale {
    pub(super) home: Home,
    model: Model,
    record: Record,
    steps: Vec<Vec<Turn>>,
    kept: Vec<(usize, Vec<u8>)>,
    _alone: MutexGuard<'static, ()>,
}

/// What it did.
#[derive(Clone)]
pub(super) struct Story {
    model: Model,
    ops: Vec<Op>,
    steps: Rc<Vec<Vec<Turn>>>,
    /// From this remark on these bytes are somewhere.
    kept: Rc<Vec<(usize, Vec<u8>)>>,
}

/// A file of these bytes, with the time that `file` of the tests gives it.
pub(super) fn placed(bytes: &[u8]) -> Seen {
    Seen::File(Rc::new(bytes.to_vec()), (1_600_000_000, 123_456_789))
}

/// `path` goes from `old` to `new`.
pub(super) fn turn(path: &str, old: impl Into<Option<Seen>>, new: impl Into<Option<Seen>>) -> Turn {
    let (old, new) = (old.into(), new.into());
    Turn { path: path.to_owned(), during: vec![old, new.clone()], after: vec![new] }
}

/// Nobody cares what is at `path`.
pub(super) fn anything(path: &str) -> Turn {
    Turn { path: path.to_owned(), during: Vec::new(), after: Vec::new() }
}

impl Turn {
    /// This, too, may be seen there before the step is answered.
    pub(super) fn meanwhile(mut self, seen: Option<Seen>) -> Self {
        self.during.push(seen);
        self
    }
}

/// The step was answered: its changes are sure.
pub(super) fn answered(step: usize) {
    remark(2 * step + 1);
}

impl Tale {
    /// Begins with these files of the user.
    pub(super) async fn begin(files: &[(&str, &[u8])]) -> Self {
        let alone = ALONE.lock().await;
        let home = home().await;
        for (name, bytes) in files {
            home.write(name, bytes);
        }
        // The day of the trash is there before the first step, as on any but the first use.
        home.write("to begin with", b"x");
        let tag = home.tag("to begin with").await;
        home.local.remove(&path("to begin with"), tag).await.expect("removed");
        let record = Record::begin();
        let model = Model::of(home.folder.path());
        Self { home, model, record, steps: Vec::new(), kept: Vec::new(), _alone: alone }
    }

    /// What stands at `path` now.
    pub(super) fn seen(&self, path: &str) -> Option<Seen> {
        let mut found = Model::of(self.home.folder.path()).crash(|_| Fate::Kept);
        found.remove(path).map(|(seen, _)| seen)
    }

    /// A step begins, in which these paths change.
    pub(super) fn step(&mut self, turns: Vec<Turn>) -> usize {
        self.steps.push(turns);
        let step = self.steps.len() - 1;
        remark(2 * step);
        step
    }

    /// From the beginning of this step on, these bytes are kept somewhere, whatever happens.
    pub(super) fn keeps(&mut self, step: usize, bytes: &[u8]) {
        self.kept.push((2 * step, bytes.to_vec()));
    }

    /// As [`Self::keeps`], from the end of the step on.
    pub(super) fn keeps_afterwards(&mut self, step: usize, bytes: &[u8]) {
        self.kept.push((2 * step + 1, bytes.to_vec()));
    }

    pub(super) fn end(self) -> Story {
        let Self { home, model, record, steps, kept, _alone } = self;
        let ops = record.end();
        drop(home);
        Story { model, ops, steps: Rc::new(steps), kept: Rc::new(kept) }
    }

    /// The driver is begun anew in its folder.
    pub(super) async fn restart(&mut self) {
        let root: PathBuf = self.home.folder.path().to_owned();
        self.home.local = connect(root, true).await.expect("connects again");
    }
}

impl Story {
    /// The same without the calls that `left_out` tells.
    pub(super) fn without(&self, mut left_out: impl FnMut(&Op) -> bool) -> Self {
        let mut story = self.clone();
        story.ops.retain(|op| !left_out(op));
        story
    }

    /// How many calls are so.
    pub(super) fn count(&self, is_so: impl Fn(&Op) -> bool) -> usize {
        self.ops.iter().filter(|op| is_so(op)).count()
    }

    /// The same with all flushes after everything else.
    pub(super) fn flushed_last(&self) -> Self {
        let mut story = self.clone();
        story.ops.sort_by_key(|op| matches!(op, Op::Sync { .. } | Op::SyncAll { .. }));
        story
    }

    /// How often the power was made to fail, or what it did to the user.
    pub(super) fn check(&self) -> Result<u64, String> {
        let mut model = self.model.clone();
        let mut allowed: BTreeMap<String, Vec<Option<Seen>>> = BTreeMap::new();
        for (path, (seen, _)) in model.crash(|_| Fate::Kept) {
            if !is_own(&path) {
                allowed.insert(path, vec![Some(seen)]);
            }
        }
        let mut random = fastrand::Rng::with_seed(7);
        let mut crashes = 0;
        let mut kept: Vec<&[u8]> = Vec::new();
        for (at, op) in self.ops.iter().enumerate() {
            if let Op::Remark(remark) = op {
                for turn in &self.steps[remark / 2] {
                    let now = if remark % 2 == 0 { &turn.during } else { &turn.after };
                    allowed.insert(turn.path.clone(), now.clone());
                }
                kept.extend(self.kept.iter().filter(|it| it.0 == *remark).map(|it| &*it.1));
            }
            model.apply(op);
            for fates in combinations(model.unsure(), &mut random) {
                crashes += 1;
                let found = model.crash(|at| fates[at]);
                look(&model, &found, &allowed, &kept)
                    .map_err(|why| format!("after call {at}, {op:?}: {why}"))?;
            }
        }
        Ok(crashes)
    }
}

fn combinations(unsure: usize, random: &mut fastrand::Rng) -> Vec<Vec<Fate>> {
    let mut all = Vec::new();
    if unsure <= ALL_MAX {
        for bits in 0_u32..1 << unsure {
            for otherwise in [Fate::Lost, Fate::Zeroed] {
                let fate = |at| if bits >> at & 1 == 1 { Fate::Kept } else { otherwise };
                all.push((0..unsure).map(fate).collect());
            }
        }
        return all;
    }
    all.extend([Fate::Kept, Fate::Lost, Fate::Zeroed, Fate::Half].map(|fate| vec![fate; unsure]));
    for _ in 0..SINGLE {
        let one = random.usize(..unsure);
        for (other, fate) in [(Fate::Lost, Fate::Kept), (Fate::Kept, Fate::Lost)] {
            let mut fates = vec![other; unsure];
            fates[one] = fate;
            all.push(fates);
        }
    }
    for _ in 0..RANDOM {
        let fates = [Fate::Kept, Fate::Lost, Fate::Zeroed, Fate::Half];
        all.push((0..unsure).map(|_| fates[random.usize(..4)]).collect());
    }
    all
}

fn is_own(path: &str) -> bool {
    path == ".onitu" || path.starts_with(".onitu/")
}

fn look(
    model: &Model,
    found: &BTreeMap<String, (Seen, usize)>,
    allowed: &BTreeMap<String, Vec<Option<Seen>>>,
    kept: &[&[u8]],
) -> Result<(), String> {
    for (path, may) in allowed {
        let seen = found.get(path).map(|(seen, _)| seen.clone());
        if !may.is_empty() && !may.contains(&seen) {
            return Err(format!("`{path}` is {}", shown(seen.as_ref())));
        }
    }
    for (path, (seen, _)) in found {
        // Directories are made on the way to a file, and an empty one harms nobody.
        if !is_own(path) && !allowed.contains_key(path) && *seen != Seen::Directory {
            return Err(format!("`{path}` appeared: {}", shown(Some(seen))));
        }
    }
    for bytes in kept {
        let holds = |(path, (seen, node)): (&String, &(Seen, usize))| {
            let is_it = match seen {
                Seen::File(found, _) => found.as_slice() == *bytes,
                Seen::Link(target) => target == bytes,
                Seen::Directory => false,
            };
            is_it && survives(path, model.inode(*node))
        };
        if !found.iter().any(holds) {
            return Err(format!("{:?} is lost", String::from_utf8_lossy(bytes)));
        }
    }
    Ok(())
}

/// Whether what stands at `path` is the user's, or will be moved to the trash at the next start.
fn survives(path: &str, inode: u64) -> bool {
    match path.strip_prefix(".onitu/tmp/") {
        Some(name) => name
            .strip_prefix("swap-")
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(ours, _)| ours != format!("{inode:x}")),
        None => true,
    }
}

fn shown(seen: Option<&Seen>) -> String {
    match seen {
        None => "absent".to_owned(),
        Some(Seen::Directory) => "a directory".to_owned(),
        Some(Seen::Link(target)) => format!("a link to {:?}", String::from_utf8_lossy(target)),
        Some(Seen::File(bytes, time)) => {
            let first = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            format!("a file of {} bytes of {time:?}, {first:?}", bytes.len())
        }
    }
}
