//! What hangs on a digest: signatures and attestations, found and read, never judged.
//!
//! The union of every way they are published: the referrers API, its fallback tag, and cosign's
//! tags. Whatever could not be read is a gap, so nobody takes an outage, a refusal or a bound for
//! "there is no signature". What a listing says of a manifest is a hint at most: every manifest is
//! opened. OCI distribution-spec v1.1, "Listing Referrers"; cosign's tag scheme.

mod discover;
mod draft;
mod listing;
mod parse;
mod platforms;

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use sealift_core::digest::Digest;
use sealift_core::evidence::Evidence;
use sealift_core::limits;

use crate::access::Access;
use crate::client::Registry;
use crate::name::RepositoryName;

pub(crate) use discover::Discoveries;
pub(crate) use draft::{Draft, Missing, attestation_tag, fallback_tag, signature_tag};
pub use parse::{Carrier, Layer, Referrers};
pub use platforms::PlatformManifest;
pub(crate) use platforms::{Child, children, nested};

/// One place where evidence may lie: the image's own repository, the same under another name, or
/// one for signatures alone.
#[derive(Clone)]
pub struct EvidenceSource {
    /// The registry.
    pub registry: Arc<Registry>,
    /// The repository there.
    pub repository: RepositoryName,
    /// On whose behalf it is asked.
    pub access: Access,
}

/// What all `sources` hold about `subject`, as one.
///
/// Of equal content the earlier source is named as its place, so the image's own repository goes
/// first. A source that could not be read whole leaves a gap, whatever the others hold.
pub async fn evidence_of(sources: &[EvidenceSource], subject: Digest) -> Evidence {
    let ask = |source: &EvidenceSource| {
        let source = source.clone();
        async move {
            let EvidenceSource {
                registry,
                repository,
                access,
            } = &source;
            registry.evidence(repository, subject, access).await
        }
        .boxed()
    };
    let asks: Vec<BoxFuture<'static, Arc<Evidence>>> = sources.iter().map(ask).collect();
    let parts: Vec<Arc<Evidence>> = stream::iter(asks)
        .buffered(limits::EVIDENCE_FETCHES_MAX)
        .collect()
        .await;
    Evidence::merged(subject, parts.iter().map(|part| &**part))
}

/// What the referrer `manifest` holds about `subject`, with `blob` to fetch its layers: discovery
/// without a registry.
///
/// For tools and tests that have the bytes. Nothing checks blobs against digests here; registries
/// and layouts do.
pub fn evidence_in(subject: Digest, manifest: &[u8], blob: impl Fn(Digest) -> Vec<u8>) -> Evidence {
    let mut draft = Draft::new(subject, "no repository".to_owned());
    draft.referrer(Digest::of(manifest), manifest);
    for wanted in draft.plan() {
        let bytes = blob(wanted.digest).into();
        draft.settle(wanted, Ok(bytes));
    }
    draft.finish()
}
