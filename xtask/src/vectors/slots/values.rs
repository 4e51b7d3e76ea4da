//! Helm values files and the scalars in them.

use sealift_core::reason::Reason;
use sealift_core::reference::Reference;
use sealift_core::slot::{Format, HelmNames, Place, SlotImage, render, set_value};
use sealift_core::yaml::{Editor, Quoting, plain_is_safe, text_as_scalar};
use serde_json::{Map, Value};

use super::{Given, check, documents, failed, helm_names, name, rule, same_yaml, text};
use crate::vectors::Outcome;

pub(crate) fn plain_scalar_safe(case: &Value) -> Outcome {
    let expected = case["expected_safe"].as_bool();
    check(&expected, &Some(plain_is_safe(text(case, "value"))))
}

pub(crate) fn emit_new_string(case: &Value) -> Outcome {
    let value = text(case, "value");
    let got = format!("k: {}", text_as_scalar(value, Quoting::Plain, false));
    let expected = text(case, "expected_line");
    if expected == got {
        return Outcome::Passed;
    }
    // It writes some strings plain that it calls unsafe where it edits in place. We have one rule.
    let plain = expected == format!("k: {value}");
    if plain && !plain_is_safe(value) {
        let quoted = [format!("k: \"{value}\""), format!("k: '{value}'")];
        return rule("unsafe-words-are-quoted", &true, &quoted.contains(&got));
    }
    if value.contains('\n') {
        let escaped = format!("k: {}", Value::from(value));
        return rule("strings-stay-on-one-line", &escaped, &got);
    }
    failed(&expected, &got)
}

pub(crate) fn write(case: &Value) -> Outcome {
    let input = text(case, "input");
    let writes: Vec<(&str, &str)> = case["writes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|write| (text(write, "path"), text(write, "value")))
        .collect();
    let got = write_all(input, &writes);
    let expected = &case["expected"];
    let output = expected["output"].as_str();
    match (&got, output) {
        (Err(_), None) => return Outcome::Passed,
        (Ok(got), Some(output)) if got == output => return Outcome::Passed,
        (Ok(got), Some(output)) if expected["mode"] == "re-marshal" && same_yaml(got, output) => {
            return Outcome::Passed;
        }
        _ => {}
    }
    deviation(input, &writes, output, &got).unwrap_or_else(|| failed(&expected, &got))
}

fn write_all(input: &str, writes: &[(&str, &str)]) -> Result<String, Reason> {
    let mut editor = Editor::new(input.as_bytes()).map_err(|_| Reason::FileUnreadable)?;
    let given = Given::new(SlotImage::default());
    for (path, value) in writes {
        set_value(&mut editor, path, value).map_err(|problem| {
            let path = given.path.clone();
            sealift_core::slot::SlotError { path, problem }.reason()
        })?;
    }
    Ok(editor.tree().text().to_owned())
}

/// What we mean to answer where we differ.
fn deviation(
    input: &str,
    writes: &[(&str, &str)],
    output: Option<&str>,
    got: &Result<String, Reason>,
) -> Option<Outcome> {
    let unchanged = output.is_some_and(|output| same_yaml(output, input));
    let got = match got {
        Err(Reason::AnchorShared) => {
            return Some(rule(
                "shared-anchors-are-refused",
                &true,
                &shares_an_anchor(input),
            ));
        }
        Err(Reason::SlotNotFound) if unchanged => {
            return Some(Outcome::Deviates("a-map-is-no-value"));
        }
        Err(Reason::SlotAmbiguous) => {
            return Some(rule("repeated-keys-are-refused", &None, &documents(input)));
        }
        Err(_) => return None,
        Ok(got) => documents(got)?,
    };
    let mut model = documents(input)?;
    if model.is_empty() {
        model.push(Value::Null);
    }
    for (path, value) in writes {
        set(model.first_mut()?, path, value);
    }
    let keys_repeat = (1..writes.len()).any(|at| writes[..at].iter().any(|w| w.0 == writes[at].0));
    let id = match output {
        None => "nothing-is-an-empty-map",
        Some(_) if keys_repeat => "equal-writes-are-one-edit",
        Some(_) if model.len() > 1 => "further-documents-are-kept",
        Some(output) if documents(output).is_none() => "the-result-is-yaml",
        Some(_)
            if writes
                .iter()
                .any(|(path, _)| is_literal_and_nested(input, path)) =>
        {
            "nested-keys-go-first"
        }
        Some(_) => "a-tag-is-a-string",
    };
    Some(rule(id, &model, &got))
}

/// Whether some anchor of the text is used.
fn shares_an_anchor(input: &str) -> bool {
    let words = input.split(|c: char| c.is_whitespace() || ",[]{}".contains(c));
    let mut anchors = words.clone().filter_map(|word| word.strip_prefix('&'));
    anchors.any(|anchor| {
        words
            .clone()
            .any(|word| word.strip_prefix('*') == Some(anchor))
    })
}

fn is_literal_and_nested(input: &str, path: &str) -> bool {
    let root = documents(input).and_then(|all| all.into_iter().next());
    let pointer = format!("/{}", path.replace('.', "/"));
    let both = |root: &Value| root.get(path).is_some() && root.pointer(&pointer).is_some();
    path.contains('.') && root.as_ref().is_some_and(both)
}

/// The rule book in small: nested keys, then the whole text as a key, then new keys at the end.
fn set(root: &mut Value, path: &str, text: &str) {
    let keys: Vec<&str> = path.split('.').collect();
    let nested = keys.iter().try_fold(&*root, |at, key| child(at, key));
    let nested = nested.is_some_and(|leaf| !leaf.is_object() && !leaf.is_array());
    if !nested && root.get(path).is_some() {
        root[path] = text.into();
        return;
    }
    let mut at = root;
    for key in keys {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        at = if child(at, key).is_some() {
            child_mut(at, key)
        } else {
            at.as_object_mut()
                .expect("a map")
                .entry(key)
                .or_insert(Value::Null)
        };
    }
    *at = text.into();
}

fn child<'a>(at: &'a Value, key: &str) -> Option<&'a Value> {
    at.get(key).or_else(|| {
        let (name, index) = key.strip_suffix(']')?.rsplit_once('[')?;
        at.get(name)?.get(index.parse::<usize>().ok()?)
    })
}

