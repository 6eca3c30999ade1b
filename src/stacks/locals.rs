//! `locals`: named values that are private to a file.

use std::sync::Arc;

use super::error::StackError;
use super::template::{self, Known};
use super::value::{Call, Location, Map, Value};

/// The kinds whose sections can have locals of their own.
const KINDS: [&str; 3] = ["terraform", "helmfile", "packer"];

/// The sections of a file that its locals see.
const VISIBLE: [&str; 3] = ["settings", "vars", "env"];

/// Resolves the locals of a file, those of its kinds' sections over its own; `None` without any
/// `locals`.
///
/// They may refer to each other in any order, and to the `settings`, `vars` and `env` of the same
/// file. Functions and their dependents are deferred to the component.
pub(super) fn resolve(sections: &Map, context: &Map, file: &str) -> Result<Option<Map>, StackError> {
    let own = own_locals(sections, "locals", file)?;
    let mut data = context.clone();
    for name in VISIBLE {
        if let Some(values) = sections.get(name) {
            data.insert(Arc::from(name), values.clone());
        }
    }
    let global = match own {
        Some(own) => resolve_scope(own, &Map::new(), &data, file)?,
        None => Map::new(),
    };
    let mut has_any = own.is_some();
    let mut all = global.clone();
    for kind in KINDS {
        let Some(section) = sections.get(kind).and_then(Value::as_map) else { continue };
        let Some(own) = own_locals(section, &format!("{kind}.locals"), file)? else { continue };
        has_any = true;
        let mut data = data.clone();
        for name in VISIBLE {
            if let Some(Value::Map(values)) = section.get(name) {
                let mut joined = data.get(name).and_then(Value::as_map).cloned().unwrap_or_default();
                joined.extend(values.iter().map(|(name, value)| (Arc::clone(name), value.clone())));
                data.insert(Arc::from(name), Value::map(joined));
            }
        }
        all.extend(resolve_scope(own, &global, &data, file)?);
    }
    Ok(has_any.then_some(all))
}

fn own_locals<'m>(section: &'m Map, name: &str, file: &str) -> Result<Option<&'m Map>, StackError> {
    match section.get("locals") {
        None => Ok(None),
        Some(Value::Map(locals)) => Ok(Some(locals)),
        Some(other) => Err(StackError::Section {
            file: file.to_owned(),
            section: name.to_owned(),
            expected: "a map",
            found: other.kind(),
        }),
    }
}

/// Resolves the references of one scope's locals to each other and to the enclosing scope.
fn resolve_scope(own: &Map, around: &Map, data: &Map, file: &str) -> Result<Map, StackError> {
    refuse_circles(own, file)?;
    let mut data = data.clone();
    let mut locals = own.clone();
    // Each pass resolves the locals that refer only to resolved ones.
    for _ in 0..=own.len() {
        data.insert(Arc::from("locals"), Value::map(with_locals(around, &locals)));
        let known = Known { data: &data, kept: None, is_all: false, keeps_what_waits: false };
        let mut waits = false;
        let next = locals
            .iter()
            .map(|(name, value)| (Arc::clone(name), template::fill_in(value, &known, &mut waits)))
            .collect();
        let is_settled = next == locals;
        locals = next;
        if is_settled || !waits {
            break;
        }
    }
    let known = Known { data: &data, kept: None, is_all: false, keeps_what_waits: false };
    for (name, value) in &locals {
        if let Some(call) = template::what_is_missing(value, &known) {
            let written = call.argument.as_str().unwrap_or_default();
            let what = format!(
                "the local `{name}` is `{written}`, which needs what the file does not have: locals see the locals, \
                 `settings`, `vars` and `env` of their own file only"
            );
            return Err(StackError::Unsupported { what, at: call.at.clone() });
        }
    }
    // A deferred value takes the locals along as its context, wherever it is merged.
    let kept = Arc::new(Map::from([(Arc::from("locals"), Value::map(with_locals(around, &locals)))]));
    let known = Known { kept: Some(kept), ..known };
    let settle = |value: &Value| template::fill_in(value, &known, &mut false);
    Ok(locals.iter().map(|(name, value)| (Arc::clone(name), settle(value))).collect())
}

/// The locals of a scope over those around it.
fn with_locals(around: &Map, locals: &Map) -> Map {
    let mut all = around.clone();
    all.extend(locals.iter().map(|(name, value)| (Arc::clone(name), value.clone())));
    all
}

/// Removes locals that depend on no remaining one until none is left; otherwise there is a cycle.
fn refuse_circles(locals: &Map, file: &str) -> Result<(), StackError> {
    let mut left: Vec<(&str, Vec<(String, &Location)>)> = Vec::new();
    for (name, value) in locals {
        let mut references = Vec::new();
        collect_references(value, &mut references);
        left.push((name, references));
    }
    loop {
        let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
        left.retain(|(_, references)| references.iter().any(|(name, _)| names.contains(&name.as_str())));
        match left.first() {
            None => return Ok(()),
            Some((first, references)) if left.len() == names.len() => {
                let whole_file = || Location { file: Arc::from(file), line: 1, column: 1 };
                let at = references.first().map_or_else(whole_file, |(_, at)| (*at).clone());
                let chain = circle(first, &left).join(" → ");
                let message = format!("the locals refer to each other in a circle: {chain}");
                return Err(StackError::Yaml { at, message });
            }
            Some(_) => {}
        }
    }
}

/// A cycle reachable from a local; each remaining local depends on another remaining one.
fn circle<'v>(first: &'v str, left: &'v [(&'v str, Vec<(String, &'v Location)>)]) -> Vec<&'v str> {
    let mut chain = vec![first];
    loop {
        let current = chain.last().copied().unwrap_or(first);
        let references = left.iter().find(|(name, _)| *name == current).map(|(_, references)| references);
        let next = references
            .into_iter()
            .flatten()
            .find_map(|(name, _)| left.iter().find(|(known, _)| known == name).map(|(known, _)| *known));
        let Some(next) = next else { return chain };
        if let Some(start) = chain.iter().position(|name| *name == next) {
            chain.drain(..start);
            chain.push(next);
            return chain;
        }
        chain.push(next);
    }
}

fn collect_references<'v>(value: &'v Value, references: &mut Vec<(String, &'v Location)>) {
    match value {
        Value::Call(call) => collect_from_call(call, references),
        Value::List(items) => items.iter().for_each(|item| collect_references(item, references)),
        Value::Map(map) => map.values().for_each(|value| collect_references(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn collect_from_call<'v>(call: &'v Call, references: &mut Vec<(String, &'v Location)>) {
    match &call.argument {
        Value::String(text) => {
            references.extend(template::names_below(text, "locals").into_iter().map(|name| (name, &call.at)));
        }
        argument => collect_references(argument, references),
    }
}
