//! Override files.

use sealift_core::manifest::HelmParameter;
use sealift_core::reference::{KustomizeImage, Reference};
use sealift_core::slot::merge::{plugin_env_says, set_plugin_env};
use sealift_core::slot::override_file::{put_image, put_parameter};
use sealift_core::slot::{Format, Place, SlotImage, SlotProblem, render};
use sealift_core::yaml::Editor;
use serde_json::{Value, json};

use super::{Given, check, documents, failed, name, plugin_names, rule, same_yaml, text, texts};
use crate::vectors::Outcome;

type Written = Result<String, SlotProblem>;

pub(crate) fn helm(case: &Value) -> Outcome {
    let managed = texts(&case["managed_parameters"]);
    let all = super::merges::parameters(&case["spec_parameters"]);
    let managed: Vec<HelmParameter> = all
        .into_iter()
        .filter(|parameter| managed.contains(&parameter.name))
        .collect();
    let got = edit(case, |editor| {
        managed
            .iter()
            .try_for_each(|parameter| put_parameter(editor, parameter))
    });
    judge(case, &got, managed.is_empty(), |root| {
        let list = list_of(root, "helm", "parameters");
        for parameter in &managed {
            let named = |entry: &&mut Value| entry["name"] == parameter.name.as_str();
            match list.iter_mut().find(named) {
                Some(entry) => {
                    entry["value"] = parameter.value.as_str().into();
                    let camel = entry.get("forceString").is_some();
                    let key = if camel { "forceString" } else { "forcestring" };
                    entry[key] = true.into();
                }
                None => {
                    let entry = json!({"name": parameter.name, "value": parameter.value,
                        "forcestring": true});
                    let greater = |old: &Value| text(old, "name") > parameter.name.as_str();
                    let at = list.iter().position(greater).unwrap_or(list.len());
                    list.insert(at, entry);
                }
            }
        }
    })
}

pub(crate) fn kustomize(case: &Value) -> Outcome {
    let images = texts(&case["spec_images"]);
    let got = edit(case, |editor| {
        let mut images = images.iter();
        images.try_for_each(|image| put_image(editor, image, std::slice::from_ref(image)))
    });
    judge(case, &got, images.is_empty(), |root| {
        let list = list_of(root, "kustomize", "images");
        for image in &images {
            let key =
                |entry: &str| Reference::parse(&KustomizeImage::parse(entry).name).canonical();
            let same = |old: &&mut Value| old.as_str().is_some_and(|old| key(old) == key(image));
            match list.iter_mut().find(same) {
                Some(old) if is_equal(old.as_str().unwrap_or_default(), image) => {}
                Some(old) => *old = image.as_str().into(),
                None => list.push(image.as_str().into()),
            }
        }
    })
}

/// Same image, and the same tag and digest or none to write.
fn is_equal(old: &str, new: &str) -> bool {
    let ((_, old), (_, new)) = (Reference::parse_aliased(old), Reference::parse_aliased(new));
    let tag = new.tag_with_digest();
    old.canonical() == new.canonical() && (tag.is_empty() || tag == old.tag_with_digest())
}

pub(crate) fn plugin(case: &Value) -> Outcome {
    let names = plugin_names(case);
    let new = Reference::parse(text(case, "new_image"));
    let mut given = Given::new(SlotImage {
        image: new.without_tag(),
        plugin: names.clone(),
        ..SlotImage::default()
    });
    given.source.plugin_env = super::merges::variables(&case["env"]);
    let previous = plugin_env_says(&given.source.plugin_env, &names).unwrap_or_default();
    let env: Vec<Value> = set_plugin_env(&given.source.plugin_env, &names, &new)
        .iter()
        .map(|variable| json!({"name": variable.name, "value": variable.value}))
        .collect();
    let expected = &case["expected"];
    let got = json!({"env": env, "previous": previous});
    let wanted = json!({"env": expected["env"], "previous": expected["previous"]});
    if got != wanted {
        return failed(&wanted, &got);
    }
    if !names.is_target() {
        return check(&"", &text(expected, "override_file"));
    }
    let place = Place {
        path: &given.path,
        format: Format::PluginOverride,
        image: &given.image,
        source: &given.source,
        manifest: None,
    };
    let file = name(case, "existing_file");
    let got = render(&place, file.as_deref().map(str::as_bytes), &new)
        .map(|rendered| String::from_utf8(rendered.bytes).expect("text"))
        .map_err(|error| error.problem);
    let written = names.variables(&new);
    judge_output(case, text(expected, "override_file"), &got, false, |root| {
        let list = list_of(root, "plugin", "env");
        for variable in &written {
            let named = |entry: &&mut Value| entry["name"] == variable.name.as_str();
            match list.iter_mut().find(named) {
                Some(entry) => entry["value"] = variable.value.as_str().into(),
                None => list.push(json!({"name": variable.name, "value": variable.value})),
            }
        }
    })
}

