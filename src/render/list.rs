//! `list` as text: deployments, targets, components.

use jiff::Timestamp;

use super::document::list::{ComponentList, DeploymentItem, DeploymentList, TargetList};
use super::status::{commit_cell, marked, status_cell};
use super::table::{Cell, Table};
use super::{Form, Presentation};
use crate::deployment::{ComponentKind, ComponentName};

/// The maximum number of named components.
const NAMED_COMPONENTS: usize = 2;

/// The deployments of a repository.
#[must_use]
pub fn deployments(list: &DeploymentList, presentation: &Presentation) -> String {
    let mut table = Table::new(["Name", "Targets", "Components", "Last Deploy"]);
    for item in &list.deployments {
        let targets = item.targets.iter().map(ToString::to_string);
        let removed = item.removed_targets.iter().map(|target| marked(target.as_str(), !item.removed));
        let targets: Vec<_> = targets.chain(removed).collect();
        let newest = item.last_deploy.as_ref();
        table.row([
            marked(item.deployment.as_str(), item.removed).into(),
            targets.join(", ").into(),
            component_cell(item).into(),
            newest
                .map(|newest| format!("{} ({})", presentation.clock.relative(newest.at), newest.target))
                .unwrap_or_default()
                .into(),
        ]);
    }
    let title = presentation.title(&format!("Deployments ({})", list.deployments.len()));
    if list.deployments.is_empty() && presentation.form == Form::Terminal {
        return "No deployments.\n".to_owned();
    }
    title + &table.render(presentation.form)
}

/// The number and names of components, and the number of undeclared ones:
/// `3 (api, worker, …), 1 removed`.
fn component_cell(item: &DeploymentItem) -> String {
    let removed = item.removed_components.len();
    let declared = item.components.iter().map(|component| &component.component);
    match removed {
        0 => component_summary(declared),
        _ if item.removed => component_summary(item.removed_components.iter()),
        _ => format!("{}, {removed} removed", component_summary(declared)),
    }
}

fn component_summary<'a>(components: impl ExactSizeIterator<Item = &'a ComponentName>) -> String {
    let number = components.len();
    let mut names: Vec<_> = components.take(NAMED_COMPONENTS).map(ComponentName::as_str).collect();
    if number > NAMED_COMPONENTS {
        names.push("…");
    }
    if names.is_empty() { "0".to_owned() } else { format!("{number} ({})", names.join(", ")) }
}

/// The targets of a deployment.
#[must_use]
pub fn targets(list: &TargetList, presentation: &Presentation) -> String {
    let mut table =
        Table::new(["Target", "Promotion From", "Requires Approval", "Last Deploy", "Status", "Health"]);
    for item in &list.targets {
        let sources: Vec<_> = item.promotion_from.iter().map(AsRef::as_ref).collect();
        let sources = if item.removed {
            String::new()
        } else if sources.is_empty() {
            "(entry point)".to_owned()
        } else {
            sources.join(", ")
        };
        let approval = match (item.removed, item.requires_approval) {
            (true, _) => "",
            (false, true) => "yes",
            (false, false) => "no",
        };
        let status = if item.frozen {
            let status = item.status.map_or("", crate::deployment::RecordStatus::as_str);
            format!("{status} (frozen)").trim_start().into()
        } else {
            status_cell(item.status)
        };
        table.row([
            marked(item.target.as_str(), item.removed).into(),
            sources.into(),
            approval.into(),
            presentation.relative(item.last_deploy).into(),
            status,
            health_cell(item.health.as_deref(), item.health_checked_at, presentation),
        ]);
    }
    let name = marked(list.deployment.as_str(), list.removed);
    presentation.title(&format!("{name} targets")) + &table.render(presentation.form)
}

/// The result of the last health check, and its age.
fn health_cell(found: Option<&str>, at: Option<Timestamp>, presentation: &Presentation) -> Cell {
    found.map(|found| presentation.seen(found, at)).unwrap_or_default().into()
}

fn kind_cell(kind: Option<ComponentKind>) -> Cell {
    kind.map(ComponentKind::as_str).unwrap_or_default().into()
}

/// The components of a deployment, on one of its targets if one is named.
#[must_use]
pub fn components(list: &ComponentList, presentation: &Presentation) -> String {
    let name = marked(list.deployment.as_str(), list.removed);
    let Some(target) = &list.target else {
        let mut table = Table::new(["Component", "Type"]);
        for item in &list.components {
            table.row([marked(item.component.as_str(), item.removed).into(), kind_cell(item.kind)]);
        }
        let title = presentation.title(&format!("{name} components"));
        return title + &table.render(presentation.form);
    };
    let mut table = Table::new(["Component", "Type", "Commit", "Deployed", "Status", "Health"]);
    for item in &list.components {
        table.row([
            marked(item.component.as_str(), item.removed).into(),
            kind_cell(item.kind),
            commit_cell(item.commit.as_ref()),
            presentation.relative(item.deployed_at).into(),
            status_cell(item.status),
            health_cell(item.health.as_deref(), item.health_checked_at, presentation),
        ]);
    }
    let title = presentation.title(&format!("{name} → {target} components"));
    title + &table.render(presentation.form)
}

