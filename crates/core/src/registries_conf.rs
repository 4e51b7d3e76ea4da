//! `registries.conf`: the operator's list of registries, in the grammar of Argo CD Image Updater.
//!
//! Here: reading and the checks of single entries and of the whole list. Not here: files, CA
//! certificates, which entry serves an image. Parsing is strict: unknown and doubled keys are
//! errors; YAML 1.1 booleans (`yes`, `on`) are read. Every error names the line.

use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::credential::{CredentialAuthor, CredentialError, CredentialSource};
use crate::go_syntax;
use crate::limits;

/// A whole configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistriesConf {
    /// In file order.
    pub registries: Vec<RegistryConf>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConf {
    /// Line of the entry's `name` in the file, from 1.
    pub line: u64,
    /// For people.
    pub name: String,
    /// API address without final `/`; a scheme is usual and not checked here.
    pub api_url: String,
    /// What this entry serves: a host, or a host and a path. Empty for the one entry without.
    pub prefix: String,
    /// Accepted and without effect, as in Argo CD Image Updater.
    pub ping: bool,
    /// Where the credentials come from. A source that cannot be read is an error of every image
    /// that uses this registry, and of nothing else.
    pub credentials: Option<Result<CredentialSource, CredentialError>>,
    /// How long credentials are kept. `None`: until the registry refuses them.
    pub credentials_expire: Option<Duration>,
    /// In which order the registry lists tags.
    pub tag_sort_mode: TagSortMode,
    /// TLS certificates are not verified; `ca_file` and `ca_data` have no effect then.
    pub insecure: bool,
    /// Path of a PEM file with more roots.
    pub ca_file: Option<String>,
    /// PEM text with more roots.
    pub ca_data: Option<String>,
    /// Stands before names of one element, for example `library`.
    pub default_namespace: Option<String>,
    /// Requests a second; `None`: unlimited.
    pub requests_per_second_max: Option<u32>,
    /// Serves references that name no registry.
    pub is_default: bool,
}

/// Order of a registry's tag listing, as the operator states it (`tagsortmode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagSortMode {
    /// No meaning: `none`, empty or absent.
    #[default]
    Unsorted,
    /// Newest tag first.
    LatestFirst,
    /// Newest tag last.
    LatestLast,
}

/// What is wrong in `registries.conf`. The program does not start with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct RegistriesConfError {
    /// From 1.
    pub line: u64,
    /// What is wrong there.
    pub problem: RegistriesConfProblem,
}

/// The kinds of errors in `registries.conf`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistriesConfProblem {
    /// Not YAML, an unknown or doubled key, or a value of another type. The text shows no values
    /// but the offending one.
    #[error("{0}")]
    Yaml(String),
    /// Larger than [`limits::REGISTRIES_CONF_BYTES_MAX`] or more than [`limits::REGISTRIES_MAX`].
    #[error("the configuration is too large")]
    TooLarge,
    /// `name` is missing or empty.
    #[error("registry name is missing")]
    NameMissing,
    /// `api_url` is missing or empty.
    #[error("API URL must be specified for registry `{0}`")]
    ApiUrlMissing(String),
    /// A second entry lacks `prefix`.
    #[error("`{second}` needs a prefix: only one registry may lack it, and `{first}` does")]
    PrefixMissing {
        /// Name of the first entry without prefix.
        first: String,
        /// Name of the second one.
        second: String,
    },
    /// `tagsortmode` is none of the known words.
    #[error("`{0}` is not a tag sort mode: expected `latest-first`, `latest-last` or `none`")]
    TagSortMode(String),
    /// `credsexpire` is not a duration.
    #[error("`{0}` is not a duration such as `5h30m`")]
    Duration(String),
    /// A second entry has `default: true`. Found by [`RegistriesConf::default_registry`].
    #[error("cannot set registry `{second}` as default: only one is allowed, and `{first}` is")]
    TwoDefaults {
        /// Prefix of the first default entry.
        first: String,
        /// Prefix of the second one.
        second: String,
    },
}

impl RegistriesConf {
    /// Reads the text of a configuration file. An empty text is an empty list.
    ///
    /// # Errors
    /// [`RegistriesConfError`], with the line.
    pub fn parse(text: &str) -> Result<Self, RegistriesConfError> {
        if text.len() > limits::REGISTRIES_CONF_BYTES_MAX {
            return Err(at(1, RegistriesConfProblem::TooLarge));
        }
        let written: Option<Written> = serde_saphyr::from_str_with_options(text, yaml_options())
            .or_else(|error| {
                if is_blank(text) {
                    Ok(None)
                } else {
                    Err(yaml_error(&error))
                }
            })?;
        let entries = written
            .and_then(|written| written.registries)
            .unwrap_or_default();
        if entries.len() > limits::REGISTRIES_MAX {
            return Err(at(1, RegistriesConfProblem::TooLarge));
        }
        let registries = entries
            .into_iter()
            .map(WrittenEntry::check)
            .collect::<Result<Vec<_>, _>>()?;
        let mut without_prefix = registries.iter().filter(|entry| entry.prefix.is_empty());
        if let (Some(first), Some(second)) = (without_prefix.next(), without_prefix.next()) {
            let problem = RegistriesConfProblem::PrefixMissing {
                first: first.name.clone(),
                second: second.name.clone(),
            };
            return Err(at(second.line, problem));
        }
        Ok(Self { registries })
    }

