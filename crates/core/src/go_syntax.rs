//! Texts that Go programs read: booleans and durations, with the same accepted spellings.
//!
//! Users wrote these values for a Go program, so `1`, `T` and `5h30m` must keep their meaning.
//! Here: reading and printing. Not here: which setting uses which. Go standard library,
//! `strconv.ParseBool`, `time.ParseDuration`, `time.Duration.String`.

use std::time::Duration;

/// A boolean as `strconv.ParseBool` reads it: `1 t T TRUE true True 0 f F FALSE false False`.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A span of time in nanoseconds, as `time.ParseDuration` reads it: `5h30m`, `1.5s`, `-2m`, `0`.
///
/// `None` for anything else: no unit, an unknown unit, or more than about 292 years.
#[must_use]
pub fn duration_ns(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total_ns: i128 = 0;
    while !rest.is_empty() {
        let (part_ns, after) = duration_part(rest)?;
        total_ns = total_ns.checked_add(part_ns)?;
        rest = after;
    }
    i64::try_from(if negative { -total_ns } else { total_ns }).ok()
}

/// One `number unit` of a duration in nanoseconds, and what stands after it.
fn duration_part(text: &str) -> Option<(i128, &str)> {
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|end| *end > 0)?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit_ns: i128 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 {
        return None;
    }
    let mut part_ns = match whole {
        "" => 0,
        digits => digits.parse::<i128>().ok()?.checked_mul(unit_ns)?,
    };
    let mut scale: i128 = 1;
    let mut tenths: i128 = 0;
    // Below a nanosecond nothing is added; sixteen digits are more than any unit can show.
    for digit in fraction.chars().take(16) {
        tenths = tenths * 10 + i128::from(digit.to_digit(10)?);
        scale *= 10;
    }
    part_ns += tenths * unit_ns / scale;
    Some((part_ns, rest))
}

/// A span of time as Go prints it: `5h30m0s`, `1.5s`, `250ms`, `0s`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let total_ns = duration.as_nanos();
    if total_ns == 0 {
        return "0s".to_owned();
    }
    for (unit, unit_ns, next_ns) in [
        ("ns", 1, 1_000),
        ("\u{b5}s", 1_000, 1_000_000),
        ("ms", 1_000_000, 1_000_000_000),
    ] {
        if total_ns < next_ns {
            return format!("{}{unit}", with_fraction(total_ns, unit_ns));
        }
    }
    let minutes = total_ns / 60_000_000_000;
    let seconds = with_fraction(total_ns % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn with_fraction(value: u128, unit: u128) -> String {
    let digits = unit.to_string().len() - 1;
    let fraction = format!("{:0digits$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    if unit == 1 || fraction.is_empty() {
        (value / unit).to_string()
    } else {
        format!("{}.{fraction}", value / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_those_of_go_and_nothing_else() {
        assert_eq!(boolean("TRUE"), Some(true));
        assert_eq!(boolean("f"), Some(false));
        for text in ["yes", "", " true", "tRUE", "on"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }

    #[test]
    fn durations_read_and_print_as_in_go() {
        for (text, printed) in [
            ("5h30m", "5h30m0s"),
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("0.25s", "250ms"),
            ("0", "0s"),
            ("1h2m3.004s", "1h2m3.004s"),
            ("12ns", "12ns"),
            (".5m", "30s"),
        ] {
            let ns = u64::try_from(duration_ns(text).unwrap()).unwrap();
            assert_eq!(duration_text(Duration::from_nanos(ns)), printed, "{text}");
        }
        assert_eq!(duration_ns("-2m"), Some(-120_000_000_000));
    }

    #[test]
    fn texts_that_go_refuses_are_no_durations() {
        for text in [
            "",
            "5",
            "5x",
            "h",
            "1h2",
            ".",
            ".s",
            "1..2s",
            "+",
            "1 h",
            "9999999999999h",
            "é",
        ] {
            assert_eq!(duration_ns(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_duration_reader_panic(text in "\\PC{0,40}") {
            let _ = duration_ns(&text);
        }

        #[test]
        fn what_is_printed_reads_back(ns in 0_i64..i64::MAX) {
            let printed = duration_text(Duration::from_nanos(ns.unsigned_abs()));
            proptest::prop_assert_eq!(duration_ns(&printed), Some(ns));
        }
    }
}
