//! Images in override files: `helm.parameters`, `kustomize.images`, `plugin.env`.
//!
//! Argo CD puts the lists of this file in the place of the Application's own, so entries of the
//! Application that the file would hide are carried into it. Everything else in it stays.

use std::collections::{BTreeMap, BTreeSet};

use super::error::SlotProblem;
use super::in_manifest::ManifestSource;
use super::key_path::{bounded, lookup, owned, wrong_kind};
use super::merge::{self, HelmKeys};
use super::{Current, Format, Origin, Place, SlotImage};
use crate::limits::IMAGES_PER_APPLICATION_MAX;
use crate::manifest::{HelmParameter, PluginVariable};
use crate::reference::{Canonical, KustomizeImage, Reference};
use crate::yaml::{Editor, Kind, New, NodeId, Tree};

type FoundSlot = (Vec<String>, Option<Current>);
type Writes = BTreeMap<String, String>;

/// Where in the file the lists stand: at its root, or in the source of an Application.
type At<'a> = Option<&'a ManifestSource>;

/// Outer and inner key of a list.
type ListPath = [&'static str; 2];

const PARAMETERS: ListPath = ["helm", "parameters"];
const IMAGES: ListPath = ["kustomize", "images"];
const ENV: ListPath = ["plugin", "env"];

/// The keys, and what the file says at them, or else the Application.
pub(super) fn find(place: &Place<'_>, tree: &Tree) -> Result<FoundSlot, SlotProblem> {
    match place.format {
        Format::HelmOverride => find_parameters(place, tree),
        Format::PluginOverride => find_env(place, tree),
        _ => find_image(place, tree),
    }
}

/// Writes the image, and what of the Application the file would hide otherwise.
pub(super) fn write(
    place: &Place<'_>,
    editor: &mut Editor,
    new: &Reference,
) -> Result<Writes, SlotProblem> {
    match place.format {
        Format::HelmOverride => write_parameters(place, editor, new),
        Format::PluginOverride => write_env(place, editor, new),
        _ => write_images(place, editor, new),
    }
}

fn find_parameters(place: &Place<'_>, tree: &Tree) -> Result<FoundSlot, SlotProblem> {
    let helm = &place.image.helm;
    let names = match helm.keys() {
        HelmKeys::Spec(spec) => vec![spec],
        HelmKeys::Parts { name, tag, digest } => [Some(name), Some(tag), digest]
            .into_iter()
            .flatten()
            .collect(),
    };
    let at = place.manifest;
    let routes = names
        .iter()
        .map(|name| route(at, PARAMETERS, name))
        .collect();
    let mut in_file = Vec::new();
    for name in &names {
        if let Some(value) = named_value(tree, at, PARAMETERS, name)? {
            in_file.push(HelmParameter {
                name: (*name).to_owned(),
                value,
                force_string: true,
            });
        }
    }
    let current = parameters_mean(place.image, &in_file, Origin::File).or_else(|| {
        parameters_mean(
            place.image,
            &place.source.helm_parameters,
            Origin::Application,
        )
    });
    Ok((routes, current))
}

fn parameters_mean(
    image: &SlotImage,
    parameters: &[HelmParameter],
    origin: Origin,
) -> Option<Current> {
    let value = |name: &str| {
        let found = parameters.iter().find(|parameter| parameter.name == name);
        found.map(|parameter| parameter.value.clone())
    };
    match image.helm.keys() {
        HelmKeys::Spec(spec) => value(spec).and_then(|written| image.written(&written, origin)),
        HelmKeys::Parts { name, tag, digest } => {
            image.current_of_parts(value(name), value(tag), digest.and_then(value), origin)
        }
    }
}

fn find_env(place: &Place<'_>, tree: &Tree) -> Result<FoundSlot, SlotProblem> {
    let plugin = &place.image.plugin;
    let names: Vec<&String> = match &plugin.spec {
        Some(spec) => vec![spec],
        None => plugin.name.iter().chain(&plugin.tag).collect(),
    };
    let at = place.manifest;
    let routes = names.iter().map(|name| route(at, ENV, name)).collect();
    let mut in_file = Vec::new();
    for name in names {
        if let Some(value) = named_value(tree, at, ENV, name)? {
            let name = name.clone();
            in_file.push(PluginVariable { name, value });
        }
    }
    let mean = |env: &[PluginVariable], origin| {
        let value = |name: &String| {
            let found = env.iter().find(|variable| variable.name == *name);
            found.map(|variable| variable.value.clone())
        };
        match &plugin.spec {
            Some(spec) => value(spec).and_then(|written| place.image.written(&written, origin)),
            None => place.image.current_of_parts(
                plugin.name.as_ref().and_then(value),
                plugin.tag.as_ref().and_then(value),
                None,
                origin,
            ),
        }
    };
    let application = || mean(&place.source.plugin_env, Origin::Application);
    let current = mean(&in_file, Origin::File).or_else(application);
    Ok((routes, current))
}

fn find_image(place: &Place<'_>, tree: &Tree) -> Result<FoundSlot, SlotProblem> {
    let name = place.image.kustomize_name.as_deref();
    let text = merge::kustomize_entry(name, &place.image.image.without_tag());
    let at = place.manifest;
    let routes = vec![route(at, IMAGES, &KustomizeImage::parse(&text).name)];
    let key = replaced_image(&text);
    for item in items(tree, at, IMAGES)? {
        let ours = |entry: &&str| replaced_image(entry) == key;
        let Some(written) = tree.scalar(item).filter(ours) else {
            continue;
        };
        owned(tree, item, "kustomize.images")?;
        let (_, reference) = Reference::parse_aliased(written);
        let current = place.image.written(&reference.to_string(), Origin::File);
        return Ok((routes, current));
    }
    let images = &place.source.kustomize_images;
    let said = merge::kustomize_images_say(images, name, &place.image.image);
    let current = said.and_then(|written| {
        let (_, reference) = Reference::parse_aliased(written);
        place
            .image
            .written(&reference.to_string(), Origin::Application)
    });
    Ok((routes, current))
}

impl SlotImage {
    fn written(&self, text: &str, origin: Origin) -> Option<Current> {
        (!text.is_empty()).then(|| Current {
            image: self.current_of(&Reference::parse(text)),
            written: text.to_owned(),
            origin,
        })
    }
}

fn write_parameters(
    place: &Place<'_>,
    editor: &mut Editor,
    new: &Reference,
) -> Result<Writes, SlotProblem> {
    let (at, mut writes) = (place.manifest, Writes::new());
    for parameter in place.image.helm.parameters(new) {
        let route = route(at, PARAMETERS, &parameter.name);
        writes.insert(route, parameter.value.clone());
        put_parameter_at(editor, at, &parameter)?;
    }
    if at.is_some() {
        // It hides nothing: it is the list itself.
        return Ok(writes);
    }
    let hidden = place.source.helm_parameters.iter().filter(|parameter| {
        let managed = place.source.managed_parameters.contains(&parameter.name);
        managed && !writes.contains_key(&route(at, PARAMETERS, &parameter.name))
    });
    let held = names_in(editor.tree(), at, PARAMETERS)?;
    for parameter in hidden.filter(|parameter| !held.contains(&parameter.name)) {
        put_parameter(editor, parameter)?;
    }
    Ok(writes)
}

/// Replaces the parameter in `helm.parameters`, or adds it in the order of names.
///
/// # Errors
/// Another kind of node where a list or value is needed, a shared anchor, or an unsafe edit.
pub fn put_parameter(editor: &mut Editor, parameter: &HelmParameter) -> Result<(), SlotProblem> {
    put_parameter_at(editor, None, parameter)
}

fn put_parameter_at(
    editor: &mut Editor,
    at: At<'_>,
    parameter: &HelmParameter,
) -> Result<(), SlotProblem> {
    let found = put_value(editor, at, PARAMETERS, &parameter.name, &parameter.value)?;
    for index in &found {
        force_string(editor, at, *index)?;
    }
    if !found.is_empty() {
        return Ok(());
    }
    let tree = editor.tree();
    let items = items(tree, at, PARAMETERS)?;
    let greater =
        |item: &NodeId| name_of(tree, *item).is_some_and(|name| name > parameter.name.as_str());
    let index = items.iter().position(greater).unwrap_or(items.len());
    let entry = New::Map(vec![
        ("name".to_owned(), New::Text(parameter.name.clone())),
        ("value".to_owned(), New::Text(parameter.value.clone())),
        (flag_name(at).to_owned(), New::Flag(true)),
    ]);
    insert(editor, at, PARAMETERS, index, &entry)
}

/// The key as each of them spells it: a field of an Application that is spelt otherwise is dropped.
const fn flag_name(at: At<'_>) -> &'static str {
    match at {
        Some(_) => "forceString",
        None => "forcestring",
    }
}

/// Argo CD reads the key of an override file in any case.
fn force_string(editor: &mut Editor, at: At<'_>, index: usize) -> Result<(), SlotProblem> {
    let tree = editor.tree();
    let Some(item) = items(tree, at, PARAMETERS)?.get(index).copied() else {
        return Ok(());
    };
    let mut entries = tree.entries(item).iter();
    let found = entries.find(|(key, _)| {
        let key = tree.scalar(*key);
        key.is_some_and(|key| key.eq_ignore_ascii_case("forceString"))
    });
    let done = match found {
        Some((_, value)) => editor.set_flag(*value, true),
        None => editor.add_entry(Some(item), flag_name(at), &New::Flag(true)),
    };
    done.map_err(|source| unsafe_edit(PARAMETERS, source))
}

fn write_images(
    place: &Place<'_>,
    editor: &mut Editor,
    new: &Reference,
) -> Result<Writes, SlotProblem> {
    let name = place.image.kustomize_name.as_deref();
    let text = merge::kustomize_entry(name, new);
    let at = place.manifest;
    // The list of the Application itself lacks nothing that the Application says.
    let said = at.map_or(&place.source.kustomize_images[..], |_| &[]);
    let merged = merge::set_kustomize_image(said, name, new);
    put_image_at(editor, at, &text, &merged)?;
    let key = route(at, IMAGES, &KustomizeImage::parse(&text).name);
    Ok(Writes::from([(key, text)]))
}

/// Replaces the entry `text` in `kustomize.images`, and adds those of `application` that are
/// absent.
///
/// Entries are told apart by the name that they replace: aliases are entries of their own.
///
/// # Errors
/// As [`put_parameter`].
pub fn put_image(
    editor: &mut Editor,
    text: &str,
    application: &[String],
) -> Result<(), SlotProblem> {
    put_image_at(editor, None, text, application)
}

fn put_image_at(
    editor: &mut Editor,
    at: At<'_>,
    text: &str,
    application: &[String],
) -> Result<(), SlotProblem> {
    let mut held = BTreeMap::new();
    for (index, item) in items(editor.tree(), at, IMAGES)?.into_iter().enumerate() {
        if let Some(old) = editor.tree().scalar(item) {
            held.entry(replaced_image(old)).or_insert(index);
        }
    }
    let new_key = replaced_image(text);
    for entry in application.iter().take(IMAGES_PER_APPLICATION_MAX) {
        let key = replaced_image(entry);
        let is_new = key == new_key;
        match held.get(&key) {
            Some(index) if is_new => replace_image(editor, at, *index, text)?,
            Some(_) => {}
            None => {
                let end = items(editor.tree(), at, IMAGES)?.len();
                insert(editor, at, IMAGES, end, &New::Text(entry.clone()))?;
                held.insert(key, end);
            }
        }
    }
    Ok(())
}

fn replace_image(
    editor: &mut Editor,
    at: At<'_>,
    index: usize,
    text: &str,
) -> Result<(), SlotProblem> {
    let tree = editor.tree();
    let Some(item) = items(tree, at, IMAGES)?.get(index).copied() else {
        return Ok(());
    };
    let item = owned(tree, item, "kustomize.images")?;
    if tree.scalar(item).is_some_and(|old| is_kept(old, text)) {
        return Ok(());
    }
    let done = editor.set_text(item, text);
    done.map_err(|source| unsafe_edit(IMAGES, source))
}

/// The image of the manifests that an entry replaces: what tells entries apart.
fn replaced_image(entry: &str) -> Canonical {
    Reference::parse(&KustomizeImage::parse(entry).name).canonical()
}

/// Whether the old text says the same already: another spelling of an equal reference stays.
fn is_kept(old: &str, new: &str) -> bool {
    let ((_, old), (_, new)) = (Reference::parse_aliased(old), Reference::parse_aliased(new));
    let bare = new.tag_with_digest().is_empty();
    old.same_image(&new) && (bare || old.tag_with_digest() == new.tag_with_digest())
}

fn write_env(
    place: &Place<'_>,
    editor: &mut Editor,
    new: &Reference,
) -> Result<Writes, SlotProblem> {
    let plugin = &place.image.plugin;
    let written = plugin.variables(new);
    let (at, mut writes) = (place.manifest, Writes::new());
    for variable in merge::set_plugin_env(&place.source.plugin_env, plugin, new) {
        let name = Some(&variable.name);
        let parts = [&plugin.spec, &plugin.name, &plugin.tag];
        if !parts.into_iter().any(|part| part.as_ref() == name) {
            continue;
        }
        let is_new = written.contains(&variable);
        if is_new {
            writes.insert(route(at, ENV, &variable.name), variable.value.clone());
        } else if named_value(editor.tree(), at, ENV, &variable.name)?.is_some() {
            continue;
        }
        if put_value(editor, at, ENV, &variable.name, &variable.value)?.is_empty() {
            let entry = New::Map(vec![
                ("name".to_owned(), New::Text(variable.name)),
                ("value".to_owned(), New::Text(variable.value)),
            ]);
            let end = items(editor.tree(), at, ENV)?.len();
            insert(editor, at, ENV, end, &entry)?;
        }
    }
    Ok(writes)
}

fn route(at: At<'_>, path: ListPath, name: &str) -> String {
    let prefix = at.map(ManifestSource::prefix).unwrap_or_default();
    format!("{prefix}{}.{}[{name}]", path[0], path[1])
}

fn unsafe_edit(path: ListPath, source: crate::yaml::YamlError) -> SlotProblem {
    SlotProblem::Unsafe {
        key: path.join("."),
        source,
    }
}

/// The map or list at one of our keys; `None` where nothing or null stands.
fn child(tree: &Tree, map: NodeId, key: &str, list: bool) -> Result<Option<NodeId>, SlotProblem> {
    let found = lookup(tree, map, key, key)?;
    match found.map(|id| (id, &tree.node(id).kind)) {
        Some((id, Kind::Map(_))) if !list => Ok(Some(id)),
        Some((id, Kind::List(_))) if list => Ok(Some(id)),
        Some((id, _)) if !tree.is_null(id) => {
            let expected = if list { "a list" } else { "a map" };
            Err(wrong_kind(tree, id, key, expected))
        }
        _ => Ok(None),
    }
}

/// What holds the lists; `None`: nothing is there yet.
fn root(tree: &Tree, at: At<'_>) -> Result<Option<NodeId>, SlotProblem> {
    match at {
        Some(source) => source.root(tree).map(Some),
        None => Ok(tree.root(0)),
    }
}

/// The items of a list; none where it is missing.
fn items(tree: &Tree, at: At<'_>, path: ListPath) -> Result<Vec<NodeId>, SlotProblem> {
    let Some(root) = root(tree, at)?.filter(|root| !tree.is_null(*root)) else {
        return Ok(Vec::new());
    };
    let root = owned(tree, root, path[0])?;
    if !matches!(tree.node(root).kind, Kind::Map(_)) {
        return Err(wrong_kind(tree, root, path[0], "a map"));
    }
    let outer = child(tree, root, path[0], false)?;
    let list = outer.map(|outer| child(tree, outer, path[1], true));
    let list = list.transpose()?.flatten();
    Ok(list.map_or_else(Vec::new, |list| tree.items(list).to_vec()))
}

/// `name` of an item, through an alias as well.
fn name_of(tree: &Tree, item: NodeId) -> Option<&str> {
    let item = match tree.node(item).kind {
        Kind::Alias(target) => target,
        _ => item,
    };
    tree.value(item, "name").and_then(|name| tree.scalar(name))
}

fn names_in(tree: &Tree, at: At<'_>, path: ListPath) -> Result<BTreeSet<String>, SlotProblem> {
    let items = items(tree, at, path)?;
    let names = items.iter().filter_map(|item| name_of(tree, *item));
    Ok(names.map(str::to_owned).collect())
}

/// `value` of the first item called `name`.
fn named_value(
    tree: &Tree,
    at: At<'_>,
    path: ListPath,
    name: &str,
) -> Result<Option<String>, SlotProblem> {
    let items = items(tree, at, path)?;
    let mut called = items
        .iter()
        .filter(|item| name_of(tree, **item) == Some(name));
    let Some(item) = called.next() else {
        return Ok(None);
    };
    let value = tree.value(owned(tree, *item, name)?, "value");
    Ok(value
        .and_then(|value| tree.scalar(value))
        .map(str::to_owned))
}

/// Sets `value` of every item called `name`, and gives their indexes.
fn put_value(
    editor: &mut Editor,
    at: At<'_>,
    path: ListPath,
    name: &str,
    value: &str,
) -> Result<Vec<usize>, SlotProblem> {
    let tree = editor.tree();
    let items_before = items(tree, at, path)?;
    let named = |index: &usize| {
        let item = items_before.get(*index);
        item.is_some_and(|item| name_of(tree, *item) == Some(name))
    };
    let found: Vec<usize> = (0..items_before.len()).filter(named).collect();
    bounded(name, found.len())?;
    for index in &found {
        let tree = editor.tree();
        let Some(item) = items(tree, at, path)?.get(*index).copied() else {
            break;
        };
        let item = owned(tree, item, name)?;
        let done = match lookup(tree, item, "value", name)? {
            Some(id) if tree.scalar(id).is_some() => editor.set_text(id, value),
            Some(id) => return Err(wrong_kind(tree, id, name, "a single value")),
            None => editor.add_entry(Some(item), "value", &New::Text(value.to_owned())),
        };
        done.map_err(|source| unsafe_edit(path, source))?;
    }
    Ok(found)
}

/// Adds an item, with the list and its map where they are missing.
fn insert(
    editor: &mut Editor,
    at: At<'_>,
    path: ListPath,
    index: usize,
    value: &New,
) -> Result<(), SlotProblem> {
    let tree = editor.tree();
    let list = || New::List(vec![value.clone()]);
    let root = root(tree, at)?;
    let outer = match root {
        Some(root) => lookup(tree, root, path[0], path[0])?,
        None => None,
    };
    let done = match outer {
        None => {
            let map = New::Map(vec![(path[1].to_owned(), list())]);
            editor.add_entry(root, path[0], &map)
        }
        Some(outer) => match lookup(tree, outer, path[1], path[1])? {
            Some(inner) => editor.add_item(inner, index, value),
            None => editor.add_entry(Some(outer), path[1], &list()),
        },
    };
    done.map_err(|source| unsafe_edit(path, source))
}
