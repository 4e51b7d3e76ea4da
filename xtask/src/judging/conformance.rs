//! `cargo xtask conformance [DIR]`: the public sigstore-conformance bundles through our judge.
//!
//! Each case twice: by the artefact's bytes, and by its digest alone. A folder whose name ends in
//! `_fail` must be refused, every other one trusted.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Item, Place, Way};
use sealift_trust::{Case, Judge};
use serde_json::{Value, json};

use super::{Counts, Files, judged, policy};

/// Where the data lies, if the command line does not say.
pub(crate) const VARIABLE: &str = "SEALIFT_CONFORMANCE";

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon\
                        /.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// `cargo xtask conformance`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder that holds `bundle-verify`; by default what `SEALIFT_CONFORMANCE` names.
    folder: Option<PathBuf>,
}

pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let Some(folder) = arguments.folder.clone().or(named) else {
        bail!("name the folder of the conformance data, or set `{VARIABLE}`");
    };
    run(&folder).map(Counts::close)
}

/// Judges every case.
pub(crate) fn run(folder: &Path) -> Result<Counts> {
    let cases = folder.join("bundle-verify");
    let entries = fs::read_dir(&cases).with_context(|| cases.display().to_string())?;
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.retain(|path| path.join("bundle.sigstore.json").exists());
    folders.sort();
    let mut counts = Counts::default();
    let judge = Judge::default();
    for case in folders {
        let name = case
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let artifact = [case.join("artifact"), cases.join("a.txt")];
        let artifact = artifact
            .iter()
            .find(|path| path.exists())
            .context("no artefact")?;
        let digest = Digest::of(&fs::read(artifact)?);
        let by_name: Digest = digest.to_string().parse()?;
        for (how, subject) in [("path", digest), ("digest", by_name)] {
            let reason = verify(&judge, &case, folder, subject)?;
            let problem = match (name.ends_with("_fail"), reason) {
                (false, Some(reason)) => Some(format!("refused: {reason}")),
                (true, None) => Some("trusted, and it must not be".to_owned()),
                _ => None,
            };
            counts.note(&format!("{name} ({how})"), problem);
        }
    }
    Ok(counts)
}

/// Why a case is refused; `None`: it is trusted.
fn verify(judge: &Judge, case: &Path, folder: &Path, subject: Digest) -> Result<Option<String>> {
    let bytes = fs::read(case.join("bundle.sigstore.json"))?;
    let mut files = Files::default();
    let own = case.join("trusted_root.json");
    let root = match own.exists() {
        true => own,
        false => folder.join("public-good-trusted-root.json"),
    };
    files.add("root", &root)?;
    let text = |name: &str, default: &str| match fs::read_to_string(case.join(name)) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => default.to_owned(),
    };
    let mut authority = json!({
        "name": "signer",
        "trustRoot": { "file": { "path": "root" } },
        // As a client of Sigstore does: any log's word that covers the signature.
        "transparency": "promise",
    });
    match case.join("key.pub").exists() {
        true => {
            files.add("key", &case.join("key.pub"))?;
            authority["key"] = json!({ "path": "key" });
        }
        false => {
            authority["keyless"] = json!({
                "issuer": text("issuer", ISSUER),
                "subject": text("identity", IDENTITY),
            });
        }
    }
    let require = json!({ "atLeast": 1, "of": ["signer"] });
    let mut spec = json!({ "authorities": [authority] });
    match predicate_type(&bytes) {
        None => spec["signatures"] = json!({ "require": require }),
        Some(kind) => {
            spec["unsafeNoSignatures"] = json!({ "reason": "an attestation is judged" });
            spec["attestations"] =
                json!([{ "name": "any", "predicateTypes": [kind], "require": require }]);
        }
    }
    let policy = policy(&spec, &files, Timestamp::now())?;
    let item = Item {
        place: Place {
            repository: "registry.test/case".to_owned(),
            way: Way::Referrers,
            manifest: subject,
            layer: 0,
        },
        form: Form::Bundle(bytes.into()),
    };
    let evidence = Evidence {
        items: vec![item],
        ..Evidence::none(subject)
    };
    let case = Case {
        digest: subject,
        tag: None,
        evidence: &evidence,
        platforms: &[],
        change: None,
    };
    Ok(judged(judge, &case, &policy).map(|(_, text)| text))
}

/// The predicate type of an attestation; `None`: a signature, or nothing that can be read.
fn predicate_type(bundle: &[u8]) -> Option<String> {
    let bundle: Value = serde_json::from_slice(bundle).ok()?;
    let payload = bundle["dsseEnvelope"]["payload"].as_str()?;
    let payload = STANDARD.decode(payload).ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    let kind = statement["predicateType"].as_str()?;
    (kind != "https://sigstore.dev/cosign/sign/v1").then(|| kind.to_owned())
}
