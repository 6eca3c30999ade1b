//! Stacks for commands: their sources, their settings, and the layers of a deployment's components.

mod answers;
mod by_reference;
mod files;
mod layers;
mod outputs;
mod own_manifest;
mod selected;
mod unapplied;
mod world;

use crate::config::AtmosConfig;
use crate::config::atmos::{ListMergeStrategy as ConfiguredLists, Variable as ConfiguredVariable};
use crate::deployment::ComponentKind;
use crate::render::document::error::Hint;
use crate::stacks::{
    Inherit, KindSettings, ListMergeStrategy, Location, StackError, StackSettings, Variable,
};
use crate::text::error_chain;

use crate::error::{Code, CommandError, exit};

pub use by_reference::StacksByReference;
pub use files::{CheckoutFiles, CommitFiles};
pub use layers::ImportedStacks;
pub use outputs::ShownOutputs;
pub use selected::Unselected;
pub use world::{World, environment_of};

/// The features that stacks support besides values.
pub const SUPPORTED: &str = "Supported are !env, !include, !append, !unset, !literal, !template, !repo-root, !labels, !tags, \
                         !terraform.output, !terraform.state and Go templates with the functions of Sprig and Gomplate \
                         that depend on nothing but their arguments";

/// The settings of `atmos.yaml` that stacks depend on.
#[must_use]
pub fn settings(config: &AtmosConfig) -> StackSettings {
    let default = StackSettings::default();
    let kind = |kind: ComponentKind| {
        let base_path = Some(config.components_directory(kind));
        (kind.as_str().to_owned(), KindSettings { base_path, command: Some(config.command(kind).to_owned()) })
    };
    let others = ["packer", "ansible"].map(|kind| {
        let base_path = Some(config.other_components_directory(kind));
        let command = config.other_kinds.get(kind).and_then(|configured| configured.command.clone());
        (kind.to_owned(), KindSettings { base_path, command })
    });
    let variable = |value: &ConfiguredVariable| match value {
        ConfiguredVariable::Text(text) => Variable::Text(text.clone()),
        ConfiguredVariable::Function { tag, argument, line, column } => Variable::Function {
            tag: tag.clone(),
            argument: argument.clone(),
            at: Location { file: config.file.as_str().into(), line: *line, column: *column },
        },
    };
    StackSettings {
        directory: config.directory.clone(),
        base_path: config.stacks_directory(),
        included_paths: config.stacks.included_paths.clone().unwrap_or(default.included_paths),
        excluded_paths: config.stacks.excluded_paths.clone().unwrap_or(default.excluded_paths),
        name_pattern: config.stacks.name_pattern.clone(),
        name_template: config.stacks.name_template.clone(),
        inherit: Inherit {
            metadata: config.stacks.inherit_metadata.unwrap_or(default.inherit.metadata),
            source: config.stacks.inherit_source.unwrap_or(default.inherit.source),
        },
        list_merge_strategy: match config.list_merge_strategy {
            ConfiguredLists::Replace => ListMergeStrategy::Replace,
            ConfiguredLists::Append => ListMergeStrategy::Append,
            ConfiguredLists::Merge => ListMergeStrategy::Merge,
        },
        templates: config.templates.enabled.unwrap_or(default.templates),
        template_evaluations: config
            .templates
            .evaluations
            .and_then(|evaluations| evaluations.try_into().ok())
            .unwrap_or(default.template_evaluations),
        github_integration: config.github_integration.clone(),
        env: config.env.iter().map(|(name, value)| (name.clone(), variable(value))).collect(),
        kinds: [ComponentKind::Terraform, ComponentKind::Helmfile]
            .map(kind)
            .into_iter()
            .chain(others)
            .collect(),
        template_delimiters: match &config.templates.delimiters {
            Some([left, right]) if !left.is_empty() && !right.is_empty() => (left.clone(), right.clone()),
            _ => default.template_delimiters.clone(),
        },
        template_env: config.templates.env.clone(),
        workspaces_enabled: config.terraform.workspaces_enabled.unwrap_or(default.workspaces_enabled),
        workspace_prefix_separator: config
            .terraform
            .prefix_separator
            .clone()
            .unwrap_or(default.workspace_prefix_separator),
    }
}

/// The hint for stacks that are unusable.
fn hint(error: &StackError, stacks_directory: Option<&str>) -> Option<String> {
    match (error, stacks_directory) {
        (StackError::ImportNotFound { .. }, Some(directory)) => Some(format!(
            "Imports are looked for in {directory}, or beside the file if they start with ./ or ../"
        )),
        (StackError::NoStacks { .. }, _) => Some(
            "The folder is base_path and stacks.base_path of atmos.yaml together, or --base-path and \
             ATMOS_STACKS_BASE_PATH"
                .to_owned(),
        ),
        (StackError::Unsupported { what, .. }, _) if what.contains("not supported") => {
            Some(SUPPORTED.to_owned())
        }
        _ => None,
    }
}

impl From<StackError> for CommandError {
    fn from(error: StackError) -> Self {
        let code = match error {
            StackError::UnknownStack { .. } => Code::UnknownStack,
            StackError::UnknownComponent { .. } => Code::UnknownComponent,
            _ => Code::Stacks,
        };
        let shown = Self::new(code, error_chain(&error));
        let shown =
            if matches!(error, StackError::Read { .. }) { shown.exits_with(exit::FAILED) } else { shown };
        match (hint(&error, None), &error) {
            (Some(hint), _) => shown.hint(Hint::note(hint)),
            (None, StackError::UnknownStack { .. } | StackError::UnknownComponent { .. }) => shown
                .hint(Hint::command("To see which there are", "atmos describe stacks --sections component")),
            (None, _) => shown,
        }
    }
}
