//! Runs one case as a test.
//!
//! Each case has a runtime with two threads of its own, since drivers have threads and tasks and
//! real time; what it leaves behind ends with the runtime. Cases need no order and share nothing,
//! so a test runner may run them in one process or in many.

use std::future::Future;
use std::time::Duration;

use crate::promise::{Broken, Promise, Verdict};
use crate::scene::Scene;
use crate::subject::Subject;

/// A case that takes longer hangs. Thousands of files on a far and slow service take some minutes.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs one case on a runtime of its own and fails the test if the promise is broken, or if an
/// ability is said to be missing that the manifest has. What [`suite!`](crate::suite) calls.
///
/// # Panics
/// When the promise is broken; that is how a test fails.
pub fn keep<S: Subject, F: Future<Output = Promise>>(name: &str, case: fn(Scene<S>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime for the case: {error}"));
    match runtime.block_on(verdict(case)) {
        Ok(Verdict::Kept) => {}
        Ok(Verdict::NotApplicable(ability)) => show(name, &format!("no ability `{ability}`")),
        Ok(Verdict::Able(ability)) => show(name, &format!("it has the ability `{ability}`")),
        Ok(Verdict::NoDoor(what)) => show(name, &format!("the subject has no {what}")),
        Err(broken) => panic!("{}: {broken}", name.replace('_', " ")),
    }
}

/// Runs one case and tells its verdict: what [`keep`] is made of, for who wants to look at the
/// result. Never panics for a driver's mistake that isn't a panic itself.
pub async fn verdict<S: Subject, F: Future<Output = Promise>>(case: fn(Scene<S>) -> F) -> Promise {
    let run = async {
        let scene = Scene::set().await?;
        let abilities = scene.abilities();
        Ok::<_, Broken>((case(scene).await?, abilities))
    };
    let (verdict, abilities) = tokio::time::timeout(LIMIT, run)
        .await
        .map_err(|_| Broken::new(format!("the case did not end within {LIMIT:?}")))??;
    let (ability, said) = match verdict {
        Verdict::NotApplicable(ability) => (ability, false),
        Verdict::Able(ability) => (ability, true),
        Verdict::Kept | Verdict::NoDoor(_) => return Ok(verdict),
    };
    let abilities = serde_json::to_value(abilities).unwrap_or_default();
    if abilities.get(ability) != Some(&serde_json::Value::Bool(said)) {
        return Err(Broken::new(format!("the driver doesn't say that `{ability}` is {said}")));
    }
    Ok(verdict)
}

/// Tells of a case that isn't about this driver: shown by `cargo test -- --nocapture`, and by
/// nextest with `--success-output final`.
#[expect(clippy::print_stderr, reason = "a case that doesn't apply is told to whoever looks")]
fn show(name: &str, why: &str) {
    eprintln!("not applicable: {}: {why}", name.replace('_', " "));
}
