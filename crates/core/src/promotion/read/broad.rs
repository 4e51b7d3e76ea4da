//! Identities that would accept anybody on a shared host, and patterns that accept everything.
//!
//! On a host that many people share, the host says nothing: owner and repository do. So what is
//! exact is fine, and what is not must begin with both.

use regex::bytes::Regex;

use super::super::error::Findings;
use super::super::identity::Pattern;
use super::super::spec::{KeylessSpec, TextMatch, TextRule};
use crate::reason::Reason;

/// Hosts that issue identities to, or hold repositories of, everybody.
const SHARED_HOSTS: &[&str] = &[
    "accounts.google.com",
    "agent.buildkite.com",
    "app.terraform.io",
    "bitbucket.org",
    "codeberg.org",
    "dev.azure.com",
    "github.com",
    "gitlab.com",
    "kubernetes.io",
    "login.microsoftonline.com",
    "oauth2.sigstore.dev",
    "oidc.circleci.com",
    "oidc.codefresh.io",
    "sts.windows.net",
    "token.actions.githubusercontent.com",
];
/// The same, and everything below them.
const SHARED_DOMAINS: &[&str] = &[
    ".actions.githubusercontent.com",
    ".amazonaws.com",
    ".azure.com",
    ".circleci.com",
    ".ghe.com",
    ".google.com",
    ".googleapis.com",
    ".sigstore.dev",
    ".vstoken.visualstudio.com",
];
/// Path segments that name one owner's repository.
const PINNING_SEGMENTS: usize = 2;

/// Texts so different that what accepts both demands nothing.
const PROBES: [&str; 2] = [
    "https://a.example/b/c/.github/workflows/d.yml@refs/heads/e",
    "someone@mail.example",
];

/// Whether a pattern accepts the empty text or any text.
pub(super) fn accepts_everything(expression: &Regex) -> bool {
    let accepts = |text: &str| expression.is_match(text.as_bytes());
    accepts("") || PROBES.into_iter().all(accepts)
}

pub(super) fn report_everything(at: &str, expression: &str, findings: &mut Findings) {
    findings.error(
        Reason::IdentityTooBroad,
        format!("{at}.regexp"),
        Some(&expression),
        "the expression accepts everything, so it demands nothing",
        "write what must stand there, or take the field out",
    );
}

/// Refuses what would accept anybody on a shared host.
pub(super) fn check(at: &str, spec: &KeylessSpec, issuer: &Pattern, findings: &mut Findings) {
    let shared_issuer = check_issuer(&format!("{at}.issuer"), &spec.issuer, findings);
    let field = format!("{at}.subject");
    match &spec.subject {
        TextMatch::Exact(_) => {}
        TextMatch::Rule(TextRule::UrlPrefix(prefix)) => {
            let (host, segments) = host_and_segments(&format!("{}/", prefix.trim_end_matches('/')));
            if is_shared(&host) && segments < PINNING_SEGMENTS {
                let message = format!("anybody on `{host}` could have signed");
                too_broad(findings, &format!("{field}.urlPrefix"), prefix, &message);
            }
        }
        TextMatch::Rule(TextRule::Regexp(expression)) => {
            let broad = alternatives(expression)
                .into_iter()
                .map(literal_prefix)
                .find(|prefix| {
                    let (host, segments) = host_and_segments(prefix);
                    match host.is_empty() {
                        true => shared_issuer,
                        false => is_shared(&host) && segments < PINNING_SEGMENTS,
                    }
                });
            if let Some(prefix) = broad {
                let message = format!(
                    "a match need only begin with `{prefix}`, so anybody with an identity of \
                     `{issuer}` could have signed"
                );
                too_broad(findings, &format!("{field}.regexp"), expression, &message);
            }
        }
    }
}

/// Checks the issuer, and says whether everybody gets identities there.
fn check_issuer(field: &str, issuer: &TextMatch, findings: &mut Findings) -> bool {
    match issuer {
        TextMatch::Exact(text) => {
            let (host, _) = host_and_segments(&format!("{text}/"));
            if host.is_empty() {
                let hint = "write it as the certificate has it, with `https://`";
                findings.invalid(field, text, "an issuer is a URL", hint);
            }
            is_shared(&host)
        }
        TextMatch::Rule(rule) => {
            let (part, text, prefix) = match rule {
                TextRule::UrlPrefix(text) => (
                    "urlPrefix",
                    text,
                    format!("{}/", text.trim_end_matches('/')),
                ),
                TextRule::Regexp(text) => ("regexp", text, String::new()),
            };
            let prefixes = match rule {
                TextRule::UrlPrefix(_) => vec![prefix],
                TextRule::Regexp(text) => {
                    alternatives(text).into_iter().map(literal_prefix).collect()
                }
            };
            let broad = prefixes.iter().any(|prefix| {
                let (host, _) = host_and_segments(prefix);
                host.is_empty() || is_shared(&host)
            });
            if broad {
                let message = "anybody could bring an issuer that this accepts";
                too_broad(findings, &format!("{field}.{part}"), text, message);
            }
            false
        }
    }
}

