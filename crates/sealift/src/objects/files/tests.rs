//! What `-f` finds, and what it says about the rest.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const APPLICATION: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n";

fn application(name: &str) -> String {
    format!("{APPLICATION}  name: {name}\n")
}

fn read(texts: &[(&str, &str)]) -> FileObjects {
    let mut reader = Reader::new("argocd");
    for (name, text) in texts {
        reader.read_documents(name, text.as_bytes(), Named::Explicitly);
    }
    reader.finish()
}

async fn names(objects: &FileObjects) -> Vec<String> {
    let applications = objects.take_applications().await.unwrap();
    let metadata = applications
        .listed
        .iter()
        .map(|listed| &listed.manifest.metadata);
    metadata
        .map(|metadata| format!("{}/{}", metadata.namespace, metadata.name))
        .collect()
}

fn problems(objects: &FileObjects) -> Vec<String> {
    objects.problems().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_object_without_namespace_is_in_the_one_of_argo_cd() {
    let text = format!(
        "{}---\n{}  namespace: team\n",
        application("b"),
        application("a")
    );
    let objects = read(&[("f.yaml", &text)]);
    assert_eq!(names(&objects).await, ["argocd/b", "team/a"]);
}

#[tokio::test]
async fn lists_are_read_and_their_items_keep_their_place() {
    let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}},
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}]}"#;
    let typed = r#"{"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationList",
        "items": [{"metadata": {"name": "b"}}]}"#;
    let objects = read(&[("f.json", text), ("g.json", typed)]);
    assert_eq!(names(&objects).await, ["argocd/a", "argocd/b"]);
    assert_eq!(objects.ignored(), 1);
    assert!(objects.secret("argocd", "s").await.unwrap().is_some());
    let problems = problems(&objects);
    assert_eq!(problems.len(), 1);
    assert!(
        problems
            .iter()
            .all(|text| text.starts_with("f.json:1 items[2]: Application"))
    );
}

#[tokio::test]
async fn the_same_object_twice_is_an_error_that_names_both_places() {
    let text = format!("{}---\n{}", application("a"), application("b"));
    let objects = read(&[("f.yaml", &text), ("g.yaml", &application("a"))]);
    assert_eq!(names(&objects).await, ["argocd/b"]);
    assert_eq!(
        problems(&objects),
        ["g.yaml:1: Application `argocd/a` stands here and at f.yaml:1; neither was used"]
    );
}

#[tokio::test]
async fn a_doubled_secret_is_not_an_absent_one() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: n}\n";
    let objects = read(&[("f", secret), ("g", secret)]);
    assert!(objects.secret("n", "s").await.is_err());
    assert_eq!(objects.secret("n", "other").await, Ok(None));
}

