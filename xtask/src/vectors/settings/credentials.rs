//! Credentials of registries and Git repositories.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use sealift_core::credential::{
    CredentialError, CredentialSource, DOCKER_CONFIG_FIELD, DockerConfig, Login,
};
use sealift_core::go_syntax;
use sealift_core::manifest::SecretManifest;
use sealift_core::repository_credentials::{self, GitLogin, RepositoryAccess};
use sealift_core::settings::Method;
use serde_json::{Value, json};

use super::{Outcome, outcome, same_or_both_errors, text};

/// The grammar of credential sources.
pub(crate) fn credentials(case: &Value) -> Outcome {
    let parsed = CredentialSource::parse_with_registry(text(case, "input"));
    let needs_registry = case["require_prefix"].as_bool() == Some(true);
    let got = parsed
        .map_err(|error| error.to_string())
        .and_then(|(registry, source)| {
            if needs_registry && registry.is_none() {
                return Err("no registry is named".to_owned());
            }
            let mut fields = json!({
                "registry": registry.unwrap_or_default(), "namespace": "", "name": "", "field": "",
                "env": "", "script": "",
            });
            let kind = match source {
                CredentialSource::SecretField {
                    namespace,
                    name,
                    field,
                } => {
                    fields["namespace"] = namespace.into();
                    fields["name"] = name.into();
                    fields["field"] = field.into();
                    "secret"
                }
                CredentialSource::PullSecret { namespace, name } => {
                    fields["namespace"] = namespace.into();
                    fields["name"] = name.into();
                    fields["field"] = DOCKER_CONFIG_FIELD.into();
                    "pullsecret"
                }
                CredentialSource::Environment { variable } => {
                    fields["env"] = variable.into();
                    "env"
                }
                CredentialSource::Helper { path } => {
                    fields["script"] = path.into();
                    "ext"
                }
            };
            fields["type"] = kind.into();
            Ok(fields)
        });
    same_or_both_errors(&case["expected"], got)
}

/// Logins from what credential sources name.
pub(crate) fn credentials_fetch(case: &Value) -> Outcome {
    let got = fetch(case);
    let got_json = match &got {
        Ok(login) => Ok(json!({ "username": login.username, "password": login.password.expose() })),
        Err(error) => Err(error.to_string()),
    };
    let plain = same_or_both_errors(&case["expected"], got_json.clone());
    if matches!(plain, Outcome::Passed) {
        return plain;
    }
    let is_docker_config = text(case, "spec")
        .to_ascii_lowercase()
        .contains("pullsecret:");
    if is_docker_config && got_json.ok() == by_host_and_path(case) {
        return Outcome::Deviates("docker-config-by-host");
    }
    outcome(&case["expected"], got, false)
}

fn fetch(case: &Value) -> Result<Login, CredentialError> {
    let (_, source) = CredentialSource::parse_with_registry(text(case, "spec"))?;
    let field = |namespace: &str, name: &str, field: &str| {
        let secret = &case["secrets"][format!("{namespace}/{name}")];
        let value = secret[field].as_str().map(str::to_owned);
        value.ok_or_else(|| CredentialError::NotALogin(format!("field `{field}`")))
    };
    match &source {
        CredentialSource::SecretField {
            namespace,
            name,
            field: key,
        } => Login::from_secret_field(&field(namespace, name, key)?, key),
        CredentialSource::PullSecret { namespace, name } => {
            let config = field(namespace, name, DOCKER_CONFIG_FIELD)?;
            DockerConfig::parse(config.as_bytes())?.login(text(case, "registry_api"), "")
        }
        CredentialSource::Environment { variable } => {
            Login::from_environment(case["env"][variable].as_str(), variable)
        }
        CredentialSource::Helper { path } => {
            source.helper_path()?;
            let unreadable = |_| CredentialError::NotALogin(format!("the output of `{path}`"));
            let mut helper = Command::new(path);
            let output = helper.stdin(Stdio::null()).output().map_err(unreadable)?;
            Login::from_helper_output(&output.stdout, path)
        }
    }
}

