//! Random edits while processes are killed at random points; `make crashes` runs many more rounds.

use onitu_tests::Crashes;

#[test]
fn twelve_rounds_of_kills_at_random_points_lose_nothing() {
    let mut crashes = Crashes::new(1);
    for _ in 0..12 {
        crashes.round();
    }
    crashes.end();
}
