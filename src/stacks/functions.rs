//! YAML functions.

use serde_json::Value as Json;

use super::error::StackError;
use super::evaluate::{Evaluator, Frame, refusal};
use super::query;
use super::value::Value;
use super::world::OutputRequest;

impl Evaluator<'_> {
    /// Evaluates a function whose argument is a text.
    pub(super) fn function(&self, tag: &str, frame: &Frame<'_>) -> Result<Json, StackError> {
        let refuse = |what: String| Err(refusal(frame.call, what));
        if !is_supported(tag) {
            return refuse(format!("the YAML function `{tag}` is not supported"));
        }
        let written = match &frame.call.argument {
            Value::String(text) => text,
            // A function without an argument is written with an empty value.
            Value::Null => "",
            other => return refuse(format!("`{tag}` is not supported on {}", other.kind())),
        };
        let argument =
            if self.processing.templates { self.fill_in(written, frame)? } else { written.to_owned() };
        let words = words(&argument);
        let words: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
        match (tag, words.as_slice()) {
            ("!template", _) => Ok(decoded(argument)),
            ("!env", [name]) => Ok(Json::String(self.environment(name, frame)?.unwrap_or_default())),
            ("!env", [name, default]) => {
                let value = self.environment(name, frame)?;
                Ok(Json::String(value.unwrap_or_else(|| (*default).to_owned())))
            }
            ("!env", _) => refuse("`!env` takes a name and perhaps a default".to_owned()),
            ("!repo-root" | "!git.root", default) => match (self.functions.repository_root(), default) {
                (Some(root), _) => Ok(Json::String(root)),
                (None, [default, ..]) => Ok(Json::String((*default).to_owned())),
                (None, []) => refuse(format!("`{tag}` is used outside of a repository")),
            },
            ("!terraform.output" | "!terraform.state", _) => self.output(tag, &argument, frame),
            _ => self.of_metadata(tag, frame),
        }
    }

    /// `!labels` and `!tags`: values of the component's own `metadata`.
    fn of_metadata(&self, tag: &str, frame: &Frame<'_>) -> Result<Json, StackError> {
        let name = if tag == "!tags" { "tags" } else { "labels" };
        let path = ["metadata", name].map(ToOwned::to_owned);
        let found = self.field_of(self.data, &path, frame)?;
        let text = |value: Json| match value {
            Json::String(text) => text,
            value => value.to_string(),
        };
        match (tag, found) {
            ("!labels", None | Some(Json::Null)) => Ok(Json::Object(serde_json::Map::new())),
            (_, None | Some(Json::Null)) => Ok(Json::Array(Vec::new())),
            ("!tags", Some(Json::Array(tags))) => {
                Ok(Json::Array(tags.into_iter().map(|tag| Json::String(text(tag))).collect()))
            }
            (_, Some(Json::Object(labels))) if tag != "!tags" => {
                let mut labels: Vec<(String, String)> =
                    labels.into_iter().map(|(name, value)| (name, text(value))).collect();
                labels.sort_unstable();
                Ok(match tag {
                    "!labels.keys" => labels.into_iter().map(|(name, _)| name).collect(),
                    "!labels.values" => labels.into_iter().map(|(_, value)| value).collect(),
                    _ => Json::Object(labels.into_iter().map(|(name, value)| (name, value.into())).collect()),
                })
            }
            _ => {
                let expected = if name == "tags" { "list" } else { "map" };
                Err(refusal(frame.call, format!("`{tag}` needs a `metadata.{name}` that is a {expected}")))
            }
        }
    }

    /// An environment variable: from the component's own `env` first, then from the process
    /// environment.
    fn environment(&self, name: &str, frame: &Frame<'_>) -> Result<Option<String>, StackError> {
        let own = self.data.get("env").and_then(Value::as_map).and_then(|env| env.get(name));
        // A variable that refers to its own name means the one of the process environment.
        let own = own.filter(|value| match value {
            Value::Call(call) => !Frame::is_within(Some(frame), call),
            _ => true,
        });
        match own.map(|value| self.value_in(value, Some(frame))).transpose()?.flatten() {
            Some(Json::String(text)) => Ok(Some(text)),
            Some(value @ (Json::Bool(_) | Json::Number(_))) => Ok(Some(value.to_string())),
            _ => Ok(self.functions.environment(name)),
        }
    }

    /// A variable as templates see it: from `templates.settings.env` of the component's settings,
    /// then of `atmos.yaml`, then from the process environment. Templates do not see the
    /// component's `env`.
    pub(super) fn template_environment(
        &self,
        name: &str,
        frame: &Frame<'_>,
    ) -> Result<Option<String>, StackError> {
        let path = ["settings", "templates", "settings", "env", name].map(ToOwned::to_owned);
        if let Some(Json::String(value)) = self.field_of(self.data, &path, frame)? {
            return Ok(Some(value));
        }
        let configured = self.template_env.get(name).cloned();
        Ok(configured.or_else(|| self.functions.environment(name)))
    }

    /// An output that a template asks for.
    pub(super) fn component_output(
        &self,
        component: &str,
        stack: &str,
        output: &str,
        frame: &Frame<'_>,
    ) -> Result<Json, StackError> {
        let request = OutputRequest { component, stack, output, has_default: false };
        let read = self.functions.outputs_of(component, stack);
        if read.is_none() && self.functions.shows_outputs_as_written() {
            self.functions.note_unread(&request, &frame.call.at);
            return Ok(Json::String(format!("!terraform.output {component} {stack} {output}")));
        }
        self.output_among(read, &request).map_err(|why| {
            refusal(frame.call, format!("the output \"{output}\" of {component} in {stack}: {why}"))
        })
    }

    /// An output from the outputs that were read, or one that only a run can read.
    fn output_among(
        &self,
        read: Option<serde_json::Map<String, Json>>,
        request: &OutputRequest<'_>,
    ) -> Result<Json, String> {
        let Some(mut read) = read else { return self.functions.terraform_output(request) };
        let value = read.remove(request.output).or(request.has_default.then_some(Json::Null));
        value.ok_or_else(|| "its state has no such output, or it is sensitive".to_owned())
    }

    /// `!terraform.output <component> [<stack>] <output or query>`.
    fn output(&self, tag: &str, argument: &str, frame: &Frame<'_>) -> Result<Json, StackError> {
        let refuse = |what: String| refusal(frame.call, what);
        let Some(asked) = Asked::parse(argument) else {
            return Err(refuse(format!("`{tag}` takes a component, perhaps a stack, and an output")));
        };
        let stack = asked.stack.as_deref().unwrap_or(self.stack);
        let Asked { component, wanted, .. } = &asked;
        let read = self.functions.outputs_of(component, stack);
        if read.is_none() && self.functions.shows_outputs_as_written() {
            let request = OutputRequest { component, stack, output: wanted, has_default: false };
            self.functions.note_unread(&request, &frame.call.at);
            return Ok(Json::String(format!("{tag} {component} {stack} {wanted}")));
        }
        let ask = |output: &str, has_default: bool| {
            let request = OutputRequest { component, stack, output, has_default };
            self.output_among(read.clone(), &request)
                .map_err(|why| refuse(format!("`{tag}` of \"{output}\" of {component} in {stack}: {why}")))
        };
        if !wanted.starts_with(['.', '(', '"', '[', '{']) {
            return ask(wanted, false);
        }
        let query = query::parse(wanted).map_err(|why| refuse(format!("the query `{wanted}` {why}")))?;
        let names = query.first_names();
        if names.is_empty() {
            return Err(refuse(format!("the query `{wanted}` names no output")));
        }
        let mut outputs = serde_json::Map::new();
        for name in names {
            let value = ask(&name, query.has_default())?;
            outputs.insert(name, value);
        }
        let found = query.find(&Value::from_json(&Json::Object(outputs)));
        found.map(|value| value.to_json()).map_err(|why| refuse(format!("the query `{wanted}` {why}")))
    }
}

