//! `atmos deployment list`: deployments, their targets, their components.

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{ConfigError, LoadedAll, Problem, Severity, load_all};
use crate::context::Context;
use crate::deployment::definition::Labels;
use crate::deployment::state::TargetState;
use crate::deployment::{Deployment, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Scope;
use crate::project::Project;
use crate::project::known::known_target;
use crate::project::ledger::refuse_unheard;
use crate::project::rules::{Certainty, TrustedRules};
use crate::project::subjects::Subjects;
use crate::render;
use crate::render::document::list::{ComponentList, DeploymentItem, DeploymentList, TargetList};
use crate::text::KeyValue;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment list
  atmos deployment list deployments
  atmos deployment list targets payment-service
  atmos deployment list components payment-service --target prod
  atmos deployment list --label environment=prod")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Only what has this label, or a target that has it (repeatable: all of them)
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    label: Vec<KeyValue>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the deployments; the same as without a word
    Deployments,
    /// List the targets of a deployment
    Targets {
        /// The deployment
        deployment: DeploymentName,
    },
    /// List the components of a deployment
    Components {
        /// The deployment
        deployment: DeploymentName,
        /// What runs of them on this target
        #[arg(long, value_name = "TARGET")]
        target: Option<TargetName>,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    match &args.what {
        None | Some(What::Deployments) => deployments(&args.label, context, &repository, &project),
        Some(What::Targets { deployment }) => {
            targets(&args.label, context, &repository, &project, deployment)
        }
        Some(What::Components { deployment, target }) => {
            components(&args.label, context, &repository, &project, deployment, target.as_ref())
        }
    }
}

fn deployments(
    labels: &[KeyValue],
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
) -> Result<ExitCode, CommandError> {
    let LoadedAll { deployments, problems } = load_all(&*project.source, &project.config)?;
    if deployments.is_empty() {
        project.say_there_are_none(context);
    }
    let ledger = context.ledger(repository, &project.config)?;
    let snapshot = context.snapshot(&ledger, &Scope::All)?;
    say_left_out(context, &problems);
    let removed = snapshot.deployments.values().filter(|state| !deployments.contains_key(&state.deployment));
    let removed = removed.filter(|state| labels.is_empty() && state.used_targets().next().is_some());
    let removed: Vec<_> = removed.map(DeploymentItem::removed).collect();
    let (mut items, mut unheard) = (Vec::new(), Vec::new());
    for loaded in deployments.into_values() {
        match loaded {
            Ok(loaded) if has_labels(&loaded.deployment, labels) => {
                let name = loaded.deployment.name.clone();
                let state = snapshot.deployments.get(&name);
                items.push(DeploymentItem::new(&loaded.deployment, state));
                if state.is_none() && ledger.never_heard_of(&Scope::Deployment(name.clone())) {
                    unheard.push(name);
                }
            }
            Ok(_) => {}
            Err(ConfigError::Invalid(problems)) => say_left_out(context, &problems),
            Err(error) => return Err(error.into()),
        }
    }
    items.extend(removed);
    context.say_unheard(&ledger, &unheard.iter().collect::<Vec<_>>());
    context.print(&DeploymentList { deployments: items }, render::list::deployments)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}

/// Says which files are not listed and why.
fn say_left_out(context: &Context, problems: &[Problem]) {
    for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
        context.warn(&format!("not listed: {problem}"));
    }
}

