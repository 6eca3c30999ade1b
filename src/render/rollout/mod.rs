//! `rollout` as text: the progress while it works, and the result.

mod progress;

use std::time::Duration;

pub use self::progress::Progress;
use super::document::rollout::{RolloutComponent, RolloutResult};
use super::escape::escape;
use super::style::{BAD, DETAIL, GOOD, ID, WARN};
use super::{Presentation, count, styled, time};
use crate::deployment::count::count_have;
use crate::deployment::rollout_report::{self, Changes, ComponentResult};
use crate::deployment::{CommitId, ComponentKind, ComponentName};

/// The distinct short commits, in their order.
fn distinct<'a>(commits: impl Iterator<Item = &'a CommitId>) -> Vec<&'a str> {
    let mut shown = Vec::new();
    for commit in commits.map(CommitId::short) {
        if !shown.contains(&commit) {
            shown.push(commit);
        }
    }
    shown
}

fn qualified(kind: ComponentKind, component: &ComponentName) -> String {
    escape(&format!("{kind}/{component}")).into_owned()
}

/// The planned change of a component, with its overridden keys.
fn planned_step(previous: Option<&CommitId>, commit: &CommitId, overridden: &[String]) -> String {
    if overridden.is_empty() {
        return commits(previous, commit);
    }
    let step = match previous {
        Some(previous) if previous == commit => commit.short().to_owned(),
        previous => commits(previous, commit),
    };
    format!("{step}, with --context {}", escape(&overridden.join(", ")))
}

fn commits(previous: Option<&CommitId>, commit: &CommitId) -> String {
    match previous {
        Some(previous) if previous == commit => format!("{}, no change", commit.short()),
        Some(previous) => format!("{} → {}", previous.short(), commit.short()),
        None => format!("new: {}", commit.short()),
    }
}

pub(super) fn planned_changes(changes: Changes) -> String {
    if changes.is_empty() {
        "no changes".to_owned()
    } else {
        format!("{} to add, {} to change, {} to destroy", changes.add, changes.change, changes.destroy)
    }
}

/// The result, for stdout; the progress has shown the components.
#[must_use]
pub fn text(result: &RolloutResult, _: &Presentation) -> String {
    let components = |status| result.components.iter().filter(move |component| component.status == status);
    let took = time::duration(Duration::try_from_secs_f64(result.duration_seconds).unwrap_or_default());
    let all = count(result.components.len(), "component");
    let skipped = match components(ComponentResult::Skipped).count() {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    let mut text = String::new();
    let (heading, ending) = match result.result {
        rollout_report::RolloutResult::Success if result.dry_run => {
            (styled("Planned; nothing was changed.", GOOD), "Planned in")
        }
        rollout_report::RolloutResult::Success
            if !result.components.is_empty() && result.components.iter().all(|it| it.already_deployed) =>
        {
            (styled("Nothing was applied: this run has deployed it already.", GOOD), "Checked in")
        }
        rollout_report::RolloutResult::Success => {
            let ending = match (&result.promoted_from, &result.rolled_back_to) {
                (Some(_), _) => "Promoted in",
                (None, Some(_)) => "Rolled back in",
                (None, None) => "Deployed in",
            };
            (styled("Deployment complete:", GOOD), ending)
        }
        rollout_report::RolloutResult::Failed => {
            let failed = components(ComponentResult::Failed).count();
            let heading = match (result.dry_run, failed) {
                (true, _) => format!("Plan failed: {failed} of {all} failed{skipped}"),
                (false, 0) => format!("Deployment incomplete: of {all}{}", skipped.replacen(',', "", 1)),
                (false, _) => format!("Deployment failed: {failed} of {all} failed{skipped}"),
            };
            (styled(&heading, BAD), "Failed after")
        }
        rollout_report::RolloutResult::Refused => {
            (styled("Deployment refused; nothing was applied.", BAD), "Refused after")
        }
        rollout_report::RolloutResult::Cancelled => {
            let cancelled = components(ComponentResult::Cancelled).count();
            let heading = format!("Deployment cancelled: {cancelled} of {all} cancelled{skipped}");
            (styled(&heading, WARN), "Cancelled after")
        }
    };
    push!(text, "\n  {heading}\n");
    for component in &result.components {
        text.push_str(&outcome(component, result));
    }
    if result.result == rollout_report::RolloutResult::Success && !result.dry_run {
        let mut left: Vec<_> =
            result.components.iter().filter_map(|component| component.rollback_of.as_deref()).collect();
        left.dedup();
        if !left.is_empty() {
            let left: Vec<_> = left.into_iter().map(super::history::short).collect();
            push!(text, "    → rollback_of: {}\n", left.join(", "));
        }
    }
    for component in &result.components {
        text.push_str(&outputs(component));
    }
    if result.dry_run && result.result == rollout_report::RolloutResult::Success {
        push!(text, "\n  Digest {}\n", styled(&result.digest, ID));
    }
    if result.unpublished > 0 {
        let line = format!("{} not reached the remote yet", count_have(result.unpublished, "record"));
        push!(text, "    {}\n", styled(&line, WARN));
    }
    push!(text, "\n  {ending} {took}\n");
    text
}

/// The maximum number of shown outputs of a component.
const MOST_OUTPUTS: usize = 20;

/// The maximum length of a shown output, in characters.
const LONGEST_OUTPUT: usize = 200;

/// The outputs of a component, one per line and possibly shortened; the document has all of them.
fn outputs(component: &RolloutComponent) -> String {
    let mut text = String::new();
    if component.outputs.is_empty() {
        return text;
    }
    push!(text, "\n  Outputs of {}\n", qualified(component.kind, &component.component));
    for (name, value) in component.outputs.iter().take(MOST_OUTPUTS) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut characters = value.chars();
        let shown: String = characters.by_ref().take(LONGEST_OUTPUT).collect();
        let rest = if characters.next().is_some() { "…" } else { "" };
        push!(text, "    {} = {}{rest}\n", escape(name), escape(&shown));
    }
    let more = component.outputs.len().saturating_sub(MOST_OUTPUTS);
    if more > 0 {
        push!(text, "    … {more} more\n");
    }
    text
}

