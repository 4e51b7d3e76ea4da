//! Who may sign: authorities with their keys or identities, and how each must be proven.

use std::collections::{BTreeMap, BTreeSet};

use super::super::effective::{Authority, Who};
use super::super::error::Findings;
use super::super::identity::{self, Identity, Pattern};
use super::super::spec::{
    AuthorityDefaults, AuthoritySpec, Empty, FileSource, KeyRef, KeylessSpec, PolicySpec, Sct,
    TextMatch, TextRule, Transparency, TrustRootSpec,
};
use super::{Context, broad, forms, not_available};
use crate::limits::{AUTHORITIES_MAX, POLICY_PATTERN_BYTES_MAX};

/// Reads every authority. One that is broken is left out, and its errors are in `findings`.
pub(super) fn read(
    spec: &PolicySpec,
    context: &Context<'_>,
    cluster: bool,
    findings: &mut Findings,
) -> BTreeMap<String, Authority> {
    let defaults = spec.defaults.clone().unwrap_or_default();
    let reader = Reader {
        files: context.folder.is_some(),
        cluster,
    };
    if let Some(root) = &defaults.trust_root {
        reader.root("spec.defaults.trustRoot", root, findings);
    }
    if spec.authorities.len() > AUTHORITIES_MAX {
        let message = format!("there are more than {AUTHORITIES_MAX} authorities");
        let count = spec.authorities.len();
        findings.invalid("spec.authorities", count, message, "split the policy");
        return BTreeMap::new();
    }
    let mut authorities = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (index, spec) in spec.authorities.iter().enumerate() {
        let at = format!("spec.authorities[{index}]");
        if spec.name.trim().is_empty() {
            let hint = "signatures and attestations refer to it by a name";
            findings.invalid(format!("{at}.name"), "", "the authority has no name", hint);
        } else if !names.insert(&spec.name) {
            let message = format!("there are two authorities `{}`", spec.name);
            let hint = "give each its own name; for several keys list them under one `key`";
            findings.invalid(format!("{at}.name"), &spec.name, message, hint);
        }
        if let Some(authority) = reader.authority(&at, spec, &defaults, findings) {
            authorities.insert(spec.name.clone(), authority);
        }
    }
    authorities
}

struct Reader {
    files: bool,
    cluster: bool,
}

impl Reader {
    fn authority(
        &self,
        at: &str,
        spec: &AuthoritySpec,
        defaults: &AuthorityDefaults,
        findings: &mut Findings,
    ) -> Option<Authority> {
        not_available(findings, format!("{at}.notation"), spec.notation.as_ref());
        let who = self.who(at, spec, findings);
        if let Some(root) = &spec.trust_root {
            self.root(&format!("{at}.trustRoot"), root, findings);
        }
        let who = who?;
        let own = spec.signed_time;
        let common = defaults.signed_time;
        let logs = own
            .and_then(|time| time.min_logs)
            .or(common.and_then(|time| time.min_logs))
            .unwrap_or(1);
        let timestamps = own
            .and_then(|time| time.min_timestamps)
            .or(common.and_then(|time| time.min_timestamps))
            .unwrap_or(0);
        let named = spec
            .trust_root
            .clone()
            .or_else(|| defaults.trust_root.clone());
        let public_good = || TrustRootSpec::PublicGood(Empty {});
        let root = match &who {
            Who::Keyless(_) => Some(named.unwrap_or_else(public_good)),
            Who::Keys(_) if logs > 0 || timestamps > 0 => Some(named.unwrap_or_else(public_good)),
            Who::Keys(_) => named,
        };
        if matches!(who, Who::Keyless(_)) && logs == 0 && timestamps == 0 {
            let message = "a certificate is judged at the proven time of signing, and nothing \
                           would prove it";
            let hint = "demand a log or a timestamp; `0` and `0` are for keys only";
            findings.invalid(format!("{at}.signedTime"), "0 and 0", message, hint);
        }
        let transparency = spec.transparency.or(defaults.transparency);
        let sct = spec.sct.or(defaults.sct);
        Some(Authority {
            name: spec.name.clone(),
            who,
            root,
            min_logs: usize::try_from(logs).unwrap_or(usize::MAX),
            min_timestamps: usize::try_from(timestamps).unwrap_or(usize::MAX),
            transparency: transparency.unwrap_or(Transparency::Proof),
            sct: sct.unwrap_or(Sct::Required),
        })
    }

