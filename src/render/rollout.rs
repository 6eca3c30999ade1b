//! `rollout` as text: the plan, the progress while it works, and the result.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::document::rollout::{RolloutComponent, RolloutResult};
use super::escape::escape;
use super::style::{BAD, DETAIL, GOOD, ID, WARN};
use super::{Form, Presentation, count, styled, time};
use crate::deployment::rollout_report::{
    self, Changes, ComponentReport, ComponentResult, PlannedRollout, RolloutEvent, RolloutKind,
};
use crate::deployment::{CommitId, ComponentKind, ComponentName};

/// How many lines of a failed component's output are shown.
const OUTPUT_LINES: usize = 20;

/// Turns a rollout's events into lines of progress, which belong on stderr.
#[derive(Debug)]
pub struct Progress {
    form: Form,
    verbose: bool,
    /// How many components there are; taken when they are announced.
    unannounced: Option<usize>,
    kind: RolloutKind,
    /// The last lines that each running component printed.
    output: BTreeMap<ComponentName, VecDeque<String>>,
}

impl Progress {
    /// Progress for a person (`Form::Terminal`), or with a line for every start too, for a log. Verbose
    /// shows everything that the components print; otherwise only the end of what failed.
    #[must_use]
    pub const fn new(form: Form, verbose: bool) -> Self {
        Self { form, verbose, unannounced: None, kind: RolloutKind::Deploy, output: BTreeMap::new() }
    }

    /// The lines for one event, each ending in a line break; empty where there is nothing to say.
    pub fn lines(&mut self, event: &RolloutEvent, clock: &super::Clock) -> String {
        match event {
            RolloutEvent::Planned(plan) => {
                self.unannounced = Some(plan.components.len());
                self.kind = plan.kind.clone();
                format!("{}\n\n{}", title(plan), steps(plan, clock))
            }
            RolloutEvent::ApprovalRequested { method } => {
                format!("  {} Requesting approval ({})...\n", styled("→", DETAIL), method.as_str())
            }
            RolloutEvent::Approved(approval) => {
                let by = escape(&approval.approved_by);
                format!("  {} Approval received from {by}\n", styled("✓", GOOD))
            }
            RolloutEvent::LockWaiting { holder, run_id, since } => format!(
                "  {} Waiting for {}, who has held the lock since {} (run {})...\n",
                styled("→", DETAIL),
                escape(holder),
                clock.exact(*since),
                escape(run_id),
            ),
            RolloutEvent::LockAcquired => String::new(),
            RolloutEvent::ComponentStarted { component, kind } => {
                let announcement = self.announcement();
                match self.form {
                    Form::Terminal => announcement,
                    Form::Pipe => format!("{announcement}    → {}\n", qualified(*kind, component)),
                }
            }
            RolloutEvent::ComponentOutput { component, line } => self.output(component, line),
            RolloutEvent::ComponentFinished(report) => {
                let announcement = self.announcement();
                format!("{announcement}{}{}", finished(report, &self.kind), self.tail(report))
            }
            RolloutEvent::Published { .. } | RolloutEvent::Finished(_) => String::new(),
            RolloutEvent::PublicationDeferred { records, reason } => {
                let kept = if *records == 1 { "is kept" } else { "are kept" };
                format!(
                    "  {} {} {kept} here until the remote can be reached: {}\n",
                    styled("!", WARN),
                    count(*records, "record"),
                    escape(reason),
                )
            }
        }
    }

    /// The heading of the components, once.
    fn announcement(&mut self) -> String {
        self.unannounced.take().map(|number| format!("  Components ({number}):\n")).unwrap_or_default()
    }

