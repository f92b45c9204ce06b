//! What a person reads of a verification.

use std::fmt::Write as _;

use onitu_core::control::Verifying;
use onitu_core::verify::{FindingKind, Part, Phase, VerifyStatus};

use crate::cli::render::{bytes, counted, number, plain, seconds};

/// One line for the display, over all services that are under way.
pub(super) fn progress<'a>(all: impl Iterator<Item = &'a Verifying>) -> String {
    let running = all.filter_map(|it| Some((&it.service, it.verify.as_ref()?)));
    let running = running.filter(|(_, verify)| !verify.is_over());
    let parts = running.map(|(service, verify)| format!("{}: {}", plain(service), how_far(verify)));
    parts.collect::<Vec<_>>().join(" · ")
}

/// How far a verification is.
pub(crate) fn how_far(verify: &VerifyStatus) -> String {
    let mut said = match verify.phase {
        Phase::Reading => format!(
            "{} % of {} read, {}/s",
            percent(verify.bytes, verify.bytes_total),
            bytes(verify.bytes_total),
            bytes(verify.bytes_per_s)
        ),
        _ => format!(
            "{} % of {} looked at",
            percent(verify.checked, verify.total),
            counted(verify.total, "path")
        ),
    };
    if let Some(left) = verify.eta_s {
        let _ = write!(said, ", {} left", seconds(left));
    }
    let found = found(verify);
    if found.is_empty() { said } else { format!("{said}, {found}") }
}

fn percent(done: u64, all: u64) -> u128 {
    if all == 0 { 0 } else { (u128::from(done) * 100 / u128::from(all)).min(100) }
}

/// `1 rotten, 2 changed`; empty if nothing was found.
fn found(verify: &VerifyStatus) -> String {
    let counts = [
        (verify.rotten, "rotten"),
        (verify.changed, "changed"),
        (verify.missing, "missing"),
        (verify.unreadable, "unreadable"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    counts.map(|(count, what)| format!("{} {what}", number(count))).collect::<Vec<_>>().join(", ")
}

/// A line for each service, and one for each finding.
pub(super) fn summary(all: &[Verifying]) -> String {
    let mut lines = String::new();
    for Verifying { service, verify, problem } in all {
        let Some(verify) = verify else { continue };
        let service = plain(service);
        let part = if verify.part == Part::WHOLE {
            String::new()
        } else {
            format!(" in part {}", verify.part)
        };
        let looked = format!("{}{part} looked at", counted(verify.checked, "path"));
        let read = if verify.deep {
            format!(", {} ({}) read", counted(verify.files, "file"), bytes(verify.bytes))
        } else {
            String::new()
        };
        let verdict = match (&verify.stopped, problem) {
            (_, Some(problem)) => format!("not finished, {}", plain(problem)),
            (Some(why), None) => format!("not finished, {}", plain(why)),
            (None, None) if verify.is_sound() => "sound".to_owned(),
            (None, None) => "not sound".to_owned(),
        };
        let found = found(verify);
        let found = if found.is_empty() { found } else { format!("; {found}") };
        let _ = writeln!(lines, "{service}: {verdict}; {looked}{read}{found}");
        for finding in &verify.findings {
            let (path, message) = (plain(finding.path.as_str()), plain(&finding.message));
            let _ = writeln!(lines, "  {}: {path}: {message}", word(finding.kind));
        }
        let told = verify.findings.len() as u64;
        let all = verify.rotten + verify.changed + verify.missing + verify.unreadable;
        if all > told {
            let _ = writeln!(lines, "  {} more", number(all - told));
        }
    }
    lines
}

fn word(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Rotten => "rotten",
        FindingKind::Changed => "changed",
        FindingKind::Missing => "missing",
        FindingKind::Unreadable => "unreadable",
    }
}

/// What a person may do about it.
pub(super) fn advice(all: &[Verifying]) -> Vec<&'static str> {
    let any =
        |is: fn(&VerifyStatus) -> bool| all.iter().filter_map(|it| it.verify.as_ref()).any(is);
    let mut advice = Vec::new();
    if any(|verify| verify.rotten > verify.unrepairable) {
        advice.push(
            "hint: what another service holds is being repaired: `onitu wait` returns when it is \
             done, `onitu conflicts` lists what was set aside",
        );
    }
    if any(|verify| verify.changed + verify.missing > 0) {
        advice.push("hint: what changed or is missing is being looked at: see `onitu wait`");
    }
    advice
}
