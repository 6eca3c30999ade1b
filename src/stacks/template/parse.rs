//! The parser of templates, by the grammar of Go's `text/template`.

use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::Value as Json;

use super::lex::{self, Action, Placed, Segment, Token};
use super::{Delimiters, Refusal};

/// The maximum nesting depth of blocks and brackets.
const MAX_DEPTH: usize = 16;

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'t> {
    Text(&'t str),
    /// A pipeline whose result is printed, unless it sets a variable.
    Print {
        pipeline: Pipeline,
        written: &'t str,
        offset: usize,
    },
    If(Branch<'t>),
    With(Branch<'t>),
    Range(Branch<'t>),
    Break,
    Continue,
}

/// A block and its `else` branch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch<'t> {
    pub(super) pipeline: Pipeline,
    pub(super) inner: Vec<Node<'t>>,
    pub(super) otherwise: Vec<Node<'t>>,
}

/// Commands; the result of each is the last argument of the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    pub(super) variables: Vec<String>,
    /// `:=` rather than `=`.
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

/// A function or a value, and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
    pub(super) offset: usize,
}

/// A value and the fields that are accessed on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
    pub(super) offset: usize,
}

/// The start of an operand.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Base {
    Dot,
    Constant(Json),
    Variable(String),
    Function(String),
    Group(Pipeline),
}

/// A parsed template.
pub(super) struct Parsed<'t> {
    pub(super) nodes: Vec<Node<'t>>,
    /// The nesting depth of its blocks and brackets.
    pub(super) nesting: usize,
}

/// Parses a template.
pub(super) fn parse<'t>(text: &'t str, delimiters: &Delimiters) -> Result<Parsed<'t>, Refusal> {
    let segments = lex::segments(text, delimiters)?.into_iter();
    let mut parser = Parser { segments, depth: 0, nesting: 0, loops: 0 };
    let (nodes, end) = parser.nodes()?;
    match end {
        None => Ok(Parsed { nodes, nesting: parser.nesting }),
        Some(end) => Err(end.action.refusal("belongs to nothing that was opened before")),
    }
}

struct Parser<'t> {
    segments: IntoIter<Segment<'t>>,
    depth: usize,
    nesting: usize,
    loops: usize,
}

/// An `else` or `end`, which closes the preceding nodes.
struct Closing<'t> {
    action: Action<'t>,
    is_else: bool,
    words: Words<'t>,
}

impl<'t> Parser<'t> {
    fn nodes(&mut self) -> Result<(Vec<Node<'t>>, Option<Closing<'t>>), Refusal> {
        let mut nodes = Vec::new();
        while let Some(segment) = self.segments.next() {
            let action = match segment {
                Segment::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Segment::Action(action) => action,
            };
            let mut words =
                Words { action, rest: action.tokens()?.into_iter().peekable(), depth: 0, nesting: 0 };
            let keyword = match words.rest.peek().map(|placed| &placed.token) {
                Some(Token::Word(word)) => word.clone(),
                _ => String::new(),
            };
            nodes.push(match keyword.as_str() {
                "end" | "else" => {
                    words.rest.next();
                    let is_else = keyword == "else";
                    return Ok((nodes, Some(Closing { action, is_else, words })));
                }
                "if" | "with" | "range" => {
                    words.rest.next();
                    self.block(&keyword, words)?
                }
                "break" | "continue" => {
                    words.rest.next();
                    words.end()?;
                    if self.loops == 0 {
                        return Err(action.refusal("stands outside of a `range`"));
                    }
                    if keyword == "break" { Node::Break } else { Node::Continue }
                }
                "define" | "template" | "block" => {
                    return Err(action.refusal("is not supported: templates cannot be named here"));
                }
                _ => {
                    let pipeline = words.pipeline(false)?;
                    words.end()?;
                    self.nesting = self.nesting.max(self.depth + words.nesting);
                    Node::Print { pipeline, written: action.written, offset: action.offset }
                }
            });
        }
        Ok((nodes, None))
    }

