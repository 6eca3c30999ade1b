//! Imports: a manifest with everything that it imports, depth first in the order of
//! the list, then the file itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use super::cache::StackCache;
use super::error::StackError;
use super::files::StackFiles;
use super::imported::Imported;
use super::limits::{IMPORT_DEPTH, IMPORTS, limit};
use super::list_merge::ListMergeStrategy;
use super::manifest::{Given, Manifest, ManifestReader};
use super::merge::{merge_all, merge_into};
use super::overrides::Overrides;
use super::paths::{self, Glob};
use super::settings::StackSettings;
use super::template::{self, Known};
use super::value::{Function, Location, Map, Value};

/// The context of an import, as far as it affects the meaning of the imported manifest.
#[derive(Clone, Default)]
struct Importer {
    given: Given,
    /// The earlier imports, which templated import paths see.
    earlier: Vec<Arc<Map>>,
    inline_overrides: Overrides,
    imported_overrides: Overrides,
    /// The import chain that led here.
    chain: Vec<String>,
    /// The number of merged files of the stack whose meaning depends on the importer.
    merged: Arc<AtomicUsize>,
}

impl Importer {
    /// Whether the manifest is independent of this importer, so that its merge result can be
    /// cached.
    fn is_neutral(&self) -> bool {
        self.given.context.is_empty()
            && !self.given.skip_templates
            && !self.given.ignore_missing_values
            && self.inline_overrides.is_empty()
            && self.imported_overrides.is_empty()
    }
}

/// An entry of an `import` list.
struct Entry {
    path: String,
    context: Map,
    skip_templates: bool,
    skip_if_missing: bool,
    ignore_missing_values: bool,
    at: Location,
}

/// Resolves imports; a file that means the same to all its importers is merged once.
pub(super) struct Importing<'a> {
    pub(super) reader: ManifestReader<'a>,
}

impl<'a> Importing<'a> {
    pub(super) fn new(
        files: &'a dyn StackFiles,
        settings: &'a StackSettings,
        cache: Arc<StackCache>,
    ) -> Self {
        Self { reader: ManifestReader { files, settings, cache } }
    }

