//! Templates in stacks: Go's `text/template`, with those functions of Sprig and Gomplate that
//! depend on nothing but their arguments.
//!
//! A template is parsed into a tree (`lex`, `parse`) and evaluated (`run`) against a [`Scope`],
//! which provides the values. A template in a file that is merged with others is deferred to the
//! component where it needs values that are not known yet. Unsupported features are refused by name
//! and position.

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

/// The reference implementation's text for missing values.
pub(super) const NO_VALUE: &str = "<no value>";

/// The maximum length of a text, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// The function that returns another component. Its result has a path that begins with this name,
/// the component's and the stack's.
pub(super) const COMPONENT: &str = "atmos.Component";

/// The delimiters of actions.
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

/// The reason that a template is refused, with the offset in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) offset: usize,
}

/// The reason that a template cannot be evaluated.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(Refusal),
    /// A required value is not known yet.
    Later,
    /// A required value does not exist.
    Missing,
    /// A required value cannot be evaluated.
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

/// The scope of a template: its values and functions.
pub(super) trait Scope {
    /// The value at a path of names from the top, if any.
    fn value(&self, path: &[String]) -> Result<Option<Json>, Failure>;

    /// The replacement of a missing value.
    fn missing(&self) -> Result<Json, Failure>;

    /// A function that needs more than its arguments; `None` if the scope has none of that name.
    fn function(&self, name: &str, arguments: &[Json]) -> Result<Option<Json>, Failure>;

    /// Whether actions that need a value which is not known yet are printed as written.
    fn keeps_what_waits(&self) -> bool {
        false
    }

    /// The text of an absent value. `None` refuses to print absent values, lists and maps: their Go
    /// syntax (`map[a:1]`) in configuration is always a mistake.
    fn no_value(&self) -> Option<&str>;
}

/// Whether a text may contain a template.
pub(super) fn looks_like_template(text: &str) -> bool {
    text.contains("{{")
}

/// A parsed template.
pub(super) struct Template<'t>(parse::Parsed<'t>);

impl<'t> Template<'t> {
    /// Parses a template.
    pub(super) fn read(text: &'t str, delimiters: &Delimiters) -> Result<Self, Refusal> {
        parse::parse(text, delimiters).map(Self)
    }

    /// The nesting depth of its blocks and brackets.
    pub(super) fn nesting(&self) -> usize {
        self.0.nesting
    }

    /// Evaluates the template.
    pub(super) fn render(&self, scope: &dyn Scope) -> Result<String, Failure> {
        run::run(&self.0.nodes, scope).map_err(|(failure, _)| failure)
    }
}

/// The path of a template that is exactly one field.
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

/// The names that a template reads from the top-level map of this name.
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

/// The value at a field path, if all its steps are plain maps.
pub(super) fn look_up<'a>(data: &'a Map, path: &[String]) -> Option<&'a Value> {
    let (last, steps) = path.split_last()?;
    steps.iter().try_fold(data, |map, step| map.get(step.as_str())?.as_map())?.get(last.as_str())
}

/// The position in the file of an offset in a multi-line text, given the start of the text.
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
