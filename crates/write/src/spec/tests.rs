//! Patches of sources, each applied to what it was planned on and to what somebody changed
//! meanwhile.

use super::*;
use sealift_core::digest::Digest;
use sealift_core::evidence::Evidence;
use sealift_core::slot::{HelmNames, PluginNames};
use sealift_trust::{Candidate, Case, Claim, Judge, Policy, Unverified, admit};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn admitted(old: Option<&str>, new: &str) -> Admitted {
    let digest = Digest::of(b"x");
    let candidate = Candidate {
        repository: "r/x".into(),
        tag: "2".into(),
        digest,
    };
    let case = Case {
        digest,
        tag: None,
        evidence: &Evidence::none(digest),
        platforms: &[],
        change: None,
    };
    let verdict = Judge::default().judge(&case, &Policy::none(Unverified::Allow), NOW);
    let claim = Claim {
        slot: "s".into(),
        old: old.map(str::to_owned),
        new: new.to_owned(),
    };
    admit(candidate, verdict, claim, NOW).unwrap()
}

fn image(name: &str) -> SlotImage {
    SlotImage {
        image: Reference::parse(name),
        ..SlotImage::default()
    }
}

fn application(source: Value) -> Value {
    json!({ "metadata": { "uid": "u1" }, "spec": { "source": source } })
}

fn plan_one(
    application: &Value,
    which: Which,
    (image, format): (&SlotImage, Format),
    (old, new): (Option<&str>, &str),
) -> Result<(SpecPatch, Value), WriteError> {
    let edit = SpecEdit {
        image,
        format,
        slot: "s",
        new: &Reference::parse(new),
        admitted: admitted(old, new),
    };
    spec_patch(application, which, vec![edit], NOW)
}

/// Applies a patch as RFC 6902 says; `None` where a test fails.
fn apply(patch: &SpecPatch, to: &Value) -> Option<Value> {
    let mut value = to.clone();
    for operation in patch.operations() {
        match operation {
            Operation::Test { path, value: want } => {
                if value.pointer(path) != Some(want) {
                    return None;
                }
            }
            Operation::Replace { path, value: new } => *value.pointer_mut(path)? = new.clone(),
            Operation::Add { path, value: new } => {
                let (parent, key) = path.rsplit_once('/')?;
                match value.pointer_mut(parent)? {
                    Value::Array(list) if key == "-" => list.push(new.clone()),
                    Value::Object(map) => {
                        map.insert(key.to_owned(), new.clone());
                    }
                    _ => return None,
                }
            }
        }
    }
    Some(value)
}

#[test]
fn helm_parameters_are_replaced_in_place_with_all_duplicates_and_the_rest_stays() {
    let before = application(
        json!({ "repoURL": "r", "path": "p", "helm": { "parameters": [
        { "name": "a", "value": "1" },
        { "name": "image.tag", "value": "1.0", "x": 1 },
        { "name": "image.name", "value": "r/x", "forceString": true },
        { "name": "image.tag", "value": "0.9" },
    ], "valueFiles": ["v.yaml"] } }),
    );
    let slot_image = image("r.test/x");
    let before = {
        let mut before = before;
        before["spec"]["source"]["helm"]["parameters"][2]["value"] = json!("r.test/x");
        before
    };
    let change = (Some("r.test/x:1.0"), "r.test/x:1.1");
    let planned = plan_one(
        &before,
        Which::Only,
        (&slot_image, Format::HelmOverride),
        change,
    );
    let (patch, source) = planned.unwrap();
    let after = apply(&patch, &before).unwrap();
    assert_eq!(after["spec"]["source"], source);
    assert_eq!(
        source["helm"],
        json!({ "parameters": [
            { "name": "a", "value": "1" },
            { "name": "image.tag", "value": "1.1", "x": 1, "forceString": true },
            { "name": "image.name", "value": "r.test/x", "forceString": true },
            { "name": "image.tag", "value": "1.1", "forceString": true },
        ], "valueFiles": ["v.yaml"] })
    );
    let touched = |operation: &&Operation| !matches!(operation, Operation::Test { .. });
    assert_eq!(patch.operations().iter().filter(touched).count(), 2);
}

#[test]
fn a_missing_block_and_a_missing_list_are_made() {
    let slot_image = image("r.test/x");
    for helm in [None, Some(json!({ "releaseName": "n" }))] {
        let mut source = json!({ "repoURL": "r" });
        if let Some(helm) = &helm {
            source["helm"] = helm.clone();
        }
        let before = application(source);
        let change = (None, "r.test/x:1.1");
        let planned = plan_one(
            &before,
            Which::Only,
            (&slot_image, Format::HelmOverride),
            change,
        );
        let (patch, source) = planned.unwrap();
        assert_eq!(apply(&patch, &before).unwrap()["spec"]["source"], source);
        assert_eq!(
            source["helm"]["parameters"],
            json!([{ "name": "image.name", "value": "r.test/x", "forceString": true },
                   { "name": "image.tag", "value": "1.1", "forceString": true }])
        );
        assert_eq!(source["helm"].get("releaseName").is_some(), helm.is_some());
    }
}

