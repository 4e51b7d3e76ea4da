//! Tags as lists of numbers: the keys of the `numeric` and `calver` strategies.
//!
//! Both read digits between `.`, `-` and `_`, behind an optional `v`, and nothing else: what stands
//! around the numbers (`build-17`, `2024.10.1-alpine`) is for `extract` to take away, so that no
//! tag is ordered by accident. A missing number is 0. Calendar forms: calver.org, "Scheme".

use crate::version::{self, Version};

/// Numbers of one tag. More are not a version that people compare.
const NUMBERS_MAX: usize = 8;
/// Two-digit years count from here (calver.org: `YY`, `0Y`).
const CENTURY: u64 = 2000;
/// Years outside are taken for something else.
const YEARS: std::ops::RangeInclusive<u64> = 1970..=2199;
/// The second number is a month, or a week of the year (ISO 8601).
const WEEKS: std::ops::RangeInclusive<u64> = 1..=53;

/// The numbers of a tag, in order, padded with 0. The order is that of the first difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Numbers([u64; NUMBERS_MAX]);

impl Numbers {
    /// Reads `17`, `v1.2.3.4`, `2024-09-01_2`. `None`: there is something else in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = Self::default();
        let mut slots = numbers.0.iter_mut();
        for part in text
            .strip_prefix('v')
            .unwrap_or(text)
            .split(['.', '-', '_'])
        {
            *slots.next()? = version::number(part)?;
        }
        Some(numbers)
    }

    /// Reads a calendar version: `2024.10`, `24.04.1`, `2024-10-01-2`, `v2024_40`, `20241001`,
    /// `20241001-2`, `202410011530` (with hours and minutes), `20241001153000`.
    ///
    /// Two-digit years are those of this century. The second number is a month or a week (1 to 53).
    #[must_use]
    pub fn parse_calendar(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let first_bytes = text.find(['.', '-', '_']).unwrap_or(text.len());
        let (first, rest) = text.split_at(first_bytes);
        let mut numbers = Self::default();
        let mut slots = numbers.0.iter_mut();
        match first.len() {
            2 => *slots.next()? = CENTURY + version::number(first)?,
            4 => *slots.next()? = version::number(first)?,
            8 | 12 | 14 => {
                let (year, others) = first.split_at_checked(4)?;
                *slots.next()? = version::number(year)?;
                for pair in others.as_bytes().chunks(2) {
                    *slots.next()? = version::number(std::str::from_utf8(pair).ok()?)?;
                }
            }
            _ => return None,
        }
        for part in rest.split(['.', '-', '_']).skip(1) {
            *slots.next()? = version::number(part)?;
        }
        numbers.is_calendar(first.len() > 4).then_some(numbers)
    }

    fn is_calendar(&self, has_day: bool) -> bool {
        let [year, second, third, ..] = self.0;
        let fits = YEARS.contains(&year) && WEEKS.contains(&second);
        fits && (!has_day || ((1..=12).contains(&second) && (1..=31).contains(&third)))
    }

    /// The first three numbers as a version, for constraints.
    #[must_use]
    pub const fn as_version(&self) -> Version<'static> {
        let [major, minor, patch, ..] = self.0;
        Version::release(major, minor, patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_missing_ones_are_zero() {
        let parse = |text| Numbers::parse(text).unwrap();
        assert!(parse("9") < parse("10"));
        assert!(parse("1.2.3.4") < parse("1.2.3.10"));
        assert!(parse("2024-9-01") < parse("2024-10-01"));
        assert_eq!(parse("v1.20"), parse("1.20.0"));
    }

    #[test]
    fn anything_but_numbers_is_not_read() {
        for text in [
            "",
            "v",
            "1.",
            "build-1",
            "1.2-rc1",
            "1.2+3",
            "1.2.3.4.5.6.7.8.9",
            "18446744073709551616",
        ] {
            assert_eq!(Numbers::parse(text), None, "{text}");
        }
    }

    #[test]
    fn calendar_versions_of_every_form_share_one_order() {
        let parse = |text| Numbers::parse_calendar(text).unwrap();
        let ascending = [
            "22.04",
            "2023.12.31",
            "2024.1",
            "24.04.1",
            "20240901",
            "2024-10-01",
            "2024.10.1-2",
            "20241001-3",
            "202410011530",
        ];
        for pair in ascending.windows(2) {
            assert!(parse(pair[0]) < parse(pair[1]), "{pair:?}");
        }
        assert_eq!(parse("2024.09.01"), parse("v20240901"));
    }

    #[test]
    fn what_is_no_date_is_not_a_calendar_version() {
        for text in [
            "1.25.3",
            "2024",
            "2024.54",
            "2024.0.1",
            "20241301",
            "20241032",
            "1234567",
            "2024.10-rc1",
            "9999.1.1",
            "latest",
            "24é04",
        ] {
            assert_eq!(Numbers::parse_calendar(text), None, "{text}");
        }
    }
}
