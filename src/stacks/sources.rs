//! The sources of a component's values: `sources`, `deps` and `deps_all` of `describe component`.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::stack::Stack;
use super::value::{Map, Value};

/// The manifests that set each value of a component, in order of precedence.
pub(super) struct Sources {
    /// `sources`: section → name → `{name, final_value, stack_dependencies}`.
    pub(super) by_section: Json,
    /// `deps`: the manifests whose value takes effect, sorted.
    pub(super) deps: Vec<String>,
    /// `deps_all`: the manifests that set a value at all, and the stack's own, sorted.
    pub(super) deps_all: Vec<String>,
}

/// Traces the sections of an assembled component back to the stack's manifests.
pub(super) fn trace(stack: &Stack, kind: &str, component: &str, sections: &Map) -> Sources {
    let text_of = |name: &str| sections.get(name).and_then(Value::as_str).unwrap_or_default();
    let bases = sections.get("inheritance").and_then(Value::as_list).unwrap_or_default();
    let components: Vec<&str> =
        std::iter::once(component).chain(bases.iter().filter_map(Value::as_str)).collect();
    let backend_type = text_of("backend_type");
    let mut traced = serde_json::Map::new();
    let mut deps = BTreeSet::new();
    let mut deps_all = BTreeSet::from([stack.file().to_owned()]);
    for section in ["vars", "env", "settings", "backend"] {
        let path: &[&str] = if section == "backend" { &["backend", backend_type] } else { &[section] };
        let mut values = serde_json::Map::new();
        for (name, value) in sections.get(section).and_then(Value::as_map).into_iter().flatten() {
            let places = places(stack, kind, &components, path, name);
            deps.extend(places.first().map(|place| place.file.clone()));
            deps_all.extend(places.iter().map(|place| place.file.clone()));
            let places: Vec<Json> = places.iter().map(Place::to_json).collect();
            let value =
                json!({"name": &**name, "final_value": value.to_json(), "stack_dependencies": places});
            values.insert(name.to_string(), value);
        }
        traced.insert(section.to_owned(), Json::Object(values));
    }
    Sources {
        by_section: Json::Object(traced),
        deps: deps.into_iter().collect(),
        deps_all: deps_all.into_iter().collect(),
    }
}

/// A manifest that sets a value.
#[derive(PartialEq)]
struct Place {
    file: String,
    section: String,
    /// `inline` in the stack's own manifest, `import` in an imported one.
    how: &'static str,
    value: Value,
}

impl Place {
    fn to_json(&self) -> Json {
        json!({
            "stack_file": self.file,
            "stack_file_section": self.section,
            "dependency_type": self.how,
            "variable_value": self.value.to_json(),
        })
    }
}

fn places(stack: &Stack, kind: &str, components: &[&str], path: &[&str], name: &str) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut look = |content: &Map, file: &str, how, above: &[&str], shown: &str| {
        if let Some(value) = at(content, &[above, path].concat()).and_then(|section| section.get(name)) {
            let section = format!("{shown}{}", path.join("."));
            let place = Place { file: file.to_owned(), section, how, value: value.clone() };
            if !places.contains(&place) {
                places.push(place);
            }
        }
    };
    let in_component = format!("components.{kind}.");
    let in_kind = format!("{kind}.");
    for component in components {
        let above = ["components", kind, component];
        look(stack.own(), stack.file(), "inline", &above, &in_component);
        for (file, content) in stack.imported() {
            look(content, file, "import", &above, &in_component);
        }
    }
    look(stack.own(), stack.file(), "inline", &[kind], &in_kind);
    look(stack.own(), stack.file(), "inline", &[], "");
    for (file, content) in stack.imported() {
        look(content, file, "import", &[kind], &in_kind);
    }
    for (file, content) in stack.imported() {
        look(content, file, "import", &[], "");
    }
    places
}

fn at<'m>(content: &'m Map, path: &[&str]) -> Option<&'m Map> {
    path.iter().try_fold(content, |map, key| map.get(*key)?.as_map())
}
