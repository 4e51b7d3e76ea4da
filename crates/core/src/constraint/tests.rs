//! Claims about constraints: the table of operators, what is refused, and a slow model.

use super::*;
use proptest::prelude::*;

fn accepts(constraint: &str, version: &str) -> bool {
    let version = Version::parse(version).unwrap();
    Constraint::parse(constraint)
        .unwrap()
        .check(&version)
        .is_ok()
}

#[test]
fn missing_and_wild_parts_change_what_an_operator_means() {
    for (constraint, inside, outside) in [
        ("1.2.3", "1.2.3+b", "1.2.4"),
        ("1.2", "1.2.9", "1.3.0"),
        ("v1", "1.9", "2.0.0"),
        ("*", "9.9.9", "1.0.0-rc1"),
        ("~0.0.0", "3.0.0", "3.0.0-a"),
        ("^*", "0.0.0", "0.0.1"),
        ("~1.2.3", "1.2.9", "1.3.0"),
        ("^1.2", "1.9.0", "2.0.0"),
        ("^0.2.3", "0.2.9", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0.0", "0.0.9", "0.1.0"),
        ("^0", "0.9.0", "1.0.0"),
        (">1", "2.0.0", "1.9.9"),
        (">1.2", "1.3.0", "1.2.9"),
        ("<=1", "1.9.9", "2.0.0"),
        ("<=1.2", "1.2.9", "1.3.0"),
        ("<=*", "0.0.7", "0.1.0"),
        ("!=1.2", "1.3.0", "1.2.9"),
        ("1.2 - 1.4.5", "1.4.5", "1.4.6"),
        ("1.2-1.4", "1.2.1", "1.3.0"),
        ("1.x.3", "1.9.0", "2.0.0"),
        ("=> 1.0 =<2.0", "2.0.9", "2.1.0"),
        ("1.x || 3.x", "3.1.0", "2.0.0"),
    ] {
        assert!(accepts(constraint, inside), "{constraint} {inside}");
        assert!(!accepts(constraint, outside), "{constraint} {outside}");
    }
}

#[test]
fn one_pre_release_in_a_group_admits_them_to_the_whole_group() {
    assert!(accepts(">=1.0.0-0, <2.0.0", "2.0.0-rc1"));
    assert!(!accepts(">=1.0.0, <2.0.0", "2.0.0-rc1"));
    assert!(!accepts("1.x || 2.x-0", "1.5.0-rc1"));
    assert!(accepts("2.x-0", "2.0.0-alpha"));
}

#[test]
fn a_mismatch_says_whether_only_the_pre_release_stands_in_the_way() {
    let check = |constraint, version| {
        Constraint::parse(constraint)
            .unwrap()
            .check(&Version::parse(version).unwrap())
    };
    assert_eq!(check("1.x", "1.5-rc1"), Err(Mismatch::Prerelease));
    assert_eq!(check("1.x", "2.5-rc1"), Err(Mismatch::Outside));
    assert_eq!(check("1.x", "2.5"), Err(Mismatch::Outside));
}

#[test]
fn what_the_library_refuses_is_refused() {
    for text in [
        "",
        " ",
        "||",
        "1 ||",
        "latest",
        "1.2.3.4",
        ">>1",
        "1.2.",
        "1..2",
        "v",
        ",",
        "1, ",
        "1,,2",
        "1.2.3-",
        "0 1 - 2",
        ">1 - 2",
        "1 - 2 - 3",
        "= >1",
        "1.2.3=1",
    ] {
        assert!(
            matches!(Constraint::parse(text), Err(ConstraintError::Grammar(_))),
            "{text}"
        );
    }
    for text in ["1|2", "1.2.3-01", "18446744073709551616", "**", "1x"] {
        assert!(
            matches!(Constraint::parse(text), Err(ConstraintError::Version(_))),
            "{text}"
        );
    }
    let long = "1 ".repeat(CONSTRAINT_BYTES_MAX);
    assert!(matches!(
        Constraint::parse(&long),
        Err(ConstraintError::TooLong { .. })
    ));
}

/// Release comparators as closed ranges of numbers below 4.
fn slow(operator: &str, parts: &[u64], version: (u64, u64, u64)) -> bool {
    let low = (
        parts[0],
        parts.get(1).copied().unwrap_or(0),
        parts.get(2).copied().unwrap_or(0),
    );
    let high = (
        parts[0],
        parts.get(1).copied().unwrap_or(9),
        parts.get(2).copied().unwrap_or(9),
    );
    let same_minor = (version.0, version.1) == (low.0, low.1);
    match operator {
        "" | "=" => low <= version && version <= high,
        "!=" => version < low || version > high,
        ">" => version > high,
        ">=" => version >= low,
        "<" => version < low,
        "<=" => version <= high,
        "~" if low == (0, 0, 0) && parts.len() == 3 => true,
        "~" if parts.len() == 1 => low <= version && version.0 == low.0,
        "~" => low <= version && same_minor,
        _ if low.0 > 0 || parts.len() == 1 => low <= version && version.0 == low.0,
        _ if low.1 > 0 || parts.len() == 2 => low <= version && same_minor,
        _ => version == low,
    }
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text in "\\PC{0,40}") {
        let _ = Constraint::parse(&text);
    }

    #[test]
    fn texts_of_the_alphabet_have_an_answer(text in "[0-3x*v.<>=!~^ ,|+-]{0,16}") {
        if let Ok(constraint) = Constraint::parse(&text) {
            let _ = constraint.check(&Version::parse("1.2.3-a").unwrap());
            prop_assert_eq!(constraint.text(), text);
        }
    }

    #[test]
    fn checking_agrees_with_a_slow_model(
        operator in "|=|!=|>|>=|<|<=|~|\\^",
        parts in prop::collection::vec(0_u64..4, 1..4),
        version in (0_u64..4, 0_u64..4, 0_u64..4),
    ) {
        let numbers: Vec<String> = parts.iter().map(ToString::to_string).collect();
        let constraint = format!("{operator}{}", numbers.join("."));
        let (major, minor, patch) = version;
        let got = accepts(&constraint, &format!("{major}.{minor}.{patch}"));
        prop_assert_eq!(got, slow(&operator, &parts, version), "{}", constraint);
    }
}
