//! The functions of templates. Go: `text/template`, "Functions".

use std::cmp::Ordering;

use super::format::{self, Bounded};
use super::{TemplateProblem, Value};

/// A function by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Len,
    Index,
    Slice,
    Print,
    Printf,
    Println,
    Html,
    Js,
    UrlQuery,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Function {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "or" => Self::Or,
            "not" => Self::Not,
            "len" => Self::Len,
            "index" => Self::Index,
            "slice" => Self::Slice,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "html" => Self::Html,
            "js" => Self::Js,
            "urlquery" => Self::UrlQuery,
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            _ => return None,
        })
    }

    /// Whether it makes a text of whatever its arguments hold.
    pub(super) const fn prints(self) -> bool {
        matches!(
            self,
            Self::Print | Self::Printf | Self::Println | Self::Html | Self::Js | Self::UrlQuery
        )
    }

    /// Whether `and` or `or` is decided by this argument.
    pub(super) fn stops_at(self, value: &Value) -> bool {
        match self {
            Self::And => !truth(value),
            Self::Or => truth(value),
            _ => false,
        }
    }
}

/// Whether a value counts as true: neither false, nor zero, nor empty.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Bool(value) => *value,
        Value::Int(value) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::List(list) => !list.is_empty(),
        Value::Map(map) => !map.is_empty(),
        Value::Record(_) => true,
    }
}

pub(super) fn call(function: Function, arguments: &[Value]) -> Result<Value, TemplateProblem> {
    match function {
        Function::And | Function::Or => arguments
            .last()
            .cloned()
            .ok_or_else(|| kind("`and` and `or` need an argument")),
        Function::Not => match arguments {
            [value] => Ok(Value::Bool(!truth(value))),
            _ => Err(kind("`not` needs one argument")),
        },
        Function::Len => len(arguments),
        Function::Index => match arguments.split_first() {
            Some((value, keys)) => keys.iter().try_fold(value.clone(), index),
            None => Err(kind("`index` needs an argument")),
        },
        Function::Slice => slice(arguments),
        Function::Print => text(|out| format::sprint(out, arguments)),
        Function::Println => text(|out| format::sprintln(out, arguments)),
        Function::Printf => match arguments.split_first() {
            Some((Value::Text(layout), rest)) => text(|out| format::sprintf(out, layout, rest)),
            _ => Err(kind("`printf` needs a format")),
        },
        Function::Html => escaped(arguments, html),
        Function::Js => escaped(arguments, js),
        Function::UrlQuery => escaped(arguments, url_query),
        Function::Eq => equal(arguments).map(Value::Bool),
        Function::Ne => match arguments {
            [_, _] => equal(arguments).map(|equal| Value::Bool(!equal)),
            _ => Err(kind("`ne` needs two arguments")),
        },
        Function::Lt => compare(arguments, Ordering::is_lt),
        Function::Le => compare(arguments, Ordering::is_le),
        Function::Gt => compare(arguments, Ordering::is_gt),
        Function::Ge => compare(arguments, Ordering::is_ge),
    }
}

fn kind(problem: &str) -> TemplateProblem {
    TemplateProblem::WrongKind(problem.to_owned())
}

fn text(
    write: impl FnOnce(&mut Bounded) -> Result<(), TemplateProblem>,
) -> Result<Value, TemplateProblem> {
    let mut out = Bounded::default();
    write(&mut out)?;
    Ok(Value::text(&out.into_text()))
}

