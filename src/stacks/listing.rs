//! Listings of many components: the output of `describe stacks`, and the components made of a
//! folder.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::describe::{Describer, Extent, StackComponent};
use super::error::StackError;
use super::failures::{self, Failure};
use super::stack::{Stack, Stacks, in_parallel};
use super::value::Value;

/// The filter of `describe stacks`; an empty list matches everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Stack names, or stack files.
    pub stacks: Vec<String>,
    /// Components, by their own name or that of their base component.
    pub components: Vec<String>,
    pub kinds: Vec<String>,
    /// The keys that are shown of each component.
    pub sections: Vec<String>,
    /// Whether stacks without anything else to show are listed.
    pub empty_stacks: bool,
}

/// The result of `describe stacks`.
#[derive(Debug)]
pub struct Listing {
    /// stack → `components` → kind → component → keys.
    pub stacks: serde_json::Map<String, Json>,
    /// Components that several manifests of one stack define differently; the first manifest's
    /// definition is shown.
    pub conflicts: Vec<StackError>,
    /// Values that could not be evaluated, where that is tolerated.
    pub failures: Vec<Unshown>,
}

/// A failure of a component or a stack.
#[derive(Debug, PartialEq, Eq)]
pub struct Unshown {
    /// The path in the listing: the stack, `components`, the kind and the component; only the file
    /// where the stack could not be read.
    pub place: Vec<String>,
    pub failure: Failure,
}

impl Unshown {
    fn of_component(stack: &str, kind: &str, component: &str, failure: Failure) -> Self {
        let place = [stack, "components", kind, component].map(ToOwned::to_owned).to_vec();
        Self { place, failure }
    }
}

/// The parts of a stack that are listed.
struct Shown {
    components: Vec<StackComponent>,
    failures: Vec<Unshown>,
}

