//! Templates in stacks: Go's `text/template`, with those functions of Sprig and Gomplate that
//! depend on nothing but their arguments.
//!
//! A template is read into a tree (`lex`, `parse`) and filled in from a [`Scope`]
//! (`run`), which says what the values are. What a template cannot know yet, because it
//! is written in a file that is merged with others, waits for the component; what is not
//! supported is refused by name and place.

mod fill_in;
mod functions;
mod lex;
mod parse;
mod print;
mod run;

use std::sync::Arc;

use serde_json::Value as Json;

use super::error::StackError;
use super::value::{Location, Map, Value};
use parse::{Base, Node, Operand, Pipeline};

pub(super) use fill_in::{Known, fill_in, fill_in_text, what_is_missing};

/// What the reference implementation prints in the place of a value that is not there.
pub(super) const NO_VALUE: &str = "<no value>";

/// How long a text may become, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// The function that gives another component. What it gives has a path that begins with this name,
/// the component's and the stack's.
pub(super) const COMPONENT: &str = "atmos.Component";

/// What actions are written between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delimiters {
    pub(super) left: String,
    pub(super) right: String,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self { left: "{{".to_owned(), right: "}}".to_owned() }
    }
}

/// Why a template is not filled in, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) offset: usize,
}

/// What keeps a template from being filled in.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(Refusal),
    /// It needs a value that is not known yet.
    Later,
    /// It needs a value that is not there.
    Missing,
    /// A value that it needs cannot be computed.
    Value(Box<StackError>),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StackError> for Failure {
    fn from(error: StackError) -> Self {
        Self::Value(Box::new(error))
    }
}

/// What a template sees.
pub(super) trait Scope {
    /// The value at a path of names from the top, where there is one.
    fn value(&self, path: &[String]) -> Result<Option<Json>, Failure>;

    /// What stands for a value that is not there.
    fn missing(&self) -> Result<Json, Failure>;

    /// A function that asks something of the world; nothing where it does not.
    fn function(&self, name: &str, arguments: &[Json]) -> Result<Option<Json>, Failure>;

    /// Whether what needs a value that is not known yet is printed as it is written.
    fn keeps_what_waits(&self) -> bool {
        false
    }

    /// The text of an absent value. `None` refuses to print absent values, lists and maps: their Go
    /// syntax (`map[a:1]`) in configuration is always a mistake.
    fn no_value(&self) -> Option<&str>;
}

/// Whether a text holds what could be a template.
pub(super) fn looks_like_template(text: &str) -> bool {
    text.contains("{{")
}

/// A template that was read.
pub(super) struct Template<'t>(parse::Parsed<'t>);

impl<'t> Template<'t> {
    /// Reads a template.
    pub(super) fn read(text: &'t str, delimiters: &Delimiters) -> Result<Self, Refusal> {
        parse::parse(text, delimiters).map(Self)
    }

    /// How deep its blocks and brackets are nested.
    pub(super) fn nesting(&self) -> usize {
        self.0.nesting
    }

    /// Fills it in.
    pub(super) fn render(&self, scope: &dyn Scope) -> Result<String, Failure> {
        run::run(&self.0.nodes, scope).map_err(|(failure, _)| failure)
    }
}

/// The path of a template that is one plain field and nothing else.
pub(super) fn plain_field(text: &str) -> Option<Vec<String>> {
    let parsed = parse::parse(text.trim(), &Delimiters::default()).ok()?;
    let [Node::Print { pipeline, .. }] = parsed.nodes.as_slice() else { return None };
    let [command] = pipeline.commands.as_slice() else { return None };
    match command.operands.as_slice() {
        [Operand { base: Base::Dot, fields, .. }] if !fields.is_empty() && pipeline.variables.is_empty() => {
            Some(fields.clone())
        }
        _ => None,
    }
}

/// The names that a template takes from the map of this name at the top.
pub(super) fn names_below(text: &str, top: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(parsed) = parse::parse(text, &Delimiters::default()) {
        collect_nodes(&parsed.nodes, top, &mut names);
    }
    names
}

fn collect_nodes(nodes: &[Node<'_>], top: &str, names: &mut Vec<String>) {
    for node in nodes {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => {}
            Node::Print { pipeline, .. } => collect_pipeline(pipeline, top, names),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                collect_pipeline(&branch.pipeline, top, names);
                collect_nodes(&branch.inner, top, names);
                collect_nodes(&branch.otherwise, top, names);
            }
        }
    }
}

fn collect_pipeline(pipeline: &Pipeline, top: &str, names: &mut Vec<String>) {
    for operand in pipeline.commands.iter().flat_map(|command| &command.operands) {
        match &operand.base {
            Base::Group(inner) => collect_pipeline(inner, top, names),
            Base::Variable(name) if name != "$" => {}
            _ => {
                if let [first, name, ..] = operand.fields.as_slice()
                    && first == top
                {
                    names.push(name.clone());
                }
            }
        }
    }
}

/// The value at a field path, where every step of it is in a plain map.
pub(super) fn look_up<'a>(data: &'a Map, path: &[String]) -> Option<&'a Value> {
    let (last, steps) = path.split_last()?;
    steps.iter().try_fold(data, |map, step| map.get(step.as_str())?.as_map())?.get(last.as_str())
}

/// Where in the file a place in a multi-line text is, given where the text starts.
pub(super) fn locate(text: &str, offset: usize, file: &Arc<str>) -> Location {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Location {
        file: Arc::clone(file),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests;
