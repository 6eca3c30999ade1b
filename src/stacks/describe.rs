//! Components as they are deployed, and as `describe component` and `describe stacks` show them.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::component::{self, TERRAFORM};
use super::error::StackError;
use super::evaluate::{Evaluator, Others, Processing};
use super::failures::{self, Failure, Failures};
use super::inherit;
use super::integrations;
use super::name;
use super::provenance::{self, Provenance};
use super::sources;
use super::stack::{Stack, StackReader, Stacks, in_parallel};
use super::value::{Map, Value, map_to_json};
use super::world::Functions;

/// The kinds that a component is looked up in where none is named, in this order; then any other.
const KINDS: [&str; 3] = [TERRAFORM, "helmfile", "packer"];

/// A component of a stack, fully evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct StackComponent {
    pub kind: String,
    pub name: String,
    /// The stack's one valid name.
    pub stack: String,
    /// The manifest that makes the stack, from the stacks directory without its extension.
    pub stack_file: String,
    /// The component that this one is made from, where it is not made from
    /// itself; else it is its own folder.
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
    /// Values that could not be evaluated, where that is tolerated; `sections` keeps them as
    /// written, and lists them as `failures`.
    pub failures: Vec<Failure>,
    /// The source position of each value, if tracing was requested.
    pub provenance: Vec<Provenance>,
}

/// Puts components together and computes them.
pub struct Describer<'a> {
    pub(super) reader: &'a StackReader<'a>,
    functions: &'a dyn Functions,
    processing: Processing,
    skipped: Vec<String>,
    tolerates: bool,
    traces_lines: bool,
}

/// The part of a component that is shown.
#[derive(Clone, Copy)]
pub(super) enum Extent<'w> {
    /// Everything, with the provenance of its values.
    Traced,
    /// Only these sections; all of them if the list is empty.
    Sections(&'w [String]),
}

/// A component that is assembled but not yet evaluated.
pub(super) struct Draft {
    kind: String,
    name: String,
    pub(super) stack: String,
    pub(super) sections: Map,
}

impl Draft {
    /// Whether two manifests define the same component, regardless of the files that its parts come
    /// from.
    fn says_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind && map_to_json(&self.sections) == map_to_json(&other.sections)
    }
}

impl<'a> Describer<'a> {
    /// Describes what `reader` reads.
    pub fn new(reader: &'a StackReader<'a>, functions: &'a dyn Functions, processing: Processing) -> Self {
        Self { reader, functions, processing, skipped: Vec::new(), tolerates: false, traces_lines: false }
    }

    /// Shows calls of these YAML functions as they are written; their names are given without `!`.
    #[must_use]
    pub fn skipping(mut self, functions: Vec<String>) -> Self {
        self.skipped = functions;
        self
    }

    /// Shows values that cannot be evaluated as written, instead of failing at the first.
    #[must_use]
    pub fn tolerating(self, tolerates: bool) -> Self {
        Self { tolerates, ..self }
    }

    /// Finds out which line of which manifest each value of a single component is written on.
    #[must_use]
    pub fn tracing_lines(self, traces_lines: bool) -> Self {
        Self { traces_lines, ..self }
    }

    pub(super) fn tolerates(&self) -> bool {
        self.tolerates
    }

    /// A component of one stack, whatever the stack is called.
    pub fn component(
        &self,
        stack: &Stack,
        kind: Option<&str>,
        component: &str,
    ) -> Result<StackComponent, StackError> {
        if let Some(draft) = self.draft(stack, kind, component)? {
            return self.finish(stack, draft, Extent::Traced);
        }
        let name = stack.manifest_name().unwrap_or(stack.file());
        Err(unknown_component(name, component, std::iter::once(stack)))
    }

