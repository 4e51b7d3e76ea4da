//! Thousands of generated files: no edit changes a byte outside its value, or anything a second
//! reader sees elsewhere. And any bytes at all: an answer, never a panic.

use proptest::prelude::*;
use serde_json::Value;

use super::splice::apply;
use super::*;

/// Choices, taken from bytes that shrink well. An empty cup rolls zero.
struct Dice<'a>(std::slice::Iter<'a, u8>);

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        usize::from(*self.0.next().unwrap_or(&0)) % sides
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.roll(texts.len())]
    }
}

/// A file being written down.
struct Draft<'a> {
    dice: Dice<'a>,
    text: String,
    newline: &'static str,
    anchors: usize,
    /// Anchors whose nodes are complete, so that nothing refers to itself.
    usable: Vec<usize>,
}

const PLAIN: &[&str] = &[
    "v1.2.3",
    "a b c",
    "1.20",
    "true",
    "~",
    "null",
    "é",
    "http://x/y#z",
    "a#b",
    "2024-01-01",
    "-x",
    "yes",
    "0x1F",
    "1_000",
];
const QUOTED: &[&str] = &[
    "'a''b'",
    "\"x\\\"y\\t\"",
    "''",
    "\"\"",
    "'1.20'",
    "\"a # b\"",
    "'k: v'",
    "\"\\u00e9\"",
];
const COMMENTS: &[&str] = &["", "", "", " # c", "\t# c", " # k: v", "  "];
const VALUES: &[&str] = &[
    "v2",
    "1.21",
    "",
    "yes",
    "a: b",
    "x #y",
    "it's",
    "\"q\"",
    "1e3",
    "null",
    "[a",
    "a,b",
    "é",
    "%x",
    "sha256:4f1c",
    "v1@sha256:4f1c",
    " pad ",
    "tab\t",
    "*x",
    "&x",
    "- x",
    "<<",
    "...",
    "#",
];

