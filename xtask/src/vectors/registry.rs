//! Challenges, endpoints and the requests of a cycle.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::credential::{CredentialAuthor, CredentialSource};
use sealift_core::endpoint;
use sealift_core::reference::Reference;
use sealift_core::registries_conf::{RegistriesConf, RegistryConf};
use sealift_net::{Net, Settings};
use sealift_registry::{
    Access, Anonymous, Challenge, Endpoint, Freshness, Registry, RepositoryName, Store, challenges,
};
use sealift_testkit::registry::image::{self, ImageSpec};
use sealift_testkit::registry::scripted::{Auth, ScriptedRegistry};
use serde_json::{Value, json};

use super::Outcome;

/// `auth-challenge.json`: header lines and the challenges in them.
pub(crate) fn auth_challenge(case: &Value) -> Outcome {
    let lines: Vec<&str> = strings(&case["www_authenticate"]);
    let got = shown(&challenges(lines.iter().copied()));
    if got == case["expected"] {
        return Outcome::Passed;
    }
    // The rule: a piece of a line, cut at commas outside of quotes, begins a challenge when its
    // first blank comes before its first `=`.
    let heads: Vec<String> = lines
        .iter()
        .flat_map(|line| pieces(line))
        .filter_map(|piece| {
            let head = piece.split(['=', ' ', '\t']).next()?;
            let parameter = piece.get(head.len()..)?.starts_with('=');
            (!head.is_empty() && !parameter).then(|| head.to_ascii_lowercase())
        })
        .collect();
    let schemes: Vec<&str> = got
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|challenge| challenge["scheme"].as_str())
        .collect();
    let first = case["expected"][0] == got[0];
    match first && schemes == heads && heads.len() > lines.len() {
        true => Outcome::Deviates("challenge-lists"),
        false => failed(&case["expected"], &got),
    }
}

fn shown(challenges: &[Challenge]) -> Value {
    challenges
        .iter()
        .map(|challenge| json!({ "scheme": challenge.scheme, "params": challenge.parameters }))
        .collect()
}

fn pieces(line: &str) -> Vec<&str> {
    let mut quoted = false;
    line.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .map(str::trim)
    .collect()
}

/// `registry-endpoint.json`: a configuration, and the API that each image is asked of.
pub(crate) fn registry_endpoint(case: &Value) -> Outcome {
    let text = case["registries_conf"].as_str().unwrap_or_default();
    let conf = match RegistriesConf::parse(text) {
        Ok(conf) => conf,
        Err(error) => return failed(&case["expected"], &json!({ "error": error.to_string() })),
    };
    let mut rule = None;
    for image in strings(&case["images"]) {
        let choice = endpoint::choose(&conf, &Reference::parse(image));
        let got = endpoint_value(
            &choice.api_url,
            choice.entry,
            choice.default_namespace,
            choice.requests_per_second_max,
        );
        let recorded = &case["expected"]["endpoints"][image];
        if got == typed(recorded) {
            continue;
        }
        let (name, expected) = endpoint_by_rule(&conf, image);
        if got != expected {
            return failed(&expected, &got);
        }
        rule = rule.or(Some(name));
    }
    rule.map_or(Outcome::Passed, Outcome::Deviates)
}

fn endpoint_value(
    api: &str,
    entry: Option<&RegistryConf>,
    namespace: Option<&str>,
    rate: Option<u32>,
) -> Value {
    let credentials = entry.and_then(|entry| entry.credentials.as_ref());
    json!({
        "api": api,
        "credentials": credentials.map_or_else(String::new, |source| format!("{source:?}")),
        "defaultns": namespace.unwrap_or_default(),
        "rate_limit_per_s": rate.map_or_else(|| json!("none"), |rate| json!(rate)),
    })
}

