//! `cargo xtask gen`: reference pages written from the code, so that they cannot say anything else.
//!
//! `--check` writes nothing and fails where a page and the code differ; `cargo test -p xtask` does
//! the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use sealift_core::image_updater::schema as image_updater;
use sealift_core::mend::mend;
use sealift_core::reason::Reason;

/// `cargo xtask gen`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail where a page is not what the code says.
    #[arg(long)]
    check: bool,
}

/// Writes or compares every page, and says whether all is well.
pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    let root = crate::workspace_root();
    if arguments.check {
        let stale = stale_pages(&root)?;
        for path in &stale {
            println!("error: `{path}` is not what the code says; run `cargo xtask gen`");
        }
        return Ok(stale.is_empty());
    }
    for (path, text) in pages(&root)? {
        let file = root.join(&path);
        let folder = file.parent().context("a page without a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(&file, text).with_context(|| format!("cannot write `{path}`"))?;
        println!("wrote {path}");
    }
    Ok(true)
}

/// Pages that differ from what the code says.
pub(crate) fn stale_pages(root: &Path) -> Result<Vec<String>> {
    let mut pages = pages(root)?;
    pages.retain(|(path, text)| fs::read_to_string(root.join(&**path)).ok().as_ref() != Some(text));
    Ok(pages.into_iter().map(|(path, _)| path).collect())
}

/// Every generated file: its path from the workspace's root, and its text.
fn pages(root: &Path) -> Result<Vec<(String, String)>> {
    let limits = fs::read_to_string(root.join("crates/core/src/limits.rs"))?;
    let mut pages = vec![
        (
            "docs/reference/event.schema.json".to_owned(),
            event_schema()?,
        ),
        ("docs/reference/reasons.md".to_owned(), reasons_page()),
        ("docs/reference/limits.md".to_owned(), limits_page(&limits)),
        (
            "docs/reference/policy.schema.json".to_owned(),
            policy_schema()?,
        ),
    ];
    let policies = sealift_core::promotion::schema::crds();
    let policies = policies
        .into_iter()
        .map(|(name, crd)| (name, crd, "promotion::spec"));
    let updater = (
        image_updater::FILE_NAME,
        image_updater::crd(),
        "image_updater::spec",
    );
    for (name, crd, module) in policies.chain([updater]) {
        let text = serde_saphyr::to_string(&crd)?;
        let head = format!(
            "# Written by `cargo xtask gen`. Change the types in `sealift_core::{module}`.\n"
        );
        pages.push((format!("deploy/crds/{name}"), format!("{head}{text}")));
    }
    Ok(pages)
}

const GENERATED: &str =
    "<!-- Written by `cargo xtask gen`. Change the code, not this file. -->\n\n";

/// JSON Schema of policies and exceptions.
fn policy_schema() -> Result<String> {
    Ok(serde_json::to_string_pretty(&sealift_core::promotion::schema::json_schema())? + "\n")
}

/// JSON Schema of one line of the journal.
fn event_schema() -> Result<String> {
    Ok(serde_json::to_string_pretty(&sealift_core::event::schema())? + "\n")
}

fn reasons_page() -> String {
    let mut page = format!(
        "{GENERATED}# Reasons\n\n\
        Events, errors, status and the exit of a command name these ids. An id is stable for ever.\n"
    );
    for reason in Reason::ALL {
        let _ = write!(page, "\n## {}\n\n{}\n", reason.id(), reason.sentence());
        if let Some(way) = mend(*reason) {
            let _ = writeln!(page, "\nTo mend it: {way}.");
        }
    }
    page
}

/// One row a constant: its value as people read it, and its doc comment.
fn limits_page(source: &str) -> String {
    let mut page = format!(
        "{GENERATED}# Limits\n\n\
        Every loop, queue, body, page, retry and cache has a bound. Units stand last in the names.\n\n\
        | limit | value | what and why |\n|---|---|---|\n"
    );
    let mut doc = Vec::new();
    let mut open = None;
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            open = Some(rest.to_owned());
        } else if let Some(declaration) = &mut open {
            declaration.push_str(line);
        }
        let Some(whole) = open.take_if(|declaration| declaration.ends_with(';')) else {
            continue;
        };
        let name = whole.split(':').next().unwrap_or_default();
        let value = whole
            .split_once('=')
            .map_or("", |(_, value)| value.trim_matches([' ', ';']));
        let text = doc.join(" ").replace('|', "\\|");
        let _ = writeln!(page, "| `{name}` | {} | {text} |", readable(name, value));
        doc.clear();
    }
    page
}

/// A product of numbers as one number, bytes in binary units; anything else as it is written.
fn readable(name: &str, expression: &str) -> String {
    let factor = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    let Some(number) = expression.split('*').map(factor).product::<Option<u64>>() else {
        return format!("`{expression}`");
    };
    if name.contains("BYTES") {
        for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if number >= size && number % size == 0 {
                return format!("{} {unit}", number / size);
            }
        }
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_pages_say_what_the_code_says() {
        let stale = stale_pages(&crate::workspace_root()).unwrap();
        assert!(stale.is_empty(), "run `cargo xtask gen`: {stale:?}");
    }

    #[test]
    fn a_limit_becomes_a_row_with_a_readable_value() {
        let source = "/// Bytes of one body: why.\npub const BODY_BYTES_MAX: u64 = 4 * 1_024;\n\
            /// Pages.\npub const PAGES_MAX: usize =\n    1_000;\n";
        let page = limits_page(source);
        assert!(
            page.contains("| `BODY_BYTES_MAX` | 4 KiB | Bytes of one body: why. |"),
            "{page}"
        );
        assert!(page.contains("| `PAGES_MAX` | 1000 | Pages. |"), "{page}");
    }
}
