//! Judging from the command line of a developer: public conformance cases, and images signed by
//! real tools, each through the documents, the reader and the judge that the program uses.

pub(crate) mod conformance;
pub(crate) mod layouts;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use sealift_core::promotion::scope::Subject;
use sealift_core::promotion::set::{PolicyDocument, PolicySet};
use sealift_core::promotion::spec::{FileSource, TrustRootSpec};
use sealift_core::reason::Reason;
use sealift_core::reference::Canonical;
use sealift_trust::{Case, Finding, Judge, Materials, Policy, TrustRoot, Unverified};
use serde_json::{Value, json};

/// Files that a policy names, by name.
#[derive(Default)]
pub(crate) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn add(&mut self, name: &str, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        self.0.insert(name.to_owned(), bytes);
        Ok(())
    }

    fn get(&self, source: &FileSource) -> Result<Vec<u8>, String> {
        match source {
            FileSource::Path(path) => self.0.get(path).cloned().ok_or(format!("no `{path}`")),
            FileSource::Inline(text) => Ok(text.clone().into_bytes()),
            _ => Err("no cluster here".to_owned()),
        }
    }
}

impl Materials for Files {
    fn key(&self, _: &str, source: &FileSource) -> Result<Arc<[u8]>, String> {
        self.get(source).map(Into::into)
    }

    fn root(&self, _: &str, spec: &TrustRootSpec) -> Result<Arc<TrustRoot>, (Reason, String)> {
        let failed = |problem: String| (Reason::TrustRootUnavailable, problem);
        let TrustRootSpec::File(source) = spec else {
            return Err(failed("only files here".to_owned()));
        };
        let bytes = self.get(source).map_err(failed)?;
        let (root, _) = TrustRoot::parse(&bytes).map_err(|error| failed(error.to_string()))?;
        Ok(Arc::new(root))
    }
}

/// A policy with this spec, that governs every image.
pub(crate) fn policy(spec: &Value, files: &Files, now: Timestamp) -> Result<Policy> {
    let object = json!({
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "PromotionPolicy",
        "metadata": { "name": "case", "namespace": "argocd" },
        "spec": spec,
    });
    let document = PolicyDocument {
        origin: "case".to_owned(),
        folder: Some(".".into()),
        object: Ok(object),
    };
    let mut set = PolicySet::new("argocd");
    let findings = set.update(&[document], now);
    if let Some(finding) = findings.iter().find(|finding| !finding.errors.is_empty()) {
        bail!("{}", finding.detail);
    }
    let application = Subject {
        namespace: "argocd",
        name: "case",
        labels: &BTreeMap::new(),
    };
    let image = Canonical {
        registry: "registry.test".to_owned(),
        repository: "case".to_owned(),
    };
    let governance = set.governing(&application, &image, now);
    Ok(Policy::new(governance, files, Unverified::Refuse))
}

/// `None`: trusted. Otherwise the first reason, and all of them in words.
pub(crate) fn judged(judge: &Judge, case: &Case<'_>, policy: &Policy) -> Option<(Reason, String)> {
    match judge.judge(case, policy, Timestamp::now()).finding() {
        Finding::Trusted(_) => None,
        Finding::Refused(failures) => {
            let reason = failures
                .first()
                .map_or(Reason::Internal, |first| first.reason);
            let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
            Some((reason, texts.join("; ")))
        }
        Finding::Waived(waiver) => Some((waiver.reason(), waiver.kind().to_string())),
    }
}

/// Counts of a run.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Counts {
    pub(crate) fn note(&mut self, name: &str, problem: Option<String>) {
        match problem {
            None => self.passed += 1,
            Some(problem) => {
                self.failed += 1;
                println!("failed: {name}: {problem}");
            }
        }
    }

    pub(crate) fn close(self) -> bool {
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0 && self.passed > 0
    }
}
