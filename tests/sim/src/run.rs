//! One seed from beginning to end.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use onitu_core::bus::Weather;
use onitu_core::clock;
use onitu_driver_memory::Faults;
use onitu_plug::FaultKind;

use crate::check;
use crate::house::{House, Process};
use crate::user::{Books, edit};

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

/// Runs `scenario` on a thread of its own clock. The same scenario always gives the same report.
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
    let mut rng = Rng::with_seed(scenario.seed);
    let mut books = Books::default();
    let services = rng.usize(2..=4);
    let mut house = House::new(services, rng.u64(..), scenario.careless).await;
    store_takes_its_time(&house, &mut rng);
    log.push(format!("{services} services"));
    let steps = rng.usize(20..120);
    for step in 0..steps {
        let what = take_step(&mut house, &mut books, &mut rng).await;
        tracing::debug!("{step}: {what}");
        log.push(format!("{step}: {what}"));
        check::nothing_incomplete(&house, &books).with_context(|| format!("at step {step}"))?;
    }
    calm_down(&mut house).await;
    log.push("calm".to_owned());
    come_to_rest(&house).await?;
    log.push(format!("at rest: {:?}", house.store.snapshot()));
    check::nothing_incomplete(&house, &books)?;
    check::nothing_lost(&house, &books)?;
    check::all_alike(&house)?;
    check::records_are_true(&house).await
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

async fn take_step(house: &mut House, books: &mut Books, rng: &mut Rng) -> String {
    match rng.u32(0..100) {
        0..62 => {
            let (service, storage) = &house.services[rng.usize(0..house.services.len())];
            format!("{} {}", service.name, edit(storage, books, rng))
        }
        62..80 => {
            let pause = if rng.bool() { rng.u64(0..50) } else { rng.u64(0..5_000) };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            format!("{pause} ms go by")
        }
        80..85 => {
            let process = any_process(house, rng);
            house.kill(process).await;
            format!("{process:?} is killed")
        }
        85..90 => {
            house.start_all();
            "all are up".to_owned()
        }
        90..92 => store_trouble(house, rng).await,
        92..96 => {
            let weather = weather(rng);
            house.bus.set_weather(weather.clone());
            format!("{weather:?}")
        }
        _ => {
            let (service, storage) = &house.services[rng.usize(0..house.services.len())];
            let faults = faults(rng);
            storage.misbehave(faults.clone());
            format!("{} {faults:?}", service.name)
        }
    }
}

fn any_process(house: &House, rng: &mut Rng) -> Process {
    match rng.usize(0..=house.services.len()) {
        0 => Process::Referee,
        number => Process::Driver(number - 1),
    }
}

async fn store_trouble(house: &House, rng: &mut Rng) -> String {
    match rng.u32(0..3) {
        0 => {
            house.store.set_available(false);
            tokio::time::sleep(Duration::from_millis(rng.u64(0..3_000))).await;
            house.store.set_available(true);
            house.store.restart();
            "the store restarted".to_owned()
        }
        1 => {
            let checkpoint = house.store.checkpoint();
            tokio::time::sleep(Duration::from_millis(rng.u64(0..1_000))).await;
            house.store.restart_at(checkpoint);
            "the store lost its last second".to_owned()
        }
        _ => {
            house.wiped.set(true);
            house.store.flush_all();
            tokio::time::sleep(Duration::from_millis(rng.u64(0..2_000))).await;
            house.register().await;
            "the store was wiped".to_owned()
        }
    }
}

fn weather(rng: &mut Rng) -> Weather {
    let mut some = |most: f64| if rng.bool() { 0.0 } else { rng.f64() * most };
    Weather {
        lose_news: some(0.4),
        double_news: some(0.3),
        reorder_news: some(1.0) > 0.5,
        lose_request: some(0.2),
        lose_answer: some(0.2),
        reset_dealer: some(0.1),
        delay: some(0.5),
        delay_by: Duration::ZERO..=Duration::from_millis(200),
    }
}

fn faults(rng: &mut Rng) -> Faults {
    let seed = rng.u64(..);
    let mut some = |most: f64| if rng.bool() { 0.0 } else { rng.f64() * most };
    Faults {
        seed,
        fail: some(0.05),
        lose_answer: some(0.05),
        kinds: vec![FaultKind::Unavailable, FaultKind::Denied, FaultKind::Full],
        delay_ms_max: if some(1.0) > 0.5 { 50 } else { 2 },
        lose_hint: some(0.2),
        hint_delay_ms_max: if some(1.0) > 0.5 { 500 } else { 0 },
        rescan_delay_ms_max: 2_000,
        break_watch: some(0.02),
        half_listing: some(0.1),
        // A bit that flips while a storage is read for the first time is what it holds, as far as
        // anyone can know; bits that flip on the way are the transfer's own tests.
        corrupt_read: 0.0,
        tear_part: some(0.5),
        same_tick: 0.0,
    }
}

/// No more faults; everything runs. What the faults have hidden is found by a scan.
async fn calm_down(house: &mut House) {
    house.store.set_available(true);
    house.bus.set_weather(Weather::default());
    for (_, storage) in &house.services {
        storage.behave();
        storage.set_online(true);
    }
    house.register().await;
    house.start_all();
}

async fn come_to_rest(house: &House) -> Result<()> {
    // A driver notices within a second that the store was wiped; the Core, which knows when it set
    // the store up, asks each for a new scan. Here time does.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < REST_LIMIT {
        if house.is_settled().await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut why = Vec::new();
    for (service, _) in &house.services {
        use onitu_core::store::Store as _;
        let pending = house.store.pending(service.id, 5).await?;
        let problems = house.store.problems(service.id, 5).await?;
        why.push(format!("{}: pending {pending:?}, problems {problems:?}", service.name));
    }
    let reports = onitu_core::store::Store::reports(&house.store).await?;
    bail!("no rest: {}; reports {reports:?}; records {:?}", why.join("; "), house.store.snapshot())
}
