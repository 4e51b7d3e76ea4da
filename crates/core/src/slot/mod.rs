//! Slots: where one image is written, what stands there, and what the file looks like after a
//! write.
//!
//! [`target`] and [`source`] turn settings into a [`Place`]; [`find`] reads what Git wants there;
//! [`render`] gives the new bytes of the file, of which only the value differs (see
//! [`crate::yaml`]). All of it is pure. Identity is the file and the keys in it, never the image
//! name alone.
//!
//! Not here: which value is chosen, or whether it may be written. Formats: Argo CD manual,
//! "Parameter overrides" (the `.argocd-source` files); kustomize reference, `images`; Helm values
//! files.

pub mod chart;
mod error;
mod helm_values;
pub mod in_manifest;
mod key_path;
mod kustomization;
pub mod merge;
pub mod override_file;
#[cfg(test)]
mod properties;
pub mod source;
pub mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::manifest::{HelmParameter, PluginVariable, Source};
use crate::path::RepoPath;
use crate::reference::Reference;
use crate::yaml::{Editor, Splice};
use in_manifest::ManifestSource;

pub use error::{SlotError, SlotProblem, TargetError};
pub use key_path::set_text as set_value;

/// One configured image, as far as writing is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotImage {
    /// Registry and name to write; its tag is a constraint and is not looked at.
    pub image: Reference,
    /// Names of Helm values or parameters.
    pub helm: HelmNames,
    /// The name that manifests use, when kustomize shall replace that one.
    pub kustomize_name: Option<String>,
    /// Names of plugin environment variables.
    pub plugin: PluginNames,
}

/// Where Helm keeps the parts of an image. Dotted paths for values files, parameter names
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelmNames {
    /// Of the name without tag.
    pub name: Option<String>,
    /// Of the tag.
    pub tag: Option<String>,
    /// Of the whole reference; then the others do not count.
    pub spec: Option<String>,
    /// Of the digest; then the tag stays without one.
    pub digest: Option<String>,
}

/// Which environment variables a plugin reads an image from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginNames {
    /// Of the name without tag.
    pub name: Option<String>,
    /// Of the tag.
    pub tag: Option<String>,
    /// Of the whole reference.
    pub spec: Option<String>,
}

/// What the Application's own source says about images; it counts where the file says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceImages {
    /// `helm.parameters`
    pub helm_parameters: Vec<HelmParameter>,
    /// `kustomize.images`
    pub kustomize_images: Vec<String>,
    /// `plugin.env`
    pub plugin_env: Vec<PluginVariable>,
    /// Names of the Helm parameters of all configured images of the Application: an override file
    /// replaces the whole list of the Application, so those it would hide are carried into it.
    pub managed_parameters: Vec<String>,
}

impl SourceImages {
    /// What `source` says, for an Application with these configured images.
    #[must_use]
    pub fn of<'a>(source: &Source, configured: impl IntoIterator<Item = &'a SlotImage>) -> Self {
        let mut managed_parameters = Vec::new();
        for image in configured {
            match image.helm.keys() {
                merge::HelmKeys::Spec(spec) => managed_parameters.push(spec.to_owned()),
                merge::HelmKeys::Parts { name, tag, digest } => {
                    let names = [Some(name), Some(tag), digest].into_iter().flatten();
                    managed_parameters.extend(names.map(str::to_owned));
                }
            }
        }
        let (helm, kustomize) = (source.helm.as_ref(), source.kustomize.as_ref());
        let plugin = source.plugin.as_ref();
        Self {
            helm_parameters: helm.map_or_else(Vec::new, |helm| helm.parameters.clone()),
            kustomize_images: kustomize.map_or_else(Vec::new, |block| block.images.clone()),
            plugin_env: plugin.map_or_else(Vec::new, |plugin| plugin.env.clone()),
            managed_parameters,
        }
    }
}

/// How a file holds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// A Helm values file.
    HelmValues,
    /// A kustomization.
    Kustomization,
    /// `helm.parameters` of an override file.
    HelmOverride,
    /// `kustomize.images` of an override file.
    KustomizeOverride,
    /// `plugin.env` of an override file.
    PluginOverride,
}

/// One image and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The file; for a kustomization the one of its three names that exists.
    pub path: &'a RepoPath,
    /// How it holds images.
    pub format: Format,
    /// The image.
    pub image: &'a SlotImage,
    /// What the Application says.
    pub source: &'a SourceImages,
    /// The file is the manifest of an Application, and its lists are those of this source. `None`:
    /// they stand at the root of the file.
    pub manifest: Option<&'a ManifestSource>,
}

/// Identity of a slot within a repository and branch: the file, and the keys that are written
/// together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    /// The file.
    pub path: RepoPath,
    /// Keys in it, sorted.
    pub routes: Vec<String>,
}

impl fmt::Display for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.path, self.routes.join(","))
    }
}

/// Who says what is wanted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The file in Git.
    File,
    /// The Application's own source, because the file is silent.
    Application,
}

