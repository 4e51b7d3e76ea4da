//! A subset of Go's `text/template`, for commit messages and branch names that users brought along.
//!
//! Here: reading a template, and rendering it from a [`Value`] within bounds. Not here: what the
//! data is (`commit_message`, `branch`). Go standard library, `text/template` and `fmt`.
//!
//! Read: text, comments, trim markers, fields, variables (`:=`, `=`), pipelines, parentheses, `if`,
//! `with`, `range` with `else`, `break`, `continue`, and the functions `and or not len index slice
//! print printf println html js urlquery eq ne lt le gt ge`. Not read: `define`, `template`,
//! `block` and `call`; they are errors, never silently something else.

mod exec;
mod format;
mod functions;
mod lex;
mod parse;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits;

/// A template that was read whole: it can fail on data, but not on its own syntax.
#[derive(Debug, Clone)]
pub struct Template {
    text: Arc<str>,
    nodes: Vec<parse::Node>,
}

/// What a template computes with. Copies are cheap.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A list.
    List(Arc<[Value]>),
    /// Texts by key; a missing key is an empty text.
    Map(Arc<BTreeMap<String, String>>),
    /// Named fields; an unknown field is an error.
    Record(Arc<Record>),
}

/// Named fields in their order. Fields of our own are found by name, and are left out where a
/// record is printed whole, so that such texts stay what they were.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    fields: Vec<(&'static str, Value)>,
    own: Vec<(&'static str, Value)>,
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// A record of fields that templates have always had, and of our own.
    #[must_use]
    pub fn record<const N: usize, const M: usize>(
        fields: [(&'static str, Self); N],
        own: [(&'static str, Self); M],
    ) -> Self {
        Self::Record(Arc::new(Record {
            fields: fields.into(),
            own: own.into(),
        }))
    }
}

/// Why a template cannot be read or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template line {line}: {problem}")]
pub struct TemplateError {
    /// From 1.
    pub line: u64,
    /// What is wrong there.
    pub problem: TemplateProblem,
}

/// The kinds of [`TemplateError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateProblem {
    /// The text is no template.
    #[error("{0}")]
    Syntax(String),
    /// A function does not exist.
    #[error("function `{0}` does not exist")]
    UnknownFunction(String),
    /// A variable was not set before.
    #[error("variable `{0}` was not set")]
    UnknownVariable(String),
    /// Known to Go and not to us.
    #[error("`{0}` is not supported")]
    Unsupported(String),
    /// The data has no such field.
    #[error("there is no field `{0}`")]
    UnknownField(String),
    /// A value is of another kind than its use needs.
    #[error("{0}")]
    WrongKind(String),
    /// Too long, too deep, or too much work.
    #[error("the template goes over the limit of {0}")]
    Limit(&'static str),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`], with the line.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > limits::TEMPLATE_BYTES_MAX {
            return Err(at(1, TemplateProblem::Limit("bytes of a template")));
        }
        let nodes = parse::parse(text)?;
        Ok(Self {
            text: text.into(),
            nodes,
        })
    }

    /// The template as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Renders the template with `data` as its dot.
    ///
    /// Time and output are bounded, whatever the template says.
    ///
    /// # Errors
    /// [`TemplateError`]: the data does not fit, or a bound was reached.
    pub fn render(&self, data: &Value) -> Result<String, TemplateError> {
        exec::render(&self.nodes, data)
    }
}

const fn at(line: u64, problem: TemplateProblem) -> TemplateError {
    TemplateError { line, problem }
}

#[cfg(test)]
mod tests;
