//! From a Kubernetes object to an [`ImageUpdater`], or to everything that is wrong with it.
//!
//! What an API server with our CRD would refuse is refused here, too, so that files and the cluster
//! mean the same; what it would prune is ignored with a remark. Besides, a malformed pattern makes
//! the whole object unusable, as Argo CD Image Updater has it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::check::check;
use super::held::{Selection, Selector};
use super::labels::Labels;
use super::spec::{
    ApplicationRef, CommonUpdateSettings, IMAGES_OR_ANNOTATIONS, ImageUpdaterSpec, ONE_FORGE,
    ONE_TARGET, PLUGIN_NAME, WriteBackConfig,
};
use super::status::ImageUpdaterStatus;
use super::{API_VERSION, GROUP, KIND, schema};
use crate::glob::Glob;
use crate::limits::{
    APPLICATION_REFS_MAX, IMAGE_UPDATER_BYTES_MAX, OBJECT_ERRORS_MAX, OBJECT_NAME_BYTES_MAX,
};
use crate::name_pattern::specificity;
use crate::notice::Notice;
use crate::promotion::cosign_key::{ImagesVerification, KEY_REQUIRED};
use crate::promotion::error::{PolicyError, shortened};
use crate::reason::Reason;
use crate::settings::{OWN_PREFIX, own};

/// `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageUpdaterId {
    /// Namespace.
    pub namespace: String,
    /// Name; empty where it cannot be read.
    pub name: String,
}

impl fmt::Display for ImageUpdaterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A valid object.
#[derive(Debug, Clone)]
pub struct ImageUpdater {
    /// Which one.
    pub id: ImageUpdaterId,
    /// When the API server stored it first. Files need not say.
    pub created: Option<Timestamp>,
    /// Counts the changes of its spec.
    pub generation: Option<i64>,
    /// Our own annotations.
    pub annotations: BTreeMap<String, String>,
    /// For all images.
    pub common: Option<CommonUpdateSettings>,
    /// For all references.
    pub write_back: Option<WriteBackConfig>,
    /// For all images.
    pub verification: Option<ImagesVerification>,
    /// Its references, the most specific one first.
    pub rules: Vec<Rule>,
    /// What was ignored.
    pub notices: Vec<Notice>,
    /// What was said on it last.
    pub status: ImageUpdaterStatus,
}

/// One of its references, ready to be compared.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Position in `spec.applicationRefs`.
    pub position: usize,
    /// As written.
    pub reference: ApplicationRef,
    pub(super) selector: Selector,
}

/// An object that cannot be used.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Which one, as far as it can be read.
    pub id: ImageUpdaterId,
    /// When the API server stored it first.
    pub created: Option<Timestamp>,
    /// Counts the changes of its spec.
    pub generation: Option<i64>,
    /// What it selects, as far as it can be read.
    pub selection: Selection,
    /// Everything that is wrong, the first ones; never empty.
    pub errors: Vec<PolicyError>,
    /// What was said on it last.
    pub status: ImageUpdaterStatus,
}

impl Rejected {
    /// The first error, and how many others there are.
    #[must_use]
    pub fn detail(&self) -> String {
        let Some(first) = self.errors.first() else {
            return String::new();
        };
        let value = first.value.as_ref().filter(|value| !value.is_empty());
        let value = value.map_or_else(String::new, |value| format!(" (`{value}`)"));
        let more = match self.errors.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        format!("{first}{value}; {}{more}", first.hint)
    }
}

/// Whether a value is an object of this kind, of whatever version.
#[must_use]
pub fn concerns(object: &Value) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let group = text("apiVersion").and_then(|version| version.split_once('/'));
    group.is_some_and(|(group, _)| group == GROUP) && text("kind") == Some(KIND)
}

/// What reading one object gathers.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<PolicyError>,
    pub(super) notices: Vec<Notice>,
}

impl Findings {
    pub(super) fn invalid(
        &mut self,
        field: &str,
        value: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if self.is_full() {
            return;
        }
        self.errors.push(PolicyError {
            field: field.to_owned(),
            value: Some(shortened(value)).filter(|value| !value.is_empty()),
            reason: Reason::ImageUpdaterInvalid,
            message: message.into(),
            hint: hint.into(),
        });
    }

    pub(super) fn unknown(&mut self, detail: String) {
        if self.notices.len() < OBJECT_ERRORS_MAX {
            self.notices
                .push(Notice::new(Reason::UnknownSetting, detail));
        }
    }

    /// Whether as much was found as anybody reads.
    pub(super) const fn is_full(&self) -> bool {
        self.errors.len() >= OBJECT_ERRORS_MAX
    }
}