#[test]
fn whatever_somebody_changes_meanwhile_fails_the_patch_or_stays() {
    let before = application(json!({ "repoURL": "r", "kustomize": { "images": [
        "r.test/other:3", "r.test/x:1.0" ] } }));
    let slot_image = image("r.test/x");
    let change = (Some("r.test/x:1.0"), "r.test/x:1.1");
    let format = Format::KustomizeOverride;
    let (patch, _) = plan_one(&before, Which::Only, (&slot_image, format), change).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = before.clone();
        change(&mut changed);
        apply(&patch, &changed)
    };
    let lost = changed(&|a| a["spec"]["source"]["kustomize"]["images"][1] = json!("r.test/x:0.9"));
    assert_eq!(lost, None, "a roll-back by a person");
    let removed = changed(&|a| {
        a["spec"]["source"]["kustomize"]["images"]
            .as_array_mut()
            .unwrap()
            .remove(0);
    });
    assert_eq!(removed, None, "the index names another entry now");
    assert_eq!(
        changed(&|a| a["metadata"]["uid"] = json!("u2")),
        None,
        "made anew"
    );
    assert_eq!(
        changed(&|a| a["spec"]["source"]["repoURL"] = json!("q")),
        None
    );
    let kept = changed(&|a| {
        a["spec"]["source"]["kustomize"]["images"][0] = json!("r.test/other:4");
        a["spec"]["syncPolicy"] = json!({ "automated": {} });
    });
    let kept = kept.unwrap();
    assert_eq!(
        kept["spec"]["source"]["kustomize"]["images"],
        json!(["r.test/other:4", "r.test/x:1.1"])
    );
    assert_eq!(kept["spec"]["syncPolicy"], json!({ "automated": {} }));
}

#[test]
fn appending_beside_somebody_who_appends_the_same_is_refused() {
    let before = application(json!({ "repoURL": "r", "helm": { "parameters": [] } }));
    let slot_image = SlotImage {
        helm: HelmNames {
            spec: Some("image".into()),
            ..HelmNames::default()
        },
        ..image("r.test/x")
    };
    let change = (None, "r.test/x:1.1");
    let planned = plan_one(
        &before,
        Which::Only,
        (&slot_image, Format::HelmOverride),
        change,
    );
    let (patch, _) = planned.unwrap();
    let mut meanwhile = before.clone();
    meanwhile["spec"]["source"]["helm"]["parameters"] = json!([{ "name": "image", "value": "y" }]);
    assert!(apply(&patch, &before).is_some());
    assert_eq!(apply(&patch, &meanwhile), None);
}

#[test]
fn one_of_several_sources_and_the_dry_source_are_written_where_they_stand() {
    let slot_image = SlotImage {
        plugin: PluginNames {
            name: Some("IMAGE".into()),
            tag: Some("TAG".into()),
            spec: None,
        },
        ..image("r.test/x")
    };
    let source = json!({ "repoURL": "r", "plugin": { "env": [
        { "name": "TAG", "value": "1.0" }, { "name": "IMAGE", "value": "r.test/x" } ] } });
    for which in [Which::Listed(1), Which::Dry] {
        let before = json!({ "metadata": { "uid": "u" }, "spec": {
            "sources": [{ "repoURL": "values", "ref": "v" }, source],
            "sourceHydrator": { "drySource": source } } });
        let change = (Some("r.test/x:1.0"), "r.test/x:1.1");
        let format = Format::PluginOverride;
        let (patch, _) = plan_one(&before, which, (&slot_image, format), change).unwrap();
        let after = apply(&patch, &before).unwrap();
        let at = |value: &Value| {
            value
                .pointer(&format!("/{}", which.path()))
                .cloned()
                .unwrap()
        };
        assert_eq!(at(&after)["plugin"]["env"][0]["value"], "1.1");
        let mut expected = before.clone();
        *expected
            .pointer_mut(&format!("/{}/plugin/env/0/value", which.path()))
            .unwrap() = json!("1.1");
        assert_eq!(after, expected, "nothing else");
    }
}

#[test]
fn a_right_for_another_value_text_or_source_writes_nothing() {
    let before =
        application(json!({ "repoURL": "r", "kustomize": { "images": ["r.test/x:1.0"] } }));
    let slot_image = image("r.test/x");
    let target = (&slot_image, Format::KustomizeOverride);
    let ended = |result: Result<(SpecPatch, Value), WriteError>| {
        matches!(result, Err(WriteError::AdmissionEnded { .. }))
    };
    let new = "r.test/x:1.1";
    assert!(ended(plan_one(
        &before,
        Which::Only,
        target,
        (Some("r.test/x:0.9"), new)
    )));
    let edit = SpecEdit {
        image: &slot_image,
        format: Format::KustomizeOverride,
        slot: "s",
        new: &Reference::parse("r.test/x:9.9"),
        admitted: admitted(Some("r.test/x:1.0"), new),
    };
    assert!(ended(spec_patch(&before, Which::Only, vec![edit], NOW)));
    let gone = plan_one(&before, Which::Listed(3), target, (None, new));
    assert!(matches!(gone, Err(WriteError::NoSource { .. })));
    let same = plan_one(
        &before,
        Which::Only,
        target,
        (Some("r.test/x:1.0"), "r.test/x:1.0"),
    );
    assert!(matches!(same, Err(WriteError::Empty)));
}