/// The result of one component: its state ref and record, or the reason why there is none.
fn outcome(component: &RolloutComponent, result: &RolloutResult) -> String {
    let name = qualified(component.kind, &component.component);
    let reason = component.error.as_ref().map(|error| format!(": {}", escape(error))).unwrap_or_default();
    match component.status {
        ComponentResult::Success => {
            let commit = styled(component.commit.short(), ID);
            let state =
                component.state_ref.as_ref().map(|name| format!("    → {} → {commit}\n", escape(name)));
            let record = component.record.as_ref().map(|record| format!("    → {}\n", escape(record)));
            state.unwrap_or_default() + &record.unwrap_or_default()
        }
        ComponentResult::Failed => format!("    {} {name}{reason}\n", styled("✗", BAD)),
        ComponentResult::Cancelled => format!("    {} {name} (cancelled){reason}\n", styled("✗", WARN)),
        ComponentResult::Skipped => {
            let notice = component.notice.as_ref().map(|notice| format!(": {}", escape(notice)));
            format!("    {} {name} (skipped){reason}{}\n", styled("-", DETAIL), notice.unwrap_or_default())
        }
        ComponentResult::Planned if result.dry_run => {
            let change =
                planned_step(component.previous_commit.as_ref(), &component.commit, &component.overridden);
            let changes = component.changes.map(|changes| format!(", {}", planned_changes(changes)));
            format!("    {name}: {change}{}\n", changes.unwrap_or_default())
        }
        ComponentResult::Planned => String::new(),
    }
}

#[cfg(test)]
mod tests {

    use super::super::fixtures::{json, now, plain, terminal};
    use super::super::{Clock, Form};
    use super::*;
    use crate::deployment::RecordId;
    use crate::deployment::definition::ApprovalMethod;
    use crate::deployment::fixtures::{commit, component_name, target_name, time};
    use crate::deployment::rollout_report::{
        Approval, ComponentReport, PlannedComponent, PlannedRollout, RolloutEvent, RolloutKind, RolloutReport,
    };

    fn plan(kind: RolloutKind) -> PlannedRollout {
        let goes_back = matches!(kind, RolloutKind::Rollback { .. });
        PlannedRollout {
            partial: false,
            would_be_refused: Vec::new(),
            deployment: "api".parse().unwrap(),
            target: target_name("prod"),
            approval: matches!(kind, RolloutKind::Promotion { .. }).then_some(ApprovalMethod::Ci),
            kind,
            dry_run: false,
            digest: format!("v1:sha256:{}", "0c".repeat(32)),
            components: ["ecr/api", "ecs/service-api"]
                .map(|name| PlannedComponent {
                    goes_back,
                    component: component_name(name),
                    kind: ComponentKind::Terraform,
                    previous_commit: Some(commit("abc123d")),
                    commit: commit("def456a"),
                    deployed_at: Some(time("2025-01-22T12:00:00Z")),
                    waits_for: Vec::new(),
                    state: None,
                })
                .to_vec(),
        }
    }

