//! Kustomizations.

use sealift_core::reason::Reason;
use sealift_core::reference::{KustomizeImage, Reference};
use sealift_core::slot::{Format, Place, SlotImage, render};
use serde_json::{Map, Value};

use super::{Given, check, documents, failed, rule, same_yaml, text, texts};
use crate::vectors::Outcome;

pub(crate) fn kustomization(case: &Value) -> Outcome {
    let input = text(case, "input");
    let images = texts(&case["app_kustomize_images"]);
    let got = write_all(input, &images);
    let expected = &case["expected"];
    let output = expected["output"].as_str();
    let skip = expected["skip"] == true;
    match (&got, output) {
        (Err(_), None) if !skip => return Outcome::Passed,
        (Ok(got), _) if skip => return check(&input, &got.as_str()),
        (Ok(got), Some(output)) if got != input && same_yaml(got, output) => {
            return Outcome::Passed;
        }
        (Ok(got), Some(output)) if got == input && same_yaml(input, output) => {
            return Outcome::Deviates("equal-values-are-not-written");
        }
        (Ok(got), Some(_)) if images.is_empty() => {
            return rule("nothing-to-write", &input, &got.as_str());
        }
        _ => {}
    }
    let model = model(input, &images);
    match (got, output, model) {
        (Ok(got), None, Some(model)) => rule(
            "any-yaml-can-be-edited",
            &Some(vec![model]),
            &documents(&got),
        ),
        (Ok(got), Some(_), Some(model)) => {
            let got = documents(&got);
            rule("entries-match-in-every-spelling", &Some(vec![model]), &got)
        }
        (got, ..) => failed(expected, &got),
    }
}

fn write_all(input: &str, images: &[String]) -> Result<String, Reason> {
    let mut bytes = input.as_bytes().to_vec();
    for image in images {
        let (alias, new) = Reference::parse_aliased(image);
        let given = Given::new(SlotImage {
            image: new.without_tag(),
            kustomize_name: alias.map(str::to_owned),
            ..SlotImage::default()
        });
        let place = Place {
            path: &given.path,
            format: Format::Kustomization,
            image: &given.image,
            source: &given.source,
            manifest: None,
        };
        let rendered = render(&place, Some(&bytes), &new).map_err(|error| error.reason())?;
        bytes = rendered.bytes;
    }
    Ok(String::from_utf8(bytes).expect("text"))
}

/// The rule book in small: entries whose name, or whose result, is the image in any spelling get
/// the new values; without one, an entry is added.
fn model(input: &str, images: &[String]) -> Option<Value> {
    let mut root = documents(input)?.into_iter().next()?;
    for text in images {
        let image = KustomizeImage::parse(text);
        let (alias, reference) = Reference::parse_aliased(text);
        let list = root.as_object_mut()?.entry("images").or_insert(Value::Null);
        if list.is_null() {
            *list = Value::Array(Vec::new());
        }
        let same = |name: &Value, other: &str| {
            let name = Reference::parse(name.as_str().unwrap_or_default());
            name.same_image(&Reference::parse(other))
        };
        let mut found = false;
        for entry in list.as_array_mut()? {
            let renamed = alias.is_none() && same(&entry["newName"], &image.name);
            if !same(&entry["name"], &image.name) && !renamed {
                continue;
            }
            found = true;
            let result = [&entry["newName"], &entry["name"]];
            let result = result.into_iter().find(|name| name.is_string()).cloned();
            let kept = same(&result.unwrap_or_default(), &reference.full_name());
            let entry = entry.as_object_mut()?;
            if !kept {
                put(entry, "newName", &image.new_name);
            }
            put(entry, "newTag", &image.new_tag);
            put(entry, "digest", &image.digest);
        }
        if !found {
            let mut entry = Map::new();
            put(&mut entry, "name", &image.name);
            put(&mut entry, "newName", &image.new_name);
            put(&mut entry, "newTag", &image.new_tag);
            put(&mut entry, "digest", &image.digest);
            list.as_array_mut()?.push(Value::Object(entry));
        }
    }
    Some(root)
}

fn put(entry: &mut Map<String, Value>, key: &str, value: &str) {
    if value.is_empty() {
        entry.shift_remove(key);
    } else {
        entry.insert(key.to_owned(), value.into());
    }
}