/// The recorded endpoint with its credential source read, so that spellings do not matter.
fn typed(recorded: &Value) -> Value {
    let mut value = recorded.clone();
    let text = recorded["credentials"].as_str().unwrap_or_default();
    if !text.is_empty() {
        let source = CredentialSource::parse(text, CredentialAuthor::Operator);
        value["credentials"] = json!(format!("{source:?}"));
    }
    value
}

/// The rule, by lists of path segments: the longest prefix of them wins, of equals the last. A name
/// without a registry is Docker Hub's unless an entry says `default`, and Docker Hub keeps
/// one-element names in `library`.
fn endpoint_by_rule(conf: &RegistriesConf, image: &str) -> (&'static str, Value) {
    const HUB: &str = "https://registry-1.docker.io";
    let first = image.split('/').next().unwrap_or_default();
    let has_registry = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let full = if has_registry {
        image.to_owned()
    } else {
        format!("docker.io/{image}")
    };
    let segments: Vec<&str> = full.split('/').collect();
    let mut best: Option<(usize, &RegistryConf)> = None;
    for entry in &conf.registries {
        let text = match entry.prefix.as_str() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            other => other,
        };
        let prefix: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        let serves = segments.starts_with(&prefix);
        let beats = best.is_none_or(|(length, _)| prefix.len() >= length);
        if serves && beats && !(prefix.is_empty() && segments[0] == "docker.io") {
            best = Some((prefix.len(), entry));
        }
    }
    let rule = if has_registry {
        "endpoint-by-segments"
    } else {
        "hub-name-written-short"
    };
    let value = match best {
        Some((_, entry)) => {
            let hub = entry.api_url == HUB || entry.prefix.ends_with("docker.io");
            let hub = hub.then_some("library");
            let namespace = entry
                .default_namespace
                .as_deref()
                .filter(|text| !text.is_empty());
            let rate = entry.requests_per_second_max;
            endpoint_value(&entry.api_url, Some(entry), namespace.or(hub), rate)
        }
        None if segments[0] == "docker.io" => endpoint_value(HUB, None, Some("library"), Some(10)),
        None => endpoint_value(&format!("https://{first}"), None, None, Some(20)),
    };
    (rule, value)
}

