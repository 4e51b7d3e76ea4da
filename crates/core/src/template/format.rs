//! Values as text: `%v`, `printf`, `print`. Go standard library, `fmt` and `strconv.Quote`.

use super::{TemplateProblem, Value};
use crate::limits;

/// A text that cannot grow without end.
#[derive(Default)]
pub(super) struct Bounded(String);

impl Bounded {
    pub(super) fn push_str(&mut self, text: &str) -> Result<(), TemplateProblem> {
        if self.0.len() + text.len() > limits::TEMPLATE_OUTPUT_BYTES_MAX {
            return Err(TemplateProblem::Limit("output"));
        }
        self.0.push_str(text);
        Ok(())
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// What an action writes for a value.
pub(super) fn print_value(value: &Value) -> String {
    match value {
        Value::Nil => "<no value>".to_owned(),
        _ => plain(value),
    }
}

/// `%v`
fn plain(value: &Value) -> String {
    elements(value, &|value| match value {
        Value::Nil => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => shortest(*value, 21),
        Value::Text(text) => text.to_string(),
        Value::List(_) | Value::Map(_) | Value::Record(_) => String::new(),
    })
}

/// Lists, maps and records with brackets around what `scalar` makes of their parts.
fn elements(value: &Value, scalar: &dyn Fn(&Value) -> String) -> String {
    let joined = |items: Vec<String>| items.join(" ");
    match value {
        Value::List(list) => {
            let items = list.iter().map(|item| elements(item, scalar));
            format!("[{}]", joined(items.collect()))
        }
        Value::Map(map) => {
            let text = |text: &str| scalar(&Value::text(text));
            let items = map
                .iter()
                .map(|(key, item)| format!("{}:{}", text(key), text(item)));
            format!("map[{}]", joined(items.collect()))
        }
        Value::Record(record) => {
            let items = record.fields.iter().map(|(_, item)| elements(item, scalar));
            format!("{{{}}}", joined(items.collect()))
        }
        _ => scalar(value),
    }
}

/// A number with as many digits as it needs, with an exponent below 1e-4 and from 1e`upper`.
fn shortest(value: f64, upper: i32) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (magnitude >= 1e-4 && magnitude < 10_f64.powi(upper)) {
        return format!("{value}");
    }
    if !value.is_finite() {
        let text = if value.is_nan() { "NaN" } else { "+Inf" };
        return if value < 0.0 {
            "-Inf".to_owned()
        } else {
            text.to_owned()
        };
    }
    go_exponent(&format!("{value:e}"))
}

/// `1e5` as `1e+05`.
fn go_exponent(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else {
        return text.to_owned();
    };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// `fmt.Sprint`: blanks between operands when neither is a text.
pub(super) fn sprint(out: &mut Bounded, values: &[Value]) -> Result<(), TemplateProblem> {
    let mut after_text = true;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if index > 0 && !is_text && !after_text {
            out.push_str(" ")?;
        }
        out.push_str(&plain(value))?;
        after_text = is_text;
    }
    Ok(())
}

/// `fmt.Sprintln`: blanks between all operands, and a line feed.
pub(super) fn sprintln(out: &mut Bounded, values: &[Value]) -> Result<(), TemplateProblem> {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push_str(" ")?;
        }
        out.push_str(&plain(value))?;
    }
    out.push_str("\n")
}

/// One `%…` of a format.
#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    letter: char,
}

/// `fmt.Sprintf`, without explicit argument indexes.
pub(super) fn sprintf(
    out: &mut Bounded,
    layout: &str,
    values: &[Value],
) -> Result<(), TemplateProblem> {
    let mut values = values.iter();
    let mut rest = layout;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before)?;
        if after.is_empty() {
            return out.push_str("%!(NOVERB)");
        }
        let (verb, after) = parse_verb(after, &mut values)?;
        rest = after;
        if verb.letter == '%' {
            out.push_str("%")?;
            continue;
        }
        match values.next() {
            Some(value) => out.push_str(&apply(&verb, value))?,
            None => out.push_str(&format!("%!{}(MISSING)", verb.letter))?,
        }
    }
    out.push_str(rest)?;
    let extra: Vec<String> = values
        .map(|value| format!("{}={}", type_name(value), plain(value)))
        .collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")))?;
    }
    Ok(())
}