/// Whether this function is supported.
fn is_supported(tag: &str) -> bool {
    matches!(
        tag,
        "!env"
            | "!repo-root"
            | "!git.root"
            | "!template"
            | "!labels"
            | "!labels.keys"
            | "!labels.values"
            | "!tags"
            | "!terraform.output"
            | "!terraform.state"
    )
}

/// Decodes a text as JSON, with the text itself as the fallback.
fn decoded(text: String) -> Json {
    serde_json::from_str(text.trim()).unwrap_or(Json::String(text))
}

/// The parsed arguments `<component> [<stack>] <output or query>`.
struct Asked {
    component: String,
    stack: Option<String>,
    wanted: String,
}

impl Asked {
    fn parse(argument: &str) -> Option<Self> {
        let argument = argument.trim();
        let words = words(argument);
        let [(component, _), (second, at), rest @ ..] = words.as_slice() else { return None };
        let is_query = argument[*at..].starts_with(['.', '[', '{', '|', '"', '\'', '(']);
        let (stack, at) = match rest {
            [(_, at), ..] if !is_query => (Some(second.clone()), *at),
            _ => (None, *at),
        };
        Some(Self { component: component.clone(), stack, wanted: unquoted(&argument[at..]) })
    }
}

/// Removes the quotes around a text; doubled quotes inside become single ones.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    for (quote, doubled) in [("'", "''"), ("\"", "\"\"")] {
        let inner = text.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
        if let Some(inner) = inner
            && !inner.replace(doubled, "").contains(quote)
        {
            return inner.replace(doubled, quote);
        }
    }
    text.to_owned()
}

/// Splits an argument at blanks, except inside of quotes; each word with its offset.
fn words(argument: &str) -> Vec<(String, usize)> {
    let mut words = Vec::new();
    let mut current: Option<(String, usize)> = None;
    let mut quote = None;
    for (at, letter) in argument.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                current.get_or_insert_with(|| (String::new(), at));
            }
            (None, _) if letter.is_whitespace() => words.extend(current.take()),
            _ => current.get_or_insert_with(|| (String::new(), at)).0.push(letter),
        }
    }
    words.extend(current);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(argument: &str) -> Option<(String, Option<String>, String)> {
        Asked::parse(argument).map(|Asked { component, stack, wanted }| (component, stack, wanted))
    }

    #[test]
    fn an_output_is_asked_for_by_name_or_by_query() {
        let some = |component: &str, stack: Option<&str>, wanted: &str| {
            Some((component.to_owned(), stack.map(ToOwned::to_owned), wanted.to_owned()))
        };
        assert_eq!(asked("vpc id"), some("vpc", None, "id"));
        assert_eq!(asked("vpc prod id"), some("vpc", Some("prod"), "id"));
        assert_eq!(asked("vpc .id // \"none\""), some("vpc", None, ".id // \"none\""));
        assert_eq!(asked("vpc prod .ids[0]"), some("vpc", Some("prod"), ".ids[0]"));
        assert_eq!(asked("vpc '.a[\"b/c\"]'"), some("vpc", None, ".a[\"b/c\"]"));
        assert_eq!(asked("vpc prod \".a[\"\"b\"\"]\""), some("vpc", Some("prod"), ".a[\"b\"]"));
        assert_eq!(asked("vpc .h | \"jdbc:\" + ."), some("vpc", None, ".h | \"jdbc:\" + ."));
        assert_eq!(asked("vpc"), None);
    }
}
