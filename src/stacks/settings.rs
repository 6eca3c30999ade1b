//! The settings of `atmos.yaml` that affect the meaning of stacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::list_merge::ListMergeStrategy;
use super::value::{Call, Function, Location, Value};

/// The settings of `atmos.yaml` that stacks depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct StackSettings {
    /// The folder of `atmos.yaml` relative to the repository; empty for its root.
    pub directory: String,
    /// The stacks directory relative to the repository: `base_path` and `stacks.base_path` joined.
    pub base_path: String,
    /// `stacks.included_paths`, relative to the stacks directory.
    pub included_paths: Vec<String>,
    /// `stacks.excluded_paths`, relative to the stacks directory.
    pub excluded_paths: Vec<String>,
    /// `stacks.name_pattern`: `{tenant}-{environment}-{stage}`.
    pub name_pattern: Option<String>,
    /// `stacks.name_template`: `{{ .vars.tenant }}-{{ .vars.stage }}`; it wins over the pattern.
    pub name_template: Option<String>,
    /// `stacks.inherit`.
    pub inherit: Inherit,
    /// `settings.list_merge_strategy`.
    pub list_merge_strategy: ListMergeStrategy,
    /// `templates.settings.enabled`; if false, templates are plain text.
    pub templates: bool,
    /// `templates.settings.evaluations`: the number of passes over a template; with 1, its output
    /// is not evaluated again.
    pub template_evaluations: usize,
    /// `templates.settings.delimiters`, left and right, of the templates of components.
    ///
    /// An import's `context` and a file's `locals` are always filled in between `{{` and `}}`.
    pub template_delimiters: (String, String),
    /// `templates.settings.env`: variables that take precedence over the process environment in
    /// templates.
    pub template_env: BTreeMap<String, String>,
    /// `env`: variables of every component's environment.
    pub env: BTreeMap<String, Variable>,
    /// `integrations.github`, which is the lowest layer of every component's
    /// `settings.integrations.github`.
    pub github_integration: serde_json::Map<String, serde_json::Value>,
    /// `components.<kind>`, by kind.
    pub kinds: BTreeMap<String, KindSettings>,
    /// `components.terraform.workspaces_enabled`.
    pub workspaces_enabled: bool,
    /// `components.terraform.workspace.prefix_separator`, which replaces `/` in state prefixes.
    pub workspace_prefix_separator: String,
}

/// The optional sections that components inherit from their bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inherit {
    /// `metadata`.
    pub metadata: bool,
    /// `source` and `provision`.
    pub source: bool,
}

impl Default for Inherit {
    fn default() -> Self {
        Self { metadata: true, source: true }
    }
}

/// The value of a variable of the environment.
#[derive(Debug, Clone, PartialEq)]
pub enum Variable {
    Text(String),
    /// A YAML function, by its tag with the exclamation mark.
    Function {
        tag: String,
        argument: String,
        at: Location,
    },
}

impl Variable {
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::text(text),
            Self::Function { tag, argument, at } => Value::Call(Arc::new(Call {
                function: Function::Tag(tag.as_str().into()),
                argument: Value::text(argument),
                at: at.clone(),
                context: None,
            })),
        }
    }
}

/// The settings of one kind of component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KindSettings {
    /// The components' directory relative to the repository.
    pub base_path: Option<String>,
    /// The executable for components of this kind.
    pub command: Option<String>,
}

impl Default for StackSettings {
    fn default() -> Self {
        Self {
            directory: String::new(),
            base_path: "stacks".to_owned(),
            included_paths: vec!["**/*".to_owned()],
            excluded_paths: Vec::new(),
            name_pattern: None,
            name_template: None,
            inherit: Inherit::default(),
            list_merge_strategy: ListMergeStrategy::default(),
            templates: true,
            template_evaluations: 1,
            template_delimiters: ("{{".to_owned(), "}}".to_owned()),
            template_env: BTreeMap::new(),
            env: BTreeMap::new(),
            kinds: BTreeMap::new(),
            workspaces_enabled: true,
            github_integration: serde_json::Map::new(),
            workspace_prefix_separator: "-".to_owned(),
        }
    }
}
