//! Converts the typed file to the domain: names, references, and the rules beyond the schema.

mod components;
mod inside;
mod settings;
mod target_stack;
mod targets;
mod vendor;

use indexmap::IndexMap;

use crate::deployment::definition::{DeploymentContext, StackImport};
use crate::deployment::{Deployment, DeploymentName, TargetName};

use super::deployment_file::{ContextSection, DeploymentSection};
use super::nearest;
use super::problem::Problems;
use super::span::Span;
use super::yaml::{Entry, Node, Value};

/// Converts a file's section to a deployment.
///
/// Invalid parts are reported and left out, so that the rest can be checked as well; the result is
/// valid only if no error was reported.
pub(super) fn resolve(
    section: DeploymentSection,
    name: &DeploymentName,
    root: &Node,
    problems: &mut Problems<'_>,
) -> Deployment {
    let places = Places { root };
    check_name(section.name.as_deref(), name, places, problems);
    let mut deployment = Deployment {
        name: name.clone(),
        description: section.description,
        labels: section.labels.unwrap_or_default(),
        stacks: stacks(section.stacks.unwrap_or_default(), places, problems),
        context: DeploymentContext::default(),
        components: Vec::new(),
        targets: IndexMap::new(),
        vendor: section.vendor.map(|section| vendor::resolve(section, problems.file(), places)),
    };
    components::resolve(section.components.unwrap_or_default(), &mut deployment, places, problems);
    targets::resolve(section.targets.unwrap_or_default(), &mut deployment, places, problems);
    deployment.context = resolve_context(section.context.unwrap_or_default(), &deployment, places, problems);
    deployment
}

/// The positions of values in the file, by their path below `deployment`.
#[derive(Clone, Copy)]
struct Places<'a> {
    root: &'a Node,
}

impl<'a> Places<'a> {
    fn find(self, path: &[&str]) -> Option<&'a Entry> {
        let mut full = vec!["deployment"];
        full.extend(path);
        self.root.entry(&full)
    }

    /// The span of a key, or of the nearest enclosing section that exists.
    fn key(self, path: &[&str]) -> Span {
        let mut full = vec!["deployment"];
        full.extend(path);
        while !full.is_empty() {
            if let Some(entry) = self.root.entry(&full) {
                return entry.key.span;
            }
            full.pop();
        }
        Span::START
    }

    /// The span of a key's value, or of the key where the value is a mapping or empty.
    fn value(self, path: &[&str]) -> Span {
        match self.find(path) {
            Some(Entry { node, .. }) if node.entries().is_empty() && node.span.end > node.span.start => {
                node.span
            }
            _ => self.key(path),
        }
    }

    /// Whether the key exists and has a value.
    fn has(self, path: &[&str]) -> bool {
        self.find(path).is_some_and(|entry| entry.node.value != Value::Null)
    }

    /// Whether the key exists without a value.
    fn is_empty(self, path: &[&str]) -> bool {
        self.find(path).is_some_and(|entry| entry.node.value == Value::Null)
    }

    /// Whether there is anything but empty sections below a key: if it was not deserialised, it was
    /// invalid.
    fn has_content(self, path: &[&str]) -> bool {
        let is_empty = |node: &Node| node.value == Value::Null || node.value == Value::Mapping(Vec::new());
        self.find(path).is_some_and(|entry| {
            !is_empty(&entry.node)
                && (entry.node.entries().is_empty()
                    || entry.node.entries().iter().any(|entry| !is_empty(&entry.node)))
        })
    }

    /// The span of a list item.
    fn item(self, path: &[&str], index: usize) -> Span {
        match self.find(path).and_then(|entry| entry.node.items().get(index)) {
            Some(item) => item.span,
            None => self.key(path),
        }
    }
}

fn stacks(paths: Vec<String>, places: Places<'_>, problems: &Problems<'_>) -> Vec<StackImport> {
    let paths = paths.into_iter().enumerate();
    let import = |(index, path)| {
        let Span { line, column, .. } = places.item(&["stacks"], index);
        StackImport { path, file: problems.file().to_owned(), line, column }
    };
    paths.map(import).collect()
}

fn check_name(written: Option<&str>, stem: &DeploymentName, places: Places<'_>, problems: &mut Problems<'_>) {
    // The schema check reports a missing name.
    let Some(written) = written else { return };
    let span = places.value(&["name"]);
    if let Err(error) = written.parse::<DeploymentName>() {
        problems.error(span, error.to_string(), None);
    } else if written != stem.as_str() {
        let hint = format!("write `name: {stem}`, or rename the file to `{written}.yaml`");
        problems.error(
            span,
            format!("the deployment is called `{written}`, but its file `{stem}`"),
            Some(hint),
        );
    }
}

fn resolve_context(
    section: ContextSection,
    deployment: &Deployment,
    places: Places<'_>,
    problems: &mut Problems<'_>,
) -> DeploymentContext {
    let default_target = section.default_target.and_then(|written| {
        let found = deployment.targets.keys().find(|name| name.as_str() == written);
        if found.is_none() {
            let hint = nearest::hint(&written, "targets", deployment.targets.keys().map(TargetName::as_str));
            let span = places.value(&["context", "default_target"]);
            problems.error(span, format!("the default target `{written}` does not exist"), Some(hint));
        }
        found.cloned()
    });
    DeploymentContext { default_target, promote_by: section.promote_by.unwrap_or_default() }
}

/// A cycle in readable form: `a → b → a`.
fn arrows<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(" → ")
}