    fn settings(&self) -> &'a StackSettings {
        self.reader.settings
    }

    fn lists(&self) -> ListMergeStrategy {
        self.settings().list_merge_strategy
    }

    /// Merges the manifest at a path, which must exist, with its imports.
    pub(super) fn file(&self, path: &str) -> Result<Arc<Imported>, StackError> {
        self.import(path, &Importer::default())
    }

    /// Merges a manifest that is not a file with its imports. `name` identifies it in messages.
    pub(super) fn manifest(&self, name: &str, manifest: Manifest) -> Result<Arc<Imported>, StackError> {
        let importer = Importer { chain: vec![name.to_owned()], ..Importer::default() };
        self.merge_imports(name, manifest, &importer).map(Arc::new)
    }

    /// The files below the stacks directory, sorted.
    pub(super) fn listed(&self) -> Result<Arc<Vec<String>>, StackError> {
        let mut listed = self.reader.cache.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = &*listed {
            return Ok(Arc::clone(files));
        }
        let base_path = &self.settings().base_path;
        let mut files = self
            .reader
            .files
            .list(base_path)
            .map_err(|source| StackError::Read { path: base_path.clone(), source })?;
        files.sort_unstable();
        let files = Arc::new(files);
        *listed = Some(Arc::clone(&files));
        Ok(files)
    }

    fn import(&self, path: &str, importer: &Importer) -> Result<Arc<Imported>, StackError> {
        if importer.chain.iter().any(|earlier| earlier == path) {
            let mut chain = importer.chain.clone();
            chain.push(path.to_owned());
            return Err(StackError::ImportCycle { chain });
        }
        if importer.chain.len() > IMPORT_DEPTH {
            let what = format!("files import each other more than {IMPORT_DEPTH} deep");
            return Err(limit(path, what, "import the innermost files directly"));
        }
        let is_neutral = importer.is_neutral();
        if is_neutral
            && let Some(known) =
                self.reader.cache.neutral.lock().unwrap_or_else(PoisonError::into_inner).get(path)
        {
            return Ok(Arc::clone(known));
        }
        let manifest = self
            .reader
            .read(path, &importer.given)?
            .unwrap_or_else(|| Manifest { content: Map::new(), imports: Vec::new() });
        let mut inner = importer.clone();
        inner.chain.push(path.to_owned());
        let merged = Arc::new(self.merge_imports(path, manifest, &inner)?);
        if is_neutral && !merged.has_templated_paths {
            let mut neutral = self.reader.cache.neutral.lock().unwrap_or_else(PoisonError::into_inner);
            neutral.insert(path.to_owned(), Arc::clone(&merged));
        } else if importer.merged.fetch_add(1, Ordering::Relaxed) >= IMPORTS {
            let what = format!("one stack imports more than {IMPORTS} files by contexts or templates");
            return Err(limit(path, what, "import files without a context once, or fewer of them"));
        }
        Ok(merged)
    }

    /// Merges a manifest with its imports; the manifest is already part of the importer's chain.
    fn merge_imports(
        &self,
        path: &str,
        manifest: Manifest,
        importer: &Importer,
    ) -> Result<Imported, StackError> {
        let lists = self.lists();
        let Manifest { content: mut own, imports: places } = manifest;
        let mut inner = importer.clone();
        inner.inline_overrides = Overrides::of_file(&own, &importer.inline_overrides, path, lists)?;

        let mut layers: Vec<Arc<Map>> = Vec::new();
        let mut imports = BTreeMap::new();
        let mut has_templated_paths = false;
        for entry in entries(&own, path, &places)? {
            has_templated_paths |= template::looks_like_template(&entry.path);
            let (files, importer_of_entry) = self.expand(&entry, path, &inner)?;
            for file in files {
                if layers.len() >= IMPORTS {
                    let what = format!("{path} imports more than {IMPORTS} files, counting each time");
                    return Err(limit(path, what, "import each file once"));
                }
                let part = self.import(&file, &importer_of_entry)?;
                has_templated_paths |= part.has_templated_paths;
                let name = paths::manifest_name(&self.settings().base_path, &file);
                imports.extend(part.imports.iter().map(|(name, own)| (Arc::clone(name), Arc::clone(own))));
                imports.insert(Arc::from(name), Arc::clone(&part.own));
                // Later imports and the file itself are also subject to the overrides of earlier
                // imports.
                inner.imported_overrides = Overrides::merged(
                    &[&inner.imported_overrides, &part.overrides_from_imports, &part.overrides_inline],
                    lists,
                );
                inner.earlier.push(Arc::clone(&part.merged));
                layers.push(Arc::clone(&part.merged));
            }
        }

        let overrides = Overrides::merged(&[&inner.imported_overrides, &inner.inline_overrides], lists);
        overrides.apply(&mut own);
        let merged = merge_all(layers.iter().map(|layer| &**layer).chain([&own]), lists);
        Ok(Imported {
            merged: Arc::new(merged),
            own: Arc::new(own),
            imports,
            overrides_inline: inner.inline_overrides,
            overrides_from_imports: inner.imported_overrides,
            has_templated_paths,
        })
    }

    /// Resolves an entry to files, with the settings of their import.
    fn expand(
        &self,
        entry: &Entry,
        file: &str,
        importer: &Importer,
    ) -> Result<(Vec<String>, Importer), StackError> {
        let context = if entry.context.is_empty() {
            Arc::clone(&importer.given.context)
        } else {
            // The importer's own context wins over the context of the entry.
            let mut context = entry.context.clone();
            merge_into(&mut context, &importer.given.context, self.lists());
            Arc::new(context)
        };
        let files = self.files_of(entry, file, importer)?;
        let given = Given {
            context,
            skip_templates: entry.skip_templates,
            ignore_missing_values: entry.ignore_missing_values,
        };
        Ok((files, Importer { given, ..importer.clone() }))
    }

    fn files_of(&self, entry: &Entry, file: &str, importer: &Importer) -> Result<Vec<String>, StackError> {
        let path = self.fill_in_path(entry, importer)?;
        if template::looks_like_template(&path) {
            // A path that stays a template is not resolved yet.
            return Ok(Vec::new());
        }
        if is_remote(&path) {
            let what = format!("the remote import \"{path}\" is not supported");
            return Err(StackError::Unsupported { what, at: entry.at.clone() });
        }
        let directory =
            if paths::is_relative_to_file(&path) { paths::parent(file) } else { &self.settings().base_path };
        let Some(target) = paths::join_above(directory, &path, self.reader.files.above()) else {
            let message = format!("the import \"{path}\" leads out of the repository");
            return Err(StackError::Import { at: entry.at.clone(), message });
        };
        let files = if paths::is_glob(&target) {
            self.matching(&target)?
        } else {
            let mut found = Vec::new();
            for candidate in paths::candidates(&target) {
                if self.reader.exists(&candidate)? {
                    found.push(candidate);
                    break;
                }
            }
            found
        };
        if files.is_empty() && !entry.skip_if_missing {
            return Err(StackError::ImportNotFound {
                import: path,
                at: entry.at.clone(),
                chain: importer.chain.clone(),
            });
        }
        Ok(files)
    }

    fn matching(&self, pattern: &str) -> Result<Vec<String>, StackError> {
        let glob = Glob::of_manifests(pattern)?;
        let base_path = &self.settings().base_path;
        let directory = Glob::directory(pattern);
        let below_base = base_path.is_empty()
            || directory == base_path
            || directory.strip_prefix(base_path.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if below_base {
            return Ok(self.listed()?.iter().filter(|file| glob.matches(file)).cloned().collect());
        }
        let mut files = self
            .reader
            .files
            .list(directory)
            .map_err(|source| StackError::Read { path: directory.to_owned(), source })?;
        files.retain(|file| glob.matches(file));
        files.sort_unstable();
        Ok(files)
    }

    /// Evaluates the templates in an import's path: from its own `context`, then from earlier
    /// imports.
    fn fill_in_path(&self, entry: &Entry, importer: &Importer) -> Result<String, StackError> {
        if entry.skip_templates || !self.settings().templates || !template::looks_like_template(&entry.path) {
            return Ok(entry.path.clone());
        }
        let mut data = Map::new();
        for earlier in &importer.earlier {
            for section in ["settings", "vars", "env"] {
                if let Some(values) = earlier.get(section) {
                    let layer = Map::from([(Arc::from(section), values.clone())]);
                    merge_into(&mut data, &layer, self.lists());
                }
            }
        }
        merge_into(&mut data, &importer.given.context, self.lists());
        merge_into(&mut data, &entry.context, self.lists());
        let known =
            Known { data: &data, kept: None, is_all: entry.ignore_missing_values, keeps_what_waits: false };
        template::fill_in_text(&entry.path, &known).map_err(|refusal| {
            let what = format!("the import's path `{}`: {}", entry.path, refusal.what);
            StackError::Unsupported { what, at: entry.at.clone() }
        })
    }
}

