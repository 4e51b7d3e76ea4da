//! Claims about reading and editing, on files people write and on hostile ones.

use super::*;

fn editor(text: &str) -> Editor {
    Editor::new(text.as_bytes()).unwrap()
}

fn at(tree: &Tree, path: &[&str]) -> NodeId {
    let mut id = tree.root(0).unwrap();
    for key in path {
        id = match key.parse::<usize>() {
            Ok(index) => tree.items(id)[index],
            Err(_) => tree.value(id, key).unwrap(),
        };
    }
    id
}

/// Sets the value at `path` and gives the text.
fn set(text: &str, path: &[&str], value: &str) -> Result<String, YamlError> {
    let mut editor = editor(text);
    let id = at(editor.tree(), path);
    editor.set_text(id, value)?;
    assert_eq!(
        splice::apply(text, editor.splices()).as_deref(),
        Some(editor.tree().text())
    );
    Ok(editor.tree().text().to_owned())
}

fn text(value: &str) -> New {
    New::Text(value.to_owned())
}

fn add(document: &str, path: &[&str], key: &str, value: &New) -> String {
    let mut editor = editor(document);
    let map = (editor.tree().documents() > 0).then(|| at(editor.tree(), path));
    editor.add_entry(map, key, value).unwrap();
    editor.tree().text().to_owned()
}

fn add_item(document: &str, path: &[&str], index: usize, value: &New) -> String {
    let mut editor = editor(document);
    let list = at(editor.tree(), path);
    editor.add_item(list, index, value).unwrap();
    editor.tree().text().to_owned()
}

fn remove(document: &str, path: &[&str], key: &str) -> Result<String, YamlError> {
    let mut editor = editor(document);
    let map = at(editor.tree(), path);
    let index = editor.tree().positions(map, key).next().unwrap();
    editor.remove_entry(map, index)?;
    Ok(editor.tree().text().to_owned())
}

#[test]
fn every_style_of_scalar_keeps_its_quotes_and_its_neighbours() {
    for (before, after) in [
        ("a: v1 # c\nb: 2\n", "a: v2 # c\nb: 2\n"),
        ("a: 'v1' # c\n", "a: 'v2' # c\n"),
        ("a: \"v1\"\r\nb: 1\r\n", "a: \"v2\"\r\nb: 1\r\n"),
        ("\u{feff}a: v1", "\u{feff}a: v2"),
        ("a:\tv1\t# c\n", "a:\tv2\t# c\n"),
        ("{a: v1, b: [x]}\n", "{a: v2, b: [x]}\n"),
        ("{\"a\": \"v1\"}", "{\"a\": \"v2\"}"),
        (
            "%YAML 1.2\n---\na: v1\n---\na: other\n...\n",
            "%YAML 1.2\n---\na: v2\n---\na: other\n...\n",
        ),
        (
            "p: |\n  x\n\n  y\n\na: v1\n\n\n",
            "p: |\n  x\n\n  y\n\na: v2\n\n\n",
        ),
        ("a: |-\n  v1\n\nb: 1\n", "a: |-\n  v2\n\nb: 1\n"),
        ("a: | # c\n  v1\n\nb: 1\n", "a: v2 # c\n\nb: 1\n"),
        ("a: >-\n    v1\n", "a: >-\n    v2\n"),
        ("a:\nb: 1\n", "a: v2\nb: 1\n"),
        ("a: # c\nb: 1\n", "a: v2 # c\nb: 1\n"),
        ("a: ~\n", "a: v2\n"),
        ("a: one\n  two # c\n", "a: v2 # c\n"),
        ("a: !!str v1\n", "a: !!str v2\n"),
        ("a: &x v1\nb: 1\n", "a: &x v2\nb: 1\n"),
        ("a: &x\n", "a: &x v2\n"),
        ("? a\n: v1\n", "? a\n: v2\n"),
    ] {
        assert_eq!(
            set(before, &["a"], "v2").as_deref(),
            Ok(after),
            "{before:?}"
        );
    }
}

