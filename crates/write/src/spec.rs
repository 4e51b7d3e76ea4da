//! From admissions to a patch of an Application's own source: write-back method `argocd`.
//!
//! The patch (RFC 6902) names each field that it replaces and tests first that what it builds on
//! still stands there, so the API server itself refuses it where somebody was faster, and nothing
//! of anybody's is written over. It touches nothing but Helm parameters, kustomize images and
//! plugin variables of one source. Argo CD manual, "Application specification"; drop-in contract:
//! the fields and their merging are those of Argo CD Image Updater.

use jiff::Timestamp;
use sealift_core::manifest::Source;
use sealift_core::path::RepoPath;
use sealift_core::reference::Reference;
use sealift_core::slot::source::Which;
use sealift_core::slot::{self, Format, Place, SlotImage, SourceImages, merge};
use sealift_trust::Admitted;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::WriteError;

/// One step of a patch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Goes on only if `value` stands at `path`.
    Test {
        /// JSON pointer.
        path: String,
        /// What must stand there.
        value: Value,
    },
    /// Puts `value` at `path`, which may be the end of a list (`-`).
    Add {
        /// JSON pointer.
        path: String,
        /// What is put there.
        value: Value,
    },
    /// Puts `value` in the place of what stands at `path`.
    Replace {
        /// JSON pointer.
        path: String,
        /// What is put there.
        value: Value,
    },
}

/// One image to write into an Application.
#[derive(Debug)]
pub struct SpecEdit<'a> {
    /// The image and the names it is written under.
    pub image: &'a SlotImage,
    /// How the source holds it.
    pub format: Format,
    /// The slot that the right is for.
    pub slot: &'a str,
    /// The reference to write.
    pub new: &'a Reference,
    /// The right to write it.
    pub admitted: Admitted,
}

/// A patch of one Application. It is sent once.
#[derive(Debug)]
#[must_use = "a patch that is not sent is an update that is lost"]
pub struct SpecPatch {
    operations: Vec<Operation>,
    admitted: Vec<Admitted>,
}

impl SpecPatch {
    /// The steps, tests first.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What the patch is allowed to write.
    pub fn admitted(&self) -> &[Admitted] {
        &self.admitted
    }
}

/// Plans a patch that writes `edits` into the source `which` of `application`, as it was just read.
/// Comes back with the source after it, for those who look on.
///
/// # Errors
/// [`WriteError::AdmissionEnded`]: another value stands there than the admission is for, or it is
/// too old. [`WriteError::NoSource`]: there is no such source. [`WriteError::Empty`]: everything
/// stands there already.
pub fn spec_patch(
    application: &Value,
    which: Which,
    edits: Vec<SpecEdit<'_>>,
    now: Timestamp,
) -> Result<(SpecPatch, Value), WriteError> {
    let path = which.path();
    let missing = |problem: &str| WriteError::NoSource {
        path: path.clone(),
        problem: problem.to_owned(),
    };
    let pointer = format!("/{path}");
    let source = application.pointer(&pointer);
    let source = source
        .filter(|source| source.is_object())
        .ok_or_else(|| missing("there is none"))?;
    let mut draft = Draft {
        pointer: pointer.clone(),
        source: source.clone(),
        operations: identity(application, &pointer, source),
        changed: false,
    };
    let mut admitted = Vec::with_capacity(edits.len());
    for edit in edits {
        let now_there = written(&draft.source, &path, &edit).map_err(|why| missing(&why))?;
        let right = &edit.admitted;
        // An earlier image of the same patch may have written the same already.
        let joins = admitted.iter().any(|other: &Admitted| {
            other.claim().slot == right.claim().slot && other.claim().new == right.claim().new
        });
        let holds = right.holds(edit.slot, now_there.as_deref(), now) || joins;
        if !holds || right.claim().new != edit.new.to_string() {
            let slot = edit.slot.to_owned();
            return Err(WriteError::AdmissionEnded { slot });
        }
        draft.write(&edit).map_err(|why| missing(&why))?;
        admitted.push(edit.admitted);
    }
    if !draft.changed {
        return Err(WriteError::Empty);
    }
    let Draft {
        source, operations, ..
    } = draft;
    let patch = SpecPatch {
        operations,
        admitted,
    };
    Ok((patch, source))
}

/// What makes sure that the patch meets the same Application and the same source: an index alone
/// would follow whatever moved to it.
fn identity(application: &Value, pointer: &str, source: &Value) -> Vec<Operation> {
    let mut tests = Vec::new();
    let uid = "/metadata/uid";
    if let Some(value) = application.pointer(uid) {
        tests.push(test(uid.to_owned(), value.clone()));
    }
    for key in ["repoURL", "path", "chart", "ref"] {
        if let Some(value) = source.get(key) {
            tests.push(test(format!("{pointer}/{key}"), value.clone()));
        }
    }
    tests
}

/// What the source says of the image now.
fn written(source: &Value, path: &str, edit: &SpecEdit<'_>) -> Result<Option<String>, String> {
    let source = typed(source)?;
    let place = Place {
        path: &RepoPath::join("", path).map_err(|error| error.to_string())?,
        format: edit.format,
        image: edit.image,
        source: &SourceImages::of(&source, [edit.image]),
        manifest: None,
    };
    let found = slot::find(&place, None).map_err(|error| error.to_string())?;
    Ok(found.current.map(|current| current.written))
}