impl ImageUpdater {
    /// Reads one object. Where it names no namespace it is in `default_namespace`.
    ///
    /// # Errors
    /// [`Rejected`]: what is wrong with it. It harms no other.
    pub fn read(object: &Value, default_namespace: &str) -> Result<Self, Box<Rejected>> {
        let mut findings = Findings::default();
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let id = identity(metadata, default_namespace, &mut findings);
        let status = object.get("status").cloned().unwrap_or_default();
        let status: ImageUpdaterStatus = serde_json::from_value(status).unwrap_or_default();
        let version = object.get("apiVersion").and_then(Value::as_str);
        if version != Some(API_VERSION) {
            let message = "this version is not read";
            let hint = format!("use `{API_VERSION}`");
            findings.invalid("apiVersion", version.unwrap_or_default(), message, hint);
        }
        let annotations = own_annotations(metadata, &mut findings);
        let spec = read_spec(object, &mut findings);
        let rules = spec.as_ref().map(|spec| rules(spec, &mut findings));
        let (Some(spec), Some(rules)) = (spec, rules) else {
            return Err(rejected(object, id, findings, status));
        };
        let mut updater = Self {
            created: created(metadata),
            annotations,
            common: spec.common_update_settings,
            write_back: spec.write_back_config,
            verification: spec.images_verification,
            rules,
            notices: Vec::new(),
            id,
            generation: generation(metadata),
            status,
        };
        updater.check_own(&mut findings);
        if findings.errors.is_empty() {
            updater.notices = findings.notices;
            return Ok(updater);
        }
        Err(rejected(object, updater.id, findings, updater.status))
    }

    /// For messages: kind, namespace and name.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{KIND} {}", self.id)
    }

    /// Whether one of its images has the alias.
    pub(super) fn has_alias(&self, alias: &str) -> bool {
        let mut images = self.rules.iter().flat_map(|rule| &rule.reference.images);
        images.any(|image| image.alias == alias)
    }

    /// Our own settings are strict wherever they stand.
    fn check_own(&self, findings: &mut Findings) {
        let label = self.label();
        let read = own::read(&label, &self.annotations, &|alias| self.has_alias(alias));
        let errors: Vec<_> = match &read {
            Ok(own) => own.image_errors.values().collect(),
            Err(error) => vec![error],
        };
        for error in errors {
            let message = error.problem.to_string();
            let hint = "see the guide about `sealift.dev/` annotations";
            findings.invalid(&error.path, "", message, hint);
        }
    }
}

fn rejected(
    object: &Value,
    id: ImageUpdaterId,
    findings: Findings,
    status: ImageUpdaterStatus,
) -> Box<Rejected> {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    Box::new(Rejected {
        id,
        created: created(metadata),
        generation: generation(metadata),
        selection: Selection::read(object),
        errors: findings.errors,
        status,
    })
}

/// `metadata.namespace` and `metadata.name`.
fn identity(metadata: &Value, default_namespace: &str, findings: &mut Findings) -> ImageUpdaterId {
    let text = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let namespace = match text("namespace") {
        "" => default_namespace,
        namespace => namespace,
    };
    let name = text("name");
    for (field, value) in [("name", name), ("namespace", namespace)] {
        let holds = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
        let is_name =
            !value.is_empty() && value.len() <= OBJECT_NAME_BYTES_MAX && value.bytes().all(holds);
        if !is_name {
            let message = "this is no name of an object";
            let hint = "use lower-case letters, digits, `-` and `.`";
            findings.invalid(&format!("metadata.{field}"), value, message, hint);
        }
    }
    ImageUpdaterId {
        namespace: shortened(namespace),
        name: shortened(name),
    }
}

fn generation(metadata: &Value) -> Option<i64> {
    metadata.get("generation").and_then(Value::as_i64)
}

fn created(metadata: &Value) -> Option<Timestamp> {
    metadata.get("creationTimestamp")?.as_str()?.parse().ok()
}

fn own_annotations(metadata: &Value, findings: &mut Findings) -> BTreeMap<String, String> {
    let annotations = metadata.get("annotations").and_then(Value::as_object);
    let mut own = BTreeMap::new();
    for (key, value) in annotations.into_iter().flatten() {
        match value {
            Value::String(text) if key.starts_with(OWN_PREFIX) => {
                own.insert(key.clone(), text.clone());
            }
            Value::String(_) | Value::Null => {}
            other => {
                let field = format!("metadata.annotations[\"{}\"]", shortened(key));
                let value = shortened(&other.to_string());
                let message = "this is not a string";
                findings.invalid(&field, &value, message, "put it in quotes");
            }
        }
    }
    own
}

fn read_spec(object: &Value, findings: &mut Findings) -> Option<ImageUpdaterSpec> {
    let Some(spec) = object.get("spec").filter(|spec| !spec.is_null()) else {
        let message = "the field is missing";
        findings.invalid("spec", "", message, "say which Applications are followed");
        return None;
    };
    let bytes = spec.to_string().len();
    if bytes > IMAGE_UPDATER_BYTES_MAX {
        let message = format!("the object is longer than {IMAGE_UPDATER_BYTES_MAX} bytes");
        let hint = "split it into several objects";
        findings.invalid("spec", &format!("{bytes} bytes"), message, hint);
        return None;
    }
    let mut spec = spec.clone();
    check(schema::spec(), &mut spec, "spec", findings);
    if !findings.errors.is_empty() {
        return None;
    }
    match serde_json::from_value::<ImageUpdaterSpec>(spec) {
        Ok(mut spec) => {
            spec.fill_in();
            rules_of_the_schema(&spec, findings);
            Some(spec)
        }
        Err(error) => {
            let hint = "see the page about ImageUpdaters";
            findings.invalid("spec", "", error.to_string(), hint);
            None
        }
    }
}

