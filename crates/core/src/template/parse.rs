//! From tokens to a tree. Unknown functions and variables are found here, not while rendering.

use super::functions::Function;
use super::lex::{self, Kind, Piece, Token};
use super::{TemplateError, TemplateProblem, Value, at};
use crate::limits;

/// One step of rendering.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
}

/// A pipeline with what follows from it.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `$a, $b := command | command`
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) line: u64,
    pub(super) variables: Vec<String>,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// A function or operand, and its arguments.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
}

#[derive(Debug, Clone)]
pub(super) enum Operand {
    Literal(Value),
    Function(Function),
    /// A root and the fields below it.
    Chain(Root, Vec<String>),
}

#[derive(Debug, Clone)]
pub(super) enum Root {
    Dot,
    Variable(String),
    Pipeline(Box<Pipeline>),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser {
        pieces: lex::lex(text)?.into_iter(),
        scope: vec!["$".to_owned()],
        depth: 0,
        loops: 0,
    };
    let (nodes, stop) = parser.nodes()?;
    match stop {
        None => Ok(nodes),
        Some(stop) => Err(syntax(stop.line, format!("`{}` closes nothing", stop.word))),
    }
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    scope: Vec<String>,
    depth: usize,
    loops: usize,
}

/// `end` or `else`, with what stands behind `else`.
struct Stop {
    word: &'static str,
    rest: Vec<Token>,
    line: u64,
}

fn syntax(line: u64, problem: impl Into<String>) -> TemplateError {
    at(line, TemplateProblem::Syntax(problem.into()))
}