fn too_broad(findings: &mut Findings, field: &str, value: &str, message: &str) {
    findings.error(
        Reason::IdentityTooBroad,
        field,
        Some(&value),
        message,
        "begin with host, owner and repository (in a regexp a dot is `\\.`), or write the text \
         exactly",
    );
}

fn is_shared(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let host = host.split(':').next().unwrap_or_default();
    SHARED_HOSTS.contains(&host)
        || SHARED_DOMAINS
            .iter()
            .any(|domain| host.ends_with(domain) || Some(host) == domain.strip_prefix('.'))
}

/// The host of a beginning of a URL, if it is whole (a `/` follows), and how many whole path
/// segments follow.
fn host_and_segments(prefix: &str) -> (String, usize) {
    let Some((_, rest)) = prefix.split_once("://") else {
        return (String::new(), 0);
    };
    let Some((host, path)) = rest.split_once('/') else {
        return (String::new(), 0);
    };
    let mut segments: Vec<&str> = path.split('/').collect();
    // The last one has no `/` behind it, so it may go on.
    segments.pop();
    let whole = segments
        .iter()
        .take_while(|segment| !segment.is_empty() && **segment != "." && **segment != "..");
    (
        host.rsplit('@').next().unwrap_or(host).to_owned(),
        whole.count(),
    )
}

/// The text that every match of an anchored expression begins with, as far as it is written
/// plainly.
fn literal_prefix(expression: &str) -> String {
    let mut prefix = String::new();
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    let expression = expression.strip_prefix(r"\A").unwrap_or(expression);
    let mut characters = expression.chars().peekable();
    while let Some(character) = characters.next() {
        let literal = match character {
            '\\' => match characters.next_if(|next| next.is_ascii_punctuation()) {
                Some(escaped) => escaped,
                None => break,
            },
            '.' | '[' | '(' | ')' | '|' | '*' | '+' | '?' | '{' | '}' | '^' | '$' => break,
            plain => plain,
        };
        match characters.peek() {
            Some('*' | '?' | '{') => break,
            Some('+') => {
                prefix.push(literal);
                break;
            }
            _ => prefix.push(literal),
        }
    }
    prefix
}

/// The parts between those `|` that stand outside of every group and class.
fn alternatives(expression: &str) -> Vec<&str> {
    let (mut depth, mut class, mut start) = (0_usize, false, 0);
    let mut parts = Vec::new();
    let mut characters = expression.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '[' => class = true,
            ']' => class = false,
            '(' if !class => depth += 1,
            ')' if !class => depth = depth.saturating_sub(1),
            '|' if !class && depth == 0 => {
                parts.push(expression.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(expression.get(start..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_prefix_ends_where_anything_may_follow() {
        for (expression, prefix) in [
            (r"https://github\.com/acme/.*", "https://github.com/acme/"),
            (r"^https://github\.com/acme/x?", "https://github.com/acme/"),
            ("https://github.com/acme/shop", "https://github"),
            (r"https://a\.b/c+d", "https://a.b/c"),
            (r"(?i)https://a/b", ""),
            (r"|x", ""),
            (r"https://a/(b|c)/", "https://a/"),
            (r"https://a/[|]", "https://a/"),
            (r"\Qhttps://a/\E", ""),
            (r"https://a/\d", "https://a/"),
            ("", ""),
        ] {
            assert_eq!(literal_prefix(expression), prefix, "{expression}");
        }
    }

    #[test]
    fn alternatives_are_cut_outside_of_groups_and_classes() {
        assert_eq!(alternatives(r"a|b(c|d)[|]\|e|"), ["a", r"b(c|d)[|]\|e", ""]);
        assert_eq!(alternatives("a"), ["a"]);
    }

    #[test]
    fn only_whole_hosts_and_segments_count() {
        for (prefix, host, segments) in [
            ("https://github.com/acme/shop/x", "github.com", 2),
            ("https://github.com/acme/shop", "github.com", 1),
            ("https://github.com", "", 0),
            ("https://u@github.com/a/", "github.com", 1),
            ("https://github.com//a/b/", "github.com", 0),
            ("https://github.com/../a/b/", "github.com", 0),
            ("github.com/a/b/", "", 0),
        ] {
            assert_eq!(host_and_segments(prefix), (host.to_owned(), segments));
        }
    }

    #[test]
    fn shared_hosts_hold_whatever_case_and_port() {
        for host in [
            "GitHub.com",
            "github.com:443",
            "oidc.eks.eu-1.amazonaws.com",
        ] {
            assert!(is_shared(host), "{host}");
        }
        for host in ["ci.acme.internal", "notgithub.com", "github.com.acme.org"] {
            assert!(!is_shared(host), "{host}");
        }
    }
}
