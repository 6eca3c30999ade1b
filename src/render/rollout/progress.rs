//! The progress of a rollout as lines, from its plan to its last component.

use std::collections::{BTreeMap, VecDeque};

use super::super::escape::escape;
use super::super::style::{BAD, DETAIL, GOOD, WARN};
use super::super::{Clock, Form, count, styled, time};
use super::{distinct, planned_changes, planned_step, qualified};
use crate::deployment::rollout_report::{
    Changes, ComponentReport, ComponentResult, PlannedRollout, RolloutEvent, RolloutKind,
};
use crate::deployment::{CommitId, ComponentName};

/// The maximum number of output lines of a failed component.
const OUTPUT_LINES: usize = 20;

/// Converts a rollout's events to lines of progress, for stderr.
#[derive(Debug)]
pub struct Progress {
    form: Form,
    verbose: bool,
    /// The number of components; `None` once they are announced.
    unannounced: Option<usize>,
    kind: RolloutKind,
    /// Whether steps were printed before the components, so that an empty line separates them.
    steps: bool,
    /// The last output lines of each running component, and whether each is from stderr.
    output: BTreeMap<ComponentName, VecDeque<(String, bool)>>,
}

impl Progress {
    /// Progress for a terminal (`Form::Terminal`), or for a log with a line for every start too.
    /// Verbose prints all output of the components; otherwise only the last output of failed ones.
    #[must_use]
    pub const fn new(form: Form, verbose: bool) -> Self {
        Self {
            form,
            verbose,
            unannounced: None,
            kind: RolloutKind::Deploy,
            steps: false,
            output: BTreeMap::new(),
        }
    }

    /// The lines for one event, each ending in a line break; empty where the event has none.
    pub fn lines(&mut self, event: &RolloutEvent, clock: &Clock) -> String {
        match event {
            RolloutEvent::Planned(plan) => {
                self.unannounced = Some(plan.components.len());
                self.kind = plan.kind.clone();
                let steps = steps(plan, clock);
                self.steps = !steps.is_empty();
                format!("{}\n\n{steps}", title(plan))
            }
            RolloutEvent::ApprovalRequested { method } => {
                self.steps = true;
                format!("  {} Requesting approval ({})...\n", styled("→", DETAIL), method.as_str())
            }
            RolloutEvent::Approved(approval) => {
                self.steps = true;
                let by = escape(&approval.approved_by);
                format!("  {} Approval received from {by}\n", styled("✓", GOOD))
            }
            RolloutEvent::LockWaiting { holder, run_id, since } => {
                self.steps = true;
                format!(
                    "  {} Waiting for {}, who has held the lock since {} (run {})...\n",
                    styled("→", DETAIL),
                    escape(holder),
                    clock.exact(*since),
                    escape(run_id),
                )
            }
            RolloutEvent::LeftAtWork { run_id, processes, since } => {
                self.steps = true;
                let since = since.map(|since| format!(" since {}", clock.exact(since))).unwrap_or_default();
                let ids: Vec<_> = processes.iter().map(ToString::to_string).collect();
                format!(
                    "  {} Run {}, which was killed, has left processes at work{since}: they were asked to end (ps -fp {})...\n",
                    styled("→", DETAIL),
                    escape(run_id),
                    ids.join(","),
                )
            }
            RolloutEvent::ComponentStarted { component, kind } => {
                let announcement = self.announcement();
                match self.form {
                    Form::Terminal => announcement,
                    Form::Pipe => format!("{announcement}    → {}\n", qualified(*kind, component)),
                }
            }
            RolloutEvent::ComponentOutput { component, line, is_error } => {
                self.output(component, line, *is_error)
            }
            RolloutEvent::ComponentFinished(report) => {
                let announcement = self.announcement();
                format!("{announcement}{}{}", finished(report), self.tail(report))
            }
            RolloutEvent::LockAcquired | RolloutEvent::Published { .. } | RolloutEvent::Finished(_) => {
                String::new()
            }
            RolloutEvent::PublicationDeferred { records, reason, here } => {
                let (kept, them) = if *records == 1 { ("is kept", "it") } else { ("are kept", "them") };
                let why = if *here {
                    "because of an error in this checkout".to_owned()
                } else {
                    format!("for the remote did not take {them}")
                };
                format!(
                    "  {} {} {kept} here, {why}: {}\n",
                    styled("!", WARN),
                    count(*records, "record"),
                    escape(reason),
                )
            }
        }
    }

    /// The heading of the components, on the first call only.
    fn announcement(&mut self) -> String {
        let Some(number) = self.unannounced.take() else { return String::new() };
        format!("{}  Components ({number}):\n", if self.steps { "\n" } else { "" })
    }

