//! Asking a registry for what hangs on a digest.
//!
//! Each request is bounded, all together are bounded in number, bytes and time, and content by
//! digest is fetched once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderValue, StatusCode};
use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Way};
use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_net::{Kind, Request};
use tokio::time::{Instant, timeout_at};

use super::draft::{Draft, Missing, Wanted, attestation_tag, fallback_tag, signature_tag};
use super::listing::Listed;
use crate::access::Access;
use crate::client::Registry;
use crate::error::RegistryError;
use crate::flight::Flights;
use crate::manifest::ACCEPT;
use crate::name::RepositoryName;
use crate::store::evidence_scope;

/// Discoveries under way, by repository, credential and subject.
pub(crate) type Discoveries = Flights<(RepositoryName, Box<str>, Digest), Arc<Evidence>>;

/// What is asked for, on whose behalf, and until when.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) repository: &'a RepositoryName,
    pub(crate) subject: Digest,
    pub(crate) access: &'a Access,
    pub(crate) deadline: Instant,
}

impl Registry {
    /// What `repository` holds about `subject` besides the image: all of it, or what there is of it
    /// and the gaps.
    ///
    /// Takes at most [`limits::EVIDENCE_SECS_MAX`]. Concurrent calls share one discovery; a later
    /// call asks the listing and the tags again, and fetches nothing by digest that was fetched
    /// before.
    pub async fn evidence(
        &self,
        repository: &RepositoryName,
        subject: Digest,
        access: &Access,
    ) -> Arc<Evidence> {
        let deadline = Instant::now() + Duration::from_secs(limits::EVIDENCE_SECS_MAX);
        self.evidence_until(repository, subject, access, deadline)
            .await
    }

    /// [`Registry::evidence`] until `deadline`; what was not read by then is a gap.
    pub async fn evidence_until(
        &self,
        repository: &RepositoryName,
        subject: Digest,
        access: &Access,
        deadline: Instant,
    ) -> Arc<Evidence> {
        let question = Question {
            repository,
            subject,
            access,
            deadline,
        };
        let key = (repository.clone(), access.id().into(), subject);
        // Boxed, so that the compiler can tell the whole to be `Send` for every lifetime.
        let discover = || self.discover(question).map(Arc::new).boxed();
        self.discoveries.share(key, discover).await
    }

    async fn discover(&self, question: Question<'_>) -> Evidence {
        let Question {
            subject, deadline, ..
        } = question;
        // What one slow answer takes must not be the time of all that follows: half for the lists,
        // half of the rest for manifests.
        let begun = Instant::now();
        let time = deadline.saturating_duration_since(begun);
        let until = |deadline| Question {
            deadline,
            ..question
        };
        let listing = until(begun + time / 2);
        let opening = until(begun + time / 4 * 3);
        let mut draft = Draft::new(subject, format!("{}/{}", self.host(), question.repository));
        let (fallback, signatures, attestations) = (
            fallback_tag(subject),
            signature_tag(subject),
            attestation_tag(subject),
        );
        let (api, indexed, signed, attested) = tokio::join!(
            self.listed(listing),
            self.tagged(listing, &fallback, limits::REFERRERS_PAGE_BYTES_MAX),
            self.tagged(listing, &signatures, limits::MANIFEST_BYTES_MAX),
            self.tagged(listing, &attestations, limits::MANIFEST_BYTES_MAX),
        );
        for (way, tag, answer) in [
            (Way::SignatureTag, signatures, signed),
            (Way::AttestationTag, attestations, attested),
        ] {
            match answer {
                Ok(Some(bytes)) => draft.tagged(way, &bytes),
                Ok(None) => {}
                Err(missing) => draft.list_gap(tag, missing),
            }
        }
        let mut referrers = api.digests;
        for missing in api.missing {
            draft.list_gap(format!("referrers of {subject}"), missing);
        }
        match indexed.map(|bytes| bytes.map(|bytes| Listed::read(&bytes))) {
            Ok(Some(listed)) => {
                referrers.extend(listed.digests);
                for missing in listed.missing {
                    draft.list_gap(&fallback, missing);
                }
            }
            Ok(None) => {}
            Err(missing) => draft.list_gap(&fallback, missing),
        }
        self.read_referrers(opening, referrers, &mut draft).await;
        self.read_blobs(question, &mut draft).await;
        draft.finish()
    }

    /// Fetches the blob of every layer that is evidence.
    async fn read_blobs(&self, question: Question<'_>, draft: &mut Draft) {
        let wanted = draft.plan();
        let fetch = |wanted: &Wanted| {
            let (digest, bytes_max) = (wanted.digest, wanted.bytes_max);
            let blob = self.by_digest(question, Kind::Blob, digest, bytes_max);
            within(question.deadline, blob).boxed()
        };
        let fetches: Vec<BoxFuture<'_, _>> = wanted.iter().map(fetch).collect();
        let blobs = stream::iter(fetches).buffered(limits::EVIDENCE_FETCHES_MAX);
        let mut settled = blobs.zip(stream::iter(wanted.iter().cloned()));
        while let Some((blob, wanted)) = settled.next().await {
            draft.settle(wanted, blob);
        }
    }

