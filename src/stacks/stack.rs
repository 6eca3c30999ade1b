//! Stacks: finds the stacks of a repository, and merges each one's manifest with its imports.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::cache::StackCache;
use super::error::StackError;
use super::files::StackFiles;
use super::import::Importing;
use super::imported::Imported;
use super::manifest::Manifest;
use super::merge::merge_into;
use super::paths::{self, Glob};
use super::sections::{nested_section, section};
use super::settings::StackSettings;
use super::value::{Location, Map, Value, map_from_json};

/// A stack: a manifest merged with its imports.
#[derive(Debug, Clone)]
pub struct Stack {
    file: String,
    imported: Arc<Imported>,
}

/// Every stack of a repository.
#[derive(Debug)]
pub struct Stacks {
    stacks: Vec<Stack>,
    refused: Vec<StackError>,
}

/// A stack to import, and the position of the request.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// As in a manifest's `import` list.
    pub path: String,
    pub at: Location,
}

impl Stack {
    /// The manifest's path from the stacks directory without its extension: `orgs/acme/dev`.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The `name` in the manifest.
    #[must_use]
    pub fn manifest_name(&self) -> Option<&str> {
        self.content().get("name").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// The kinds of components that the stack has, and the names of each kind's components.
    pub fn component_names(&self) -> Result<Vec<(&str, Vec<&str>)>, StackError> {
        let mut names = Vec::new();
        for kind in self.kinds()? {
            if let Some(components) = self.components(kind)? {
                names.push((kind, components.keys().map(|name| &**name).collect()));
            }
        }
        Ok(names)
    }

    /// The kinds of components that the stack has.
    pub(super) fn kinds(&self) -> Result<Vec<&str>, StackError> {
        let kinds = section(self.content(), "components", &self.file)?;
        Ok(kinds.into_iter().flat_map(Map::keys).map(|kind| &**kind).collect())
    }

    /// The names of the manifests that are imported, directly or not, sorted.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.imported.imports.keys().map(|name| &**name)
    }

    /// The merged manifest.
    pub(super) fn content(&self) -> &Map {
        &self.imported.merged
    }

    /// The content of the manifest itself.
    pub(super) fn own(&self) -> &Map {
        &self.imported.own
    }

    /// The content of each imported manifest, by manifest name.
    pub(super) fn imported(&self) -> &BTreeMap<Arc<str>, Arc<Map>> {
        &self.imported.imports
    }

    /// The components of a kind as written.
    pub(super) fn components(&self, kind: &str) -> Result<Option<&Map>, StackError> {
        nested_section(self.content(), &["components", kind], &self.file)
    }
}

impl Stacks {
    /// The stacks, in the order of their files.
    pub fn iter(&self) -> std::slice::Iter<'_, Stack> {
        self.stacks.iter()
    }

    /// The errors of stacks that need unsupported features. They matter only when one of these
    /// stacks is needed.
    #[must_use]
    pub fn refused(&self) -> &[StackError] {
        &self.refused
    }

    pub(super) fn first_refusal(&self) -> Option<StackError> {
        self.refused.iter().find_map(|error| match error {
            StackError::Unsupported { what, at } => {
                Some(StackError::Unsupported { what: what.clone(), at: at.clone() })
            }
            _ => None,
        })
    }
}

impl<'s> IntoIterator for &'s Stacks {
    type Item = &'s Stack;
    type IntoIter = std::slice::Iter<'s, Stack>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads stacks from a tree of files; every file once, however many stacks import it.
pub struct StackReader<'a> {
    importing: Importing<'a>,
}

impl<'a> StackReader<'a> {
    /// Reads from these files by these settings.
    pub fn new(files: &'a dyn StackFiles, settings: &'a StackSettings) -> Self {
        Self::with_cache(files, settings, Arc::default())
    }

    /// Reads with the cache of earlier readers of the same files and settings.
    pub fn with_cache(
        files: &'a dyn StackFiles,
        settings: &'a StackSettings,
        cache: Arc<StackCache>,
    ) -> Self {
        Self { importing: Importing::new(files, settings, cache) }
    }