fn parse_verb<'a, 'v>(
    text: &'a str,
    values: &mut impl Iterator<Item = &'v Value>,
) -> Result<(Verb, &'a str), TemplateProblem> {
    let mut verb = Verb::default();
    let mut rest = text;
    while let Some(flag) = rest.chars().next() {
        match flag {
            '-' => verb.minus = true,
            '+' => verb.plus = true,
            '#' => verb.sharp = true,
            ' ' => verb.space = true,
            '0' => verb.zero = true,
            _ => break,
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    verb.width = number(&mut rest, values)?;
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        verb.precision = Some(number(&mut rest, values)?.unwrap_or(0));
    }
    let letter = rest.chars().next().unwrap_or('!');
    if letter == '[' {
        return Err(TemplateProblem::Unsupported(
            "printf with argument indexes".to_owned(),
        ));
    }
    verb.letter = letter;
    Ok((verb, rest.get(letter.len_utf8()..).unwrap_or_default()))
}

/// A width or precision: digits, or `*` for the next argument.
fn number<'v>(
    rest: &mut &str,
    values: &mut impl Iterator<Item = &'v Value>,
) -> Result<Option<usize>, TemplateProblem> {
    let limited = |number: usize| {
        let max = limits::TEMPLATE_OUTPUT_BYTES_MAX;
        if number > max {
            Err(TemplateProblem::Limit("output"))
        } else {
            Ok(Some(number))
        }
    };
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        return match values.next() {
            Some(Value::Int(number)) => limited(usize::try_from(*number).unwrap_or(0)),
            _ => Err(TemplateProblem::WrongKind("`*` needs a number".to_owned())),
        };
    }
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    if digits.is_empty() {
        return Ok(None);
    }
    limited(digits.parse().unwrap_or(usize::MAX))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) => "list",
        Value::Map(_) => "map[string]string",
        Value::Record(_) => "record",
    }
}

fn apply(verb: &Verb, value: &Value) -> String {
    if verb.letter == 'T' {
        return pad(verb, type_name(value).to_owned(), false);
    }
    elements(value, &|value| scalar(verb, value))
}

fn scalar(verb: &Verb, value: &Value) -> String {
    let formatted = match value {
        Value::Text(text) => text_verb(verb, text),
        Value::Int(int) => int_verb(verb, *int),
        Value::Float(float) => float_verb(verb, *float),
        Value::Bool(value) => {
            matches!(verb.letter, 'v' | 't').then(|| pad(verb, value.to_string(), false))
        }
        _ => (verb.letter == 'v').then(|| pad(verb, plain(value), false)),
    };
    formatted.unwrap_or_else(|| match value {
        Value::Nil => format!("%!{}(<nil>)", verb.letter),
        _ => format!("%!{}({}={})", verb.letter, type_name(value), plain(value)),
    })
}

fn text_verb(verb: &Verb, text: &str) -> Option<String> {
    let cut = || match verb.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    let hex = |upper: bool| {
        let bytes = text.bytes().take(verb.precision.unwrap_or(usize::MAX));
        let pairs = bytes.map(|byte| {
            if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            }
        });
        let separator = if verb.space { " " } else { "" };
        pairs.collect::<Vec<_>>().join(separator)
    };
    let formatted = match verb.letter {
        'v' if verb.sharp => quote(&cut(), false),
        'v' | 's' => cut(),
        'q' if verb.sharp && !text.contains(['`', '\n', '\r']) => format!("`{}`", cut()),
        'q' => quote(&cut(), verb.plus),
        'x' => hex(false),
        'X' => hex(true),
        _ => return None,
    };
    Some(pad(verb, formatted, false))
}

