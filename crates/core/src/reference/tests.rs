//! Claims about references: spellings, written forms, and whatever no grammar accepts.

use super::*;
use proptest::prelude::*;

fn parts(text: &str) -> (Option<String>, String, Option<String>, Option<String>) {
    let reference = Reference::parse(text);
    (
        reference.registry,
        reference.name,
        reference.tag,
        reference.digest,
    )
}

#[test]
fn a_constraint_leaves_registry_and_name_what_they_are_with_a_plain_tag() {
    for image in [
        "nginx",
        "library/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
        "localhost/foo",
        "localhost:5000/foo",
        "registry:5000/foo",
        "registry:5000/a/b",
        "[2001:db8::1]:5000/foo",
        "Foo/bar",
        "ghcr.io/a/b",
    ] {
        let plain = Reference::parse(&format!("{image}:1.0"));
        for constraint in [
            "~1.25",
            ">=1.0, <2.0",
            "*",
            "1.x || 2.x",
            "^1@",
            "1.2 - 1.4",
        ] {
            let with_constraint = Reference::parse(&format!("{image}:{constraint}"));
            assert_eq!(
                with_constraint.without_tag(),
                plain.without_tag(),
                "{image}"
            );
            let tag = with_constraint.tag.unwrap();
            assert_eq!(tag, constraint.trim_end_matches('@'));
        }
    }
}

#[test]
fn spellings_of_one_image_share_one_canonical_form() {
    for text in [
        "nginx",
        "library/nginx:1",
        "docker.io/nginx",
        "docker.io/library/nginx@sha256:ab",
        "index.docker.io/library/nginx",
        "index.docker.io/nginx:~1",
    ] {
        let reference = Reference::parse(text);
        assert_eq!(reference.canonical().to_string(), "docker.io/library/nginx");
        assert!(reference.same_image(&Reference::parse("nginx")));
    }
    let other = Reference::parse("quay.io/library/nginx");
    assert_eq!(other.canonical().to_string(), "quay.io/library/nginx");
    assert!(!other.same_image(&Reference::parse("nginx")));
    assert!(!Reference::parse("a/nginx").same_image(&Reference::parse("nginx")));
}

#[test]
fn the_written_form_is_kept() {
    for text in [
        "library/nginx:1",
        "docker.io/nginx:1",
        "nginx:1",
        "registry:5000/a/b:1@sha256:abc",
        "foo@sha256:zz",
    ] {
        assert_eq!(Reference::parse(text).to_string(), text);
    }
}

#[test]
fn what_no_grammar_accepts_is_read_all_the_same() {
    let owned = |text: &str| Some(text.to_owned());
    assert_eq!(parts(""), (None, String::new(), None, None));
    assert_eq!(parts("foo:"), (None, "foo".into(), owned(""), None));
    assert_eq!(parts("foo@"), (None, "foo".into(), owned(""), None));
    assert_eq!(
        parts("foo/Bar:1"),
        (None, "foo/Bar".into(), owned("1"), None)
    );
    assert_eq!(
        parts("my_team.apps/web:1"),
        (None, "my_team.apps/web".into(), owned("1"), None)
    );
    assert!(!Reference::parse("foo/Bar:1").is_valid());
    assert!(Reference::parse("foo/bar:1").is_valid());
    assert!(!Reference::parse(&"a".repeat(64)).is_valid());
}

#[test]
fn items_of_the_annotation_split_alias_image_and_constraint() {
    let item = ConfiguredImage::parse_item(" a = docker.io/library/nginx:>=1.0 ").unwrap();
    assert_eq!(item.alias.as_deref(), Some("a"));
    assert_eq!(item.reference, Reference::parse("docker.io/nginx"));
    assert_eq!(item.constraint.as_deref(), Some(">=1.0"));
    let item = ConfiguredImage::parse_item("=registry:5000/foo").unwrap();
    assert_eq!((item.alias, item.constraint), (None, None));
    assert_eq!(item.reference.registry.as_deref(), Some("registry:5000"));
    for text in ["", "a=", " = ", "a=:1"] {
        assert!(ConfiguredImage::parse_item(text).is_err(), "{text:?}");
    }
}

#[test]
fn helm_values_get_tag_and_digest() {
    let text = |text| Reference::parse(text).tag_with_digest();
    assert_eq!(text("a"), "");
    assert_eq!(text("a:1"), "1");
    assert_eq!(text("a:1@sha256:x"), "1@sha256:x");
    assert_eq!(text("a@sha256:x"), "latest@sha256:x");
    assert_eq!(
        Reference::parse("a:1@sha256:x").change_display(),
        "sha256:x"
    );
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text in "\\PC{0,40}") {
        let reference = Reference::parse(&text);
        let _ = (reference.full_name(), reference.canonical(), reference.is_valid());
        let _ = ConfiguredImage::parse_item(&text);
        let _ = KustomizeImage::parse(&text);
    }

    #[test]
    fn what_is_printed_is_read_back(
        host in "([a-z0-9]{1,6}(\\.[a-z]{2,3})?(:[0-9]{1,4})?/)?",
        name in "[a-z]{1,5}(/[a-z0-9_.-]{1,6})?",
        rest in "(:[a-zA-Z0-9~.]{1,5})?(@sha256:[0-9a-f]{1,8})?",
    ) {
        let reference = Reference::parse(&format!("{host}{name}{rest}"));
        prop_assert_eq!(Reference::parse(&reference.to_string()), reference);
    }

    #[test]
    fn same_image_agrees_with_the_canonical_form(
        left in "(docker\\.io/|index\\.docker\\.io/|a\\.b/)?(library/)?[ab](/[ab])?",
        right in "(docker\\.io/|index\\.docker\\.io/|a\\.b/)?(library/)?[ab](/[ab])?",
    ) {
        let (left, right) = (Reference::parse(&left), Reference::parse(&right));
        prop_assert_eq!(left.same_image(&right), left.canonical() == right.canonical());
    }
}
