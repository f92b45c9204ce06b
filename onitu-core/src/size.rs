//! Sizes as people write them. Pure; an error is a hint.

/// Units by name, the ones that a person reads best first among equals.
const UNITS: [(&str, u64); 19] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
    ("KB", 1_000),
    ("k", 1_000),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
];

/// `"10 GiB"`, `"50 MB"`, `"1.5 TB"`, `"4 k"`: in bytes; nothing at all is `"0 B"`.
pub fn parse(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "a size is a number and a unit: \"500 MB\", \"10 GiB\" or \"1.5 TB\"";
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim_start();
    let unit_bytes = UNITS.iter().find(|(name, _)| *name == unit).ok_or(FORM)?.1;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.is_empty() || !digits(part) {
        return Err(FORM);
    }
    let whole: u64 = whole.parse().map_err(|_| FORM)?;
    let part_of = 10_u64.pow(part.len() as u32);
    let part: u64 = part.parse().map_err(|_| FORM)?;
    let bytes = whole.checked_mul(unit_bytes).ok_or(FORM)?;
    // At most 10^6 · 2^40, which fits.
    bytes.checked_add(part * unit_bytes / part_of).ok_or(FORM)
}

/// The shortest exact way to write `bytes`; [`parse`] reads it.
pub fn text(bytes: u64) -> String {
    let usual = &UNITS[..9];
    let exact = usual.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    let (name, unit) = exact.copied().unwrap_or(("B", 1));
    format!("{} {name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_know_tens_and_twos() {
        let good = [("10 GiB", 10 << 30), ("50MB", 50_000_000), ("1.5 TB", 1_500_000_000_000)];
        let short = [("7 B", 7), ("0.5 KiB", 512), ("4 k", 4_000), ("2Gi", 2 << 30), ("0 B", 0)];
        for (text, bytes) in good.into_iter().chain(short) {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "10", "GiB", "1. GB", ".5 GB", "1.2.3 MB", "5 XB", "99999999 TB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for bytes in [0, 1, 512, 1_000, 1_024, 1_536, 50_000_000, 10 << 20, 3 << 40, u64::MAX] {
            assert_eq!(parse(&text(bytes)), Ok(bytes), "{}", text(bytes));
        }
        assert_eq!((text(50_000_000), text(10 << 20)), ("50 MB".to_owned(), "10 MiB".to_owned()));
    }
}