    fn output(&mut self, component: &ComponentName, line: &str) -> String {
        if self.verbose {
            return format!(
                "      {} {}\n",
                styled(&format!("{} |", escape(component.as_str())), DETAIL),
                escape(line)
            );
        }
        let kept = self.output.entry(component.clone()).or_default();
        if kept.len() == OUTPUT_LINES {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
        String::new()
    }

    /// The end of what a component printed, where it failed.
    fn tail(&mut self, report: &ComponentReport) -> String {
        let output = self.output.remove(&report.component).unwrap_or_default();
        if report.status != ComponentResult::Failed {
            return String::new();
        }
        output.iter().map(|line| format!("        {}\n", escape(line))).collect()
    }
}

/// `Promoting api from dev to staging`.
fn title(plan: &PlannedRollout) -> String {
    let (deployment, target) = (&plan.deployment, &plan.target);
    let dry_run = if plan.dry_run { " (dry run)" } else { "" };
    match &plan.kind {
        RolloutKind::Deploy => format!("Rolling out {deployment} to {target}{dry_run}"),
        RolloutKind::Promotion { from } => format!("Promoting {deployment} from {from} to {target}{dry_run}"),
        RolloutKind::Rollback { to } => {
            format!("Rolling back {deployment} in {target} to {}{dry_run}", to.short())
        }
    }
}

/// What has been settled before anything is applied.
fn steps(plan: &PlannedRollout, clock: &super::Clock) -> String {
    let done = styled("✓", GOOD);
    let note = styled("ℹ", DETAIL);
    let mut steps = Vec::new();
    if let RolloutKind::Promotion { from } = &plan.kind {
        steps.push(format!("{done} Validating promotion path... {from} → {}", plan.target));
    }
    if let Some(method) = plan.approval {
        steps.push(format!("{note} Promotion requires approval ({})", method.as_str()));
    }
    match &plan.kind {
        RolloutKind::Deploy => {}
        RolloutKind::Promotion { from } => {
            let newest = plan.components.iter().filter_map(|component| component.deployed_at).max();
            let deployed = newest.map(|at| format!(" (deployed {})", clock.relative(at))).unwrap_or_default();
            let commits = distinct(plan.components.iter().map(|component| &component.commit));
            steps.push(format!("{done} Loading {from} deployment... {}{deployed}", commits.join(", ")));
        }
        RolloutKind::Rollback { to } => {
            let previous =
                distinct(plan.components.iter().filter_map(|component| component.previous_commit.as_ref()));
            steps.push(format!("{note} Rollback: {} → {}", previous.join(", "), to.short()));
        }
    }
    if steps.is_empty() {
        return String::new();
    }
    format!("  {}\n\n", steps.join("\n  "))
}

/// Commits in short, each once, in their order.
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

/// `✓ terraform/ecr/api (0.4s, no changes)`.
fn finished(report: &ComponentReport, kind: &RolloutKind) -> String {
    let name = qualified(report.kind, &report.component);
    let took = time::duration(report.duration);
    let reason = report.error.as_ref().map(|error| format!(": {}", escape(error))).unwrap_or_default();
    match report.status {
        ComponentResult::Success => {
            let mut details = vec![took];
            match (report.changes, kind) {
                (Some(changes), _) => details.push(done_changes(changes)),
                (None, RolloutKind::Rollback { .. }) => details.push("rolled back".to_owned()),
                (None, _) => {}
            }
            details.extend(report.notice.as_ref().map(|notice| escape(notice).into_owned()));
            format!("    {} {name} ({})\n", styled("✓", GOOD), details.join(", "))
        }
        ComponentResult::Failed => format!("    {} {name} ({took}){reason}\n", styled("✗", BAD)),
        ComponentResult::Cancelled => {
            format!("    {} {name} ({took}, cancelled){reason}\n", styled("✗", WARN))
        }
        ComponentResult::Skipped => format!("    {} {name} (skipped){reason}\n", styled("-", DETAIL)),
        ComponentResult::Planned => {
            let mut details = vec![commits(report.previous_commit.as_ref(), &report.commit)];
            details.extend(report.changes.map(planned_changes));
            details.extend(report.notice.as_ref().map(|notice| escape(notice).into_owned()));
            format!("    {} {name} ({})\n", styled("○", DETAIL), details.join(", "))
        }
    }
}

fn commits(previous: Option<&CommitId>, commit: &CommitId) -> String {
    match previous {
        Some(previous) if previous == commit => format!("{}, no change", commit.short()),
        Some(previous) => format!("{} → {}", previous.short(), commit.short()),
        None => format!("new: {}", commit.short()),
    }
}

fn done_changes(changes: Changes) -> String {
    if changes.is_empty() {
        "no changes".to_owned()
    } else {
        format!("{} added, {} changed, {} destroyed", changes.add, changes.change, changes.destroy)
    }
}

fn planned_changes(changes: Changes) -> String {
    if changes.is_empty() {
        "no changes".to_owned()
    } else {
        format!("{} to add, {} to change, {} to destroy", changes.add, changes.change, changes.destroy)
    }
}

/// The result, which belongs on stdout; the components have been seen in the progress.
#[must_use]
pub fn text(result: &RolloutResult, _: &Presentation) -> String {
    let components = |status| result.components.iter().filter(move |component| component.status == status);
    let took = time::duration(Duration::try_from_secs_f64(result.duration_seconds).unwrap_or_default());
    let mut text = String::new();
    let (heading, ending) = match result.result {
        rollout_report::RolloutResult::Success if result.dry_run => {
            (styled("Planned; nothing was changed.", GOOD), "Planned in")
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
            let all = count(result.components.len(), "component");
            let skipped = components(ComponentResult::Skipped).count();
            let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
            let what = if result.dry_run { "Plan" } else { "Deployment" };
            (styled(&format!("{what} failed: {failed} of {all} failed{skipped}"), BAD), "Failed after")
        }
        rollout_report::RolloutResult::Refused => {
            (styled("Deployment refused; nothing was applied.", BAD), "Refused after")
        }
        rollout_report::RolloutResult::Cancelled => (styled("Deployment cancelled", WARN), "Cancelled after"),
    };
    text.push_str(&format!("\n  {heading}\n"));
    for component in &result.components {
        text.push_str(&outcome(component, result));
    }
    if result.rolled_back_to.is_some() && result.result == rollout_report::RolloutResult::Success {
        let previous =
            distinct(result.components.iter().filter_map(|component| component.previous_commit.as_ref()));
        if !previous.is_empty() && !result.dry_run {
            text.push_str(&format!("    → rollback_of: {}\n", previous.join(", ")));
        }
    }
    if result.unpublished > 0 {
        let (records, verb) =
            (count(result.unpublished, "record"), if result.unpublished == 1 { "has" } else { "have" });
        let line = format!("{records} {verb} not reached the remote yet");
        text.push_str(&format!("    {}\n", styled(&line, WARN)));
    }
    text + &format!("\n  {ending} {took}\n")
}

/// What is left of one component: where its state and record are, or why there is none.
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
        ComponentResult::Skipped => format!("    {} {name} (skipped){reason}\n", styled("-", DETAIL)),
        ComponentResult::Planned if result.dry_run => {
            let change = commits(component.previous_commit.as_ref(), &component.commit);
            let changes = component.changes.map(|changes| format!(", {}", planned_changes(changes)));
            format!("    {name}: {change}{}\n", changes.unwrap_or_default())
        }
        ComponentResult::Planned => String::new(),
    }
}
