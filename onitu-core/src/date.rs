//! Days as they are written, in UTC: a trash has a directory for each. Pure; no time zones, and so
//! no library of them.

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Whether `name` is a date as [`date`] writes them: only such directories are ever purged. Dates
/// are in the order of their letters.
pub fn is_date(name: &str) -> bool {
    let is_written_so = name.len() == 10
        && name.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    // Not `2026-13-01`: nobody but a driver makes dates.
    is_written_so && ("01"..="12").contains(&&name[5..7]) && ("01"..="31").contains(&&name[8..])
}

/// The date of a day counted from 1970, as `2026-11-22` (Howard Hinnant's `civil_from_days`).
pub fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_779), "2026-11-22");
        assert_eq!(date(20_818), "2026-12-31");
        assert!(is_date("2026-11-22") && !is_date("2026-11-2x") && !is_date("index"));
        assert!(!is_date("2026-13-01") && !is_date("2026-00-01") && !is_date("2026-01-32"));
    }
}
