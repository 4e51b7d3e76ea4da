//! From annotations to a reference of an `ImageUpdater`, and back.
//!
//! Both ways go through [`Settings`], so that what comes out means what went in. What one of the
//! two forms cannot say is named, with the reason; it is never left out in silence.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::read::ImageUpdater;
use super::spec::{
    ApplicationRef, CommonUpdateSettings, GitConfig, HelmTarget, ImageConfig, KustomizeTarget,
    ManifestTarget, WriteBackConfig,
};
use super::{API_VERSION, KIND};
use crate::limits::APPLICATION_REFS_MAX;
use crate::manifest::Metadata;
use crate::settings::keys::{OWN_APPLICATION, OWN_IMAGE};
use crate::settings::{
    CommonSettings, ImageSettings, OWN_PREFIX, PEER_PREFIX, Settings, WriteBackSettings, Written,
};

/// A setting that the other form cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Where it stands.
    pub path: String,
    /// Its value, shortened.
    pub value: String,
    /// Why it has no place there.
    pub why: &'static str,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: `{}` was left out: {}",
            self.path, self.value, self.why
        )
    }
}

/// Settings in the other form, and what has no place there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted<T> {
    /// The other form.
    pub value: T,
    /// What it does not say.
    pub lost: Vec<Lost>,
}

/// The reference that says of the Application `name` what its annotations say.
#[must_use]
pub fn to_reference(name: &str, settings: &Settings) -> Converted<ApplicationRef> {
    let mut lost = Vec::new();
    let mut aliases = Aliases::new(&settings.images);
    let images = settings.images.iter().map(|image| {
        if let Some(error) = &image.error {
            lost.push(Lost {
                path: error.path.to_string(),
                value: image.image.value.chars().take(200).collect(),
                why: "the setting is wrong, and a wrong setting is not carried over",
            });
        }
        config(image, aliases.name(image))
    });
    let value = ApplicationRef {
        name_pattern: escaped(name),
        images: images.collect(),
        common_update_settings: common(&settings.common),
        write_back_config: write_back(&settings.write_back),
        ..ApplicationRef::default()
    };
    Converted { value, lost }
}

/// The annotations of Argo CD Image Updater that say the same. Our own annotations stay as they
/// are.
#[must_use]
pub fn to_annotations(settings: &Settings) -> Converted<BTreeMap<String, String>> {
    let mut writer = Writer::default();
    writer.whole(settings);
    let made = writer.made.into_iter();
    Converted {
        value: made
            .map(|(name, value)| (format!("{PEER_PREFIX}{name}"), value))
            .collect(),
        lost: writer.lost,
    }
}

/// Objects `namespace/NAME` with these references, as many as their bound asks for.
#[must_use]
pub fn objects(namespace: &str, name: &str, references: &[ApplicationRef]) -> Vec<Value> {
    let chunks = (1_usize..).zip(references.chunks(APPLICATION_REFS_MAX));
    let object = |(number, chunk): (usize, &[ApplicationRef])| {
        let name = match number {
            1 => name.to_owned(),
            number => format!("{name}-{number}"),
        };
        json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "applicationRefs": chunk },
        })
    };
    chunks.map(object).collect()
}