    fn who(&self, at: &str, spec: &AuthoritySpec, findings: &mut Findings) -> Option<Who> {
        let ways = [
            spec.key.is_some(),
            spec.keyless.is_some(),
            spec.github.is_some(),
            spec.gitlab.is_some(),
        ];
        let named = ways.into_iter().filter(|named| *named).count();
        if named != 1 && !(named == 0 && spec.notation.is_some()) {
            let message = match named {
                0 => "the authority names nobody",
                _ => "the authority names more than one kind of signer",
            };
            let hint = "write exactly one of `key`, `keyless`, `github`, `gitlab`";
            findings.invalid(at, &spec.name, message, hint);
        }
        let before = findings.errors.len();
        let mut who = None;
        if let Some(keys) = &spec.key {
            who = Some(Who::Keys(self.keys(at, keys.as_slice(), findings)));
        }
        if let Some(spec) = &spec.keyless {
            let identity = keyless(&format!("{at}.keyless"), spec, findings);
            who = identity.map(Box::new).map(Who::Keyless);
        }
        if let Some(spec) = &spec.github {
            let identity = forms::github(&format!("{at}.github"), spec, findings);
            who = identity.map(Box::new).map(Who::Keyless);
        }
        if let Some(spec) = &spec.gitlab {
            let identity = forms::gitlab(&format!("{at}.gitlab"), spec, findings);
            who = identity.map(Box::new).map(Who::Keyless);
        }
        who.filter(|_| findings.errors.len() == before)
    }

    fn keys(&self, at: &str, keys: &[FileSource], findings: &mut Findings) -> Vec<FileSource> {
        if keys.is_empty() {
            let message = "the authority has no key";
            findings.invalid(format!("{at}.key"), "[]", message, "name a key");
        }
        for (index, key) in keys.iter().enumerate() {
            let at = match keys.len() {
                1 => format!("{at}.key"),
                _ => format!("{at}.key[{index}]"),
            };
            self.source(&at, key, findings);
            let FileSource::Inline(text) = key else {
                continue;
            };
            // Not shown: it may be the private half.
            if text.contains("PRIVATE KEY") {
                let message = "this is a private key; it stands in a policy now, so replace it";
                let hint = "verification needs the public half only";
                findings.invalid(format!("{at}.inline"), "(not shown)", message, hint);
            } else if !text.contains("-----BEGIN ") {
                let message = "this is no key in PEM form";
                let hint = "write the whole text, from `-----BEGIN PUBLIC KEY-----` on";
                findings.invalid(format!("{at}.inline"), "(not shown)", message, hint);
            }
        }
        keys.to_vec()
    }

    fn root(&self, at: &str, root: &TrustRootSpec, findings: &mut Findings) {
        match root {
            TrustRootSpec::PublicGood(_) | TrustRootSpec::Github(_) => {}
            TrustRootSpec::File(source) => self.source(&format!("{at}.file"), source, findings),
            TrustRootSpec::Tuf(tuf) => {
                self.source(&format!("{at}.tuf.root"), &tuf.root, findings);
                let host = ["https://", "http://"]
                    .iter()
                    .find_map(|scheme| tuf.mirror.strip_prefix(scheme));
                if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
                    let hint = "write a URL, such as `https://tuf.acme.internal`";
                    let message = "the mirror is no URL";
                    findings.invalid(format!("{at}.tuf.mirror"), &tuf.mirror, message, hint);
                }
            }
        }
    }

    fn source(&self, at: &str, source: &FileSource, findings: &mut Findings) {
        match source {
            FileSource::Path(path) => {
                let field = format!("{at}.path");
                if !self.files {
                    let message = "only a policy from a file on this machine has files beside it";
                    let hint = "use `inline`, `configMapRef` or `secretRef`";
                    findings.invalid(field, path, message, hint);
                } else if path.is_empty() {
                    findings.invalid(field, path, "the path is empty", "name a file");
                }
            }
            FileSource::Inline(text) if text.trim().is_empty() => {
                let field = format!("{at}.inline");
                findings.invalid(field, "", "the text is empty", "write it, or name a file");
            }
            FileSource::Inline(_) => {}
            FileSource::ConfigMapRef(key) => {
                self.key_ref(&format!("{at}.configMapRef"), key, findings);
            }
            FileSource::SecretRef(key) => self.key_ref(&format!("{at}.secretRef"), key, findings),
        }
    }

    fn key_ref(&self, at: &str, reference: &KeyRef, findings: &mut Findings) {
        let KeyRef { name, key } = reference;
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() > 1 && !self.cluster {
            let message = "a PromotionPolicy refers to objects of its own namespace only";
            let hint = "write the name alone";
            findings.invalid(format!("{at}.name"), name, message, hint);
        } else if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
            let message = "this is no name of an object";
            let hint = "write `name`, or `namespace/name` in a ClusterPromotionPolicy";
            findings.invalid(format!("{at}.name"), name, message, hint);
        }
        if key.is_empty() {
            let hint = "write the key of its data, such as `cosign.pub`";
            findings.invalid(format!("{at}.key"), key, "the key is empty", hint);
        }
    }
}

