use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::*;

/// What a fake run does.
#[derive(Debug, Clone, Copy)]
enum Run {
    /// Ends by itself after so long.
    Ends(Duration),
    /// Runs until SIGTERM.
    Obeys,
    /// Runs until SIGKILL.
    Hangs,
    /// Can't even be started.
    Fails,
}

/// A program whose runs are given, and which writes down what happens to it.
#[derive(Debug, Clone)]
struct Fake {
    name: &'static str,
    stage: Arc<Stage>,
}

#[derive(Debug)]
struct Stage {
    since: Instant,
    /// The last one is repeated.
    runs: Mutex<VecDeque<Run>>,
    /// What happened, and when, in milliseconds.
    events: Mutex<Vec<(u64, String)>>,
}

struct FakeChild {
    fake: Fake,
    run: Run,
    ends_at: Option<Instant>,
    signalled: Option<Signal>,
    told: Notify,
}

impl Stage {
    fn new(runs: &[Run]) -> Arc<Stage> {
        let runs = Mutex::new(runs.iter().copied().collect());
        Arc::new(Stage { since: Instant::now(), runs, events: Mutex::default() })
    }

    fn program(self: &Arc<Stage>, name: &'static str) -> Fake {
        Fake { name, stage: self.clone() }
    }

    fn note(&self, event: String) {
        let at = u64::try_from(self.since.elapsed().as_millis()).unwrap();
        self.events.lock().unwrap().push((at, event));
    }

    fn events(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|(at, event)| format!("{at} {event}")).collect()
    }

    /// The times of the starts, in milliseconds.
    fn starts(&self) -> Vec<u64> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(_, event)| event.ends_with("starts")).map(|(at, _)| *at).collect()
    }
}

impl PartialEq for Fake {
    fn eq(&self, other: &Fake) -> bool {
        self.name == other.name
    }
}

impl Program for Fake {
    type Child = FakeChild;

    fn start(&self) -> io::Result<FakeChild> {
        let run = {
            let mut runs = self.stage.runs.lock().unwrap();
            if runs.len() > 1 { runs.pop_front().unwrap() } else { *runs.front().unwrap() }
        };
        self.stage.note(format!("{} starts", self.name));
        let ends_at = match run {
            Run::Fails => return Err(io::Error::other("no such program")),
            Run::Ends(after) => Some(Instant::now() + after),
            Run::Obeys | Run::Hangs => None,
        };
        let (fake, told) = (self.clone(), Notify::new());
        Ok(FakeChild { fake, run, ends_at, signalled: None, told })
    }

    fn ended(&self, how: &str, again_in: Duration) {
        self.stage.note(format!("{} ended ({how}), again in {again_in:?}", self.name));
    }
}

impl Child for FakeChild {
    fn pid(&self) -> u32 {
        7
    }

