//! Asking a registry for what hangs on a digest.
//!
//! Each request is bounded, all together are bounded in number and time, and content by digest is fetched once. Whether a registry
//! has the referrers API its answer tells: `404`, `400`, `406` or another content type mean that it has none (GHCR answers
//! `404 MANIFEST_UNKNOWN`); everything else that is no list is a gap.

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
use sealift_net::{Kind, Request, Response};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::draft::{Draft, Missing, attestation_tag, fallback_tag, signature_tag};
use super::parse::Referrers;
use crate::access::Access;
use crate::client::Registry;
use crate::error::RegistryError;
use crate::flight::Flights;
use crate::link::next_page;
use crate::manifest::ACCEPT;
use crate::name::RepositoryName;
use crate::store::evidence_scope;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Discoveries under way, by repository, credential and subject.
pub(crate) type Discoveries = Flights<(RepositoryName, Box<str>, Digest), Arc<Evidence>>;

/// What is asked for, on whose behalf, and until when.
#[derive(Clone, Copy)]
struct Question<'a> {
    repository: &'a RepositoryName,
    subject: Digest,
    access: &'a Access,
    deadline: Instant,
}

/// What one way of listing referrers names, and why that may not be all.
#[derive(Default)]
struct Listed {
    digests: BTreeSet<Digest>,
    missing: Vec<Missing>,
}

