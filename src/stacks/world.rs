//! The environment of YAML functions.

use serde_json::Value as Json;

use super::value::Location;

/// The queries of YAML functions to the outside world.
pub trait Functions: Sync {
    /// `!env NAME`: an environment variable, if it is allowed and set. A component's own `env`
    /// takes precedence.
    fn environment(&self, name: &str) -> Option<String>;

    /// `!repo-root`: the path of the repository's root, if any.
    fn repository_root(&self) -> Option<String>;

    /// `!terraform.output` and `!terraform.state`: an output of a deployed component, or the reason
    /// that there is none.
    fn terraform_output(&self, request: &OutputRequest<'_>) -> Result<Json, String>;

    /// Whether outputs are not known, so that only the reference to them is shown.
    fn shows_outputs_as_written(&self) -> bool {
        false
    }

    /// The outputs of a component of a stack, if its state can be read; else `None`.
    fn outputs_of(&self, _component: &str, _stack: &str) -> Option<serde_json::Map<String, Json>> {
        None
    }

    /// Records a reference to an output that is shown unresolved, and its position.
    fn note_unread(&self, _request: &OutputRequest<'_>, _at: &Location) {}
}

/// The request of a `!terraform.output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRequest<'r> {
    pub component: &'r str,
    pub stack: &'r str,
    /// The output's name.
    pub output: &'r str,
    /// Whether the function has a default for a missing output: the answer may then be null.
    pub has_default: bool,
}