fn is_remote(path: &str) -> bool {
    path.contains("://") || path.contains("::") || path.starts_with("git@") || path.starts_with("github.com/")
}

/// The entries of a manifest's `import` list.
fn entries(content: &Map, file: &str, places: &[Location]) -> Result<Vec<Entry>, StackError> {
    let items = match content.get("import") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::List(items)) => items,
        Some(other) => {
            return Err(StackError::Section {
                file: file.to_owned(),
                section: "import".to_owned(),
                expected: "a list",
                found: other.kind(),
            });
        }
    };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let whole_file = || Location { file: Arc::from(file), line: 1, column: 1 };
            entry(item, &places.get(index).cloned().unwrap_or_else(whole_file))
        })
        .collect()
}

fn entry(item: &Value, at: &Location) -> Result<Entry, StackError> {
    let refuse = |message: String| StackError::Import { at: at.clone(), message };
    let options = Map::new();
    let (path, options) = match item {
        Value::Map(options) => (options.get("path"), &**options),
        item => (Some(item), &options),
    };
    let path = match path {
        Some(Value::String(path)) if !path.is_empty() => path.to_string(),
        // A templated path is evaluated when it is imported.
        Some(Value::Call(call)) if call.function == Function::Template => {
            call.argument.as_str().unwrap_or_default().to_owned()
        }
        Some(other) => return Err(refuse(format!("an import must be a path, not {}", other.kind()))),
        None => return Err(refuse("an import needs a `path`".to_owned())),
    };
    let flag = |name: &str| match options.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(refuse(format!("`{name}` must be true or false, not {}", other.kind()))),
    };
    let context = match options.get("context") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Map(context)) => (**context).clone(),
        Some(other) => return Err(refuse(format!("`context` must be a map, not {}", other.kind()))),
    };
    Ok(Entry {
        path,
        context,
        skip_templates: flag("skip_templates_processing")?,
        skip_if_missing: flag("skip_if_missing")?,
        ignore_missing_values: flag("ignore_missing_template_values")?,
        at: at.clone(),
    })
}
