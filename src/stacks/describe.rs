//! Components as they are deployed, and as `describe component` and `describe stacks` show them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::component::{self, TERRAFORM};
use super::error::StackError;
use super::evaluate::{Evaluator, Others, Processing};
use super::functions::Functions;
use super::inherit;
use super::name;
use super::sources;
use super::stack::{Stack, StackReader, Stacks, in_parallel};
use super::value::{Map, Value, map_to_json};

/// The kinds that a component is looked for in where none is named, in that order; then any other.
const KINDS: [&str; 3] = [TERRAFORM, "helmfile", "packer"];

/// A component of a stack, with everything computed.
#[derive(Debug, Clone, PartialEq)]
pub struct StackComponent {
    pub kind: String,
    pub name: String,
    /// The stack's one valid name.
    pub stack: String,
    /// The manifest that makes the stack, from the stacks directory without its extension.
    pub stack_file: String,
    /// The component that this one is made from, where it is not made from itself; else it is its own folder.
    pub base: Option<String>,
    /// The terraform workspace.
    pub workspace: Option<String>,
    /// `metadata.type: abstract`: only there to be inherited from.
    pub is_abstract: bool,
    /// `metadata.enabled`.
    pub is_enabled: bool,
    /// `metadata.locked`.
    pub is_locked: bool,
    /// The keys of `describe component`, by the reference implementation's names.
    pub sections: serde_json::Map<String, Json>,
}

/// Which components `describe stacks` shows; an empty list means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Stack names, or stack files.
    pub stacks: Vec<String>,
    pub components: Vec<String>,
    pub kinds: Vec<String>,
    /// The keys that are shown of each component.
    pub sections: Vec<String>,
}

/// Puts components together and computes them.
pub struct Describer<'a> {
    reader: &'a StackReader<'a>,
    functions: &'a dyn Functions,
    processing: Processing,
}

/// A component that is put together but not yet computed.
struct Draft {
    kind: String,
    name: String,
    stack: String,
    sections: Map,
}

impl Draft {
    /// Whether two manifests mean the same component, wherever its parts are written.
    fn says_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind && map_to_json(&self.sections) == map_to_json(&other.sections)
    }
}

impl<'a> Describer<'a> {
    /// Describes what `reader` reads.
    pub fn new(reader: &'a StackReader<'a>, functions: &'a dyn Functions, processing: Processing) -> Self {
        Self { reader, functions, processing }
    }

    /// A component of one stack, whatever the stack is called.
    pub fn component(
        &self,
        stack: &Stack,
        kind: Option<&str>,
        component: &str,
    ) -> Result<StackComponent, StackError> {
        if let Some(draft) = self.draft(stack, kind, component)? {
            return self.finish(stack, draft, true);
        }
        let name = stack.manifest_name().unwrap_or(stack.file());
        Err(unknown_component(name, component, std::iter::once(stack)))
    }

    /// The component of the stack of that name.
    ///
    /// Several manifests may make up one stack, as long as they agree about the components that they share.
    pub fn find(
        &self,
        stacks: &Stacks,
        stack_name: &str,
        kind: Option<&str>,
        component: &str,
    ) -> Result<StackComponent, StackError> {
        let mut found: Vec<(&Stack, Draft)> = Vec::new();
        let mut did_you_mean = None;
        let mut waiting = None;
        let candidates: Vec<&Stack> = stacks.iter().collect();
        let drafts = in_parallel(&candidates, |stack| self.draft(stack, kind, component));
        for (stack, draft) in candidates.iter().copied().zip(drafts) {
            match draft {
                Ok(Some(draft)) if draft.stack == stack_name => found.push((stack, draft)),
                Ok(Some(draft)) if stack.file() == stack_name => did_you_mean = Some(draft.stack),
                Ok(_) => {}
                // Another stack's trouble is none of this one's.
                Err(error) => drop(waiting.get_or_insert(error)),
            }
        }
        let mut found = found.into_iter();
        let Some((stack, draft)) = found.next() else {
            return Err(match (did_you_mean, waiting) {
                (None, Some(error)) => error,
                (did_you_mean, _) => self.not_found(stacks, stack_name, component, did_you_mean),
            });
        };
        // The first manifest that has it is shown as the one that it comes from.
        if let Some((other, _)) = found.find(|(_, other)| !other.says_the_same(&draft)) {
            return Err(StackError::DuplicateStack {
                stack: stack_name.to_owned(),
                component: component.to_owned(),
                files: vec![stack.file().to_owned(), other.file().to_owned()],
            });
        }
        self.finish(stack, draft, true)
    }

