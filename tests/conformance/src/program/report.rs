//! What was found, for a person and for a program.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::chaos::Chaos;
use super::run::Outcome;
use crate::promise::{Promise, Verdict};

/// Everything that was found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) driver: String,
    pub(super) version: String,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) chaos: Option<Chaos>,
}

const WORDS: [&str; 4] = ["kept", "not applicable", "no door", "broken"];

fn word(promise: &Promise) -> &'static str {
    match promise {
        Ok(Verdict::Kept) => "kept",
        Ok(Verdict::NotApplicable(_) | Verdict::Able(_)) => "not applicable",
        Ok(Verdict::NoDoor(_)) => "no door",
        Err(_) => "broken",
    }
}

/// Why a case isn't kept.
fn why(promise: &Promise) -> Option<String> {
    match promise {
        Ok(Verdict::Kept) => None,
        Ok(Verdict::NotApplicable(ability)) => Some(format!("no ability `{ability}`")),
        Ok(Verdict::Able(ability)) => Some(format!("it has the ability `{ability}`")),
        Ok(Verdict::NoDoor(what)) => Some(format!("no {what}")),
        Err(broken) => Some(broken.to_string()),
    }
}

impl Report {
    /// Whether nothing is broken.
    pub(super) fn is_fine(&self) -> bool {
        let is_kept = self.outcomes.iter().all(|outcome| outcome.promise.is_ok());
        is_kept && self.chaos.as_ref().is_none_or(|chaos| chaos.failure.is_none())
    }

    fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts: BTreeMap<_, _> = WORDS.map(|word| (word, 0)).into();
        for outcome in &self.outcomes {
            *counts.entry(word(&outcome.promise)).or_default() += 1;
        }
        counts
    }

    /// A line for each case, room by room, and what it comes to.
    pub(super) fn text(&self) -> String {
        let mut text = format!("driver {} {}\n", self.driver, self.version);
        let mut room = "";
        for Outcome { case, promise, .. } in &self.outcomes {
            if room != case.room {
                room = case.room;
                // Writing to a text never fails.
                let _ = writeln!(text, "\n{room}");
            }
            let name = case.name.replace('_', " ");
            let why = why(promise).map(|why| format!(": {why}")).unwrap_or_default();
            let _ = writeln!(text, "  {:<14}  {name}{why}", word(promise));
        }
        let counts = self.counts();
        let counts: Vec<_> = WORDS.iter().map(|word| format!("{} {word}", counts[word])).collect();
        let number = self.outcomes.len();
        let cases = if number == 1 { "case" } else { "cases" };
        let _ = writeln!(text, "\n{number} {cases}: {}", counts.join(", "));
        if let Some(chaos) = &self.chaos {
            let _ = writeln!(text, "{}", chaos.text());
        }
        text
    }

    /// The same as one object.
    pub(super) fn json(&self) -> String {
        let cases: Vec<Value> = self.outcomes.iter().map(case).collect();
        let counts = self.counts();
        let report = json!({
            "driver": self.driver,
            "version": self.version,
            "fine": self.is_fine(),
            "counts": {
                "kept": counts["kept"],
                "not_applicable": counts["not applicable"],
                "no_door": counts["no door"],
                "broken": counts["broken"],
            },
            "cases": cases,
            "chaos": self.chaos.as_ref().map(Chaos::json),
        });
        serde_json::to_string_pretty(&report).unwrap_or_default()
    }
}

fn case(outcome: &Outcome) -> Value {
    let Outcome { case, promise, took, .. } = outcome;
    json!({
        "room": case.room,
        "name": case.name,
        "verdict": word(promise).replace(' ', "_"),
        "why": why(promise),
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}
