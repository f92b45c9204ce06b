//! A point in time as a person types it, and as one reads it.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::render::plain;

const FORM: &str = "a time is `2026-11-22T15:06:00Z`, `2026-11-22 15:06`, `2026-11-22` (its \
                    beginning), `yesterday`, `today` or `2 hours ago`";

/// Reads a time; without a zone it is meant where this machine is.
pub fn time(text: &str) -> Result<Timestamp, String> {
    at(text, &Zoned::now())
}

/// As [`time`], said at `now`.
fn at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    let beginning = |date: Date| date.to_zoned(now.time_zone().clone());
    let found = match text {
        "now" => Ok(now.clone()),
        "today" => beginning(now.date()),
        "yesterday" => now.date().yesterday().and_then(beginning),
        _ => {
            if let Ok(at) = text.parse::<Timestamp>() {
                return Ok(at);
            }
            if let Some(span) = text.strip_suffix("ago") {
                let span: Span = span.trim().parse().map_err(|_| FORM)?;
                now.checked_sub(span.abs())
            } else if text.len() <= "2026-11-22".len() {
                text.parse().and_then(beginning)
            } else {
                text.parse::<DateTime>().and_then(|at| at.to_zoned(now.time_zone().clone()))
            }
        }
    };
    found.map(|at| at.timestamp()).map_err(|_| FORM.to_owned())
}

/// An RFC 3339 date as people in `zone` write it; one that is none stays as it is.
pub fn shown(text: &str, zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => plain(text),
    }
}

/// Milliseconds since the epoch as people where this machine is write them.
pub fn at_ms(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let text = at.map(|at| at.to_string()).unwrap_or_default();
    shown(&text, &TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_taken_as_people_say_it() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now: Timestamp = "2026-11-22T15:06:00Z".parse().expect("a time");
        let now = now.to_zoned(zone);
        for (said, meant) in [
            ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
            ("2026-11-20T12:00:00+03:00", "2026-11-20T09:00:00Z"),
            ("2026-11-20 12:00", "2026-11-20T11:00:00Z"),
            ("2026-11-20T12:00:07", "2026-11-20T11:00:07Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("today", "2026-11-21T23:00:00Z"),
            ("yesterday", "2026-11-20T23:00:00Z"),
            ("now", "2026-11-22T15:06:00Z"),
            ("2 hours ago", "2026-11-22T13:06:00Z"),
            ("90 minutes ago", "2026-11-22T13:36:00Z"),
            ("1 week ago", "2026-11-15T15:06:00Z"),
            ("30s ago", "2026-11-22T15:05:30Z"),
        ] {
            let meant: Timestamp = meant.parse().expect("a time");
            assert_eq!(at(said, &now), Ok(meant), "{said}");
        }
        for none in ["", "soon", "ago", "2026-13-01", "12:00", "two hours ago", "2026-11-22 99:00"]
        {
            assert!(at(none, &now).is_err(), "{none}");
        }
    }
}
