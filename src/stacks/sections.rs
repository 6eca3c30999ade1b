//! Sections of a manifest, which have to be maps.

use super::error::StackError;
use super::include;
use super::value::{Call, Function, Map, Value};

/// A section that must be a map if present; null counts as absent.
pub(super) fn section<'m>(map: &'m Map, name: &str, file: &str) -> Result<Option<&'m Map>, StackError> {
    nested_section(map, &[name], file)
}

/// The reason that a function cannot be a section.
fn no_section(call: &Call, section: &str) -> String {
    let layers = match &call.function {
        Function::Merged(_) => call.argument.as_list().unwrap_or_default(),
        Function::Tag(_) | Function::Template => &[],
    };
    let include = std::iter::once(call)
        .chain(layers.iter().filter_map(|layer| match layer {
            Value::Call(call) => Some(&**call),
            _ => None,
        }))
        .find(|call| include::is_include(call));
    if let Some(written) = include.map(Call::to_json) {
        let written = written.as_str().unwrap_or(include::INCLUDE);
        return format!(
            "`{written}` cannot make up the section `{section}`: there is no such file, or no map in it"
        );
    }
    match &call.function {
        Function::Tag(tag) => {
            let written = call.to_json();
            let written = written.as_str().unwrap_or(tag);
            format!("the function `{written}` cannot make up the section `{section}`")
        }
        Function::Template => format!("a template cannot make up the section `{section}`"),
        Function::Merged(_) => format!("a function cannot make up a part of the section `{section}`"),
    }
}

/// The map at a path of keys, each of which must be a map if present.
pub(super) fn nested_section<'m>(
    map: &'m Map,
    path: &[&str],
    file: &str,
) -> Result<Option<&'m Map>, StackError> {
    let mut current = map;
    for (depth, name) in path.iter().enumerate() {
        match current.get(*name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Map(map)) => current = map,
            Some(Value::Call(call)) => {
                let section = path[..=depth].join(".");
                let what = no_section(call, &section);
                return Err(StackError::Unsupported { what, at: call.at.clone() });
            }
            Some(other) => {
                return Err(StackError::Section {
                    file: file.to_owned(),
                    section: path[..=depth].join("."),
                    expected: "a map",
                    found: other.kind(),
                });
            }
        }
    }
    Ok(Some(current))
}
