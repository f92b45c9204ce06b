//! What only some runs have: services that stand at a directory of the tree, quotas, and trees with
//! ignore files and junk. All of it is thrown with dice of its own, so that a seed that has none of
//! it is the same run as ever.

use fastrand::Rng;
use onitu_core::ignore::FILE_NAME;
use onitu_core::{Path, limits};

use crate::books::Books;
use crate::house::House;
use crate::user::{User, any, somewhere};

/// Directories at which services stand; no other name in the tree is like them.
const MOUNTS: [&str; 2] = ["m", "m/n"];
/// Sizes around those of the contents that users write.
const QUOTAS: [u64; 5] = [60, 400, 4_000, 30_000, 2 * limits::INLINE_BYTES_MAX];
const LINES: [&str; 12] = [
    "c.txt",
    "*.md",
    "/a",
    "b/",
    "/d/",
    "ü",
    "*.txt",
    "a/b",
    "!c.txt",
    "!a",
    "**/d/c.txt",
    "# none",
];
const JUNK: [&str; 4] = [".DS_Store", "x.swp", ".Trash-1000", "~$a"];

/// The dice of what is special in a run, and what they gave.
pub(crate) struct Special {
    rng: Rng,
    ignores: bool,
    has_quotas: bool,
}

impl Special {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5ea3_5000_0000_0000);
        let (ignores, has_quotas) = (rng.u32(0..4) == 0, rng.u32(0..4) == 0);
        Self { rng, ignores, has_quotas }
    }

    /// Gives services of the new `house` a directory to stand at, or a quota.
    pub(crate) fn equip(&mut self, house: &mut House, log: &mut Vec<String>) {
        let rng = &mut self.rng;
        let mounts = rng.u32(0..5) == 0;
        for number in 0..house.members.len() {
            if mounts && number > 0 && rng.u32(0..3) == 0 {
                let at = Path::new(rng.choice(MOUNTS).unwrap_or_default())
                    .unwrap_or_else(|_| Path::root());
                log.push(format!("{} stands at {at}", house.members[number].service.name));
                house.mount(number, at);
            }
            if self.has_quotas && rng.bool() {
                let quota = rng.choice(QUOTAS).unwrap_or_default();
                log.push(format!("{} has a quota of {quota}", house.members[number].service.name));
                house.set_quota(number, quota);
            }
        }
        house.equipped();
        if self.ignores {
            log.push("some of it is ignored".to_owned());
        }
    }

    /// What happens beside a step, if anything does.
    pub(crate) fn step(&mut self, house: &House, books: &mut Books) -> Option<String> {
        if !self.ignores || self.rng.u32(0..6) > 0 {
            return None;
        }
        let rng = &mut self.rng;
        let at = rng.usize(0..house.members.len());
        let what = ignoring(&mut User::new(house, at, books), rng);
        Some(format!("{} {what}", house.members[at].service.name))
    }

    /// Whether everything is to come to rest now, so that what is ignored can be told.
    pub(crate) fn wants_rest(&mut self) -> bool {
        (self.ignores || self.has_quotas) && self.rng.u32(0..40) == 0
    }

    /// Another quota for a service, if there are any.
    pub(crate) fn change_quota(&mut self, house: &mut House) -> Option<String> {
        if !self.has_quotas || self.rng.u32(0..40) > 0 {
            return None;
        }
        let number = self.rng.usize(0..house.members.len());
        let quota = self.rng.choice(QUOTAS).unwrap_or_default();
        house.set_quota(number, quota);
        let name = &house.members[number].service.name;
        Some(format!("{name} has a quota of {quota} now"))
    }
}

/// What a user does with ignore files, and with what is ignored.
fn ignoring(user: &mut User<'_>, rng: &mut Rng) -> String {
    let tree = user.tree();
    let place = user.reached(somewhere(&tree, rng));
    let directory = place.parent().unwrap_or_else(Path::root);
    let beside = |name: &str| directory.join(name).unwrap_or_else(|_| place.clone());
    match rng.u32(0..10) {
        0..4 => {
            let lines: Vec<&str> = (0..rng.usize(0..3)).filter_map(|_| rng.choice(LINES)).collect();
            let (file, text) = (beside(FILE_NAME), lines.join("\n"));
            let done = user.save(&file, &text.clone().into_bytes().into());
            format!("wrote {text:?} to {file}: {done}")
        }
        4 => {
            let mut files = tree;
            files.retain(|path, _| path.name() == FILE_NAME);
            let Some((file, _)) = any(&files, rng) else { return "did nothing".to_owned() };
            user.remove(&file);
            format!("removed {file}")
        }
        5..7 => {
            let junk = beside(rng.choice(JUNK).unwrap_or_default());
            let content = user.new_content(rng);
            format!("wrote {junk}: {}", user.write(&junk, &content, false))
        }
        7 => {
            let junk = beside(".Trash-1000").join("c.txt").unwrap_or(place);
            let content = user.new_content(rng);
            format!("wrote {junk}: {}", user.write(&junk, &content, false))
        }
        _ => {
            let Some((held, _)) = any(&tree, rng) else { return "did nothing".to_owned() };
            let junk = beside(rng.choice(JUNK).unwrap_or_default());
            let (from, to) = if rng.bool() { (held, junk) } else { (junk, place) };
            format!("renamed {from} to {to}: {}", user.rename(&from, &to))
        }
    }
}