fn typed(source: &Value) -> Result<Source, String> {
    serde_json::from_value(source.clone()).map_err(|error| error.to_string())
}

const fn test(path: String, value: Value) -> Operation {
    Operation::Test { path, value }
}

/// A patch in the making, and the source as it would be after it.
struct Draft {
    pointer: String,
    source: Value,
    operations: Vec<Operation>,
    changed: bool,
}

impl Draft {
    fn write(&mut self, edit: &SpecEdit<'_>) -> Result<(), String> {
        let source = typed(&self.source)?;
        match edit.format {
            Format::KustomizeOverride => {
                let before = source.kustomize.unwrap_or_default().images;
                let name = edit.image.kustomize_name.as_deref();
                let after = merge::set_kustomize_image(&before, name, edit.new);
                self.set_texts(&before, &after);
            }
            Format::PluginOverride => {
                for variable in edit.image.plugin.variables(edit.new) {
                    let fields = json!({ "name": variable.name, "value": variable.value });
                    self.set_named(["plugin", "env"], &fields);
                }
            }
            Format::HelmOverride => {
                for parameter in edit.image.helm.parameters(edit.new) {
                    let fields = json!({ "name": parameter.name, "value": parameter.value,
                                         "forceString": true });
                    self.set_named(["helm", "parameters"], &fields);
                }
            }
            Format::HelmValues | Format::Kustomization => {
                return Err("a file in Git is meant".to_owned());
            }
        }
        Ok(())
    }

    /// Kustomize images: each that differs is replaced, new ones are appended.
    fn set_texts(&mut self, before: &[String], after: &[String]) {
        let keys = ["kustomize", "images"];
        let list = format!("{}/kustomize/images", self.pointer);
        for (index, (old, new)) in before.iter().zip(after).enumerate() {
            if old != new {
                let path = format!("{list}/{index}");
                self.operations.push(test(path.clone(), json!(old)));
                self.replace(keys, index, path, json!(new));
            }
        }
        for new in after.iter().skip(before.len()) {
            self.append(keys, json!(new));
        }
    }

    /// Entries of a list that are told apart by `name`: all of that name get `fields` and keep
    /// whatever else they have; where there is none, one is appended.
    fn set_named(&mut self, keys: [&str; 2], fields: &Value) {
        let [outer, inner] = keys;
        let list = format!("{}/{outer}/{inner}", self.pointer);
        let entries = self.list(keys).cloned().unwrap_or_default();
        let mut found = false;
        for (index, old) in entries.iter().enumerate() {
            if old.get("name") != fields.get("name") {
                continue;
            }
            found = true;
            let mut new = old.clone();
            if let (Some(new), Some(fields)) = (new.as_object_mut(), fields.as_object()) {
                new.extend(fields.clone());
            }
            if new != *old {
                let path = format!("{list}/{index}");
                self.operations.push(test(path.clone(), old.clone()));
                self.replace(keys, index, path, new);
            }
        }
        if !found {
            self.append(keys, fields.clone());
        }
    }

    fn list(&self, [outer, inner]: [&str; 2]) -> Option<&Vec<Value>> {
        self.source.get(outer)?.get(inner)?.as_array()
    }

    fn list_mut(&mut self, [outer, inner]: [&str; 2]) -> Option<&mut Vec<Value>> {
        self.source.get_mut(outer)?.get_mut(inner)?.as_array_mut()
    }

    fn replace(&mut self, keys: [&str; 2], index: usize, path: String, value: Value) {
        if let Some(entry) = self.list_mut(keys).and_then(|list| list.get_mut(index)) {
            entry.clone_from(&value);
        }
        self.operations.push(Operation::Replace { path, value });
        self.changed = true;
    }

    /// Appends to a list, which is made where it is absent. What it is added to is tested whole:
    /// nobody else may have added the same meanwhile.
    fn append(&mut self, keys: [&str; 2], entry: Value) {
        let [outer, inner] = keys;
        self.changed = true;
        let (at, there) = (format!("{}/{outer}", self.pointer), self.source.get(outer));
        let block = there.filter(|block| block.is_object()).cloned();
        let (path, value, tested) = match (block, self.list(keys).cloned()) {
            (Some(_), Some(list)) => {
                let list_path = format!("{at}/{inner}");
                (
                    format!("{list_path}/-"),
                    entry.clone(),
                    (list_path, json!(list)),
                )
            }
            (Some(block), None) => (format!("{at}/{inner}"), json!([entry]), (at, block)),
            (None, _) => {
                let whole = (self.pointer.clone(), self.source.clone());
                (at, json!({ inner: [entry] }), whole)
            }
        };
        self.operations.push(test(tested.0, tested.1));
        self.operations.push(Operation::Add { path, value });
        match self.list_mut(keys) {
            Some(list) => list.push(entry),
            None => self.make(keys, entry),
        }
    }

    fn make(&mut self, [outer, inner]: [&str; 2], entry: Value) {
        let Some(source) = self.source.as_object_mut() else {
            return;
        };
        let block = source.entry(outer).or_insert(Value::Null);
        if let Some(block) = block.as_object_mut() {
            block.insert(inner.to_owned(), json!([entry]));
        } else {
            *block = json!({ inner: [entry] });
        }
    }
}

#[cfg(test)]
mod tests;
