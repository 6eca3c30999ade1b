//! `atmos.yaml`: the sections that deployments read. The file belongs to Atmos and has many more.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::deployment::ComponentKind;

use super::load::{self, ConfigError};
use super::path;
use super::problem::{self, Problem, Problems};
use super::shape::{self, Rule};
use super::source::Source;
use super::yaml;

/// What is read from `atmos.yaml`, with the defaults that stand in for what it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtmosConfig {
    /// The directory that holds `atmos.yaml`, relative to the repository's root.
    pub directory: String,
    /// Every other base path is relative to this one, and this one to `directory`.
    pub base_path: String,
    pub stacks: StacksConfig,
    pub terraform: InfrastructureConfig,
    pub helmfile: InfrastructureConfig,
    pub list_merge_strategy: ListMergeStrategy,
    pub templates: TemplatesConfig,
    pub deployments: DeploymentsConfig,
    pub ci: CiConfig,
}

/// How CI jobs report, and what the platform calls the targets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct CiConfig {
    /// The file of a template for the comment, relative to `atmos.yaml`. Default: the built-in one.
    pub comment_template: Option<String>,
    /// The template of the platform's environment of a target: `{{ labels.environment }}`. It may also use
    /// `deployment` and `target`. Default: `{{ target }}`.
    pub environment: Option<String>,
    /// The template of the address where what is deployed to a target can be visited. Default: none.
    pub environment_url: Option<String>,
}

/// How templates in stacks are read. Absent: the default of stacks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct TemplatesConfig {
    /// Default: true.
    pub enabled: Option<bool>,
    /// How often what comes out of a template is read as one again. Default: 1.
    pub evaluations: Option<u32>,
    /// What templates of components are written between. Default: `["{{", "}}"]`.
    pub delimiters: Option<[String; 2]>,
    /// Variables that templates see before those of the environment. Default: none.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// Where stacks are and what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StacksConfig {
    /// Default: `stacks`.
    pub base_path: String,
    /// Globs of the manifests that are stacks. Default: every file.
    pub included_paths: Vec<String>,
    /// Globs of the manifests that are not.
    pub excluded_paths: Vec<String>,
    /// The pattern of stack names: `{tenant}-{environment}-{stage}`.
    pub name_pattern: Option<String>,
    /// The template of stack names: `{{ .vars.stage }}`.
    pub name_template: Option<String>,
    /// Whether components inherit their bases' `metadata`. Default: true.
    pub inherit_metadata: Option<bool>,
}

impl Default for StacksConfig {
    fn default() -> Self {
        Self {
            base_path: "stacks".to_owned(),
            included_paths: vec!["**/*".to_owned()],
            excluded_paths: Vec::new(),
            name_pattern: None,
            name_template: None,
            inherit_metadata: None,
        }
    }
}

/// Where the components of a kind are and what runs them. Absent: the kind's own default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InfrastructureConfig {
    /// Default: `components/<kind>`.
    pub base_path: Option<String>,
    /// Default: the kind's name.
    pub command: Option<String>,
    /// Write `backend.tf.json` where the component's stacks configure a backend. Default: true.
    pub auto_generate_backend_file: Option<bool>,
    /// Use terraform workspaces. Default: true.
    pub workspaces_enabled: Option<bool>,
}

/// Where deployments are and where their ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentsConfig {
    /// Default: `deployments`.
    pub base_path: String,
    /// The git remote of the ledger. Absent: git's own choice.
    pub remote: Option<String>,
    /// The environment variables that templates in deployments may read. Default: none.
    pub template_env: Vec<String>,
}

impl Default for DeploymentsConfig {
    fn default() -> Self {
        Self { base_path: "deployments".to_owned(), remote: None, template_env: Vec::new() }
    }
}

/// What becomes of two lists under one key when stacks are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListMergeStrategy {
    /// The later list stands alone.
    #[default]
    Replace,
    /// The later list follows the earlier one.
    Append,
    /// Item by item: two maps merge, otherwise the earlier item stays.
    Merge,
}

impl AtmosConfig {
    /// The directory of the deployment files, relative to the repository's root.
    #[must_use]
    pub fn deployments_directory(&self) -> String {
        self.directory_of(&self.deployments.base_path)
    }

    /// The directory of the stacks, relative to the repository's root.
    #[must_use]
    pub fn stacks_directory(&self) -> String {
        self.directory_of(&self.stacks.base_path)
    }

