//! `atmos.yaml`: the sections that deployments read. The file belongs to Atmos and has many more.

mod sections;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::deployment::ComponentKind;
use crate::deployment::definition::Values;

use super::atmos_keys;
use super::error::{ConfigError, about_file};
use super::file;
use super::path;
use super::problem::{self, Problem, Problems};
use super::shape::{self, Published, Rule};
use super::source::Source;
use super::yaml;

use sections::AtmosFile;

/// The possible file names, in lookup order.
pub const FILE_NAMES: [&str; 4] = ["atmos.yaml", "atmos.yml", ".atmos.yaml", ".atmos.yml"];

/// The settings read from `atmos.yaml`, with defaults for those that it does not set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtmosConfig {
    /// The file itself, relative to the repository's root; empty without a file.
    pub file: String,
    /// The directory that holds `atmos.yaml`, relative to the repository's root.
    pub directory: String,
    /// The base of all other base paths, relative to `directory`.
    pub base_path: String,
    pub stacks: StacksConfig,
    pub terraform: InfrastructureConfig,
    pub helmfile: InfrastructureConfig,
    /// `components.nixpack.registry`: the registry of images whose component names none.
    pub registry: Option<String>,
    /// Kinds of components that only stacks support, by name: `packer`, `ansible`.
    pub other_kinds: BTreeMap<String, InfrastructureConfig>,
    /// Environment variables of every component of the stacks.
    pub env: BTreeMap<String, Variable>,
    /// `integrations.github`: the lowest layer of every component's `settings.integrations.github`.
    pub github_integration: Values,
    pub list_merge_strategy: ListMergeStrategy,
    pub templates: TemplatesConfig,
    pub deployments: DeploymentsConfig,
    pub ci: CiConfig,
    /// The position of `auth.identities`: line and column, counted from 1.
    pub identities: Option<(usize, usize)>,
    /// Warnings about likely mistakes in the file.
    pub warnings: Vec<Problem>,
}

/// The value of a variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    Text(String),
    /// A YAML function such as `!exec`, evaluated only for components that use the variable.
    Function {
        /// With its exclamation mark.
        tag: String,
        argument: String,
        /// In `atmos.yaml`, counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
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
    /// The number of passes over a template: with 1, its output is not read as one again. Default: 1.
    pub evaluations: Option<u32>,
    /// What templates of components are written between. Default: `["{{", "}}"]`.
    pub delimiters: Option<[String; 2]>,
    /// Variables that templates see before those of the environment. Default: none.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// The locations and names of stacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StacksConfig {
    /// Default: `stacks`.
    pub base_path: String,
    /// Globs of the manifests that are stacks. Absent: the default of stacks.
    pub included_paths: Option<Vec<String>>,
    /// Globs of the manifests that are not. Absent: the default of stacks.
    pub excluded_paths: Option<Vec<String>>,
    /// The pattern of stack names: `{tenant}-{environment}-{stage}`.
    pub name_pattern: Option<String>,
    /// The template of stack names: `{{ .vars.stage }}`.
    pub name_template: Option<String>,
    /// Whether components inherit their bases' `metadata`. Default: true.
    pub inherit_metadata: Option<bool>,
    /// Whether components inherit their bases' `source` and `provision`. Default: true.
    pub inherit_source: Option<bool>,
}

impl Default for StacksConfig {
    fn default() -> Self {
        Self {
            base_path: "stacks".to_owned(),
            included_paths: None,
            excluded_paths: None,
            name_pattern: None,
            name_template: None,
            inherit_metadata: None,
            inherit_source: None,
        }
    }
}

/// The directory and executable of a kind's components. Absent: the kind's own default.
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
    /// The replacement of `/` in the names of state locations. Default: `-`.
    pub prefix_separator: Option<String>,
}

