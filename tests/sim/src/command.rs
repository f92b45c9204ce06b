//! The command line of the simulation.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::run::{Scenario, simulate};

/// Simulates Onitu with many seeds; the first failing one is told and ends the run.
#[derive(Parser)]
#[command(name = "onitu-sim")]
pub struct Command {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
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
    for seed in command.from..command.from + command.seeds {
        let report = simulate(Scenario { seed, careless: command.careless });
        if report.failure.is_some() {
            return verdict(seed, report.failure.as_deref());
        }
        if (seed + 1) % 100 == 0 {
            say(&format!("{} seeds are clean", seed + 1 - command.from));
        }
    }
    ExitCode::SUCCESS
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
