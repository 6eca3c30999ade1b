//! The next steps after a rollout: a promotion, or a retry of its failures.

use super::command::RolloutCommand;
use super::command_line::CommandLine;
use crate::deployment::NoteNamespace;
use crate::deployment::ref_names::notes_ref;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::rollout_report::{
    ComponentReport, ComponentResult, RolloutKind, RolloutReport, RolloutResult,
};
use crate::execution::RolloutOutcome;
use crate::ledger::RunLog;
use crate::render::document::error::{Hint, Step};
use crate::text::quoted;

/// The maximum number of components that are named one by one; with more, all are retried.
const MOST_NAMED: usize = 10;

impl RolloutCommand<'_, '_> {
    /// Stores the last output of failed components as notes. `false` where there is no such note; a
    /// failed write is a warning.
    pub(super) fn note_logs(&self, plan: &RolloutPlan, outcome: &RolloutOutcome) -> bool {
        // A cancelled run ends without delay, and a remote that took no records takes no notes.
        if outcome.cancelled || outcome.failure.is_some() || outcome.unpublished > 0 {
            return false;
        }
        let ledger = &self.prepared.ledger;
        if !self.prepared.project.config.deployments.ledger.errors {
            return false;
        }
        let log = |report: &ComponentReport| {
            let log = RunLog {
                target: plan.target.clone(),
                component: report.component.clone(),
                record: report.record.as_ref().map(crate::deployment::RecordId::tag_name),
                run_id: self.prepared.run.id.clone(),
                recorded_at: crate::deployment::record::in_whole_seconds(ledger.now()),
                lines: report.log.clone(),
            };
            (report.commit.clone(), log)
        };
        let failed = outcome.components.iter().filter(|report| !report.log.is_empty());
        let logs: Vec<_> = failed.map(log).collect();
        if logs.is_empty() {
            return false;
        }
        let noted = ledger.note_run_logs(&plan.deployment, &logs);
        if let Err(error) = &noted {
            self.context.warn(&format!("what the failed components printed is not noted: {error}"));
        }
        noted.is_ok()
    }

    /// The hints for the next steps.
    pub(super) fn next_steps(&self, report: &RolloutReport, log_is_noted: bool) -> Vec<Hint> {
        match report.result {
            RolloutResult::Success if report.dry_run => Vec::new(),
            RolloutResult::Success => self.promotions(report),
            RolloutResult::Failed | RolloutResult::Cancelled => {
                let mut steps = vec![self.retry(report)];
                steps.extend(log_is_noted.then(|| self.log(report)).flatten());
                steps.extend(
                    self.prepared
                        .run
                        .url
                        .as_ref()
                        .map(|url| Hint::note(format!("The whole log is that of the run: {url}"))),
                );
                steps
            }
            RolloutResult::Refused => Vec::new(),
        }
    }

    /// The promotions along the declared paths. After a rollback there is nothing to promote.
    fn promotions(&self, report: &RolloutReport) -> Vec<Hint> {
        if matches!(report.kind, RolloutKind::Rollback { .. }) || report.components.is_empty() {
            return Vec::new();
        }
        let targets = self.prepared.checkout.targets.values();
        let next = targets.filter(|target| {
            target.promotion.as_ref().is_some_and(|rule| rule.sources.contains(&report.target))
        });
        let command = |to: &str| {
            let mut line = CommandLine::rollout(report.deployment.as_str());
            line.add("target", to).add("promote-from", report.target.as_str());
            for component in &self.options.component {
                line.add("component", &component.0);
            }
            line.to_string()
        };
        next.map(|target| {
            Hint::command(format!("To promote it to {}", target.name), command(target.name.as_str()))
        })
        .collect()
    }

    /// The hint for a retry of the components that did not succeed.
    fn retry(&self, report: &RolloutReport) -> Hint {
        let is_left = |component: &&ComponentReport| match component.status {
            ComponentResult::Failed | ComponentResult::Cancelled => true,
            ComponentResult::Skipped => component.error.is_some(),
            ComponentResult::Success | ComponentResult::Planned => false,
        };
        let left: Vec<_> = report.components.iter().filter(is_left).collect();
        let mut line = self.prepared.typed.clone();
        line.roll_out();
        if left.len() < report.components.len() && left.len() <= MOST_NAMED {
            line.without("component");
            for component in &left {
                line.add("component", component.component.as_str());
            }
        }
        if report.dry_run {
            line.plan();
        }
        let what =
            if report.dry_run { "To plan again what failed" } else { "To try again what did not succeed" };
        Hint::command(what, line.to_string())
    }

    /// The hint for reading the notes of failed components.
    fn log(&self, report: &RolloutReport) -> Option<Hint> {
        let failed: Vec<_> = report.components.iter().filter(|component| !component.log.is_empty()).collect();
        let commit = &failed.first()?.commit;
        let name = notes_ref(&report.deployment, NoteNamespace::RunLog.as_str());
        let mut steps = Vec::new();
        let mut step = |command: String| steps.push(Step { text: None, command });
        if let Some(remote) = self.prepared.ledger.remote() {
            step(format!("git fetch {} {}", quoted(remote), quoted(&format!("+{name}:{name}"))));
        }
        let namespace = name.strip_prefix("refs/notes/").unwrap_or(&name);
        step(format!("git notes --ref={} show {}", quoted(namespace), commit.short()));
        let names: Vec<_> = failed.iter().map(|component| component.component.as_str()).collect();
        Some(Hint { text: format!("To read what {} printed last", listed(&names)), steps })
    }
}

/// Names in a sentence; of many, only their number.
fn listed(names: &[&str]) -> String {
    match names {
        [all @ .., last] if all.len() < MOST_NAMED && !all.is_empty() => {
            format!("{} and {last}", all.join(", "))
        }
        [only] => (*only).to_owned(),
        many => format!("{} components", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(listed(&["api"]), "api");
        assert_eq!(listed(&["api", "db", "web"]), "api, db and web");
        assert_eq!(listed(&["x"; 11]), "11 components");
    }
}