fn targets(
    labels: &[KeyValue],
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    name: &DeploymentName,
) -> Result<ExitCode, CommandError> {
    let subjects = Subjects::read(context, project, Some(name))?;
    let deployment = subjects.one(name);
    let ledger = context.ledger(repository, &project.config)?;
    let scope = Scope::Deployment(name.clone());
    let snapshot = context.snapshot_with_rules(&ledger, &scope)?;
    let state = snapshot.into_deployment(name);
    subjects.has_file_or_state(&state)?;
    let mut list = if subjects.lacks(name) {
        TargetList::removed(&state, context.now())
    } else {
        // Rollouts obey the default branch's rules, too: they are what is shown.
        let trusted =
            TrustedRules::read(context, repository, project, &ledger, &deployment, Certainty::Provisional)?;
        let (policy, _) = trusted.everywhere(&deployment);
        TargetList::new(&policy, Some(&state), context.now())
    };
    if state.used_targets().next().is_none() && ledger.never_heard_of(&scope) {
        context.say_unheard(&ledger, &[name]);
    }
    list.observe(&ledger.observations(&state)?);
    list.targets.retain(|item| holds_all(labels, &[&deployment.labels, &item.labels]));
    context.print(&list, render::list::targets)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}

fn components(
    labels: &[KeyValue],
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    name: &DeploymentName,
    target: Option<&TargetName>,
) -> Result<ExitCode, CommandError> {
    let subjects = Subjects::read(context, project, Some(name))?;
    let deployment = subjects.one(name);
    let removed = subjects.lacks(name);
    let matching = |mut list: ComponentList| {
        let target = target.and_then(|target| deployment.targets.get(target));
        list.components.retain(|item| {
            let mut sets = vec![&deployment.labels, &item.labels];
            sets.extend(target.map(|target| &target.labels));
            holds_all(labels, &sets)
        });
        list
    };
    let ledger = context.ledger(repository, &project.config)?;
    let scope = match target {
        Some(target) if !removed => Scope::Targets(name.clone(), vec![target.clone()]),
        None if !removed => {
            // The file alone says what is declared.
            context.print(&matching(ComponentList::new(&deployment, None)), render::list::components)?;
            return Ok(ExitCode::SUCCESS);
        }
        // Only the ledger can tell that there is such a deployment.
        _ => Scope::Deployment(name.clone()),
    };
    let state = context.snapshot_with_observations(&ledger, &scope)?.into_deployment(name);
    subjects.has_file_or_state(&state)?;
    let nothing = TargetState::default();
    let mut list = match target {
        Some(target) => {
            if !state.targets.contains_key(target) {
                known_target(&deployment, target)?;
                refuse_unheard(&ledger, &scope, &state)?;
            }
            let on_target = state.targets.get(target).unwrap_or(&nothing);
            ComponentList { removed, ..ComponentList::new(&deployment, Some((target, on_target))) }
        }
        None => ComponentList::removed(&state),
    };
    list.observe(&ledger.observations(&state)?);
    context.print(&matching(list), render::list::components)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}

/// Whether a deployment has all of these labels: by itself, or together with one of its targets.
fn has_labels(deployment: &Deployment, labels: &[KeyValue]) -> bool {
    holds_all(labels, &[&deployment.labels])
        || deployment.targets.values().any(|target| holds_all(labels, &[&deployment.labels, &target.labels]))
}

/// Whether each label is in one of the sets.
fn holds_all(labels: &[KeyValue], sets: &[&Labels]) -> bool {
    labels.iter().all(|label| sets.iter().any(|set| set.get(&label.key) == Some(&label.value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::fixtures::{deployment, target_name};

    #[test]
    fn labels_hold_together_on_one_target() {
        let mut deployment = deployment(&["api"], &[("dev", &[]), ("prod", &["dev"])]);
        let set = |key: &str, value: &str| -> Labels { [(key.to_owned(), value.to_owned())].into() };
        deployment.labels = set("service", "api");
        deployment.targets[&target_name("dev")].labels = set("environment", "dev");
        deployment.targets[&target_name("prod")].labels = set("tier", "1");
        let has = |labels: &[&str]| {
            let labels: Vec<KeyValue> = labels.iter().map(|label| label.parse().unwrap()).collect();
            has_labels(&deployment, &labels)
        };
        assert!(has(&[]));
        assert!(has(&["service=api", "environment=dev"]));
        assert!(!has(&["environment=dev", "tier=1"]));
        assert!(!has(&["service=web"]));
    }
}
