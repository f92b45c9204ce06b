//! A chain of directories is removed and renamed step by step, and no step waits for a timer.

use std::time::Duration;

use onitu_core::store::Store;
use onitu_core::{Path, clock};
use tokio::time::Instant;

use crate::house::House;
use crate::nature::Nature;

const LEVELS: usize = 200;
/// Of the simulated clock, which stands still while anything can be done: what remains is the
/// drivers' patience with events, however many levels there are.
const LIMIT: Duration = Duration::from_millis(500);

fn chain(top: &str) -> Vec<Path> {
    let names: Vec<&str> =
        std::iter::once(top).chain(std::iter::repeat_n("x", LEVELS - 1)).collect();
    (1..=LEVELS).map(|depth| Path::new(&names[..depth].join("/")).expect("valid")).collect()
}

/// The simulated time until everything is in step and `entries` paths are known.
async fn in_step(house: &House, entries: u64) -> Duration {
    let begin = Instant::now();
    loop {
        let counts = house.store.counts().await.expect("the store is there");
        if counts.entries == entries && house.is_settled().await {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < Duration::from_mins(5), "no rest: {counts:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_levels_of_directories_are_removed_without_waiting_for_a_timer() {
    clock::simulate(1_700_000_000_000);
    let mut house = House::new(&[Nature::plain(), Nature::plain()], 7, false);
    house.register().await;
    house.start_all();
    in_step(&house, 0).await;
    let user = &house.members[0].storage;
    let other = &house.members[1].storage;
    for directory in chain("top") {
        user.make_directory(&directory).expect("made");
    }
    in_step(&house, LEVELS as u64).await;

    let (from, to) = (&chain("top")[0], &chain("other")[0]);
    user.rename(from, to).expect("renamed");
    let renaming = in_step(&house, LEVELS as u64).await;
    assert!(other.thing(to).is_some() && other.thing(from).is_none());
    assert!(renaming < LIMIT, "the rename waited: {renaming:?}");

    user.remove(to);
    let removing = in_step(&house, 0).await;
    assert!(other.tree().is_empty());
    assert!(removing < LIMIT, "the removal waited: {removing:?}");
}
