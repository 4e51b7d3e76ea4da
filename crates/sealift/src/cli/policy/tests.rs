//! What the commands print, and that the reference holds.

use std::fs;

use super::super::options::OutputFormat;
use super::*;

const GOOD: &str = r#"# The 90 % case
apiVersion: sealift.dev/v1alpha1
kind: PromotionPolicy
metadata: { name: shop }
spec:
  images: [{ pattern: ghcr.io/acme/** }]
  authorities:
    - name: ci
      github: { repository: acme/shop, workflow: release.yml, ref: { tag: sameAsImage } }
    - name: security
      key: { path: cosign.pub }
      signedTime: { minLogs: 0, minTimestamps: 0 }
  signatures: { require: { atLeast: 2, of: [ci, security] } }
"#;

const BAD: &str = r#"---
apiVersion: sealift.dev/v1alpha1
kind: PromotionPolicy
metadata: { name: shop }
spec:
  images:
    - pattern: acme/**
  authorities:
    - name: ci
      keyless:
        issuer: https://token.actions.githubusercontent.com
        subject: { urlPrefix: https://github.com/acme }
  signatures:
    require: { atLeast: 2, of: [ci] }
  gates: []
"#;

fn arguments(folder: &Path, texts: &[(&str, &str)]) -> FileArguments {
    let files = texts.iter().map(|(name, text)| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    });
    FileArguments {
        files: files.collect(),
        argocd_namespace: "argocd".to_owned(),
        output: OutputOptions {
            output: OutputFormat::Text,
        },
    }
}

fn read_texts(texts: &[(&str, &str)]) -> (Read, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = arguments(folder.path(), texts);
    let read = read(&arguments, "2026-11-25T12:00:00Z".parse().unwrap());
    (read, folder)
}

fn plain(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes);
    let bytes = anstream::adapter::strip_bytes(&bytes).into_vec();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_error_has_its_line_value_reason_and_hint() {
    let (read, folder) = read_texts(&[("bad.yaml", BAD)]);
    let text = plain(|out| check::text(out, &read, read.findings.len()).unwrap());
    let folder = format!("{}/", folder.path().display());
    insta::assert_snapshot!(text.replace(&folder, ""));
}

#[test]
fn a_policy_is_explained_with_everything_that_it_stands_for() {
    let (read, _folder) = read_texts(&[("good.yaml", GOOD)]);
    assert!(read.findings.is_empty(), "{:?}", read.findings);
    let policy = read.set.policies().next().unwrap();
    let explained = explained::explain(policy);
    let text = plain(|out| explain::text(out, &explained).unwrap());
    insta::assert_snapshot!(text);
}

#[test]
fn an_exception_is_explained_with_its_policy_and_end() {
    let exception = format!(
        "apiVersion: sealift.dev/v1alpha1\nkind: PolicyException\nmetadata: {{ name: hotfix }}\n\
         spec:\n  policy: shop\n  image: {{ pattern: ghcr.io/acme/shop, digest: 'sha256:{}' }}\n  \
         clauses: [signatures]\n  until: 2026-12-01T00:00:00Z\n  reason: INC-1\n",
        "0a".repeat(32)
    );
    let (read, _folder) = read_texts(&[("good.yaml", GOOD), ("exception.yaml", &exception)]);
    let waivers = read.set.exceptions();
    let waivers: Vec<_> = waivers
        .map(|(of, one)| explained::waived(of, one))
        .collect();
    let [waiver] = waivers.as_slice() else {
        panic!("{:?}", read.findings)
    };
    let text = plain(|out| explain::waiver_text(out, waiver).unwrap());
    insta::assert_snapshot!(text);
}

#[test]
fn a_file_that_is_no_policy_or_not_there_is_an_error() {
    for (text, part) in [
        ("a: [", "cannot be read"),
        ("# nothing\n", "it holds no policy"),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
            "apiVersion",
        ),
    ] {
        let (read, _folder) = read_texts(&[("x.yaml", text)]);
        let errors: Vec<_> = read.findings.iter().filter(|one| one.error).collect();
        assert!(!errors.is_empty(), "{text}");
        let told = format!("{errors:?}");
        assert!(told.contains(part), "{told}");
    }
    let missing = FileArguments {
        files: vec!["/nowhere/x.yaml".into()],
        argocd_namespace: "argocd".to_owned(),
        output: OutputOptions {
            output: OutputFormat::Text,
        },
    };
    assert_eq!(check::run(&missing).unwrap(), Exit::Failed);
    assert_eq!(explain::run(&missing).unwrap(), Exit::Failed);
}

const REFERENCE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/policy.md"
));

/// Every example of the reference: whole documents as they stand, the others put together into one.
#[test]
fn every_example_of_the_reference_is_valid() {
    let blocks = REFERENCE.split("```yaml\n").skip(1);
    let blocks: Vec<&str> = blocks
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .collect();
    let (whole, parts): (Vec<&str>, Vec<&str>) = blocks
        .iter()
        .partition(|block| block.starts_with("apiVersion"));
    let parts: String = parts
        .iter()
        .map(|part| part.strip_prefix("spec:\n").unwrap_or(part))
        .collect();
    let together = format!(
        "apiVersion: sealift.dev/v1alpha1\nkind: ClusterPromotionPolicy\n\
         metadata: {{ name: together }}\nspec:\n{parts}"
    );
    let whole = whole.join("---\n");
    let (read, _folder) = read_texts(&[("whole.yaml", &whole), ("together.yaml", &together)]);
    let errors: Vec<_> = read.findings.iter().filter(|one| one.error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert_eq!(read.listed.len(), 3);
}