/// What the rule wants: the entry whose host is that of the API, all names of Docker Hub being one,
/// and whose path is the API's own.
fn by_host_and_path(case: &Value) -> Option<Value> {
    let place = |text: &str| {
        let text = text.split("://").last().unwrap_or_default();
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let host = match host.to_ascii_lowercase().as_str() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            host => host.to_owned(),
        };
        let path = path.trim_matches('/');
        (
            host,
            if matches!(path, "v1" | "v2") {
                String::new()
            } else {
                path.to_owned()
            },
        )
    };
    let secrets = case["secrets"].as_object()?;
    let config = secrets
        .values()
        .find_map(|secret| secret[DOCKER_CONFIG_FIELD].as_str())?;
    let config: Value = serde_json::from_str(config).ok()?;
    let (host, path) = place(text(case, "registry_api"));
    let serves = |key: &str| {
        let (of_host, of_path) = place(key);
        of_host == host && (of_path.is_empty() || of_path == path)
    };
    let (_, entry) = config["auths"]
        .as_object()?
        .iter()
        .find(|(key, _)| serves(key))?;
    let decoded = match entry["auth"].as_str() {
        Some(auth) => from_base64(auth)?,
        None => format!(
            "{}:{}",
            entry["username"].as_str()?,
            entry["password"].as_str()?
        ),
    };
    let (username, password) = decoded.split_once(':')?;
    Some(json!({ "username": username, "password": password }))
}

/// Base64 as text, by way of a Secret, which holds its data so.
fn from_base64(text: &str) -> Option<String> {
    let secret = json!({ "metadata": { "name": "s" }, "data": { "value": text } });
    let secret = SecretManifest::from_value(secret).ok()?;
    secret.text("value").map(str::to_owned)
}

/// The Secrets of `git:secret:`.
pub(crate) fn git_credentials(case: &Value) -> Outcome {
    let expected = &case["expected"];
    let access = match git_access(case) {
        Ok(access) => access,
        Err(error) => return outcome(expected, error, expected.get("error").is_some()),
    };
    let got = access_json(&access);
    let Some(wanted) = expected
        .as_object()
        .filter(|map| !map.contains_key("error"))
    else {
        return outcome(expected, got, false);
    };
    let differing: Vec<&String> = wanted
        .iter()
        .filter(|(key, value)| got.get(key.as_str()) != Some(*value))
        .map(|(k, _)| k)
        .collect();
    if differing.is_empty() {
        return Outcome::Passed;
    }
    // Servers are checked, unless the Secret itself says otherwise.
    let insecure = case["secret"]["insecure"]
        .as_str()
        .and_then(go_syntax::boolean);
    let checked = insecure != Some(true);
    let is_check = |key: &&&String| matches!(key.as_str(), "tls_verify" | "host_key_check");
    let by_rule = differing
        .iter()
        .all(|key| is_check(&key) && got.get(key.as_str()) == Some(&Value::Bool(checked)));
    if by_rule {
        return Outcome::Deviates("git-servers-checked");
    }
    outcome(expected, got, false)
}

fn git_access(case: &Value) -> Result<RepositoryAccess, String> {
    let method = Method::parse(&format!("git:secret:{}", text(case, "ref")));
    if let Method::Git(credentials) = method.map_err(|error| error.to_string())? {
        let permitted = credentials.permit(text(case, "namespace"));
        permitted.map_err(|error| error.to_string())?;
    }
    let secret = json!({
        "metadata": { "name": "s", "namespace": case["namespace"] },
        "stringData": case["secret"],
    });
    let secret = SecretManifest::from_value(secret).map_err(|error| error.to_string())?;
    let access = repository_credentials::from_secret(&secret, text(case, "repo"));
    access.map_err(|error| error.to_string())
}

fn access_json(access: &RepositoryAccess) -> BTreeMap<String, Value> {
    let mut got = BTreeMap::new();
    let mut put = |key: &str, value: Value| got.insert(key.to_owned(), value);
    put("proxy", json!(access.proxy));
    put("tls_verify", json!(!access.insecure));
    put("host_key_check", json!(!access.insecure));
    match &access.login {
        GitLogin::Basic { username, .. } => {
            put("kind", json!("https"));
            put("username", json!(username));
        }
        GitLogin::SshKey(_) => {
            put("kind", json!("ssh"));
        }
        GitLogin::GithubApp(app) => {
            put("kind", json!("github-app"));
            put("app_id", json!(app.app_id));
            put("installation_id", json!(app.installation_id));
            put("base_url", json!(app.base_url));
        }
        other => {
            put("kind", json!(other.kind()));
        }
    }
    got
}
