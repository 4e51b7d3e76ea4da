//! What hangs on a digest: all of it, or what is missing.

mod bounds;
mod hostile;
mod ways;

use std::sync::Arc;

use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Item, Way};
use sealift_core::reason::Reason;
use sealift_testkit::registry::image::{Artifact, ImageSpec, image};
use sealift_testkit::registry::scripted::ScriptedRegistry;

use super::{World, name, nobody, world};

/// A registry with one image in `app`, with the referrers API, and a client of it.
pub(crate) struct Signed {
    pub(crate) server: ScriptedRegistry,
    pub(crate) world: World,
    pub(crate) image: Artifact,
}

impl Signed {
    pub(crate) async fn new() -> Self {
        let server = ScriptedRegistry::start().await;
        let image = image(&ImageSpec::default());
        server.put("app", "1", &image);
        server.set_referrers(100);
        let world = world(server.url());
        Self {
            server,
            world,
            image,
        }
    }

    pub(crate) fn subject(&self) -> &str {
        &self.image.manifest.digest
    }

    pub(crate) async fn evidence(&self) -> Arc<Evidence> {
        let subject = digest(&self.image);
        let registry = &self.world.registry;
        registry.evidence(&name("app"), subject, &nobody()).await
    }
}

pub(crate) fn digest(artifact: &Artifact) -> Digest {
    artifact.manifest.digest.parse().unwrap()
}

/// `sha256-<hex>` with `suffix`.
pub(crate) fn tag(artifact: &Artifact, suffix: &str) -> String {
    format!("{}{suffix}", artifact.manifest.digest.replace(':', "-"))
}

/// Way, form and text of each item.
pub(crate) fn shown(evidence: &Evidence) -> Vec<(Way, &'static str, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let show = |item: &Item| match &item.form {
        Form::Bundle(bytes) => (item.place.way, "bundle", text(bytes)),
        Form::SimpleSigning { payload, .. } => (item.place.way, "simple-signing", text(payload)),
        Form::Envelope { envelope, .. } => (item.place.way, "envelope", text(envelope)),
        Form::Unread { artifact_type } => (item.place.way, "unread", artifact_type.clone()),
    };
    let mut shown: Vec<_> = evidence.items.iter().map(show).collect();
    shown.sort();
    shown
}

/// The texts of bundles, in order.
pub(crate) fn bundles(evidence: &Evidence) -> Vec<String> {
    let shown = shown(evidence).into_iter();
    shown
        .filter(|(_, form, _)| *form == "bundle")
        .map(|(_, _, text)| text)
        .collect()
}

pub(crate) fn reasons(evidence: &Evidence) -> Vec<Reason> {
    evidence.gaps.iter().map(|gap| gap.reason).collect()
}
