//! Rounds of crashes, as many as wanted: `cargo run -p onitu-tests --bin crashes -- --rounds 200`.
//!
//! A round that fails is told with its seed; its directory stays, and a new house goes on.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use onitu_tests::{Crashes, Round};

/// Puts a real Onitu through rounds of random edits and `kill -9`.
#[derive(Debug, Parser)]
#[command(name = "crashes")]
struct Command {
    /// How many rounds.
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Decides the users' edits, and who is killed when; told when a round fails.
    #[arg(long)]
    seed: Option<u64>,
    /// Leaves the directory also when all went well.
    #[arg(long)]
    keep: bool,
    /// Ends at the first round that fails.
    #[arg(long)]
    first: bool,
}

fn main() -> ExitCode {
    let command = Command::parse();
    let mut seed = command.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let (mut failed, mut in_house, mut worst_ms) = (0, 0, 0);
    let mut crashes = Crashes::new(seed);
    for round in 1..=command.rounds {
        in_house += 1;
        match catch_unwind(AssertUnwindSafe(|| crashes.round())) {
            Ok(told) => {
                worst_ms = worst_ms.max(told.settled_after.as_millis());
                say(&line(round, &told));
            }
            Err(panic) => {
                failed += 1;
                let failure = message(panic.as_ref());
                let place = crashes.keep(&failure);
                let shown = place.display();
                say(&format!("{round}: FAILED (seed {seed}, its round {in_house}), see `{shown}`"));
                say(&failure);
                (seed, in_house) = (seed + 1, 0);
                crashes = Crashes::new(seed);
                if command.first {
                    break;
                }
            }
        }
    }
    let (bytes, reads) = crashes.amounts();
    let megabytes = bytes >> 20;
    say(&format!(
        "{failed} of {} rounds failed (last seed {seed}); in step at most {worst_ms} ms after the \
         last step; the last house's users wrote {megabytes} MiB, {reads} files were read",
        command.rounds
    ));
    if command.keep {
        say(&format!("everything is in `{}`", crashes.keep("nothing failed").display()));
    } else {
        crashes.end();
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line(round: u64, told: &Round) -> String {
    let apart = if told.has_apart { ", files edited apart" } else { "" };
    format!(
        "{round}: {} edits{apart}, killed {}, in step after {} ms",
        told.edits,
        told.kills.join(" + "),
        told.settled_after.as_millis()
    )
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked without a word".to_owned())
}

fn say(text: &str) {
    // Who closed the pipe doesn't want to hear more.
    let _ = writeln!(std::io::stdout(), "{text}");
}