/// Our own annotations of an object and of an Application that it follows, as the Application alone
/// would say them.
#[must_use]
pub fn own_annotations(
    settings: &Settings,
    updater: &ImageUpdater,
    application: &Metadata,
) -> BTreeMap<String, String> {
    let own = updater.annotations.iter().chain(&application.annotations);
    let about = |key: &str| {
        key.strip_prefix(OWN_PREFIX)
            .is_some_and(|name| is_about(name, settings))
    };
    own.filter(|(key, _)| about(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Whether one of our settings is about the Application or one of its images.
fn is_about(name: &str, settings: &Settings) -> bool {
    let whole = OWN_APPLICATION.contains(&name);
    let aliases = settings
        .images
        .iter()
        .filter_map(|image| image.alias.as_deref());
    let mut rests = aliases.filter_map(|alias| name.strip_prefix(alias)?.strip_prefix('.'));
    whole || rests.any(|rest| OWN_IMAGE.contains(&rest))
}

/// The settings of an Application under an `ImageUpdater` by the names that annotations have, for
/// records and for people.
#[must_use]
pub fn as_written(
    settings: &Settings,
    updater: &ImageUpdater,
    application: &Metadata,
) -> BTreeMap<String, String> {
    let mut writer = Writer {
        is_record: true,
        ..Writer::default()
    };
    writer.whole(settings);
    let mut made = writer.made;
    for (key, value) in own_annotations(settings, updater, application) {
        if let Some(name) = key.strip_prefix(OWN_PREFIX) {
            made.insert(name.to_owned(), value);
        }
    }
    made
}

/// The annotations that are settings, without their prefixes.
#[must_use]
pub fn annotations_as_written(application: &Metadata) -> BTreeMap<String, String> {
    let setting = |(key, value): (&String, &String)| {
        let name = key
            .strip_prefix(PEER_PREFIX)
            .or_else(|| key.strip_prefix(OWN_PREFIX))?;
        Some((name.to_owned(), value.clone()))
    };
    application.annotations.iter().filter_map(setting).collect()
}

fn text(written: &Option<Written<String>>) -> Option<String> {
    written.as_ref().map(|written| written.value.clone())
}

fn common(settings: &CommonSettings) -> Option<CommonUpdateSettings> {
    let made = CommonUpdateSettings {
        update_strategy: text(&settings.update_strategy),
        force_update: settings.force_update.as_ref().map(|written| written.value),
        allow_tags: text(&settings.allow_tags),
        ignore_tags: settings.ignore_tags.as_ref().map(|list| list.value.clone()),
        pull_secret: text(&settings.pull_secret),
        platforms: settings.platforms.as_ref().map(|list| list.value.clone()),
    };
    Some(made).filter(|made| *made != CommonUpdateSettings::default())
}

/// Without a method nothing of the rest would count, so the default is written out.
fn write_back(settings: &WriteBackSettings) -> Option<WriteBackConfig> {
    let git = GitConfig {
        repository: text(&settings.repository),
        branch: text(&settings.branch),
        write_back_target: text(&settings.target),
        pull_request: settings.pull_request.as_ref().map(|one| one.value.clone()),
    };
    let git = Some(git).filter(|git| *git != GitConfig::default());
    let method = text(&settings.method).or_else(|| git.as_ref().map(|_| "argocd".to_owned()));
    Some(WriteBackConfig {
        method: Some(method?),
        git_config: git,
    })
}

fn config(image: &ImageSettings, alias: String) -> ImageConfig {
    let helm = HelmTarget {
        name: text(&image.helm.name),
        tag: text(&image.helm.tag),
        spec: text(&image.helm.spec),
    };
    let targets = ManifestTarget {
        helm: Some(helm).filter(|helm| *helm != HelmTarget::default()),
        kustomize: text(&image.kustomize_name).map(|name| KustomizeTarget { name }),
        plugin: None,
    };
    ImageConfig {
        alias,
        image_name: image.image.value.clone(),
        common_update_settings: common(&image.common),
        images_verification: None,
        manifest_targets: Some(targets).filter(|targets| *targets != ManifestTarget::default()),
    }
}

/// A pattern that matches this name alone.
fn escaped(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Gives each image an alias that the schema takes, and that no other image has.
struct Aliases {
    taken: BTreeSet<String>,
}

impl Aliases {
    fn new(images: &[ImageSettings]) -> Self {
        let given = images.iter().filter_map(|image| image.alias.clone());
        Self {
            taken: given.filter(|alias| is_alias(alias)).collect(),
        }
    }

    /// The image's own alias, or one made of what it has.
    fn name(&mut self, image: &ImageSettings) -> String {
        let own = image.alias.as_deref();
        if let Some(alias) = own.filter(|alias| is_alias(alias)) {
            return alias.to_owned();
        }
        let name = image.image.value.rsplit('/').next().unwrap_or_default();
        let name = name.split([':', '@']).next().unwrap_or_default();
        let fitting = |character: char| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => character,
            _ => '-',
        };
        let made: String = own.unwrap_or(name).chars().map(fitting).collect();
        let made = made.trim_start_matches(['-', '.', '_']);
        let made = if made.is_empty() { "image" } else { made };
        let mut candidate = made.to_owned();
        let mut number = 2_usize;
        while !self.taken.insert(candidate.clone()) {
            candidate = format!("{made}-{number}");
            number += 1;
        }
        candidate
    }
}

fn is_alias(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(inner)
}

/// Writes settings by the names of annotations.
#[derive(Default)]
struct Writer {
    made: BTreeMap<String, String>,
    lost: Vec<Lost>,
    /// A record is not read back: there everything is written, by a name of its own.
    is_record: bool,
}

impl Writer {
    fn whole(&mut self, settings: &Settings) {
        let write_back = &settings.write_back;
        self.text("write-back-method", &write_back.method);
        self.text("git-repository", &write_back.repository);
        self.text("git-branch", &write_back.branch);
        self.text("write-back-target", &write_back.target);
        if let Some(request) = &write_back.pull_request {
            let forge = match request.value.github {
                Some(_) => "github",
                None => "gitlab",
            };
            let why = "no annotation asks for pull requests";
            self.lose("pull-request", &request.path, forge, why);
        }
        // Only an image may name platforms in an annotation.
        let shared = CommonSettings {
            platforms: None,
            ..settings.common.clone()
        };
        self.common("", &shared, &CommonSettings::default());
        let mut items = Vec::new();
        for image in &settings.images {
            self.image(image, &settings.common, &mut items);
        }
        if !items.is_empty() {
            self.made.insert("image-list".to_owned(), items.join(","));
        }
    }

    fn image(&mut self, image: &ImageSettings, shared: &CommonSettings, items: &mut Vec<String>) {
        let written = &image.image;
        let blanks = written.value.trim() != written.value || written.value.is_empty();
        if !self.is_record && (written.value.contains(',') || blanks) {
            let why = "items of `image-list` are separated by commas and trimmed";
            return self.lose("image-list", &written.path, &written.value, why);
        }
        let Some(alias) = &image.alias else {
            return items.push(written.value.clone());
        };
        items.push(format!("{alias}={}", written.value));
        let before = format!("{alias}.");
        let platforms = image
            .common
            .platforms
            .as_ref()
            .or(shared.platforms.as_ref());
        let common = CommonSettings {
            platforms: platforms.cloned(),
            ..image.common.clone()
        };
        self.common(&before, &common, shared);
        for (name, value) in [
            ("helm.image-name", &image.helm.name),
            ("helm.image-tag", &image.helm.tag),
            ("helm.image-spec", &image.helm.spec),
            ("kustomize.image-name", &image.kustomize_name),
        ] {
            self.text(&format!("{before}{name}"), value);
        }
        for (name, written) in [
            ("plugin.image-name", &image.plugin.name),
            ("plugin.image-tag", &image.plugin.tag),
            ("plugin.image-spec", &image.plugin.spec),
        ] {
            let Some(written) = written else { continue };
            let why = "no annotation names variables of a plugin";
            self.lose(
                &format!("{before}{name}"),
                &written.path,
                &written.value,
                why,
            );
        }
        if let Some(demand) = &image.verification {
            let key = demand.value.cosign_key.as_ref();
            let key = key.filter(|_| demand.value.enabled != Some(false));
            let key = key.map_or("off", |key| key.secret_name.as_str());
            let why = "no annotation demands signatures; write a PromotionPolicy";
            self.lose(
                &format!("{before}images-verification"),
                &demand.path,
                key,
                why,
            );
        }
    }

    /// `over`: what an empty text takes the place of.
    fn common(&mut self, before: &str, common: &CommonSettings, over: &CommonSettings) {
        let name = |name: &str| format!("{before}{name}");
        self.replacing(
            &name("update-strategy"),
            &common.update_strategy,
            Some("semver"),
        );
        self.replacing(&name("allow-tags"), &common.allow_tags, Some("any"));
        let replaced = over.pull_secret.as_ref().map(|_| ());
        match (&common.pull_secret, replaced) {
            (Some(empty), None) if empty.value.is_empty() => {}
            (written, _) => self.replacing(&name("pull-secret"), written, None),
        }
        if let Some(force) = &common.force_update {
            self.made
                .insert(name("force-update"), force.value.to_string());
        }
        self.list(&name("ignore-tags"), &common.ignore_tags);
        let named = common
            .platforms
            .as_ref()
            .filter(|list| !list.value.is_empty());
        self.list(&name("platforms"), &named.cloned());
    }

    fn list(&mut self, name: &str, written: &Option<Written<Vec<String>>>) {
        let Some(written) = written else { return };
        let unfit = |item: &String| item.contains(',') || item.trim() != item;
        if written.value.iter().any(unfit) {
            let why = "items of an annotation are separated by commas and trimmed";
            return self.lose(name, &written.path, &written.value.join(","), why);
        }
        self.made.insert(name.to_owned(), written.value.join(","));
    }

    /// A text that may be empty, and then stands for `default`.
    fn replacing(&mut self, name: &str, written: &Option<Written<String>>, default: Option<&str>) {
        match (written, default) {
            (Some(empty), Some(default)) if empty.value.is_empty() => {
                self.made.insert(name.to_owned(), default.to_owned());
            }
            (written, _) => self.text(name, written),
        }
    }

    fn text(&mut self, name: &str, written: &Option<Written<String>>) {
        let Some(written) = written else { return };
        if written.value.trim() != written.value || written.value.is_empty() {
            let why = "annotations are trimmed, and an empty one does not count";
            return self.lose(name, &written.path, &written.value, why);
        }
        self.made.insert(name.to_owned(), written.value.clone());
    }

    fn lose(&mut self, name: &str, path: &str, value: &str, why: &'static str) {
        if self.is_record {
            self.made.insert(name.to_owned(), value.to_owned());
            return;
        }
        self.lost.push(Lost {
            path: path.to_owned(),
            value: value.chars().take(200).collect(),
            why,
        });
    }
}