    fn component(name: &str, status: ComponentResult) -> ComponentReport {
        let recorded = status == ComponentResult::Success || status == ComponentResult::Failed;
        ComponentReport {
            rollback_of: None,
            component: component_name(name),
            kind: ComponentKind::Terraform,
            previous_commit: Some(commit("abc123d")),
            commit: commit("def456a"),
            status,
            record: recorded.then(|| RecordId {
                deployment: "api".parse().unwrap(),
                target: target_name("prod"),
                component: component_name(name),
                timestamp: time("2025-01-22T14:00:00Z"),
                sequence: 1,
            }),
            duration: Duration::from_millis(1_240),
            changes: None,
            health: None,
            error: None,
            reason: Vec::new(),
            already_deployed: false,
            overridden: Vec::new(),
            notice: None,
            outputs: serde_json::Map::new(),
            log: Vec::new(),
        }
    }

    fn failed(name: &str) -> ComponentReport {
        ComponentReport {
            error: Some("apply ended with exit code 1\u{1b}[31m".to_owned()),
            ..component(name, ComponentResult::Failed)
        }
    }

    fn report(kind: RolloutKind, components: Vec<ComponentReport>) -> RolloutReport {
        RolloutReport {
            partial: false,
            would_be_refused: Vec::new(),
            deployment: "api".parse().unwrap(),
            target: target_name("prod"),
            kind,
            dry_run: false,
            result: rollout_report::RolloutResult::Success,
            approval: None,
            digest: format!("v1:sha256:{}", "0c".repeat(32)),
            components,
            duration: Duration::from_millis(4_100),
            unpublished: 0,
            ledger_error: None,
        }
    }

    fn progress(mut progress: Progress, events: &[RolloutEvent]) -> String {
        let clock = Clock::utc(now());
        plain(&events.iter().map(|event| progress.lines(event, &clock)).collect::<String>())
    }

    fn started(name: &str) -> RolloutEvent {
        RolloutEvent::ComponentStarted { component: component_name(name), kind: ComponentKind::Terraform }
    }

    fn result(report: &RolloutReport) -> String {
        plain(&text(&RolloutResult::from(report), &terminal()))
    }

    #[test]
    fn a_promotion_as_in_the_specification() {
        let from = target_name("staging");
        let unchanged = ComponentReport {
            changes: Some(Changes::default()),
            ..component("ecr/api", ComponentResult::Success)
        };
        let events = [
            RolloutEvent::Planned(plan(RolloutKind::Promotion { from: from.clone() })),
            RolloutEvent::Approved(Approval {
                method: ApprovalMethod::Ci,
                approved_by: "alice@example.com".to_owned(),
                approved_at: now(),
                reason: Some("CHG-42".to_owned()),
                of: Some(crate::deployment::approval::ApprovalOf::Seen),
            }),
            started("ecr/api"),
            RolloutEvent::ComponentFinished(unchanged.clone()),
            RolloutEvent::ComponentFinished(component("ecs/service-api", ComponentResult::Success)),
        ];
        insta::assert_snapshot!("rollout_promotion", progress(Progress::new(Form::Terminal, false), &events));
        insta::assert_snapshot!("rollout_promotion_log", progress(Progress::new(Form::Pipe, false), &events));
        let report = report(RolloutKind::Promotion { from }, vec![unchanged]);
        insta::assert_snapshot!("rollout_promotion_result", result(&report));
        insta::assert_snapshot!("rollout_promotion_json", json(&RolloutResult::from(&report)));
    }

    #[test]
    fn outputs_are_shown_a_line_each_and_not_without_end() {
        let mut outputs = serde_json::Map::new();
        outputs.insert("url".to_owned(), "https://shop.example.com\u{1b}[31m\nmore".into());
        outputs.insert("subnets".to_owned(), serde_json::json!(["a", "b"]));
        outputs.insert("policy".to_owned(), "x".repeat(1000).into());
        outputs.extend((0..30).map(|number| (format!("zone_{number:02}"), number.into())));
        let done = ComponentReport { outputs, ..component("vpc", ComponentResult::Success) };
        let report = report(RolloutKind::Deploy, vec![done, component("api", ComponentResult::Success)]);
        let shown = result(&report);
        assert!(
            shown.contains("\n  Outputs of terraform/vpc\n    url = https://shop.example.com"),
            "{shown}"
        );
        assert!(shown.contains("    subnets = [\"a\",\"b\"]\n    policy = xxx"), "{shown}");
        assert!(
            shown.contains(&format!("{}…\n", "x".repeat(200))) && shown.contains("    … 13 more\n"),
            "{shown}"
        );
        assert!(!shown.contains('\u{1b}') && !shown.contains("Outputs of terraform/api"), "{shown}");
    }