    /// Opens every manifest that a listing names, up to the bound.
    async fn read_referrers(
        &self,
        question: Question<'_>,
        referrers: BTreeSet<Digest>,
        draft: &mut Draft,
    ) {
        if referrers.len() > limits::REFERRERS_MAX {
            let asked = format!("referrers of {}", question.subject);
            draft.gap(asked, too_many_referrers());
        }
        let read: Vec<Digest> = referrers.into_iter().take(limits::REFERRERS_MAX).collect();
        let fetch = |digest: &Digest| {
            let max = limits::MANIFEST_BYTES_MAX;
            let manifest = self.by_digest(question, Kind::ManifestGet, *digest, max);
            within(question.deadline, manifest).boxed()
        };
        let fetches: Vec<BoxFuture<'_, _>> = read.iter().map(fetch).collect();
        let manifests = stream::iter(fetches).buffered(limits::EVIDENCE_FETCHES_MAX);
        let (mut opened, mut rest) = (manifests, read.iter());
        while let (Some(manifest), Some(digest)) = (opened.next().await, rest.next()) {
            match manifest {
                Ok(bytes) => draft.referrer(*digest, &bytes),
                Err(missing) => draft.gap(format!("manifest {digest}"), missing),
            }
            if draft.is_full() {
                break;
            }
        }
        // What would not be held is not fetched.
        while let (true, Some(digest)) = (draft.is_full(), rest.next()) {
            draft.left_out(format!("manifest {digest}"));
        }
    }

    /// The manifest that `tag` names; `None`: there is no such tag, or no such repository.
    async fn tagged(
        &self,
        question: Question<'_>,
        tag: &str,
        bytes_max: usize,
    ) -> Result<Option<Bytes>, Missing> {
        let Question {
            repository, access, ..
        } = question;
        let what = format!("`{repository}:{tag}`");
        let ask = async {
            let url = self.manifest_url(repository, tag)?;
            let mut request = Request::get(Kind::ManifestGet, url, bytes_max);
            request
                .headers
                .insert("accept", HeaderValue::from_static(ACCEPT));
            let response = self.ask(access, repository, request, &what).await?;
            if response.status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            // There is no digest to check against but the one the server states.
            let digest = Digest::of(&response.body);
            self.checked(response, digest, &what).map(Some)
        };
        within(question.deadline, ask).await
    }

    /// A manifest or blob that may be evidence: from memory, else from disk, else from the
    /// registry, once for all who ask.
    async fn by_digest(
        &self,
        question: Question<'_>,
        kind: Kind,
        digest: Digest,
        bytes_max: usize,
    ) -> Result<Arc<[u8]>, RegistryError> {
        let Question {
            repository, access, ..
        } = question;
        let key = (evidence_scope(&self.endpoint, access), digest);
        if let Some(bytes) = self.store.evidence(&key) {
            return Ok(bytes);
        }
        let (path, what) = match kind {
            Kind::Blob => ("blobs", format!("the blob `{repository}@{digest}`")),
            _ => ("manifests", format!("`{repository}@{digest}`")),
        };
        let fetch = || async {
            if let Some(bytes) = self.store.evidence(&key) {
                return Ok(bytes);
            }
            let url = self.endpoint.url(&format!("{repository}/{path}/{digest}"));
            let mut request = Request::get(kind, url, bytes_max);
            if kind != Kind::Blob {
                request
                    .headers
                    .insert("accept", HeaderValue::from_static(ACCEPT));
            }
            let response = self.ask(access, repository, request, &what).await?;
            let bytes: Arc<[u8]> = self.checked(response, digest, &what)?.as_ref().into();
            self.store.keep_evidence(key, Arc::clone(&bytes));
            Ok(bytes)
        };
        let flights = &self.store.evidence_flights;
        flights.share((key, bytes_max), fetch).await
    }
}

/// The answer, unless the time is up.
pub(crate) async fn within<T, E: Into<Missing>>(
    deadline: Instant,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Missing> {
    let late = || limit("the time for reading evidence was up".to_owned());
    // A future whose time is up would still be begun.
    if Instant::now() >= deadline {
        return Err(late());
    }
    match timeout_at(deadline, future).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_elapsed) => Err(late()),
    }
}

pub(crate) fn limit(detail: String) -> Missing {
    Missing::new(Reason::EvidenceLimit, detail)
}

pub(crate) fn too_many_referrers() -> Missing {
    limit(format!("more than {} referrers", limits::REFERRERS_MAX))
}