impl ImageUpdaterSpec {
    /// The defaults of the schema.
    fn fill_in(&mut self) {
        let fill = |block: &mut Option<ImagesVerification>| {
            if let Some(block) = block {
                block.enabled.get_or_insert(true);
            }
        };
        fill(&mut self.images_verification);
        for reference in &mut self.application_refs {
            fill(&mut reference.images_verification);
            for image in &mut reference.images {
                fill(&mut image.images_verification);
            }
        }
    }
}

/// What the rules in CEL say.
fn rules_of_the_schema(spec: &ImageUpdaterSpec, findings: &mut Findings) {
    verification("spec", spec.images_verification.as_ref(), findings);
    write_back("spec", spec.write_back_config.as_ref(), findings);
    for (index, reference) in spec.application_refs.iter().enumerate() {
        let at = format!("spec.applicationRefs[{index}]");
        if !reference.use_annotations && reference.images.is_empty() {
            let hint = "add `images`, or `useAnnotations: true`";
            findings.invalid(&at, "", IMAGES_OR_ANNOTATIONS, hint);
        }
        verification(&at, reference.images_verification.as_ref(), findings);
        write_back(&at, reference.write_back_config.as_ref(), findings);
        for (index, image) in reference.images.iter().enumerate() {
            let at = format!("{at}.images[{index}]");
            verification(&at, image.images_verification.as_ref(), findings);
            let Some(targets) = &image.manifest_targets else {
                continue;
            };
            let at = format!("{at}.manifestTargets");
            let named = [
                targets.helm.is_some(),
                targets.kustomize.is_some(),
                targets.plugin.is_some(),
            ];
            if named.iter().filter(|named| **named).count() != 1 {
                findings.invalid(&at, "", ONE_TARGET, "keep one of them");
            }
            let plugin = targets.plugin.as_ref();
            if plugin.is_some_and(|plugin| plugin.spec.is_none() && plugin.name.is_none()) {
                findings.invalid(&format!("{at}.plugin"), "", PLUGIN_NAME, "add one of them");
            }
        }
    }
}

fn verification(at: &str, block: Option<&ImagesVerification>, findings: &mut Findings) {
    let Some(block) = block else { return };
    if block.enabled != Some(false) && block.cosign_key.is_none() {
        let field = format!("{at}.imagesVerification");
        let hint = "repeat `cosignKey` on every level that turns verification on";
        findings.invalid(&field, "", KEY_REQUIRED, hint);
    }
}

fn write_back(at: &str, config: Option<&WriteBackConfig>, findings: &mut Findings) {
    let request = config.and_then(|config| config.git_config.as_ref()?.pull_request.as_ref());
    if request.is_some_and(|request| request.github.is_some() == request.gitlab.is_some()) {
        let field = format!("{at}.writeBackConfig.gitConfig.pullRequest");
        findings.invalid(&field, "", ONE_FORGE, "keep one of them");
    }
}

/// The references, the most specific one first; equal ones keep their order.
fn rules(spec: &ImageUpdaterSpec, findings: &mut Findings) -> Vec<Rule> {
    let references = &spec.application_refs;
    if references.len() > APPLICATION_REFS_MAX {
        let message = format!("there are more than {APPLICATION_REFS_MAX} references");
        let value = format!("{} items", references.len());
        let hint = "split the object";
        findings.invalid("spec.applicationRefs", &value, message, hint);
        return Vec::new();
    }
    let mut rules = Vec::with_capacity(references.len());
    for (position, reference) in references.iter().enumerate() {
        let at = format!("spec.applicationRefs[{position}]");
        let pattern = match Glob::parse(&reference.name_pattern) {
            Ok(pattern) => pattern,
            Err(error) => {
                let pattern = &reference.name_pattern;
                let message = format!("invalid application name pattern: {error}");
                let hint = "close the class, or escape `[` as `\\[`";
                findings.invalid(&format!("{at}.namePattern"), pattern, message, hint);
                continue;
            }
        };
        let (labels, error) = Labels::read(reference.label_selectors.as_ref());
        if let Some(error) = error {
            let detail = format!(
                "{at}.labelSelectors.{}: `{}`: {}; the reference selects nothing",
                error.field,
                shortened(&error.value),
                error.message
            );
            findings
                .notices
                .push(Notice::new(Reason::SettingInvalid, detail));
        }
        rules.push(Rule {
            position,
            reference: reference.clone(),
            selector: Selector {
                pattern,
                labels,
                use_annotations: reference.use_annotations,
            },
        });
    }
    rules.sort_by_key(|rule| std::cmp::Reverse(score(&rule.reference)));
    rules
}

fn score(reference: &ApplicationRef) -> u64 {
    let selector = reference.label_selectors.as_ref();
    let counts = selector.map(|one| (one.match_labels.len(), one.match_expressions.len()));
    specificity(&reference.name_pattern, counts)
}