    /// The component of the stack of that name.
    ///
    /// Several manifests may make up one stack, as long as they agree about
    /// the components that they share.
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
                // An error in another stack does not fail this lookup unless nothing is found.
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
        // The first manifest that has it is shown as its source.
        if let Some((other, _)) = found.find(|(_, other)| !other.says_the_same(&draft)) {
            return Err(StackError::DuplicateStack {
                stack: stack_name.to_owned(),
                component: component.to_owned(),
                files: vec![stack.file().to_owned(), other.file().to_owned()],
            });
        }
        self.finish(stack, draft, Extent::Traced)
    }

    /// Assembles a component and determines its stack's name.
    pub(super) fn draft(
        &self,
        stack: &Stack,
        kind: Option<&str>,
        component: &str,
    ) -> Result<Option<Draft>, StackError> {
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

    /// Adds the keys that `describe` shows besides the sections, and evaluates everything.
    pub(super) fn finish(
        &self,
        stack: &Stack,
        draft: Draft,
        extent: Extent<'_>,
    ) -> Result<StackComponent, StackError> {
        let Draft { kind, name: component, stack: stack_name, mut sections } = draft;
        let settings = self.reader.settings();
        let failures = Failures::default();
        let tolerated = |key: &str, error: StackError| {
            if self.tolerates {
                failures.add(Some(key), &error);
                return Ok(());
            }
            Err(error)
        };
        let sources =
            matches!(extent, Extent::Traced).then(|| sources::trace(stack, &kind, &component, &sections));
        let provenance = if self.traces_lines && matches!(extent, Extent::Traced) {
            provenance::trace(self.reader, stack, &kind, &component, &sections)
        } else {
            Vec::new()
        };
        name_sections(&mut sections, &component, &stack_name, stack.file());
        let base = name::base_component(&sections, &component).map(ToOwned::to_owned);
        let workspace = if kind == TERRAFORM {
            let evaluator = self.evaluator(&sections, &stack_name);
            let workspace = name::workspace(settings, &stack_name, &component, &sections, &evaluator)
                .map_or_else(|error| tolerated("workspace", error).map(|()| None), |name| Ok(Some(name)))?;
            sections.extend(workspace.iter().map(|name| (Arc::from("workspace"), Value::text(name))));
            workspace
        } else {
            None
        };
        if matches!(extent, Extent::Traced) {
            let names = {
                let evaluator = self.evaluator(&sections, &stack_name);
                let names = integrations::names(&stack_name, &component, &sections, &evaluator);
                names.or_else(|error| tolerated("settings", error).map(|()| Vec::new()))?
            };
            sections.extend(names.into_iter().map(|(key, name)| (Arc::from(key), Value::text(&name))));
        }
        let is_wanted = |section: &str| match extent {
            Extent::Traced | Extent::Sections([]) => true,
            Extent::Sections(wanted) => wanted.iter().any(|name| name == section),
        };
        // Sections that are not shown are not evaluated, so that their failures do not matter.
        let shown = sections.iter().filter(|(name, _)| is_wanted(name));
        let shown: Map = shown.map(|(name, value)| (Arc::clone(name), value.clone())).collect();
        let others = OthersOf { describer: self, stack, stack_name: &stack_name };
        let collected = self.tolerates.then_some(&failures);
        let evaluator = self.evaluator(&sections, &stack_name).among(&others).collecting(collected);
        let mut computed = evaluator.map(&shown)?;
        let failures = failures.into_found();
        if !failures.is_empty() {
            computed.insert(failures::KEY.to_owned(), failures.iter().map(Failure::to_json).collect());
        }
        if is_wanted("component_info") {
            let info = self.component_info(&kind, base.as_deref().unwrap_or(&component));
            computed.insert("component_info".to_owned(), info);
        }
        if let Some(sources) = sources {
            computed.insert("component_type".to_owned(), json!(kind));
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
            failures,
            provenance,
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
            .skipping(&self.skipped)
    }

    /// The error for a component that was not found: the stack is missing, lacks the component, or
    /// could not be read.
    pub(super) fn not_found(
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
        // A stack that could not be read may be the one that was requested.
        stacks
            .first_refusal()
            .unwrap_or_else(|| StackError::UnknownStack { stack: stack_name.to_owned(), did_you_mean })
    }

    /// The names of the stacks that a manifest makes.
    pub(super) fn names(&self, stack: &Stack) -> Result<Vec<String>, StackError> {
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

/// Adds the component's names and source to its sections.
fn name_sections(sections: &mut Map, component: &str, stack_name: &str, file: &str) {
    for (key, value) in [
        ("atmos_component", component),
        ("atmos_stack", stack_name),
        ("stack", stack_name),
        ("atmos_stack_file", file),
        ("atmos_manifest", file),
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
        let mut sections = draft.sections;
        name_sections(&mut sections, component, stack, self.stack.file());
        Ok(Some(sections))
    }
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

/// The name nearest to the given one, if any is similar enough.
fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name.to_owned())
}