    /// The entry with `default: true`, if there is one.
    ///
    /// # Errors
    /// [`RegistriesConfProblem::TwoDefaults`]: the program does not start with two.
    pub fn default_registry(&self) -> Result<Option<&RegistryConf>, RegistriesConfError> {
        let mut defaults = self.registries.iter().filter(|entry| entry.is_default);
        let first = defaults.next();
        if let (Some(first), Some(second)) = (first, defaults.next()) {
            let problem = RegistriesConfProblem::TwoDefaults {
                first: first.prefix.clone(),
                second: second.prefix.clone(),
            };
            return Err(at(second.line, problem));
        }
        Ok(first)
    }
}

/// A number, cut to a whole one as Go does.
struct Limit(i64);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Limit;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Limit, E> {
                Ok(Limit(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Limit, E> {
                Ok(Limit(i64::try_from(number).unwrap_or(i64::MAX)))
            }

            #[allow(clippy::cast_possible_truncation, reason = "that is the rule")]
            fn visit_f64<E>(self, number: f64) -> Result<Limit, E> {
                Ok(Limit(number as i64))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    registries: Option<Vec<WrittenEntry>>,
}

/// One entry as it stands in the file. Scalars are read as text, as their meaning is Go's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    name: Option<Spanned<String>>,
    api_url: Option<Spanned<String>>,
    prefix: Option<String>,
    ping: Option<bool>,
    credentials: Option<String>,
    credsexpire: Option<Spanned<String>>,
    tagsortmode: Option<Spanned<String>>,
    insecure: Option<bool>,
    ca_file: Option<String>,
    ca_data: Option<String>,
    defaultns: Option<String>,
    limit: Option<Limit>,
    default: Option<bool>,
}

impl WrittenEntry {
    fn check(self) -> Result<RegistryConf, RegistriesConfError> {
        let line = [
            &self.name,
            &self.api_url,
            &self.tagsortmode,
            &self.credsexpire,
        ]
        .into_iter()
        .flatten()
        .map(|field| field.referenced.line())
        .min()
        .unwrap_or(1);
        let name = self
            .name
            .map(|name| name.value)
            .filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| at(line, RegistriesConfProblem::NameMissing))?;
        let api_url = self
            .api_url
            .map(|url| url.value)
            .filter(|url| !url.is_empty());
        let api_url =
            api_url.ok_or_else(|| at(line, RegistriesConfProblem::ApiUrlMissing(name.clone())))?;
        let api_url = api_url
            .strip_suffix('/')
            .map_or(api_url.clone(), str::to_owned);
        Ok(RegistryConf {
            line,
            name,
            api_url,
            prefix: self.prefix.unwrap_or_default(),
            ping: self.ping.unwrap_or_default(),
            credentials: present(self.credentials)
                .map(|text| CredentialSource::parse(&text, CredentialAuthor::Operator)),
            credentials_expire: self.credsexpire.map(expiry).transpose()?.flatten(),
            tag_sort_mode: self
                .tagsortmode
                .map(tag_sort_mode)
                .transpose()?
                .unwrap_or_default(),
            insecure: self.insecure.unwrap_or_default(),
            ca_file: present(self.ca_file),
            ca_data: present(self.ca_data),
            default_namespace: present(self.defaultns),
            requests_per_second_max: self
                .limit
                .map(|limit| limit.0)
                .filter(|limit| *limit > 0)
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            is_default: self.default.unwrap_or_default(),
        })
    }
}

fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A Go duration, or a bare integer in nanoseconds. Zero and less mean "never".
fn expiry(field: Spanned<String>) -> Result<Option<Duration>, RegistriesConfError> {
    let text = field.value;
    let ns = text
        .parse::<i64>()
        .ok()
        .or_else(|| go_syntax::duration_ns(&text))
        .ok_or_else(|| {
            at(
                field.referenced.line(),
                RegistriesConfProblem::Duration(shown(&text)),
            )
        })?;
    Ok(u64::try_from(ns)
        .ok()
        .filter(|ns| *ns > 0)
        .map(Duration::from_nanos))
}

fn tag_sort_mode(field: Spanned<String>) -> Result<TagSortMode, RegistriesConfError> {
    match field.value.to_ascii_lowercase().as_str() {
        "latest-first" => Ok(TagSortMode::LatestFirst),
        "latest-last" => Ok(TagSortMode::LatestLast),
        "none" | "" => Ok(TagSortMode::Unsorted),
        _ => Err(at(
            field.referenced.line(),
            RegistriesConfProblem::TagSortMode(shown(&field.value)),
        )),
    }
}

fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: limits::YAML_DEPTH_MAX },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

fn yaml_error(error: &serde_saphyr::Error) -> RegistriesConfError {
    let line = error.location().map_or(1, |location| location.line());
    let text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    at(line, RegistriesConfProblem::Yaml(shown(&text)))
}

