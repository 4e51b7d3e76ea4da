//! A small read-only registry that serves OCI image layouts on loopback: for the demo, and for
//! tests of the program.
//!
//! One layout a repository, in the folder of its name. Tag lists are paged, by `n` and `Link`;
//! referrers are what `index.json` lists and that names a subject. OCI distribution-spec v1.1,
//! "Pull" and "Content Discovery"; image-spec v1.1, "Image Layout".

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use sealift_core::digest::Digest;
use serde::Deserialize;
use tokio::net::TcpListener;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Tags on one page at most. Small, so that a small world has pages.
const PAGE_TAGS_MAX: usize = 3;

/// What goes wrong on purpose.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Repositories whose listing answers 429 from the second page on.
    pub cut_short: BTreeSet<String>,
}

struct Layouts {
    root: PathBuf,
    faults: Faults,
}

/// Serves the layouts below `root` until the future is dropped.
///
/// # Errors
/// The listener fails.
pub async fn serve(root: PathBuf, faults: Faults, listener: TcpListener) -> anyhow::Result<()> {
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::new(Layouts { root, faults }));
    Ok(axum::serve(listener, router).await?)
}

#[derive(Deserialize)]
struct Paging {
    n: Option<usize>,
    last: Option<String>,
}

async fn answer(
    State(layouts): State<Arc<Layouts>>,
    method: Method,
    uri: Uri,
    Query(paging): Query<Paging>,
) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = uri.path().strip_prefix("/v2/").unwrap_or_default();
    let kinds = ["/tags/list", "/manifests/", "/blobs/", "/referrers/"];
    let found = kinds
        .iter()
        .find_map(|kind| Some((*kind, path.rsplit_once(kind)?)));
    match found {
        Some((_, (name, _))) if !is_name(name) => None,
        Some(("/tags/list", (name, ""))) => Some(layouts.tags(name, &paging)),
        Some(("/manifests/", (name, reference))) => layouts.manifest(name, reference),
        Some(("/blobs/", (name, digest))) => layouts.blob(name, digest),
        Some(("/referrers/", (name, digest))) => layouts.referrers(name, digest),
        _ => None,
    }
    .unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

/// Path components that a folder may have, and none that leads out.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    name.split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain))
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

impl Descriptor {
    fn tag(&self) -> Option<&str> {
        self.annotations
            .get("org.opencontainers.image.ref.name")
            .map(String::as_str)
    }
}

impl Layouts {
    fn index(&self, name: &str) -> Option<Index> {
        let bytes = std::fs::read(self.root.join(name).join("index.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn tags(&self, name: &str, paging: &Paging) -> Response {
        let Some(index) = self.index(name) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let mut tags: Vec<&str> = index.manifests.iter().filter_map(Descriptor::tag).collect();
        tags.sort_unstable();
        if let Some(last) = &paging.last {
            if self.faults.cut_short.contains(name) {
                let retry = [(header::RETRY_AFTER, "0")];
                return (StatusCode::TOO_MANY_REQUESTS, retry, "").into_response();
            }
            tags.retain(|tag| *tag > last.as_str());
        }
        let page = paging.n.unwrap_or(PAGE_TAGS_MAX).min(PAGE_TAGS_MAX);
        let more = tags.len() > page;
        tags.truncate(page);
        let mut headers = HeaderMap::new();
        if let (true, Some(last)) = (more, tags.last()) {
            let link = format!("</v2/{name}/tags/list?n={page}&last={last}>; rel=\"next\"");
            headers.extend(
                HeaderValue::try_from(link)
                    .map(|link| (header::LINK, link))
                    .ok(),
            );
        }
        let body = serde_json::json!({ "name": name, "tags": tags }).to_string();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        (headers, body).into_response()
    }

    fn manifest(&self, name: &str, reference: &str) -> Option<Response> {
        let digest = match reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => {
                let index = self.index(name)?;
                index
                    .manifests
                    .iter()
                    .find(|entry| entry.tag() == Some(reference))?
                    .digest
            }
        };
        let bytes = read_blob(&self.root.join(name), digest)?;
        let media_type = serde_json::from_slice::<serde_json::Value>(&bytes).ok()?;
        let media_type = media_type.get("mediaType")?.as_str()?.to_owned();
        Some(content(digest, &media_type, bytes))
    }

    /// Every listed manifest that is about `subject`, on one page. An image that nothing is about
    /// has an empty list.
    fn referrers(&self, name: &str, subject: &str) -> Option<Response> {
        let subject: Digest = subject.parse().ok()?;
        let folder = self.root.join(name);
        let entries = self.index(name)?.manifests;
        let about: Vec<serde_json::Value> = entries
            .iter()
            .filter_map(|entry| referrer(&folder, entry.digest, subject))
            .collect();
        let body = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": about,
        });
        let headers = [(header::CONTENT_TYPE, OCI_INDEX)];
        Some((headers, body.to_string()).into_response())
    }

    fn blob(&self, name: &str, digest: &str) -> Option<Response> {
        let digest = digest.parse().ok()?;
        let bytes = read_blob(&self.root.join(name), digest)?;
        Some(content(digest, "application/octet-stream", bytes))
    }
}

