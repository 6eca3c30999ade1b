//! One manifest: parsed once, with its context and locals resolved for each importer.

use std::sync::{Arc, PoisonError};

use super::cache::StackCache;
use super::error::StackError;
use super::files::StackFiles;
use super::include::{self, Including};
use super::limits::Included;
use super::locals;
use super::settings::StackSettings;
use super::source::Source;
use super::template::{self, Known};
use super::value::{Location, Map, Value};
use super::yaml::{self, Document};

/// A manifest in which everything known before the assembly of its components is filled in.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) content: Map,
    /// The positions of the entries of its `import` list.
    pub(super) imports: Vec<Location>,
}

/// The settings that an import passes to the imported manifest.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    pub(super) context: Arc<Map>,
    pub(super) skip_templates: bool,
    /// Whether a value that the context lacks counts as absent, instead of being deferred to the
    /// component.
    pub(super) ignore_missing_values: bool,
}

impl Given {
    fn known(&self) -> Known<'_> {
        Known {
            data: &self.context,
            kept: (!self.context.is_empty()).then(|| Arc::clone(&self.context)),
            is_all: self.ignore_missing_values,
            keeps_what_waits: false,
        }
    }
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

    /// The manifest as its importer sees it; `None` if the file does not exist.
    pub(super) fn read(&self, path: &str, given: &Given) -> Result<Option<Manifest>, StackError> {
        let Some(source) = self.source(path)? else { return Ok(None) };
        let file: Arc<str> = Arc::from(path);
        let templates = self.settings.templates && !given.skip_templates;
        let document = match &source.document {
            Some(document) => document.clone(),
            None if templates => parse_filled_in(&source.text, given, &file)?,
            None => yaml::parse(&source.text, &file)?,
        };
        let sections = match document.value {
            Value::Map(sections) => Arc::unwrap_or_clone(sections),
            Value::Null => Map::new(),
            other => {
                let message = format!("a manifest must be a map, not {}", other.kind());
                return Err(StackError::Yaml { at: Location { file, line: 1, column: 1 }, message });
            }
        };
        let mut sections = if templates { fill_in(sections, given, path)? } else { sections };
        // Locals are scoped to their file: importers do not see them.
        sections.shift_remove("locals");
        if source.text.contains(include::INCLUDE) {
            let mut spent = Included::default();
            let mut including = Including::new(self.files, self.settings, &mut spent);
            for value in sections.values_mut() {
                *value = including.resolve_all(value)?;
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
            let document =
                yaml::parse_with(&text, &Arc::from(path), &self.settings.template_delimiters.0).ok();
            Arc::new(Source { text, document })
        });
        let mut sources = self.cache.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sources.entry(path.to_owned()).or_insert(source).clone())
    }
}

/// Parses a text that is YAML only after its templates are evaluated (`enabled: {{ .enabled }}`).
fn parse_filled_in(text: &str, given: &Given, file: &Arc<str>) -> Result<Document, StackError> {
    let known = Known { keeps_what_waits: true, ..given.known() };
    let filled = template::fill_in_text(text, &known).map_err(|refusal| StackError::Unsupported {
        what: refusal.what,
        at: template::locate(text, refusal.offset, file),
    })?;
    yaml::parse(&filled, file).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line);
        // A deferred template may be the reason that the text is not valid YAML.
        match filled.lines().nth(line.saturating_sub(1)) {
            Some(line_text) if template::looks_like_template(line_text) => {
                let what = format!(
                    "the template in `{}` cannot be filled in here: it needs what neither the import's `context` \
                     nor the file's `locals` set",
                    line_text.trim()
                );
                let column = line_text.find("{{").unwrap_or(0) + 1;
                let line = first_line_with(text, line_text).unwrap_or(line);
                StackError::Unsupported { what, at: Location { file: Arc::clone(file), line, column } }
            }
            _ => error,
        }
    })
}

/// The index of a filled-in line in the original text, if a line there is identical.
fn first_line_with(text: &str, line: &str) -> Option<usize> {
    text.lines().position(|original| original == line).map(|index| index + 1)
}

/// Fills in the import's context and the file's locals.
fn fill_in(sections: Map, given: &Given, path: &str) -> Result<Map, StackError> {
    let Some(locals) = locals::resolve(&sections, &given.context, path)? else {
        if given.context.is_empty() {
            return Ok(sections);
        }
        return Ok(fill_in_map(&sections, &given.known(), &mut false));
    };
    let mut data = (*given.context).clone();
    data.insert(Arc::from("locals"), Value::map(locals));
    let kept = Arc::new(data.clone());
    // With locals, a file also sees its own sections, each one only the sections before it.
    let mut sections = sections;
    for name in ["settings", "vars", "env"] {
        if let Some(section) = sections.get_mut(name) {
            let known = Known { data: &data, kept: Some(Arc::clone(&kept)), ..given.known() };
            *section = template::fill_in(section, &known, &mut false);
            data.insert(Arc::from(name), section.clone());
        }
    }
    let mut waits = false;
    let known = Known { data: &data, kept: Some(Arc::clone(&kept)), ..given.known() };
    let filled = fill_in_map(&sections, &known, &mut waits);
    if waits && given.context.is_empty() {
        // A file that needs more than it knows is deferred as a whole: the component's sections
        // fill in all its templates.
        return Ok(fill_in_map(&sections, &Known { data: &kept, ..known }, &mut waits));
    }
    Ok(filled)
}

fn fill_in_map(sections: &Map, known: &Known<'_>, waits: &mut bool) -> Map {
    match template::fill_in(&Value::map(sections.clone()), known, waits) {
        Value::Map(sections) => Arc::unwrap_or_clone(sections),
        _ => Map::new(),
    }
}
