//! Components: names, dependencies, and settings.

use indexmap::IndexMap;

use crate::deployment::definition::Values;
use crate::deployment::graph::{Cycle, Graph};
use crate::deployment::names::ComponentReference;
use crate::deployment::{Component, ComponentKind, ComponentName, Deployment};

use super::super::deployment_file::{
    CommandComponent, ComponentsSection, HelmfileComponent, Metadata, NixpackComponent, TerraformComponent,
};
use super::super::nearest;
use super::super::problem::Problems;
use super::super::span::Span;
use super::inside::check_inside;
use super::settings::{DeclaredSettings, SettingsAt};
use super::{Places, arrows};

/// Adds the file's components to the deployment, in file order.
pub(super) fn resolve(
    section: ComponentsSection,
    deployment: &mut Deployment,
    places: Places<'_>,
    problems: &mut Problems<'_>,
) {
    let mut declared = declared(section);
    declared.sort_by_key(|component| component.place(places).start);
    if declared.is_empty() && !places.has_content(&["components"]) {
        problems.warning(places.key(&["components"]), "the deployment has no components", None);
    }
    let mut references: Vec<(ComponentName, Vec<(ComponentReference, Span)>)> = Vec::new();
    for component in declared {
        let place = component.place(places);
        let name = match component.name.parse::<ComponentName>() {
            Ok(name) => name,
            Err(error) => {
                problems.error(place, error.to_string(), None);
                continue;
            }
        };
        if let Some(first) = deployment.component(&name) {
            let line = places.key(&["components", first.kind.as_str(), name.as_str()]).line;
            let hint = format!("it is also a {} component, in line {line}; rename one of them", first.kind);
            problems.error(place, format!("two components are called `{name}`"), Some(hint));
            continue;
        }
        let depends_on = component.path(&["metadata", "depends_on"]);
        let written = component.metadata.depends_on.iter().flatten().enumerate();
        references.push((
            name.clone(),
            written
                .map(|(index, text)| (ComponentReference(text.clone()), places.item(&depends_on, index)))
                .collect(),
        ));
        deployment.components.push(component.resolve(name, places, problems));
    }
    resolve_dependencies(&references, deployment, problems);
}

/// A component of any kind as declared in the file.
struct Declared {
    kind: ComponentKind,
    name: String,
    folder: Option<String>,
    metadata: Metadata,
    vars: Option<Values>,
    settings: DeclaredSettings,
}

fn declared(section: ComponentsSection) -> Vec<Declared> {
    let nixpack = each(section.nixpack).map(|(name, component): (_, NixpackComponent)| Declared {
        kind: ComponentKind::Nixpack,
        name,
        folder: component.component,
        metadata: component.metadata.unwrap_or_default(),
        vars: component.vars,
        settings: component.settings.unwrap_or_default().into(),
    });
    let terraform = each(section.terraform).map(|(name, component): (_, TerraformComponent)| Declared {
        kind: ComponentKind::Terraform,
        name,
        folder: component.component,
        metadata: component.metadata.unwrap_or_default(),
        vars: component.vars,
        settings: component.settings.unwrap_or_default().into(),
    });
    let helmfile = each(section.helmfile).map(|(name, component): (_, HelmfileComponent)| Declared {
        kind: ComponentKind::Helmfile,
        name,
        folder: component.component,
        metadata: component.metadata.unwrap_or_default(),
        vars: component.vars,
        settings: component.settings.unwrap_or_default().into(),
    });
    let command =
        section.command.into_iter().flatten().map(|(name, component): (_, CommandComponent)| Declared {
            kind: ComponentKind::Command,
            name,
            folder: None,
            metadata: component.metadata.unwrap_or_default(),
            vars: component.vars,
            settings: component.settings.unwrap_or_default().into(),
        });
    nixpack.chain(terraform).chain(helmfile).chain(command).collect()
}

/// The entries of an optional section whose values may be left empty.
fn each<T: Default>(section: Option<IndexMap<String, Option<T>>>) -> impl Iterator<Item = (String, T)> {
    section.into_iter().flatten().map(|(name, component)| (name, component.unwrap_or_default()))
}

impl Declared {
    /// The path of keys to a value in this component.
    fn path<'a>(&'a self, inside: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["components", self.kind.as_str(), self.name.as_str()];
        path.extend(inside);
        path
    }

    /// The span of the component's name.
    fn place(&self, places: Places<'_>) -> Span {
        places.key(&self.path(&[]))
    }

    fn resolve(self, name: ComponentName, places: Places<'_>, problems: &mut Problems<'_>) -> Component {
        if let Some(folder) = &self.folder {
            check_inside(folder, places.value(&self.path(&["component"])), problems);
        }
        let base = self.path(&["settings"]);
        let settings = SettingsAt { places, path: &base, problems }.resolve(self.kind, &self.settings);
        Component {
            name,
            kind: self.kind,
            folder: self.folder,
            labels: self.metadata.labels.unwrap_or_default(),
            // Set once all components are known.
            depends_on: Vec::new(),
            vars: self.vars.unwrap_or_default(),
            settings,
        }
    }
}

/// Resolves `depends_on` to names and refuses dependency cycles.
fn resolve_dependencies(
    references: &[(ComponentName, Vec<(ComponentReference, Span)>)],
    deployment: &mut Deployment,
    problems: &mut Problems<'_>,
) {
    let names: Vec<String> =
        deployment.components.iter().map(|component| component.name.to_string()).collect();
    let qualified: Vec<String> = deployment.components.iter().map(Component::qualified_name).collect();
    let mut graph = Graph::default();
    let mut places = Vec::new();
    let mut resolved: Vec<Vec<ComponentName>> = Vec::new();
    for (name, references) in references {
        let mut needs = Vec::new();
        for (reference, span) in references {
            if let Some(component) = deployment.find(reference) {
                if !needs.contains(&component.name) {
                    needs.push(component.name.clone());
                    places.push((name, component.name.clone(), *span));
                }
            } else {
                let has_kind =
                    reference.0.split_once('/').is_some_and(|(kind, _)| ComponentKind::parse(kind).is_some());
                let known = if has_kind { &qualified } else { &names };
                let hint = nearest::hint(&reference.0, "components", known.iter().map(String::as_str));
                problems.error(*span, format!("the component `{reference}` does not exist"), Some(hint));
            }
        }
        graph.insert(name.clone(), needs.iter().cloned());
        resolved.push(needs);
    }
    for (component, needs) in deployment.components.iter_mut().zip(resolved) {
        component.depends_on = needs;
    }
    if let Err(Cycle(path)) = graph.order()
        && let [first, second, ..] = path.as_slice()
    {
        let place = places.iter().find(|(name, need, _)| *name == first && need == second);
        let span = place.map_or(Span::START, |(_, _, span)| *span);
        let path = arrows(path.iter().map(ComponentName::as_str));
        problems.error(span, format!("these components depend on each other in a circle: {path}"), None);
    }
}
