//! The deployment's own part of a component as a stack manifest, and the names that go with it.

use serde_json::json;

use crate::deployment::Component;
use crate::deployment::definition::{StackImport, Values};
use crate::deployment::stack_layer::StackRequest;
use crate::stacks::{ImportRequest, Location};

/// The deployment's own file, if it names any stack.
pub(super) fn own_file<'r>(request: &StackRequest<'r>) -> Option<&'r str> {
    let named = request.deployment.stacks.first().or_else(|| request.deployment.stack_of(request.target));
    named.map(|stack| stack.file.as_str())
}

/// The name of the stack that consists of a deployment's imports on a target. It is specific to the
/// deployment: two deployments that import the same stacks do not share the workspaces in which
/// terraform keeps their state.
pub(super) fn stack_name(request: &StackRequest<'_>) -> String {
    format!("{}-{}", request.deployment.name, request.target)
}

/// The import of a stack that a deployment or its target names.
pub(super) fn import_request(import: &StackImport) -> ImportRequest {
    let at = Location { file: import.file.as_str().into(), line: import.line, column: import.column };
    ImportRequest { path: import.path.clone(), at }
}

/// The deployment's own part of a component, as a stack manifest.
pub(super) fn manifest(request: &StackRequest<'_>) -> Values {
    let Component { name, kind, folder, .. } = request.component;
    let mut component = json!({ "vars": request.vars });
    if let Some(folder) = folder {
        // The name may be that of a component of the stacks, whose configuration is inherited; it
        // is the code's folder in any case.
        component["component"] = json!(folder);
        component["metadata"] = json!({ "component": folder });
    }
    let mut manifest = Values::new();
    manifest.insert("components".to_owned(), json!({ kind.as_str(): { name.as_str(): component } }));
    manifest
}