fn child_mut<'a>(at: &'a mut Value, key: &str) -> &'a mut Value {
    if at.get(key).is_some() {
        return &mut at[key];
    }
    let (name, index) = key
        .trim_end_matches(']')
        .rsplit_once('[')
        .expect("an index");
    &mut at[name][index.parse::<usize>().expect("a number")]
}

pub(crate) fn end_to_end(case: &Value) -> Outcome {
    let (_, configured) = Reference::parse_aliased(text(case, "configured"));
    let live = Reference::parse(text(case, "live_image"));
    let names = helm_names(case);
    let mut given = Given::new(SlotImage {
        image: configured.clone(),
        helm: names.clone(),
        ..SlotImage::default()
    });
    given.source.helm_parameters = super::merges::parameters(&case["spec_parameters"]);
    let said =
        sealift_core::slot::merge::helm_parameters_say(&given.source.helm_parameters, &names);
    let new = said.map_or_else(|| live.clone(), |said| Reference::parse(&said));
    let place = Place {
        path: &given.path,
        format: Format::HelmValues,
        image: &given.image,
        source: &given.source,
        manifest: None,
    };
    let file = name(case, "existing_file");
    let got = render(&place, file.as_deref().map(str::as_bytes), &new);
    let got = got.map(|rendered| String::from_utf8(rendered.bytes).expect("text"));
    let expected = text(&case["expected"], "output");
    match got {
        Ok(got) if got == expected => Outcome::Passed,
        Ok(got) if same_yaml(&got, expected) => Outcome::Passed,
        Ok(got) => {
            // What runs is a hint: the value that Git names is written all the same.
            let id = if live.same_image(&configured) {
                "a-left-out-host-stays-out"
            } else {
                "what-runs-is-a-hint"
            };
            rule(id, &written(case, &names, &new), &documents(&got))
        }
        got => failed(&expected, &got),
    }
}

/// The file with every value written; a host that the file leaves out stays out.
fn written(case: &Value, names: &HelmNames, new: &Reference) -> Option<Vec<Value>> {
    let mut all = documents(text(case, "existing_file"))?;
    if all.is_empty() {
        all.push(Value::Null);
    }
    let root = all.first_mut()?;
    for parameter in names.parameters(new) {
        let pointer = format!("/{}", parameter.name.replace('.', "/"));
        let old = root.pointer(&pointer).or_else(|| root.get(&parameter.name));
        let old = old.and_then(Value::as_str).unwrap_or_default();
        let host = |name: &str| {
            name.split_once('/')
                .is_some_and(|(host, _)| host.contains('.'))
        };
        let value = match parameter.value.split_once('/') {
            Some((_, path)) if host(&parameter.value) && !old.is_empty() && !host(old) => path,
            _ => &parameter.value,
        };
        set(root, &parameter.name, value);
    }
    Some(all)
}
