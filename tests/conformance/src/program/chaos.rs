//! Chaos: a real Onitu between two folders and the driver's storage, while drivers are killed.
//!
//! The users are those of the crash rounds of Onitu's own tests: each path has one writer, some
//! files are edited on two sides at once, and every content says whose each of its parts is. After
//! each round the folders must be alike and hold what was written last; at the end so must the
//! storage, read through the driver.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onitu_plug::{Abilities, Manifest};
use onitu_tests::{Cast, Crashes, Files, House, Thing, differences, tree};
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::hand::{read_back, set_executable};
use super::options::Given;
use super::run::words_of;
use super::{Refusal, blocking, progress};
use crate::Storage;

const SUBJECT: &str = "subject";
/// A storage that is polled, far away, is in step after some minutes.
const PATIENCE: &str = "300s";
const DIFFERENCES_SHOWN: usize = 20;

/// What is to be done.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    program: PathBuf,
    driver: String,
    abilities: Abilities,
    given: Given,
    rounds: u64,
    seed: u64,
}

/// How it went.
#[derive(Debug, Clone, Default)]
pub(super) struct Chaos {
    seed: u64,
    rounds: u64,
    edits: usize,
    kills: usize,
    /// What is wrong, if something is.
    pub(super) failure: Option<String>,
    /// Where everything is then.
    kept_in: Option<PathBuf>,
}

impl Plan {
    pub(super) fn new(
        arguments: &Arguments,
        program: PathBuf,
        manifest: &Manifest,
        given: Given,
    ) -> Self {
        let seed = arguments.seed.unwrap_or_else(|| onitu_plug::clock::now_ms() % 1_000_000);
        let (driver, abilities) = (manifest.name.clone(), manifest.abilities);
        Self { program, driver, abilities, given, rounds: arguments.rounds, seed }
    }
}

impl Chaos {
    pub(super) fn text(&self) -> String {
        let Self { seed, rounds, edits, kills, .. } = self;
        let done = format!("{rounds} rounds (seed {seed}), {edits} edits, {kills} kills");
        match (&self.failure, &self.kept_in) {
            (None, _) => format!("chaos: {done}: nothing lost, everything in step"),
            (Some(failure), None) => format!("chaos: broken after {done}: {failure}"),
            (Some(failure), Some(place)) => {
                let place = place.display();
                format!("chaos: broken after {done}: {failure}\neverything is in `{place}`")
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "seed": self.seed,
            "rounds": self.rounds,
            "edits": self.edits,
            "kills": self.kills,
            "failure": self.failure,
            "kept_in": self.kept_in,
        })
    }
}

/// Runs the rounds on a thread that may wait, and looks at the storage afterwards.
pub(super) async fn run(plan: Plan, stop: Arc<AtomicBool>) -> Result<Chaos, Refusal> {
    let (mut chaos, stopped) = blocking(move || begin(&plan, &stop)).await??;
    let Some((mut house, mut storage)) = stopped else { return Ok(chaos) };
    let (near, copy) = (house.root("near").to_owned(), house.path().join("read-back"));
    let state_dir = house.state_dir().join("drivers").join(SUBJECT);
    let found = match read_back(storage.options().clone(), state_dir, &copy).await {
        Err(broken) => Some(format!("the storage can't be read back: {broken}")),
        Ok(able) => {
            let compared = move || catch(|| compare(&near, &copy, able));
            blocking(compared).await?.unwrap_or_else(Some)
        }
    };
    if let Some(failure) = found {
        house.keep();
        chaos.failure = Some(with_storage(failure, &mut storage));
        chaos.kept_in = Some(house.path().to_owned());
    }
    Ok(chaos)
}

/// What is left of rounds that went well: the house doesn't run any more.
type Stopped = Option<(House, Storage)>;

/// Keeps the storage of rounds that failed, and says where it is.
fn with_storage(failure: String, storage: &mut Storage) -> String {
    match storage.keep() {
        Some(place) => format!("{failure}\nits storage is `{}`", place.display()),
        None => failure,
    }
}

fn begin(plan: &Plan, stop: &AtomicBool) -> Result<(Chaos, Stopped), Refusal> {
    let storage = Storage::make(&plan.given.template);
    let mut storage = storage.map_err(|fault| Refusal::failed(fault.message))?;
    let (mut chaos, house) = rounds(plan, &storage, stop);
    chaos.failure = chaos.failure.map(|failure| with_storage(failure, &mut storage));
    Ok((chaos, house.map(|house| (house, storage))))
}

