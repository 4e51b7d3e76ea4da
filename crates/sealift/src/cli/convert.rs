//! `sealift convert`: annotations into ImageUpdaters, or back. Prints objects or a diff; changes
//! nothing.
//!
//! Here: reading, printing, and what cannot be converted. Not here: the conversion
//! (`sealift_core::image_updater::convert`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use sealift_core::image_updater::convert::{
    Lost, objects, own_annotations, to_annotations, to_reference,
};
use sealift_core::image_updater::spec::ApplicationRef;
use sealift_core::image_updater::{ImageUpdater, Roster};
use sealift_core::manifest::ApplicationManifest;
use sealift_core::settings::annotations::{self, Annotated};
use sealift_core::settings::{OWN_PREFIX, PEER_PREFIX};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::objects::files::{FileObjects, FilenameArg, Reader};
use crate::objects::{Listed, Objects};
use crate::output::{BAD, escape, ignore_closed_pipe, json_document};

/// Arguments of `convert`.
#[derive(Debug, clap::Args)]
pub struct ConvertArguments {
    /// File, folder (read recursively) or `-` with Kubernetes objects. Repeatable
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    filename: Vec<String>,
    /// What is made of what is found
    #[arg(long, value_name = "FORM", default_value = "image-updater")]
    to: Form,
    /// Name of the ImageUpdater that is made in each namespace
    #[arg(long, default_value = "image-updater")]
    name: String,
    /// Namespace of objects that name none
    #[arg(long, env = "ARGOCD_NAMESPACE", default_value = "argocd")]
    argocd_namespace: String,
    /// Print what changes as a diff instead of the objects
    #[arg(long)]
    diff: bool,
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// ImageUpdaters that say what the annotations say
    ImageUpdater,
    /// Annotations that say what the ImageUpdaters say
    Annotations,
}

/// What was made, and what could not be.
#[derive(Default)]
struct Made {
    documents: Vec<Value>,
    changes: Vec<Change>,
    problems: Vec<String>,
}

/// One object before and after.
struct Change {
    name: String,
    before: Option<Value>,
    after: Option<Value>,
}

/// Converts and prints.
///
/// # Errors
/// Nothing can be read, or standard output refuses the answer.
pub async fn run(arguments: ConvertArguments) -> anyhow::Result<Exit> {
    let read = read(&arguments)?;
    let applications = read.take_applications().await?;
    let mut made = Made::default();
    for problem in &applications.problems {
        made.problems.push(problem.to_string());
    }
    let updaters = read.listed_updaters().iter();
    let updaters = updaters.filter_map(|listed| {
        let object = listed.object.as_ref()?;
        let read = ImageUpdater::read(object, &arguments.argocd_namespace);
        read.map_err(|bad| {
            let said = format!(
                "{}: ImageUpdater `{}`: {}",
                listed.origin,
                bad.id,
                bad.detail()
            );
            made.problems.push(said);
        })
        .ok()
    });
    let updaters: Vec<ImageUpdater> = updaters.collect();
    let roster = Roster::new(updaters);
    match arguments.to {
        Form::ImageUpdater => made.image_updaters(&applications.listed, &roster, &arguments.name),
        Form::Annotations => made.annotations(&applications.listed, &roster),
    }
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let printed = match arguments.diff {
        true => made.print_diff(&mut out),
        false => made.print(&mut out),
    };
    ignore_closed_pipe(printed.and_then(|()| out.flush()))?;
    made.conclude()
}

fn read(arguments: &ConvertArguments) -> anyhow::Result<FileObjects> {
    let mut reader = Reader::new(&arguments.argocd_namespace);
    for text in &arguments.filename {
        match text.parse::<FilenameArg>()? {
            FilenameArg::Stdin => reader.read_stdin(io::stdin().lock()),
            FilenameArg::Path(path) => {
                fs::metadata(&path).with_context(|| format!("`-f {text}` cannot be read"))?;
                reader.read_path(&path);
            }
            FilenameArg::Git { .. } => {
                anyhow::bail!("`-f {text}`: clone the repository, and name the folder");
            }
        }
    }
    Ok(reader.finish())
}

impl Made {
    /// One object for each namespace, with one reference for each annotated Application.
    fn image_updaters(&mut self, listed: &[Listed], roster: &Roster, name: &str) {
        let mut references: BTreeMap<String, Vec<ApplicationRef>> = BTreeMap::new();
        for one in listed {
            let metadata = &one.manifest.metadata;
            let by_updater = roster.claim(&one.manifest);
            if by_updater.is_some_and(|claim| !claim.rule.reference.use_annotations) {
                continue;
            }
            let id = format!("{}/{}", metadata.namespace, metadata.name);
            let Some(annotated) = annotations::read(&id, &metadata.annotations) else {
                continue;
            };
            let Annotated { settings, notices } = annotated;
            let ignored = notices
                .iter()
                .map(|notice| format!("{id} {}", notice.detail));
            self.problems.extend(ignored);
            match settings {
                Err(error) => self.problems.push(error.to_string()),
                Ok(settings) => {
                    let converted = to_reference(&metadata.name, &settings);
                    self.lost(&id, &converted.lost);
                    let of_namespace = references.entry(metadata.namespace.clone());
                    of_namespace.or_default().push(converted.value);
                    self.changes.push(without_annotations(&id, &one.manifest));
                }
            }
        }
        for (namespace, references) in references {
            for object in objects(&namespace, name, &references) {
                self.updater(object, roster);
            }
        }
    }

