//! Versions as tags write them, and their order.
//!
//! SemVer 2.0.0 §9–§11, read leniently as Masterminds semver v3.4.0 does: a leading `v`, missing
//! parts (0) and leading zeros are accepted. A version borrows its text, so that a list of tags is
//! parsed without allocating.

use std::cmp::Ordering;
use std::fmt;

/// `[v]major[.minor[.patch]][-prerelease][+metadata]`.
///
/// Equality and order are precedence: metadata and spelling do not count.
#[derive(Debug, Clone, Copy)]
pub struct Version<'a> {
    /// First number.
    pub major: u64,
    /// Second number; 0 where it is not written.
    pub minor: u64,
    /// Third number; 0 where it is not written.
    pub patch: u64,
    /// What stands behind `-`; empty for a release.
    pub prerelease: &'a str,
    /// What stands behind `+`; empty where nothing does.
    pub metadata: &'a str,
}

impl<'a> Version<'a> {
    /// Reads a whole tag. `None`: the tag is not a version.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (major, rest) = leading_number(text.strip_prefix('v').unwrap_or(text))?;
        let (minor, rest) = dotted_number(rest)?;
        let (patch, rest) = dotted_number(rest)?;
        if rest.is_empty() {
            return Some(Self::release(major, minor, patch));
        }
        let (prerelease, metadata) = match rest.split_once('+') {
            Some((before, metadata)) => (before, Some(metadata)),
            None => (rest, None),
        };
        let prerelease = match prerelease.strip_prefix('-') {
            Some(identifiers) if is_prerelease(identifiers) => identifiers,
            None if prerelease.is_empty() => "",
            _ => return None,
        };
        let metadata = match metadata {
            Some(identifiers) if is_identifiers(identifiers) => identifiers,
            Some(_) => return None,
            None => "",
        };
        Some(Self {
            major,
            minor,
            patch,
            prerelease,
            metadata,
        })
    }

    /// Three numbers, and nothing behind them.
    pub(crate) const fn release(major: u64, minor: u64, patch: u64) -> Self {
        Self {
            major,
            minor,
            patch,
            prerelease: "",
            metadata: "",
        }
    }

    /// Whether the version is a pre-release. `1.25-alpine` is one, of 1.25.0.
    #[must_use]
    pub const fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }
}

impl fmt::Display for Version<'_> {
    /// The canonical form: three numbers, no `v`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| compare_prerelease(self.prerelease, other.prerelease))
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version<'_> {}

/// SemVer 2.0.0 §11.3 and §11.4. The empty text is a release.
fn compare_prerelease(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    match (left.is_empty(), right.is_empty()) {
        (true, _) => return Ordering::Greater,
        (_, true) => return Ordering::Less,
        _ => {}
    }
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => compare_identifier(left, right),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers below texts; a number too large for 64 bits is a text.
fn compare_identifier(left: &str, right: &str) -> Ordering {
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// Decimal digits only, within 64 bits. Leading zeros are accepted.
pub(crate) fn number(text: &str) -> Option<u64> {
    leading_number(text).and_then(|(number, rest)| rest.is_empty().then_some(number))
}

/// The digits that `text` starts with, at least one, and what stands behind them.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let mut value = 0_u64;
    let mut digits = 0;
    for byte in text.bytes().take_while(u8::is_ascii_digit) {
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        digits += 1;
    }
    Some((value, text.get(digits..)?)).filter(|_| digits > 0)
}

/// The number behind a `.`, or 0 where there is no `.`; and what stands behind it.
fn dotted_number(text: &str) -> Option<(u64, &str)> {
    match text.strip_prefix('.') {
        Some(behind) => leading_number(behind),
        None => Some((0, text)),
    }
}

fn is_prerelease(text: &str) -> bool {
    is_identifiers(text)
        && text.split('.').all(|identifier| {
            !(identifier.len() > 1
                && identifier.starts_with('0')
                && identifier.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// Dot-separated, none empty, of `[0-9A-Za-z-]`.
fn is_identifiers(text: &str) -> bool {
    text.split('.').all(|identifier| {
        !identifier.is_empty()
            && identifier
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(lower: &str, higher: &str) {
        let lower = Version::parse(lower).unwrap();
        let higher = Version::parse(higher).unwrap();
        assert!(lower < higher, "{lower} {higher}");
        assert!(higher > lower, "{higher} {lower}");
    }

    #[test]
    fn missing_parts_leading_zeros_and_a_v_are_read() {
        for (text, canonical) in [
            ("v1", "1.0.0"),
            ("1.2", "1.2.0"),
            ("01.02.03", "1.2.3"),
            ("20240101", "20240101.0.0"),
            ("1-rc.1+b.2", "1.0.0-rc.1+b.2"),
            ("1.0.0--", "1.0.0--"),
        ] {
            assert_eq!(Version::parse(text).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn what_is_not_a_version_is_not_read() {
        for text in [
            "",
            "v",
            "V1",
            "vv1",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4",
            "1.2.3_1",
            " 1",
            "1 ",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-+b",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3-é",
            "1+a+b",
            "18446744073709551616",
            "latest",
            "1.2.3\n",
        ] {
            assert!(Version::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_order_is_that_of_semver() {
        ordered("1.0.0-alpha", "1.0.0-alpha.1");
        ordered("1.0.0-alpha.1", "1.0.0-alpha.beta");
        ordered("1.0.0-beta.2", "1.0.0-beta.11");
        ordered("1.0.0-rc10", "1.0.0-rc9");
        ordered("1.0.0-rc.1", "1");
        ordered("1.9.0", "1.10.0");
        ordered("1.0.0-99999999999999999999", "1.0.0-a");
        ordered("1.0.0-5", "1.0.0-99999999999999999999");
        assert_eq!(Version::parse("v1.2+a"), Version::parse("1.2.0+b"));
    }
}
