//! The demo world: what `sealift demo --serve` lays out, and the command line that it tells people
//! to try.
//!
//! Its Git repository is on a local path. Two hooks make a push visible and slow enough to be hit:
//! one before the branch moves, one between that and the answer.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use rand::Rng as _;
use rand::rngs::StdRng;
use sealift_testkit::world::PersonsLine;

use super::Ground;

/// How long each hook holds a push up, in seconds, as sleep(1) reads it.
const HOOK_SECS: &str = "0.01";
/// Files that the demo updates; all else it keeps or refuses.
const UPDATED: &[&str] = &["shop/values.yaml", "checkout/values.yaml"];
/// The image that a policy lets in, and pins to its digest.
const TRUSTED: (&str, &str) = ("acme/checkout", "v1.2.3");

/// The demo's folder, and the process that serves its registry.
pub(super) struct Demo {
    server: Child,
    arguments: Vec<OsString>,
    repository: PathBuf,
    push_mark: PathBuf,
    /// Every file as the demo must leave it.
    expected: BTreeMap<String, String>,
}

impl Demo {
    /// Lets `binary` lay its demo out in `folder` and serve it.
    pub(super) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let world = folder.join("demo");
        let mut server = Command::new(binary)
            .args(["demo", "--serve"])
            .arg(&world)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `sealift demo --serve`")?;
        let said = server.stdout.take().context("the demo has no output")?;
        let mut demo = Self {
            server,
            arguments: Vec::new(),
            repository: world.join("gitops.git"),
            push_mark: folder.join("push-began"),
            expected: BTreeMap::new(),
        };
        let shown = BufReader::new(said)
            .lines()
            .map_while(Result::ok)
            .find(|line| line.contains(RUN))
            .context("the demo does not say how to run Sealift on it")?;
        demo.arguments = arguments_of(&shown)?;
        demo.expected = demo.files()?;
        demo.expect_updates(&world)?;
        demo.install_hooks()?;
        Ok(demo)
    }

    /// The tag's line of each updated file changes, and nothing else.
    fn expect_updates(&mut self, world: &Path) -> Result<()> {
        let (repository, tag) = TRUSTED;
        let digest = digest_of(&world.join("registry").join(repository), tag)?;
        let pinned = format!("tag: {tag}@{digest}");
        let values = ["tag: \"1.9.0\"", pinned.as_str()];
        for (path, wanted) in UPDATED.iter().zip(values) {
            let text = self.expected.get_mut(*path);
            let text = text.with_context(|| format!("the demo has no `{path}`"))?;
            let start = text.find("tag: ").context("no tag")?;
            let value = text.get(start + 5..).unwrap_or_default();
            let length = value.find([' ', '\n']).unwrap_or(value.len());
            text.replace_range(start..start + 5 + length, wanted);
        }
        Ok(())
    }

    fn install_hooks(&self) -> Result<()> {
        let hooks = self.repository.join("hooks");
        fs::create_dir_all(&hooks)?;
        let mark = self.push_mark.display();
        for (name, text) in [
            (
                "pre-receive",
                format!("#!/bin/sh\n: > '{mark}'\nsleep {HOOK_SECS}\n"),
            ),
            ("post-receive", format!("#!/bin/sh\nsleep {HOOK_SECS}\n")),
        ] {
            let path = hooks.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    fn files(&self) -> Result<BTreeMap<String, String>> {
        let names = git(&self.repository, &["ls-tree", "-r", "--name-only", "main"])?;
        let read = names.lines().map(|path| {
            let text = git(&self.repository, &["show", &format!("main:{path}")])?;
            Ok((path.to_owned(), text))
        });
        read.collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Ground for Demo {
    fn arguments(&self) -> Vec<OsString> {
        self.arguments.clone()
    }

    fn repositories(&self) -> Vec<PathBuf> {
        vec![self.repository.clone()]
    }

    /// The listing of one Application is cut short, always.
    fn exit_code(&self) -> i32 {
        1
    }

    fn forget_pushes(&self) -> Result<()> {
        match fs::remove_file(&self.push_mark) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn push_began(&self) -> bool {
        self.push_mark.exists()
    }

    fn persons_line(&self, random: &mut StdRng) -> PersonsLine {
        let path = match random.random_range(0..3) {
            0 => "shop/values.yaml",
            1 => "checkout/values.yaml",
            _ => "NOTES",
        };
        PersonsLine {
            git_repository: 0,
            path: path.to_owned(),
            line: "# a person was here".to_owned(),
        }
    }

    fn check(&self, people: &[PersonsLine]) -> Result<()> {
        let mut expected = self.expected.clone();
        for person in people {
            let text = expected.entry(person.path.clone()).or_default();
            text.push_str(&person.line);
            text.push('\n');
        }
        let found = self.files()?;
        for (path, wanted) in &expected {
            let found = found.get(path).map_or("", String::as_str);
            ensure!(found == wanted, "`{path}` is wrong: {found}");
        }
        ensure!(found.len() == expected.len(), "there are files too many");
        let count = git(&self.repository, &["rev-list", "--count", "main"])?;
        let wanted = 1 + UPDATED.len() + people.len();
        ensure!(
            count.trim() == wanted.to_string(),
            "{} commits, not {wanted}",
            count.trim()
        );
        Ok(())
    }
}

/// What the demo's own words hold where they say what to run, whatever the program is called there.
const RUN: &str = " run --once --allow-local-git ";

/// The arguments behind `run --once`, without the state folder.
fn arguments_of(shown: &str) -> Result<Vec<OsString>> {
    let (_, words) = shown
        .trim()
        .split_once(RUN)
        .context("no `run` in the demo's words")?;
    let mut words = words.split(' ');
    let mut arguments: Vec<OsString> = vec!["--allow-local-git".into()];
    while let Some(word) = words.next() {
        if word == "--state-dir" {
            words.next().context("`--state-dir` names no folder")?;
        } else {
            arguments.push(word.into());
        }
    }
    Ok(arguments)
}

/// The digest that an image layout gives a tag. OCI image-layout, "index.json".
fn digest_of(layout: &Path, tag: &str) -> Result<String> {
    let index: serde_json::Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifests = index["manifests"].as_array().into_iter().flatten();
    let mut tagged = manifests
        .filter(|one| one["annotations"]["org.opencontainers.image.ref.name"] == tag)
        .filter_map(|one| one["digest"].as_str());
    let digest = tagged.next().map(str::to_owned);
    digest.with_context(|| format!("the demo has no image `{tag}`"))
}

fn git(repository: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()?;
    if !output.status.success() {
        bail!("`git {}` ended with {}", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demos_own_words_are_the_command_line() {
        let shown = "  sealift run --once --allow-local-git -f /d/apps --state-dir /d/state\n";
        let arguments = arguments_of(shown).unwrap();
        assert_eq!(arguments, ["--allow-local-git", "-f", "/d/apps"]);
        assert!(arguments_of("sealift run --once --state-dir").is_err());
    }
}