    fn updater(&mut self, object: Value, roster: &Roster) {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
        let id = format!("{}/{}", text("namespace"), text("name"));
        if roster.iter().any(|updater| updater.id.to_string() == id) {
            let hint = "name another one with `--name`";
            self.problems
                .push(format!("there is an ImageUpdater `{id}` already: {hint}"));
            return;
        }
        if let Err(bad) = ImageUpdater::read(&object, text("namespace")) {
            self.problems
                .push(format!("ImageUpdater `{id}`: {}", bad.detail()));
            return;
        }
        self.changes.push(Change {
            name: format!("ImageUpdater {id}"),
            before: None,
            after: Some(object.clone()),
        });
        self.documents.push(object);
    }

    /// The annotations of each Application that an object follows.
    fn annotations(&mut self, listed: &[Listed], roster: &Roster) {
        for one in listed {
            let metadata = &one.manifest.metadata;
            let Some(claim) = roster.claim(&one.manifest) else {
                continue;
            };
            if claim.rule.reference.use_annotations {
                continue;
            }
            let id = format!("{}/{}", metadata.namespace, metadata.name);
            let mut notices = Vec::new();
            let settings = claim
                .updater
                .settings(claim.rule, &one.manifest, &mut notices);
            let ignored = notices
                .iter()
                .map(|notice| format!("{id} {}", notice.detail));
            self.problems.extend(ignored);
            match settings {
                Err(error) => self.problems.push(error.to_string()),
                Ok(settings) => {
                    let converted = to_annotations(&settings);
                    self.lost(&id, &converted.lost);
                    let mut annotations = converted.value;
                    annotations.extend(own_annotations(&settings, claim.updater, metadata));
                    let after = application(&one.manifest, &annotations);
                    self.changes.push(Change {
                        name: format!("Application {id}"),
                        before: Some(as_it_is(&one.manifest)),
                        after: Some(after.clone()),
                    });
                    self.documents.push(after);
                }
            }
        }
    }

    fn lost(&mut self, id: &str, lost: &[Lost]) {
        let lost = lost
            .iter()
            .map(|lost| format!("Application `{id}`: {lost}"));
        self.problems.extend(lost);
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        for (index, document) in self.documents.iter().enumerate() {
            if index > 0 {
                writeln!(out, "---")?;
            }
            out.write_all(yaml(document)?.as_bytes())?;
        }
        Ok(())
    }

    fn print_diff(&self, out: &mut impl Write) -> io::Result<()> {
        for change in &self.changes {
            let side = |value: &Option<Value>| value.as_ref().map_or(Ok(String::new()), yaml);
            let (before, after) = (side(&change.before)?, side(&change.after)?);
            let named = |there: &Option<Value>, side: &str| match there {
                Some(_) => format!("{side}/{}", escape(&change.name)),
                None => "/dev/null".to_owned(),
            };
            let diff = similar::TextDiff::from_lines(&before, &after)
                .unified_diff()
                .context_radius(3)
                .header(&named(&change.before, "a"), &named(&change.after, "b"))
                .to_string();
            out.write_all(diff.as_bytes())?;
        }
        Ok(())
    }

    /// Says what was not converted. Nothing is left out in silence, so that is a failure.
    fn conclude(self) -> anyhow::Result<Exit> {
        let mut err = anstream::stderr();
        for problem in &self.problems {
            let problem = escape(problem);
            writeln!(err, "{BAD}error:{BAD:#} {problem}")?;
        }
        Ok(
            match (self.problems.is_empty(), self.documents.is_empty()) {
                (false, _) => Exit::Failed,
                (true, true) => {
                    writeln!(err, "error: there is nothing to convert")?;
                    Exit::NothingSelected
                }
                (true, false) => Exit::Done,
            },
        )
    }
}

/// The object as YAML. Where its writer would let through what a terminal obeys, or what hides or
/// reorders text: as JSON, which is YAML, too, and has an escape for each such character.
fn yaml(value: &Value) -> io::Result<String> {
    let text = serde_saphyr::to_string(value).map_err(io::Error::other)?;
    if text
        .lines()
        .all(|line| matches!(escape(line), Cow::Borrowed(_)))
    {
        return Ok(text);
    }
    let mut json = Vec::new();
    json_document(&mut json, value)?;
    String::from_utf8(json).map_err(io::Error::other)
}

/// The parts of an Application that a conversion is about.
fn application(manifest: &ApplicationManifest, annotations: &BTreeMap<String, String>) -> Value {
    let metadata = &manifest.metadata;
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "annotations": annotations,
        },
    })
}

fn annotations_of(manifest: &ApplicationManifest, prefixes: &[&str]) -> BTreeMap<String, String> {
    let all = manifest.metadata.annotations.iter();
    all.filter(|(key, _)| prefixes.iter().any(|prefix| key.starts_with(prefix)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn as_it_is(manifest: &ApplicationManifest) -> Value {
    application(
        manifest,
        &annotations_of(manifest, &[PEER_PREFIX, OWN_PREFIX]),
    )
}

/// The Application once its ImageUpdater says it all. Our own annotations stay.
fn without_annotations(id: &str, manifest: &Arc<ApplicationManifest>) -> Change {
    Change {
        name: format!("Application {id}"),
        before: Some(as_it_is(manifest)),
        after: Some(application(
            manifest,
            &annotations_of(manifest, &[OWN_PREFIX]),
        )),
    }
}
