//! Rounds of random edits during which processes are killed: afterwards everything must be in
//! step, complete, and what its user last wrote.
//!
//! The users' edits depend on the seed alone; the moments of the kills are drawn from it too, but
//! what a process is doing then is the machine's affair. A round panics with what is wrong; who
//! runs it decides what becomes of the house.

mod apart;
mod content;
mod user;
mod victims;
mod watcher;

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use self::apart::Apart;
use self::user::{Owners, Users};
use self::victims::Victim;
use self::watcher::Watcher;
use crate::condition::pass;
use crate::{Files, House, soon};

const SERVICES: [&str; 3] = ["a", "b", "c"];
/// Redis, Core, Referee and the supervisor: beside them there is a driver for each service.
const OTHERS: usize = 4;
const EDITS: std::ops::Range<usize> = 4..30;
const KILLS: std::ops::Range<usize> = 1..4;
/// Longest pause between two steps of a round, and before a supervisor is started again.
const PAUSE_MS_MAX: u64 = 60;
const DOWN_MS_MAX: u64 = 400;
/// So many of a thousand rounds have files that are edited on two sides at once.
const APART_PER_MILLE: u32 = 250;

/// Who takes part in the rounds.
#[derive(Debug, Clone)]
pub struct Cast {
    /// At least two services whose folders users edit; all of them must be alike afterwards.
    pub folders: Vec<String>,
    /// Services whose drivers are killed, the first most often. If there are none, whatever runs
    /// may be killed.
    pub victims: Vec<String>,
}

/// A house that is put through rounds of crashes.
#[derive(Debug)]
pub struct Crashes {
    // Before the house: it looks at folders that go with it.
    watcher: Watcher,
    house: House,
    cast: Cast,
    users: Users,
    seed: u64,
    rounds: u64,
    /// What was done in this round, a line each.
    steps: Vec<String>,
}

/// How a round went.
#[derive(Debug, Clone)]
pub struct Round {
    /// Edits made by users.
    pub edits: usize,
    /// Who was killed, in order.
    pub kills: Vec<String>,
    /// How long it took until everything was in step again after the last step.
    pub settled_after: Duration,
    /// Whether files were edited on two sides at once.
    pub has_apart: bool,
}

enum Step {
    Edit,
    Kill(Victim),
    Apart,
}

impl Crashes {
    /// Starts a house with three folders in step.
    pub fn new(seed: u64) -> Crashes {
        let mut house = House::prepared(&SERVICES);
        // On a busy disk a killed Redis loses commits that it had acknowledged, and what was deleted
        // meanwhile may come back: that is promised to nobody, and no matter of these rounds.
        house.keep_state_in_memory();
        let folders = SERVICES.iter().map(|name| (*name).to_owned()).collect();
        Crashes::over(house, Cast { folders, victims: Vec::new() }, seed)
    }

    /// The same with a house of another kind, which doesn't run yet.
    pub fn over(mut house: House, cast: Cast, seed: u64) -> Crashes {
        house.up();
        house.wait();
        let users = Users::new(&house.files(&cast.folders[0]));
        let roots = cast.folders.iter().map(|name| house.root(name).to_owned()).collect();
        house.wait();
        let watcher = Watcher::new(roots);
        Crashes { watcher, house, cast, users, seed, rounds: 0, steps: Vec::new() }
    }