/// What `work` panics with is its failure: so do the rounds tell what is wrong.
fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words_of(panic.as_ref()))
}

/// The rounds; the stopped house if they went well.
fn rounds(plan: &Plan, storage: &Storage, stop: &AtomicBool) -> (Chaos, Option<House>) {
    let mut chaos = Chaos { seed: plan.seed, ..Chaos::default() };
    let begun = catch(|| {
        let (house, cast) = prepare(plan, storage);
        Crashes::over(house, cast, plan.seed)
    });
    let mut crashes = match begun {
        Ok(crashes) => crashes,
        Err(failure) => {
            chaos.failure = Some(format!("Onitu didn't begin: {failure}"));
            return (chaos, None);
        }
    };
    while chaos.rounds < plan.rounds && !stop.load(Ordering::SeqCst) {
        progress(&format!("round {} of {} (seed {})", chaos.rounds + 1, plan.rounds, plan.seed));
        match catch(|| crashes.round()) {
            Ok(round) => {
                chaos.rounds += 1;
                chaos.edits += round.edits;
                // One that was just being started couldn't be.
                let kills = round.kills.iter().filter(|told| !told.ends_with("didn't run"));
                chaos.kills += kills.count();
            }
            Err(failure) => {
                chaos.kept_in = Some(crashes.keep(&failure));
                chaos.failure = Some(failure);
                return (chaos, None);
            }
        }
    }
    progress("");
    match catch(|| crashes.stop()) {
        Ok(house) => (chaos, Some(house)),
        Err(failure) => {
            chaos.failure = Some(format!("Onitu didn't stop: {failure}"));
            (chaos, None)
        }
    }
}

/// A house with the driver's storage between two folders.
fn prepare(plan: &Plan, storage: &Storage) -> (House, Cast) {
    let mut house = House::prepared(&["near", "far"]);
    house.inherit_environment();
    house.set_patience(PATIENCE);
    house.add_setting("api = \"off\"");
    let program = plan.program.display().to_string().replace('\'', "'\\''");
    let name = format!("onitu-driver-{}", plan.driver);
    house.add_program(&name, &format!("exec '{program}' \"$@\""));
    // Whatever becomes of this process, Onitu goes with it.
    let parent = std::process::id().to_string();
    let onitu = house.program("onitu").display().to_string();
    house.run_through(&[&onitu, "tied", "--parent", &parent, "--"]);
    let options = storage.filled(&plan.given.written);
    house.add_service_of(SUBJECT, &plan.driver, lines(&options), storage.folder());
    // A user's edits come back as they were only from a storage that keeps what folders do.
    let able = plan.abilities;
    let is_like_a_folder = able.directories && able.executable && able.exact_names;
    let mut folders = vec!["near".to_owned(), "far".to_owned()];
    folders.extend(storage.folder().filter(|_| is_like_a_folder).map(|_| SUBJECT.to_owned()));
    let victims = [SUBJECT, "far"].map(str::to_owned).to_vec();
    (house, Cast { folders, victims })
}

/// As `entries.toml` has them.
fn lines(options: &Map<String, Value>) -> Vec<String> {
    // A text of JSON is one of TOML.
    options.iter().map(|(name, value)| format!("{name} = {value}")).collect()
}

/// How the storage differs from the folder, as far as it is able to be like it.
fn compare(near: &Path, copy: &Path, able: Abilities) -> Option<String> {
    let (there, here) = (tree(copy), tree(near));
    let files = Files::new(copy);
    for (path, thing) in &here {
        match thing {
            Thing::Directory if !able.directories => files.make_dir(path),
            Thing::File { executable, .. } if !able.executable && there.contains_key(path) => {
                set_executable(&files.at(path), *executable).ok()?;
            }
            _ => {}
        }
    }
    let found = differences(near, copy, false);
    if found.is_empty() {
        return None;
    }
    let shown: Vec<String> = found.iter().take(DIFFERENCES_SHOWN).cloned().collect();
    let count = found.len();
    Some(format!("the storage differs in {count} paths:\n  {}", shown.join("\n  ")))
}