/// What is wanted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// Registry and name; those of the configured image where no name is written, or only the host
    /// is missing.
    pub image: Reference,
    /// The exact values that stand there, joined, for messages and for comparing later.
    pub written: String,
    /// Who says so.
    pub origin: Origin,
}

/// A place that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its identity.
    pub key: SlotKey,
    /// What is wanted there now; `None` where nobody says.
    pub current: Option<Current>,
}

/// A file after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What differs, as ranges of the file before, in order. Empty: nothing does, and there is
    /// nothing to commit.
    pub splices: Vec<Splice>,
    /// Every key that was to be written and its value, changed or not. Two writes of one key with
    /// different values are a contest, which the caller refuses.
    pub writes: BTreeMap<String, String>,
}

impl Rendered {
    /// Whether the file stays as it is.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.splices.is_empty()
    }
}

/// Looks up what `file` (`None`: it does not exist) and the Application want at `place`.
///
/// # Errors
/// [`SlotError`]: the file cannot be read, or the place in it is no place for an image.
pub fn find(place: &Place<'_>, file: Option<&[u8]>) -> Result<Slot, SlotError> {
    let editor = open(place, file)?;
    let found = match place.format {
        Format::HelmValues => helm_values::find(place.image, editor.tree()),
        Format::Kustomization => kustomization::find(place.image, editor.tree()),
        Format::HelmOverride | Format::KustomizeOverride | Format::PluginOverride => {
            override_file::find(place, editor.tree())
        }
    };
    let (mut routes, current) = found.map_err(|problem| problem.at(place.path))?;
    routes.sort();
    let path = place.path.clone();
    Ok(Slot {
        key: SlotKey { path, routes },
        current,
    })
}

/// Writes `new` at `place`.
///
/// Pure and composable: the next image of the same file is rendered on these bytes. `new` has the
/// registry and name of the configured image, with a tag, a digest, or both.
///
/// # Errors [`SlotError`]: as [`find`], and when the edit would change anything else
/// (`edit-unsafe`) or a value that other keys share (`anchor-shared`).
pub fn render(
    place: &Place<'_>,
    file: Option<&[u8]>,
    new: &Reference,
) -> Result<Rendered, SlotError> {
    let mut editor = open(place, file)?;
    let writes = match place.format {
        Format::HelmValues => helm_values::write(place.image, &mut editor, new),
        Format::Kustomization => kustomization::write(place.image, &mut editor, new),
        Format::HelmOverride | Format::KustomizeOverride | Format::PluginOverride => {
            override_file::write(place, &mut editor, new)
        }
    };
    let writes = writes.map_err(|problem| problem.at(place.path))?;
    let bytes = editor.tree().text().as_bytes().to_vec();
    let mut splices = editor.splices().to_vec();
    if !splices.is_empty() && is_blank(file) {
        splices = vec![Splice {
            range: 0..file.map_or(0, <[u8]>::len),
            replacement: editor.tree().text().to_owned(),
        }];
    }
    Ok(Rendered {
        bytes,
        splices,
        writes,
    })
}

fn open(place: &Place<'_>, file: Option<&[u8]>) -> Result<Editor, SlotError> {
    let bytes: &[u8] = match (file, place.format) {
        (None, Format::Kustomization) => {
            return Err(SlotProblem::NoKustomization.at(place.path));
        }
        (_, Format::HelmValues) if is_blank(file) => helm_values::HEAD_COMMENT.as_bytes(),
        (Some(bytes), _) => bytes,
        (None, _) => b"",
    };
    Editor::new(bytes).map_err(|error| SlotProblem::Unreadable(error).at(place.path))
}

fn is_blank(file: Option<&[u8]>) -> bool {
    file.is_none_or(|bytes| bytes.trim_ascii().is_empty())
}

impl SlotImage {
    /// What is written when `new` is chosen, for a slot whose current name is `written`.
    ///
    /// The name stays as it is written where it names the same repository. A host that the file
    /// leaves out (a chart may keep it under another key) stays out.
    pub(crate) fn name_to_write(&self, new: &Reference, written: Option<&str>) -> String {
        let full = new.full_name();
        let Some(written) = written.filter(|written| !written.is_empty()) else {
            return full;
        };
        if Reference::parse(written).same_image(new) {
            return written.to_owned();
        }
        match (split_host(&full), split_host(written)) {
            ((Some(_), path), (None, _)) => path.to_owned(),
            _ => full,
        }
    }

    /// The reference that `written` (a name without tag) means: the configured one where only its
    /// host is missing.
    pub(crate) fn image_written_as(&self, written: &Reference) -> Reference {
        let configured = self.image.without_tag();
        let name = written.full_name();
        let full = configured.full_name();
        let host_left_out = split_host(&name).0.is_none() && split_host(&full).1 == name;
        if host_left_out || written.same_image(&configured) {
            configured
        } else {
            written.without_tag()
        }
    }
}

/// Splits off the first element if it looks like a host: it holds a dot.
fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((host, path)) if host.contains('.') => (Some(host), path),
        _ => (None, name),
    }
}
