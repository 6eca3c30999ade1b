//! Resolves typed names to the targets and components of a deployment.

use indexmap::IndexSet;

use crate::deployment::names::ComponentReference;
use crate::deployment::{Component, Deployment, TargetName};
use crate::error::{Code, CommandError, did_you_mean};
use crate::render::document::error::Hint;

/// Checks that a deployment has a target; the error suggests the nearest name.
pub fn known_target(deployment: &Deployment, target: &TargetName) -> Result<(), CommandError> {
    if deployment.targets.contains_key(target) {
        return Ok(());
    }
    let message = format!("{} has no target called {target}", deployment.name);
    if deployment.targets.is_empty() {
        let status = format!("atmos deployment status {}", deployment.name);
        return Err(CommandError::new(Code::UnknownTarget, message)
            .hint(Hint::command("To see what runs where", status)));
    }
    Err(unknown_target(message, "Its targets are", target, deployment.targets.keys()))
}

/// The error for an unknown target, with the nearest name.
pub fn unknown_target<'n>(
    message: String,
    there_are: &str,
    target: &TargetName,
    names: impl Iterator<Item = &'n TargetName>,
) -> CommandError {
    let error = CommandError::new(Code::UnknownTarget, message);
    let names: IndexSet<_> = names.map(TargetName::as_str).collect();
    let names = Vec::from_iter(names);
    let listed = format!("{there_are} {}", names.join(", "));
    error.hint(did_you_mean(target.as_str(), names).unwrap_or_else(|| Hint::note(listed)))
}

/// The target of a command: the named one, or the deployment's default.
pub fn chosen_target(
    deployment: &Deployment,
    named: Option<&TargetName>,
) -> Result<TargetName, CommandError> {
    let target = named.or(deployment.context.default_target.as_ref()).ok_or_else(|| {
        let known: Vec<_> = deployment.targets.keys().map(TargetName::as_str).collect();
        let listed = format!("{} has {}", deployment.name, known.join(", "));
        CommandError::usage("which target? Name one with --target").hint(Hint::note(listed))
    })?;
    known_target(deployment, target)?;
    Ok(target.clone())
}

/// The component that a reference resolves to, or an error with the nearest name.
pub fn known_component<'d>(
    deployment: &'d Deployment,
    reference: &ComponentReference,
) -> Result<&'d Component, CommandError> {
    deployment.find(reference).ok_or_else(|| {
        let error = CommandError::new(
            Code::UnknownComponent,
            format!("{} has no component called {reference}", deployment.name),
        );
        if let Some(repeated) = repeated(deployment, reference) {
            return error.hint(Hint::note(format!("One name each; repeat the option: {repeated}")));
        }
        let names: Vec<_> = deployment.components.iter().map(|component| component.name.as_str()).collect();
        let listed = format!("Its components are {}", names.join(", "));
        match did_you_mean(&reference.0, names) {
            Some(hint) => error.hint(hint),
            None => error.hint(Hint::note(listed)),
        }
    })
}

/// The options to use instead of a comma- or blank-separated list, if all its components are known.
fn repeated(deployment: &Deployment, reference: &ComponentReference) -> Option<String> {
    let names: Vec<_> = reference.0.split([',', ' ']).filter(|name| !name.is_empty()).collect();
    let known = |name: &&str| deployment.find(&ComponentReference((*name).to_owned())).is_some();
    let options = names.iter().map(|name| format!("--component {name}")).collect::<Vec<_>>().join(" ");
    (names.len() > 1 && names.iter().all(known)).then_some(options)
}
