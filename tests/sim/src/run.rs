//! One seed from beginning to end.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use onitu_core::bus::Weather;
use onitu_core::clock;
use onitu_core::store::{Checkpoint, Store as _};

use crate::alone::Alone;
use crate::books::Books;
use crate::house::House;
use crate::nature::Nature;
use crate::permit::{Permits, any_rules};
use crate::rest::{Picture, at_rest};
use crate::room::Rooms;
use crate::special::Special;
use crate::user::{User, edit};
use crate::{check, scene, trouble};

/// How a run is made.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Decides everything else.
    pub seed: u64,
    /// Lets the drivers overwrite what they find: the canary, which must be noticed.
    pub careless: bool,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every step, and the records at the end. Equal for equal seeds.
    pub log: Vec<String>,
    /// The violated invariant, if any.
    pub failure: Option<String>,
}

/// The simulated day begins here, in milliseconds since the epoch.
const BEGIN_MS: u64 = 1_700_000_000_000;
/// Simulated time in which everything must come to rest once the faults have ended.
const REST_LIMIT: Duration = Duration::from_mins(15);

/// Runs `scenario` on this thread, with a clock of its own. The same scenario always gives the
/// same report.
pub fn simulate(scenario: Scenario) -> Report {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let mut log = Vec::new();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(scenario, &mut log)),
        Err(error) => Err(error.into()),
    };
    Report { log, failure: outcome.err().map(|error| format!("{error:#}")) }
}

async fn run(scenario: Scenario, log: &mut Vec<String>) -> Result<()> {
    clock::simulate(BEGIN_MS);
    let mut run = Run::begin(scenario, log).await;
    let steps = run.rng.usize(20..120);
    for step in 0..steps {
        let what = run.step().await.with_context(|| format!("at step {step}"))?;
        let beside = run.beside().await.with_context(|| format!("beside step {step}"))?;
        log.extend(beside.into_iter().map(|what| format!("{step}, beside: {what}")));
        tracing::debug!("{step}: {what}");
        log.push(format!("{step}: {what}"));
        run.check().with_context(|| format!("at step {step}"))?;
    }
    log.push("calm".to_owned());
    run.rest().await?;
    log.push(format!("at rest: {:?}", run.house.store.snapshot()));
    run.again().await.context("in a second run")
}

/// A run under way.
struct Run {
    house: House,
    books: Books,
    permits: Permits,
    rng: Rng,
    /// What the store held at some time.
    old: Option<Checkpoint>,
    /// Whether the configuration changes in this run.
    is_changing: bool,
    special: Special,
    alone: Alone,
    rooms: Rooms,
}

impl Run {
    async fn begin(scenario: Scenario, log: &mut Vec<String>) -> Self {
        let mut rng = Rng::with_seed(scenario.seed);
        let mut natures: Vec<Nature> =
            (0..rng.usize(3..=6)).map(|_| Nature::any(&mut rng)).collect();
        natures[0].mode = onitu_core::Mode::Sync;
        let mut house = House::new(&natures, rng.u64(..), scenario.careless);
        let mut special = Special::of(scenario.seed);
        special.equip(&mut house, log);
        house.modes_are_fixed = rng.u32(0..3) > 0;
        let is_changing = rng.bool();
        if rng.u32(0..3) == 0 {
            let names: Vec<String> = house.members.iter().map(|m| m.service.name.clone()).collect();
            house.configure(any_rules(&names, &mut rng));
            house.approve();
        }
        for (member, nature) in house.members.iter().zip(&natures) {
            log.push(format!("{}: {nature}", member.service.name));
        }
        log.push(format!("rules: {:?}", house.registry.rules));
        house.register().await;
        house.start_all();
        store_takes_its_time(&house, &mut rng);
        let names = house.members.iter().map(|member| member.service.name.clone()).collect();
        let mut books = Books::new(names);
        for (number, member) in house.members.iter().enumerate() {
            books.name(number, member.storage.at());
        }
        let permits = Permits::new(&house);
        let (alone, rooms, old) = (Alone::default(), Rooms::default(), None);
        Self { house, books, permits, rng, old, is_changing, special, alone, rooms }
    }

    fn check(&mut self) -> Result<()> {
        let Self { house, books, permits, alone, rooms, .. } = self;
        check::at_any_moment(house, books, permits, (alone, rooms))
    }

