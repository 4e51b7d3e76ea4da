//! Who signs: the names and claims that a Fulcio certificate holds. Fulcio, `docs/oid-info.md`.

use std::collections::BTreeMap;

use super::asn1::{context, context_plain, oid, utf8};

/// Arc of Fulcio's extensions.
pub(super) const FULCIO: &str = "1.3.6.1.4.1.57264.1";
/// Up to here the value of an extension is bare text, after it a `UTF8String`.
const BARE_MAX: u8 = 6;

/// Issuer of tokens of GitHub's workflows.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Issuer of tokens of GitLab's pipelines.
pub const GITLAB_ISSUER: &str = "https://gitlab.com";

/// A signer, as his certificate tells of him.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The alternative names, usually one.
    pub names: Vec<Name>,
    /// The claims, each an extension.
    pub claims: Claims,
    /// Values of extensions that are written as they are, in place of the claim's own (`None`
    /// leaves the extension out): for certificates that are malformed.
    pub raw: BTreeMap<u8, Option<Vec<u8>>>,
}

/// One alternative name of a certificate's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A URI: a workflow.
    Uri(String),
    /// An e-mail address: a person.
    Email(String),
    /// A host.
    Dns(String),
    /// A user's name, in the type that Fulcio made for it (`.7`).
    User(String),
}

/// All that Fulcio writes into extensions of its own; the numbers are those of the extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// `.1`
    pub issuer_v1: Option<String>,
    /// `.2`
    pub github_trigger: Option<String>,
    /// `.3`
    pub github_sha: Option<String>,
    /// `.4`
    pub github_name: Option<String>,
    /// `.5`
    pub github_repository: Option<String>,
    /// `.6`
    pub github_ref: Option<String>,
    /// `.8`
    pub issuer: Option<String>,
    /// `.9`
    pub build_signer_uri: Option<String>,
    /// `.10`
    pub build_signer_digest: Option<String>,
    /// `.11`
    pub runner_environment: Option<String>,
    /// `.12`
    pub source_repository_uri: Option<String>,
    /// `.13`
    pub source_repository_digest: Option<String>,
    /// `.14`
    pub source_repository_ref: Option<String>,
    /// `.15`
    pub source_repository_identifier: Option<String>,
    /// `.16`
    pub source_repository_owner_uri: Option<String>,
    /// `.17`
    pub source_repository_owner_identifier: Option<String>,
    /// `.18`
    pub build_config_uri: Option<String>,
    /// `.19`
    pub build_config_digest: Option<String>,
    /// `.20`
    pub build_trigger: Option<String>,
    /// `.21`
    pub run_invocation_uri: Option<String>,
    /// `.22`
    pub source_repository_visibility: Option<String>,
    /// `.23`
    pub deployment_environment: Option<String>,
    /// `.24`
    pub token_subject: Option<String>,
}

impl Identity {
    /// A person with an address, whom `issuer` vouches for.
    #[must_use]
    pub fn email(address: &str, issuer: &str) -> Self {
        let claims = Claims {
            issuer_v1: Some(issuer.to_owned()),
            issuer: Some(issuer.to_owned()),
            token_subject: Some(address.to_owned()),
            ..Claims::default()
        };
        Self::of(Name::Email(address.to_owned()), claims)
    }

    /// A workflow of `repository` (`owner/name`) on GitHub at `reference` (`refs/tags/v1`), with
    /// all claims but a deployment environment.
    #[must_use]
    pub fn github(repository: &str, workflow: &str, reference: &str) -> Self {
        let some = |text: &str| Some(text.to_owned());
        let owner = repository.split('/').next().unwrap_or_default();
        let home = format!("https://github.com/{repository}");
        let config = format!("{home}/.github/workflows/{workflow}@{reference}");
        let commit = "6f1d2c3b4a59687766554433221100ffeeddccbb";
        let claims = Claims {
            issuer_v1: some(GITHUB_ISSUER),
            github_trigger: some("push"),
            github_sha: some(commit),
            github_name: some("release"),
            github_repository: some(repository),
            github_ref: some(reference),
            issuer: some(GITHUB_ISSUER),
            build_signer_uri: some(&config),
            build_signer_digest: some(commit),
            runner_environment: some("github-hosted"),
            source_repository_uri: some(&home),
            source_repository_digest: some(commit),
            source_repository_ref: some(reference),
            source_repository_identifier: some("123456789"),
            source_repository_owner_uri: some(&format!("https://github.com/{owner}")),
            source_repository_owner_identifier: some("987654"),
            build_config_uri: some(&config),
            build_config_digest: some(commit),
            build_trigger: some("push"),
            run_invocation_uri: some(&format!("{home}/actions/runs/4242424242/attempts/1")),
            source_repository_visibility: some("public"),
            deployment_environment: None,
            token_subject: some(&format!("repo:{repository}:ref:{reference}")),
        };
        Self::of(Name::Uri(config), claims)
    }