fn keyless(at: &str, spec: &KeylessSpec, findings: &mut Findings) -> Option<Identity> {
    let issuer = pattern(&format!("{at}.issuer"), &spec.issuer, findings);
    let subject = pattern(&format!("{at}.subject"), &spec.subject, findings);
    let mut claims = BTreeMap::new();
    for (name, matches) in &spec.claims {
        let field = format!("{at}.claims.{name}");
        let known = match identity::claim(name) {
            Ok(known) => known,
            Err(near) => {
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "use a name of the reference, such as `sourceRepositoryRef`".to_owned(),
                };
                let message = format!("there is no claim `{name}`");
                findings.invalid(field, name, message, hint);
                continue;
            }
        };
        let listed = matches.as_slice();
        if listed.is_empty() {
            let hint = "name a value, or take the claim out";
            findings.invalid(&field, "[]", "nothing satisfies an empty list", hint);
        }
        let mut patterns = Vec::new();
        for (index, one) in listed.iter().enumerate() {
            let field = match listed.len() {
                1 => field.clone(),
                _ => format!("{field}[{index}]"),
            };
            patterns.extend(pattern(&field, one, findings));
        }
        if claims.insert(known.to_owned(), patterns).is_some() {
            let message = format!("the claim `{known}` is named twice");
            findings.invalid(field, name, message, "keep one of them");
        }
    }
    let (issuer, subject) = (issuer?, subject?);
    broad::check(at, spec, &issuer, findings);
    Some(Identity {
        issuer,
        subject,
        claims,
    })
}

fn pattern(at: &str, spec: &TextMatch, findings: &mut Findings) -> Option<Pattern> {
    let text = match spec {
        TextMatch::Exact(text)
        | TextMatch::Rule(TextRule::UrlPrefix(text) | TextRule::Regexp(text)) => text,
    };
    if text.trim().is_empty() {
        let hint = "write the text, `urlPrefix` or `regexp`";
        findings.invalid(at, text, "the text is empty", hint);
        return None;
    }
    if text.len() > POLICY_PATTERN_BYTES_MAX {
        let message = format!("the text is longer than {POLICY_PATTERN_BYTES_MAX} bytes");
        findings.invalid(at, text, message, "shorten it");
        return None;
    }
    match spec {
        TextMatch::Exact(text) => {
            if text.contains('*') {
                let message = "a text is compared as it stands, and `*` is a character in it";
                let hint = "use `urlPrefix` or `regexp`";
                findings.invalid(at, text, message, hint);
                return None;
            }
            Some(Pattern::Exact(text.clone()))
        }
        TextMatch::Rule(TextRule::UrlPrefix(prefix)) => url_prefix(at, prefix, findings),
        TextMatch::Rule(TextRule::Regexp(expression)) => {
            match crate::regexp::compile(expression, true) {
                Ok(compiled) => {
                    if broad::accepts_everything(&compiled) {
                        broad::report_everything(at, expression, findings);
                        return None;
                    }
                    Some(Pattern::Regexp(compiled))
                }
                Err(error) => {
                    let hint = "it is anchored at both ends; `\\.` is a dot";
                    findings.invalid(at, expression, error.to_string(), hint);
                    None
                }
            }
        }
    }
}

fn url_prefix(at: &str, prefix: &str, findings: &mut Findings) -> Option<Pattern> {
    let host = prefix.split_once("://").map(|(scheme, rest)| {
        let host = rest.split('/').next().unwrap_or_default();
        (scheme, host)
    });
    let whole = host.is_some_and(|(scheme, host)| {
        matches!(scheme, "https" | "http" | "spiffe") && !host.is_empty() && !host.contains('*')
    });
    if !whole || prefix.contains(['*', '?', '#']) {
        let message = "this is no beginning of a URL";
        let hint = "write scheme, host and whole path segments, without wildcards";
        findings.invalid(format!("{at}.urlPrefix"), prefix, message, hint);
        return None;
    }
    let prefix = prefix.trim_end_matches('/');
    Some(Pattern::UrlPrefix(format!("{prefix}/")))
}