#[tokio::test]
async fn a_broken_document_is_an_error_with_its_line_and_the_others_count() {
    let text = format!("{}---\na: [\n---\n{}", application("a"), application("b"));
    let objects = read(&[("f.yaml", &text)]);
    assert_eq!(names(&objects).await, ["argocd/a", "argocd/b"]);
    let problems = problems(&objects);
    assert_eq!(problems.len(), 1);
    assert!(
        problems.iter().all(|text| text.starts_with("f.yaml:6: ")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_field_of_another_type_is_the_error_of_its_object() {
    let text = format!(
        "{}  annotations: {{force: true}}\n---\n{}",
        application("a"),
        application("b")
    );
    let objects = read(&[("f.yaml", &text)]);
    assert_eq!(names(&objects).await, ["argocd/b"]);
    assert_eq!(
        problems(&objects),
        [
            "f.yaml:1: Application `a` was not used: metadata.annotations.force: \
          invalid type: boolean `true`, expected a string"
        ]
    );
}

#[tokio::test]
async fn only_marked_secrets_are_repository_secrets() {
    let secret = |name: &str, kind: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  labels:\n    \
             argocd.argoproj.io/secret-type: {kind}\n"
        )
    };
    let texts = [
        secret("b", "repo-creds"),
        secret("a", "repository"),
        secret("c", "cluster"),
    ];
    let objects = read(&[("f", &texts.join("---\n"))]);
    let secrets = objects.repository_secrets("argocd").await.unwrap();
    let names: Vec<&str> = secrets
        .iter()
        .map(|secret| secret.metadata.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(
        objects
            .repository_secrets("other")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn folders_are_read_recursively_each_file_once_and_loops_end() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("sub/deeper")).unwrap();
    fs::create_dir_all(root.join(".git")).unwrap();
    fs::write(root.join("b.yaml"), application("b")).unwrap();
    fs::write(root.join("sub/a.YML"), application("a")).unwrap();
    fs::write(root.join("sub/values.yaml"), "image: x\n").unwrap();
    fs::write(root.join("sub/deeper/c.json"), "{}").unwrap();
    fs::write(root.join("sub/notes.txt"), "not: read: at: all").unwrap();
    fs::write(root.join(".git/x.yaml"), "not: read: at: all").unwrap();
    symlink(root, root.join("sub/loop")).unwrap();
    symlink(root.join("b.yaml"), root.join("again.yaml")).unwrap();
    let mut reader = Reader::new("argocd");
    reader.read_path(root);
    reader.read_path(&root.join("b.yaml"));
    let objects = reader.finish();
    assert_eq!(problems(&objects), Vec::<String>::new());
    assert_eq!(names(&objects).await, ["argocd/a", "argocd/b"]);
    assert_eq!(objects.ignored(), 2);
}

#[tokio::test]
async fn what_is_named_and_missing_or_no_object_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    fs::write(&values, "image: x\n").unwrap();
    let mut reader = Reader::new("argocd");
    reader.read_path(&folder.path().join("absent.yaml"));
    reader.read_path(&values);
    reader.read_documents("bytes", b"a: 1\nb: \xff\n", Named::Explicitly);
    let problems = problems(&reader.finish());
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(
        problems
            .iter()
            .any(|text| text.contains("absent.yaml: cannot be read"))
    );
    assert!(
        problems
            .iter()
            .any(|text| text.contains("it has no `kind`"))
    );
    assert!(problems.iter().any(|text| text.starts_with("bytes:2: ")));
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let mut reader = Reader::new("argocd");
    let bytes = vec![b' '; limits::MANIFEST_FILE_BYTES_MAX + 1];
    reader.read_documents("big", &bytes, Named::Explicitly);
    assert_eq!(reader.finish().problems().len(), 1);
}

/// Not a test of time, but the size at which slow reading would show: 5,000 Applications.
#[tokio::test]
async fn thousands_of_applications_in_one_file_are_read() {
    let mut text = String::new();
    for number in 0..5_000 {
        text.push_str(&format!(
            "---\n{}  namespace: argocd\n  annotations:\n    \
             argocd-image-updater.argoproj.io/image-list: a=r.example/app-{number}:1.x\n    \
             argocd-image-updater.argoproj.io/write-back-method: git\nspec:\n  project: default\n  \
             source:\n    repoURL: https://git.example/r.git\n    path: apps/{number}\n    \
             targetRevision: main\n    helm:\n      parameters:\n      - name: image.tag\n        \
             value: '1.0'\nstatus:\n  sourceType: Helm\n  summary:\n    images:\n    \
             - r.example/app-{number}:1.0\n",
            application(&format!("app-{number}"))
        ));
    }
    let objects = read(&[("f.yaml", &text)]);
    assert_eq!(objects.problems(), []);
    assert_eq!(names(&objects).await.len(), 5_000);
}

const POLICY: &str = "apiVersion: sealift.dev/v1alpha1\nkind: PromotionPolicy\n";

async fn policies(objects: &FileObjects) -> Vec<(String, bool)> {
    let listed = objects.policies().await.unwrap();
    let listed = listed.iter();
    listed
        .map(|policy| (policy.origin.to_string(), policy.object.is_ok()))
        .collect()
}

#[tokio::test]
async fn whatever_is_or_may_be_a_policy_is_listed() {
    let typed = r#"{"apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicyList",
        "items": [{"metadata": {"name": "a"}}]}"#;
    let mistyped = format!("{}---\n{POLICY}", POLICY.replace("Policy", "Polcy"));
    let broken = format!("a: 1\n---\n{POLICY}spec: {{\n");
    let objects = read(&[
        ("list.json", typed),
        ("m.yaml", &mistyped),
        ("b.yaml", &broken),
        (
            "other.yaml",
            "apiVersion: kyverno.io/v2\nkind: PolicyException\n",
        ),
        ("secret.yaml", "kind: Secret\nx: [\n"),
        (
            "app.yaml",
            "kind: Application\nmetadata: {annotations: {sealift.dev/commit-per: x\n",
        ),
    ]);
    assert_eq!(
        policies(&objects).await,
        [
            ("list.json:1 items[0]".to_owned(), true),
            ("m.yaml:1".to_owned(), true),
            ("m.yaml:4".to_owned(), true),
            ("b.yaml:5".to_owned(), false),
        ]
    );
    let listed = objects.policies().await.unwrap();
    let item = listed[0].object.as_ref().unwrap();
    assert_eq!(item["kind"], "PromotionPolicy");
    assert_eq!(listed[2].place("kind"), "m.yaml:5");
}

#[tokio::test]
async fn a_policy_file_holds_policies_and_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    fs::write(&path, POLICY).unwrap();
    let mut reader = Reader::new("argocd");
    reader.read_path(folder.path());
    reader.read_policy_file(&path);
    let objects = reader.finish();
    assert_eq!(objects.listed_policies().len(), 1);
    assert_eq!(
        objects.listed_policies()[0].folder.as_deref(),
        Some(folder.path())
    );
    assert!(objects.problems().is_empty());

    for text in ["", "a: 1\n", "# nothing\n"] {
        fs::write(&path, text).unwrap();
        let mut reader = Reader::new("argocd");
        reader.read_policy_file(&path);
        let objects = reader.finish();
        let heeded = !objects.problems().is_empty() || !objects.listed_policies().is_empty();
        assert!(heeded, "{text}");
    }
}

