//! Which tags a repository has, or that nobody can say. OCI distribution-spec v1.1, "Listing tags".
//!
//! A listing is [`Complete`] only if every page was read, to a page without `Link`. Everything else
//! is [`Incomplete`]: choosing from what is left of a listing is how an outage becomes a rollback.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sealift_core::catalog::{Catalog, Complete, Incomplete};
use sealift_core::digest::Digest;
use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_net::{Kind, Request, Response};
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use url::Url;

use crate::access::Access;
use crate::client::Registry;
use crate::error::RegistryError;
use crate::flight::Flights;
use crate::link::next_page;
use crate::name::{RepositoryName, is_tag};

/// Repository and credential: what a listing belongs to.
type Key = (RepositoryName, Box<str>);

/// Listings under way, and pages that a validator can bring back.
pub(crate) struct Listings {
    flights: Flights<Key, Catalog>,
    kept: Cache<Key, Arc<Vec<Page>>, PageBytes>,
}

/// One page as it was served.
#[derive(Clone)]
struct Page {
    url: Url,
    validator: Option<(HeaderName, HeaderValue)>,
    tags: Arc<[Box<str>]>,
    next: Option<Url>,
}

#[derive(Clone)]
struct PageBytes;

impl Weighter<Key, Arc<Vec<Page>>> for PageBytes {
    fn weight(&self, _: &Key, pages: &Arc<Vec<Page>>) -> u64 {
        let page = |page: &Page| {
            page.tags
                .iter()
                .map(|tag| tag.len() as u64 + 32)
                .sum::<u64>()
                + 256
        };
        pages.iter().map(page).sum()
    }
}

impl Default for Listings {
    fn default() -> Self {
        let bytes = limits::LISTING_CACHE_BYTES_MAX as u64;
        Self {
            flights: Flights::default(),
            kept: Cache::with_weighter(1_000, bytes, PageBytes),
        }
    }
}

impl Registry {
    /// Every tag of `repository`, or why the list is not whole.
    ///
    /// Concurrent calls for one repository and credential share one listing. Pages that the server
    /// can validate (`ETag`, `Last-Modified`) are not sent again while they hold. `now` dates what
    /// is remembered of the tags.
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        access: &Access,
        now: Timestamp,
    ) -> Catalog {
        let key: Key = (repository.clone(), access.id().into());
        let listing = || self.list(&key, access, now);
        self.listings.flights.share(key.clone(), listing).await
    }

    async fn list(&self, key: &Key, access: &Access, now: Timestamp) -> Catalog {
        let repository = &key.0;
        let kept = self.listings.kept.get(key);
        let mut pages = Vec::new();
        if let Err(end) = self
            .read_pages(repository, access, kept.as_deref(), &mut pages)
            .await
        {
            let tags_read = pages.iter().map(|page: &Page| page.tags.len()).sum();
            return Catalog::Incomplete(Incomplete {
                reason: end.reason,
                detail: format!(
                    "`{}/{repository}`, page {}: {}",
                    self.host(),
                    pages.len() + 1,
                    end.detail
                ),
                tags_read,
            });
        }
        let tags = joined(&pages);
        if pages.iter().any(|page| page.validator.is_some()) {
            self.listings.kept.insert(key.clone(), Arc::new(pages));
        }
        let memory = self.store.memory(&self.endpoint, access, repository);
        memory.note_listing(listing_digest(&tags), &tags, now);
        Catalog::Complete(Complete::shared(tags))
    }

    async fn read_pages(
        &self,
        repository: &RepositoryName,
        access: &Access,
        kept: Option<&Vec<Page>>,
        pages: &mut Vec<Page>,
    ) -> Result<(), End> {
        let mut url = self.endpoint.url(&format!("{repository}/tags/list"));
        url.set_query(Some(&format!("n={}", limits::PAGE_TAGS)));
        let (mut visited, mut tags, mut bytes) = (BTreeSet::new(), 0, 0);
        loop {
            if pages.len() >= limits::PAGES_MAX {
                return Err(End::cut(format!("more than {} pages", limits::PAGES_MAX)));
            }
            if !visited.insert(url.clone()) {
                return Err(End::cut(
                    "its `Link` leads back to a page already read".to_owned(),
                ));
            }
            let known = kept.and_then(|pages| pages.iter().find(|page| page.url == url));
            let page = self
                .read_page(repository, access, url, known, &mut bytes)
                .await?;
            tags += page.tags.len();
            if tags > limits::TAGS_MAX {
                return Err(End::cut(format!("more than {} tags", limits::TAGS_MAX)));
            }
            let next = page.next.clone();
            pages.push(page);
            match next {
                Some(next) => url = next,
                None => return Ok(()),
            }
        }
    }

    async fn read_page(
        &self,
        repository: &RepositoryName,
        access: &Access,
        url: Url,
        known: Option<&Page>,
        bytes: &mut usize,
    ) -> Result<Page, End> {
        let room = limits::LISTING_BYTES_MAX - *bytes;
        let mut request = Request::get(Kind::Listing, url.clone(), room);
        request.gzip = true;
        if let Some((name, value)) = known.and_then(|page| page.validator.as_ref()) {
            let condition = if *name == ETAG {
                IF_NONE_MATCH
            } else {
                IF_MODIFIED_SINCE
            };
            request.headers.insert(condition, value.clone());
        }
        let what = format!("the tags of `{repository}`");
        let response = self.ask(access, repository, request, &what).await?;
        if response.status == StatusCode::NOT_MODIFIED
            && let Some(page) = known
        {
            return Ok(page.clone());
        }
        if response.status != StatusCode::OK {
            return Err(self.refused(&response, &what).into());
        }
        *bytes += response.body.len();
        let tags = parse_page(&response.body)
            .map_err(|error| End::cut(format!("the list cannot be read: {error}")))?;
        let next = next_page(&url, &response.headers).map_err(End::cut)?;
        Ok(Page {
            validator: validator(&response),
            url,
            tags: tags.into(),
            next,
        })
    }
}

