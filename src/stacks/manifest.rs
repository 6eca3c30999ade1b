//! One manifest: read once, its context and locals filled in for each place that imports it.

use std::sync::{Arc, PoisonError};

use super::cache::StackCache;
use super::error::StackError;
use super::files::StackFiles;
use super::include;
use super::merge::{ListMergeStrategy, merge_into};
use super::settings::StackSettings;
use super::template::{self, Piece};
use super::value::{Function, Location, Map, Value};
use super::yaml::{self, Document};

/// A manifest with everything filled in that is known before its components are put together.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) content: Map,
    /// Where the entries of its `import` list stand.
    pub(super) imports: Vec<Location>,
}

/// A file as it was read; the same for everybody who imports it.
pub(super) struct Source {
    text: String,
    /// Absent where the text is no YAML before its templates are filled in.
    document: Option<Document>,
}

/// Reads manifests, each file once.
pub(super) struct ManifestReader<'a> {
    pub(super) files: &'a dyn StackFiles,
    pub(super) settings: &'a StackSettings,
    pub(super) cache: Arc<StackCache>,
}

impl ManifestReader<'_> {
    /// Whether there is such a file.
    pub(super) fn exists(&self, path: &str) -> Result<bool, StackError> {
        Ok(self.source(path)?.is_some())
    }

    /// The manifest as its importer sees it; nothing where there is no such file.
    pub(super) fn read(
        &self,
        path: &str,
        context: &Map,
        skip_templates: bool,
    ) -> Result<Option<Manifest>, StackError> {
        let Some(source) = self.source(path)? else { return Ok(None) };
        let file: Arc<str> = Arc::from(path);
        let templates = self.settings.templates && !skip_templates;
        let document = match &source.document {
            Some(document) => document.clone(),
            None => parse_filled_in(&source.text, context, templates, &file)?,
        };
        let sections = match document.value {
            Value::Map(sections) => Arc::unwrap_or_clone(sections),
            Value::Null => Map::new(),
            other => {
                let message = format!("a manifest must be a map, not {}", other.kind());
                return Err(StackError::Yaml { at: Location { file, line: 1, column: 1 }, message });
            }
        };
        let mut sections = if templates { fill_in(sections, context, path)? } else { sections };
        // Locals are the file's own: nobody who imports it sees them.
        sections.shift_remove("locals");
        if source.text.contains(include::INCLUDE) {
            for value in sections.values_mut() {
                *value = include::resolve_all(value, self.files, &self.settings.base_path, 0);
            }
        }
        Ok(Some(Manifest { content: sections, imports: document.imports }))
    }

    fn source(&self, path: &str) -> Result<Option<Arc<Source>>, StackError> {
        if let Some(known) = self.cache.sources.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(known.clone());
        }
        let text =
            self.files.read(path).map_err(|source| StackError::Read { path: path.to_owned(), source })?;
        let source = text.map(|text| {
            let document = yaml::parse(&text, &Arc::from(path)).ok();
            Arc::new(Source { text, document })
        });
        let mut sources = self.cache.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sources.entry(path.to_owned()).or_insert(source).clone())
    }
}

/// Reads a text that becomes YAML only when its templates are filled in (`enabled: {{ .enabled }}`).
fn parse_filled_in(
    text: &str,
    context: &Map,
    templates: bool,
    file: &Arc<str>,
) -> Result<Document, StackError> {
    let filled = if templates { template::substitute_text(text, context) } else { text.into() };
    yaml::parse(&filled, file).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line);
        template_refusal(&filled, line, file).unwrap_or(error)
    })
}

/// The template that keeps a text from being YAML: one on the line of the error, or one that has a line to itself.
fn template_refusal(text: &str, error_line: usize, file: &Arc<str>) -> Option<StackError> {
    template::pieces(text).into_iter().find_map(|piece| {
        let (written, offset) = match piece {
            Piece::Other { written, offset } | Piece::Field { written, offset, .. } => (written, offset),
            Piece::Text(_) | Piece::Quoted(_) => return None,
        };
        let at = template::locate(text, offset, file);
        let line_start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let has_line_to_itself = text[line_start..offset].trim().is_empty();
        (at.line == error_line || has_line_to_itself).then(|| StackError::Unsupported {
            what: format!(
                "the template `{}` cannot be filled in here: only plain field paths are supported, of values that \
                 the import's `context` or the file's `locals` set",
                written.lines().next().unwrap_or_default()
            ),
            at,
        })
    })
}

