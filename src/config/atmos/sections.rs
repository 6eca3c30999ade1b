//! The sections of `atmos.yaml` as written, and their conversion to settings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::deployment::definition::Values;

use super::{
    AtmosConfig, CiConfig, Credentials, DeploymentsConfig, IgnoredKey, InfrastructureConfig, LedgerConfig,
    ListMergeStrategy, StacksConfig, TemplatesConfig,
};

/// The sections of `atmos.yaml` that are ours to read, as a file states them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct AtmosFile {
    base_path: Option<String>,
    stacks: Option<StacksSection>,
    components: Option<ComponentsSection>,
    settings: Option<SettingsSection>,
    templates: Option<TemplatesSection>,
    integrations: Option<IntegrationsSection>,
    deployments: Option<DeploymentsSection>,
    ci: Option<CiConfig>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct IntegrationsSection {
    github: Option<Values>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct TemplatesSection {
    settings: Option<TemplatesConfig>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct StacksSection {
    base_path: Option<String>,
    included_paths: Option<Vec<String>>,
    excluded_paths: Option<Vec<String>>,
    name_pattern: Option<String>,
    name_template: Option<String>,
    inherit: Option<InheritSection>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct InheritSection {
    metadata: Option<bool>,
    source: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct ComponentsSection {
    terraform: Option<InfrastructureSection>,
    helmfile: Option<InfrastructureSection>,
    nixpack: Option<NixpackSection>,
    packer: Option<InfrastructureSection>,
    ansible: Option<InfrastructureSection>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct NixpackSection {
    /// The registry of images whose component names none: `registry.example.com/team`. `ATMOS_REGISTRY` wins over it.
    registry: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct InfrastructureSection {
    base_path: Option<String>,
    command: Option<String>,
    auto_generate_backend_file: Option<bool>,
    workspaces_enabled: Option<bool>,
    workspace: Option<WorkspaceSection>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct WorkspaceSection {
    prefix_separator: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct SettingsSection {
    list_merge_strategy: Option<ListMergeStrategy>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct DeploymentsSection {
    base_path: Option<String>,
    remote: Option<String>,
    template_env: Option<Vec<String>>,
    rules_from: Option<String>,
    ignore: Option<Vec<IgnoredKey>>,
    auth: Option<Credentials>,
    ledger: Option<LedgerConfig>,
}

impl AtmosFile {
    pub(super) fn into_config(self, directory: String) -> AtmosConfig {
        let components = self.components.unwrap_or_default();
        AtmosConfig {
            file: String::new(),
            directory,
            base_path: self.base_path.unwrap_or_default(),
            stacks: self.stacks.unwrap_or_default().into_config(),
            terraform: components.terraform.unwrap_or_default().into_config(),
            helmfile: components.helmfile.unwrap_or_default().into_config(),
            registry: not_empty(components.nixpack.unwrap_or_default().registry),
            other_kinds: [("packer", components.packer), ("ansible", components.ansible)]
                .into_iter()
                .filter_map(|(kind, section)| Some((kind.to_owned(), section?.into_config())))
                .collect(),
            env: BTreeMap::new(),
            identities: None,
            warnings: Vec::new(),
            github_integration: self.integrations.unwrap_or_default().github.unwrap_or_default(),
            list_merge_strategy: self.settings.unwrap_or_default().list_merge_strategy.unwrap_or_default(),
            templates: self.templates.unwrap_or_default().settings.unwrap_or_default(),
            deployments: self.deployments.unwrap_or_default().into_config(),
            ci: self.ci.unwrap_or_default(),
        }
    }
}

impl StacksSection {
    fn into_config(self) -> StacksConfig {
        let default = StacksConfig::default();
        let inherit = self.inherit.unwrap_or_default();
        StacksConfig {
            base_path: not_empty(self.base_path).unwrap_or(default.base_path),
            included_paths: self.included_paths,
            excluded_paths: self.excluded_paths,
            name_pattern: not_empty(self.name_pattern),
            name_template: not_empty(self.name_template),
            inherit_metadata: inherit.metadata,
            inherit_source: inherit.source,
        }
    }
}

impl InfrastructureSection {
    fn into_config(self) -> InfrastructureConfig {
        InfrastructureConfig {
            base_path: not_empty(self.base_path),
            command: not_empty(self.command),
            auto_generate_backend_file: self.auto_generate_backend_file,
            workspaces_enabled: self.workspaces_enabled,
            prefix_separator: not_empty(self.workspace.unwrap_or_default().prefix_separator),
        }
    }
}

impl DeploymentsSection {
    fn into_config(self) -> DeploymentsConfig {
        let default = DeploymentsConfig::default();
        DeploymentsConfig {
            base_path: not_empty(self.base_path).unwrap_or(default.base_path),
            remote: not_empty(self.remote),
            template_env: self.template_env.unwrap_or_default(),
            rules_from: not_empty(self.rules_from),
            ignore: self.ignore.unwrap_or_default(),
            auth: self.auth,
            ledger: self.ledger.unwrap_or_default(),
        }
    }
}

/// Atmos reads an empty text as absent.
fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
