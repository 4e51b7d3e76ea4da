//! Fills a registry's storage and bare Git repositories, by the quickest way there is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::layout::{Layout, Repository, Spec, Strategy};
use super::texts;
use crate::registry::docker::Storage;
use crate::registry::image::{Artifact, ImageSpec, image};

/// Writes every image and tag.
///
/// Where dates decide, each tag names a manifest of its own over a configuration that all
/// repositories share; where names decide, all tags but the winner name one image.
pub(super) fn fill_registry(storage: &Storage, spec: &Spec, layout: &Layout) {
    for repository in &layout.repositories {
        if spec.strategy == Strategy::NewestBuild {
            for tag in &repository.tags {
                let made = made(repository, tag.built_hours, &tag.name, true);
                storage.write_tagged(&repository.name, &tag.name, &made);
            }
            continue;
        }
        let common = made(repository, 0, "common", false);
        storage.write(&repository.name, &common);
        for tag in repository
            .tags
            .iter()
            .filter(|tag| tag.name != repository.winner)
        {
            storage.tag(&repository.name, &tag.name, &common.manifest.digest);
        }
        let winner = made(repository, 1, &repository.winner, false);
        storage.write_tagged(&repository.name, &repository.winner, &winner);
    }
}

/// An image for this machine's platform whose manifest no other repository or tag has.
fn made(repository: &Repository, hours: usize, tag: &str, shared_configuration: bool) -> Artifact {
    let (day, hour) = (hours / 24, hours % 24);
    let (year, month, date) = (2000 + day / 336, 1 + day / 28 % 12, 1 + day % 28);
    let mut spec = ImageSpec::created(format!("{year}-{month:02}-{date:02}T{hour:02}:00:00Z"))
        .on(&format!("linux/{}", architecture()))
        .annotated("world.tag", &format!("{}:{tag}", repository.name));
    if !shared_configuration {
        spec.labels
            .push(("world.repository".into(), repository.name.clone()));
    }
    image(&spec)
}

/// This machine's processor, in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Makes one bare repository with everything in one commit on `main`.
pub(super) fn fill_git(folder: &Path, layout: &Layout, index: usize) {
    let mut stream = String::from(
        "reset refs/heads/main\ncommit refs/heads/main\n\
         committer World <world@example.com> 1700000000 +0000\ndata 6\nworld\n\n",
    );
    let mut add = |path: &str, text: &str| {
        let _infallible = write!(
            stream,
            "M 100644 inline {path}\ndata {}\n{text}\n",
            text.len()
        );
    };
    for application in layout
        .applications
        .iter()
        .filter(|a| a.git_repository == index)
    {
        add(
            &texts::slot_path(application),
            &texts::slot_text(layout, application),
        );
        if !application.helm {
            let path = format!("apps/{}/deployment.yaml", application.name);
            add(
                &path,
                "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n",
            );
        }
    }
    init(folder);
    fast_import(folder, stream.as_bytes());
}

/// Makes an empty bare repository that a smart HTTP server can serve.
pub(super) fn init(folder: &Path) {
    git(
        folder,
        &["init", "--quiet", "--bare", "--initial-branch=main", "."],
    );
    for (key, value) in [
        ("http.receivepack", "true"),
        ("uploadpack.allowFilter", "true"),
        ("uploadpack.allowAnySHA1InWant", "true"),
        ("core.fsync", "none"),
    ] {
        git(folder, &["config", key, value]);
    }
}

/// Feeds one stream to `git fast-import`.
pub(super) fn fast_import(folder: &Path, stream: &[u8]) {
    let mut child = git_command(folder)
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("`git` starts");
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(stream)
        .expect("the stream");
    assert!(
        child.wait().expect("fast-import ends").success(),
        "`git fast-import` failed"
    );
}

/// The files at `paths` on `main`, in that order; nothing for one that is missing.
pub(super) fn read_files(folder: &Path, paths: &[String]) -> Vec<Vec<u8>> {
    let listing = git(
        folder,
        &["ls-tree", "-r", "--format=%(objectname) %(path)", "main"],
    );
    let listing = String::from_utf8_lossy(&listing);
    let ids: BTreeMap<&str, &str> = listing
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(id, path)| (path, id)))
        .collect();
    let wanted: String = paths
        .iter()
        .map(|path| format!("{}\n", ids.get(path.as_str()).unwrap_or(&"-")))
        .collect();
    let mut child = git_command(folder)
        .args(["cat-file", "--batch", "--buffer"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`git` starts");
    // From a thread of its own: neither pipe may fill while the other waits.
    let mut input = child.stdin.take().expect("stdin");
    let writer = std::thread::spawn(move || input.write_all(wanted.as_bytes()));
    let mut output = BufReader::new(child.stdout.take().expect("stdout"));
    let files = paths.iter().map(|_| read_object(&mut output)).collect();
    writer.join().expect("no panic").expect("git reads");
    assert!(
        child.wait().expect("git ends").success(),
        "`git cat-file` failed"
    );
    files
}

/// One answer of `git cat-file --batch`: `ID TYPE SIZE`, the bytes, a newline; or `… missing`.
fn read_object(output: &mut impl BufRead) -> Vec<u8> {
    let mut head = String::new();
    output.read_line(&mut head).expect("a head");
    let Some(size) = head
        .trim_end()
        .rsplit(' ')
        .next()
        .and_then(|size| size.parse().ok())
    else {
        return Vec::new();
    };
    let mut bytes = vec![0; size + 1];
    output.read_exact(&mut bytes).expect("an object");
    bytes.truncate(size);
    bytes
}

/// Runs `git` in `folder` and returns what it prints.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = git_command(folder)
        .args(arguments)
        .output()
        .expect("`git` starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`git {}` failed: {errors}",
        arguments.join(" ")
    );
    output.stdout
}

pub(super) fn git_command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
}
