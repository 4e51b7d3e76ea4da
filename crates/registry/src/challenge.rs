//! `WWW-Authenticate`: lists of challenges, several on a line and on several lines. RFC 9110,
//! section 11.6.1.
//!
//! Pure, over hostile text: work is linear, nothing is indexed past its end.

use std::collections::BTreeMap;

use sealift_core::limits;

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// In lower case: `bearer`, `basic`, …
    pub scheme: String,
    /// Names in lower case; of doubled ones the last.
    pub parameters: BTreeMap<String, String>,
}

/// Reads every challenge of `lines`, in order. A challenge with an unreadable parameter keeps those
/// before it, and ends its line.
#[must_use]
pub fn challenges<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut found = Vec::new();
    for line in lines {
        if line.len() <= limits::CHALLENGE_BYTES_MAX {
            read_line(line, &mut found);
        }
    }
    found.truncate(limits::CHALLENGES_MAX);
    found
}

fn read_line(line: &str, found: &mut Vec<Challenge>) {
    let mut rest = skip(line);
    while let Some((word, after)) = token(rest) {
        // `name=value` belongs to the challenge before; any other word begins the next one.
        if let (Some(text), Some(challenge)) = (after.strip_prefix('='), found.last_mut()) {
            let Some((value, after)) = value_of(text) else {
                return;
            };
            challenge
                .parameters
                .insert(word.to_ascii_lowercase(), value);
            let after = after.trim_start_matches([' ', '\t']);
            if !after.is_empty() && !after.starts_with(',') {
                return;
            }
            rest = skip(after);
            continue;
        }
        let after = after.trim_start_matches([' ', '\t']);
        if after.starts_with('=') && !found.is_empty() {
            return;
        }
        found.push(Challenge {
            scheme: word.to_ascii_lowercase(),
            parameters: BTreeMap::new(),
        });
        rest = skip(token68(after));
    }
}

/// Passes blanks and empty list elements.
fn skip(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', ','])
}

fn token(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Passes a `token68` (as `Negotiate` has), if one stands here alone.
fn token68(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/".contains(c)))
        .unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    let padded = after.trim_start_matches('=');
    let ends = padded.trim_start_matches([' ', '\t']);
    match !word.is_empty() && (ends.is_empty() || ends.starts_with(',')) {
        true => padded,
        false => text,
    }
}

/// A quoted string or a token. `None`: neither, empty, or without its end.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, after) = token(text)?;
        return Some((word.to_owned(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if value.is_empty() => return None,
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<(String, Vec<(String, String)>)> {
        challenges(lines.iter().copied())
            .into_iter()
            .map(|challenge| (challenge.scheme, challenge.parameters.into_iter().collect()))
            .collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn several_challenges_stand_on_one_line_and_on_several() {
        let basic = ("basic".to_owned(), pairs(&[("realm", "a")]));
        let bearer = (
            "bearer".to_owned(),
            pairs(&[("realm", "b"), ("service", "s,\"t")]),
        );
        let one = r#"Basic realm="a", Bearer Realm="b" , service="s,\"t""#;
        assert_eq!(read(&[one]), [basic.clone(), bearer.clone()]);
        let two = [
            r#"Basic realm="a""#,
            r#", Bearer realm="b",service="s,\"t","#,
        ];
        assert_eq!(read(&two), [basic, bearer]);
    }

    #[test]
    fn a_token68_is_no_parameter() {
        let expected = [
            ("negotiate".to_owned(), vec![]),
            ("basic".to_owned(), pairs(&[("realm", "x")])),
        ];
        assert_eq!(read(&["Negotiate aGVsbG8=, Basic realm=x"]), expected);
        assert_eq!(read(&["Negotiate", "Basic realm=x"]), expected);
    }

    #[test]
    fn what_cannot_be_read_ends_its_line_and_no_more() {
        assert_eq!(
            read(&[r#"Bearer realm="https://r/t"#]),
            [("bearer".to_owned(), vec![])]
        );
        assert_eq!(read(&["", ",,,", "\"", "=x", "{"]), []);
        let kept = [
            ("bearer".to_owned(), pairs(&[("realm", "a")])),
            ("basic".to_owned(), vec![]),
        ];
        assert_eq!(read(&[r#"Bearer realm=a, service=""#, "Basic"]), kept);
    }

    #[test]
    fn hostile_lengths_are_bounded() {
        let long = "Basic, ".repeat(limits::CHALLENGE_BYTES_MAX);
        assert_eq!(read(&[&long]), []);
        let lines = vec!["Basic"; 1000];
        assert_eq!(read(&lines).len(), limits::CHALLENGES_MAX);
    }
}
