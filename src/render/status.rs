//! `status` as text.

mod facts;

use super::document::status::{ComponentStatus, DeploymentEntry, DeploymentStatus, TargetEntry};
use super::style::ID;
use super::table::{Cell, Table};
use super::{Form, Presentation, status_style};
use crate::deployment::{CommitId, RecordStatus};

use self::facts::{details, observations, record_facts, warnings};

/// The status: one target in full, one deployment by target, or many deployments.
#[must_use]
pub fn text(status: &DeploymentStatus, presentation: &Presentation) -> String {
    match status.deployments.as_slice() {
        // The columns do not depend on the amount of data, so that scripts can rely on them.
        all if presentation.form == Form::Pipe => every_deployment(all, presentation),
        [] => "No deployments.\n".to_owned(),
        [deployment] => match deployment.targets.as_slice() {
            [target] => one_target(deployment, target, presentation),
            _ => one_deployment(deployment, presentation),
        },
        many => {
            let sections: Vec<_> =
                many.iter().map(|deployment| one_deployment(deployment, presentation)).collect();
            sections.join("\n")
        }
    }
}

fn one_target(deployment: &DeploymentEntry, target: &TargetEntry, presentation: &Presentation) -> String {
    let mut table = Table::new(["Component", "Commit", "Deployed", "By", "Status"]);
    for component in &target.components {
        table.row([
            marked(component.component.as_str(), component.removed).into(),
            commit_cell(component.commit.as_ref()),
            component
                .deployed_at
                .map(|at| presentation.clock.relative_and_exact(at))
                .unwrap_or_default()
                .into(),
            component.deployed_by.as_deref().unwrap_or_default().into(),
            status_cell(component.status),
        ]);
    }
    let name = marked(deployment.deployment.as_str(), deployment.removed);
    let title = format!("{name} → {}", marked(target.target.as_str(), target.removed));
    let mut text = presentation.title(&title);
    if target.components.is_empty() && presentation.form == Form::Terminal {
        text.push_str("Nothing is deployed.\n");
    } else {
        text.push_str(&table.render(presentation.form));
    }
    let mut facts = record_facts(&target.components, presentation);
    facts.extend(observations(&target.components, presentation));
    facts.extend(warnings(target, presentation));
    text + &below(&facts)
}

fn one_deployment(deployment: &DeploymentEntry, presentation: &Presentation) -> String {
    let mut table = Table::new(["Target", "Component", "Commit", "Deployed", "Status"]);
    let mut facts = Vec::new();
    for target in &deployment.targets {
        for [component, commit, deployed, status] in rows(target, presentation) {
            table.row([
                marked(target.target.as_str(), target.removed).into(),
                component,
                commit,
                deployed,
                status,
            ]);
        }
        let seen = observations(&target.components, presentation).into_iter();
        let lines = seen.chain(warnings(target, presentation));
        facts.extend(lines.map(|line| format!("{}: {line}", target.target)));
    }
    let mut text = presentation.title(&marked(deployment.deployment.as_str(), deployment.removed));
    if deployment.targets.is_empty() && presentation.form == Form::Terminal {
        text.push_str("Nothing is deployed.\n");
    } else {
        text.push_str(&table.render(presentation.form));
    }
    text + &below(&facts)
}

/// One table for programs, and nothing else. Every row has its deployment, and the details that
/// people see below their table.
fn every_deployment(deployments: &[DeploymentEntry], presentation: &Presentation) -> String {
    let mut table =
        Table::new(["Deployment", "Target", "Component", "Commit", "Deployed", "By", "Status", "Details"]);
    for deployment in deployments {
        for target in &deployment.targets {
            let components = target.components.iter().map(Some).chain([None]);
            for ([_, commit, deployed, status], component) in
                rows(target, presentation).into_iter().zip(components)
            {
                let by = component.and_then(|component| component.deployed_by.as_deref()).unwrap_or_default();
                let name = component.map_or("", |component| component.component.as_str());
                table.row([
                    deployment.deployment.as_str().into(),
                    target.target.as_str().into(),
                    name.into(),
                    commit,
                    deployed,
                    by.into(),
                    status,
                    details(deployment, target, component, presentation).into(),
                ]);
            }
        }
    }
    table.render(presentation.form)
}

