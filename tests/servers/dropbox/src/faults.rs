//! What goes wrong on demand: the next calls of a route fail, wait or lose their connection; and
//! limits that a client may run into by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::errors::Refusal;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// 429, with seconds to wait.
    TooManyRequests(u64),
    /// 429 for writes that stand in each other's way, with seconds to wait.
    TooManyWrites(u64),
    /// The status and no JSON.
    Status(u16),
    /// The route's own error: a union.
    Refused(serde_json::Value),
    /// Each byte of what is downloaded or uploaded is another one.
    Garbled,
    /// The connection ends without an answer, and nothing was done.
    Reset,
    /// The connection ends without an answer, though everything was done.
    LostAnswer,
    /// The answer comes so many milliseconds later.
    Late(u64),
    /// The answer's body breaks off after so many bytes.
    CutOff(usize),
}

/// The next calls of a route, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// As in `files/upload`; `*` is all of them.
    pub route: String,
    /// How many calls go as they should before.
    #[serde(default)]
    pub after: u32,
    /// How many calls.
    pub times: u32,
    /// What happens.
    pub trouble: Trouble,
}

/// What is to go wrong, and what has been called.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Vec<Fault>,
    /// Every route called, oldest first.
    pub calls: Vec<String>,
    /// Most writes at the same time; more are told that there are too many.
    pub writes_max: Option<usize>,
    /// Seconds that too many writes are told to wait.
    pub writes_pause_s: u64,
    /// So many of the next entries of `finish_batch` are told that there are too many writes.
    pub busy_entries: u32,
    writes: usize,
    /// Most calls in a second; more are told so.
    pub calls_max: Option<usize>,
    second: Option<(Instant, usize)>,
}

impl Faults {
    /// Lets things go wrong.
    pub fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    /// Takes back all that hasn't happened.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How often a route was called.
    pub fn count(&self, route: &str) -> usize {
        self.calls.iter().filter(|call| *call == route).count()
    }

    /// A call arrives: what happens to it, if anything.
    pub fn next(&mut self, route: &str) -> Option<Trouble> {
        self.calls.push(route.to_owned());
        let is_it = |fault: &&mut Fault| fault.route == route || fault.route == "*";
        let fault = self.waiting.iter_mut().find(is_it)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times = fault.times.saturating_sub(1);
        let trouble = fault.trouble.clone();
        self.waiting.retain(|fault| fault.times > 0);
        Some(trouble)
    }

    /// Refuses a call beyond the rate.
    pub fn admit(&mut self) -> Result<(), Refusal> {
        let Some(most) = self.calls_max else { return Ok(()) };
        let now = Instant::now();
        let (begun, count) = self
            .second
            .filter(|(begun, _)| now.duration_since(*begun) < Duration::from_secs(1))
            .unwrap_or((now, 0));
        self.second = Some((begun, count + 1));
        if count < most { Ok(()) } else { Err(Refusal::RateLimited("too_many_requests", 1)) }
    }

    /// A write begins; refused if there are too many. Each that was begun is ended.
    pub fn begin_write(&mut self) -> Result<(), Refusal> {
        if self.writes_max.is_some_and(|most| self.writes >= most) {
            let reason = "too_many_write_operations";
            return Err(Refusal::RateLimited(reason, self.writes_pause_s));
        }
        self.writes += 1;
        Ok(())
    }

    /// Whether the next entry of a batch is told that there are too many writes.
    pub fn is_busy(&mut self) -> bool {
        let is_busy = self.busy_entries > 0;
        self.busy_entries = self.busy_entries.saturating_sub(1);
        is_busy
    }

    /// A write that was begun has ended.
    pub fn end_write(&mut self) {
        self.writes = self.writes.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_asked_and_only_to_its_route() {
        let mut faults = Faults::default();
        let trouble = Trouble::Status(503);
        faults.add(Fault { route: "a".into(), after: 1, times: 2, trouble: trouble.clone() });
        let happened: Vec<bool> =
            ["a", "b", "a", "a", "a"].map(|route| faults.next(route).is_some()).into();
        assert_eq!(happened, [false, false, true, true, false]);
        assert_eq!(faults.count("a"), 4);
    }

    #[test]
    fn writes_beyond_the_limit_are_refused_until_one_ends() {
        let mut faults = Faults { writes_max: Some(1), ..Faults::default() };
        assert!(faults.begin_write().is_ok() && faults.begin_write().is_err());
        faults.end_write();
        assert!(faults.begin_write().is_ok());
    }
}