impl Registry {
    /// What `repository` holds about `subject` besides the image: all of it, or what there is of it and the gaps.
    ///
    /// Takes at most [`limits::EVIDENCE_SECS_MAX`]. Concurrent calls share one discovery; a later call asks the listing and
    /// the tags again, and fetches nothing by digest that was fetched before.
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
        let mut draft = Draft::new(subject, format!("{}/{}", self.host(), question.repository));
        let (fallback, signatures, attestations) = (
            fallback_tag(subject),
            signature_tag(subject),
            attestation_tag(subject),
        );
        let (api, indexed, signed, attested) = tokio::join!(
            self.listed(question),
            self.tagged(question, &fallback, limits::REFERRERS_PAGE_BYTES_MAX),
            self.tagged(question, &signatures, limits::MANIFEST_BYTES_MAX),
            self.tagged(question, &attestations, limits::MANIFEST_BYTES_MAX),
        );
        for (way, tag, answer) in [
            (Way::SignatureTag, signatures, signed),
            (Way::AttestationTag, attestations, attested),
        ] {
            match answer {
                Ok(Some(bytes)) => draft.tagged(way, &bytes),
                Ok(None) => {}
                Err(missing) => draft.gap(tag, missing),
            }
        }
        let mut referrers = api.digests;
        for missing in api.missing {
            draft.gap(format!("referrers of {subject}"), missing);
        }
        match indexed.map(|bytes| bytes.map(|bytes| Listed::read(&bytes))) {
            Ok(Some(listed)) => {
                referrers.extend(listed.digests);
                for missing in listed.missing {
                    draft.gap(&fallback, missing);
                }
            }
            Ok(None) => {}
            Err(missing) => draft.gap(&fallback, missing),
        }
        self.read_referrers(question, referrers, &mut draft).await;
        let wanted = draft.plan();
        let fetch = |wanted: &super::Wanted| {
            let (digest, bytes_max) = (wanted.digest, wanted.bytes_max);
            let blob = self.by_digest(question, Kind::Blob, digest, bytes_max);
            within(deadline, blob).boxed()
        };
        let fetches: Vec<BoxFuture<'_, _>> = wanted.iter().map(fetch).collect();
        let mut blobs = stream::iter(fetches).buffered(limits::EVIDENCE_FETCHES_MAX);
        for wanted in wanted.iter().cloned() {
            if let Some(blob) = blobs.next().await {
                draft.settle(wanted, blob);
            }
        }
        draft.finish()
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
        let mut manifests = stream::iter(fetches).buffered(limits::EVIDENCE_FETCHES_MAX);
        for digest in &read {
            match manifests.next().await {
                Some(Ok(bytes)) => draft.referrer(*digest, &bytes),
                Some(Err(missing)) => draft.gap(format!("manifest {digest}"), missing),
                None => {}
            }
        }
    }

    /// What the referrers API lists; nothing where there is none.
    async fn listed(&self, question: Question<'_>) -> Listed {
        let (mut listed, mut visited) = (Listed::default(), BTreeSet::new());
        let path = format!("{}/referrers/{}", question.repository, question.subject);
        let mut next = Some(self.endpoint.url(&path));
        while let Some(url) = next.take() {
            let stop = if visited.len() >= limits::REFERRERS_PAGES_MAX {
                Some(limit(format!(
                    "more than {} pages",
                    limits::REFERRERS_PAGES_MAX
                )))
            } else if listed.digests.len() > limits::REFERRERS_MAX {
                Some(too_many_referrers())
            } else if !visited.insert(url.clone()) {
                Some(incomplete("its `Link` leads back to a page already read"))
            } else {
                None
            };
            if let Some(missing) = stop {
                listed.missing.push(missing);
                break;
            }
            let first = visited.len() == 1;
            let page = self.page(question, &url, first);
            match within(question.deadline, page).await {
                Ok(Some((page, link))) => {
                    listed.digests.extend(page.digests);
                    listed.missing.extend(page.missing);
                    next = link;
                }
                Ok(None) => {}
                Err(missing) => listed.missing.push(missing),
            }
        }
        listed
    }

    /// One page and the next one's URL; `None`: there is no referrers API, which only the first page can tell.
    async fn page(
        &self,
        question: Question<'_>,
        url: &Url,
        first: bool,
    ) -> Result<Option<(Listed, Option<Url>)>, Missing> {
        let Question {
            repository,
            subject,
            access,
            ..
        } = question;
        let what = format!("the referrers of `{repository}@{subject}`");
        let mut request = Request::get(
            Kind::Referrers,
            url.clone(),
            limits::REFERRERS_PAGE_BYTES_MAX,
        );
        request.gzip = true;
        request
            .headers
            .insert("accept", HeaderValue::from_static(INDEX));
        let response = self.ask(access, repository, request, &what).await?;
        match response.status.as_u16() {
            200 if is_index(&response) => {}
            200 | 400 | 404 | 406 if first => return Ok(None),
            200 => return Err(incomplete("a page of the list has another content type")),
            _ => return Err(self.refused(&response, &what).into()),
        }
        // No filter was asked for, so with one applied there is more.
        if response.headers.contains_key("oci-filters-applied") {
            return Err(incomplete(
                "the list is filtered, and no filter was asked for",
            ));
        }
        let link = next_page(url, &response.headers).map_err(|why| incomplete(&why))?;
        Ok(Some((Listed::read(&response.body), link)))
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

    /// A manifest or blob that may be evidence: from memory, else from disk, else from the registry, once for all who ask.
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

impl Listed {
    /// Reads a page or a fallback index.
    fn read(bytes: &[u8]) -> Self {
        let (digests, missing) = match Referrers::parse(bytes) {
            Ok(Referrers {
                digests,
                unsupported: 0,
            }) => (digests, None),
            Ok(referrers) => {
                let detail = format!(
                    "{} of the listed digests are not sha256",
                    referrers.unsupported
                );
                let missing = Missing::new(Reason::EvidenceUnsupported, detail);
                (referrers.digests, Some(missing))
            }
            Err(problem) => {
                let detail = format!("the list cannot be read: {problem}");
                let missing = Missing::new(Reason::EvidenceMalformed, detail);
                (BTreeSet::new(), Some(missing))
            }
        };
        Self {
            digests,
            missing: missing.into_iter().collect(),
        }
    }
}

async fn within<T, E: Into<Missing>>(
    deadline: Instant,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Missing> {
    match timeout_at(deadline, future).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_elapsed) => Err(limit("the time for reading evidence was up".to_owned())),
    }
}

fn is_index(response: &Response) -> bool {
    let content_type = response.headers.get("content-type");
    let text = content_type.and_then(|value| value.to_str().ok());
    let media_type = text.and_then(|text| text.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(INDEX))
}

fn limit(detail: String) -> Missing {
    Missing::new(Reason::EvidenceLimit, detail)
}

fn too_many_referrers() -> Missing {
    limit(format!("more than {} referrers", limits::REFERRERS_MAX))
}

fn incomplete(detail: &str) -> Missing {
    Missing::new(Reason::EvidenceIncomplete, detail)
}