fn edit(case: &Value, change: impl Fn(&mut Editor) -> Result<(), SlotProblem>) -> Written {
    let bytes = text(case, "existing_file").as_bytes();
    let mut editor = Editor::new(bytes).map_err(SlotProblem::Unreadable)?;
    change(&mut editor)?;
    Ok(editor.tree().text().to_owned())
}

fn judge(case: &Value, got: &Written, nothing: bool, model: impl Fn(&mut Value)) -> Outcome {
    let output = text(&case["expected"], "output");
    judge_output(case, output, got, nothing, model)
}

/// Compares with the recorded file, or with what the rules make of the one that was there.
fn judge_output(
    case: &Value,
    output: &str,
    got: &Written,
    nothing: bool,
    model: impl Fn(&mut Value),
) -> Outcome {
    let existing = text(case, "existing_file");
    let got = match got {
        Ok(got) => got,
        Err(SlotProblem::Unreadable(_) | SlotProblem::WrongKind { .. }) => {
            let readable = documents(existing).is_some_and(|all| {
                let lists = ["/helm/parameters", "/kustomize/images", "/plugin/env"];
                let outer = ["/helm", "/kustomize", "/plugin"];
                all.iter().all(|root| {
                    let map = |at: &str| {
                        root.pointer(at)
                            .is_none_or(|v| v.is_object() || v.is_null())
                    };
                    let list =
                        |at: &str| root.pointer(at).is_none_or(|v| v.is_array() || v.is_null());
                    root.is_object() && outer.into_iter().all(map) && lists.into_iter().all(list)
                })
            });
            return rule("unreadable-files-are-refused", &false, &readable);
        }
        Err(problem) => return failed(&output, problem),
    };
    if nothing && got != output {
        return rule("nothing-to-write", &existing, &got.as_str());
    }
    if got == output || same_yaml(got, output) {
        return Outcome::Passed;
    }
    let mut all = documents(existing).unwrap_or_default();
    if all.is_empty() {
        all.push(Value::Null);
    }
    if let Some(root) = all.first_mut() {
        model(root);
    }
    let id = match documents(output).and_then(|all| all.into_iter().next()) {
        Some(recorded) if is_part(&recorded, &all[0]) => "other-keys-are-kept",
        _ => "entries-keep-order-and-identity",
    };
    rule(id, &Some(all), &documents(got))
}

/// Whether every key of `part` stands in `whole` with the same value, below maps as well.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|found| is_part(value, found))),
        _ => part == whole,
    }
}

fn list_of<'a>(root: &'a mut Value, outer: &str, inner: &str) -> &'a mut Vec<Value> {
    for at in [&mut *root] {
        if at.is_null() {
            *at = json!({});
        }
    }
    let outer = root
        .as_object_mut()
        .expect("a map")
        .entry(outer)
        .or_insert(Value::Null);
    if outer.is_null() {
        *outer = json!({});
    }
    let inner = outer
        .as_object_mut()
        .expect("a map")
        .entry(inner)
        .or_insert(Value::Null);
    if inner.is_null() {
        *inner = json!([]);
    }
    inner.as_array_mut().expect("a list")
}
