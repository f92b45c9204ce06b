//! Ages as people write them. Pure; an error is a hint.

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
const DAY_S: i64 = 24 * HOUR_S;

/// Units: in seconds, and every way to write them, the printed one first.
const UNITS: [(i64, &[&str]); 6] = [
    (365 * DAY_S, &["years", "year", "y"]),
    (30 * DAY_S, &["months", "month"]),
    (7 * DAY_S, &["weeks", "week", "w"]),
    (DAY_S, &["days", "day", "d"]),
    (HOUR_S, &["hours", "hour", "h"]),
    (MINUTE_S, &["minutes", "minute", "min"]),
];
const FORM: &str = "an age is a whole number and a unit, from minutes to years: `90 days`";
/// Longer ones wouldn't fit into nanoseconds.
const YEARS_MAX: i64 = 200;

/// `"90 days"`, `"2 h"`, `"1 year"`: in nanoseconds. A month has 30 days, a year 365.
pub fn parse(text: &str) -> Result<i64, &'static str> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).ok_or(FORM)?;
    let (number, unit) = text.split_at(end);
    let number: i64 = number.parse().map_err(|_| FORM)?;
    let unit = unit.trim_start();
    if unit == "m" {
        return Err("`m` may mean minutes or months: write `min` or `months`");
    }
    let known = UNITS.iter().find(|(_, names)| names.contains(&unit));
    let seconds = number.checked_mul(known.ok_or(FORM)?.0).ok_or(FORM)?;
    match seconds {
        0 => Err("the shortest age is `1 minute`"),
        _ if seconds > YEARS_MAX * UNITS[0].0 => Err("the longest age is `200 years`"),
        _ => Ok(seconds * 1_000_000_000),
    }
}

/// How a person would write an age that [`parse`] gave: in years, days, hours or minutes.
pub fn text(age_ns: i64) -> String {
    let seconds = age_ns / 1_000_000_000;
    let is_exact = |(unit_s, names): &&(i64, &[&str])| {
        seconds % unit_s == 0 && !["months", "weeks"].contains(&names[0])
    };
    let (unit, names) = UNITS.iter().find(is_exact).copied().unwrap_or(UNITS[UNITS.len() - 1]);
    let number = seconds / unit;
    format!("{number} {}", names[usize::from(number == 1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit_and_are_written_as_they_are_read() {
        let table = [
            ("90 days", "90 days", 90 * DAY_S),
            ("1d", "1 day", DAY_S),
            ("24 h", "1 day", DAY_S),
            ("90min", "90 minutes", 90 * 60),
            ("4 weeks", "28 days", 28 * DAY_S),
            ("3 months", "90 days", 90 * DAY_S),
            ("2 years", "2 years", 730 * DAY_S),
        ];
        for (written, printed, seconds) in table {
            let age_ns = parse(written).expect(written);
            assert_eq!((age_ns, text(age_ns).as_str()), (seconds * 1_000_000_000, printed));
            assert!(parse(printed).is_ok(), "{printed}");
        }
        let bad = ["", "90", "days", "-1 d", "1.5 d", "5 m", "0 d", "201 years", "9 parsecs"];
        for text in bad.into_iter().chain(["99999999999999999999 d", "9223372036854775807 y"]) {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
