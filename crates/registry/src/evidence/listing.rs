//! Listing referrers, page by page.
//!
//! Whether a registry has the referrers API its answer tells: `404`, `400`, `406` or another
//! content type mean that it has none (GHCR answers `404 MANIFEST_UNKNOWN`); everything else that
//! is no list is a gap. OCI distribution-spec v1.1, "Listing Referrers".

use std::collections::BTreeSet;

use http::HeaderValue;
use sealift_core::digest::Digest;
use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_net::{Kind, Request, Response};
use url::Url;

use super::discover::{Question, limit, too_many_referrers, within};
use super::draft::Missing;
use super::parse::Referrers;
use crate::client::Registry;
use crate::link::next_page;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What one way of listing referrers names, and why that may not be all.
#[derive(Default)]
pub(crate) struct Listed {
    pub(crate) digests: BTreeSet<Digest>,
    pub(crate) missing: Vec<Missing>,
}

impl Registry {
    /// What the referrers API lists; nothing where there is none.
    pub(crate) async fn listed(&self, question: Question<'_>) -> Listed {
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

    /// One page and the next one's URL; `None`: there is no referrers API, which only the first
    /// page can tell.
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
}

impl Listed {
    /// Reads a page or a fallback index.
    pub(crate) fn read(bytes: &[u8]) -> Self {
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

fn is_index(response: &Response) -> bool {
    let content_type = response.headers.get("content-type");
    let text = content_type.and_then(|value| value.to_str().ok());
    let media_type = text.and_then(|text| text.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(INDEX))
}

fn incomplete(detail: &str) -> Missing {
    Missing::new(Reason::EvidenceIncomplete, detail)
}
