//! One demand, said to both judges: as a policy of Sealift and as arguments of `cosign verify`.

use std::path::PathBuf;

use sealift_testkit::sigstore::{GITHUB_ISSUER, Workflow};
use serde_json::{Value, json};

/// Who must have signed.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// The holder of this public key.
    Key(PathBuf),
    /// Issuer and subject of a certificate.
    Holder(String, String),
}

/// What is demanded of an image. It begins with the least that its kind of signer allows.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    pub(crate) who: Who,
    pub(crate) root: PathBuf,
    pub(crate) log: bool,
    pub(crate) timestamp: bool,
    pub(crate) sct: bool,
    /// A log's promise is enough. cosign asks for no more, so it has no word for it.
    pub(crate) promise: bool,
    /// A type of attestation, by cosign's short name or in full; `None`: a signature.
    pub(crate) predicate: Option<String>,
    /// A form of authority that only a policy knows, beside which the subject is cosign's.
    pub(crate) github: Option<Value>,
}

impl Demand {
    /// A signature by this key; nothing else.
    pub(crate) fn key(public: PathBuf, root: PathBuf) -> Self {
        Self::by(Who::Key(public), root)
    }

    /// A signature by this workflow: certificate and signature in logs, with a timestamp.
    pub(crate) fn workflow(workflow: &Workflow, root: PathBuf) -> Self {
        let who = Who::Holder(GITHUB_ISSUER.to_owned(), workflow.subject());
        let demand = Self::by(who, root).logged().stamped();
        Self {
            sct: true,
            ..demand
        }
    }

    pub(crate) fn by(who: Who, root: PathBuf) -> Self {
        Self {
            who,
            root,
            log: false,
            timestamp: false,
            sct: false,
            promise: false,
            predicate: None,
            github: None,
        }
    }

    pub(crate) fn logged(mut self) -> Self {
        self.log = true;
        self
    }

    pub(crate) fn stamped(mut self) -> Self {
        self.timestamp = true;
        self
    }

    pub(crate) fn attested(mut self, predicate: &str) -> Self {
        self.predicate = Some(predicate.to_owned());
        self
    }

    pub(crate) fn policy(&self, image: &str) -> Value {
        let mut authority = json!({
            "name": "signer",
            "signedTime": {
                "minLogs": u32::from(self.log), "minTimestamps": u32::from(self.timestamp),
            },
        });
        if self.promise {
            authority["transparency"] = json!("promise");
        }
        match (&self.who, &self.github) {
            (Who::Key(public), _) => authority["key"] = json!({ "path": public }),
            (_, Some(github)) => authority["github"] = github.clone(),
            (Who::Holder(issuer, subject), None) => {
                authority["keyless"] = json!({ "issuer": issuer, "subject": subject });
            }
        }
        if !matches!(self.who, Who::Key(_)) {
            authority["sct"] = json!(if self.sct { "required" } else { "optional" });
        }
        if self.wants_root() {
            authority["trustRoot"] = json!({ "file": { "path": self.root } });
        }
        let require = json!({ "atLeast": 1, "of": ["signer"] });
        let mut spec = json!({ "images": [{ "pattern": image }], "authorities": [authority] });
        match &self.predicate {
            None => spec["signatures"] = json!({ "require": require }),
            Some(predicate) => {
                spec["unsafeNoSignatures"] = json!({ "reason": "an attestation is demanded" });
                spec["attestations"] = json!([{
                    "name": "one", "predicateTypes": [predicate], "require": require,
                }]);
            }
        }
        json!({
            "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
            "metadata": { "name": "prod", "namespace": "argocd" }, "spec": spec,
        })
    }

    /// cosign 3, `doc/cosign_verify.md` and `doc/cosign_verify-attestation.md`.
    pub(crate) fn cosign(&self) -> Vec<String> {
        let mut words = match &self.predicate {
            None => vec!["verify".to_owned()],
            Some(predicate) => {
                vec![
                    "verify-attestation".to_owned(),
                    format!("--type={predicate}"),
                ]
            }
        };
        match &self.who {
            Who::Key(public) => words.push(format!("--key={}", public.display())),
            Who::Holder(issuer, subject) => {
                words.push(format!("--certificate-oidc-issuer={issuer}"));
                words.push(format!("--certificate-identity={subject}"));
            }
        }
        if self.wants_root() {
            words.push(format!("--trusted-root={}", self.root.display()));
        }
        let mut switch = |on: bool, word: &str| words.extend(on.then(|| word.to_owned()));
        switch(!self.log, "--insecure-ignore-tlog");
        // Neither asks a log for what is not there.
        switch(self.log, "--offline");
        switch(self.timestamp, "--use-signed-timestamps");
        switch(
            !self.sct && !matches!(self.who, Who::Key(_)),
            "--insecure-ignore-sct",
        );
        words
    }

    fn wants_root(&self) -> bool {
        self.log || self.timestamp || !matches!(self.who, Who::Key(_))
    }
}
