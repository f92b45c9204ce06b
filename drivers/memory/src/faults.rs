//! How a storage in memory misbehaves: probabilities, and the seeded dice they are thrown with.

use std::time::Duration;

use fastrand::Rng;
use onitu_plug::{Fault, FaultKind};

/// What may go wrong, each with its probability from 0 to 1. The default is a storage without a
/// fault; the same seed and the same calls give the same faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// Of the dice.
    pub seed: u64,
    /// A call fails before it had any effect.
    pub fail: f64,
    /// A call fails although it had its effect: the answer was lost.
    pub lose_answer: f64,
    /// With what calls fail, chosen evenly. `Full` only befalls calls that write.
    pub kinds: Vec<FaultKind>,
    /// A call waits for up to so many milliseconds before its effect and again after it, so that
    /// one that is dropped may or may not have had its effect.
    pub delay_ms_max: u64,
    /// A hint is lost. Later, as after a queue's overflow, a rescan is asked for.
    pub lose_hint: f64,
    /// A hint comes up to so many milliseconds late.
    pub hint_delay_ms_max: u64,
    /// The rescan after a lost hint comes up to so many milliseconds late.
    pub rescan_delay_ms_max: u64,
    /// The watch breaks at a hint, which is lost with it.
    pub break_watch: f64,
    /// A listing fails halfway, with the first of the kinds.
    pub half_listing: f64,
    /// A chunk that is read has one bit flipped.
    pub corrupt_read: f64,
    /// A crash loses the end of a half-written file.
    pub tear_part: f64,
    /// A user's edit falls into the same tick of the clock as the one before: the state keeps its
    /// tag, unless its size changed. Breaks the promise of the trait, as coarse clocks do.
    pub same_tick: f64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 0,
            fail: 0.0,
            lose_answer: 0.0,
            kinds: vec![FaultKind::Unavailable, FaultKind::Denied, FaultKind::Full],
            delay_ms_max: 0,
            lose_hint: 0.0,
            hint_delay_ms_max: 0,
            rescan_delay_ms_max: 2_000,
            break_watch: 0.0,
            half_listing: 0.0,
            corrupt_read: 0.0,
            tear_part: 0.0,
            same_tick: 0.0,
        }
    }
}

/// What a call does to the storage; some faults befall only one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Reads,
    Writes,
}

/// The faults with their dice.
#[derive(Debug)]
pub(crate) struct Dice {
    pub(crate) faults: Faults,
    rng: Rng,
}

impl Dice {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { rng: Rng::with_seed(faults.seed), faults }
    }

    /// Whether something of this probability happens. A probability of 0 throws no dice, so that
    /// a switched-off fault doesn't shift the others.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }

    /// Up to `ms_max` milliseconds.
    pub(crate) fn delay(&mut self, ms_max: u64) -> Duration {
        Duration::from_millis(if ms_max == 0 { 0 } else { self.rng.u64(0..=ms_max) })
    }

    /// A number below `end`, or 0 if that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.rng.usize(0..end) }
    }

    /// With what a call fails if something of this probability happens.
    pub(crate) fn fault(&mut self, probability: f64, call: Call, name: &str) -> Option<Fault> {
        if !self.happens(probability) || self.faults.kinds.is_empty() {
            return None;
        }
        let kind = self.faults.kinds[self.rng.usize(0..self.faults.kinds.len())];
        let kind = match (kind, call) {
            (FaultKind::Full, Call::Reads) => FaultKind::Unavailable,
            _ => kind,
        };
        Some(Fault::new(kind, format!("the simulated storage failed to {name}")))
    }
}
