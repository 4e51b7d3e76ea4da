//! From bytes to JSON values: documents are split first, so that a broken one harms only itself.
//!
//! Here: splitting, parsing YAML and JSON within limits, lines of errors. Not here: what the
//! values are. YAML 1.2, 9.1 "Documents": a line that begins with `---` ends every document, even
//! inside a block scalar, so splitting by lines is exact.

use std::fmt;

use sealift_core::limits;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// One document of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    /// Its first line that holds content, from 1.
    pub(super) line: u64,
    /// What it says.
    pub(super) value: Value,
}

/// A document that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Line of the error, from 1.
    pub(super) line: u64,
    /// What is wrong. No values.
    pub(super) problem: String,
    /// Whether the text names the group of policies: then it may have been one.
    pub(super) may_be_policy: bool,
    /// Whether the text names the kind of ImageUpdaters.
    pub(super) may_be_updater: bool,
}

/// Reads every document, one after the other: a file of all Applications is large, and their JSON
/// values are larger. Empty documents are left out.
pub(super) fn read(text: &str) -> impl Iterator<Item = Result<Document, Broken>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    split(text).into_iter().flat_map(|chunk| {
        if let Some(values) = json_values(&chunk) {
            return values.into_iter().map(Ok).collect();
        }
        match yaml_value(&chunk) {
            Ok(Value::Null) => Vec::new(),
            Ok(value) => vec![Ok(Document {
                line: chunk.content_line(),
                value,
            })],
            Err(mut broken) => {
                broken.may_be_policy = may_be_policy(chunk.text);
                broken.may_be_updater = chunk.text.contains("ImageUpdater");
                vec![Err(broken)]
            }
        }
    })
}

/// Whether a text that cannot be read may have been a policy. Our annotations alone do not make
/// one: a broken Application harms only itself.
pub(super) fn may_be_policy(text: &str) -> bool {
    text.contains("PromotionPolicy")
        || text
            .lines()
            .any(|line| line.contains("apiVersion") && line.contains("sealift.dev/"))
}

/// A piece of a file that holds one YAML document, or several JSON ones.
struct Chunk<'a> {
    /// Line of the first byte, from 1.
    line: u64,
    text: &'a str,
}

impl Chunk<'_> {
    /// The first line with content.
    fn content_line(&self) -> u64 {
        let before = self
            .text
            .lines()
            .take_while(|line| !is_content(line))
            .count();
        self.line + before as u64
    }
}

/// Cuts the text before each line that begins a document and behind each that ends one.
fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut has_content) = ((0, 1_u64), false);
    // Directives stand before the `---` of the document they belong to.
    let mut directives = None;
    let (mut offset, mut line_number) = (0, 1_u64);
    for line in text.split_inclusive('\n') {
        let end = offset + line.len();
        let here = (offset, line_number);
        let begins = is_marker(line, "---");
        if begins {
            if has_content {
                push(&mut chunks, text, start.0..offset, start.1);
            }
            start = directives.take().unwrap_or(here);
            has_content = false;
        } else if line.starts_with('%') && !has_content {
            directives = directives.or(Some(here));
        }
        has_content |= is_content(line);
        offset = end;
        line_number += 1;
        if is_marker(line, "...") {
            if has_content {
                push(&mut chunks, text, start.0..end, start.1);
            }
            (start, has_content, directives) = ((end, line_number), false, None);
        }
    }
    if has_content {
        push(&mut chunks, text, start.0..text.len(), start.1);
    }
    chunks
}

fn push<'a>(chunks: &mut Vec<Chunk<'a>>, text: &'a str, range: std::ops::Range<usize>, line: u64) {
    if let Some(text) = text.get(range) {
        chunks.push(Chunk { line, text });
    }
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn marker_rest(line: &str) -> &str {
    line.get(3..).unwrap_or_default()
}

/// Whether a line holds more than blanks, a comment, a directive or a document marker.
fn is_content(line: &str) -> bool {
    if is_marker(line, "---") {
        return is_content(marker_rest(line));
    }
    let line = line.trim();
    !(line.is_empty() || line.starts_with('#') || line.starts_with('%') || line == "...")
}

/// Several JSON values in a row. `None` where the text is not JSON: YAML flow maps look alike. Nor is
/// it JSON here where a key stands twice, of which readers take one or the other (RFC 8259, 4): as
/// YAML it is an error.
fn json_values(chunk: &Chunk<'_>) -> Option<Vec<Document>> {
    if !chunk.text.trim_start().starts_with('{') {
        return None;
    }
    let mut values = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(chunk.text).into_iter::<Unambiguous>();
    let (mut counted, mut line) = (0, chunk.line);
    loop {
        let rest = chunk.text.get(stream.byte_offset()..)?;
        let start = stream.byte_offset() + (rest.len() - rest.trim_start().len());
        let Some(value) = stream.next() else { break };
        line += chunk.text.get(counted..start)?.matches('\n').count() as u64;
        counted = start;
        values.push(Document {
            line,
            value: value.ok()?.0,
        });
    }
    Some(values)
}

/// A JSON value in which no key stands twice.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOfEachKey).map(Self)
    }
}

struct OneOfEachKey;

