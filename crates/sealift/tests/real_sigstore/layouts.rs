//! `cosign verify` and `sealift verify` on the images that lie in testkit's `signed/`: Rekor v1,
//! SCTs, image indexes, and all else that these servers cannot make. Each by the right demand, and
//! by that demand with one thing changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use sealift_testkit::registry::image::{Artifact, Blob, OCI_INDEX, descriptor};
use sealift_testkit::signed;
use sealift_testkit::sigstore::Sigstore;
use serde_json::{Value, json};

use crate::compared::{Comparison, Image, Stricter, Tally};
use crate::demand::{Demand, Who};
use crate::shop::Shop;

const TAG: &str = "v1.2.3";
/// The change that demands a timestamp where there is none.
const TIMESTAMP: &str = ", a timestamp";

pub(crate) fn cosign_and_sealift_agree_on_every_layout(sigstore: &Sigstore) {
    let stranger = sigstore.key_pair("stranger");
    let mut tally = Tally::default();
    for name in signed::names() {
        let shop = Shop::new(sigstore);
        push(&shop, &name);
        let layout = Layout::open(&name);
        let both = &mut Comparison::new(&shop, &mut tally);
        let subject = signed::subject(&name);
        let image = (TAG, subject.as_str());
        let Some(right) = layout.right() else {
            let demand = Demand::key(stranger.clone(), layout.root());
            both.refuses(&name, image, &demand, "signature-missing");
            continue;
        };
        let others = Others {
            key: stranger.clone(),
            root: sigstore.trusted_root(),
        };
        if layout.meta["signature"] == true {
            layout.compare(both, image, &right, &others);
        } else {
            both.differs(&name, image, &right, Stricter::AnAttestationIsNoSignature);
        }
        for kind in layout.attested() {
            layout.compare(both, image, &right.clone().attested(&kind), &others);
        }
    }
    tally.close(&[
        Stricter::AnAttestationIsNoSignature,
        Stricter::APromiseIsNoProof,
        Stricter::AWantedTimestampIsMissed,
    ]);
}

/// What signed nothing in the layouts.
struct Others {
    key: PathBuf,
    root: PathBuf,
}

struct Layout {
    name: String,
    folder: PathBuf,
    meta: Value,
}