    fn output(&mut self, component: &ComponentName, line: &str, is_error: bool) -> String {
        if self.verbose {
            return format!(
                "      {} {}\n",
                styled(&format!("{} |", escape(component.as_str())), DETAIL),
                escape(line)
            );
        }
        let kept = self.output.entry(component.clone()).or_default();
        if kept.len() == OUTPUT_LINES {
            // A tool's two streams are read in parallel: errors may come before the rest of the
            // log.
            let oldest = kept.iter().position(|(_, is_error)| !is_error).unwrap_or(0);
            kept.remove(oldest);
        }
        kept.push_back((line.to_owned(), is_error));
        String::new()
    }

    /// The last output of a failed component.
    fn tail(&mut self, report: &ComponentReport) -> String {
        let output = self.output.remove(&report.component).unwrap_or_default();
        if report.status != ComponentResult::Failed {
            return String::new();
        }
        let mut text = String::new();
        for (line, _) in output {
            push!(text, "        {}\n", escape(&line));
        }
        text
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
            format!("Rolling back {deployment} to {}{dry_run}", to.short())
        }
    }
}

/// The steps before anything is applied.
fn steps(plan: &PlannedRollout, clock: &Clock) -> String {
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
            let back = plan.components.iter().filter(|component| component.goes_back);
            for component in back {
                let (name, commit) = (escape(component.component.as_str()), component.commit.short());
                let previous = component.previous_commit.as_ref().map_or("-", CommitId::short);
                steps.push(format!("{note} Goes back: {name} {previous} → {commit}"));
            }
        }
        RolloutKind::Rollback { to } => {
            let back = plan.components.iter().filter(|component| component.goes_back);
            let previous = distinct(back.filter_map(|component| component.previous_commit.as_ref()));
            steps.push(format!("{note} Rollback: {} → {}", previous.join(", "), to.short()));
        }
    }
    let states = plan.components.iter().filter(|_| plan.dry_run);
    for (component, state) in states.filter_map(|planned| Some((planned, planned.state.as_ref()?))) {
        let name = qualified(component.kind, &component.component);
        let location = state.location.as_ref().map(|location| format!(", {location}")).unwrap_or_default();
        let place = format!("workspace {} of the stack {}{location}", state.workspace, state.stack);
        steps.push(format!("{note} State of {name}: {}", escape(&place)));
    }
    if steps.is_empty() {
        return String::new();
    }
    format!("  {}\n", steps.join("\n  "))
}

/// `✓ terraform/ecr/api (0.4s, no changes)`.
fn finished(report: &ComponentReport) -> String {
    let name = qualified(report.kind, &report.component);
    let took = time::duration(report.duration);
    let reason = report.error.as_ref().map(|error| format!(": {}", escape(error))).unwrap_or_default();
    match report.status {
        ComponentResult::Success => {
            let mut details = vec![took];
            match report.changes {
                Some(changes) => details.push(done_changes(changes)),
                // In a rollback, some components may move forwards.
                None if report.rollback_of.is_some() => details.push("rolled back".to_owned()),
                None => {}
            }
            details.extend(report.health.as_ref().map(|health| escape(&health.to_string()).into_owned()));
            details.extend(report.notice.as_ref().map(|notice| escape(notice).into_owned()));
            format!("    {} {name} ({})\n", styled("✓", GOOD), details.join(", "))
        }
        ComponentResult::Failed => format!("    {} {name} ({took}){reason}\n", styled("✗", BAD)),
        ComponentResult::Cancelled => {
            format!("    {} {name} ({took}, cancelled){reason}\n", styled("✗", WARN))
        }
        ComponentResult::Skipped => {
            let notice = report.notice.as_ref().map(|notice| format!(": {}", escape(notice)));
            format!("    {} {name} (skipped){reason}{}\n", styled("-", DETAIL), notice.unwrap_or_default())
        }
        ComponentResult::Planned => {
            let mut details =
                vec![planned_step(report.previous_commit.as_ref(), &report.commit, &report.overridden)];
            details.extend(report.changes.map(planned_changes));
            details.extend(report.notice.as_ref().map(|notice| escape(notice).into_owned()));
            format!("    {} {name} ({})\n", styled("○", DETAIL), details.join(", "))
        }
    }
}

fn done_changes(changes: Changes) -> String {
    if changes.is_empty() {
        "no changes".to_owned()
    } else {
        format!("{} added, {} changed, {} destroyed", changes.add, changes.change, changes.destroy)
    }
}