/// The descriptor of the manifest `digest`, if it is about `subject`.
fn referrer(layout: &Path, digest: Digest, subject: Digest) -> Option<serde_json::Value> {
    let bytes = read_blob(layout, digest)?;
    let manifest: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let named = manifest.get("subject")?.get("digest")?.as_str()?;
    if named != subject.to_string() {
        return None;
    }
    let mut descriptor = serde_json::json!({ "digest": digest.to_string(), "size": bytes.len() });
    for key in ["mediaType", "artifactType", "annotations"] {
        if let (Some(value), Some(fields)) = (manifest.get(key), descriptor.as_object_mut()) {
            fields.insert(key.to_owned(), value.clone());
        }
    }
    Some(descriptor)
}

fn read_blob(layout: &Path, digest: Digest) -> Option<Vec<u8>> {
    std::fs::read(layout.join("blobs/sha256").join(digest.hex())).ok()
}

fn content(digest: Digest, media_type: &str, bytes: Vec<u8>) -> Response {
    let digest = digest.to_string();
    let headers = [
        ("docker-content-digest", digest.as_str()),
        ("content-type", media_type),
    ];
    (headers, bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_core::evidence::{Evidence, Form};
    use sealift_net::{Net, Settings};
    use sealift_registry::{Anonymous, Endpoint, Layout, Registry, RepositoryName, Store};
    use sealift_testkit::signed;

    fn forms(evidence: &Evidence) -> Vec<Form> {
        let items = evidence.items.iter();
        let mut forms: Vec<Form> = items.map(|item| item.form.clone()).collect();
        forms.sort();
        forms
    }

    #[tokio::test]
    async fn every_signed_layout_is_served_with_all_that_hangs_on_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(serve(signed::folder(), Faults::default(), listener));
        let net = Net::new(Settings::default()).unwrap();
        let endpoint = Endpoint::parse(&url).unwrap();
        let registry = Registry::new(&net, endpoint, Arc::new(Store::in_memory())).unwrap();
        let access: sealift_registry::Access = Arc::new(Anonymous);
        let mut items = 0;
        for name in signed::names() {
            let subject = signed::subject(&name).parse().unwrap();
            let repository = RepositoryName::parse(&name).unwrap();
            let served = registry.evidence(&repository, subject, &access).await;
            let offline = Layout::open(&signed::folder().join(&name)).unwrap();
            assert_eq!(served.gaps, [], "{name}");
            assert_eq!(forms(&served), forms(&offline.evidence(subject)), "{name}");
            items += served.items.len();
        }
        assert!(items > 30, "{items}");
        server.abort();
    }
}