/// A target's components by name, commit, age and status; one row for a target without any.
fn rows(target: &TargetEntry, presentation: &Presentation) -> Vec<[Cell; 4]> {
    if target.components.is_empty() {
        return vec![["".into(), "".into(), "".into(), "not deployed".into()]];
    }
    let row = |component: &ComponentStatus| {
        [
            marked(component.component.as_str(), component.removed).into(),
            commit_cell(component.commit.as_ref()),
            presentation.relative(component.deployed_at).into(),
            status_cell(component.status),
        ]
    };
    target.components.iter().map(row).collect()
}

/// A commit in short, or `-`.
pub(super) fn commit_cell(commit: Option<&CommitId>) -> Cell {
    Cell::styled(commit.map(CommitId::short).unwrap_or_default(), ID)
}

/// A record's status, or `-`.
pub(super) fn status_cell(status: Option<RecordStatus>) -> Cell {
    status.map_or_else(|| "".into(), |status| Cell::styled(status.as_str(), status_style(status)))
}

/// A name, marked where it is not declared any more.
pub(super) fn marked(name: &str, removed: bool) -> String {
    if removed { format!("{name} (removed)") } else { name.to_owned() }
}

/// Lines below a table, separated by an empty line.
fn below(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

#[cfg(test)]
mod tests {

    use std::sync::Arc;

    use super::super::fixtures::{json, now, pipe, plain, terminal};
    use super::*;
    use crate::deployment::fixtures::{
        component_name, deployment, lock, record, running, state, target_name,
    };
    use crate::deployment::lock::LockScope;
    use crate::deployment::record::Record;
    use crate::deployment::state::{ComponentState, DeploymentState};

    const AT: &str = "2025-01-22T12:00:00Z";

    fn document(state: &DeploymentState) -> DeploymentStatus {
        let deployment = deployment(
            &["api", "worker", "database"],
            &[("dev", &[]), ("staging", &["dev"]), ("prod", &["staging"])],
        );
        DeploymentStatus {
            deployments: vec![DeploymentEntry::new(Some(&deployment), state, now())],
            fan_in: None,
        }
    }

    /// A component with a changed record of its running commit.
    fn recorded(name: &str, change: impl Fn(&mut Record)) -> ComponentState {
        let mut component = running("prod", name, "abc123d", AT);
        for record in [&mut component.newest, &mut component.running].into_iter().flatten() {
            change(&mut Arc::make_mut(record).record);
        }
        component
    }

    fn promoted(name: &str) -> ComponentState {
        recorded(name, |record| {
            record.promoted_from = Some(target_name("staging"));
            record.build_id = Some("build-482".to_owned());
            record.metadata = [
                ("approver", "alice@example.com"),
                ("approval_timestamp", "2025-01-22T11:55:00Z"),
                ("pr", "#482"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        })
    }

    #[test]
    fn a_target_as_in_the_specification() {
        let components = ["api", "worker", "database"].map(|name| (name, promoted(name)));
        let document = document(&state(vec![("prod", components.into())]));
        insta::assert_snapshot!("status_target", plain(&text(&document, &terminal())));
        insta::assert_snapshot!("status_target_pipe", text(&document, &pipe()));
    }

    #[test]
    fn facts_that_differ_name_their_components() {
        let other = recorded("worker", |record| record.promoted_from = Some(target_name("dev")));
        let document = document(&state(vec![("prod", vec![("api", promoted("api")), ("worker", other)])]));
        insta::assert_snapshot!("status_facts_differ", plain(&text(&document, &terminal())));
    }

    #[test]
    fn a_failed_attempt_leaves_what_runs() {
        let mut api = promoted("api");
        api.newest =
            Some(record("prod", "api", "def456a", RecordStatus::Failed, "2025-01-22T13:30:00Z").into());
        api.unpublished = 1;
        let never = ComponentState {
            newest: Some(
                record("prod", "ecs/new", "def456a", RecordStatus::Cancelled, "2025-01-22T13:30:00Z").into(),
            ),
            ..ComponentState::default()
        };
        let mut state = state(vec![("prod", vec![("api", api), ("ecs/new", never)])]);
        state.targets.get_mut(&target_name("prod")).unwrap().locks = vec![
            lock(LockScope::Target, None),
            lock(LockScope::Component(component_name("api")), Some("2025-01-22T14:10:00Z")),
        ];
        let document = document(&state);
        insta::assert_snapshot!("status_failed", plain(&text(&document, &terminal())));
        insta::assert_snapshot!("status_failed_json", json(&document));
    }

    #[test]
    fn a_lock_that_has_expired_is_in_nobodys_way() {
        let mut state = state(vec![("prod", vec![("api", promoted("api"))])]);
        state.targets.get_mut(&target_name("prod")).unwrap().locks =
            vec![lock(LockScope::Target, Some("2025-01-22T13:59:00Z"))];
        assert!(!text(&document(&state), &terminal()).contains("Frozen"));
    }

    #[test]
    fn a_deployment_in_the_order_of_its_file() {
        let of = |target: &str, commit, at| {
            ["api", "worker"].map(|name| (name, running(target, name, commit, at))).to_vec()
        };
        let document = document(&state(vec![
            ("dev", of("dev", "def456a", "2025-01-22T13:30:00Z")),
            ("staging", Vec::new()),
            ("prod", of("prod", "abc123d", AT)),
            ("gone", vec![("old", running("gone", "old", "abc123d", "2024-01-01T00:00:00Z"))]),
        ]));
        insta::assert_snapshot!("status_deployment", plain(&text(&document, &terminal())));
        insta::assert_snapshot!("status_deployment_pipe", text(&document, &pipe()));
    }

    #[test]
    fn every_row_of_many_deployments_says_which_it_is_about_in_a_pipe() {
        let state = state(vec![("prod", vec![("api", promoted("api"))])]);
        let entry = DeploymentEntry::new(None, &state, now());
        let other =
            DeploymentEntry { deployment: "inventory".parse().unwrap(), removed: true, targets: Vec::new() };
        let document = DeploymentStatus { deployments: vec![entry, other], fan_in: None };
        insta::assert_snapshot!("status_all", plain(&text(&document, &terminal())));
        insta::assert_snapshot!("status_all_pipe", text(&document, &pipe()));
    }

    #[test]
    fn what_the_files_do_not_name_any_more_is_marked() {
        let state = state(vec![
            ("prod", vec![("api", promoted("api")), ("web", promoted("web"))]),
            ("qa", vec![("api", promoted("api"))]),
        ]);
        let mut document = document(&state);
        insta::assert_snapshot!("status_removed", plain(&text(&document, &terminal())));
        insta::assert_snapshot!("status_removed_pipe", text(&document, &pipe()));
        document.deployments[0].removed = true;
        document.deployments[0].targets.truncate(1);
        let shown = plain(&text(&document, &terminal()));
        assert!(shown.starts_with("payment-service (removed) → prod\n"), "{shown}");
    }

    #[test]
    fn a_pipe_gets_one_table_and_nothing_below_it() {
        let mut frozen = state(vec![("prod", vec![("api", promoted("api"))]), ("dev", Vec::new())]);
        frozen.targets.get_mut(&target_name("dev")).unwrap().locks = vec![lock(LockScope::Target, None)];
        let shown = text(&document(&frozen), &pipe());
        let columns = |line: &str| line.matches('\t').count();
        assert!(shown.lines().all(|line| columns(line) == 7), "{shown}");
        assert!(shown.contains("Promoted from: staging") && shown.contains("Frozen by alice"), "{shown}");
    }

    #[test]
    fn nothing_is_said_plainly() {
        let none = DeploymentStatus { deployments: Vec::new(), fan_in: None };
        assert_eq!(text(&none, &terminal()), "No deployments.\n");
        assert_eq!(
            text(&none, &pipe()),
            "Deployment\tTarget\tComponent\tCommit\tDeployed\tBy\tStatus\tDetails\n"
        );
        let empty = document(&state(vec![("prod", Vec::new())]));
        assert_eq!(plain(&text(&empty, &terminal())), "payment-service → prod\n\nNothing is deployed.\n");
    }

    #[test]
    fn a_ledger_of_plain_refs_has_commits_and_nothing_else() {
        let plain_ref = ComponentState { newest: None, running: None, ..promoted("api") };
        let document = document(&state(vec![("prod", vec![("api", plain_ref)])]));
        assert_eq!(
            text(&document, &pipe()),
            "Deployment\tTarget\tComponent\tCommit\tDeployed\tBy\tStatus\tDetails\n\
             payment-service\tprod\tapi\tabc123d\t-\t-\t-\t-\n"
        );
    }

    #[test]
    fn what_others_wrote_cannot_write_on_the_terminal() {
        let hostile = recorded("api", |record| {
            record.deployed_by = Some("\u{1b}]0;title\u{7}ci\napi\tabc".to_owned());
            record.metadata.insert("approver".to_owned(), "\u{1b}[2Jme".to_owned());
            record.metadata.insert("pr".to_owned(), "1\n2".to_owned());
        });
        let document = document(&state(vec![("prod", vec![("api", hostile)])]));
        let shown = text(&document, &pipe());
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown}");
        insta::assert_snapshot!("status_hostile", shown);
    }
}