/// Why a listing ended before its last page.
struct End {
    reason: Reason,
    detail: String,
}

impl End {
    fn cut(detail: String) -> Self {
        Self {
            reason: Reason::ListingIncomplete,
            detail,
        }
    }
}

impl From<RegistryError> for End {
    fn from(error: RegistryError) -> Self {
        Self {
            reason: error.reason(),
            detail: error.chain(),
        }
    }
}

/// The tags of all pages, each once: tags pushed between two pages may stand on both.
fn joined(pages: &[Page]) -> Arc<[Box<str>]> {
    if let [page] = pages {
        return Arc::clone(&page.tags);
    }
    let mut seen = BTreeSet::new();
    let tags = pages.iter().flat_map(|page| page.tags.iter());
    tags.filter(|tag| seen.insert(&***tag)).cloned().collect()
}

/// The same for the same set of tags, in whatever order they are listed.
fn listing_digest(tags: &[Box<str>]) -> Digest {
    let mut sorted: Vec<&str> = tags.iter().map(|tag| &**tag).collect();
    sorted.sort_unstable();
    Digest::of(sorted.join("\n").as_bytes())
}

/// What the server can check a page by. `Last-Modified` counts whole seconds, so it is used only
/// when the page had not changed for a minute. RFC 9110, section 8.8.2.2.
fn validator(response: &Response) -> Option<(HeaderName, HeaderValue)> {
    if let Some(etag) = response.headers.get(ETAG) {
        return Some((ETAG, etag.clone()));
    }
    let date = |headers: &HeaderMap, name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(text)
            .ok()
    };
    let modified = date(&response.headers, "last-modified")?;
    let served = date(&response.headers, "date")?;
    let settled = served.duration_since(modified).as_secs() >= 60;
    let value = response.headers.get(LAST_MODIFIED)?;
    settled.then(|| (LAST_MODIFIED, value.clone()))
}

/// Reads one page of a listing, `{"tags": [...]}` (OCI distribution-spec v1.1, "Listing tags").
/// `null` is an empty list; a missing key is not: errors are served with status 200, too. Names
/// that are no tags are left out.
///
/// # Errors
/// It is no such object, something follows it, or it names more than [`limits::TAGS_MAX`] tags.
pub fn parse_page(body: &[u8]) -> Result<Vec<Box<str>>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let tags = ListSeed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(tags)
}

struct ListSeed;

impl<'de> DeserializeSeed<'de> for ListSeed {
    type Value = Vec<Box<str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        #[derive(serde::Deserialize)]
        struct List {
            #[serde(deserialize_with = "tag_list")]
            tags: Vec<Box<str>>,
        }
        serde::Deserialize::deserialize(deserializer).map(|list: List| list.tags)
    }
}

fn tag_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Box<str>>, D::Error> {
    struct Tags;
    impl<'de> Visitor<'de> for Tags {
        type Value = Vec<Box<str>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of tags or null")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut tags = Vec::new();
            while let Some(tag) = list.next_element::<Box<str>>()? {
                if tags.len() >= limits::TAGS_MAX {
                    return Err(A::Error::custom("too many tags"));
                }
                // No client can pull by a name that is no tag, so nothing is lost with it.
                match is_tag(&tag) {
                    true => tags.push(tag),
                    false => tracing::debug!(?tag, "left out of a listing: not a tag"),
                }
            }
            Ok(tags)
        }
    }
    deserializer.deserialize_any(Tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Vec<Box<str>>> {
        parse_page(body.as_bytes()).ok()
    }

    #[test]
    fn lists_and_null_are_read() {
        assert_eq!(
            read(r#"{"name":"a","tags":["1","2"]}"#),
            Some(vec!["1".into(), "2".into()])
        );
        assert_eq!(read(r#"{"tags":null,"name":"a"}"#), Some(vec![]));
    }

    #[test]
    fn what_is_no_list_is_an_error_not_an_empty_list() {
        for body in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"errors":[{"code":"DENIED"}]}"#,
            r#"{"tags":["1","2"#,
            r#"{"tags":["1",2]}"#,
            r#"{"tags":["1",null]}"#,
            r#"{"tags":["1"],"tags":[]}"#,
            r#"{"tags":["1"]} x"#,
            r#"{"tags":{}}"#,
            "<html>",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn names_that_are_no_tags_are_left_out() {
        let body = r#"{"tags":["../x","1\n2","","ok","a/b"]}"#;
        assert_eq!(read(body), Some(vec!["ok".into()]));
    }

    #[test]
    fn the_order_of_a_listing_does_not_change_its_digest() {
        let digest = |tags: &[&str]| {
            listing_digest(&tags.iter().map(|tag| (*tag).into()).collect::<Vec<_>>())
        };
        assert_eq!(digest(&["a", "b"]), digest(&["b", "a"]));
        assert_ne!(digest(&["a", "b"]), digest(&["a", "b", "c"]));
    }
}
