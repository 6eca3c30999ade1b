//! The stack that a target names: its manifest, and the state that it gives a component.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::World;
use super::own_manifest::{import_request, manifest};
use crate::deployment::definition::{StackImport, Values};
use crate::deployment::stack_layer::StackRequest;
use crate::deployment::{ComponentKind, Deployment, TargetName};
use crate::stacks::{
    Describer, ImportRequest, Location, Processing, StackComponent, StackError, StackReader,
};

/// The selected stack, for one component.
pub(super) struct Selected {
    /// The manifest, to be imported after the deployment's own imports.
    pub(super) import: ImportRequest,
    /// The component as the stack alone has it, as far as its state is concerned.
    pub(super) placement: StackComponent,
}

/// The manifests of the stacks that targets name: finding one by its name reads all stacks.
#[derive(Default)]
pub(super) struct Selections(Mutex<BTreeMap<String, String>>);

impl Selections {
    /// The stack that the request's target names, if it names one.
    pub(super) fn select(
        &self,
        request: &StackRequest<'_>,
        reader: &StackReader<'_>,
        describer: &Describer<'_>,
    ) -> Result<Option<Selected>, StackError> {
        let Some(named) = request.deployment.stack_of(request.target) else { return Ok(None) };
        let path = self.manifest_of(named, reader, describer)?;
        let (kind, name) = (request.component.kind.as_str(), request.component.name.as_str());
        let placement =
            if let Some(placement) = describer.placement(&reader.of_manifest(&path)?, kind, name)? {
                placement
            } else {
                // A component of the deployment alone is one more component of the stack.
                let stack = reader.extended(&path, &without_variables(request))?;
                let placement = describer.placement(&stack, kind, name)?;
                placement.ok_or_else(|| StackError::UnknownComponent {
                    stack: named.path.clone(),
                    component: name.to_owned(),
                    did_you_mean: None,
                })?
            };
        let import = ImportRequest { path: reader.name_of_manifest(&path), ..import_request(named) };
        Ok(Some(Selected { import, placement }))
    }

    fn manifest_of(
        &self,
        named: &StackImport,
        reader: &StackReader<'_>,
        describer: &Describer<'_>,
    ) -> Result<String, StackError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&named.path).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let path = describer.manifest_of(&named.path, || reader.all()).map_err(|error| match error {
            error @ (StackError::UnknownStack { .. } | StackError::AmbiguousStack { .. }) => {
                let at =
                    Location { file: named.file.as_str().into(), line: named.line, column: named.column };
                StackError::Import { at, message: error.to_string() }
            }
            error => error,
        })?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(named.path.clone(), path.clone());
        Ok(path)
    }
}

/// A stack that a deployment imports, and whose state its one target does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unselected {
    /// The target.
    pub target: TargetName,
    /// The name of the stack.
    pub stack: String,
    /// The workspace that the stack gives the deployment's first terraform component.
    pub workspace: String,
}

impl Unselected {
    /// The observation.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { target, stack, workspace } = self;
        format!(
            "the target {target} has a state of its own, and not that of the stack {stack} (workspace {workspace})"
        )
    }

    /// The line that selects the stack.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("to deploy the stack's state, write targets: {{{}: {{stack: {}}}}}", self.target, self.stack)
    }
}

/// The stack that is the only import of a deployment with one target, which names no stack.
pub(super) fn unselected(deployment: &Deployment, reader: &StackReader<'_>) -> Option<Unselected> {
    let [import] = deployment.stacks.as_slice() else { return None };
    let (target, on) = deployment.targets.first().filter(|_| deployment.targets.len() == 1)?;
    let path = reader.manifest_at(&import.path).ok()??;
    if on.stack.is_some() || !reader.is_stack(&path).unwrap_or(false) {
        return None;
    }
    let world = World { environment: BTreeMap::new(), repository_root: None };
    let describer = Describer::new(reader, &world, Processing::DESCRIBE);
    let stack = reader.of_manifest(&path).ok()?;
    let mut components = deployment.components.iter();
    let component = components.find(|component| component.kind == ComponentKind::Terraform)?;
    let (kind, name) = (component.kind.as_str(), component.name.as_str());
    let placement = describer.placement(&stack, kind, name).ok()??;
    Some(Unselected { target: target.clone(), stack: placement.stack, workspace: placement.workspace? })
}

/// The deployment's own part of a component without its variables, which do not decide where state
/// is kept.
fn without_variables(request: &StackRequest<'_>) -> Values {
    manifest(&StackRequest { vars: &Values::new(), ..*request })
}