    #[test]
    fn a_rollback_names_what_it_replaces() {
        let kind = || RolloutKind::Rollback { to: commit("def456a") };
        let left = Some(commit("abc123d").to_string());
        let done = ComponentReport { rollback_of: left, ..component("api", ComponentResult::Success) };
        let events = [RolloutEvent::Planned(plan(kind())), RolloutEvent::ComponentFinished(done.clone())];
        insta::assert_snapshot!("rollout_rollback", progress(Progress::new(Form::Terminal, false), &events));
        insta::assert_snapshot!("rollout_rollback_result", result(&report(kind(), vec![done])));
    }

    #[test]
    fn what_goes_forwards_in_a_rollback_is_not_rolled_back() {
        let mut planned = plan(RolloutKind::Rollback { to: commit("def456a") });
        planned.components[1].goes_back = false;
        planned.components[1].previous_commit = Some(commit("0dd1e57"));
        let events = [
            RolloutEvent::Planned(planned),
            RolloutEvent::ComponentFinished(component("ecs/service-api", ComponentResult::Success)),
        ];
        let shown = progress(Progress::new(Form::Terminal, false), &events);
        assert!(shown.contains("Rollback: abc123d → def456a"), "{shown}");
        assert!(!shown.contains("rolled back") && !shown.contains("0dd1e57 →"), "{shown}");
    }

    #[test]
    fn a_failure_shows_the_end_of_its_output() {
        let output = (1..=30).map(|number| RolloutEvent::ComponentOutput {
            component: component_name("ecr/api"),
            line: format!("line {number}\u{1b}[2J"),
            is_error: number == 3,
        });
        let skipped = ComponentReport {
            error: Some("ecr/api failed".to_owned()),
            ..component("ecs/service-api", ComponentResult::Skipped)
        };
        let mut events = vec![RolloutEvent::Planned(plan(RolloutKind::Deploy)), started("ecr/api")];
        events.extend(output);
        events.extend([failed("ecr/api"), skipped.clone()].map(RolloutEvent::ComponentFinished));
        let shown = progress(Progress::new(Form::Terminal, false), &events);
        assert!(!shown.contains("line 11\\") && shown.contains("line 12\\"), "{shown}");
        assert!(shown.contains("line 3\\"), "what is wrong is not lost in the log\n{shown}");
        let verbose = progress(Progress::new(Form::Terminal, true), &events);
        assert_eq!(verbose.matches("line 30").count(), 1);
        let report = RolloutReport {
            result: rollout_report::RolloutResult::Failed,
            unpublished: 1,
            ..report(
                RolloutKind::Deploy,
                vec![component("vpc", ComponentResult::Success), failed("ecr/api"), skipped],
            )
        };
        insta::assert_snapshot!("rollout_failed_result", result(&report));
        insta::assert_snapshot!("rollout_failed_json", json(&RolloutResult::from(&report)));
    }

    #[test]
    fn waiting_and_a_remote_that_is_gone() {
        let events = [
            RolloutEvent::LockWaiting {
                holder: "bob".to_owned(),
                run_id: "github:1/1".to_owned(),
                since: time("2025-01-22T13:30:00Z"),
            },
            RolloutEvent::LeftAtWork {
                run_id: "github:1/1".to_owned(),
                processes: vec![17, 18],
                since: Some(time("2025-01-22T13:29:00Z")),
            },
            RolloutEvent::PublicationDeferred { records: 2, reason: "timed out".to_owned(), here: false },
            RolloutEvent::PublicationDeferred { records: 1, reason: "locked".to_owned(), here: true },
        ];
        insta::assert_snapshot!("rollout_waiting", progress(Progress::new(Form::Pipe, false), &events));
    }

    #[test]
    fn a_dry_run_says_what_would_be_done() {
        let planned = ComponentReport {
            changes: Some(Changes { add: 1, change: 2, destroy: 0 }),
            ..component("ecr/api", ComponentResult::Planned)
        };
        let new = ComponentReport { previous_commit: None, ..component("new", ComponentResult::Planned) };
        let report = RolloutReport { dry_run: true, ..report(RolloutKind::Deploy, vec![planned, new]) };
        insta::assert_snapshot!("rollout_dry_run", result(&report));
    }
}