#[test]
fn a_new_value_always_reads_back_as_the_same_string() {
    for value in [
        "1.20",
        "1e3",
        "true",
        "0x1",
        "yes",
        "No",
        "null",
        "~",
        "2024-01-01",
        "a: b",
        "a #b",
        "1_000",
        ".5",
        "",
        "- a",
        "it's",
        "\"x\"",
        "a\nb",
        "\t",
        "-x",
        "<<",
        "=",
        ".inf",
        "0755",
        "+1",
        "y",
        "a\u{2028}b",
        "\u{7}",
        "...",
        "a,b",
        "a]b",
    ] {
        for document in [
            "a: v1\n",
            "a: 'v1'\n",
            "a: \"v1\"\n",
            "a: {b: v1}\n",
            "a:\n- v1\n",
            "a: |\n v1\n",
        ] {
            let path: &[&str] = match document {
                "a: {b: v1}\n" => &["a", "b"],
                "a:\n- v1\n" => &["a", "0"],
                _ => &["a"],
            };
            let after =
                set(document, path, value).unwrap_or_else(|e| panic!("{document:?} {value:?} {e}"));
            let tree = Tree::parse(after.as_bytes()).unwrap();
            assert_eq!(tree.scalar(at(&tree, path)), Some(value));
        }
    }
    assert_eq!(
        set("a: 1.19\n", &["a"], "1.20").as_deref(),
        Ok("a: \"1.20\"\n")
    );
}

#[test]
fn a_tag_that_is_not_a_string_is_refused() {
    for document in ["a: !!int 1\n", "a: !secret x\n", "a: !!binary aGk=\n"] {
        let refused = set(document, &["a"], "v2");
        assert_eq!(
            refused,
            Err(YamlError::EditUnsafe { line: 1 }),
            "{document}"
        );
    }
}

#[test]
fn new_keys_look_like_their_neighbours() {
    let nested = New::Map(vec![("b".into(), New::Map(vec![("c".into(), text("v"))]))]);
    for (before, path, value, after) in [
        ("a: 1\n", &[] as &[&str], text("v"), "a: 1\nk: v\n"),
        ("a: 1", &[], text("v"), "a: 1\nk: v"),
        ("a: 1\r\n", &[], text("v"), "a: 1\r\nk: v\r\n"),
        (
            "a:\n    b: 'x'\nz: 1\n",
            &["a"],
            text("v"),
            "a:\n    b: 'x'\n    k: 'v'\nz: 1\n",
        ),
        (
            "a:\n    b: 1\n",
            &[],
            nested.clone(),
            "a:\n    b: 1\nk:\n    b:\n        c: v\n",
        ),
        ("{}\n", &[], nested.clone(), "{k: {b: {c: v}}}\n"),
        (
            "{\"a\": \"b\"}\n",
            &[],
            text("v"),
            "{\"a\": \"b\", \"k\": \"v\"}\n",
        ),
        (
            "{\n  \"a\": \"b\"\n}\n",
            &[],
            text("v"),
            "{\n  \"a\": \"b\",\n  \"k\": \"v\"\n}\n",
        ),
        ("a: {b: c,}\n", &["a"], text("v"), "a: {b: c, k: v,}\n"),
    ] {
        assert_eq!(add(before, path, "k", &value), after, "{before:?}");
    }
}

#[test]
fn a_key_is_added_where_nothing_or_something_awkward_stands() {
    let nested = New::Map(vec![("b".into(), New::Map(vec![("c".into(), text("v"))]))]);
    for (before, path, value, after) in [
        (
            "a:\nb: 1\n",
            &["a"] as &[&str],
            text("v"),
            "a:\n  k: v\nb: 1\n",
        ),
        (
            "a: # c\nb: 1\n",
            &["a"],
            nested.clone(),
            "a: # c\n  k:\n    b:\n      c: v\nb: 1\n",
        ),
        (
            "a: null # c\nb: 1\n",
            &["a"],
            text("v"),
            "a: # c\n  k: v\nb: 1\n",
        ),
        ("a: {}\n", &["a"], text("v"), "a: {k: v}\n"),
        ("# c\n", &[], text("v"), "# c\nk: v\n"),
        ("# c", &[], text("v"), "# c\nk: v\n"),
        ("", &[], text("v"), "k: v\n"),
        ("--- # x\n# y\n", &[], text("v"), "--- # x\n# y\nk: v\n"),
        ("---\n---\nb: 1\n", &[], text("v"), "---\nk: v\n---\nb: 1\n"),
        (
            "a: |\n  x\n\nb: |+\n  y\n\n",
            &[],
            text("v"),
            "a: |\n  x\n\nb: |+\n  y\n\nk: v\n",
        ),
        (
            "a: 1 # c\n# d\n...\n",
            &[],
            text("1.0"),
            "a: 1 # c\nk: \"1.0\"\n# d\n...\n",
        ),
        (
            "l:\n- a: 1\n- b: 2\n",
            &["l", "0"],
            text("v"),
            "l:\n- a: 1\n  k: v\n- b: 2\n",
        ),
    ] {
        assert_eq!(add(before, path, "k", &value), after, "{before:?}");
    }
}