#[cfg(test)]
mod tests {

    use super::super::fixtures::{json, now, pipe, plain, terminal};
    use super::*;
    use crate::deployment::Deployment;
    use crate::deployment::fixtures::{deployment, lock, observed, running, state, target_name};
    use crate::deployment::health::HealthStatus;
    use crate::deployment::lock::LockScope;
    use crate::deployment::state::DeploymentState;

    fn payment_service() -> (Deployment, DeploymentState) {
        let deployment = deployment(
            &["api", "ecs/worker", "database"],
            &[("dev", &[]), ("staging", &["dev"]), ("prod", &["staging", "dev"])],
        );
        let mut state = state(vec![
            ("dev", vec![("api", running("dev", "api", "def456a", "2025-01-22T13:30:00Z"))]),
            ("prod", vec![("ecs/worker", running("prod", "ecs/worker", "abc123d", "2025-01-22T12:00:00Z"))]),
        ]);
        state.targets.get_mut(&target_name("prod")).unwrap().locks = vec![lock(LockScope::Target, None)];
        (deployment, state)
    }

    #[test]
    fn deployments_in_one_row_each() {
        let (deployment, state) = payment_service();
        let list = DeploymentList {
            deployments: vec![
                DeploymentItem::new(&deployment, Some(&state)),
                DeploymentItem::new(&crate::deployment::fixtures::deployment(&[], &[]), None),
            ],
        };
        insta::assert_snapshot!("list_deployments", plain(&deployments(&list, &terminal())));
        insta::assert_snapshot!("list_deployments_pipe", deployments(&list, &pipe()));
        insta::assert_snapshot!("list_deployments_json", json(&list));
    }

    #[test]
    fn targets_with_their_rules() {
        let (deployment, state) = payment_service();
        let mut list = TargetList::new(&deployment, Some(&state), now());
        list.observe(&observed(&[("prod", "ecs/worker", HealthStatus::Healthy, "3/3 tasks")]));
        insta::assert_snapshot!("list_targets", plain(&targets(&list, &terminal())));
        insta::assert_snapshot!("list_targets_json", json(&list));
    }

    #[test]
    fn what_the_files_do_not_name_any_more_is_marked() {
        let (deployment, state) = payment_service();
        let declared = crate::deployment::fixtures::deployment(&["api"], &[("dev", &[])]);
        let list = DeploymentList {
            deployments: vec![DeploymentItem::new(&declared, Some(&state)), DeploymentItem::removed(&state)],
        };
        insta::assert_snapshot!("list_deployments_removed", plain(&deployments(&list, &terminal())));
        let list = TargetList::new(&declared, Some(&state), now());
        insta::assert_snapshot!("list_targets_removed", plain(&targets(&list, &terminal())));
        let prod = target_name("prod");
        let list = ComponentList::new(&declared, Some((&prod, &state.targets[&prod])));
        insta::assert_snapshot!("list_components_removed", plain(&components(&list, &terminal())));
        let all = ComponentList::new(&deployment, Some((&prod, &state.targets[&prod])));
        assert!(all.components.iter().all(|item| !item.removed));
    }

    #[test]
    fn components_with_and_without_a_target() {
        let (deployment, state) = payment_service();
        let prod = target_name("prod");
        let mut list = ComponentList::new(&deployment, Some((&prod, &state.targets[&prod])));
        list.observe(&observed(&[("prod", "ecs/worker", HealthStatus::Healthy, "3/3 tasks")]));
        insta::assert_snapshot!("list_components", plain(&components(&list, &terminal())));
        insta::assert_snapshot!("list_components_pipe", components(&list, &pipe()));
        insta::assert_snapshot!("list_components_json", json(&list));
        let list = ComponentList::new(&deployment, None);
        insta::assert_snapshot!("list_components_without_target", plain(&components(&list, &terminal())));
    }

    #[test]
    fn no_deployments() {
        let none = DeploymentList { deployments: Vec::new() };
        assert_eq!(deployments(&none, &terminal()), "No deployments.\n");
        assert_eq!(deployments(&none, &pipe()), "Name\tTargets\tComponents\tLast Deploy\n");
    }
}