    fn block(&mut self, keyword: &str, mut words: Words<'t>) -> Result<Node<'t>, Refusal> {
        let is_loop = keyword == "range";
        let action = words.action;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(action.refusal("is nested too deep"));
        }
        let pipeline = words.pipeline(is_loop)?;
        words.end()?;
        self.nesting = self.nesting.max(self.depth + words.nesting);
        self.loops += usize::from(is_loop);
        let (inner, closing) = self.nodes()?;
        self.loops -= usize::from(is_loop);
        let otherwise = match closing {
            None => return Err(action.refusal("has no `end`")),
            Some(Closing { is_else: false, mut words, .. }) => {
                words.end()?;
                Vec::new()
            }
            Some(mut closing) => match closing.words.rest.next().map(|placed| placed.token) {
                None => match self.nodes()? {
                    (nodes, Some(Closing { is_else: false, mut words, .. })) => {
                        words.end()?;
                        nodes
                    }
                    (_, Some(closing)) => {
                        return Err(closing.action.refusal("is the second one of its block"));
                    }
                    (_, None) => return Err(action.refusal("has no `end`")),
                },
                // `else if` shares the `end` of its block.
                Some(Token::Word(word)) if word == keyword && !is_loop => {
                    vec![self.block(keyword, closing.words)?]
                }
                Some(_) => return Err(closing.action.refusal("is not understood")),
            },
        };
        self.depth -= 1;
        let branch = Branch { pipeline, inner, otherwise };
        Ok(match keyword {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }
}

/// The tokens of one action.
struct Words<'t> {
    action: Action<'t>,
    rest: Peekable<IntoIter<Placed>>,
    depth: usize,
    nesting: usize,
}

impl Words<'_> {
    fn end(&mut self) -> Result<(), Refusal> {
        match self.rest.next() {
            None => Ok(()),
            Some(_) => Err(self.action.refusal("says more than can be understood")),
        }
    }

    fn next_is(&mut self, token: &Token) -> bool {
        self.rest.next_if(|placed| placed.token == *token).is_some()
    }

    fn pipeline(&mut self, is_range: bool) -> Result<Pipeline, Refusal> {
        let (variables, declares) = self.variables(is_range);
        let mut commands = vec![self.command()?];
        while self.next_is(&Token::Pipe) {
            commands.push(self.command()?);
        }
        if let Some(constant) = commands[1..].iter().find(|command| !command.is_callable()) {
            return Err(Refusal {
                what: format!(
                    "the template `{}` pipes into what is no function",
                    lex::shortened(self.action.written)
                ),
                offset: constant.offset,
            });
        }
        Ok(Pipeline { variables, declares, commands })
    }

    /// The variables before `:=` or `=`, if any.
    fn variables(&mut self, is_range: bool) -> (Vec<String>, bool) {
        if !matches!(self.rest.peek(), Some(Placed { token: Token::Variable(_), .. })) {
            return (Vec::new(), false);
        }
        let mut ahead = self.rest.clone();
        let mut variables = Vec::new();
        while let Some(Token::Variable(name)) = ahead.next().map(|placed| placed.token) {
            variables.push(name);
            match ahead.next().map(|placed| placed.token) {
                Some(Token::Comma) if is_range && variables.len() == 1 => {}
                Some(token @ (Token::Declare | Token::Assign)) => {
                    self.rest = ahead;
                    return (variables, token == Token::Declare);
                }
                _ => break,
            }
        }
        (Vec::new(), false)
    }

    fn command(&mut self) -> Result<Command, Refusal> {
        let offset = self.rest.peek().map_or(self.action.offset, |placed| placed.offset);
        let mut operands = Vec::new();
        while let Some(placed) =
            self.rest.next_if(|placed| !matches!(placed.token, Token::Pipe | Token::Close))
        {
            operands.push(self.operand(placed)?);
        }
        if operands.is_empty() {
            return Err(self.action.refusal("has nothing where a value is needed"));
        }
        Ok(Command { operands, offset })
    }

    fn operand(&mut self, Placed { token, offset, .. }: Placed) -> Result<Operand, Refusal> {
        let mut fields = Vec::new();
        let base = match token {
            Token::Dot => Base::Dot,
            Token::Field(name) => {
                fields.push(name);
                Base::Dot
            }
            Token::Variable(name) => Base::Variable(name),
            Token::Text(text) => Base::Constant(Json::String(text)),
            Token::Number(number) => Base::Constant(number),
            Token::Word(word) => match word.as_str() {
                "true" => Base::Constant(Json::Bool(true)),
                "false" => Base::Constant(Json::Bool(false)),
                "nil" => Base::Constant(Json::Null),
                _ => Base::Function(word),
            },
            Token::Open => {
                self.depth += 1;
                self.nesting = self.nesting.max(self.depth);
                if self.depth > MAX_DEPTH {
                    return Err(self.action.refusal("is nested too deep"));
                }
                let inner = self.pipeline(false)?;
                self.depth -= 1;
                if !self.next_is(&Token::Close) {
                    return Err(self.action.refusal("has a bracket that is not closed"));
                }
                Base::Group(inner)
            }
            _ => return Err(self.action.refusal("is not understood")),
        };
        while let Some(Placed { token: Token::Field(name), .. }) =
            self.rest.next_if(|placed| !placed.is_apart && matches!(placed.token, Token::Field(_)))
        {
            fields.push(name);
        }
        Ok(Operand { base, fields, offset })
    }
}

impl Command {
    /// Whether the command can take an argument.
    fn is_callable(&self) -> bool {
        matches!(self.operands[0].base, Base::Function(_))
    }
}