impl Draft<'_> {
    fn file(bytes: &[u8]) -> String {
        let mut draft = Draft {
            dice: Dice(bytes.iter()),
            text: String::new(),
            newline: "\n",
            anchors: 0,
            usable: Vec::new(),
        };
        if draft.dice.roll(4) == 1 {
            draft.newline = "\r\n";
        }
        draft
            .text
            .push_str(draft.dice.pick(&["", "", "", "\u{feff}"]));
        let head = draft
            .dice
            .pick(&["", "", "# head|", "---|", "%YAML 1.2|---|", "# a|--- # b|"]);
        draft.text.push_str(&head.replace('|', draft.newline));
        draft.root();
        if draft.dice.roll(4) == 1 {
            draft.line("---");
            draft.usable.clear();
            draft.root();
        }
        let tail = draft.dice.pick(&["", "", "# tail", "..."]);
        draft.line(tail);
        if draft.dice.roll(3) == 1 {
            let kept = draft.text.trim_end_matches(['\r', '\n']).len();
            draft.text.truncate(kept);
        }
        draft.text
    }

    fn line(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.text.push_str(self.newline);
        }
    }

    fn end_line(&mut self) {
        let comment = self.dice.pick(COMMENTS);
        self.text.push_str(comment);
        self.text.push_str(self.newline);
    }

    fn root(&mut self) {
        if self.dice.roll(6) == 1 {
            self.flow(0);
            self.end_line();
        } else {
            self.block_map(0, 0, false);
        }
    }

    fn key(&mut self, number: usize) -> String {
        let name = format!("k{number}");
        match self.dice.roll(8) {
            1 => format!("'{name}'"),
            2 => format!("\"{name}\""),
            3 => format!("{name}.tag"),
            _ => name,
        }
    }

    /// Entries at `indent`; the first one on the current line where `inline`.
    fn block_map(&mut self, indent: usize, depth: usize, inline: bool) {
        for number in 0..=self.dice.roll(4) {
            if number > 0 || !inline {
                self.between(indent);
                self.text.push_str(&" ".repeat(indent));
            }
            let key = self.key(number);
            self.text.push_str(&key);
            self.text.push(':');
            self.value(indent, depth);
        }
    }

    fn block_list(&mut self, indent: usize, depth: usize) {
        for _ in 0..=self.dice.roll(3) {
            self.between(indent);
            self.text.push_str(&" ".repeat(indent));
            self.text.push('-');
            if self.dice.roll(3) == 1 {
                let gap = self.dice.roll(3) + 1;
                self.text.push_str(&" ".repeat(gap));
                self.block_map(indent + 1 + gap, depth + 1, true);
            } else {
                self.value(indent, depth);
            }
        }
    }

    fn between(&mut self, indent: usize) {
        match self.dice.roll(8) {
            1 => self.text.push_str(self.newline),
            2 => self.line(&format!("{}# note", " ".repeat(indent))),
            3 => self.line("# k0: outdented"),
            _ => {}
        }
    }

    /// What follows `:` or `-`, to the end of its lines.
    fn value(&mut self, indent: usize, depth: usize) {
        let anchor = if self.dice.roll(8) == 1 {
            self.anchors += 1;
            format!(" &a{}", self.anchors)
        } else {
            String::new()
        };
        let number = self.anchors;
        self.content(&anchor, indent, depth);
        if !anchor.is_empty() {
            self.usable.push(number);
        }
    }

    fn content(&mut self, anchor: &str, indent: usize, depth: usize) {
        let nested = depth < 4;
        match self.dice.roll(12) {
            1 | 2 if nested => {
                self.text.push_str(anchor);
                self.end_line();
                let step = self.dice.roll(4) + 1;
                self.block_map(indent + step, depth + 1, false);
            }
            3 if nested => {
                self.text.push_str(anchor);
                self.end_line();
                let step = self.dice.roll(3) + 1;
                self.block_list(indent + step, depth + 1);
            }
            4 => {
                self.text.push_str(&format!("{anchor} "));
                self.flow(0);
                self.end_line();
            }
            5 => {
                self.text.push_str(anchor);
                self.block_scalar(indent);
            }
            6 => {
                self.text.push_str(anchor);
                self.end_line();
            }
            7 if !self.usable.is_empty() && anchor.is_empty() => {
                let target = self.dice.roll(self.usable.len());
                let target = self.usable[target];
                self.text.push_str(&format!(" *a{target}"));
                self.end_line();
            }
            8 => {
                let quoted = self.dice.pick(QUOTED);
                self.text.push_str(&format!("{anchor} {quoted}"));
                self.end_line();
            }
            9 => {
                let pad = " ".repeat(indent + 2);
                let newline = self.newline;
                self.text
                    .push_str(&format!("{anchor} one{newline}{pad}two"));
                self.end_line();
            }
            _ => {
                let plain = self.dice.pick(PLAIN);
                self.text.push_str(&format!("{anchor} {plain}"));
                self.end_line();
            }
        }
    }

    fn block_scalar(&mut self, indent: usize) {
        let header = self.dice.pick(&["|", "|-", "|+", ">", ">-"]);
        self.text.push_str(&format!(" {header}"));
        self.end_line();
        let pad = " ".repeat(indent + 2);
        self.line(&format!("{pad}text: 1 # no comment"));
        if self.dice.roll(2) == 1 {
            self.text.push_str(self.newline);
            self.line(&format!("{pad}more"));
        }
        if self.dice.roll(3) == 1 {
            self.text.push_str(self.newline);
        }
    }

    fn flow(&mut self, depth: usize) {
        let list = self.dice.roll(3) == 1;
        self.text.push(if list { '[' } else { '{' });
        for number in 0..self.dice.roll(4) {
            if number > 0 {
                let comma = self.dice.pick(&[", ", ",", " , "]);
                self.text.push_str(comma);
            }
            if !list {
                self.text.push_str(&format!("k{number}: "));
            }
            match self.dice.roll(6) {
                1 if depth < 3 => self.flow(depth + 1),
                2 => {
                    let quoted = self.dice.pick(QUOTED);
                    self.text.push_str(quoted);
                }
                _ => {
                    let plain = self.dice.pick(PLAIN);
                    self.text.push_str(plain);
                }
            }
        }
        self.text.push(if list { ']' } else { '}' });
    }
}

/// A step from a node to its child, as a second reader finds it.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Item(usize),
}

/// Every node that no alias reaches, with the way to it.
fn nodes_of(tree: &Tree) -> Vec<(NodeId, usize, Vec<Step>)> {
    fn walk(
        tree: &Tree,
        id: NodeId,
        way: &(usize, Vec<Step>),
        found: &mut Vec<(NodeId, usize, Vec<Step>)>,
    ) {
        let node = tree.node(id);
        let shared = node
            .anchor
            .as_ref()
            .is_some_and(|anchor| anchor.used_line.is_some());
        if shared || matches!(node.kind, Kind::Alias(_)) {
            return;
        }
        found.push((id, way.0, way.1.clone()));
        let mut go = |step: Step, child: NodeId| {
            let mut way = way.clone();
            way.1.push(step);
            walk(tree, child, &way, found);
        };
        for (key, value) in tree.entries(id) {
            go(
                Step::Key(tree.scalar(*key).unwrap_or_default().to_owned()),
                *value,
            );
        }
        for (index, item) in tree.items(id).iter().enumerate() {
            go(Step::Item(index), *item);
        }
    }
    let mut found = Vec::new();
    for document in 0..tree.documents() {
        let root = tree.root(document).unwrap();
        walk(tree, root, &(document, Vec::new()), &mut found);
    }
    found
}

/// What a second reader sees.
fn second_reader(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn at<'a>(documents: &'a mut [Value], document: usize, way: &[Step]) -> &'a mut Value {
    let mut value = &mut documents[document];
    for step in way {
        value = match step {
            Step::Key(key) => &mut value[key.as_str()],
            Step::Item(index) => &mut value[*index],
        };
    }
    value
}

