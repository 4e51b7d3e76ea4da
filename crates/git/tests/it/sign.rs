//! Signed commits, checked by `git verify-commit` with `ssh-keygen` and `gpg`.

use std::path::Path;
use std::process::Command;

use sealift_core::oid::Oid;
use sealift_core::secret::Secret;
use sealift_git::{SignError, Signer};
use sealift_testkit::git::BareRepository;
use sealift_testkit::git::Change::File;
use sealift_testkit::git::ssh::keygen;

use crate::world::{World, usual_plan};

async fn push_signed(bare: &BareRepository, world: &World, signer: &Signer) -> Oid {
    let head: Oid = bare
        .commit("main", "one", &[("values.yaml", File(b"tag: 1\n"))])
        .parse()
        .unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let prepared = repository
        .prepare(usual_plan(head), Some(signer))
        .await
        .unwrap();
    repository.push(prepared).await.unwrap().commits[0]
}

fn key(path: &Path) -> Secret<String> {
    Secret::new(std::fs::read_to_string(path).unwrap())
}

#[tokio::test]
async fn ssh_signatures_of_every_kind_of_key_verify() {
    for (kind, sha256) in [
        ("ed25519", false),
        ("ed25519", true),
        ("rsa", false),
        ("ecdsa", false),
    ] {
        let world = World::new();
        let keys = tempfile::tempdir().unwrap();
        let file = keys.path().join("key");
        keygen(&file, kind, "");
        let signer = Signer::from_ssh(&key(&file)).unwrap();
        let bare = if sha256 {
            world.remotes.repository_sha256("r")
        } else {
            world.remotes.repository("r")
        };
        let commit = push_signed(&bare, &world, &signer).await;
        let public = std::fs::read_to_string(keys.path().join("key.pub")).unwrap();
        let allowed = keys.path().join("allowed");
        std::fs::write(
            &allowed,
            format!("sealift@example.org namespaces=\"git\" {public}"),
        )
        .unwrap();
        let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        bare.git(&["-c", &setting, "verify-commit", &commit.to_string()]);
    }
}

#[tokio::test]
async fn openpgp_signatures_verify_with_and_without_a_passphrase() {
    for (passphrase, algorithm) in [
        ("", "ed25519"),
        ("correct horse", "ed25519"),
        ("", "rsa2048"),
    ] {
        let world = World::new();
        let home = tempfile::tempdir().unwrap();
        let armored = gpg_key(home.path(), passphrase, algorithm);
        let secret = Secret::new(passphrase.to_owned());
        let given = (!passphrase.is_empty()).then_some(&secret);
        let signer = Signer::from_openpgp(&armored, given).unwrap();
        let bare = world.remotes.repository("r");
        let commit = push_signed(&bare, &world, &signer).await;
        let verified = Command::new("git")
            .arg("-C")
            .arg(bare.path())
            .args(["verify-commit", &commit.to_string()])
            .env("GNUPGHOME", home.path())
            .output()
            .unwrap();
        assert!(
            verified.status.success(),
            "{}",
            String::from_utf8_lossy(&verified.stderr)
        );
    }
}

/// A new key pair: primary for certifying, subkey for signing. The secret key, armored.
fn gpg_key(home: &Path, passphrase: &str, algorithm: &str) -> Secret<String> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&str]| {
        let output = Command::new("gpg")
            .args([
                "--faked-system-time",
                "1700000000!",
                "--batch",
                "--yes",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                passphrase,
            ])
            .args(arguments)
            .env("GNUPGHOME", home)
            .output()
            .expect("`gpg` starts (Debian package `gnupg`)");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    gpg(&[
        "--quick-gen-key",
        "Sealift <sealift@example.org>",
        algorithm,
        "cert",
        "never",
    ]);
    let listing = gpg(&["--with-colons", "--list-keys"]);
    let fingerprint = listing
        .lines()
        .find_map(|line| line.strip_prefix("fpr:::::::::"))
        .unwrap();
    let fingerprint = fingerprint.trim_end_matches(':').to_owned();
    gpg(&["--quick-add-key", &fingerprint, algorithm, "sign", "never"]);
    let armored = gpg(&["--armor", "--export-secret-keys", &fingerprint]);
    Command::new("gpgconf")
        .args(["--kill", "all"])
        .env("GNUPGHOME", home)
        .status()
        .unwrap();
    Secret::new(armored)
}

#[test]
fn keys_that_cannot_sign_are_refused_before_any_commit() {
    let keys = tempfile::tempdir().unwrap();
    keygen(&keys.path().join("locked"), "ed25519", "secret phrase");
    let locked = Signer::from_ssh(&key(&keys.path().join("locked"))).unwrap_err();
    assert!(
        matches!(locked, SignError::KeyEncrypted { .. }),
        "{locked:?}"
    );
    for text in [
        "",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
        "x",
    ] {
        let secret = Secret::new(text.to_owned());
        assert!(matches!(
            Signer::from_ssh(&secret),
            Err(SignError::KeyUnreadable { .. })
        ));
        assert!(matches!(
            Signer::from_openpgp(&secret, None),
            Err(SignError::KeyUnreadable { .. })
        ));
    }
    let home = tempfile::tempdir().unwrap();
    let armored = gpg_key(home.path(), "right", "ed25519");
    let wrong = Secret::new("wrong".to_owned());
    for passphrase in [None, Some(&wrong)] {
        let refused = Signer::from_openpgp(&armored, passphrase);
        assert!(
            matches!(refused, Err(SignError::CannotSign { .. })),
            "{refused:?}"
        );
    }
}