    /// The directory of a kind's components, relative to the repository's root; the base path itself for kinds that
    /// have no folder of their own.
    #[must_use]
    pub fn components_directory(&self, kind: ComponentKind) -> String {
        let configured = match kind {
            ComponentKind::Terraform => &self.terraform,
            ComponentKind::Helmfile => &self.helmfile,
            ComponentKind::Nixpack | ComponentKind::Command => return self.directory_of(""),
        };
        match &configured.base_path {
            Some(base_path) => self.directory_of(base_path),
            None => self.directory_of(&format!("components/{kind}")),
        }
    }

    /// The file of the project's own template for comments, relative to the repository's root.
    #[must_use]
    pub fn comment_template(&self) -> Option<String> {
        Some(path::join([self.directory.as_str(), self.ci.comment_template.as_deref()?]))
    }

    /// The executable that applies a kind's components.
    #[must_use]
    pub fn command(&self, kind: ComponentKind) -> &str {
        let configured = match kind {
            ComponentKind::Terraform => self.terraform.command.as_deref(),
            ComponentKind::Helmfile => self.helmfile.command.as_deref(),
            ComponentKind::Nixpack | ComponentKind::Command => None,
        };
        configured.unwrap_or(match kind {
            ComponentKind::Nixpack => "nixpacks",
            kind => kind.as_str(),
        })
    }

    fn directory_of(&self, base_path: &str) -> String {
        path::join([self.directory.as_str(), self.base_path.as_str(), base_path])
    }
}

/// Reads the text of an `atmos.yaml` that stands at `file`.
///
/// Keys that are not ours are passed over; a wrong type of one that is ours is an error.
pub fn parse(file: &str, text: &str) -> Result<AtmosConfig, Vec<Problem>> {
    let mut problems = Problems::new(file, text);
    let read = yaml::compose(text, &mut problems).and_then(|root| {
        let checked = shape::check(&RULE, &root, &mut problems)?;
        load::deserialize::<AtmosFile>(checked, &mut problems)
    });
    let problems = problems.finish();
    if problem::has_errors(&problems) {
        return Err(problems);
    }
    let directory = path::parent(file).unwrap_or_default().to_owned();
    Ok(read.unwrap_or_default().into_config(directory))
}

/// Finds `atmos.yaml` from a directory upwards to the root of the source; defaults where there is none.
pub fn load(source: &dyn Source, start: &str) -> Result<AtmosConfig, ConfigError> {
    let start = path::join([start]);
    let mut directory = Some(start.as_str());
    while let Some(current) = directory {
        for name in ["atmos.yaml", "atmos.yml"] {
            let file = path::join([current, name]);
            if let Some(text) = load::read_text(source, &file)? {
                return parse(&file, &text).map_err(ConfigError::Invalid);
            }
        }
        directory = path::parent(current);
    }
    Ok(AtmosConfig::default())
}