    /// The stacks by name, as `describe stacks` shows them: stack → `components` → kind → component → keys.
    pub fn stacks(
        &self,
        stacks: &Stacks,
        filter: &Filter,
    ) -> Result<serde_json::Map<String, Json>, StackError> {
        let candidates: Vec<&Stack> = stacks.iter().collect();
        let mut described: BTreeMap<String, BTreeMap<String, serde_json::Map<String, Json>>> =
            BTreeMap::new();
        let mut owners: BTreeMap<(String, String, String), String> = BTreeMap::new();
        for components in in_parallel(&candidates, |stack| self.components(stack, filter)) {
            for component in components? {
                let StackComponent { kind, name, stack, stack_file, sections, .. } = component;
                let of_kind = described.entry(stack.clone()).or_default().entry(kind.clone()).or_default();
                let identity = (stack, kind, name);
                if let Some(Json::Object(earlier)) = of_kind.get(&identity.2)
                    && !same_component(earlier, &sections)
                {
                    let (stack, _, component) = identity.clone();
                    let files = vec![owners.remove(&identity).unwrap_or_default(), stack_file];
                    return Err(StackError::DuplicateStack { stack, component, files });
                }
                of_kind.entry(identity.2.clone()).or_insert(Json::Object(sections));
                owners.entry(identity).or_insert(stack_file);
            }
        }
        // A stack that could not be read is needed when everything is, or when what is wanted is nowhere else.
        if (filter.stacks.is_empty() || described.is_empty())
            && let Some(refusal) = stacks.first_refusal()
        {
            return Err(refusal);
        }
        let mut shown = serde_json::Map::new();
        for (stack, kinds) in described {
            let mut of_stack = serde_json::Map::new();
            for (kind, mut components) in kinds {
                for component in components.values_mut() {
                    if let Json::Object(sections) = component
                        && !filter.sections.is_empty()
                    {
                        sections.retain(|name, _| filter.sections.contains(name));
                    }
                }
                of_stack.insert(kind, Json::Object(components));
            }
            shown.insert(stack, json!({"components": of_stack}));
        }
        Ok(shown)
    }

    fn components(&self, stack: &Stack, filter: &Filter) -> Result<Vec<StackComponent>, StackError> {
        let is_wanted =
            |wanted: &[String], name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
        let mut components = Vec::new();
        for (kind, names) in stack.component_names()? {
            for name in names {
                if !is_wanted(&filter.kinds, kind) || !is_wanted(&filter.components, name) {
                    continue;
                }
                let draft = match self.draft(stack, Some(kind), name) {
                    // Where certain stacks are wanted, one without a name is none of them.
                    Err(StackError::Name { .. } | StackError::Unsupported { .. })
                        if !is_wanted(&filter.stacks, stack.file()) =>
                    {
                        continue;
                    }
                    draft => draft?,
                };
                if let Some(draft) = draft
                    && (is_wanted(&filter.stacks, &draft.stack) || is_wanted(&filter.stacks, stack.file()))
                {
                    components.push(self.finish(stack, draft, false)?);
                }
            }
        }
        Ok(components)
    }

    /// Puts a component together and finds out its stack's name.
    fn draft(&self, stack: &Stack, kind: Option<&str>, component: &str) -> Result<Option<Draft>, StackError> {
        let kinds = if let Some(kind) = kind {
            vec![kind]
        } else {
            let others = stack.kinds()?.into_iter().filter(|kind| !KINDS.contains(kind));
            KINDS.into_iter().chain(others).collect()
        };
        for kind in kinds {
            if let Some(sections) = component::assemble(self.reader.settings(), stack, kind, component)? {
                let evaluator = self.evaluator(&sections, "");
                let stack = name::stack_name(self.reader.settings(), stack, component, &evaluator)?;
                return Ok(Some(Draft {
                    kind: kind.to_owned(),
                    name: component.to_owned(),
                    stack,
                    sections,
                }));
            }
        }
        Ok(None)
    }

    /// Adds what `describe` shows besides the sections, and computes everything.
    fn finish(&self, stack: &Stack, draft: Draft, with_sources: bool) -> Result<StackComponent, StackError> {
        let Draft { kind, name: component, stack: stack_name, mut sections } = draft;
        let settings = self.reader.settings();
        let sources = with_sources.then(|| sources::trace(stack, &kind, &component, &sections));
        name_sections(&mut sections, &component, &kind, &stack_name, stack.file());
        let base = name::base_component(&sections, &component).map(ToOwned::to_owned);
        let workspace = if kind == TERRAFORM {
            let evaluator = self.evaluator(&sections, &stack_name);
            let workspace = name::workspace(settings, &stack_name, &component, &sections, &evaluator)?;
            sections.insert(Arc::from("workspace"), Value::text(&workspace));
            Some(workspace)
        } else {
            None
        };
        let others = OthersOf { describer: self, stack, stack_name: &stack_name };
        let mut computed = self.evaluator(&sections, &stack_name).among(&others).map(&sections)?;
        computed.insert(
            "component_info".to_owned(),
            self.component_info(&kind, base.as_deref().unwrap_or(&component)),
        );
        if let Some(sources) = sources {
            computed.insert("imports".to_owned(), json!(stack.imports().collect::<Vec<_>>()));
            computed.insert("sources".to_owned(), sources.by_section);
            computed.insert("deps".to_owned(), json!(sources.deps));
            computed.insert("deps_all".to_owned(), json!(sources.deps_all));
        }
        let flag = |name: &str| computed.get("metadata")?.get(name)?.as_bool();
        Ok(StackComponent {
            stack_file: stack.file().to_owned(),
            base,
            workspace,
            is_abstract: inherit::is_abstract(&sections),
            is_enabled: flag("enabled").unwrap_or(true),
            is_locked: flag("locked").unwrap_or(false),
            kind,
            name: component,
            stack: stack_name,
            sections: computed,
        })
    }

