//! `!include`: another file of the repository in the place of a value.

use std::sync::Arc;

use super::error::StackError;
use super::files::StackFiles;
use super::hcl;
use super::paths;
use super::template;
use super::value::{Call, Value};
use super::yaml;

/// How deep included files may include others.
const MAX_DEPTH: usize = 8;

/// The YAML function that includes a file.
pub(super) const INCLUDE: &str = "!include";

/// The YAML function that includes a file as a text, whatever it is.
const INCLUDE_RAW: &str = "!include.raw";

/// Whether a call includes a file.
pub(super) fn is_include(call: &Call) -> bool {
    call.is_tag(INCLUDE) || call.is_tag(INCLUDE_RAW)
}

/// Fills in every `!include` below a value. What cannot be included stays as it is, and is refused when it is needed.
pub(super) fn resolve_all(value: &Value, files: &dyn StackFiles, stacks_path: &str, depth: usize) -> Value {
    match value {
        Value::Call(call) if is_include(call) => {
            include_at(call, files, stacks_path, depth).unwrap_or_else(|_| value.clone())
        }
        Value::Call(call) => Value::Call(Arc::new(Call {
            argument: resolve_all(&call.argument, files, stacks_path, depth),
            ..(**call).clone()
        })),
        Value::List(items) => Value::List(Arc::new(
            items.iter().map(|item| resolve_all(item, files, stacks_path, depth)).collect(),
        )),
        Value::Map(map) => Value::map(
            map.iter()
                .map(|(key, value)| (Arc::clone(key), resolve_all(value, files, stacks_path, depth)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What an `!include` stands for: `!include <path> [.field.path]`.
///
/// With `!include.raw` it is always the file's text. `./` and `../` are relative to the file that includes; other paths are tried there, then from the
/// repository's root, then from the stacks directory. YAML, JSON and HCL are read,
/// anything else is a text.
pub(super) fn include(call: &Call, files: &dyn StackFiles, stacks_path: &str) -> Result<Value, StackError> {
    include_at(call, files, stacks_path, 0)
}

fn include_at(
    call: &Call,
    files: &dyn StackFiles,
    stacks_path: &str,
    depth: usize,
) -> Result<Value, StackError> {
    let refuse =
        |why: String| StackError::Unsupported { what: format!("`{INCLUDE}` {why}"), at: call.at.clone() };
    if depth >= MAX_DEPTH {
        return Err(refuse(format!("is nested deeper than {MAX_DEPTH} files")));
    }
    let argument = call.argument.as_str().unwrap_or_default();
    let mut words = argument.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    let path = words.next().ok_or_else(|| refuse("needs a path".to_owned()))?;
    let query = words.collect::<Vec<_>>().join(" ");
    if path.contains("://") || path.contains("::") {
        return Err(refuse(format!("of the remote file \"{path}\" is not supported")));
    }
    let (path, text) = find(path, call, files, stacks_path)?
        .ok_or_else(|| refuse(format!("names \"{path}\", which is not there")))?;
    let value = match path.rsplit('.').next() {
        _ if call.is_tag(INCLUDE_RAW) => Value::text(&text),
        Some("yaml" | "yml" | "json") => {
            let file = Arc::from(path.as_str());
            resolve_all(&yaml::parse(&text, &file)?.value, files, stacks_path, depth + 1)
        }
        Some("hcl" | "tf" | "tfvars") => {
            hcl::parse_variables(&text).map_err(|why| refuse(format!("of \"{path}\", which {why}")))?
        }
        _ => Value::text(&text),
    };
    if query.is_empty() || query == "." {
        return Ok(value);
    }
    // A query is read by the rules of a template's field path, of which it is the inside.
    let field = format!("{{{{ {query} }}}}");
    match (template::pieces(&field).as_slice(), value.as_map()) {
        ([template::Piece::Field { path: fields, .. }], Some(map)) => template::look_up(map, fields)
            .cloned()
            .ok_or_else(|| refuse(format!("finds no `{query}` in \"{path}\""))),
        ([template::Piece::Field { .. }], None) => Err(refuse(format!("finds no `{query}` in \"{path}\""))),
        _ => Err(refuse(format!("supports plain field paths only, not `{query}`"))),
    }
}

fn find(
    path: &str,
    call: &Call,
    files: &dyn StackFiles,
    stacks_path: &str,
) -> Result<Option<(String, String)>, StackError> {
    let mut directories = vec![paths::parent(&call.at.file)];
    if !paths::is_relative_to_file(path) {
        directories.extend(["", stacks_path]);
    }
    for directory in directories {
        let Some(candidate) = paths::join(directory, path) else { continue };
        match files.read(&candidate) {
            Ok(Some(text)) => return Ok(Some((candidate, text))),
            Ok(None) => {}
            Err(source) => return Err(StackError::Read { path: candidate, source }),
        }
    }
    Ok(None)
}
