//! The command line of the simulation.

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;

use crate::run::{Scenario, simulate};

/// Simulates Onitu with many seeds; the first failing one is told and ends the run.
#[derive(Parser)]
#[command(name = "onitu-sim")]
pub struct Command {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// On how many threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Goes on after a seed that fails, and tells all of them.
    #[arg(long)]
    keep_going: bool,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs this seed alone and prints its log; `ONITU_LOG=debug` adds what the processes say.
    #[arg(long)]
    seed: Option<u64>,
    /// With drivers that overwrite what they find: the canary.
    #[arg(long)]
    careless: bool,
}

/// Runs the command; fails with the first seed that violates an invariant.
pub fn command(command: &Command) -> ExitCode {
    if let Some(seed) = command.seed {
        let filter = tracing_subscriber::EnvFilter::from_env("ONITU_LOG");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        let report = simulate(Scenario { seed, careless: command.careless });
        say(&report.log.join("\n"));
        return verdict(seed, report.failure.as_deref());
    }
    let tally = Tally::default();
    std::thread::scope(|scope| {
        for _ in 0..command.jobs.max(1) {
            scope.spawn(|| work(command, &tally));
        }
    });
    let (done, failed) = (tally.done.into_inner(), tally.failed.into_inner());
    let last = command.from + tally.begun.into_inner().min(command.seeds);
    say(&format!("seeds {} to {}: {done} ran, {failed} failed", command.from, last - 1));
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What all threads have done. Nothing is kept of a run but whether it failed.
#[derive(Default)]
struct Tally {
    begun: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
}

/// Runs one seed after the other until none is left, or one has failed.
fn work(command: &Command, tally: &Tally) {
    while command.keep_going || tally.failed.load(Ordering::Relaxed) == 0 {
        let number = tally.begun.fetch_add(1, Ordering::Relaxed);
        if number >= command.seeds {
            return;
        }
        let seed = command.from + number;
        let report = simulate(Scenario { seed, careless: command.careless });
        if let Some(failure) = report.failure {
            tally.failed.fetch_add(1, Ordering::Relaxed);
            say(&format!("seed {seed}: {failure}"));
        }
        let done = tally.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(100) {
            let failed = tally.failed.load(Ordering::Relaxed);
            say(&format!("{done} of {} seeds ran, {failed} failed", command.seeds));
        }
    }
}

fn verdict(seed: u64, failure: Option<&str>) -> ExitCode {
    if let Some(failure) = failure {
        say(&format!("seed {seed}: {failure}"));
        return ExitCode::FAILURE;
    }
    say(&format!("seed {seed} is clean"));
    ExitCode::SUCCESS
}

fn say(text: &str) {
    // Who closed the pipe doesn't want to hear more.
    let _ = writeln!(std::io::stdout(), "{text}");
}