    /// What happens beside a step in a run that has something special.
    async fn beside(&mut self) -> Result<Vec<String>> {
        let mut told: Vec<String> =
            self.special.step(&self.house, &mut self.books).into_iter().collect();
        if let Some(what) = self.special.change_quota(&mut self.house) {
            self.rooms.disturb();
            self.house.configure(self.house.registry.rules.clone());
            self.house.register().await;
            told.push(what);
        }
        if self.special.wants_rest() {
            self.rest().await.context("in between")?;
            told.push("all is calm".to_owned());
        }
        Ok(told)
    }

    async fn step(&mut self) -> Result<String> {
        let Self { house, books, permits, rng, old, rooms, .. } = self;
        Ok(match rng.u32(0..200) {
            0..100 => {
                let at = rng.usize(0..house.members.len());
                let what = edit(&mut User::new(house, at, books), rng);
                format!("{} {what}", house.members[at].service.name)
            }
            100..120 => scene::play(house, books, rng),
            120..150 => {
                let pause = if rng.bool() { rng.u64(0..50) } else { rng.u64(0..5_000) };
                tokio::time::sleep(Duration::from_millis(pause)).await;
                format!("{pause} ms go by")
            }
            150..160 => {
                rooms.disturb();
                trouble::kill(house, rng).await
            }
            160..170 => {
                house.start_all();
                "all are up".to_owned()
            }
            170..175 => {
                rooms.disturb();
                trouble::store(house, old, rng).await
            }
            175..182 => {
                let weather = trouble::weather(rng);
                house.bus.set_weather(weather.clone());
                format!("{weather:?}")
            }
            182..190 => {
                rooms.disturb();
                trouble::service(house, rng)
            }
            190..192 => trouble::clock(rng),
            192..198 if self.is_changing => {
                let present = house.present().count();
                let what = trouble::configuration(house, permits, old, rng).await;
                if house.present().count() != present {
                    rooms.disturb();
                }
                what
            }
            198 => {
                self.rest().await.context("in between")?;
                "all is calm".to_owned()
            }
            _ => "nothing happens".to_owned(),
        })
    }

    /// No more faults: everything comes to rest, and then all that is promised must be so.
    async fn rest(&mut self) -> Result<()> {
        self.calm_down().await;
        come_to_rest(&self.house).await?;
        self.check()?;
        at_rest(&self.house).await?;
        self.books.rest();
        self.permits.rest(&self.house);
        self.alone.rest(&self.house);
        self.rooms.rest(&self.house);
        Ok(())
    }

    /// Everything is started again, and must leave all as it is.
    async fn again(&mut self) -> Result<()> {
        let before = Picture::take(&self.house);
        self.house.kill_all().await;
        self.house.start_all();
        come_to_rest(&self.house).await?;
        self.check()?;
        before.is_still(&self.house)
    }

    /// No more faults; everything runs. What the faults have hidden is found by a scan.
    async fn calm_down(&mut self) {
        let house = &mut self.house;
        house.store.set_available(true);
        house.bus.set_weather(Weather::default());
        for member in &house.members {
            member.storage.behave();
            member.storage.set_online(true);
            member.storage.set_capacity(None);
        }
        house.register().await;
        house.start_all();
    }
}

/// Each call of the store takes a moment before and after its effect, in which its caller may die.
fn store_takes_its_time(house: &House, rng: &mut Rng) {
    let dice = std::sync::Mutex::new(rng.fork());
    house.store.set_delay(move || {
        let mut dice = dice.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut pause = || Duration::from_micros(dice.u64(0..800));
        (pause(), pause())
    });
}

async fn come_to_rest(house: &House) -> Result<()> {
    // A driver notices within a second that the store was wiped; the Core, which knows when it set
    // the store up, asks each for a new scan. Here time does.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begin = tokio::time::Instant::now();
    let mut rescanned = false;
    while begin.elapsed() < REST_LIMIT {
        if house.is_settled().await {
            if rescanned {
                return Ok(());
            }
            // What a backup had for itself is told by the first scan after it is none any more.
            house.rescan_changed().await;
            rescanned = true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut why = Vec::new();
    for member in house.present_members() {
        let id = member.service.id;
        let pending = house.store.pending(id, 5).await?;
        let problems = house.store.problems(id, 5).await?;
        why.push(format!("{}: pending {pending:?}, problems {problems:?}", member.service.name));
    }
    let reports = house.store.reports().await?;
    let (what, ignored) = (house.unsettled().await, house.store.published());
    bail!(
        "no rest, {what:?}: {}; {ignored:?}; reports {reports:?}; records {:?}",
        why.join("; "),
        house.store.snapshot()
    )
}
