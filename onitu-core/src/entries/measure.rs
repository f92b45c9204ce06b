//! Durations, sizes, rates and shares as people write them. Pure; each error is a hint.

use crate::service::Limit;
use crate::size;

/// `"30s"`, `"5m"`, `"1h"`, `"2d"`: in seconds, at least one.
pub fn duration_s(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "a duration is a number and a unit: \"30s\", \"5m\", \"1h\" or \"2d\"";
    let (number, unit) = number_and_unit(text);
    let number: u64 = number.parse().map_err(|_| FORM)?;
    let unit_s = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(FORM),
    };
    let seconds = number.checked_mul(unit_s).ok_or(FORM)?;
    if seconds == 0 { Err("the shortest duration is \"1s\"") } else { Ok(seconds) }
}

/// A size of at least one byte ([`size::parse`]).
pub fn size_bytes(text: &str) -> Result<u64, &'static str> {
    match size::parse(text)? {
        0 => Err("a size of nothing would let nothing through"),
        bytes => Ok(bytes),
    }
}

/// `"10 MB/s"`, `"10 MB/s 08:00-18:00"`.
pub fn limit(text: &str) -> Result<Limit, &'static str> {
    const FORM: &str =
        "a limit is a rate and perhaps hours: \"10 MB/s\" or \"10 MB/s 08:00-18:00\"";
    let (rate, hours) = text.split_once("/s").ok_or(FORM)?;
    let bytes_per_s = size_bytes(rate).map_err(|_| FORM)?;
    let between = match hours.trim() {
        "" => None,
        hours => {
            let (from, to) = hours.split_once('-').ok_or(FORM)?;
            let (from, to) = (time_of_day(from).ok_or(FORM)?, time_of_day(to).ok_or(FORM)?);
            Some((from, to))
        }
    };
    Ok(Limit { bytes_per_s, between })
}

/// `"50 %"`: from 0 to 100.
pub fn percent(text: &str) -> Result<u8, &'static str> {
    const FORM: &str = "write a share (\"50 %\") or a number of files (500)";
    let number = text.trim().strip_suffix('%').ok_or(FORM)?.trim_end();
    number.parse().ok().filter(|percent| *percent <= 100).ok_or(FORM)
}

fn number_and_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    (number, unit.trim_start())
}

fn time_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str, max: u16| -> Option<u16> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number <= max)
    };
    Some(number(hour, 23)? * 60 + number(minute, 59)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let good = [("30s", 30), ("5 m", 300), ("2min", 120), ("1h", 3_600), (" 2d ", 172_800)];
        for (text, seconds) in good {
            assert_eq!(duration_s(text), Ok(seconds), "{text}");
        }
        for text in ["", "30", "s", "-5s", "1.5h", "0s", "5 weeks", "99999999999999999999s"] {
            assert!(duration_s(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_something() {
        assert_eq!((size_bytes("7 B"), size_bytes("0 B").is_err()), (Ok(7), true));
    }

    #[test]
    fn limits_may_have_hours() {
        let plain = Limit { bytes_per_s: 10_000_000, between: None };
        assert_eq!(limit("10 MB/s"), Ok(plain));
        let by_day = Limit { between: Some((8 * 60, 18 * 60 + 30)), ..plain };
        assert_eq!(limit("10 MB/s 08:00-18:30"), Ok(by_day));
        for text in ["10 MB", "fast", "10 MB/s 8-18", "10 MB/s 25:00-26:00", "10 MB/s 08:00"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_end_at_a_hundred() {
        assert_eq!((percent("50 %"), percent("0%"), percent(" 100 % ")), (Ok(50), Ok(0), Ok(100)));
        for text in ["50", "101 %", "-1 %", "%", "half"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