#[test]
fn new_items_look_like_their_neighbours() {
    let entry = New::Map(vec![("name".into(), text("x")), ("tag".into(), text("1"))]);
    for (before, index, value, after) in [
        ("l:\n- a\n", 1, text("b"), "l:\n- a\n- b\n"),
        (
            "l:\n  -  'a' # c\nz: 1\n",
            1,
            text("b"),
            "l:\n  -  'a' # c\n  -  'b'\nz: 1\n",
        ),
        (
            "l:\n  # h\n  - a\n",
            0,
            text("b"),
            "l:\n  # h\n  - b\n  - a\n",
        ),
        ("l: [a]\n", 1, text("b,c"), "l: [a, 'b,c']\n"),
        ("l: [a]\n", 0, text("b"), "l: [b, a]\n"),
        ("l: []\n", 0, entry.clone(), "l: [{name: x, tag: \"1\"}]\n"),
        (
            "l:\n- name: a\n\nz: 1\n",
            1,
            entry.clone(),
            "l:\n- name: a\n- name: x\n  tag: \"1\"\n\nz: 1\n",
        ),
        (
            "l:\n-   name: a",
            1,
            entry.clone(),
            "l:\n-   name: a\n-   name: x\n    tag: \"1\"",
        ),
        (
            "m:\n  - 1\nl:\n",
            0,
            entry.clone(),
            "m:\n  - 1\nl:\n  - name: x\n    tag: \"1\"\n",
        ),
    ] {
        assert_eq!(add_item(before, &["l"], index, &value), after, "{before:?}");
    }
}

#[test]
fn a_removed_entry_takes_its_line_and_nothing_else() {
    for (before, path, after) in [
        (
            "a: 1\nd: x # c\n# e\nb: 2\n",
            &[] as &[&str],
            "a: 1\n# e\nb: 2\n",
        ),
        ("a: 1\nd: x", &[], "a: 1"),
        ("a: 1\r\nd: x\r\n", &[], "a: 1\r\n"),
        ("l:\n- d: x\n  a: 1\n", &["l", "0"], "l:\n- a: 1\n"),
        ("{a: 1, d: x, b: 2}\n", &[], "{a: 1, b: 2}\n"),
        ("{d: x, b: 2}\n", &[], "{b: 2}\n"),
        ("{a: 1, d: x}\n", &[], "{a: 1}\n"),
    ] {
        assert_eq!(
            remove(before, path, "d").as_deref(),
            Ok(after),
            "{before:?}"
        );
    }
    assert!(remove("d: x\n", &[], "d").is_err());
}

#[test]
fn hostile_texts_are_refused_at_once() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(50_000),
        "&a ".repeat(10_000),
        format!("a: {}", "!x ".repeat(10_000)),
        "a: *b".to_owned(),
        "a: \"".to_owned(),
        "\u{0}".to_owned(),
    ] {
        let shown: String = text.chars().take(8).collect();
        assert!(
            matches!(Tree::parse(text.as_bytes()), Err(YamlError::Syntax { .. })),
            "{shown}"
        );
    }
    assert!(matches!(
        Tree::parse(b"a: \xff"),
        Err(YamlError::NotUtf8 { offset: 3 })
    ));
    let long = vec![b'#'; crate::limits::YAML_BYTES_MAX + 1];
    assert!(matches!(
        Tree::parse(&long),
        Err(YamlError::TooLarge { .. })
    ));
}

#[test]
fn ten_thousand_anchors_and_a_long_comment_are_read() {
    let mut text = "# c\n".repeat(10_000);
    for index in 0..10_000 {
        text.push_str(&format!("k{index}: &a{index} v\nu{index}: *a{index}\n"));
    }
    let tree = Tree::parse(text.as_bytes()).unwrap();
    let anchor = tree.node(at(&tree, &["k9"])).anchor.clone().unwrap();
    assert_eq!((anchor.line, anchor.used_line), (10_019, Some(10_020)));
}
