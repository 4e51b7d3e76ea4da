//! From the text of a template to tokens. Go: `text/template/parse`, lexer.

use super::{TemplateError, TemplateProblem, at};

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// Text outside actions, trimmed by its neighbours.
    Text(String),
    /// The inside of `{{ }}`.
    Action(Vec<Token>, u64),
}

/// One token of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Whether blanks stand before it: `.A.B` is one operand, `.A .B` are two.
    pub(super) spaced: bool,
    pub(super) line: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$` or `$name`
    Variable(String),
    /// A function or keyword.
    Word(String),
    /// `"…"` or a raw string.
    Text(String),
    Int(i64),
    Float(f64),
    Pipe,
    Open,
    Close,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// Cuts the whole template.
pub(super) fn lex(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut line = 1;
    let mut trim_next = false;
    loop {
        let (before, action) = match rest.split_once("{{") {
            Some((before, action)) => (before, Some(action)),
            None => (rest, None),
        };
        let trim_this = action.is_some_and(has_left_trim);
        let mut shown = before;
        if trim_next {
            shown = shown.trim_start_matches(is_space);
        }
        if trim_this {
            shown = shown.trim_end_matches(is_space);
        }
        if !shown.is_empty() {
            pieces.push(Piece::Text(shown.to_owned()));
        }
        let Some(mut action) = action else {
            return Ok(pieces);
        };
        line += newlines(before);
        if trim_this {
            action = action.get(1..).unwrap_or_default();
        }
        let mut lexer = Lexer { rest: action, line };
        if action.trim_start_matches(is_space).starts_with("/*") {
            trim_next = lexer.comment()?;
        } else {
            let (tokens, trim) = lexer.action()?;
            pieces.push(Piece::Action(tokens, line));
            trim_next = trim;
        }
        (rest, line) = (lexer.rest, lexer.line);
    }
}

/// Whether an action begins with `- `, the left trim marker.
fn has_left_trim(action: &str) -> bool {
    action
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(is_space))
}

const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

struct Lexer<'a> {
    rest: &'a str,
    line: u64,
}

impl<'a> Lexer<'a> {
    fn error(&self, problem: impl Into<String>) -> TemplateError {
        at(self.line, TemplateProblem::Syntax(problem.into()))
    }

    fn skip(&mut self, bytes: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += newlines(skipped);
        self.rest = rest;
        skipped
    }

    /// `/* … */` up to the end of its action. Says whether the next text is trimmed.
    fn comment(&mut self) -> Result<bool, TemplateError> {
        let Some(end) = self.rest.find("*/") else {
            return Err(self.error("a comment is not closed"));
        };
        self.skip(end + 2);
        let trimmed = self.rest.trim_start_matches(is_space);
        let blanks = self.rest.len() - trimmed.len();
        if blanks > 0 && trimmed.starts_with("-}}") {
            self.skip(blanks + 3);
            return Ok(true);
        }
        if self.rest.starts_with("}}") {
            self.skip(2);
            return Ok(false);
        }
        Err(self.error("a comment must be alone between `{{` and `}}`"))
    }

    /// Tokens up to the end of the action, and whether the next text is trimmed.
    fn action(&mut self) -> Result<(Vec<Token>, bool), TemplateError> {
        let mut tokens = Vec::new();
        loop {
            let trimmed = self.rest.trim_start_matches(is_space);
            let blanks = self.rest.len() - trimmed.len();
            if blanks > 0 && trimmed.starts_with("-}}") {
                self.skip(blanks + 3);
                return Ok((tokens, true));
            }
            self.skip(blanks);
            if self.rest.starts_with("}}") {
                self.skip(2);
                return Ok((tokens, false));
            }
            let line = self.line;
            let kind = self.token()?;
            tokens.push(Token {
                kind,
                spaced: blanks > 0,
                line,
            });
        }
    }

    fn token(&mut self) -> Result<Kind, TemplateError> {
        let Some(first) = self.rest.chars().next() else {
            return Err(self.error("an action is not closed with `}}`"));
        };
        let second = self.rest.chars().nth(1);
        let simple = match first {
            '|' => Some(Kind::Pipe),
            '(' => Some(Kind::Open),
            ')' => Some(Kind::Close),
            ',' => Some(Kind::Comma),
            '=' => Some(Kind::Assign),
            _ => None,
        };
        if let Some(kind) = simple {
            self.skip(1);
            return Ok(kind);
        }
        match first {
            ':' if second == Some('=') => {
                self.skip(2);
                Ok(Kind::Declare)
            }
            '"' => self.quoted(),
            '`' => self.raw(),
            '\'' => self.character(),
            '$' => {
                self.skip(1);
                Ok(Kind::Variable(format!("${}", self.word())))
            }
            '.' if !second.is_some_and(|c| c.is_ascii_digit()) => {
                self.skip(1);
                match self.word() {
                    "" => Ok(Kind::Dot),
                    name => Ok(Kind::Field(name.to_owned())),
                }
            }
            _ if first.is_alphabetic() || first == '_' => Ok(Kind::Word(self.word().to_owned())),
            '.' | '+' | '-' | '0'..='9' => self.number(),
            _ => Err(self.error(format!("`{}` is unexpected", first.escape_debug()))),
        }
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        self.skip(end.unwrap_or(self.rest.len()))
    }

    fn number(&mut self) -> Result<Kind, TemplateError> {
        let signed = usize::from(self.rest.starts_with(['+', '-']));
        let body = self.rest.get(signed..).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        let end = signed + body.find(|c: char| !is_part(c)).unwrap_or(body.len());
        let text = self.skip(end).replace('_', "");
        let (digits, negative) = match text.strip_prefix('-') {
            Some(digits) => (digits, true),
            None => (text.strip_prefix('+').unwrap_or(&text), false),
        };
        let radix = |prefix: &str, radix| {
            let digits = digits.to_ascii_lowercase();
            i64::from_str_radix(digits.strip_prefix(prefix)?, radix).ok()
        };
        let int = digits
            .parse::<i64>()
            .ok()
            .or_else(|| radix("0x", 16))
            .or_else(|| radix("0o", 8))
            .or_else(|| radix("0b", 2));
        if let Some(int) = int {
            return Ok(Kind::Int(if negative { -int } else { int }));
        }
        match digits.parse::<f64>() {
            Ok(float) if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                Ok(Kind::Float(if negative { -float } else { float }))
            }
            _ => Err(self.error(format!("`{text}` is no number"))),
        }
    }

    fn raw(&mut self) -> Result<Kind, TemplateError> {
        self.skip(1);
        let Some(end) = self.rest.find('`') else {
            return Err(self.error("a raw string is not closed"));
        };
        let text = self.skip(end).replace('\r', "");
        self.skip(1);
        Ok(Kind::Text(text))
    }

    fn character(&mut self) -> Result<Kind, TemplateError> {
        self.skip(1);
        let character = match self.rest.chars().next() {
            Some('\\') => self.escape('\'')?,
            Some(character) if character != '\'' && character != '\n' => {
                self.skip(character.len_utf8());
                character
            }
            _ => return Err(self.error("a character constant is empty or not closed")),
        };
        if !self.rest.starts_with('\'') {
            return Err(self.error("a character constant is not closed"));
        }
        self.skip(1);
        Ok(Kind::Int(i64::from(u32::from(character))))
    }

    fn quoted(&mut self) -> Result<Kind, TemplateError> {
        self.skip(1);
        let mut text = String::new();
        loop {
            match self.rest.chars().next() {
                Some('"') => {
                    self.skip(1);
                    return Ok(Kind::Text(text));
                }
                Some('\\') => text.push(self.escape('"')?),
                Some(character) if character != '\n' => {
                    self.skip(character.len_utf8());
                    text.push(character);
                }
                _ => return Err(self.error("a string is not closed")),
            }
        }
    }

    /// One escape sequence of a Go string; `quote` is the quote that may be escaped.
    fn escape(&mut self, quote: char) -> Result<char, TemplateError> {
        self.skip(1);
        let letter = self.rest.chars().next().unwrap_or('\n');
        self.skip(letter.len_utf8());
        let digits = match letter {
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'f' => return Ok('\u{c}'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\u{b}'),
            '\\' => return Ok('\\'),
            _ if letter == quote => return Ok(quote),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(self.error("a string has an unknown escape")),
        };
        let code = self
            .rest
            .get(..digits)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        // Bytes above 0x7f alone are no text; Go would build invalid UTF-8 from them.
        let character = code
            .filter(|code| digits > 2 || *code < 0x80)
            .and_then(char::from_u32)
            .ok_or_else(|| self.error("a string has a broken escape"))?;
        self.skip(digits);
        Ok(character)
    }
}