fn int_verb(verb: &Verb, int: i64) -> Option<String> {
    let magnitude = int.unsigned_abs();
    let (prefix, digits) = match verb.letter {
        'd' | 'v' => ("", magnitude.to_string()),
        'b' => ("0b", format!("{magnitude:b}")),
        'o' => ("0", format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        'U' => return Some(pad(verb, format!("U+{magnitude:04X}"), false)),
        'c' | 'q' => {
            let code = u32::try_from(int).ok();
            let character = code.and_then(char::from_u32).unwrap_or('\u{fffd}');
            let shown = match verb.letter {
                'c' => character.to_string(),
                _ => quote_character(character),
            };
            return Some(pad(verb, shown, false));
        }
        _ => return None,
    };
    let prefix = if verb.sharp || verb.letter == 'O' {
        prefix
    } else {
        ""
    };
    let digits = match verb.precision {
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    Some(pad(
        verb,
        format!("{}{prefix}{digits}", sign(verb, int < 0)),
        verb.precision.is_none(),
    ))
}

const fn sign(verb: &Verb, negative: bool) -> &'static str {
    match (negative, verb.plus, verb.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn float_verb(verb: &Verb, float: f64) -> Option<String> {
    let magnitude = float.abs();
    let precision = verb.precision.unwrap_or(6).min(1_000);
    let digits = match verb.letter {
        'v' | 'g' if verb.precision.is_none() => shortest(magnitude, 21),
        'f' | 'F' => format!("{magnitude:.precision$}"),
        'e' => go_exponent(&format!("{magnitude:.precision$e}")),
        'E' => go_exponent(&format!("{magnitude:.precision$e}")).to_uppercase(),
        _ => return None,
    };
    Some(pad(
        verb,
        format!("{}{digits}", sign(verb, float < 0.0)),
        true,
    ))
}

/// Fills up to the width, with zeros behind the sign for numbers that ask for it.
fn pad(verb: &Verb, text: String, numeric: bool) -> String {
    let missing = verb.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if verb.minus {
        return format!("{text}{}", " ".repeat(missing));
    }
    if verb.zero && numeric {
        let sign_end = usize::from(text.starts_with(['+', '-', ' ']));
        let (sign, digits) = text.split_at(sign_end);
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    let fill = if verb.zero { "0" } else { " " };
    format!("{}{text}", fill.repeat(missing))
}

/// Whether Go prints a character as it is inside quotes.
pub(super) fn is_printable(character: char) -> bool {
    character == ' '
        || !(character.is_control()
            || character.is_whitespace()
            || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{d7a4}'..='\u{d7af}' | '\u{e000}'..='\u{f8ff}'
                | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
                | '\u{e0000}'..='\u{e007f}' | '\u{f0000}'..))
}

fn quote(text: &str, ascii_only: bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        quote_into(&mut quoted, character, '"', ascii_only);
    }
    quoted.push('"');
    quoted
}

fn quote_character(character: char) -> String {
    let mut quoted = "'".to_owned();
    quote_into(&mut quoted, character, '\'', false);
    quoted.push('\'');
    quoted
}

fn quote_into(out: &mut String, character: char, quote: char, ascii_only: bool) {
    let escape = match character {
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        '\\' => "\\\\",
        _ if character == quote => {
            out.extend(['\\', quote]);
            return;
        }
        _ if is_printable(character) && (character.is_ascii() || !ascii_only) => {
            out.push(character);
            return;
        }
        _ => {
            let code = u32::from(character);
            out.push_str(&match code {
                0..=0x7f => format!("\\x{code:02x}"),
                0x80..=0xffff => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            });
            return;
        }
    };
    out.push_str(escape);
}