/// Whether the text holds comments, blank lines and document markers only.
fn is_blank(text: &str) -> bool {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .all(|line| matches!(line, "" | "---" | "..."))
}

const fn at(line: u64, problem: RegistriesConfProblem) -> RegistriesConfError {
    RegistriesConfError { line, problem }
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "registries:\n- name: A\n  api_url: https://a/\n  prefix: a\n";

    fn one(more: &str) -> Result<RegistryConf, RegistriesConfError> {
        RegistriesConf::parse(&format!("{A}{more}")).map(|mut conf| conf.registries.remove(0))
    }

    #[test]
    fn every_key_is_read() {
        let entry = one(
            "  ping: yes\n  credentials: env:X\n  credsexpire: 5h30m\n  tagsortmode: Latest-First\n  \
             insecure: on\n  ca_file: /x\n  ca_data: |\n    PEM\n  defaultns: library\n  limit: 10\n  \
             default: True\n",
        )
        .unwrap();
        assert_eq!(entry.api_url, "https://a");
        assert_eq!(entry.credentials_expire, Some(Duration::from_secs(19_800)));
        assert_eq!(entry.tag_sort_mode, TagSortMode::LatestFirst);
        assert!(entry.insecure && entry.is_default && entry.ping);
        assert_eq!(entry.requests_per_second_max, Some(10));
        assert_eq!(entry.ca_data.as_deref(), Some("PEM\n"));
        assert!(matches!(
            entry.credentials,
            Some(Ok(CredentialSource::Environment { .. }))
        ));
    }

    #[test]
    fn errors_name_the_line() {
        for (more, line) in [
            ("  ratelimit: 3\n", 5),
            ("  name: B\n", 5),
            ("  limit: abc\n", 5),
            ("  insecure: true\n  credsexpire: 5x\n", 6),
            ("  tagsortmode: newest\n", 5),
            ("  ping: maybe\n", 5),
            ("- name: B\n  prefix: b\n", 5),
            ("- name: B\n  api_url: b\n- name: C\n  api_url: c\n", 7),
        ] {
            let error = one(more).unwrap_err();
            assert_eq!(error.line, line, "{more}: {error}");
        }
    }

    #[test]
    fn an_empty_text_and_an_empty_list_are_empty() {
        for text in [
            "",
            "# nothing\n",
            "---\n",
            "registries:\n",
            "registries: []\n",
        ] {
            assert_eq!(
                RegistriesConf::parse(text),
                Ok(RegistriesConf::default()),
                "{text:?}"
            );
        }
        assert!(RegistriesConf::parse("foo: 1\n").is_err());
        assert!(RegistriesConf::parse("registries: 1\n").is_err());
    }

    #[test]
    fn a_broken_credential_is_the_error_of_its_registry_only() {
        let entry = one("  credentials: nonsense\n").unwrap();
        assert!(matches!(
            entry.credentials,
            Some(Err(CredentialError::Malformed(_)))
        ));
    }

    #[test]
    fn a_limit_is_a_number_and_less_than_one_is_none() {
        let limit = |text| one(&format!("  limit: {text}\n")).map(|e| e.requests_per_second_max);
        assert_eq!(limit("20"), Ok(Some(20)));
        assert_eq!(limit("1.5"), Ok(Some(1)));
        assert_eq!(limit("0"), Ok(None));
        assert_eq!(limit("99999999999"), Ok(Some(u32::MAX)));
        assert_eq!(limit("\"20\"").unwrap_err().line, 5);
    }

    #[test]
    fn two_defaults_are_found() {
        let text = format!("{A}  default: true\n- name: B\n  api_url: b\n  prefix: b\n");
        let conf = RegistriesConf::parse(&text).unwrap();
        assert_eq!(conf.default_registry().unwrap().unwrap().name, "A");
        let conf = RegistriesConf::parse(&format!("{text}  default: true\n")).unwrap();
        assert!(conf.default_registry().is_err());
    }

    #[test]
    fn a_bare_integer_is_nanoseconds_and_zero_is_never() {
        let expire = |text| {
            one(&format!("  credsexpire: {text}\n"))
                .unwrap()
                .credentials_expire
        };
        assert_eq!(expire("5000000000"), Some(Duration::from_secs(5)));
        assert_eq!(expire("0"), None);
        assert_eq!(expire("-5m"), None);
        assert_eq!(expire(""), None);
        assert!(one("  credsexpire: \"\"\n").is_err());
    }

    #[test]
    fn numbers_and_nulls_serve_as_texts() {
        let conf = RegistriesConf::parse(
            "registries:\n- name: 123\n  api_url: https://a\n  prefix: ~\n  ca_file:\n",
        )
        .unwrap();
        let entry = conf.registries.first().unwrap();
        assert_eq!((entry.name.as_str(), entry.prefix.as_str()), ("123", ""));
        assert_eq!(entry.ca_file, None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[\\PC\n\t]{0,200}") {
            let _ = RegistriesConf::parse(&text);
        }
    }
}
