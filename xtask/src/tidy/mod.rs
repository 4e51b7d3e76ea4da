//! The house style as a test: what clippy cannot see, checked over every file of the project.
//!
//! `cargo xtask lint` prints the findings, `cargo test -p xtask` fails on an error. Function length
//! is clippy's (`too_many_lines`), spacing is rustfmt's.

mod arrows;
mod limits;
mod modules;
mod text;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Folders, and the file of a Git worktree, that hold no source of ours.
const SKIPPED: &[&str] = &["target", ".git", "node_modules"];
/// Bytes of one file that is looked at; larger ones are data.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One text file of the project.
pub(crate) struct Source {
    /// Relative to the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    Error,
    Warning,
}

/// One place that breaks a rule.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) weight: Weight,
    pub(crate) rule: &'static str,
    pub(crate) path: String,
    /// 1-based; 0 where the whole file is meant.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Finding {
    fn error(rule: &'static str, path: &str, line: usize, message: impl Into<String>) -> Self {
        let (path, message) = (path.to_owned(), message.into());
        Self {
            weight: Weight::Error,
            rule,
            path,
            line,
            message,
        }
    }

    fn warning(rule: &'static str, path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            weight: Weight::Warning,
            ..Self::error(rule, path, line, message)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.weight == Weight::Error {
            "error"
        } else {
            "warning"
        };
        write!(
            f,
            "{word}: {}:{}: {} [{}]",
            self.path, self.line, self.message, self.rule
        )
    }
}

/// Every finding of the project below `root`, errors first.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let sources = read_tree(root)?;
    let mut findings: Vec<Finding> = sources.iter().flat_map(text::check).collect();
    findings.extend(modules::orphans(&sources));
    findings.extend(limits::unused(&sources));
    findings.extend(arrows::check(root)?);
    findings.sort_by(|a, b| (a.weight, &a.path, a.line).cmp(&(b.weight, &b.path, b.line)));
    Ok(findings)
}

/// Prints the findings and says whether none is an error.
pub(crate) fn report(findings: &[Finding]) -> bool {
    for finding in findings {
        println!("{finding}");
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Error)
        .count();
    println!(
        "tidy: {errors} errors, {} warnings",
        findings.len() - errors
    );
    errors == 0
}

/// Every text file below `root`, in the order of paths.
fn read_tree(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && entry.metadata()?.len() <= FILE_BYTES_MAX {
                sources.extend(read_text(root, &entry.path()));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

/// The file as text, or nothing where it is data.
fn read_text(root: &Path, path: &PathBuf) -> Option<Source> {
    let text = String::from_utf8(fs::read(path).ok()?).ok()?;
    let path = path.strip_prefix(root).ok()?.to_string_lossy().into_owned();
    Some(Source { path, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_tidy() {
        let findings = check(&crate::workspace_root()).unwrap();
        let errors: Vec<String> = findings
            .iter()
            .filter(|finding| finding.weight == Weight::Error)
            .map(ToString::to_string)
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }
}
