//! Components: names, dependencies, and how they are built and run.

use std::time::Duration;

use indexmap::IndexMap;
use jiff::fmt::friendly::SpanParser;

use crate::deployment::definition::{CommandSettings, ComponentSettings, NixpackSettings, Values};
use crate::deployment::graph::{Cycle, Graph};
use crate::deployment::names::ComponentReference;
use crate::deployment::{Component, ComponentKind, ComponentName, Deployment};

use super::super::deployment_file::{
    CommandComponent, CommandSection, ComponentsSection, InfrastructureComponent, Metadata, NixpackComponent,
    NixpackSection, SbomFormat,
};
use super::super::problem::{Problems, Span};
use super::super::{nearest, path};
use super::{Places, arrows};

/// Adds the file's components to the deployment, in the order of the file.
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

/// A component of any kind as the file has it.
struct Declared {
    kind: ComponentKind,
    name: String,
    folder: Option<String>,
    metadata: Metadata,
    vars: Option<Values>,
    nixpack: Option<NixpackSection>,
    command: Option<CommandSection>,
    health: Option<Values>,
}

fn declared(section: ComponentsSection) -> Vec<Declared> {
    let nixpack = each(section.nixpack).map(|(name, component): (_, NixpackComponent)| {
        let settings = component.settings.unwrap_or_default();
        Declared {
            kind: ComponentKind::Nixpack,
            name,
            folder: component.component,
            metadata: component.metadata.unwrap_or_default(),
            vars: component.vars,
            nixpack: settings.nixpack,
            command: None,
            health: settings.health,
        }
    });
    let infrastructure = |kind| {
        move |(name, component): (String, InfrastructureComponent)| Declared {
            kind,
            name,
            folder: component.component,
            metadata: component.metadata.unwrap_or_default(),
            vars: component.vars,
            nixpack: None,
            command: None,
            health: component.settings.unwrap_or_default().health,
        }
    };
    let command = section.command.into_iter().flatten().map(|(name, component): (_, CommandComponent)| {
        let settings = component.settings.unwrap_or_default();
        Declared {
            kind: ComponentKind::Command,
            name,
            folder: None,
            metadata: component.metadata.unwrap_or_default(),
            vars: component.vars,
            nixpack: None,
            command: settings.command,
            health: settings.health,
        }
    });
    nixpack
        .chain(each(section.terraform).map(infrastructure(ComponentKind::Terraform)))
        .chain(each(section.helmfile).map(infrastructure(ComponentKind::Helmfile)))
        .chain(command)
        .collect()
}

/// The entries of a section that may be left out and whose values may be left empty.
fn each<T: Default>(section: Option<IndexMap<String, Option<T>>>) -> impl Iterator<Item = (String, T)> {
    section.into_iter().flatten().map(|(name, component)| (name, component.unwrap_or_default()))
}

impl Declared {
    /// The path to something in this component.
    fn path<'a>(&'a self, inside: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["components", self.kind.as_str(), self.name.as_str()];
        path.extend(inside);
        path
    }

    /// Where the component's name stands.
    fn place(&self, places: Places<'_>) -> Span {
        places.key(&self.path(&[]))
    }

    fn resolve(self, name: ComponentName, places: Places<'_>, problems: &mut Problems<'_>) -> Component {
        if let Some(folder) = &self.folder {
            check_inside(folder, places.value(&self.path(&["component"])), problems);
        }
        let command = self.command.as_ref().and_then(|command| self.command(command, places, problems));
        let nixpack =
            (self.kind == ComponentKind::Nixpack).then(|| nixpack(self.nixpack.unwrap_or_default()));
        Component {
            name,
            kind: self.kind,
            folder: self.folder,
            labels: self.metadata.labels.unwrap_or_default(),
            // Filled in once every component is known.
            depends_on: Vec::new(),
            vars: self.vars.unwrap_or_default(),
            settings: ComponentSettings {
                command,
                nixpack,
                health: self.health.map(serde_json::Value::Object),
            },
        }
    }

    /// Nothing without `apply`, whose absence is the schema's business.
    fn command(
        &self,
        command: &CommandSection,
        places: Places<'_>,
        problems: &mut Problems<'_>,
    ) -> Option<CommandSettings> {
        let path = |key| self.path(&["settings", "command", key]);
        for (key, arguments) in [("plan", &command.plan), ("apply", &command.apply)] {
            if arguments.as_ref().and_then(|arguments| arguments.first()).is_some_and(String::is_empty) {
                problems.error(places.item(&path(key), 0), format!("`{key}` names no program"), None);
            }
        }
        if let Some(directory) = &command.working_directory {
            check_inside(directory, places.value(&path("working_directory")), problems);
        }
        let timeout = command.timeout.as_ref().and_then(|text| {
            let timeout = duration(text);
            if timeout.is_none() {
                let hint = "write hours, minutes and seconds: `10m`, `90s`, `1h30m`".to_owned();
                let span = places.value(&path("timeout"));
                problems.error(span, format!("`{text}` is not a duration above zero"), Some(hint));
            }
            timeout
        });
        Some(CommandSettings {
            plan: command.plan.clone(),
            apply: command.apply.clone()?,
            working_directory: command.working_directory.clone(),
            timeout,
        })
    }
}

fn nixpack(section: NixpackSection) -> NixpackSettings {
    let sbom = section.sbom.unwrap_or_default();
    let formats = sbom.formats.unwrap_or_else(|| vec![SbomFormat::CyclonedxJson]);
    NixpackSettings {
        publish: section.publish.unwrap_or(true),
        dockerfile_escape: section.dockerfile_escape.unwrap_or(false),
        sbom_required: sbom.require.unwrap_or(false),
        sbom_formats: formats.into_iter().map(|format| format.as_str().to_owned()).collect(),
        test: section.test.unwrap_or_default(),
    }
}

/// A path in the deployed commit must not lead out of it.
fn check_inside(written: &str, span: Span, problems: &mut Problems<'_>) {
    if written.is_empty() || !path::is_inside(written) || written.contains('\0') {
        let message = format!("`{written}` must be a relative path without `..`");
        problems.error(span, message, None);
    }
}

fn duration(text: &str) -> Option<Duration> {
    SpanParser::new().parse_unsigned_duration(text).ok().filter(|duration| !duration.is_zero())
}

/// Resolves `depends_on` to names and refuses dependencies that close a circle.
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