const UPDATER: &str =
    "apiVersion: argocd-image-updater.argoproj.io/v1alpha1\nkind: ImageUpdater\nmetadata:\n";

#[test]
fn image_updaters_are_listed_as_they_are_and_a_doubled_one_is_not_used() {
    let typed = "apiVersion: argocd-image-updater.argoproj.io/v1alpha1\nkind: ImageUpdaterList\n\
        items: [{ metadata: { name: c, namespace: team } }, { metadata: 1 }]\n";
    let text = format!("{UPDATER}  name: a\n---\n{UPDATER}  name: b\n---\n{UPDATER}  name: a\n");
    let objects = read(&[("f.yaml", &text), ("g.yaml", typed)]);
    let listed: Vec<_> = objects
        .listed_updaters()
        .iter()
        .map(|one| {
            let kind = one.object.as_ref().map(|object| object["kind"].clone());
            (one.origin.to_string(), one.namespace.as_deref(), kind)
        })
        .collect();
    let kind = || Some("ImageUpdater".into());
    assert_eq!(
        listed,
        [
            ("f.yaml:1".to_owned(), Some("argocd"), None),
            ("f.yaml:6".to_owned(), Some("argocd"), kind()),
            ("g.yaml:1 items[0]".to_owned(), Some("team"), kind()),
            ("g.yaml:1 items[1]".to_owned(), Some("argocd"), kind()),
        ]
    );
    let doubled =
        "f.yaml:11: ImageUpdater `argocd/a` stands here and at f.yaml:1; neither was used";
    assert_eq!(problems(&objects), [doubled]);
}

#[test]
fn a_torn_document_may_be_an_image_updater_of_any_namespace() {
    let objects = read(&[("f.yaml", &format!("{UPDATER}  name: [\n"))]);
    let [one] = objects.listed_updaters() else {
        panic!("{objects:?}")
    };
    assert!(one.namespace.is_none() && one.object.is_none());
    assert_eq!(read(&[("f.yaml", "a: [\n")]).listed_updaters().len(), 0);
}

/// Names of the documents that refuse everything, because nobody knows what they hold.
fn unread(objects: &FileObjects) -> Vec<String> {
    let unread = objects.listed_policies().iter();
    unread
        .filter(|policy| policy.object.is_err())
        .map(|policy| policy.origin.to_string())
        .collect()
}

#[test]
fn what_could_not_be_read_may_be_a_policy_and_refuses() {
    let folder = tempfile::tempdir().unwrap();
    symlink("nowhere", folder.path().join("policy.yaml")).unwrap();
    let mut reader = Reader::new("argocd");
    reader.read_path(folder.path());
    reader.read_path(&folder.path().join("absent"));
    let large = vec![b'#'; limits::MANIFEST_FILE_BYTES_MAX + 1];
    reader.read_documents("large.yaml", &large, Named::ByFolder);
    let objects = reader.finish();
    assert_eq!(objects.problems().len(), 3);
    assert_eq!(unread(&objects).len(), 3, "{:?}", objects.problems());
}

#[test]
fn a_policy_in_utf_16_refuses() {
    let text = "\u{feff}kind: PromotionPolicy\n";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut reader = Reader::new("argocd");
    reader.read_documents("f.yaml", &bytes, Named::ByFolder);
    assert_eq!(unread(&reader.finish()).len(), 1);
}

#[tokio::test]
async fn lists_in_lists_are_read_and_a_list_without_items_refuses() {
    let policy = r#"{"apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy"}"#;
    let application = r#"{"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "a"}}"#;
    let list = |items: &str| format!(r#"{{"apiVersion": "v1", "kind": "List", {items}}}"#);
    let inner = list(&format!(r#""items": [{policy}, {application}]"#));
    let objects = read(&[("f.json", &list(&format!(r#""items": [{inner}]"#)))]);
    assert_eq!(names(&objects).await, ["argocd/a"]);
    assert_eq!(objects.listed_policies().len(), 1);
    for items in [r#""item": []"#, r#""items": {}"#] {
        let objects = read(&[("f.json", &list(items))]);
        assert_eq!((unread(&objects).len(), objects.problems().len()), (1, 1));
    }
    let objects = read(&[("f.json", &list(r#""items": null"#))]);
    assert_eq!(objects.problems(), []);
}

#[test]
fn a_key_that_stands_twice_in_json_is_an_error_as_in_yaml() {
    let text = r#"{"apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
        "spec": {"mode": "enforce"}, "spec": {"mode": "warn"}}"#;
    let objects = read(&[("f.json", text)]);
    assert_eq!(unread(&objects).len(), 1, "{:?}", objects.listed_policies());
}
