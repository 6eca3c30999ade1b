//! `!include`: replaces a value by another file of the repository.

use std::sync::Arc;

use super::error::StackError;
use super::files::StackFiles;
use super::hcl;
use super::limits::{INCLUDE_DEPTH, Included, limit};
use super::paths;
use super::query;
use super::settings::StackSettings;
use super::value::{Call, Location, Value};
use super::yaml;

/// The YAML function that includes a file.
pub(super) const INCLUDE: &str = "!include";

/// The YAML function that includes a file as text, regardless of its type.
const INCLUDE_RAW: &str = "!include.raw";

/// Whether a call includes a file.
pub(super) fn is_include(call: &Call) -> bool {
    call.is_tag(INCLUDE) || call.is_tag(INCLUDE_RAW)
}

/// The source of included files, and their cost so far.
pub(super) struct Including<'i> {
    files: &'i dyn StackFiles,
    settings: &'i StackSettings,
    spent: &'i mut Included,
    /// The files in inclusion, each included by its predecessor.
    chain: Vec<String>,
}

impl<'i> Including<'i> {
    pub(super) const fn new(
        files: &'i dyn StackFiles,
        settings: &'i StackSettings,
        spent: &'i mut Included,
    ) -> Self {
        Self { files, settings, spent, chain: Vec::new() }
    }

