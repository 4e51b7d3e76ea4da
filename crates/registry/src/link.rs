//! The `Link` of a tag page. RFC 8288; OCI distribution-spec v1.1, "Listing tags".

use http::HeaderMap;
use sealift_net::same_origin;
use url::Url;

/// The next page that `headers`, served by `page`, name.
///
/// # Errors
/// A text for people, when the link leaves the origin or the path of `page`: following it would
/// ask, with credentials, for something that nobody meant.
pub fn next_page(page: &Url, headers: &HeaderMap) -> Result<Option<Url>, String> {
    for value in headers.get_all("link") {
        let text = value
            .to_str()
            .map_err(|_| "its `Link` is not ASCII".to_owned())?;
        let Some(target) = next_target(text) else {
            continue;
        };
        let url = page
            .join(target)
            .map_err(|_| "its `Link` is not a URL".to_owned())?;
        if !same_origin(page, &url) {
            return Err("its `Link` leads to another host".to_owned());
        }
        if url.path() != page.path() {
            return Err("its `Link` leads to another path".to_owned());
        }
        return Ok(Some(url));
    }
    Ok(None)
}

/// The target of the first link that is the next page: `rel` says so, or is absent.
fn next_target(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let end = after.find('<').unwrap_or(after.len());
        let parameters = after.get(..end)?;
        if is_next(parameters) {
            return Some(target);
        }
        rest = after.get(end..)?;
    }
    None
}

fn is_next(parameters: &str) -> bool {
    let mut relations = parameters
        .split([';', ','])
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"))
        .map(|(_, value)| value.trim().trim_matches('"'))
        .peekable();
    relations.peek().is_none() || relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(link: &str) -> Result<Option<String>, String> {
        let page = Url::parse("https://r.example/x/v2/a/tags/list?n=2").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("link", link.parse().unwrap());
        next_page(&page, &headers).map(|url| url.map(String::from))
    }

    #[test]
    fn relative_and_absolute_links_lead_to_the_next_page() {
        let expected = Ok(Some(
            "https://r.example/x/v2/a/tags/list?last=b&n=2".to_owned(),
        ));
        for link in [
            r#"</x/v2/a/tags/list?last=b&n=2>; rel="next""#,
            "<?last=b&n=2>",
            "<https://r.example/x/v2/a/tags/list?last=b&n=2>; title=x; rel=NEXT",
            r#"<?last=z>; rel="first", <?last=b&n=2>; rel="next""#,
        ] {
            assert_eq!(next(link), expected, "{link}");
        }
        assert_eq!(next(r#"<?last=z>; rel="first""#), Ok(None));
        assert_eq!(next("nonsense"), Ok(None));
    }

    #[test]
    fn links_to_other_hosts_and_paths_are_refused() {
        for link in [
            "<https://evil.example/x/v2/a/tags/list?last=b>",
            "<//evil.example/x/v2/a/tags/list>",
            "<http://r.example/x/v2/a/tags/list?last=b>",
            "<https://r.example:8443/x/v2/a/tags/list>",
            "</x/v2/other/tags/list?last=b>",
            "<../../b/tags/list>",
            "<https://[>",
        ] {
            assert!(next(link).is_err(), "{link}");
        }
    }
}