impl<'de> Visitor<'de> for OneOfEachKey {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Unambiguous(value))) = entries.next_entry::<String, _>()? {
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

fn yaml_value(chunk: &Chunk<'_>) -> Result<Value, Broken> {
    let result: Result<Value, _> =
        serde_saphyr::from_str_with_options(chunk.text, yaml_options(chunk.text.len()));
    result.map_err(|error| Broken {
        line: chunk.line
            + error
                .location()
                .map_or(0, |location| location.line().saturating_sub(1)),
        problem: problem_text(&error),
        may_be_policy: false,
        may_be_updater: false,
    })
}

/// What the parser says, without the values it quotes: the document may be a Secret.
fn problem_text(error: &serde_saphyr::Error) -> String {
    let text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let mut shown = String::new();
    for (index, part) in text
        .lines()
        .next()
        .unwrap_or_default()
        .split(['`', '"'])
        .enumerate()
    {
        if index > 0 {
            shown.push('`');
        }
        shown.push_str(if index % 2 == 0 { part } else { "…" });
    }
    shown.chars().take(200).collect()
}

fn yaml_options(bytes: usize) -> serde_saphyr::Options {
    // Every node takes a byte at least, so the length of the text bounds what is not an alias.
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: limits::YAML_DEPTH_MAX,
            max_events: bytes.saturating_mul(2).saturating_add(64),
            max_nodes: bytes.saturating_add(64),
            max_total_scalar_bytes: bytes.saturating_mul(2).saturating_add(64),
            max_aliases: limits::MANIFEST_ALIASES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: limits::MANIFEST_ALIAS_EVENTS_MAX,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines_and_values(text: &str) -> Vec<(u64, Option<Value>)> {
        read(text)
            .map(|document| match document {
                Ok(document) => (document.line, Some(document.value)),
                Err(broken) => (broken.line, None),
            })
            .collect()
    }

    #[test]
    fn documents_keep_their_lines() {
        let text = "# head\n---\na: 1\n---\n\n---\n# only a comment\n--- # next\nb: 2\n...\n%YAML 1.2\n---\nc: 3\n";
        assert_eq!(
            lines_and_values(text),
            [
                (3, Some(json!({ "a": 1 }))),
                (9, Some(json!({ "b": 2 }))),
                (13, Some(json!({ "c": 3 })))
            ]
        );
    }

    #[test]
    fn a_broken_document_harms_only_itself_and_names_its_line() {
        let text = "a: 1\n---\nb: 2\nx: [\n---\nc: 3\n---\nd: 1\nd: 2\n";
        let got = lines_and_values(text);
        assert_eq!(got.len(), 4, "{got:?}");
        assert_eq!(got.first(), Some(&(1, Some(json!({ "a": 1 })))));
        assert!(matches!(got.get(1), Some((4..=5, None))), "{got:?}");
        assert_eq!(got.get(2), Some(&(6, Some(json!({ "c": 3 })))));
        assert_eq!(got.get(3), Some(&(9, None)));
    }

    #[test]
    fn json_documents_stand_in_a_row() {
        let got = lines_and_values("{\"a\": 1}\n\n{\"b\":\n 2}{\"c\": 3}\n");
        assert_eq!(
            got,
            [
                (1, Some(json!({ "a": 1 }))),
                (3, Some(json!({ "b": 2 }))),
                (4, Some(json!({ "c": 3 })))
            ]
        );
        assert_eq!(lines_and_values("{a: 1}\n"), [(1, Some(json!({ "a": 1 })))]);
    }

    #[test]
    fn a_document_marker_inside_text_does_not_split() {
        let got = lines_and_values("a: |\n  ---\n  x\nb: ---y\n");
        assert_eq!(got, [(1, Some(json!({ "a": "---\nx\n", "b": "---y" })))]);
    }

    #[test]
    fn crlf_and_a_byte_order_mark_are_read() {
        let got = lines_and_values("\u{feff}a: 1\r\n---\r\nb: 2\r\n");
        assert_eq!(
            got,
            [(1, Some(json!({ "a": 1 }))), (3, Some(json!({ "b": 2 })))]
        );
    }

    #[test]
    fn texts_that_only_old_yaml_takes_for_other_types_stay_texts() {
        let got = lines_and_values("a: yes\nb: \"1\"\nc: 0755\nd: 1_0\ne: true\n");
        let expected = json!({ "a": "yes", "b": "1", "c": "0755", "d": "1_0", "e": true });
        assert_eq!(got, [(1, Some(expected))]);
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in "bcdefghijk".chars().zip("abcdefghij".chars()) {
            text.push_str(&format!(
                "{name}: &{name} [{}]\n",
                vec![format!("*{of}"); 10].join(",")
            ));
        }
        let got = lines_and_values(&text);
        assert!(matches!(got.as_slice(), [(_, None)]));
    }

    #[test]
    fn an_error_does_not_quote_values() {
        let text = "stringData:\n  password: \"hunter2\n";
        let documents: Vec<_> = read(text).collect();
        let [Err(broken)] = documents.as_slice() else {
            panic!("{documents:?}")
        };
        assert!(!broken.problem.contains("hunter2"), "{}", broken.problem);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "([ \\-\\.\\{\\}\\[\\]:&\\*a-c\"'|>#%\r\n]|---\n){0,80}") {
            let _ = read(&text).count();
        }
    }
}