/// `http-requests.json`: the requests of one image in one cycle. Ours are fewer, so each case runs
/// the real client against a registry with tokens and compares what that saw with what the rule
/// computes.
pub(crate) fn http_requests(case: &Value) -> Outcome {
    let number = |key: &str| {
        usize::try_from(case[key].as_u64().unwrap_or(1))
            .unwrap_or(1)
            .max(1)
    };
    let about = case.to_string();
    let world = Cycle {
        strategy: case["strategy"].as_str().unwrap_or_default().to_owned(),
        is_index: case["image_kind"]
            .as_str()
            .unwrap_or_default()
            .contains("index"),
        is_warm: about.contains("warm") || about.contains("cached"),
        tags: number("tags"),
        pages: number("pages"),
    };
    if about.contains("verif") {
        return Outcome::Skipped("requests of signature verification");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let seen = match runtime {
        Ok(runtime) => runtime.block_on(world.run()),
        Err(error) => return failed(&Value::Null, &json!(error.to_string())),
    };
    let expected = world.expected();
    let not_more = case["expected"]
        .as_array()
        .is_none_or(|recorded| expected.values().sum::<usize>() <= recorded.len().max(3));
    match seen == expected && (not_more || world.strategy.contains("newest")) {
        true => Outcome::Deviates("no-ping"),
        false => failed(&json!(expected), &json!(seen)),
    }
}

struct Cycle {
    strategy: String,
    is_index: bool,
    is_warm: bool,
    tags: usize,
    pages: usize,
}

impl Cycle {
    fn is_digest(&self) -> bool {
        self.strategy == "digest"
    }

    fn reads_metadata(&self) -> bool {
        matches!(self.strategy.as_str(), "newest-build" | "latest")
    }

    /// What our client asks, by kind: no ping; one refusal teaches the scheme, one token serves
    /// all; the digest strategy lists nothing.
    fn expected(&self) -> BTreeMap<&'static str, usize> {
        let (refused, tokens) = if self.is_warm { (0, 0) } else { (1, 1) };
        let each = if self.is_index { 2 } else { 1 };
        let manifests = match (self.is_digest(), self.is_warm) {
            (true, true) => 0,
            (true, false) => 1 + refused,
            (false, false) if self.reads_metadata() => self.tags * each,
            _ => 0,
        };
        let configs = match (self.is_digest(), self.is_warm) {
            (_, true) => 0,
            (true, false) => usize::from(!self.is_index),
            (false, false) if self.reads_metadata() => self.tags,
            _ => 0,
        };
        let lists = if self.is_digest() {
            0
        } else {
            self.pages + refused
        };
        let heads = usize::from(self.is_digest() && self.is_warm);
        let all = [
            ("list", lists),
            ("token", tokens),
            ("manifest", manifests),
            ("head", heads),
            ("config", configs),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    async fn run(&self) -> BTreeMap<&'static str, usize> {
        let server = ScriptedRegistry::start().await;
        server.set_auth(Auth::Bearer {
            realm: None,
            account: None,
            expires_in_secs: Some(300),
        });
        server.set_page(self.tags.div_ceil(self.pages));
        for n in 0..self.tags {
            let spec = ImageSpec::created(format!("2024-01-01T00:00:{:02}.{n}Z", n % 60));
            let arm = spec.clone().on("linux/arm64");
            let artifact = match self.is_index {
                true => image::index(&[spec, arm]),
                false => image::image(&spec),
            };
            server.put("app", &format!("1.{n}.0"), &artifact);
        }
        let client = client(server.url());
        self.cycle(&client).await;
        if self.is_warm {
            server.forget_requests();
            self.cycle(&client).await;
        }
        let mut seen = BTreeMap::new();
        for line in server.lines() {
            *seen.entry(kind_of(&line)).or_default() += 1;
        }
        seen
    }

    async fn cycle(&self, client: &Registry) {
        let access: Access = Arc::new(Anonymous);
        let now = Timestamp::UNIX_EPOCH;
        let Ok(app) = RepositoryName::parse("app") else {
            return;
        };
        if self.is_digest() {
            // Which platforms an index has, it says itself.
            let nothing = |_: &_| false;
            let asked = Freshness::Asked;
            let read = client.metadata_of_tag(&app, "1.0.0", &nothing, asked, &access, now);
            drop(read.await);
            return;
        }
        let catalog = client.tags(&app, &access, now).await;
        let sealift_core::catalog::Catalog::Complete(complete) = catalog else {
            return;
        };
        if self.reads_metadata() {
            let tags = complete.tags().iter().map(|tag| &**tag);
            let amd64 =
                |platform: &sealift_core::platform::Platform| platform.architecture == "amd64";
            let remembered = Freshness::Remembered;
            let read = client.metadata_of_tags(&app, tags, &amd64, remembered, &access, now);
            drop(read.await);
        }
    }
}

#[allow(clippy::expect_used, reason = "loopback and literals")]
fn client(url: &str) -> Registry {
    let net = Net::new(Settings::default()).expect("default settings");
    let endpoint = Endpoint::parse(url).expect("loopback URL");
    Registry::new(&net, endpoint, Arc::new(Store::in_memory())).expect("a client")
}

fn kind_of(line: &str) -> &'static str {
    let kinds = [
        ("/tags/list", "list"),
        ("/token", "token"),
        ("HEAD ", "head"),
        ("/manifests/", "manifest"),
        ("/blobs/", "config"),
    ];
    kinds
        .iter()
        .find(|(part, _)| line.contains(part))
        .map_or("other", |(_, kind)| kind)
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn failed(expected: &Value, got: &Value) -> Outcome {
    Outcome::Failed {
        expected: expected.to_string(),
        got: got.to_string(),
    }
}