/// Fills in the import's context and the file's locals.
fn fill_in(sections: Map, context: &Map, path: &str) -> Result<Map, StackError> {
    let locals = locals(&sections, path)?;
    if locals.is_empty() {
        return Ok(if context.is_empty() { sections } else { substitute_map(&sections, context) });
    }
    let mut data = context.clone();
    data.insert(Arc::from("locals"), Value::map(resolve_locals(locals, &data, &sections)?));
    // What has locals also sees the file's own sections, each one those before it.
    for section in ["settings", "vars", "env"] {
        if let Some(values) = sections.get(section) {
            let values = template::substitute(values, &data);
            data.insert(Arc::from(section), values);
        }
    }
    Ok(substitute_map(&sections, &data))
}

fn substitute_map(sections: &Map, data: &Map) -> Map {
    match template::substitute(&Value::map(sections.clone()), data) {
        Value::Map(sections) => Arc::unwrap_or_clone(sections),
        _ => Map::new(),
    }
}

/// The locals of a file: its own and those of its kinds' sections.
fn locals(sections: &Map, path: &str) -> Result<Map, StackError> {
    let mut locals = Map::new();
    let mut add = |section: Option<&Value>, name: String| match section {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Map(section)) => {
            merge_into(&mut locals, section, ListMergeStrategy::Replace);
            Ok(())
        }
        Some(other) => Err(StackError::Section {
            file: path.to_owned(),
            section: name,
            expected: "a map",
            found: other.kind(),
        }),
    };
    add(sections.get("locals"), "locals".to_owned())?;
    for kind in ["terraform", "helmfile", "packer"] {
        let section = sections.get(kind).and_then(Value::as_map).and_then(|kind| kind.get("locals"));
        add(section, format!("{kind}.locals"))?;
    }
    Ok(locals)
}

/// Lets locals refer to each other, in any order.
fn resolve_locals(mut locals: Map, context: &Map, sections: &Map) -> Result<Map, StackError> {
    refuse_circles(&locals)?;
    let mut data = context.clone();
    for section in ["settings", "vars", "env"] {
        if let Some(values) = sections.get(section) {
            data.entry(Arc::from(section)).or_insert_with(|| values.clone());
        }
    }
    // Each pass settles what refers to nothing but settled locals; functions are left to the component.
    for _ in 0..locals.len() {
        data.insert(Arc::from("locals"), Value::map(locals.clone()));
        let next = substitute_map(&locals, &data);
        if next == locals {
            break;
        }
        locals = next;
    }
    Ok(locals)
}

/// Takes away locals that refer to nothing that is left, until nothing is left; else there is a circle.
fn refuse_circles(locals: &Map) -> Result<(), StackError> {
    let mut left: Vec<(&str, Vec<LocalReference<'_>>)> = Vec::new();
    for (name, value) in locals {
        let mut references = Vec::new();
        collect_references(value, &mut references);
        left.push((name, references));
    }
    loop {
        let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
        left.retain(|(_, references)| references.iter().any(|reference| names.contains(&reference.name)));
        match left.first() {
            None => return Ok(()),
            Some((_, references)) if left.len() == names.len() => {
                let at = references.first().map(|reference| reference.at.clone());
                let at = at.unwrap_or_else(|| Location { file: Arc::from(""), line: 1, column: 1 });
                let message = "the locals refer to each other in a circle".to_owned();
                return Err(StackError::Yaml { at, message });
            }
            Some(_) => {}
        }
    }
}

/// A template's use of a local.
struct LocalReference<'v> {
    name: &'v str,
    at: &'v Location,
}

fn collect_references<'v>(value: &'v Value, references: &mut Vec<LocalReference<'v>>) {
    match value {
        Value::Call(call) => match &call.argument {
            Value::String(text) => {
                for piece in template::pieces(text) {
                    if let Piece::Field { path, .. } = piece
                        && let ["locals", name, ..] = *path.as_slice()
                    {
                        references.push(LocalReference { name, at: &call.at });
                    }
                }
            }
            argument => collect_references(argument, references),
        },
        Value::List(items) => items.iter().for_each(|item| collect_references(item, references)),
        Value::Map(map) => map.values().for_each(|value| collect_references(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A section that must be a map where it is there; null is nothing.
pub(super) fn section<'m>(map: &'m Map, name: &str, file: &str) -> Result<Option<&'m Map>, StackError> {
    nested_section(map, &[name], file)
}

/// The map at a path of keys, each of which must be a map where it is there.
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
                let what = match &call.function {
                    Function::Tag(tag) => {
                        format!("the function `{tag}` cannot make up the section `{section}`")
                    }
                    Function::Template => format!("a template cannot make up the section `{section}`"),
                };
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
