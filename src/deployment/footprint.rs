//! The footprint of a component: the repository's files that it depends on.

use std::collections::BTreeSet;

use super::definition::{CommandSettings, Component};
use super::names::ComponentKind;

/// The files that a component depends on; the whole repository where they are unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Footprint {
    /// These files, and everything below these folders. Relative to the repository's root.
    Paths(BTreeSet<String>),
    /// Any file may be part of it.
    WholeRepository,
}

impl Footprint {
    /// The footprint declared by a component's definition. `folder` is the code folder of a
    /// terraform or helmfile component.
    #[must_use]
    pub fn of(component: &Component, folder: &str) -> Self {
        match component.kind {
            ComponentKind::Command => {
                component.settings.command.as_ref().map_or(Self::WholeRepository, Self::of_command)
            }
            ComponentKind::Nixpack => match component.vars.get("source").and_then(|source| source.as_str()) {
                // A template can evaluate to any path.
                Some(source) if !source.contains("{{") => Self::below("", [source]),
                _ => Self::WholeRepository,
            },
            ComponentKind::Terraform | ComponentKind::Helmfile => Self::below("", [folder]),
        }
    }

    /// The working directory, and the paths outside of it on the command line.
    fn of_command(settings: &CommandSettings) -> Self {
        let Some(directory) = settings.working_directory.as_deref() else { return Self::WholeRepository };
        let named = settings.apply.iter().map(String::as_str).filter(|word| word.starts_with("../"));
        Self::below("", [directory]).and(Self::below(directory, named))
    }

    /// Paths relative to a folder of the repository.
    #[must_use]
    pub fn below<'p>(folder: &str, paths: impl IntoIterator<Item = &'p str>) -> Self {
        let paths: Option<BTreeSet<_>> = paths.into_iter().map(|path| inside(folder, path)).collect();
        match paths {
            Some(paths) if paths.iter().all(|path| !path.is_empty()) => Self::Paths(paths),
            _ => Self::WholeRepository,
        }
    }

    /// The union of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Paths(mut paths), Self::Paths(more)) => {
                paths.extend(more);
                Self::Paths(paths)
            }
            _ => Self::WholeRepository,
        }
    }

    /// Whether a file belongs to it.
    #[must_use]
    pub fn contains(&self, file: &str) -> bool {
        match self {
            Self::WholeRepository => true,
            Self::Paths(paths) => paths.iter().any(|path| {
                file.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
        }
    }
}

/// A path normalised from the repository's root; `None` where it leads out of it.
fn inside(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::deployment;
    use super::*;

    fn component(kind: ComponentKind) -> Component {
        let mut component = deployment(&["api"], &[]).components.remove(0);
        component.kind = kind;
        component
    }

    fn paths(paths: &[&str]) -> Footprint {
        Footprint::Paths(paths.iter().map(ToString::to_string).collect())
    }

    fn command(working_directory: Option<&str>, apply: &[&str]) -> Footprint {
        let mut component = component(ComponentKind::Command);
        component.settings.command = Some(CommandSettings {
            plan: None,
            apply: apply.iter().map(ToString::to_string).collect(),
            working_directory: working_directory.map(str::to_owned),
        });
        Footprint::of(&component, "")
    }

    #[test]
    fn a_command_is_its_working_directory_and_what_it_names_beside() {
        assert_eq!(command(None, &["./services/api/deploy.sh"]), Footprint::WholeRepository);
        assert_eq!(command(Some("."), &["make"]), Footprint::WholeRepository);
        assert_eq!(command(Some("services/api"), &["./deploy.sh", "prod"]), paths(&["services/api"]));
        assert_eq!(
            command(Some("./services/api"), &["../../tools/deploy", "--fast"]),
            paths(&["services/api", "tools/deploy"])
        );
        assert_eq!(command(Some("services"), &["../../deploy"]), Footprint::WholeRepository);
    }

    #[test]
    fn an_image_is_its_source() {
        let source = |source: serde_json::Value| {
            let mut component = component(ComponentKind::Nixpack);
            component.vars.insert("source".to_owned(), source);
            Footprint::of(&component, "")
        };
        assert_eq!(source(json!("./services/api/")), paths(&["services/api"]));
        assert_eq!(source(json!("services/{{ target.name }}")), Footprint::WholeRepository);
        assert_eq!(source(json!("/srv")), Footprint::WholeRepository);
        assert_eq!(Footprint::of(&component(ComponentKind::Nixpack), ""), Footprint::WholeRepository);
    }

    #[test]
    fn a_folder_holds_what_is_below_it_and_no_neighbour() {
        let footprint = Footprint::of(&component(ComponentKind::Terraform), "components/terraform/ecs");
        assert!(footprint.contains("components/terraform/ecs/main.tf"));
        assert!(footprint.contains("components/terraform/ecs"));
        assert!(!footprint.contains("components/terraform/ecs-service/main.tf"));
        assert!(!footprint.contains("components/terraform"));
    }
}