    /// Resolves every `!include` below a value. An include that fails stays as it is, and is
    /// refused when it is needed.
    ///
    /// # Errors
    ///
    /// [`StackError::Limit`]: an exceeded limit is refused at once.
    pub(super) fn resolve_all(&mut self, value: &Value) -> Result<Value, StackError> {
        Ok(match value {
            Value::Call(call) if is_include(call) => match self.include(call) {
                Err(error @ StackError::Limit { .. }) => return Err(error),
                included => included.unwrap_or_else(|_| value.clone()),
            },
            Value::Call(call) => Value::Call(Arc::new(Call {
                argument: self.resolve_all(&call.argument)?,
                ..(**call).clone()
            })),
            Value::List(items) => {
                let items: Result<_, _> = items.iter().map(|item| self.resolve_all(item)).collect();
                Value::List(Arc::new(items?))
            }
            Value::Map(map) => {
                let entries = map.iter().map(|(key, value)| Ok((Arc::clone(key), self.resolve_all(value)?)));
                Value::map(entries.collect::<Result<_, StackError>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        })
    }

    /// The value of an `!include <path> [<query>]`.
    ///
    /// With `!include.raw` it is always the file's text. `./` and `../` are relative to the file
    /// that includes; other paths are tried there, then from the folder of `atmos.yaml`, the
    /// repository's root and the stacks directory. YAML, JSON, HCL and dotenv files are read,
    /// anything else is a text.
    ///
    /// # Errors
    ///
    /// If the file does not exist, cannot be parsed, includes itself, or exceeds a limit.
    pub(super) fn include(&mut self, call: &Call) -> Result<Value, StackError> {
        let refuse =
            |why: String| StackError::Unsupported { what: format!("`{INCLUDE}` {why}"), at: call.at.clone() };
        let argument = call.argument.as_str().unwrap_or_default();
        let (path, query) = arguments(argument);
        if path.is_empty() {
            return Err(refuse("needs a path".to_owned()));
        }
        if path.contains("://") || path.contains("::") {
            return Err(refuse(format!("of the remote file \"{path}\" is not supported")));
        }
        let (path, text) = find(&path, call, self.files, self.settings)?
            .ok_or_else(|| refuse(format!("names \"{path}\", which is not there")))?;
        self.spent.file(text.len(), &call.at)?;
        let value = match path.rsplit('.').next() {
            _ if call.is_tag(INCLUDE_RAW) => Value::text(&text),
            Some("yaml" | "yml" | "json") => self.yaml(&path, &text, call)?,
            Some("hcl" | "tf" | "tfvars") => {
                hcl::parse_variables(&text).map_err(|why| refuse(format!("of \"{path}\", which {why}")))?
            }
            Some("env") => dotenv(&text).map_err(|why| refuse(format!("of \"{path}\", which {why}")))?,
            _ => Value::text(&text),
        };
        if query.is_empty() || query == "." {
            return Ok(value);
        }
        query::find(&query, &value).map_err(|why| refuse(format!("of \"{path}\": the query `{query}` {why}")))
    }

    /// The content of a YAML file with its own includes resolved.
    fn yaml(&mut self, path: &str, text: &str, call: &Call) -> Result<Value, StackError> {
        if self.chain.iter().any(|outer| outer == path) {
            let chain = self.chain.join(" → ");
            let what = format!("`{INCLUDE}` goes in a circle: {chain} → {path}");
            return Err(StackError::Unsupported { what, at: call.at.clone() });
        }
        if self.chain.len() >= INCLUDE_DEPTH {
            let what = format!("`{INCLUDE}` is nested deeper than {INCLUDE_DEPTH} files");
            return Err(limit(&call.at, what, "include the innermost files directly"));
        }
        let document = yaml::parse(text, &Arc::from(path))?.value;
        count(&document, self.spent, &call.at)?;
        self.chain.push(path.to_owned());
        let value = self.resolve_all(&document);
        self.chain.pop();
        value
    }
}

/// Counts the values of a file; aliases count each time.
fn count(value: &Value, spent: &mut Included, at: &Location) -> Result<(), StackError> {
    spent.value(at)?;
    match value {
        Value::List(items) => items.iter().try_for_each(|item| count(item, spent, at)),
        Value::Map(map) => map.values().try_for_each(|value| count(value, spent, at)),
        Value::Call(call) => count(&call.argument, spent, at),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Splits an include into path and query. Each may be quoted, and so may both together.
fn arguments(argument: &str) -> (String, String) {
    let argument = argument.trim();
    let inner = |text: &'_ str| -> Option<String> {
        let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.is_empty() && !inner.contains(quote)).then(|| inner.to_owned())
    };
    if let Some(both) = inner(argument).filter(|both| both.contains(['"', '\''])) {
        return arguments(&both);
    }
    let quoted = argument.chars().next().filter(|quote| matches!(quote, '"' | '\''));
    let (path, query) = match quoted {
        Some(quote) => argument[1..].split_once(quote).unwrap_or((&argument[1..], "")),
        None => argument.split_once(char::is_whitespace).unwrap_or((argument, "")),
    };
    let query = query.trim();
    (path.to_owned(), inner(query).unwrap_or_else(|| query.to_owned()))
}

/// The variables of a dotenv file, in its order; `${NAME}` is not replaced.
fn dotenv(text: &str) -> Result<Value, String> {
    let mut variables = super::value::Map::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line
            .split_once('=')
            .or_else(|| line.split_once(": "))
            .ok_or_else(|| format!("has no `=` in line {}", index + 1))?;
        let value = value.trim();
        let quoted = |quote: char| {
            let inner = value.strip_prefix(quote)?;
            inner.find(quote).map(|end| &inner[..end])
        };
        let value = match (quoted('\''), quoted('"')) {
            (Some(text), _) => text.to_owned(),
            (None, Some(text)) => text.replace("\\n", "\n"),
            (None, None) => value.split(" #").next().unwrap_or_default().trim().to_owned(),
        };
        variables.insert(Arc::from(name.trim()), Value::text(&value));
    }
    Ok(Value::map(variables))
}

fn find(
    path: &str,
    call: &Call,
    files: &dyn StackFiles,
    settings: &StackSettings,
) -> Result<Option<(String, String)>, StackError> {
    let mut directories = vec![paths::parent(&call.at.file)];
    let top = paths::top(files.above());
    if !paths::is_relative_to_file(path) {
        directories.extend([settings.directory.as_str(), &top, &settings.base_path]);
    }
    for directory in directories {
        let Some(candidate) = paths::join_above(directory, path, files.above()) else { continue };
        match files.read(&candidate) {
            Ok(Some(text)) => return Ok(Some((candidate, text))),
            Ok(None) => {}
            Err(source) => return Err(StackError::Read { path: candidate, source }),
        }
    }
    Ok(None)
}