impl Layout {
    fn open(name: &str) -> Self {
        let folder = signed::folder().join(name);
        let meta = serde_json::from_slice(&fs::read(folder.join("meta.json")).unwrap()).unwrap();
        Self {
            name: name.to_owned(),
            folder,
            meta,
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.join("trusted_root.json")
    }

    /// All that its `meta.json` says there is; `None`: nothing is signed.
    fn right(&self) -> Option<Demand> {
        let meta = &self.meta;
        let identity = &meta["identity"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let who = match (meta["key"].as_str(), text(&identity["issuer"])) {
            (Some(key), _) => Who::Key(self.folder.join(key)),
            (None, Some(issuer)) => Who::Holder(issuer, text(&identity["san"])?),
            (None, None) => return None,
        };
        let log = meta["log"].is_string();
        Some(Demand {
            log,
            timestamp: meta["tsa"] == true,
            sct: meta["sct"] == true,
            promise: log && self.is_older(),
            ..Demand::by(who, self.root())
        })
    }

    /// Whether it is signed in the form that cosign wrote before bundles.
    fn is_older(&self) -> bool {
        let forms = self.meta["signature_forms"].as_array().unwrap();
        forms.iter().any(|form| form == ".sig")
    }

    fn attested(&self) -> Vec<String> {
        let kinds = self.meta["attests"].as_array().into_iter().flatten();
        kinds
            .map(|kind| kind.as_str().unwrap().to_owned())
            .collect()
    }

    fn compare(
        &self,
        both: &mut Comparison<'_>,
        image: Image<'_>,
        right: &Demand,
        others: &Others,
    ) {
        let kind = right.predicate.as_deref().unwrap_or("signature");
        let what = |change: &str| format!("{}: {kind}{change}", self.name);
        both.accepts(&what(""), image, right);
        for (change, demand, reason) in changed(right, others) {
            match change == TIMESTAMP && self.is_older() {
                true => both.differs(
                    &what(change),
                    image,
                    &demand,
                    Stricter::AWantedTimestampIsMissed,
                ),
                false => both.refuses(&what(change), image, &demand, reason),
            }
        }
        if right.promise {
            let proof = Demand {
                promise: false,
                ..right.clone()
            };
            both.differs(
                &what(", a proof"),
                image,
                &proof,
                Stricter::APromiseIsNoProof,
            );
        }
        // A certificate needs a time, which the log gives where nothing else does.
        if right.log && (right.timestamp || matches!(right.who, Who::Key(_))) {
            let less = Demand {
                log: false,
                ..right.clone()
            };
            both.accepts(&what(", no log wanted"), image, &less);
        }
    }
}

/// The demand with each single thing changed, and Sealift's reason to refuse.
fn changed(right: &Demand, others: &Others) -> Vec<(&'static str, Demand, &'static str)> {
    let with_who = |who: Who| Demand {
        who,
        ..right.clone()
    };
    let mut all = Vec::new();
    match &right.who {
        Who::Key(_) => {
            all.push((
                ", another key",
                with_who(Who::Key(others.key.clone())),
                "key-mismatch",
            ));
        }
        Who::Holder(issuer, subject) => {
            let other = Who::Holder(issuer.clone(), format!("{subject}x"));
            all.push((", another identity", with_who(other), "identity-mismatch"));
            let other = Who::Holder("https://issuer.test".to_owned(), subject.clone());
            all.push((", another issuer", with_who(other), "issuer-mismatch"));
            if !right.sct {
                let sct = Demand {
                    sct: true,
                    ..right.clone()
                };
                all.push((", an SCT", sct, "sct-missing"));
            }
        }
    }
    let root = Demand {
        root: others.root.clone(),
        ..right.clone()
    };
    match (&right.who, right.log, right.timestamp) {
        (Who::Key(_), false, false) => {}
        (Who::Holder(..), _, true) => all.push((", another root", root, "timestamp-invalid")),
        _ => all.push((", another root", root, "log-unknown")),
    }
    if !right.log {
        all.push((", a log", right.clone().logged(), "logs-too-few"));
    }
    if !right.timestamp {
        all.push((
            ", a timestamp",
            right.clone().stamped(),
            "timestamps-too-few",
        ));
    }
    all
}

/// Pushes everything. A layout from a registry with the referrers API names no referrer: here,
/// where there is no such API, they are listed under the fallback tags of their subjects. OCI
/// distribution-spec v1.1, "Referrers Tag Schema".
fn push(shop: &Shop<'_>, name: &str) {
    let mut referrers: BTreeMap<String, Vec<Artifact>> = BTreeMap::new();
    let (named, unnamed): (Vec<_>, Vec<_>) = signed::artifacts(name)
        .into_iter()
        .partition(|(name, _)| name.is_some());
    for (_, artifact) in unnamed {
        let manifest: Value = serde_json::from_slice(&artifact.manifest.bytes).unwrap();
        // The others are a registry's listing already, or below an index.
        if let Some(subject) = manifest["subject"]["digest"].as_str() {
            let tag = subject.replace(':', "-");
            referrers.entry(tag).or_default().push(artifact);
        }
    }
    for (tag, _) in &named {
        referrers.remove(tag.as_deref().unwrap());
    }
    for (tag, artifact) in named {
        shop.push_artifact(&tag.unwrap(), &artifact);
    }
    for (tag, artifacts) in referrers {
        shop.push_artifact(&tag, &list(artifacts));
    }
}

fn list(children: Vec<Artifact>) -> Artifact {
    let entries: Vec<Value> = children
        .iter()
        .map(|child| descriptor(&child.media_type, &child.manifest))
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    Artifact {
        media_type: OCI_INDEX.to_owned(),
        manifest: Blob::new(index.to_string()),
        blobs: Vec::new(),
        children,
    }
}
