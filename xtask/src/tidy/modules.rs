//! Every `.rs` file is compiled: one that no `mod` names is found here, since the compiler cannot.

use std::collections::BTreeSet;

use super::{Finding, Source};

/// Rust files that no crate root reaches.
pub(super) fn orphans(sources: &[Source]) -> Vec<Finding> {
    let paths: BTreeSet<&str> = sources
        .iter()
        .filter(|source| source.is_rust())
        .map(|s| s.path.as_str())
        .collect();
    let mut named: BTreeSet<String> = BTreeSet::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        named.extend(children(&source.path, &source.text));
    }
    paths
        .into_iter()
        .filter(|path| !is_root(path) && !named.contains(*path))
        .map(|path| Finding::error("orphan", path, 0, "no `mod` names this file"))
        .collect()
}

/// Whether cargo finds the file by its place.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let from_end = |n: usize| parts.len().checked_sub(n).map_or("", |index| parts[index]);
    let (file, parent, grandparent) = (from_end(1), from_end(2), from_end(3));
    let targets = ["tests", "benches", "examples", "bin", "fuzz_targets"];
    file == "build.rs"
        || (parent == "src" && matches!(file, "lib.rs" | "main.rs"))
        || targets.contains(&parent)
        || (targets.contains(&grandparent) && file == "main.rs")
}

/// The files that the `mod name;` lines of `text` may mean.
fn children(path: &str, text: &str) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let base = match file {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ if is_root(path) => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    };
    let mut found = Vec::new();
    let mut explicit = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            explicit = rest
                .split('"')
                .next()
                .map(|name| normalized(&format!("{folder}/{name}")));
        } else if let Some(name) = module_name(line) {
            match explicit.take() {
                Some(file) => found.push(file),
                None => {
                    found.extend([format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")])
                }
            }
        }
    }
    found
}

/// The name in `mod name;`, whatever its visibility.
fn module_name(line: &str) -> Option<&str> {
    let declaration = line.strip_suffix(';')?;
    let (before, name) = declaration.rsplit_once("mod ")?;
    let visibility = before.trim();
    let named = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (named && (visibility.is_empty() || visibility.starts_with("pub"))).then_some(name)
}

/// The path without `.` and `..`.
fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphan_paths(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, text): &(&str, &str)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        let sources: Vec<Source> = files.iter().map(source).collect();
        orphans(&sources)
            .into_iter()
            .map(|finding| finding.path)
            .collect()
    }

    #[test]
    fn files_that_a_mod_names_are_no_orphans() {
        let files = [
            (
                "a/src/lib.rs",
                "pub mod b;\npub(crate) mod c;\n#[path = \"../x/odd.rs\"]\nmod d;",
            ),
            ("a/src/b.rs", "mod inner;"),
            ("a/src/b/inner.rs", ""),
            ("a/src/c/mod.rs", "mod leaf;"),
            ("a/src/c/leaf.rs", ""),
            ("a/x/odd.rs", ""),
            ("a/tests/it/main.rs", "mod server;"),
            ("a/tests/it/server.rs", ""),
        ];
        assert_eq!(orphan_paths(&files), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_no_mod_names_is_an_orphan() {
        let files = [("a/src/lib.rs", "// mod b;\nmod c {}"), ("a/src/b.rs", "")];
        assert_eq!(orphan_paths(&files), ["a/src/b.rs"]);
    }
}