    pub(super) fn settings(&self) -> &'a StackSettings {
        self.importing.reader.settings
    }

    pub(super) fn files(&self) -> &'a dyn StackFiles {
        self.importing.reader.files
    }

    /// Composes one stack of an ordered list of imports and an overlay; no other manifest is read.
    ///
    /// `name` is the stack's name, and `file` is the path that relative imports of its manifest
    /// resolve against. `content` is a manifest (`vars`, `components.terraform.…`) whose texts are
    /// taken literally.
    pub fn compose(
        &self,
        name: &str,
        file: &str,
        imports: &[ImportRequest],
        content: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Stack, StackError> {
        let paths = imports.iter().map(|import| Value::text(&import.path)).collect();
        let mut own = Map::from([
            (Arc::from("name"), Value::text(name)),
            (Arc::from("import"), Value::List(Arc::new(paths))),
        ]);
        merge_into(&mut own, &map_from_json(content), self.settings().list_merge_strategy);
        let places = imports.iter().map(|import| import.at.clone()).collect();
        self.composed(file, Manifest { content: own, imports: places })
    }

    /// The stack of a manifest that is no file; `file` identifies it.
    pub(super) fn composed(&self, file: &str, manifest: Manifest) -> Result<Stack, StackError> {
        let imported = self.importing.manifest(file, manifest)?;
        Ok(Stack { file: file.to_owned(), imported })
    }

    /// Whether a file exists.
    pub(super) fn exists(&self, path: &str) -> Result<bool, StackError> {
        self.importing.reader.exists(path)
    }

    /// Every stack that the settings include, on as many threads as the machine has cores.
    pub fn all(&self) -> Result<Stacks, StackError> {
        let files = self.stack_files()?;
        let mut stacks = Vec::with_capacity(files.len());
        let mut refused = Vec::new();
        for stack in in_parallel(&files, |path| self.stack(path)) {
            match stack {
                Ok(stack) => stacks.push(stack),
                Err(error) if error.can_wait() => refused.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(Stacks { stacks, refused })
    }

    /// The stack of the manifest at a path, which must exist.
    pub(super) fn stack(&self, path: &str) -> Result<Stack, StackError> {
        let imported = self.importing.file(path)?;
        Ok(Stack { file: paths::manifest_name(&self.settings().base_path, path), imported })
    }

    /// The files that are stacks: included and not excluded, sorted.
    pub(super) fn stack_files(&self) -> Result<Vec<String>, StackError> {
        let settings = self.settings();
        let below_base = |pattern: &str| {
            paths::join(&settings.base_path, pattern).ok_or_else(|| StackError::Setting {
                setting: pattern.to_owned(),
                message: "leads out of the repository".to_owned(),
            })
        };
        let globs = |patterns: &[String], glob: fn(&str) -> Result<Glob, StackError>| {
            patterns.iter().map(|pattern| glob(&below_base(pattern)?)).collect::<Result<Vec<_>, _>>()
        };
        let included = globs(&settings.included_paths, Glob::of_manifests)?;
        let excluded = globs(&settings.excluded_paths, Glob::exact)?;
        let listed = self.importing.listed()?;
        let files: Vec<String> = listed
            .iter()
            .filter(|file| included.iter().any(|glob| glob.matches(file)))
            .filter(|file| !excluded.iter().any(|glob| glob.matches(file)))
            .cloned()
            .collect();
        // A project that uses stacks has some: finding none means that the paths are wrong.
        if files.is_empty() {
            return Err(StackError::NoStacks {
                directory: settings.base_path.clone(),
                has_files: !listed.is_empty(),
                included: settings.included_paths.join(", "),
            });
        }
        Ok(files)
    }
}

/// Applies a function to every item on as many threads as there are cores; the results keep the
/// items' order.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], apply: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    if threads <= 1 {
        return items.iter().map(apply).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            match items.get(index) {
                Some(item) => done.push((index, apply(item))),
                None => return done,
            }
        }
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for helper in helpers {
            match helper.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
