//! Source positions of a component's keys, searched in the text of the manifests only when a
//! message needs them.

use std::sync::Arc;

use granit_parser::{Event, Parser, Span, StrInput};

use super::paths;
use super::stack::{Stack, StackReader};
use super::value::{Location, Map, Value};

/// The position of a key, by its path in the component (`settings.validation`): in the component
/// itself, in one of its bases, in its kind, or in the whole stack.
///
/// `chain` is the component and its bases.
pub(super) fn place_of(
    reader: &StackReader<'_>,
    stack: &Stack,
    kind: &str,
    chain: &[&str],
    key: &str,
) -> Option<Location> {
    let key: Vec<&str> = key.split('.').collect();
    let of_components = chain.iter().map(|component| vec!["components", kind, component]);
    let overrides = chain.iter().map(|component| vec!["components", kind, component, "overrides"]);
    let wider = [vec!["overrides"], vec![kind, "overrides"], vec![kind], Vec::new()];
    for above in of_components.chain(overrides).chain(wider) {
        let path = [above, key.clone()].concat();
        let own = std::iter::once((stack.file(), stack.own()));
        let imported = stack.imported().iter().map(|(name, content)| (&**name, &**content));
        for (manifest, content) in own.chain(imported) {
            if is_something(content, &path)
                && let Some(place) = in_manifest(reader, manifest, &path)
            {
                return Some(place);
            }
        }
    }
    None
}

fn is_something(content: &Map, path: &[&str]) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    let holder = above.iter().try_fold(content, |map, key| map.get(*key)?.as_map());
    match holder.and_then(|map| map.get(*last)) {
        None | Some(Value::Null) => false,
        Some(Value::Map(map)) => !map.is_empty(),
        Some(Value::List(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

fn in_manifest(reader: &StackReader<'_>, manifest: &str, path: &[&str]) -> Option<Location> {
    let (file, text) = text_of(reader, manifest)?;
    Some(in_text(&text, &Arc::from(file.as_str()), path))
}

/// The path and text of a manifest.
pub(super) fn text_of(reader: &StackReader<'_>, manifest: &str) -> Option<(String, Arc<str>)> {
    let below_base = paths::join(&reader.settings().base_path, manifest)?;
    // Manifests outside of the stacks folder are named relative to the root.
    let candidates = [below_base.as_str(), manifest].into_iter().flat_map(paths::candidates);
    candidates.into_iter().find_map(|file| {
        let text = reader.files().read(&file).ok()??;
        Some((file, Arc::from(&*text)))
    })
}

/// The line and column, counted from 1, of the key at a path, if all its keys are written out.
pub(super) fn exact_in_text(text: &str, path: &[&str]) -> Option<(usize, usize)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut search = Search { events: Parser::new_from_str(text), found: None, depth: 0 };
    let _ = search.document(path);
    let span = search.found.filter(|_| search.depth == path.len())?;
    Some((span.start.line(), span.start.col() + 1))
}

/// The position of the deepest key of a path that is written out; the text's beginning if none is.
fn in_text(text: &str, file: &Arc<str>, path: &[&str]) -> Location {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut search = Search { events: Parser::new_from_str(text), found: None, depth: 0 };
    // A text that is not valid YAML before its templates are evaluated is searched up to the error.
    let _ = search.document(path);
    let (line, column) = search.found.map_or((1, 1), |span| (span.start.line(), span.start.col() + 1));
    Location { file: Arc::clone(file), line, column }
}

struct Search<'t> {
    events: Parser<'t, StrInput<'t>>,
    found: Option<Span>,
    /// The number of keys of the path that were found.
    depth: usize,
}

impl<'t> Search<'t> {
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        loop {
            match self.events.next_event()?.ok()? {
                (Event::Comment(..), _) => {}
                event => return Some(event),
            }
        }
    }

    fn document(&mut self, path: &[&str]) -> Option<()> {
        loop {
            match self.next()?.0 {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::MappingStart(..) => return self.mapping(path),
                _ => return None,
            }
        }
    }

    /// Searches the first key of the path, and the others in its value.
    fn mapping(&mut self, path: &[&str]) -> Option<()> {
        let (wanted, rest) = path.split_first()?;
        loop {
            let (key, span) = self.next()?;
            let is_wanted = match key {
                Event::MappingEnd => return None,
                Event::Scalar(text, ..) => text == *wanted,
                other => {
                    self.skip(&other)?;
                    false
                }
            };
            let (value, _) = self.next()?;
            if is_wanted {
                self.found = Some(span);
                self.depth += 1;
                return match value {
                    Event::MappingStart(..) if !rest.is_empty() => self.mapping(rest),
                    _ => Some(()),
                };
            }
            self.skip(&value)?;
        }
    }

    /// Skips to the end of a value whose first event this is.
    fn skip(&mut self, begun: &Event<'_>) -> Option<()> {
        let mut depth = usize::from(matches!(begun, Event::MappingStart(..) | Event::SequenceStart(..)));
        while depth > 0 {
            match self.next()?.0 {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_key_that_is_written_out_is_the_place() {
        let place =
            |text: &str, path: &[&str]| in_text(text, &Arc::from("stacks/dev.yaml"), path).to_string();
        let text = "vars: {hooks: [1, {a: b}]}\nterraform:\n  hooks: &h\n    a: {b: c}\n  settings: *h\n";
        assert_eq!(place(text, &["terraform", "hooks"]), "stacks/dev.yaml:3:3");
        assert_eq!(place(text, &["terraform", "hooks", "a"]), "stacks/dev.yaml:4:5");
        assert_eq!(place(text, &["terraform", "settings", "a"]), "stacks/dev.yaml:5:3");
        assert_eq!(place(text, &["nope"]), "stacks/dev.yaml:1:1");
        assert_eq!(place("a: {{ .b }}\n", &["a"]), "stacks/dev.yaml:1:1");
    }
}