/// The locations of deployments and of their ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentsConfig {
    /// Default: `deployments`.
    pub base_path: String,
    /// The git remote of the ledger. Absent: git's own choice.
    pub remote: Option<String>,
    /// The environment variables that templates in deployments may read. Default: none.
    pub template_env: Vec<String>,
    /// The branch whose promotion rules bind. Absent: the default branch of the code's remote.
    pub rules_from: Option<String>,
    /// Keys of stacks that a rollout may ignore. Default: none.
    pub ignore: Vec<IgnoredKey>,
    /// The source of credentials for components whose stacks have `auth`. Absent: they are refused.
    pub auth: Option<Credentials>,
    pub ledger: LedgerConfig,
}

/// A key of stacks that a rollout does not act on, and that is refused unless it is named here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum IgnoredKey {
    #[serde(rename = "settings.validation")]
    Validation,
    #[serde(rename = "hooks")]
    Hooks,
    #[serde(rename = "source")]
    Source,
    #[serde(rename = "provision")]
    Provision,
    #[serde(rename = "generate")]
    Generate,
    #[serde(rename = "secrets")]
    Secrets,
    #[serde(rename = "dependencies.tools")]
    Tools,
    #[serde(rename = "settings.depends_on")]
    DependsOn,
    #[serde(rename = "dependencies.components")]
    DependenciesComponents,
}

impl IgnoredKey {
    /// The key as written in stacks.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "settings.validation",
            Self::Hooks => "hooks",
            Self::Source => "source",
            Self::Provision => "provision",
            Self::Generate => "generate",
            Self::Secrets => "secrets",
            Self::Tools => "dependencies.tools",
            Self::DependsOn => "settings.depends_on",
            Self::DependenciesComponents => "dependencies.components",
        }
    }
}

/// Where the credentials of a component come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// From the environment that a rollout runs in, whatever the `auth` of stacks says.
    Ambient,
}

impl Default for DeploymentsConfig {
    fn default() -> Self {
        Self {
            base_path: "deployments".to_owned(),
            remote: None,
            template_env: Vec::new(),
            rules_from: None,
            ignore: Vec::new(),
            auth: None,
            ledger: LedgerConfig::default(),
        }
    }
}

/// What the ledger keeps of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct LedgerConfig {
    /// Whether records say why components failed, and a note keeps what these printed last. Default: true.
    #[serde(default = "yes")]
    pub errors: bool,
    /// Variables whose overrides by `--context` are kept as a salted hash. Default: none.
    #[serde(default)]
    pub redact: Vec<String>,
    /// How many refs one push may change, where the host limits that. A record, what leads to it and
    /// its lock are always together. Absent: as many as there are.
    #[schemars(range(min = 4))]
    pub max_refs_per_push: Option<u32>,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self { errors: true, redact: Vec::new(), max_refs_per_push: None }
    }
}