/// Makes one edit and checks it. Gives whether it was made.
fn edit(text: &str, dice: &mut Dice<'_>) -> bool {
    let mut editor = Editor::new(text.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let nodes = nodes_of(editor.tree());
    let (id, document, way) = nodes[dice.roll(nodes.len())].clone();
    let value = dice.pick(VALUES).to_owned();
    let mut expected = second_reader(text);
    let target = at(&mut expected, document, &way);
    let new = New::Text(value.clone());
    let done = match editor.tree().node(id).kind.clone() {
        Kind::Scalar(..) if editor.tree().is_null(id) && dice.roll(2) == 1 => {
            *target = serde_json::json!({ "new": value });
            editor.add_entry(Some(id), "new", &new)
        }
        Kind::Scalar(..) => {
            *target = value.clone().into();
            let done = editor.set_text(id, &value);
            assert!(done.is_ok(), "{done:?} {value:?} at {way:?} of\n{text}");
            done
        }
        Kind::Map(entries) if dice.roll(3) == 1 && entries.len() > 1 => {
            let index = dice.roll(entries.len());
            let key = editor.tree().scalar(entries[index].0).unwrap().to_owned();
            target.as_object_mut().unwrap().shift_remove(&key);
            editor.remove_entry(id, index)
        }
        Kind::Map(_) => {
            target["new"] = value.clone().into();
            editor.add_entry(Some(id), "new", &new)
        }
        Kind::List(items) => {
            let index = dice.roll(items.len() + 1);
            target
                .as_array_mut()
                .unwrap()
                .insert(index, value.clone().into());
            editor.add_item(id, index, &new)
        }
        Kind::Alias(_) => unreachable!("aliases are left out"),
    };
    let after = editor.tree().text();
    assert_eq!(apply(text, editor.splices()).as_deref(), Some(after));
    match done {
        Ok(()) => {
            assert_eq!(
                second_reader(after),
                expected,
                "{way:?} {value:?}\n{text}\n=>\n{after}"
            );
            check_bytes(text, &editor, id, &nodes);
            true
        }
        Err(YamlError::EditUnsafe { .. }) => {
            assert_eq!(after, text);
            false
        }
        Err(other) => panic!("{other}"),
    }
}

/// No splice touches the content of a scalar that it is not meant for.
fn check_bytes(text: &str, editor: &Editor, id: NodeId, nodes: &[(NodeId, usize, Vec<Step>)]) {
    let before = Tree::parse(text.as_bytes()).unwrap();
    let inside = |child: NodeId| {
        let way = |id| {
            nodes
                .iter()
                .find(|node| node.0 == id)
                .map(|node| format!("{:?}", node.2))
        };
        let (child, own) = (way(child), way(id));
        let own = own.unwrap();
        child.is_some_and(|child| child.starts_with(own.trim_end_matches(']')))
    };
    for (node, ..) in nodes.iter().filter(|node| !inside(node.0)) {
        let node = before.node(*node);
        if let Kind::Scalar(..) = node.kind {
            for splice in editor.splices() {
                let range = &splice.range;
                let apart = range.end <= node.range.start || node.range.end <= range.start;
                assert!(apart, "{splice:?} touches {node:?} of\n{text}");
            }
        }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn no_edit_changes_a_byte_outside_its_value(
        file in prop::collection::vec(any::<u8>(), 0..160),
        choices in prop::collection::vec(any::<u8>(), 4),
    ) {
        let text = Draft::file(&file);
        edit(&text, &mut Dice(choices.iter()));
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(tree) = Tree::parse(&bytes) {
            prop_assert_eq!(tree.text().as_bytes(), bytes.as_slice());
        }
    }

    #[test]
    fn splices_compose(
        file in prop::collection::vec(any::<u8>(), 0..160),
        choices in prop::collection::vec(any::<u8>(), 24),
    ) {
        let text = Draft::file(&file);
        let mut editor = Editor::new(text.as_bytes()).unwrap();
        let mut dice = Dice(choices.iter());
        for _ in 0..8 {
            let nodes = nodes_of(editor.tree());
            let (id, ..) = nodes[dice.roll(nodes.len())];
            let value = dice.pick(VALUES);
            let done = match editor.tree().node(id).kind {
                Kind::Map(_) => editor.add_entry(Some(id), value, &New::Text(value.to_owned())),
                Kind::List(_) => editor.add_item(id, 0, &New::Text(value.to_owned())),
                _ => editor.set_text(id, value),
            };
            let _ = done;
            let applied = apply(&text, editor.splices());
            prop_assert_eq!(applied.as_deref(), Some(editor.tree().text()));
        }
    }
}

#[test]
fn nearly_every_generated_edit_is_made() {
    let mut made = 0;
    for seed in 0..1_000_u32 {
        // A fixed walk through the space of choices.
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut bytes = Vec::new();
        for _ in 0..160 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            bytes.push(state.to_le_bytes()[1]);
        }
        made += u32::from(edit(&Draft::file(&bytes), &mut Dice(bytes[156..].iter())));
    }
    assert!(made > 950, "{made} of 1000");
}