impl Describer<'_> {
    /// The stacks by name, as `describe stacks` shows them.
    pub fn stacks(&self, stacks: &Stacks, filter: &Filter) -> Result<Listing, StackError> {
        let candidates: Vec<&Stack> = stacks.iter().collect();
        let mut described: BTreeMap<String, BTreeMap<String, serde_json::Map<String, Json>>> =
            BTreeMap::new();
        let mut owners: BTreeMap<(String, String, String), String> = BTreeMap::new();
        let mut conflicts = Vec::new();
        let mut failures = Vec::new();
        if filter.empty_stacks {
            let names = candidates.iter().filter_map(|stack| self.early_name(stack));
            described.extend(
                names.filter(|name| is_wanted(&filter.stacks, name)).map(|name| (name, BTreeMap::new())),
            );
        }
        for shown in in_parallel(&candidates, |stack| self.components(stack, filter)) {
            let shown = shown?;
            // A component whose stack's name is unknown is listed under the stack's file.
            for Unshown { place, failure } in &shown.failures {
                if let [file, _, kind, name] = place.as_slice() {
                    let of_kind = described.entry(file.clone()).or_default().entry(kind.clone()).or_default();
                    of_kind.insert(name.clone(), json!({ failures::KEY: [failure.to_json()] }));
                }
            }
            failures.extend(shown.failures);
            for component in shown.components {
                let StackComponent { kind, name, stack, stack_file, sections, failures: of_it, .. } =
                    component;
                failures.extend(
                    of_it.into_iter().map(|failure| Unshown::of_component(&stack, &kind, &name, failure)),
                );
                let of_kind = described.entry(stack.clone()).or_default().entry(kind.clone()).or_default();
                let identity = (stack, kind, name);
                match (of_kind.get(&identity.2), owners.get(&identity)) {
                    (Some(Json::Object(earlier)), Some(owner)) if !same_component(earlier, &sections) => {
                        let (stack, _, component) = identity;
                        let files = vec![owner.clone(), stack_file];
                        conflicts.push(StackError::DuplicateStack { stack, component, files });
                    }
                    (Some(_), _) => {}
                    (None, _) => {
                        of_kind.insert(identity.2.clone(), Json::Object(sections));
                        owners.insert(identity, stack_file);
                    }
                }
            }
        }
        // A stack that could not be read is an error if everything is selected, or if the selection
        // matches nothing else.
        if filter.stacks.is_empty() || described.is_empty() {
            match stacks.first_refusal() {
                Some(refusal) if !self.tolerates() => return Err(refusal),
                _ => failures.extend(stacks.refused().iter().map(unread)),
            }
        }
        let shows_something = |kinds: &BTreeMap<String, serde_json::Map<String, Json>>| {
            kinds.values().flat_map(serde_json::Map::values).any(|keys| *keys != json!({}))
        };
        let mut stacks: serde_json::Map<String, Json> = described
            .into_iter()
            .filter(|(_, kinds)| filter.empty_stacks || shows_something(kinds))
            .map(|(stack, kinds)| (stack, json!({ "components": kinds })))
            .collect();
        for Unshown { place, failure } in &failures {
            if let [file] = place.as_slice() {
                let stack = stacks.entry(file.as_str()).or_insert_with(|| json!({ "components": {} }));
                stack[failures::KEY] = [failure.to_json()].into_iter().collect();
            }
        }
        Ok(Listing { stacks, conflicts, failures })
    }

    /// The name of a stack, if it can be determined without any of its components.
    fn early_name(&self, stack: &Stack) -> Option<String> {
        let settings = self.reader.settings();
        let is_named_by_components = settings.name_template.is_some() || settings.name_pattern.is_some();
        match stack.manifest_name() {
            Some(name) => Some(name.to_owned()),
            None => (!is_named_by_components).then(|| stack.file().to_owned()),
        }
    }

    fn components(&self, stack: &Stack, filter: &Filter) -> Result<Shown, StackError> {
        let mut shown = Shown { components: Vec::new(), failures: Vec::new() };
        for (kind, names) in stack.component_names()? {
            if !is_wanted(&filter.kinds, kind) {
                continue;
            }
            for name in names {
                let is_named = is_wanted(&filter.components, name);
                let draft = match self.draft(stack, Some(kind), name) {
                    Err(_) if !is_named => continue,
                    // A filter by stack excludes a stack whose name cannot be determined.
                    Err(StackError::Name { .. } | StackError::Unsupported { .. })
                        if !is_wanted(&filter.stacks, stack.file()) =>
                    {
                        continue;
                    }
                    Err(error) if self.tolerates() => {
                        let failure = Failure::new(Vec::new(), &error);
                        shown.failures.push(Unshown::of_component(stack.file(), kind, name, failure));
                        continue;
                    }
                    draft => draft?,
                };
                if let Some(draft) = draft
                    && (is_named || is_wanted(&filter.components, folder(&draft.sections)))
                    && (is_wanted(&filter.stacks, &draft.stack) || is_wanted(&filter.stacks, stack.file()))
                {
                    shown.components.push(self.finish(stack, draft, Extent::Sections(&filter.sections))?);
                }
            }
        }
        Ok(shown)
    }

    /// The components of a stack that are made of a folder of a kind's components, sorted.
    pub fn made_of(
        &self,
        stacks: &Stacks,
        stack_name: &str,
        kind: &str,
        folder: &str,
    ) -> Result<Vec<String>, StackError> {
        let mut made = Vec::new();
        for stack in stacks {
            let names = stack.component_names()?.into_iter().filter(|(of, _)| *of == kind);
            for name in names.flat_map(|(_, names)| names) {
                // An error in another stack does not concern this folder.
                let Ok(Some(draft)) = self.draft(stack, Some(kind), name) else { continue };
                let is_made_of_it = name == folder || self::folder(&draft.sections) == folder;
                if draft.stack == stack_name && is_made_of_it {
                    made.push(name.to_owned());
                }
            }
        }
        made.sort_unstable();
        made.dedup();
        Ok(made)
    }
}

/// The failure of a stack that could not be read, under its file.
fn unread(error: &StackError) -> Unshown {
    let file = error.location().map_or_else(|| "stacks".to_owned(), |at| at.file.to_string());
    Unshown { place: vec![file], failure: Failure::new(Vec::new(), error) }
}

fn is_wanted(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|one| one == name)
}

/// The folder of a component's code.
fn folder(sections: &super::value::Map) -> &str {
    sections.get("component").and_then(Value::as_str).unwrap_or_default()
}

/// Whether two manifests define the same component, apart from the manifest's own name.
fn same_component(one: &serde_json::Map<String, Json>, other: &serde_json::Map<String, Json>) -> bool {
    let of_the_file = |key: &str| matches!(key, "atmos_stack_file" | "atmos_manifest");
    one.len() == other.len()
        && one
            .iter()
            .all(|(key, value)| of_the_file(key) || other.get(key).is_some_and(|other| other == value))
}