    fn component_info(&self, kind: &str, folder: &str) -> Json {
        let base_path = self.reader.settings().kinds.get(kind).and_then(|kind| kind.base_path.as_deref());
        match base_path {
            Some(base_path) => {
                let path = format!("{}/{folder}", base_path.trim_end_matches('/'));
                json!({"component_type": kind, "component_path": path})
            }
            None => json!({"component_type": kind}),
        }
    }

    fn evaluator<'e>(&'e self, sections: &'e Map, stack_name: &'e str) -> Evaluator<'e> {
        let settings = self.reader.settings();
        Evaluator::new(self.functions, self.reader.files(), settings, self.processing, sections, stack_name)
    }

    /// Why a component was not found: the stack is not there, or is there without it, or could not be read.
    fn not_found(
        &self,
        stacks: &Stacks,
        stack_name: &str,
        component: &str,
        did_you_mean: Option<String>,
    ) -> StackError {
        let named: Vec<&Stack> = stacks
            .iter()
            .filter(|stack| self.names(stack).is_ok_and(|names| names.iter().any(|name| name == stack_name)))
            .collect();
        if !named.is_empty() {
            return unknown_component(stack_name, component, named.into_iter());
        }
        let did_you_mean = did_you_mean.or_else(|| {
            let all: Vec<String> =
                stacks.iter().filter_map(|stack| self.names(stack).ok()).flatten().collect();
            let of_file = stacks.iter().find(|stack| stack.file() == stack_name);
            let of_file = of_file.and_then(|stack| self.names(stack).ok()?.into_iter().next());
            of_file.or_else(|| nearest(stack_name, all.iter().map(String::as_str)))
        });
        // What could not be read may well be what was asked for.
        stacks
            .first_refusal()
            .unwrap_or_else(|| StackError::UnknownStack { stack: stack_name.to_owned(), did_you_mean })
    }

    /// The names of the stacks that a manifest makes.
    fn names(&self, stack: &Stack) -> Result<Vec<String>, StackError> {
        let mut names = Vec::new();
        for (kind, components) in stack.component_names()? {
            for component in components {
                if let Some(draft) = self.draft(stack, Some(kind), component)?
                    && !names.contains(&draft.stack)
                {
                    names.push(draft.stack);
                }
            }
        }
        Ok(names)
    }
}

/// Adds what a component is called and where it comes from.
fn name_sections(sections: &mut Map, component: &str, kind: &str, stack_name: &str, file: &str) {
    for (key, value) in [
        ("atmos_component", component),
        ("atmos_stack", stack_name),
        ("stack", stack_name),
        ("atmos_stack_file", file),
        ("atmos_manifest", file),
        ("component_type", kind),
    ] {
        sections.insert(Arc::from(key), Value::text(value));
    }
}

/// The components of one stack, for the templates of one of them.
struct OthersOf<'o, 'a> {
    describer: &'o Describer<'a>,
    stack: &'o Stack,
    stack_name: &'o str,
}

impl Others for OthersOf<'_, '_> {
    fn sections(&self, component: &str, stack: &str) -> Result<Option<Map>, StackError> {
        if stack != self.stack_name {
            return Ok(None);
        }
        let Some(draft) = self.describer.draft(self.stack, None, component)? else { return Ok(None) };
        let Draft { kind, mut sections, .. } = draft;
        name_sections(&mut sections, component, &kind, stack, self.stack.file());
        Ok(Some(sections))
    }
}

/// Whether two manifests say the same of a component, apart from where they stand.
fn same_component(one: &serde_json::Map<String, Json>, other: &serde_json::Map<String, Json>) -> bool {
    let of_the_file = |key: &str| matches!(key, "atmos_stack_file" | "atmos_manifest");
    one.len() == other.len()
        && one
            .iter()
            .all(|(key, value)| of_the_file(key) || other.get(key).is_some_and(|other| other == value))
}

fn unknown_component<'s>(
    stack: &str,
    component: &str,
    stacks: impl Iterator<Item = &'s Stack>,
) -> StackError {
    let names: Vec<&str> = stacks
        .filter_map(|stack| stack.component_names().ok())
        .flatten()
        .flat_map(|(_, components)| components)
        .collect();
    StackError::UnknownComponent {
        stack: stack.to_owned(),
        component: component.to_owned(),
        did_you_mean: nearest(component, names.into_iter()),
    }
}

/// The name that is most like what was typed, if any is like it at all.
fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name.to_owned())
}
