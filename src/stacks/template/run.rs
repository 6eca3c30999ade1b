//! Evaluates a parsed template.

mod changes;

use serde_json::Value as Json;

use super::functions;
use super::lex::shortened;
use super::parse::{Base, Branch, Command, Node, Operand, Pipeline};
use super::print::{is_true, own_text, sorted, to_text};
use super::{COMPONENT, Failure, MAX_TEXT, Refusal, Scope};

/// The maximum number of steps of a template.
const MAX_STEPS: usize = 200_000;
/// The maximum total size of the values that functions return.
const MAX_VALUES: usize = 64 << 20;
/// The maximum total size of the values that are read, repetitions counted.
const MAX_LOOKED_AT: usize = 1 << 30;

/// Evaluates a template. A failure comes with the offset at which it happened.
pub(super) fn run(nodes: &[Node<'_>], scope: &dyn Scope) -> Result<String, (Failure, usize)> {
    let top = Datum::Place(Vec::new());
    let variables = vec![Variable { name: "$".to_owned(), value: top.clone(), is_own: false }];
    let mut runner =
        Runner { scope, text: String::new(), variables, steps: 0, values: 0, looked_at: 0, at: 0 };
    match runner.nodes(nodes, &top) {
        Ok(_) => Ok(runner.text),
        Err(failure) => Err((failure, runner.at)),
    }
}

/// A value, or its path from the top: it is evaluated on demand, without its surroundings.
#[derive(Debug, Clone)]
enum Datum {
    Place(Vec<String>),
    Value(Json),
}

struct Variable {
    name: String,
    value: Datum,
    /// Whether its value is a map that no other value shares, so that it can be mutated.
    is_own: bool,
}

/// The control flow after a block.
enum Flow {
    On,
    Break,
    Continue,
}

struct Runner<'s> {
    scope: &'s dyn Scope,
    text: String,
    variables: Vec<Variable>,
    steps: usize,
    /// The total size so far of the values that functions returned.
    values: usize,
    /// The total size so far of the values that were read.
    looked_at: usize,
    /// The offset of the action in evaluation.
    at: usize,
}