    async fn ended(&mut self) -> String {
        loop {
            match (self.run, self.signalled) {
                (Run::Obeys, Some(_)) => return "exit status: 0".to_owned(),
                (_, Some(Signal::KILL)) => return "killed by signal 9".to_owned(),
                _ => {}
            }
            match self.ends_at {
                Some(at) => {
                    tokio::time::sleep_until(at).await;
                    return "exit status: 1: oh no".to_owned();
                }
                None => self.told.notified().await,
            }
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.fake.stage.note(format!("{} gets {}", self.fake.name, signal.as_raw()));
        self.signalled = Some(signal);
        self.told.notify_one();
    }
}

async fn pass(duration: Duration) {
    tokio::time::advance(duration).await;
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_at_once_is_started_ever_more_slowly() {
    let stage = Stage::new(&[Run::Ends(Duration::ZERO)]);
    let job = Job::new("nas");
    job.run(stage.program("nas"));
    sleep(Duration::from_mins(1)).await;

    let starts = stage.starts();
    let pauses: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The paused clock rounds timers up to whole milliseconds.
    let rounded: Vec<u64> = pauses.iter().map(|pause| pause / 100 * 100).collect();
    assert_eq!(rounded[..9], [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    let status = job.status();
    assert_eq!(status.pid, None);
    assert_eq!(status.restarts, starts.len() as u64);
    assert_eq!(status.last_exit.as_deref(), Some("exit status: 1: oh no"));
}

#[tokio::test(start_paused = true)]
async fn one_that_can_not_be_started_counts_as_one_that_ended() {
    let stage = Stage::new(&[Run::Fails]);
    let job = Job::new("nas");
    job.run(stage.program("nas"));
    assert_eq!(job.failed(3).await, "no such program");
    assert_eq!(stage.starts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_good_run_forgives_the_bad_ones() {
    let (bad, good) = (Run::Ends(Duration::ZERO), Run::Ends(GOOD_RUN));
    let stage = Stage::new(&[bad, bad, bad, good, Run::Obeys]);
    let job = Job::new("nas");
    job.run(stage.program("nas"));
    sleep(Duration::from_secs(30)).await;
    let starts = stage.starts();
    assert_eq!(starts.len(), 5);
    let last_pause = Duration::from_millis(starts[4] - starts[3]).saturating_sub(GOOD_RUN);
    assert!(last_pause < BACKOFF_FIRST * 2, "{last_pause:?}");
    assert_eq!(job.status().pid, Some(7));
}

#[tokio::test(start_paused = true)]
async fn one_that_obeys_is_not_killed_and_one_that_hangs_is() {
    let stage = Stage::new(&[Run::Obeys, Run::Hangs]);
    let job = Job::new("nas");
    job.run(stage.program("nas"));
    pass(Duration::from_secs(1)).await;
    job.stop(Duration::from_secs(2));
    job.stopped().await;
    assert_eq!(job.status().last_exit.as_deref(), Some("exit status: 0"));

    job.run(stage.program("nas"));
    pass(Duration::from_secs(1)).await;
    let before = Instant::now();
    job.stop(Duration::from_secs(2));
    job.stopped().await;
    assert_eq!(before.elapsed().as_secs(), 2);
    assert_eq!(job.status().last_exit.as_deref(), Some("killed by signal 9"));
    let signals: Vec<_> = stage
        .events()
        .iter()
        .filter_map(|it| it.split(" gets ").nth(1).map(str::to_owned))
        .collect();
    assert_eq!(signals, ["15", "15", "9"]);
    assert_eq!(job.status().restarts, 0, "none of them ended by itself");
}

#[tokio::test(start_paused = true)]
async fn the_same_program_goes_on_untouched_and_another_takes_its_place() {
    let stage = Stage::new(&[Run::Obeys]);
    let job = Job::new("nas");
    for _ in 0..3 {
        job.run(stage.program("old"));
        pass(Duration::from_secs(1)).await;
    }
    assert_eq!(stage.starts().len(), 1);
    job.run(stage.program("new"));
    pass(Duration::from_secs(1)).await;
    let events: Vec<String> =
        stage.events().iter().map(|event| event.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(events, ["old starts", "old gets 15", "new starts"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_wanted_again_while_it_stops_never_runs_twice_at_once() {
    let stage = Stage::new(&[Run::Hangs, Run::Obeys]);
    let job = Job::new("nas");
    job.run(stage.program("nas"));
    pass(Duration::from_secs(1)).await;
    job.stop(Duration::from_secs(2));
    pass(Duration::from_secs(1)).await;
    job.run(stage.program("nas"));
    assert!(job.is_active());
    pass(Duration::from_secs(5)).await;
    let events: Vec<String> =
        stage.events().iter().map(|event| event.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(events, ["nas starts", "nas gets 15", "nas gets 9", "nas starts"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_wait_and_does_not_count() {
    let stage = Stage::new(&[Run::Ends(Duration::ZERO), Run::Ends(Duration::ZERO), Run::Obeys]);
    let job = Job::new("nas");
    job.run(stage.program("nas"));
    assert_eq!(job.failed(2).await, "exit status: 1: oh no");
    let before = Instant::now();
    job.restart();
    pass(Duration::from_millis(10)).await;
    assert_eq!(stage.starts().len(), 3, "the pause was cut short");
    assert!(before.elapsed() < BACKOFF_FIRST);
    job.restart();
    pass(Duration::from_millis(10)).await;
    assert_eq!(stage.starts().len(), 4);
    assert_eq!(job.status().restarts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_job_ends_its_program() {
    let stage = Stage::new(&[Run::Obeys]);
    let job = Job::new("nas");
    job.run(stage.program("nas"));
    pass(Duration::from_secs(1)).await;
    drop(job);
    pass(Duration::from_secs(1)).await;
    assert!(stage.events().last().unwrap().ends_with("nas gets 15"));
    assert_eq!(stage.starts().len(), 1);
}
