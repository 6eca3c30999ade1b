//! The keys of a component that affect where and how Atmos applies it, but that a rollout does not
//! support.
//!
//! Terraform's `backend`, `providers`, `required_version` and `required_providers` become files
//! (`generate.rs`), `vars`, `env`, `command` and `metadata` affect how it is run. All other keys
//! with an effect are in [`RULES`].

use serde_json::Value as Json;

use super::component::TERRAFORM;
use super::describe::{Describer, StackComponent};
use super::places;
use super::stack::Stack;
use super::value::Location;

/// A key that requests an unsupported effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unapplied {
    /// The path in the component, such as `settings.validation`.
    pub key: &'static str,
    /// The position in the manifest, if it can be found.
    pub at: Option<Location>,
    /// The effect of the key in Atmos.
    pub meaning: &'static str,
    pub hint: &'static str,
}

struct Rule {
    key: &'static str,
    /// Whether a value of the key has an effect.
    asks: fn(&Json) -> bool,
    meaning: &'static str,
    hint: &'static str,
}

/// The hint for components with identities.
pub const AUTH_HINT: &str = "Give the rollout its credentials by the environment, and say so in atmos.yaml: \
                             deployments: {auth: ambient}";

/// Without a type, no setting decides where state is stored: it cannot be ignored.
pub const BACKEND_TYPE: &str = "backend_type";

const RULES: [Rule; 8] = [
    Rule { key: "auth", asks: is_something, meaning: "Atmos takes on an identity for it", hint: AUTH_HINT },
    Rule {
        key: "settings.validation",
        asks: has_enabled_entry,
        meaning: "Atmos validates the component first",
        hint: "Validate it before the rollout, and say so in atmos.yaml: deployments: {ignore: [settings.validation]}",
    },
    Rule {
        key: "hooks",
        asks: has_enabled_entry,
        meaning: "Atmos runs them before and after the component",
        hint: "Make them components of the deployment, or say in atmos.yaml that a rollout leaves them out: \
               deployments: {ignore: [hooks]}",
    },
    Rule {
        key: "source",
        asks: has_uri,
        meaning: "Atmos fetches the component's code from there",
        hint: "Vendor the code and commit it, and say so in atmos.yaml: deployments: {ignore: [source]}",
    },
    Rule {
        key: "provision",
        asks: has_enabled_entry,
        meaning: "Atmos makes what it names before the component runs",
        hint: "Make it before the first rollout, and say so in atmos.yaml: deployments: {ignore: [provision]}",
    },
    Rule {
        key: "generate",
        asks: is_something,
        meaning: "Atmos writes these files for the component",
        hint: "Generate the files and commit them (atmos terraform generate files), and say so in atmos.yaml: \
               deployments: {ignore: [generate]}",
    },
    Rule {
        key: "secrets",
        asks: is_something,
        meaning: "Atmos fetches them for the component",
        hint: "Give the rollout its secrets by the environment, and say so in atmos.yaml: \
               deployments: {ignore: [secrets]}",
    },
    Rule {
        key: "dependencies.tools",
        asks: is_something,
        meaning: "Atmos installs these versions of its tools",
        hint: "Install them where the rollout runs, and say so in atmos.yaml: \
               deployments: {ignore: [dependencies.tools]}",
    },
];

impl Describer<'_> {
    /// The unsupported keys of a stack's component, in the order of the table.
    pub fn unapplied(&self, stack: &Stack, component: &StackComponent) -> Vec<Unapplied> {
        let asking = RULES.iter().filter(|rule| value(component, rule.key).is_some_and(rule.asks));
        let mut found: Vec<Unapplied> = asking
            .map(|Rule { key, meaning, hint, .. }| Unapplied {
                key,
                at: self.place_of(stack, component, key),
                meaning,
                hint,
            })
            .collect();
        let has_no_type = value(component, BACKEND_TYPE).and_then(Json::as_str).is_none_or(str::is_empty);
        if component.kind == TERRAFORM
            && has_no_type
            && let Some(at) = self.place_of(stack, component, "backend")
        {
            found.push(Unapplied {
                key: BACKEND_TYPE,
                at: Some(at),
                meaning: "a `backend` without a type is none, and its state would land on this machine",
                hint: "Write beside it which one it is, such as backend_type: s3",
            });
        }
        found
    }

    /// The components that must precede this one, with the key that says so and its position.
    /// Components of other stacks are left out.
    pub fn needs(
        &self,
        stack: &Stack,
        component: &StackComponent,
    ) -> Vec<(&'static str, Option<Location>, String)> {
        let keys = ["settings.depends_on", "dependencies.components"];
        let mut needs = Vec::new();
        for key in keys {
            for need in entries(value(component, key)) {
                let name = need.as_str().or_else(|| need.get("component")?.as_str());
                let Some(name) = name.filter(|_| is_of_this_stack(need, component)) else { continue };
                needs.push((key, self.place_of(stack, component, key), name.to_owned()));
            }
        }
        needs
    }

    fn place_of(&self, stack: &Stack, component: &StackComponent, key: &str) -> Option<Location> {
        let bases = component.sections.get("inheritance").and_then(Json::as_array);
        let bases = bases.into_iter().flatten().filter_map(Json::as_str);
        let chain: Vec<&str> = std::iter::once(component.name.as_str()).chain(bases).collect();
        places::place_of(self.reader, stack, &component.kind, &chain, key)
    }
}

/// The value at a path of keys; `None` where it is null.
fn value<'c>(component: &'c StackComponent, key: &str) -> Option<&'c Json> {
    let (section, rest) = key.split_once('.').map_or((key, None), |(section, rest)| (section, Some(rest)));
    let section = component.sections.get(section)?;
    rest.map_or(Some(section), |rest| section.get(rest)).filter(|value| !value.is_null())
}

fn is_something(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Object(entries) => !entries.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::String(text) => !text.is_empty(),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

/// Whether one of the entries is not disabled. The folder of `provision.workdir` does not count,
/// since every component has one.
fn has_enabled_entry(value: &Json) -> bool {
    let flag = |entry: &Json, name: &str| entry.get(name).and_then(Json::as_bool);
    let is_off = |entry: &Json| {
        !is_something(entry) || flag(entry, "disabled") == Some(true) || flag(entry, "enabled") == Some(false)
    };
    match value {
        Json::Object(entries) => entries.iter().any(|(name, entry)| name != "workdir" && !is_off(entry)),
        other => is_something(other),
    }
}

fn has_uri(value: &Json) -> bool {
    value.get("uri").is_some_and(is_something)
}

/// The values of a list, or of a map whose keys only number them.
fn entries(value: Option<&Json>) -> Vec<&Json> {
    match value {
        Some(Json::Array(items)) => items.iter().collect(),
        Some(Json::Object(entries)) => entries.values().collect(),
        _ => Vec::new(),
    }
}

/// Whether a dependency is of the component's own stack: it names no other, by name or by its
/// variables.
fn is_of_this_stack(need: &Json, component: &StackComponent) -> bool {
    let named = need.get("stack").and_then(Json::as_str);
    let variables = ["namespace", "tenant", "environment", "stage"];
    named.is_none_or(|stack| stack == component.stack)
        && variables.iter().all(|name| {
            let own = component.sections.get("vars").and_then(|vars| vars.get(name));
            need.get(name).is_none_or(|wanted| Some(wanted) == own)
        })
}