/// The sections of `atmos.yaml` that are ours to read, as a file states them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct AtmosFile {
    base_path: Option<String>,
    stacks: Option<StacksSection>,
    components: Option<ComponentsSection>,
    settings: Option<SettingsSection>,
    templates: Option<TemplatesSection>,
    deployments: Option<DeploymentsSection>,
    ci: Option<CiConfig>,
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
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct ComponentsSection {
    terraform: Option<InfrastructureSection>,
    helmfile: Option<InfrastructureSection>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct InfrastructureSection {
    base_path: Option<String>,
    command: Option<String>,
    auto_generate_backend_file: Option<bool>,
    workspaces_enabled: Option<bool>,
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
}

/// What [`parse`] checks: the types and nothing but the types.
pub(super) fn schema() -> schemars::Schema {
    schemars::schema_for!(AtmosFile)
}

/// What the file may hold.
static RULE: LazyLock<Rule> =
    LazyLock::new(|| Rule::from_schema(schema().as_value()).unwrap_or_else(|_| Rule::anything()));

impl AtmosFile {
    fn into_config(self, directory: String) -> AtmosConfig {
        let components = self.components.unwrap_or_default();
        AtmosConfig {
            directory,
            base_path: self.base_path.unwrap_or_default(),
            stacks: self.stacks.unwrap_or_default().into_config(),
            terraform: components.terraform.unwrap_or_default().into_config(),
            helmfile: components.helmfile.unwrap_or_default().into_config(),
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
        StacksConfig {
            base_path: not_empty(self.base_path).unwrap_or(default.base_path),
            included_paths: self.included_paths.unwrap_or(default.included_paths),
            excluded_paths: self.excluded_paths.unwrap_or(default.excluded_paths),
            name_pattern: not_empty(self.name_pattern),
            name_template: not_empty(self.name_template),
            inherit_metadata: self.inherit.unwrap_or_default().metadata,
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
        }
    }
}

/// Atmos reads an empty text as absent.
fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::DirectorySource;

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = parse("atmos.yaml", "# nothing\nstacks:\n").unwrap();
        assert_eq!(config, AtmosConfig::default());
        assert_eq!(config.deployments_directory(), "deployments");
        assert_eq!(config.stacks_directory(), "stacks");
        assert_eq!(config.components_directory(ComponentKind::Terraform), "components/terraform");
        assert_eq!(config.components_directory(ComponentKind::Helmfile), "components/helmfile");
        assert_eq!(config.command(ComponentKind::Terraform), "terraform");
        assert_eq!(config.stacks.included_paths, ["**/*"]);
        assert_eq!(config.list_merge_strategy, ListMergeStrategy::Replace);
    }

    #[test]
    fn our_sections_are_read_among_all_the_others() {
        let text = r#"
base_path: "./live"
components:
  terraform:
    base_path: "../modules"
    command: tofu
    apply_auto_approve: false
    auto_generate_backend_file: true
    workspaces_enabled: false
  packer: {base_path: components/packer}
stacks:
  base_path: "config"
  included_paths: ["deploy/**/*"]
  excluded_paths: ["**/_defaults.yaml"]
  name_template: "{{ .vars.stage }}"
settings: {list_merge_strategy: append, region: !env REGION}
deployments: {base_path: apps, remote: upstream}
ci: {comment_template: comment.md.hbs, environment: "{{ deployment }}/{{ target }}"}
logs: {file: "/dev/stderr", level: Info}
templates: {settings: {enabled: false, evaluations: 2, env: {A: b}, gomplate: {timeout: 10, datasources: {}}}}
"#;
        let config = parse("infra/atmos.yaml", text).unwrap();
        assert_eq!(config.directory, "infra");
        assert_eq!(config.deployments_directory(), "infra/live/apps");
        assert_eq!(config.stacks_directory(), "infra/live/config");
        assert_eq!(config.components_directory(ComponentKind::Terraform), "infra/modules");
        assert_eq!(config.command(ComponentKind::Terraform), "tofu");
        assert_eq!(config.terraform.auto_generate_backend_file, Some(true));
        assert_eq!(config.terraform.workspaces_enabled, Some(false));
        assert_eq!(config.stacks.excluded_paths, ["**/_defaults.yaml"]);
        assert_eq!(config.stacks.name_template.as_deref(), Some("{{ .vars.stage }}"));
        assert_eq!(config.list_merge_strategy, ListMergeStrategy::Append);
        assert_eq!(config.deployments.remote.as_deref(), Some("upstream"));
        assert_eq!(config.ci.comment_template.as_deref(), Some("comment.md.hbs"));
        assert_eq!(config.ci.environment.as_deref(), Some("{{ deployment }}/{{ target }}"));
        assert_eq!(
            config.templates,
            TemplatesConfig {
                enabled: Some(false),
                evaluations: Some(2),
                delimiters: None,
                env: [("A".to_owned(), "b".to_owned())].into()
            }
        );
    }

    #[test]
    fn wrong_types_of_our_keys_are_all_reported() {
        let text = "stacks:\n  included_paths: deploy\nsettings:\n  list_merge_strategy: apend\n\
                    components:\n  terraform:\n    workspaces_enabled: no\nbase_path: !env HOME\n\
                    templates: {settings: {evaluations: -1}}\n";
        let problems: Vec<String> =
            parse("atmos.yaml", text).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "atmos.yaml:2:19: error: `included_paths` must be a list, but this is text (write it as a list: [deploy])",
                "atmos.yaml:4:24: error: `list_merge_strategy` must be `replace` or `append` or `merge`, not `apend` (did you mean `append`?)",
                "atmos.yaml:7:25: error: `workspaces_enabled` must be `true` or `false`, but this is text (write `false`)",
                "atmos.yaml:8:17: error: the tag `!env` is not supported here",
                "atmos.yaml:9:37: error: `evaluations` must be a whole number, but this is a number",
            ]
        );
    }

    #[test]
    fn the_nearest_file_upwards_is_the_one() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("infra/live/deep")).unwrap();
        let source = DirectorySource::new(directory.path());
        assert_eq!(load(&source, "infra/live").unwrap(), AtmosConfig::default());
        std::fs::write(directory.path().join("atmos.yaml"), "base_path: root").unwrap();
        std::fs::write(directory.path().join("infra/atmos.yml"), "base_path: infra").unwrap();
        assert_eq!(load(&source, "").unwrap().base_path, "root");
        let config = load(&source, "infra/live/deep/").unwrap();
        assert_eq!((config.directory.as_str(), config.base_path.as_str()), ("infra", "infra"));
    }
}
