//! From the settings of one image, and those of its Application, to an [`ImageRule`].

use std::sync::Arc;

use super::{ApplicationId, Context, ImageRule};
use crate::credential::{CredentialAuthor, CredentialSource};
use crate::host::{is_disguised_address, without_port};
use crate::notice::Notice;
use crate::platform::Wanted;
use crate::promotion::cosign_key::Mapped;
use crate::promotion::effective::Effective;
use crate::reference::{ConfiguredImage, ConfiguredImageError};
use crate::select::Selection;
use crate::settings::{ImageSettings, SettingError, SettingProblem, Settings, Written};
use crate::slot::{HelmNames, PluginNames, SlotImage};
use crate::strategy::Strategy;
use crate::tag_filter::TagFilter;

/// Whose settings are read.
pub(super) struct Holder<'a> {
    /// The Application.
    pub(super) id: &'a ApplicationId,
    /// The object that holds the settings, for messages.
    pub(super) object: &'a str,
}

/// The rule for one image.
pub(super) fn rule(
    holder: &Holder<'_>,
    context: &Context,
    settings: &Settings,
    image: &ImageSettings,
    notices: &mut Vec<Notice>,
) -> Result<ImageRule, SettingError> {
    if let Some(error) = &image.error {
        return Err(error.clone());
    }
    let error = |written_path: &str, problem: SettingProblem| SettingError {
        object: holder.object.to_owned(),
        path: written_path.into(),
        problem,
    };
    let at_list = |problem| error(&image.image.path, problem);
    let configured = ConfiguredImage::new(image.alias.as_deref(), &image.image.value)
        .map_err(|problem| at_list(problem.into()))?;
    if !configured.reference.is_unambiguous() {
        let problem = ConfiguredImageError::Ambiguous(image.image.value.clone());
        return Err(at_list(problem.into()));
    }
    let registry = configured.reference.registry.as_deref();
    if registry.is_some_and(|registry| is_disguised_address(without_port(registry))) {
        let problem = ConfiguredImageError::DisguisedAddress(image.image.value.clone());
        return Err(at_list(problem.into()));
    }
    let strategy = strategy(settings, image, notices);
    let mut selection = Selection::new(strategy, configured.constraint.as_deref())
        .map_err(|problem| at_list(problem.into()))?;
    selection.filter = filter(settings, image, notices);
    selection.platforms = platforms(context, settings, image, notices);
    selection.extract = image
        .own
        .extract
        .clone()
        .or_else(|| settings.own.extract.clone());
    let allow = image.own.allow_downgrade.or(settings.own.allow_downgrade);
    selection.allow_downgrade = allow.unwrap_or_default();
    let author = CredentialAuthor::Application {
        namespace: &holder.id.namespace,
    };
    let pull_secret = image
        .common
        .pull_secret
        .as_ref()
        .or(settings.common.pull_secret.as_ref());
    let pull_secret = pull_secret
        .filter(|written| !written.value.is_empty())
        .map(|written| {
            CredentialSource::parse(&written.value, author)
                .map_err(|problem| error(&written.path, problem.into()))
        })
        .transpose()?;
    let force_update = image
        .common
        .force_update
        .as_ref()
        .or(settings.common.force_update.as_ref());
    let verification = verification(&holder.id.namespace, image, notices);
    let verification =
        verification.map_err(|path| error(&path, SettingProblem::VerificationKeyMissing))?;
    Ok(ImageRule {
        verification,
        force_update: force_update.is_some_and(|written| written.value),
        slot: slot(image, &configured),
        configured,
        selection: Arc::new(selection),
        pull_secret,
    })
}

/// Our own setting wins over the one of Argo CD Image Updater; that of the image over both.
fn strategy(settings: &Settings, image: &ImageSettings, notices: &mut Vec<Notice>) -> Strategy {
    if let Some(strategy) = image.own.update_strategy {
        return strategy;
    }
    let written = match (&image.common.update_strategy, settings.own.update_strategy) {
        (Some(written), _) => written,
        (None, Some(strategy)) => return strategy,
        (None, None) => match &settings.common.update_strategy {
            Some(written) => written,
            None => return Strategy::default(),
        },
    };
    let (strategy, notice) = Strategy::parse_compatible(&written.value);
    note(notices, written, notice);
    strategy
}

fn filter(settings: &Settings, image: &ImageSettings, notices: &mut Vec<Notice>) -> TagFilter {
    let allow = image
        .common
        .allow_tags
        .as_ref()
        .or(settings.common.allow_tags.as_ref());
    let ignore = image
        .common
        .ignore_tags
        .as_ref()
        .or(settings.common.ignore_tags.as_ref());
    let globs = ignore
        .into_iter()
        .flat_map(|written| &written.value)
        .map(String::as_str);
    let (filter, found) = TagFilter::parse(allow.map(|written| written.value.as_str()), globs);
    for notice in found {
        // The words of the notice say which of the two settings it is about.
        let about_allow = notice.detail.contains("allow-tags");
        match (allow, ignore) {
            (Some(written), _) if about_allow => note(notices, written, Some(notice)),
            (_, Some(written)) => note(notices, written, Some(notice)),
            _ => notices.push(notice),
        }
    }
    filter
}

fn platforms(
    context: &Context,
    settings: &Settings,
    image: &ImageSettings,
    notices: &mut Vec<Notice>,
) -> Wanted {
    let written = image
        .common
        .platforms
        .as_ref()
        .or(settings.common.platforms.as_ref());
    let items = written
        .into_iter()
        .flat_map(|written| &written.value)
        .map(String::as_str);
    let (wanted, found) = Wanted::parse(items, &context.own_platform);
    for notice in found {
        match written {
            Some(written) => note(notices, written, Some(notice)),
            None => notices.push(notice),
        }
    }
    wanted
}

/// Adds a notice with the field it is about, once: images share the settings of their Application.
fn note<T>(notices: &mut Vec<Notice>, written: &Written<T>, notice: Option<Notice>) {
    let Some(notice) = notice else { return };
    let detail = format!("{}: {}", written.path, notice.detail);
    let notice = Notice::new(notice.reason, detail);
    if !notices.contains(&notice) {
        notices.push(notice);
    }
}

fn slot(image: &ImageSettings, configured: &ConfiguredImage) -> SlotImage {
    let text = |written: &Option<Written<String>>| written.as_ref().map(|w| w.value.clone());
    SlotImage {
        image: configured.reference.clone(),
        helm: HelmNames {
            name: text(&image.helm.name),
            tag: text(&image.helm.tag),
            spec: text(&image.helm.spec),
            digest: text(&image.own.helm_digest),
        },
        kustomize_name: text(&image.kustomize_name),
        plugin: PluginNames {
            name: text(&image.plugin.name),
            tag: text(&image.plugin.tag),
            spec: text(&image.plugin.spec),
        },
    }
}

/// What is demanded of the image's signatures, or the field that demands them and names no key.
fn verification(
    namespace: &str,
    image: &ImageSettings,
    notices: &mut Vec<Notice>,
) -> Result<Option<Arc<Effective>>, Arc<str>> {
    let Some(written) = &image.verification else {
        return Ok(None);
    };
    match Effective::from_images_verification(namespace, Some(&written.value)) {
        Mapped::Off => Ok(None),
        Mapped::KeyMissing => Err(Arc::clone(&written.path)),
        Mapped::Policy(policy, notice) => {
            note(notices, written, Some(notice));
            Ok(Some(Arc::from(policy)))
        }
    }
}