    /// One round; panics with what is wrong afterwards.
    pub fn round(&mut self) -> Round {
        self.rounds += 1;
        self.steps.clear();
        let mut rng = Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(self.rounds));
        // Of their own, so that edits don't depend on how often a process was there to be killed.
        let mut moments = rng.fork();
        let folders = self.cast.folders.clone();
        let owners = Owners::deal(&folders, &mut rng);
        let mut apart = (rng.u32(0..1000) < APART_PER_MILLE).then(|| self.part(&mut rng));
        let mut round = Round {
            edits: 0,
            kills: Vec::new(),
            settled_after: Duration::ZERO,
            has_apart: apart.is_some(),
        };
        for step in steps(&self.cast, apart.is_some(), &mut moments) {
            let done = match step {
                Step::Edit => {
                    round.edits += 1;
                    self.users.edit(&self.house, &folders, &self.watcher, &owners, &mut rng)
                }
                Step::Kill(victim) => {
                    let killed = self.kill(&victim, &mut moments);
                    round.kills.push(killed.clone());
                    format!("killed {killed}")
                }
                Step::Apart => match &mut apart {
                    Some(apart) => apart.edit(&self.house, &folders, &mut self.users, &mut rng),
                    None => continue,
                },
            };
            self.steps.push(done);
            pass(Duration::from_millis(moments.u64(0..PAUSE_MS_MAX)));
        }
        let began = Instant::now();
        self.house.wait();
        round.settled_after = began.elapsed();
        self.verify(apart.as_ref());
        round
    }

    /// Makes what will be edited on two sides.
    fn part(&mut self, rng: &mut Rng) -> Apart {
        let files = self.house.files(&self.cast.folders[0]);
        let apart = Apart::new(&files, &mut self.users, &self.watcher, rng);
        self.house.wait();
        apart
    }

    fn kill(&mut self, victim: &Victim, moments: &mut Rng) -> String {
        let killed = victim.kill(&mut self.house);
        if victim.takes_the_supervisor() {
            pass(Duration::from_millis(moments.u64(0..DOWN_MS_MAX)));
            self.house.up();
        }
        killed
    }

    fn verify(&self, apart: Option<&Apart>) {
        for service in &self.cast.folders {
            let files = self.house.files(service);
            let mut wrong = self.users.differences(&files);
            wrong.extend(apart.iter().flat_map(|apart| apart.differences(&files)));
            wrong.truncate(20);
            assert!(wrong.is_empty(), "in `{service}`:\n  {}", wrong.join("\n  "));
        }
        self.assert_alike();
        let wrong = self.watcher.wrong();
        assert!(wrong.is_empty(), "incomplete under a user's name:\n  {}", wrong.join("\n  "));
        if self.cast.victims.is_empty() {
            let count = OTHERS + self.house.services().len();
            soon("nothing runs but what should", || self.house.left().len() == count);
        }
        if apart.is_some() {
            Apart::end(&self.house.files(&self.cast.folders[1]));
            self.house.wait();
            self.assert_alike();
        }
        assert_eq!(self.house.json(&["conflicts", "--json"]), serde_json::json!([]));
        assert_eq!(self.house.status()["conflicts"], 0);
    }

    /// A driver that others have written may not keep times.
    fn assert_alike(&self) {
        if self.cast.victims.is_empty() {
            self.house.assert_alike();
        } else {
            self.house.assert_same_contents();
        }
    }

    /// Bytes that users have written so far, and files that were read to see that they are whole.
    pub fn amounts(&self) -> (u64, u64) {
        (self.users.bytes, self.watcher.reads())
    }

    /// Ends everything and leaves the directory, with what was done in the last round, why it
    /// failed and what Onitu said; tells where it is.
    pub fn keep(mut self, failure: &str) -> std::path::PathBuf {
        let status = self.house.run(&["status", "--json"]);
        let files = Files::new(self.house.path());
        files.write("status.json", status.stdout);
        files.write("failure.txt", format!("{failure}\n\n{}\n", self.steps.join("\n")));
        self.house.keep();
        self.house.path().to_owned()
    }

    /// Stops the house in order, which must leave nothing.
    pub fn end(self) {
        drop(self.stop());
    }

    /// The same, and leaves the house where it is.
    pub fn stop(mut self) -> House {
        drop(self.watcher);
        self.house.stop();
        self.house
    }
}

/// What happens in a round, in order. It begins with an edit, so that there is something to travel.
fn steps(cast: &Cast, has_apart: bool, rng: &mut Rng) -> Vec<Step> {
    let mut steps: Vec<Step> = (1..rng.usize(EDITS)).map(|_| Step::Edit).collect();
    for _ in 0..rng.usize(KILLS) {
        let at = rng.usize(0..=steps.len());
        let victim = match &cast.victims[..] {
            [] => Victim::any(&cast.folders, rng),
            drivers => Victim::driver_of(drivers, rng),
        };
        steps.insert(at, Step::Kill(victim));
    }
    if has_apart {
        let at = rng.usize(0..=steps.len());
        steps.insert(at, Step::Apart);
    }
    steps.insert(0, Step::Edit);
    steps
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::{Must, tree};

    #[test]
    fn the_same_seed_makes_the_same_edits_and_another_seed_others() {
        let [one, again, other] = [5, 5, 6].map(|seed| {
            let directory = TempDir::new().must("a directory");
            let files = Files::new(directory.path().join("a"));
            let mut users = Users::new(&files);
            let mut rng = Rng::with_seed(seed);
            let watcher = Watcher::new(Vec::new());
            let owners = Owners::deal(&["a".to_owned()], &mut rng);
            for _ in 0..60 {
                users.edit_in(&files, "a", &watcher, &owners, &mut rng);
            }
            assert_eq!(users.differences(&files), [] as [String; 0]);
            tree(&files.at("")).into_keys().collect::<Vec<_>>()
        });
        assert_eq!(one, again);
        assert_ne!(one, other);
    }
}
