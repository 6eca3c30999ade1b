//! The bases of a component: the top-level `component:` chain first, then
//! `metadata.inherits` in order, recursively.

use super::error::StackError;
use super::limits::{BASES, INHERITANCE_DEPTH, limit};
use super::sections::section;
use super::value::{Map, Value};

/// The inherited layers of a component.
#[derive(Debug, Default)]
pub(super) struct Bases<'s> {
    /// In merge order; later ones win. A base that is reached twice is listed twice.
    pub(super) layers: Vec<(&'s str, &'s Map)>,
    /// Each base once, the nearest first: the `inheritance` that `describe component` shows.
    pub(super) chain: Vec<&'s str>,
    /// The end of the top-level `component:` chain, as far as it leads through components: the
    /// folder of the component's code. A base that the stack does not define names no folder.
    pub(super) folder: Option<&'s str>,
}

/// The bases of a component among those of its kind.
pub(super) fn bases<'s>(
    components: &'s Map,
    component: &'s str,
    content: &'s Map,
    file: &str,
) -> Result<Bases<'s>, StackError> {
    let mut walk = Walk { components, file, active: Vec::new(), bases: Bases::default() };
    if let Some(base) = top_level_base(content, component, file)? {
        walk.visit(component, base)?;
        walk.bases.folder = walk.end_of_chain(base)?;
    }
    for base in inherits(content, component, file)? {
        walk.require(component, base)?;
        walk.visit(component, base)?;
    }
    Ok(walk.bases)
}

struct Walk<'s, 'f> {
    components: &'s Map,
    file: &'f str,
    /// The steps that are being walked, each from a component to its base.
    active: Vec<(&'s str, &'s str)>,
    bases: Bases<'s>,
}

impl<'s> Walk<'s, '_> {
    fn require(&self, component: &str, base: &str) -> Result<(), StackError> {
        if self.components.contains_key(base) {
            return Ok(());
        }
        Err(StackError::UnknownBase {
            file: self.file.to_owned(),
            component: component.to_owned(),
            base: base.to_owned(),
        })
    }

    /// The last component of the top-level `component:` chain, which is known to have no cycle.
    fn end_of_chain(&self, base: &'s str) -> Result<Option<&'s str>, StackError> {
        let mut end = None;
        let mut next = Some(base);
        while let Some(base) = next
            && Some(base) != end
            && let Some(content) = self.components.get(base)
        {
            end = Some(base);
            next = match content.as_map() {
                Some(content) if !is_abstract(content) => top_level_base(content, base, self.file)?,
                _ => None,
            };
        }
        Ok(end)
    }

    /// Refuses a component that exceeds the limits of inheritance.
    fn check(&self, component: &str) -> Result<(), StackError> {
        let change = "inherit from fewer components, or put what they share into one";
        if self.active.len() >= INHERITANCE_DEPTH {
            let what = format!("{component} inherits through more than {INHERITANCE_DEPTH} components");
            return Err(limit(self.file, what, change));
        }
        if self.bases.layers.len() >= BASES {
            return Err(limit(
                self.file,
                format!("{component} inherits from more than {BASES} components"),
                change,
            ));
        }
        Ok(())
    }

    fn visit(&mut self, component: &'s str, base: &'s str) -> Result<(), StackError> {
        if component == base {
            return Ok(());
        }
        let step = (component, base);
        if self.active.contains(&step) {
            let mut chain: Vec<String> = self.active.iter().map(|(_, base)| (*base).to_owned()).collect();
            chain.insert(0, self.active.first().map_or(component, |(first, _)| first).to_owned());
            chain.push(base.to_owned());
            return Err(StackError::InheritanceCycle { file: self.file.to_owned(), chain });
        }
        self.check(component)?;
        // A base that is not a component has nothing to inherit.
        let Some((name, content)) = self.components.get_key_value(base) else { return Ok(()) };
        let Some(content) = component_content(content, name, self.file)? else { return Ok(()) };
        self.active.push(step);
        if !is_abstract(content)
            && let Some(next) = top_level_base(content, base, self.file)?
        {
            self.visit(base, next)?;
        }
        for next in inherits(content, base, self.file)? {
            self.require(base, next)?;
            self.visit(component, next)?;
        }
        self.active.pop();
        self.bases.layers.push((name, content));
        self.bases.chain.retain(|known| *known != base);
        self.bases.chain.insert(0, name);
        Ok(())
    }
}

/// A component's own content; `None` where it is only named.
pub(super) fn component_content<'m>(
    value: &'m Value,
    name: &str,
    file: &str,
) -> Result<Option<&'m Map>, StackError> {
    match value {
        Value::Map(content) => Ok(Some(content)),
        Value::Null => Ok(None),
        Value::Call(call) => Err(StackError::Unsupported {
            what: format!("a function or template cannot make up the component {name}"),
            at: call.at.clone(),
        }),
        other => Err(StackError::Section {
            file: file.to_owned(),
            section: name.to_owned(),
            expected: "a map",
            found: other.kind(),
        }),
    }
}

/// Whether a component serves only as a base.
pub(super) fn is_abstract(content: &Map) -> bool {
    let metadata = content.get("metadata").and_then(Value::as_map);
    metadata.and_then(|metadata| metadata.get("type")).and_then(Value::as_str) == Some("abstract")
}

fn top_level_base<'m>(content: &'m Map, component: &str, file: &str) -> Result<Option<&'m str>, StackError> {
    match content.get("component") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(base)) if base.is_empty() => Ok(None),
        Some(Value::String(base)) => Ok(Some(base)),
        Some(other) => Err(not_a_text(other, format!("{component}.component"), file)),
    }
}

fn inherits<'m>(content: &'m Map, component: &str, file: &str) -> Result<Vec<&'m str>, StackError> {
    let Some(metadata) = section(content, "metadata", file)? else { return Ok(Vec::new()) };
    let name = || format!("{component}.metadata.inherits");
    let items = match metadata.get("inherits") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::List(items)) => items.as_slice(),
        // An `!append` without an earlier list is just its own list.
        Some(Value::Call(call)) if call.argument.as_list().is_some() => {
            call.argument.as_list().unwrap_or_default()
        }
        Some(other) => {
            return Err(StackError::Section {
                file: file.to_owned(),
                section: name(),
                expected: "a list",
                found: other.kind(),
            });
        }
    };
    items.iter().map(|item| item.as_str().ok_or_else(|| not_a_text(item, name(), file))).collect()
}

fn not_a_text(value: &Value, section: String, file: &str) -> StackError {
    match value {
        Value::Call(call) => StackError::Unsupported {
            what: format!("a function or template cannot be used in `{section}`"),
            at: call.at.clone(),
        },
        other => {
            StackError::Section { file: file.to_owned(), section, expected: "a text", found: other.kind() }
        }
    }
}
