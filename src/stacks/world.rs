//! What YAML functions ask of the world.

use serde_json::Value as Json;

use super::value::Location;

/// What YAML functions ask of the world.
pub trait Functions: Sync {
    /// `!env NAME`: a variable of the environment, where it is allowed and set.
    /// A component's own `env` comes before it.
    fn environment(&self, name: &str) -> Option<String>;

    /// `!repo-root`: the path of the repository's root, where there is one.
    fn repository_root(&self) -> Option<String>;

    /// `!terraform.output` and `!terraform.state`: an output of a component that is deployed
    /// already, or why there is none.
    fn terraform_output(&self, request: &OutputRequest<'_>) -> Result<Json, String>;

    /// Whether outputs are only shown, as they are asked for, because they are not known.
    fn shows_outputs_as_written(&self) -> bool {
        false
    }

    /// The outputs of a component of a stack whose state can be read where it is; nothing where it
    /// cannot.
    fn outputs_of(&self, _component: &str, _stack: &str) -> Option<serde_json::Map<String, Json>> {
        None
    }

    /// Takes note of an output that is only shown as it is asked for, and of where.
    fn note_unread(&self, _request: &OutputRequest<'_>, _at: &Location) {}
}

/// What a `!terraform.output` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRequest<'r> {
    pub component: &'r str,
    pub stack: &'r str,
    /// The output's name.
    pub output: &'r str,
    /// Whether the function says what to take where the component has no such
    /// output: null is an answer then.
    pub has_default: bool,
}