    /// A pipeline of `project` (`group/name`) on GitLab at `reference` (`refs/heads/main`).
    #[must_use]
    pub fn gitlab(project: &str, reference: &str) -> Self {
        let some = |text: &str| Some(text.to_owned());
        let group = project.rsplit_once('/').map_or(project, |(group, _)| group);
        let home = format!("https://gitlab.com/{project}");
        let config = format!("{home}//.gitlab-ci.yml@{reference}");
        let commit = "00112233445566778899aabbccddeeff00112233";
        let claims = Claims {
            issuer_v1: some(GITLAB_ISSUER),
            issuer: some(GITLAB_ISSUER),
            build_signer_uri: some(&config),
            build_signer_digest: some(commit),
            runner_environment: some("gitlab-hosted"),
            source_repository_uri: some(&home),
            source_repository_digest: some(commit),
            source_repository_ref: some(reference),
            source_repository_identifier: some("31415926"),
            source_repository_owner_uri: some(&format!("https://gitlab.com/{group}")),
            source_repository_owner_identifier: some("271828"),
            build_config_uri: some(&config),
            build_config_digest: some(commit),
            build_trigger: some("push"),
            run_invocation_uri: some(&format!("{home}/-/jobs/4242424242")),
            source_repository_visibility: some("private"),
            token_subject: some(&format!("project_path:{project}:ref:{reference}")),
            ..Claims::default()
        };
        Self::of(Name::Uri(config), claims)
    }

    /// The same with other claims.
    #[must_use]
    pub fn claiming(mut self, change: impl FnOnce(&mut Claims)) -> Self {
        change(&mut self.claims);
        self
    }

    /// The same with the value of extension `number` as it stands here.
    #[must_use]
    pub fn raw(mut self, number: u8, value: Option<&[u8]>) -> Self {
        self.raw.insert(number, value.map(<[u8]>::to_vec));
        self
    }

    /// The first alternative name, as text.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().map_or("", Name::text)
    }

    fn of(name: Name, claims: Claims) -> Self {
        Self {
            names: vec![name],
            claims,
            ..Self::default()
        }
    }

    /// Fulcio's extensions in the order of their numbers: number and value.
    pub(super) fn extensions(&self) -> Vec<(u8, Vec<u8>)> {
        let mut values: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        for (number, claim) in self.claims.numbered() {
            if let Some(text) = claim {
                let bare = number <= BARE_MAX;
                let value = if bare {
                    text.clone().into()
                } else {
                    utf8(text)
                };
                values.insert(number, value);
            }
        }
        for (number, value) in &self.raw {
            match value {
                Some(value) => values.insert(*number, value.clone()),
                None => values.remove(number),
            };
        }
        values.into_iter().collect()
    }
}

impl Name {
    /// The name without its type.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Uri(text) | Self::Email(text) | Self::Dns(text) | Self::User(text) => text,
        }
    }

    /// `GeneralName`. RFC 5280, section 4.2.1.6.
    pub(super) fn der(&self) -> Vec<u8> {
        match self {
            Self::Email(text) => context_plain(1, text.as_bytes()),
            Self::Dns(text) => context_plain(2, text.as_bytes()),
            Self::Uri(text) => context_plain(6, text.as_bytes()),
            Self::User(text) => {
                let kind = oid(&format!("{FULCIO}.7"));
                context(0, &[kind, context(0, &[utf8(text)])])
            }
        }
    }
}

impl Claims {
    fn numbered(&self) -> [(u8, &Option<String>); 23] {
        [
            (1, &self.issuer_v1),
            (2, &self.github_trigger),
            (3, &self.github_sha),
            (4, &self.github_name),
            (5, &self.github_repository),
            (6, &self.github_ref),
            (8, &self.issuer),
            (9, &self.build_signer_uri),
            (10, &self.build_signer_digest),
            (11, &self.runner_environment),
            (12, &self.source_repository_uri),
            (13, &self.source_repository_digest),
            (14, &self.source_repository_ref),
            (15, &self.source_repository_identifier),
            (16, &self.source_repository_owner_uri),
            (17, &self.source_repository_owner_identifier),
            (18, &self.build_config_uri),
            (19, &self.build_config_digest),
            (20, &self.build_trigger),
            (21, &self.run_invocation_uri),
            (22, &self.source_repository_visibility),
            (23, &self.deployment_environment),
            (24, &self.token_subject),
        ]
    }
}
