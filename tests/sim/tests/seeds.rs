//! The simulation in CI: 200 seeds, their replay, and the canary.

use std::sync::atomic::{AtomicU64, Ordering};

use onitu_sim::{Scenario, simulate};

const SEEDS: u64 = 200;

fn run(seed: u64) {
    let report = simulate(Scenario { seed, careless: false });
    assert!(
        report.failure.is_none(),
        "seed {seed}: {}\nreplay: cargo run -p onitu-sim -- --seed {seed}",
        report.failure.unwrap_or_default(),
    );
}

#[test]
fn two_hundred_seeds_keep_every_invariant() {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        break;
                    }
                    run(seed);
                }
            });
        }
    });
}

#[test]
fn the_same_seed_gives_the_same_log() {
    for seed in 1_000..1_010 {
        let scenario = Scenario { seed, careless: false };
        assert_eq!(simulate(scenario), simulate(scenario), "seed {seed}");
    }
}

#[test]
fn drivers_that_overwrite_what_they_find_are_caught() {
    let caught = (0..40).any(|seed| {
        let report = simulate(Scenario { seed, careless: true });
        report.failure.is_some_and(|failure| failure.starts_with("I1"))
    });
    assert!(caught, "no lost content was noticed");
}
