//! Rules that one file answers alone: lengths, module docs, leftovers, names that must not be
//! public.

use super::{Finding, Source};

const COLUMNS_MAX: usize = 100;
const LINES_MAX: usize = 600;
const LINES_WANTED: usize = 300;

/// Macros of work in progress, in halves so that this file does not hold them. Doc tests may.
const LEFTOVER_MACROS: &[(&str, &str)] = &[("tod", "o!("), ("unimplemen", "ted!("), ("db", "g!(")];
/// Marks of work in progress, in halves likewise.
const LEFTOVER_MARKS: &[(&str, &str)] = &[
    ("FIX", "ME"),
    ("XX", "X:"),
    ("<<<<", "<<< "),
    (">>>>", ">>> "),
];

/// Places that exist on one machine only, in halves likewise.
const PRIVATE_PLACES: &[(&str, &str)] = &[
    ("/wor", "k/"),
    ("../sha", "red"),
    ("/roo", "t/"),
    ("artifac", "tory"),
    ("index.cra", "tes.io"),
    ("static.cra", "tes.io"),
];

/// Data that others signed: not ours to word.
const SIGNED_DATA: &str = "crates/sealift/assets/trust-roots/";

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_signed = source.path.starts_with(SIGNED_DATA) && source.path.ends_with(".json");
    if !is_signed {
        findings.extend(private_places(source));
    }
    if source.is_rust() {
        findings.extend(length(source));
        findings.extend(module_doc(source));
        findings.extend(lines(source));
    }
    findings
}

fn length(source: &Source) -> Option<Finding> {
    let count = source.text.lines().count();
    let message = format!("{count} lines, at most {LINES_MAX} ({LINES_WANTED} wanted)");
    if count > LINES_MAX {
        return Some(Finding::error("file-length", &source.path, 0, message));
    }
    (count > LINES_WANTED).then(|| Finding::warning("file-length", &source.path, 0, message))
}

fn module_doc(source: &Source) -> Option<Finding> {
    let message = "the file does not begin with a `//!` that says what lives here";
    (!source.text.starts_with("//!"))
        .then(|| Finding::error("module-doc", &source.path, 1, message))
}

fn lines(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX && !line.contains("https://") {
            let message = format!("{columns} columns, at most {COLUMNS_MAX}");
            findings.push(Finding::warning(
                "line-length",
                &source.path,
                number,
                message,
            ));
        }
        let comment = line.trim_start().starts_with("//");
        let macros = LEFTOVER_MACROS.iter().filter(|_| !comment);
        for (head, tail) in LEFTOVER_MARKS.iter().chain(macros) {
            if contains(line, head, tail) {
                let message = format!("`{head}{tail}` is left over");
                findings.push(Finding::error("leftover", &source.path, number, message));
            }
        }
    }
    findings
}

fn private_places(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        for (head, tail) in PRIVATE_PLACES {
            if contains(line, head, tail) {
                let message = format!("`{head}{tail}` exists on one machine only");
                findings.push(Finding::error(
                    "private-place",
                    &source.path,
                    number,
                    message,
                ));
            }
        }
    }
    findings
}

/// Whether `head` followed by `tail` stands in `line`.
fn contains(line: &str, head: &str, tail: &str) -> bool {
    line.match_indices(head)
        .any(|(start, _)| line[start + head.len()..].starts_with(tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&source)
            .into_iter()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn a_tidy_file_has_no_finding() {
        assert_eq!(
            rules("a.rs", "//! What lives here.\n\nfn f() {}\n"),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn long_lines_long_files_leftovers_and_a_missing_doc_are_found() {
        assert_eq!(
            rules("a.rs", &format!("//! A\n// {}\n", "x".repeat(98))),
            ["line-length"]
        );
        assert_eq!(
            rules("a.rs", &format!("//! A\n{}", "\n".repeat(600))),
            ["file-length"]
        );
        assert_eq!(
            rules("a.rs", &format!("//! A\n{}", "\n".repeat(300))),
            ["file-length"]
        );
        assert_eq!(
            rules("a.rs", &format!("//! A\n{}{}", "tod", "o!()\n")),
            ["leftover"]
        );
        assert_eq!(rules("a.rs", "fn f() {}\n"), ["module-doc"]);
    }

    #[test]
    fn a_private_place_is_found_in_every_kind_of_file() {
        assert_eq!(
            rules("README.md", &format!("see {}{}", "../sha", "red/x")),
            ["private-place"]
        );
        let text = format!("{}{}", "../sha", "red/x");
        let ours = format!("{SIGNED_DATA}README.md");
        assert_eq!(rules(&ours, &text), ["private-place"]);
        let signed = format!("{SIGNED_DATA}root.json");
        assert!(rules(&signed, &text).is_empty());
    }
}
