//! Provenance: the manifest and line that each value of a component is written on.

use std::collections::HashMap;
use std::sync::Arc;

use super::places;
use super::stack::{Stack, StackReader};
use super::value::{Map, Value};

/// The position that a value of a component is written at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The keys that lead to the value in the component.
    pub path: Vec<String>,
    /// Relative to the repository.
    pub file: String,
    /// Line and column, counted from 1; `None` where the value is not written there itself, but
    /// reached through an alias or a template.
    pub line: Option<(usize, usize)>,
}

/// The line, counted from 1, of the key at a path in a YAML text.
#[must_use]
pub fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    places::exact_in_text(text, path).map(|(line, _)| line)
}

/// Finds the position of each component value that equals the value in a manifest. Merged and
/// derived values have none.
pub(super) fn trace(
    reader: &StackReader<'_>,
    stack: &Stack,
    kind: &str,
    component: &str,
    sections: &Map,
) -> Vec<Provenance> {
    let bases = sections.get("inheritance").and_then(Value::as_list).unwrap_or_default();
    let chain = std::iter::once(component).chain(bases.iter().filter_map(Value::as_str));
    let mut above = vec![vec![kind, "overrides"], vec!["overrides"]];
    above.extend(chain.map(|component| vec!["components", kind, component]));
    above.extend([vec![kind], Vec::new()]);
    let mut tracer = Tracer { reader, stack, above, files: HashMap::new(), found: Vec::new() };
    tracer.walk(sections, &mut Vec::new());
    tracer.found
}

struct Tracer<'t> {
    reader: &'t StackReader<'t>,
    stack: &'t Stack,
    /// The candidate paths of the component's sections in a manifest, in order of precedence.
    above: Vec<Vec<&'t str>>,
    /// The text of each manifest, and its path.
    files: HashMap<String, Option<(String, Arc<str>)>>,
    found: Vec<Provenance>,
}

impl<'t> Tracer<'t> {
    fn walk(&mut self, map: &'t Map, path: &mut Vec<&'t str>) {
        for (key, value) in map {
            path.push(key);
            match value {
                Value::Map(inner) if !inner.is_empty() => self.walk(inner, path),
                value => self.leaf(value, path),
            }
            path.pop();
        }
    }

    fn leaf(&mut self, value: &Value, path: &[&'t str]) {
        let stack = self.stack;
        for above in &self.above {
            let path_in_file = [above.as_slice(), path].concat();
            let own = std::iter::once((stack.file(), stack.own()));
            let imported = stack.imported().iter().map(|(name, content)| (&**name, &**content));
            let is_here = |(_, content): &(&str, &Map)| at(content, &path_in_file) == Some(value);
            let Some((manifest, _)) = own.chain(imported).find(is_here) else { continue };
            let reader = self.reader;
            let file =
                self.files.entry(manifest.to_owned()).or_insert_with(|| places::text_of(reader, manifest));
            if let Some((file, text)) = file {
                self.found.push(Provenance {
                    path: path.iter().map(|key| (*key).to_owned()).collect(),
                    file: file.clone(),
                    line: places::exact_in_text(text, &path_in_file),
                });
            }
            return;
        }
    }
}

fn at<'m>(content: &'m Map, path: &[&str]) -> Option<&'m Value> {
    let (last, above) = path.split_last()?;
    above.iter().try_fold(content, |map, key| map.get(*key)?.as_map())?.get(*last)
}
