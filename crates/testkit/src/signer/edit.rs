//! Single faults: a form with exactly one thing changed after it was signed.
//!
//! What must be signed anew to be the only fault is set on the [`super::Draft`] instead.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::evidence::Form;
use serde_json::Value;

/// The form's JSON (a bundle, an envelope, a simple signing payload).
///
/// # Panics
/// When it is none.
#[must_use]
pub fn json(form: &Form) -> Value {
    serde_json::from_slice(bytes(form)).expect("JSON")
}

/// `form` with what `change` makes of the value at the JSON pointer `pointer` (RFC 6901) in its
/// JSON.
///
/// # Panics
/// When nothing is there: a fault that was not made proves nothing.
#[must_use]
pub fn edit(form: &Form, pointer: &str, change: impl FnOnce(&mut Value)) -> Form {
    let mut document = json(form);
    change(at(&mut document, pointer));
    with(form, document.to_string().into_bytes())
}

/// `form` without the field at `pointer`.
///
/// # Panics
/// When nothing is there.
#[must_use]
pub fn without(form: &Form, pointer: &str) -> Form {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer to a field");
    edit(form, parent, |value| match value {
        Value::Object(fields) => {
            // `shift`: the order of the others stays.
            fields.shift_remove(name).expect("a field");
        }
        Value::Array(items) => {
            items.remove(name.parse().expect("a position"));
        }
        _ => panic!("`{parent}` holds nothing"),
    })
}

/// `form` with one bit changed in the middle of the bytes whose base64 stands at `pointer`, so that
/// no encoding around them breaks first.
///
/// # Panics
/// When no base64 is there.
#[must_use]
pub fn flip(form: &Form, pointer: &str) -> Form {
    edit(form, pointer, |value| {
        let mut bytes = decoded(value);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        *value = STANDARD.encode(bytes).into();
    })
}

/// `form` with one bit changed in the byte that is `before` the end of the bytes whose base64
/// stands at `pointer`: certificates and tokens end with their signature.
///
/// # Panics
/// When no base64 is there, or too little of it.
#[must_use]
pub fn flip_last(form: &Form, pointer: &str, before: usize) -> Form {
    edit(form, pointer, |value| {
        let mut bytes = decoded(value);
        let position = bytes.len() - 1 - before;
        bytes[position] ^= 1;
        *value = STANDARD.encode(bytes).into();
    })
}

/// `form` with more bytes behind those whose base64 stands at `pointer`.
///
/// # Panics
/// When no base64 is there.
#[must_use]
pub fn trail(form: &Form, pointer: &str) -> Form {
    edit(form, pointer, |value| {
        let mut bytes = decoded(value);
        bytes.extend([5, 0]);
        *value = STANDARD.encode(bytes).into();
    })
}

/// `form` with the value at `pointer` from `other`: proof of one thing beside another.
///
/// # Panics
/// When either has nothing there, or both have the same.
#[must_use]
pub fn graft(form: &Form, other: &Form, pointer: &str) -> Form {
    let mut theirs = json(other);
    let theirs = at(&mut theirs, pointer).clone();
    edit(form, pointer, |own| {
        assert_ne!(*own, theirs, "`{pointer}` is the same in both");
        *own = theirs;
    })
}

/// A legacy layer with the annotation `name` of `other`.
///
/// # Panics
/// When either is a bundle, or has no such annotation.
#[must_use]
pub fn graft_annotation(form: &Form, other: &Form, name: &str) -> Form {
    annotation(form, name, Some(annotated(other, name)))
}

/// `form` with its text changed, for faults that no JSON value holds.
///
/// # Panics
/// When it is no text, or stays the same.
#[must_use]
pub fn text(form: &Form, change: impl FnOnce(String) -> String) -> Form {
    let before = String::from_utf8(bytes(form).to_vec()).expect("a text");
    let after = change(before.clone());
    assert_ne!(before, after, "nothing was changed");
    with(form, after.into_bytes())
}

/// `form` with the JSON changed whose base64 stands at `pointer`: the payload of an envelope, the
/// body of an entry.
///
/// # Panics
/// When no such thing is there.
#[must_use]
pub fn inside(form: &Form, pointer: &str, change: impl FnOnce(&mut Value)) -> Form {
    edit(form, pointer, |value| {
        let mut document: Value = serde_json::from_slice(&decoded(value)).expect("JSON");
        change(&mut document);
        *value = STANDARD.encode(document.to_string()).into();
    })
}

/// A legacy layer with another annotation: `None` takes it away.
///
/// # Panics
/// When `form` is a bundle, or there is no such annotation.
#[must_use]
pub fn annotation(form: &Form, name: &str, text: Option<&str>) -> Form {
    let mut form = form.clone();
    let (Form::SimpleSigning { annotations, .. } | Form::Envelope { annotations, .. }) = &mut form
    else {
        panic!("a bundle has no annotations");
    };
    annotations.remove(name).expect("an annotation");
    if let Some(text) = text {
        annotations.insert(name.to_owned(), text.to_owned());
    }
    form
}

/// A legacy layer with the JSON changed that an annotation holds.
///
/// # Panics
/// When there is no such annotation, or nothing at `pointer`.
#[must_use]
pub fn in_annotation(
    form: &Form,
    name: &str,
    pointer: &str,
    change: impl FnOnce(&mut Value),
) -> Form {
    let text = annotated(form, name);
    let mut document: Value = serde_json::from_str(text).expect("JSON");
    change(at(&mut document, pointer));
    annotation(form, name, Some(&document.to_string()))
}

fn annotated<'a>(form: &'a Form, name: &str) -> &'a str {
    let (Form::SimpleSigning { annotations, .. } | Form::Envelope { annotations, .. }) = form
    else {
        panic!("a bundle has no annotations");
    };
    annotations.get(name).expect("an annotation")
}

/// `form` with other bytes in the place of its own.
#[must_use]
pub fn with(form: &Form, bytes: Vec<u8>) -> Form {
    let bytes = bytes.into();
    match form.clone() {
        Form::Bundle(_) => Form::Bundle(bytes),
        Form::SimpleSigning { annotations, .. } => Form::SimpleSigning {
            payload: bytes,
            annotations,
        },
        Form::Envelope { annotations, .. } => Form::Envelope {
            envelope: bytes,
            annotations,
        },
        unread @ Form::Unread { .. } => unread,
    }
}

/// The form's bytes.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn bytes(form: &Form) -> &[u8] {
    match form {
        Form::Bundle(bytes) => bytes,
        Form::SimpleSigning { payload, .. } => payload,
        Form::Envelope { envelope, .. } => envelope,
        Form::Unread { artifact_type } => panic!("`{artifact_type}` is not read"),
    }
}

fn at<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    let shown = document.to_string();
    let found = document.pointer_mut(pointer);
    found.unwrap_or_else(|| panic!("nothing is at `{pointer}` in {shown}"))
}

fn decoded(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a text");
    STANDARD.decode(text).expect("base64")
}
