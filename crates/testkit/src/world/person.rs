//! What people do to a branch while a program works on it: commits on top, and starting over.

use std::path::Path;

use super::stores;

/// The commit that `main` is at.
///
/// # Panics
/// Where `git` fails.
#[must_use]
pub fn head(repository: &Path) -> String {
    let head = stores::git(repository, &["rev-parse", "--verify", "refs/heads/main"]);
    String::from_utf8_lossy(&head).trim().to_owned()
}

/// Sets `main` back to `commit`, whatever it is at.
///
/// # Panics
/// Where `git` fails.
pub fn reset(repository: &Path, commit: &str) {
    stores::git(repository, &["update-ref", "refs/heads/main", commit]);
}

/// Pushes a commit on top of `main` that appends `line` to the file at `path`, or makes it.
///
/// # Panics
/// Where `git` fails, other than by a branch that moves: then it is tried again on the new head.
pub fn append_line(repository: &Path, path: &str, line: &str) {
    for _ in 0..100 {
        let base = head(repository);
        let mut files = stores::read_files(repository, &[path.to_owned()]);
        let mut text = files.pop().unwrap_or_default();
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
        let commit = commit_file(repository, &base, path, &text);
        let arguments = ["update-ref", "refs/heads/main", &commit, &base];
        let output = stores::git_command(repository).args(arguments).output();
        if output.expect("`git` starts").status.success() {
            return;
        }
    }
    panic!("`main` moved a hundred times in a row");
}

/// A commit over `base` in which `path` holds `text`; no branch names it yet.
fn commit_file(repository: &Path, base: &str, path: &str, text: &[u8]) -> String {
    // Fast-import on a name of its own, so that `main` does not move here.
    let mut stream = format!(
        "commit refs/people/next\ncommitter Person <person@example.com> 1700000001 +0000\n\
         data 6\nperson\nfrom {base}\nM 100644 inline {path}\ndata {}\n",
        text.len()
    )
    .into_bytes();
    stream.extend_from_slice(text);
    stream.push(b'\n');
    stores::fast_import(repository, &stream);
    let commit = stores::git(repository, &["rev-parse", "--verify", "refs/people/next"]);
    String::from_utf8_lossy(&commit).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_adds_a_line_on_top_and_a_reset_takes_it_away() {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path();
        stores::init(repository);
        stores::fast_import(
            repository,
            b"commit refs/heads/main\ncommitter A <a@b> 1 +0000\ndata 2\na\nM 100644 inline f\ndata 2\na\n\n",
        );
        let base = head(repository);
        append_line(repository, "f", "b");
        append_line(repository, "g/h", "c");
        let paths = ["f".to_owned(), "g/h".to_owned()];
        let found = stores::read_files(repository, &paths);
        assert_eq!(found, [b"a\nb\n".to_vec(), b"c\n".to_vec()]);
        reset(repository, &base);
        assert_eq!(head(repository), base);
    }
}
