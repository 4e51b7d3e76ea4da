//! Generated kustomizations and override files: only the image that is meant differs afterwards,
//! for a second reader too, and writing it again is no change.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const IMAGES: [&str; 6] = [
    "nginx",
    "docker.io/library/redis",
    "ghcr.io/acme/shop",
    "quay.io/acme/shop",
    "reg:5000/a/b",
    "web",
];
const TAGS: [&str; 5] = ["v1", "1.20", "1e3", "latest", "2024-01-01"];
const QUOTES: [&str; 3] = ["", "'", "\""];
const COMMENTS: [&str; 4] = ["", " # c", "\t# k: v", "  "];

#[derive(Debug, Clone)]
struct Entry {
    name: usize,
    new_name: Option<usize>,
    tag: Option<usize>,
    quote: usize,
    comment: usize,
    flow: bool,
    tag_first: bool,
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (
        0..IMAGES.len(),
        prop::option::of(0..IMAGES.len()),
        prop::option::of(0..TAGS.len()),
        0..QUOTES.len(),
        0..COMMENTS.len(),
        any::<bool>(),
        any::<bool>(),
    );
    let entry = entry.prop_map(
        |(name, new_name, tag, quote, comment, flow, tag_first)| Entry {
            name,
            new_name,
            tag,
            quote,
            comment,
            flow,
            tag_first,
        },
    );
    prop::collection::vec(entry, 0..5)
}

fn kustomization(entries: &[Entry], indent: usize, newline: &str, cut: bool) -> String {
    let mut text = format!("# head{newline}resources: [a.yaml]{newline}");
    text.push_str(if entries.is_empty() {
        "images: []"
    } else {
        "images:"
    });
    text.push_str(newline);
    for entry in entries {
        let (quote, comment) = (QUOTES[entry.quote], COMMENTS[entry.comment]);
        let mut fields = vec![format!("name: {quote}{}{quote}", IMAGES[entry.name])];
        if let Some(new_name) = entry.new_name {
            fields.push(format!("newName: {quote}{}{quote}", IMAGES[new_name]));
        }
        if let Some(tag) = entry.tag {
            let at = if entry.tag_first { 0 } else { fields.len() };
            fields.insert(at, format!("newTag: {quote}{}{quote}", TAGS[tag]));
        }
        let pad = " ".repeat(indent);
        let fields = if entry.flow {
            format!("{{{}}}", fields.join(", "))
        } else {
            fields.join(&format!("{comment}{newline}{pad}  "))
        };
        text.push_str(&format!("{pad}- {fields}{comment}{newline}{newline}"));
    }
    text.push_str(&format!("namespace: x # end{newline}"));
    if cut {
        text.truncate(text.trim_end().len());
    }
    text
}

fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn only_entries_of_the_image_differ(
        entries in entries(),
        indent in 0_usize..5,
        crlf in any::<bool>(),
        cut in any::<bool>(),
        image in 0..IMAGES.len(),
        named in prop::option::of(0..IMAGES.len()),
        digest in any::<bool>(),
    ) {
        let before = kustomization(&entries, indent, if crlf { "\r\n" } else { "\n" }, cut);
        let slot_image = SlotImage {
            image: Reference::parse(IMAGES[image]),
            kustomize_name: named.map(|named| IMAGES[named].to_owned()),
            ..SlotImage::default()
        };
        let path = RepoPath::join("", "kustomization.yaml").unwrap();
        let place = Place {
            path: &path,
            format: Format::Kustomization,
            image: &slot_image,
            source: &SourceImages::default(),
        manifest: None,
    };
        let pinned = digest.then(|| crate::digest::Digest::of(b"x"));
        let new = slot_image.image.with_tag(Some("2.10"), pinned);
        let rendered = match render(&place, Some(before.as_bytes()), &new) {
            Ok(rendered) => rendered,
            Err(SlotError { problem: SlotProblem::Ambiguous { .. }, .. }) => return Ok(()),
            Err(error) => panic!("{error:?}\n{before}"),
        };
        let after = String::from_utf8(rendered.bytes.clone()).unwrap();

        let again = render(&place, Some(&rendered.bytes), &new).unwrap();
        prop_assert!(again.is_unchanged(), "{after}");
        let current = find(&place, Some(&rendered.bytes)).unwrap().current.unwrap();
        prop_assert_eq!(current.image.to_string(), new.to_string(), "{}", after);

        let (mut old, mut new) = (read(&before), read(&after));
        let (old_images, new_images) = (old["images"].take(), new["images"].take());
        prop_assert_eq!(old, new);
        let written: Vec<&String> = rendered.writes.keys().collect();
        for (index, entry) in old_images.as_array().unwrap().iter().enumerate() {
            let route = format!("images[{}]", entry["name"].as_str().unwrap());
            let kept = *entry == new_images[index];
            prop_assert!(kept || written.contains(&&route), "{before}\n=>\n{after}");
        }
        let comments = |text: &str| text.matches('#').count();
        prop_assert!(comments(&after) <= comments(&before));
    }
}