impl Parser {
    /// Nodes up to `end`, `else` or the end of the text.
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<Stop>), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, line) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens, line) => (tokens, line),
            };
            let word = match tokens.first() {
                None => return Err(syntax(line, "an action is empty")),
                Some(Token {
                    kind: Kind::Word(word),
                    ..
                }) => word.as_str(),
                Some(_) => "",
            };
            let rest = |tokens: &[Token]| tokens.get(1..).unwrap_or_default().to_vec();
            match word {
                "end" | "else" => {
                    let word = if word == "end" { "end" } else { "else" };
                    let rest = rest(&tokens);
                    if word == "end" && !rest.is_empty() {
                        return Err(syntax(line, "something stands behind `end`"));
                    }
                    return Ok((nodes, Some(Stop { word, rest, line })));
                }
                "if" => nodes.push(Node::If(self.branch("if", &rest(&tokens), line)?)),
                "with" => nodes.push(Node::With(self.branch("with", &rest(&tokens), line)?)),
                "range" => nodes.push(Node::Range(self.branch("range", &rest(&tokens), line)?)),
                "break" | "continue" => {
                    if self.loops == 0 || tokens.len() > 1 {
                        return Err(syntax(line, format!("`{word}` stands in no `range`")));
                    }
                    let jump = if word == "break" {
                        Node::Break
                    } else {
                        Node::Continue
                    };
                    nodes.push(jump);
                }
                "define" | "template" | "block" => {
                    return Err(at(line, TemplateProblem::Unsupported(word.to_owned())));
                }
                _ => nodes.push(Node::Action(self.pipeline(&tokens, line, false)?)),
            }
        }
        Ok((nodes, None))
    }

    /// `if`, `with` or `range` from its pipeline to its `end`.
    fn branch(
        &mut self,
        word: &'static str,
        tokens: &[Token],
        line: u64,
    ) -> Result<Branch, TemplateError> {
        self.deeper(line)?;
        let outer = self.scope.len();
        let is_loop = word == "range";
        let pipeline = self.pipeline(tokens, line, is_loop)?;
        self.loops += usize::from(is_loop);
        let inner = self.scope.len();
        let (body, stop) = self.nodes()?;
        self.scope.truncate(inner);
        self.loops -= usize::from(is_loop);
        let otherwise = match stop {
            None => return Err(syntax(line, format!("`{word}` has no `end`"))),
            Some(Stop { word: "end", .. }) => Vec::new(),
            Some(stop) => self.otherwise(word, &stop)?,
        };
        self.scope.truncate(outer);
        self.depth -= 1;
        Ok(Branch {
            pipeline,
            body,
            otherwise,
        })
    }

    /// What stands behind `else`: nodes up to `end`, or another `if` or `with` that shares it.
    fn otherwise(&mut self, word: &'static str, stop: &Stop) -> Result<Vec<Node>, TemplateError> {
        let chained = match stop.rest.first() {
            None => None,
            Some(Token {
                kind: Kind::Word(next),
                ..
            }) if next == word && word != "range" => Some(stop.rest.get(1..).unwrap_or_default()),
            Some(_) => {
                return Err(syntax(
                    stop.line,
                    format!("`else` of `{word}` cannot be read"),
                ));
            }
        };
        if let Some(tokens) = chained {
            let branch = self.branch(word, tokens, stop.line)?;
            return Ok(vec![if word == "if" {
                Node::If(branch)
            } else {
                Node::With(branch)
            }]);
        }
        let (nodes, end) = self.nodes()?;
        match end {
            Some(Stop { word: "end", .. }) => Ok(nodes),
            Some(stop) => Err(syntax(stop.line, "a second `else`")),
            None => Err(syntax(stop.line, format!("`{word}` has no `end`"))),
        }
    }

    fn deeper(&mut self, line: u64) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > limits::TEMPLATE_DEPTH_MAX {
            return Err(at(line, TemplateProblem::Limit("nesting")));
        }
        Ok(())
    }

    /// A whole pipeline; `two` allows two variables, as `range` does.
    fn pipeline(
        &mut self,
        tokens: &[Token],
        line: u64,
        two: bool,
    ) -> Result<Pipeline, TemplateError> {
        let (variables, assigns, rest) = declarations(tokens);
        if variables.len() > 1 + usize::from(two) {
            return Err(syntax(line, "too many variables"));
        }
        let mut cursor = Cursor { tokens: rest, line };
        let commands = self.commands(&mut cursor)?;
        if !cursor.tokens.is_empty() {
            return Err(syntax(line, "a parenthesis closes nothing"));
        }
        for variable in &variables {
            if assigns {
                self.known(variable, line)?;
            } else {
                self.scope.push(variable.clone());
            }
        }
        Ok(Pipeline {
            line,
            variables,
            assigns,
            commands,
        })
    }

    fn known(&self, variable: &str, line: u64) -> Result<(), TemplateError> {
        if self.scope.iter().any(|known| known == variable) {
            return Ok(());
        }
        Err(at(
            line,
            TemplateProblem::UnknownVariable(variable.to_owned()),
        ))
    }

    /// Commands up to the end, or to a closing parenthesis.
    fn commands(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<Command>, TemplateError> {
        let mut commands = Vec::new();
        loop {
            let mut operands = Vec::new();
            while let Some(token) = cursor.peek() {
                if matches!(token.kind, Kind::Pipe | Kind::Close) {
                    break;
                }
                operands.push(self.operand(cursor)?);
            }
            check_command(&operands, commands.is_empty(), cursor.line)?;
            commands.push(Command { operands });
            match cursor.peek() {
                Some(Token {
                    kind: Kind::Pipe, ..
                }) => cursor.next(),
                _ => return Ok(commands),
            };
        }
    }

    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Result<Operand, TemplateError> {
        let line = cursor.line;
        let Some(token) = cursor.next() else {
            return Err(syntax(line, "a value is missing"));
        };
        let root = match &token.kind {
            Kind::Text(text) => return Ok(Operand::Literal(Value::text(text))),
            Kind::Int(int) => return Ok(Operand::Literal(Value::Int(*int))),
            Kind::Float(float) => return Ok(Operand::Literal(Value::Float(*float))),
            Kind::Word(word) => return word_operand(word, token.line),
            Kind::Dot => return Ok(Operand::Chain(Root::Dot, Vec::new())),
            Kind::Field(name) => {
                let mut fields = vec![name.clone()];
                fields.extend(cursor.fields());
                return Ok(Operand::Chain(Root::Dot, fields));
            }
            Kind::Variable(name) => {
                self.known(name, token.line)?;
                Root::Variable(name.clone())
            }
            Kind::Open => {
                self.deeper(token.line)?;
                let commands = self.commands(cursor)?;
                if !matches!(
                    cursor.next(),
                    Some(Token {
                        kind: Kind::Close,
                        ..
                    })
                ) {
                    return Err(syntax(token.line, "a parenthesis is not closed"));
                }
                self.depth -= 1;
                let (line, variables) = (token.line, Vec::new());
                Root::Pipeline(Box::new(Pipeline {
                    line,
                    variables,
                    assigns: false,
                    commands,
                }))
            }
            Kind::Pipe | Kind::Close | Kind::Comma | Kind::Declare | Kind::Assign => {
                return Err(syntax(token.line, "a value is missing"));
            }
        };
        Ok(Operand::Chain(root, cursor.fields()))
    }
}