fn len(arguments: &[Value]) -> Result<Value, TemplateProblem> {
    let length = match arguments {
        [Value::Text(text)] => text.len(),
        [Value::List(list)] => list.len(),
        [Value::Map(map)] => map.len(),
        _ => return Err(kind("`len` needs one text, list or map")),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(value: Value, key: &Value) -> Result<Value, TemplateProblem> {
    let position = |key: &Value| match key {
        Value::Int(position) => usize::try_from(*position).ok(),
        _ => None,
    };
    match (&value, key) {
        (Value::Map(map), Value::Text(key)) => Ok(Value::text(
            map.get(key.as_ref()).map_or("", String::as_str),
        )),
        (Value::List(list), key) => position(key)
            .and_then(|position| list.get(position).cloned())
            .ok_or_else(|| kind("`index` is out of range")),
        (Value::Text(text), key) => position(key)
            .and_then(|position| text.as_bytes().get(position))
            .map(|byte| Value::Int(i64::from(*byte)))
            .ok_or_else(|| kind("`index` is out of range")),
        _ => Err(kind(
            "`index` needs a list and a number, or a map and a text",
        )),
    }
}

/// `slice text from to`. Bytes, as in Go; a cut inside a character is an error.
fn slice(arguments: &[Value]) -> Result<Value, TemplateProblem> {
    let position = |at: usize, default: usize| match arguments.get(at) {
        None => Ok(default),
        Some(Value::Int(position)) => {
            usize::try_from(*position).map_err(|_| kind("`slice` is out of range"))
        }
        Some(_) => Err(kind("`slice` needs numbers")),
    };
    let length = match arguments.first() {
        Some(Value::Text(text)) => text.len(),
        Some(Value::List(list)) => list.len(),
        _ => return Err(kind("`slice` needs a text or a list")),
    };
    if arguments.len() > 3 {
        return Err(kind("`slice` takes two numbers at most"));
    }
    let range = position(1, 0)?..position(2, length)?;
    let cut = match arguments.first() {
        Some(Value::Text(text)) => text.get(range).map(Value::text),
        Some(Value::List(list)) => list.get(range).map(|part| Value::List(part.into())),
        _ => None,
    };
    cut.ok_or_else(|| kind("`slice` is out of range"))
}

/// Whether the first argument equals any of the others.
fn equal(arguments: &[Value]) -> Result<bool, TemplateProblem> {
    let Some((first, others)) = arguments
        .split_first()
        .filter(|(_, others)| !others.is_empty())
    else {
        return Err(kind("`eq` needs two arguments"));
    };
    for other in others {
        let same = match (first, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Nil, other) | (other, Value::Nil) => *other == Value::Nil,
            _ => return Err(kind("values of different kinds cannot be compared")),
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn compare(
    arguments: &[Value],
    wanted: impl FnOnce(Ordering) -> bool,
) -> Result<Value, TemplateProblem> {
    let ordering = match arguments {
        [Value::Int(a), Value::Int(b)] => Some(a.cmp(b)),
        [Value::Float(a), Value::Float(b)] => a.partial_cmp(b),
        [Value::Text(a), Value::Text(b)] => Some(a.cmp(b)),
        _ => return Err(kind("only two numbers or two texts have an order")),
    };
    Ok(Value::Bool(ordering.is_some_and(wanted)))
}

/// The arguments as one text, character by character through `escape`.
fn escaped(
    arguments: &[Value],
    escape: impl Fn(char, &mut String),
) -> Result<Value, TemplateProblem> {
    let mut plain = Bounded::default();
    format::sprint(&mut plain, arguments)?;
    text(|out| {
        let mut piece = String::new();
        for character in plain.into_text().chars() {
            piece.clear();
            escape(character, &mut piece);
            out.push_str(&piece)?;
        }
        Ok(())
    })
}

fn html(character: char, out: &mut String) {
    match character {
        '\0' => out.push('\u{fffd}'),
        '"' => out.push_str("&#34;"),
        '\'' => out.push_str("&#39;"),
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        _ => out.push(character),
    }
}

fn js(character: char, out: &mut String) {
    match character {
        '\\' | '\'' | '"' => out.extend(['\\', character]),
        '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(character))),
        _ if !format::is_printable(character) => {
            out.push_str(&format!("\\u{:04X}", u32::from(character)));
        }
        _ => out.push(character),
    }
}

fn url_query(character: char, out: &mut String) {
    match character {
        ' ' => out.push('+'),
        '-' | '_' | '.' | '~' => out.push(character),
        _ if character.is_ascii_alphanumeric() => out.push(character),
        _ => {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}
