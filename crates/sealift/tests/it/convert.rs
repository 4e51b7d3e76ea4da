//! `sealift convert`: annotations into ImageUpdaters and back.

use std::fs;

use serde_json::{Value, json};

use crate::image_updater::{annotated, plain, spec, updater, world};
use crate::trust::IMAGE;
use crate::world::{App, sealift};

#[test]
fn a_converted_installation_decides_the_same() {
    let (world, repository) = world();
    annotated(&world, "shop", &repository);
    annotated(&world, "blog", &repository);
    let before = world.run(&["--dry-run"]);
    let convert = |more: &[&str]| {
        let output = sealift()
            .args(["convert", "-f"])
            .arg(world.apps())
            .args(more)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code().unwrap(),
            text,
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, diff, _) = convert(&["--diff"]);
    assert_eq!(code, 0);
    assert!(diff.contains("--- a/Application argocd/blog\n"), "{diff}");
    assert!(
        diff.contains("+++ b/ImageUpdater argocd/image-updater\n"),
        "{diff}"
    );
    assert!(
        diff.contains("-    argocd-image-updater.argoproj.io/image-list: "),
        "{diff}"
    );
    let (code, made, errors) = convert(&[]);
    assert_eq!(code, 0, "{errors}");
    fs::write(world.apps().join("made.yaml"), made).unwrap();
    let after = world.run(&["--dry-run", "--annotations", "never"]);
    for name in ["shop", "blog"] {
        let (mut old, mut new) = (before.entry(name).clone(), after.entry(name).clone());
        assert_eq!(new["inputs"]["origin"], "ImageUpdater argocd/image-updater");
        for entry in [&mut old, &mut new] {
            let inputs = entry["inputs"].as_object_mut().unwrap();
            inputs.remove("origin");
            inputs.remove("now");
        }
        assert_eq!(old, new);
    }
    let (code, back, errors) = convert(&["--to", "annotations"]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(
        back.matches("argocd-image-updater.argoproj.io/image-list")
            .count(),
        2,
        "{back}"
    );
    let (code, _, errors) = convert(&["--name", "image-updater"]);
    assert_eq!(code, 3, "all is converted: {errors}");
}

#[test]
fn what_a_terminal_would_obey_is_converted_with_its_escape() {
    let (world, repository) = world();
    let image = format!("{IMAGE}:1.x");
    let hostile = "regexp:^\u{1b}[31m\u{9b}2J\u{202e}x$";
    let yaml = "regexp:^\\e[31m\\x9b2J\\u202ex$";
    world.app(&App::helm("shop", &image, &[], &repository));
    let path = world.apps().join("shop.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let key = "    argocd-image-updater.argoproj.io/image-list";
    let line = format!("    argocd-image-updater.argoproj.io/allow-tags: \"{yaml}\"\n{key}");
    fs::write(path, text.replacen(key, &line, 1)).unwrap();
    let convert = |more: &[&str]| {
        let output = sealift()
            .args(["convert", "-f"])
            .arg(world.apps())
            .args(more)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (String::from_utf8(output.stdout).unwrap(), said)
    };
    for more in [&[][..], &["--diff"]] {
        let (made, said) = convert(more);
        let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!made.contains(obeyed) && !said.contains(obeyed), "{made:?}");
        assert!(made.contains("31m"), "{made}\n{said}");
    }
    let (made, _) = convert(&[]);
    let object: Value = serde_saphyr::from_str(&made).unwrap();
    let settings = &object["spec"]["applicationRefs"][0];
    assert!(settings.to_string().contains("31m"), "{settings}");
    let value = |name: &str| {
        let of_image = &settings["images"][0]["commonUpdateSettings"][name];
        let of_reference = &settings["commonUpdateSettings"][name];
        of_image
            .as_str()
            .or(of_reference.as_str())
            .map(str::to_owned)
    };
    assert_eq!(
        value("allowTags").as_deref(),
        Some(hostile),
        "nothing is lost"
    );
}

#[test]
fn what_cannot_be_converted_is_named_and_fails() {
    let (world, repository) = world();
    plain(&world, "shop", &repository);
    let mut loses = spec("shop");
    loses["applicationRefs"][0]["images"][0]["imageName"] = format!("{IMAGE}:>=1, <2").into();
    updater(&world, "all", &loses, &json!({}));
    let output = sealift()
        .args(["convert", "--to", "annotations", "-f"])
        .arg(world.apps())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("spec.applicationRefs[0].images[0].imageName"),
        "{errors}"
    );
}