/// `$a, $b :=` or `$a =` at the beginning of a pipeline, and the rest.
fn declarations(tokens: &[Token]) -> (Vec<String>, bool, &[Token]) {
    let kind = |index: usize| tokens.get(index).map(|token| &token.kind);
    let rest = |index: usize| tokens.get(index..).unwrap_or_default();
    match (kind(0), kind(1), kind(2), kind(3)) {
        (Some(Kind::Variable(name)), Some(sign @ (Kind::Declare | Kind::Assign)), ..) => {
            (vec![name.clone()], *sign == Kind::Assign, rest(2))
        }
        (
            Some(Kind::Variable(first)),
            Some(Kind::Comma),
            Some(Kind::Variable(second)),
            Some(sign @ (Kind::Declare | Kind::Assign)),
        ) => (
            vec![first.clone(), second.clone()],
            *sign == Kind::Assign,
            rest(4),
        ),
        _ => (Vec::new(), false, tokens),
    }
}

/// A command is a function with arguments, or one operand; only functions take piped values.
fn check_command(operands: &[Operand], is_first: bool, line: u64) -> Result<(), TemplateError> {
    match operands {
        [] => Err(syntax(line, "a command is empty")),
        [Operand::Function(_), ..] => Ok(()),
        [Operand::Literal(Value::Nil)] => Err(syntax(line, "`nil` is not a command")),
        [_] if is_first => Ok(()),
        [_] => Err(syntax(line, "only a function can stand behind `|`")),
        _ => Err(syntax(line, "only functions take arguments")),
    }
}

fn word_operand(word: &str, line: u64) -> Result<Operand, TemplateError> {
    match word {
        "true" => Ok(Operand::Literal(Value::Bool(true))),
        "false" => Ok(Operand::Literal(Value::Bool(false))),
        "nil" => Ok(Operand::Literal(Value::Nil)),
        "call" => Err(at(line, TemplateProblem::Unsupported(word.to_owned()))),
        _ => Function::parse(word)
            .map(Operand::Function)
            .ok_or_else(|| at(line, TemplateProblem::UnknownFunction(word.to_owned()))),
    }
}

struct Cursor<'a> {
    tokens: &'a [Token],
    line: u64,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        self.line = first.line;
        Some(first)
    }

    /// `.A.B` directly behind the last token.
    fn fields(&mut self) -> Vec<String> {
        let mut fields = Vec::new();
        while let Some(Token {
            kind: Kind::Field(name),
            spaced: false,
            ..
        }) = self.peek()
        {
            fields.push(name.clone());
            self.next();
        }
        fields
    }
}