/// The serde default of flags that are on unless switched off.
const fn yes() -> bool {
    true
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

    /// The directory of a kind's components, relative to the repository's root; the base path
    /// itself for kinds without a folder of their own.
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

    /// The directory of the components of a kind that deployments do not support, relative to the
    /// repository's root.
    #[must_use]
    pub fn other_components_directory(&self, kind: &str) -> String {
        match self.other_kinds.get(kind).and_then(|configured| configured.base_path.as_deref()) {
            Some(base_path) => self.directory_of(base_path),
            None => self.directory_of(&format!("components/{kind}")),
        }
    }

    /// The file of the project's own comment template, relative to the repository's root.
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

/// Parses the text of the `atmos.yaml` at `file`.
///
/// Unknown keys are ignored, unless they change the meaning of known ones; a wrong type of a known
/// key is an error.
pub fn parse(file: &str, text: &str) -> Result<AtmosConfig, Vec<Problem>> {
    let mut problems = Problems::new(file, text);
    let (mut env, mut identities) = (BTreeMap::new(), None);
    let read = yaml::compose(text, &mut problems).and_then(|root| {
        env = variables(&root, &mut problems);
        atmos_keys::check(&root, &mut problems);
        let declared = root.entry(&["auth", "identities"]).filter(|entry| !entry.node.entries().is_empty());
        identities = declared.map(|entry| (entry.key.span.line, entry.key.span.column));
        let checked = shape::check(&RULE, &root, &mut problems)?;
        file::deserialize::<AtmosFile>(checked, &mut problems)
    });
    let problems = problems.finish();
    if problem::has_errors(&problems) {
        return Err(problems);
    }
    let directory = path::parent(file).unwrap_or_default().to_owned();
    let read = read.unwrap_or_default().into_config(directory);
    Ok(AtmosConfig { env, identities, warnings: problems, file: file.to_owned(), ..read })
}

/// The variables under `env`. YAML functions are kept unevaluated: few commands need their values.
fn variables(root: &yaml::Node, problems: &mut Problems<'_>) -> BTreeMap<String, Variable> {
    let mut variables = BTreeMap::new();
    let Some(env) = root.entry(&["env"]).map(|entry| &entry.node) else { return variables };
    if !matches!(env.value, yaml::Value::Mapping(_) | yaml::Value::Null) {
        problems.error(env.span, format!("`env` must be a mapping, but this is {}", env.type_name()), None);
    }
    for yaml::Entry { key, node } in env.entries() {
        let text = match &node.value {
            yaml::Value::Text(text) => text.clone(),
            yaml::Value::Boolean(value) => value.to_string(),
            yaml::Value::Number(value) => value.to_string(),
            yaml::Value::Null => String::new(),
            yaml::Value::List(_) | yaml::Value::Mapping(_) => {
                let message = format!("`{}` must be text, but this is {}", key.text, node.type_name());
                problems.error(node.span, message, None);
                continue;
            }
        };
        let value = match &node.tag {
            Some(tag) => Variable::Function {
                tag: tag.clone(),
                argument: text,
                line: node.span.line,
                column: node.span.column,
            },
            None => Variable::Text(text),
        };
        variables.insert(key.text.clone(), value);
    }
    variables
}

/// Finds `atmos.yaml` from a directory upwards to the root of the source; returns the defaults if
/// there is none.
pub fn load(source: &dyn Source, start: &str) -> Result<AtmosConfig, ConfigError> {
    let start = path::join([start]);
    let mut directory = Some(start.as_str());
    while let Some(current) = directory {
        for name in FILE_NAMES {
            let file = path::join([current, name]);
            if let Some(text) = file::read_text(source, &file)? {
                refuse_fragments(source, current)?;
                return parse(&file, &text).map_err(ConfigError::Invalid);
            }
        }
        directory = path::parent(current);
    }
    Ok(AtmosConfig::default())
}

/// Refuses the fragments that Atmos merges into `atmos.yaml`: their content would be ignored here.
fn refuse_fragments(source: &dyn Source, directory: &str) -> Result<(), ConfigError> {
    for folder in ["atmos.d", ".atmos.d"] {
        let folder = path::join([directory, folder]);
        let names = source.list(&folder)?;
        let is_yaml = |name: &&String| name.ends_with(".yaml") || name.ends_with(".yml");
        if let Some(name) = names.iter().filter(is_yaml).min() {
            let file = path::join([folder.as_str(), name]);
            let message =
                "configuration in pieces is not supported, and this one would not be read".to_owned();
            let hint = "write what it says into atmos.yaml".to_owned();
            return Err(ConfigError::Invalid(about_file(&file, message, Some(hint))));
        }
    }
    Ok(())
}

/// The JSON schema of the keys that are read here: only their types.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(AtmosFile)
}

/// The validation rule, read from the published schema.
pub(super) static RULE: Rule = Rule::of_schema(&SCHEMA);
static SCHEMA: Published = include!(concat!(env!("OUT_DIR"), "/atmos.schema.rs"));