impl Runner<'_> {
    fn nodes(&mut self, nodes: &[Node<'_>], dot: &Datum) -> Result<Flow, Failure> {
        let outer = self.variables.len();
        for node in nodes {
            self.step(1)?;
            let flow = match node {
                Node::Text(text) => {
                    self.text.push_str(text);
                    Flow::On
                }
                Node::Print { pipeline, written, offset } => {
                    self.print(pipeline, written, *offset, dot)?;
                    Flow::On
                }
                Node::If(branch) => self.branch(branch, dot, false)?,
                Node::With(branch) => self.branch(branch, dot, true)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if !matches!(flow, Flow::On) {
                self.variables.truncate(outer);
                return Ok(flow);
            }
        }
        self.variables.truncate(outer);
        Ok(Flow::On)
    }

    /// Counts steps, up to the limit.
    fn step(&mut self, steps: usize) -> Result<(), Failure> {
        self.steps += steps;
        if self.steps > MAX_STEPS || self.text.len() > MAX_TEXT {
            let what = format!("the text becomes longer than {MAX_TEXT} bytes, or takes too long");
            return Err(Failure::Refused(Refusal { what, offset: 0 }));
        }
        Ok(())
    }

    /// Reads a value, whose size counts to the limit.
    fn look(&mut self, value: Json) -> Result<Json, Failure> {
        self.looked_at += size(&value);
        if self.looked_at > MAX_LOOKED_AT {
            let what = format!("the template looks at values of more than {MAX_LOOKED_AT} bytes");
            return Err(Failure::Refused(Refusal { what, offset: self.at }));
        }
        Ok(value)
    }

    fn print(
        &mut self,
        pipeline: &Pipeline,
        written: &str,
        offset: usize,
        dot: &Datum,
    ) -> Result<(), Failure> {
        self.at = offset;
        let value = self.pipeline(pipeline, dot).and_then(|value| self.value(value));
        if !pipeline.variables.is_empty() {
            return value.map(drop);
        }
        let text = match value {
            Err(Failure::Later | Failure::Missing) if self.scope.keeps_what_waits() => written.to_owned(),
            Err(failure) => return Err(failure),
            Ok(value) => self.printed(&value, written, offset)?,
        };
        self.text.push_str(&text);
        Ok(())
    }

    fn printed(&self, value: &Json, written: &str, offset: usize) -> Result<String, Failure> {
        let refuse = |why: &str| {
            let what = format!("the template `{}` {why}", shortened(written));
            Failure::Refused(Refusal { what, offset })
        };
        match (value, self.scope.no_value()) {
            (Json::String(text), _) => Ok(text.clone()),
            (Json::Null, Some(text)) => Ok(text.to_owned()),
            (Json::Null, None) => Err(refuse("has no value here")),
            (Json::Array(_) | Json::Object(_), None) if own_text(value).is_none() => {
                Err(refuse("is a list or a map, where a text is needed"))
            }
            (value, _) => Ok(to_text(value)),
        }
    }

    fn branch(&mut self, branch: &Branch<'_>, dot: &Datum, sets_dot: bool) -> Result<Flow, Failure> {
        let outer = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let place = value.clone();
        let flow = if is_true(&self.value(value)?) {
            self.nodes(&branch.inner, if sets_dot { &place } else { dot })
        } else {
            self.nodes(&branch.otherwise, dot)
        };
        self.variables.truncate(outer);
        flow
    }

    fn range(&mut self, branch: &Branch<'_>, dot: &Datum) -> Result<Flow, Failure> {
        let outer = self.variables.len();
        let value = self.commands(&branch.pipeline, dot)?;
        let items: Vec<(Json, Json)> = match self.value(value)? {
            Json::Array(items) => {
                items.into_iter().enumerate().map(|(index, item)| (Json::from(index), item)).collect()
            }
            Json::Object(map) => sorted(&map)
                .into_iter()
                .map(|(name, item)| (Json::String(name.clone()), item.clone()))
                .collect(),
            Json::Null => Vec::new(),
            Json::Number(number) if number.as_u64().is_some_and(|count| count <= MAX_STEPS as u64) => {
                let count = number.as_u64().unwrap_or_default();
                (0..count).map(|index| (Json::from(index), Json::from(index))).collect()
            }
            _ => return Err(refused(&branch.pipeline, "`range` takes a list, a map or a number")),
        };
        if items.is_empty() {
            return self.nodes(&branch.otherwise, dot);
        }
        self.step(items.len())?;
        for (name, item) in items {
            self.variables.truncate(outer);
            let item = Datum::Value(item);
            match branch.pipeline.variables.as_slice() {
                [] => {}
                [of_item] => self.set(of_item, item.clone(), false, &branch.pipeline)?,
                [of_name, of_item, ..] => {
                    self.set(of_name, Datum::Value(name), false, &branch.pipeline)?;
                    self.set(of_item, item.clone(), false, &branch.pipeline)?;
                }
            }
            if let Flow::Break = self.nodes(&branch.inner, &item)? {
                break;
            }
        }
        self.variables.truncate(outer);
        Ok(Flow::On)
    }

    fn set(&mut self, name: &str, value: Datum, is_own: bool, pipeline: &Pipeline) -> Result<(), Failure> {
        if pipeline.declares {
            self.variables.push(Variable { name: name.to_owned(), value, is_own });
            return Ok(());
        }
        match self.variable(name) {
            Some(known) => (known.value, known.is_own) = (value, is_own),
            None => return Err(refused(pipeline, &format!("there is no variable `{name}`"))),
        }
        Ok(())
    }

    fn variable(&mut self, name: &str) -> Option<&mut Variable> {
        self.variables.iter_mut().rev().find(|known| known.name == name)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Datum) -> Result<Datum, Failure> {
        let value = self.commands(pipeline, dot)?;
        if let Some(name) = pipeline.variables.first() {
            self.share_bare(pipeline);
            self.set(name, value.clone(), changes::makes_own(pipeline), pipeline)?;
        }
        Ok(value)
    }

    /// Evaluates a pipeline, without its assignment to a variable.
    fn commands(&mut self, pipeline: &Pipeline, dot: &Datum) -> Result<Datum, Failure> {
        self.at = pipeline.commands.first().map_or(self.at, |command| command.offset);
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?);
        }
        Ok(value.unwrap_or(Datum::Value(Json::Null)))
    }

    fn command(&mut self, command: &Command, dot: &Datum, last: Option<Datum>) -> Result<Datum, Failure> {
        let [first, arguments @ ..] = command.operands.as_slice() else {
            return Ok(Datum::Value(Json::Null));
        };
        if let Base::Function(name) = &first.base {
            return self.call(&full_name(name, first), first.offset, arguments, dot, last);
        }
        if !arguments.is_empty() || last.is_some() {
            let what = "a value is given arguments, where only a function takes them".to_owned();
            return Err(Failure::Refused(Refusal { what, offset: command.offset }));
        }
        self.operand(first, dot)
    }

    fn operand(&mut self, operand: &Operand, dot: &Datum) -> Result<Datum, Failure> {
        let base = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Constant(value) => Datum::Value(value.clone()),
            Base::Variable(name) => {
                let known = self.variables.iter().rev().find(|known| known.name == *name);
                known.map(|known| known.value.clone()).ok_or_else(|| {
                    let what = format!("there is no variable `{name}`");
                    Failure::Refused(Refusal { what, offset: operand.offset })
                })?
            }
            Base::Function(name) => {
                return self.call(&full_name(name, operand), operand.offset, &[], dot, None);
            }
            Base::Group(pipeline) => self.pipeline(pipeline, dot)?,
        };
        let base = match base {
            Datum::Value(value) => Datum::Value(self.look(value)?),
            place @ Datum::Place(_) => place,
        };
        operand.fields.iter().try_fold(base, |value, name| self.field(value, name, operand.offset))
    }

    fn field(&self, value: Datum, name: &str, offset: usize) -> Result<Datum, Failure> {
        match value {
            Datum::Place(mut path) => {
                path.push(name.to_owned());
                Ok(Datum::Place(path))
            }
            Datum::Value(Json::Object(mut map)) => match map.shift_remove(name) {
                Some(value) => Ok(Datum::Value(value)),
                None => self.scope.missing().map(Datum::Value),
            },
            Datum::Value(Json::Null) => self.scope.missing().map(Datum::Value),
            Datum::Value(other) => {
                let what = format!("there is no field `{name}` in {}", functions::kind(&other));
                Err(Failure::Refused(Refusal { what, offset }))
            }
        }
    }

    /// The value itself.
    fn value(&mut self, datum: Datum) -> Result<Json, Failure> {
        match datum {
            Datum::Value(value) => Ok(value),
            Datum::Place(path) => match self.at_path(&path)? {
                Some(value) => Ok(value),
                None => self.scope.missing(),
            },
        }
    }

    fn at_path(&mut self, path: &[String]) -> Result<Option<Json>, Failure> {
        self.scope.value(path)?.map(|value| self.look(value)).transpose()
    }

    fn call(
        &mut self,
        name: &str,
        offset: usize,
        operands: &[Operand],
        dot: &Datum,
        last: Option<Datum>,
    ) -> Result<Datum, Failure> {
        if matches!(name, "and" | "or") {
            return self.first_of(name == "and", operands, dot, last);
        }
        let mut places = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            places.push(self.operand(operand, dot)?);
        }
        places.extend(last);
        if name == COMPONENT {
            return self.component(places, offset);
        }
        if let Some(found) = self.look_into(name, &places)? {
            return Ok(found);
        }
        let arguments = places.into_iter().map(|place| self.value(place)).collect::<Result<Vec<_>, _>>()?;
        if let Some(value) = self.scope.function(name, &arguments)? {
            return Ok(Datum::Value(value));
        }
        let refuse = |what: String| Failure::Refused(Refusal { what, offset });
        match functions::call(name, &arguments) {
            Some(Ok(value)) => {
                self.change(name, operands, &value)
                    .map_err(|why| refuse(format!("the template function `{name}` {why}")))?;
                self.values += size(&value);
                if self.values > MAX_VALUES {
                    return Err(refuse(format!("the values become larger than {MAX_VALUES} bytes")));
                }
                Ok(Datum::Value(value))
            }
            Some(Err(why)) => Err(refuse(format!("the template function `{name}` {why}"))),
            None => {
                let why = functions::why_not(name);
                Err(refuse(format!("the template function `{name}` is not supported{why}")))
            }
        }
    }

    /// Another component, of which only the requested values are evaluated.
    fn component(&mut self, arguments: Vec<Datum>, offset: usize) -> Result<Datum, Failure> {
        let mut path = vec![COMPONENT.to_owned()];
        for argument in arguments {
            match self.value(argument)? {
                Json::String(text) => path.push(text),
                other => {
                    let what = format!("`{COMPONENT}` takes texts, not {}", functions::kind(&other));
                    return Err(Failure::Refused(Refusal { what, offset }));
                }
            }
        }
        if path.len() == 3 {
            return Ok(Datum::Place(path));
        }
        let what = format!("`{COMPONENT}` takes a component and a stack");
        Err(Failure::Refused(Refusal { what, offset }))
    }

    /// `and` and `or` evaluate no more arguments than needed.
    fn first_of(
        &mut self,
        is_and: bool,
        operands: &[Operand],
        dot: &Datum,
        last: Option<Datum>,
    ) -> Result<Datum, Failure> {
        let mut value = Json::Null;
        for operand in operands {
            let operand = self.operand(operand, dot)?;
            value = self.value(operand)?;
            if is_true(&value) != is_and {
                return Ok(Datum::Value(value));
            }
        }
        Ok(last.unwrap_or(Datum::Value(value)))
    }

    /// Functions that read one key of a map, without evaluating the others.
    fn look_into(&mut self, name: &str, places: &[Datum]) -> Result<Option<Datum>, Failure> {
        let [Datum::Place(path), keys @ ..] = places else { return Ok(None) };
        let keys: Option<Vec<&String>> = keys
            .iter()
            .map(|key| match key {
                Datum::Value(Json::String(key)) => Some(key),
                _ => None,
            })
            .collect();
        let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return Ok(None) };
        let inner: Vec<String> = path.iter().chain(keys).cloned().collect();
        match name {
            "index" => Ok(Some(Datum::Place(inner))),
            "get" => {
                let found = self.at_path(&inner)?;
                Ok(Some(Datum::Value(found.unwrap_or_else(|| Json::String(String::new())))))
            }
            "hasKey" => {
                let has = self.at_path(&inner)?.is_some();
                if !has && !path.is_empty() && self.at_path(path)?.is_none() {
                    self.scope.missing()?;
                }
                Ok(Some(Datum::Value(Json::Bool(has))))
            }
            _ => Ok(None),
        }
    }
}

/// The approximate memory size of a value.
fn size(value: &Json) -> usize {
    let inner = match value {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    };
    inner + size_of::<Json>()
}

/// A function's qualified name: `strings.Title`.
fn full_name(name: &str, operand: &Operand) -> String {
    std::iter::once(name).chain(operand.fields.iter().map(String::as_str)).collect::<Vec<_>>().join(".")
}

fn refused(pipeline: &Pipeline, what: &str) -> Failure {
    let offset = pipeline.commands.first().map_or(0, |command| command.offset);
    Failure::Refused(Refusal { what: what.to_owned(), offset })
}
