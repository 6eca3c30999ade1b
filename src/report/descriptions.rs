//! One-line descriptions of rollouts, for statuses and deployment records.

use super::outcome::Outcome;
use crate::deployment::count::count;
use crate::deployment::rollout_report::{ComponentResult, PlannedRollout, RolloutKind, RolloutReport};

/// The description of a running rollout.
pub fn planned(planned: &PlannedRollout) -> String {
    let components = count(planned.components.len(), "component");
    match &planned.kind {
        _ if planned.dry_run => format!("Planning {components}"),
        RolloutKind::Deploy => format!("Rolling out {components}"),
        RolloutKind::Promotion { from } => format!("Promoting {components} from {from}"),
        RolloutKind::Rollback { to } => format!("Rolling back {components} to {}", to.short()),
    }
}

/// The description of an ended run.
pub fn ended(outcome: &Outcome) -> String {
    let report = outcome.rollout.report.as_ref();
    match (outcome.error(), report) {
        (Some(error), _) => error.message.clone(),
        (None, Some(report)) => described(report),
        (None, None) => "Ended without a result".to_owned(),
    }
}

fn described(report: &RolloutReport) -> String {
    let of = |status| report.components.iter().filter(move |component| component.status == status);
    let said = |number: usize, word: &str| (number > 0).then(|| format!("{number} {word}"));
    let number = |status, word: &str| said(of(status).count(), word);
    // Components that an earlier attempt has deployed are not deployed again.
    let already = of(ComponentResult::Success).filter(|component| component.already_deployed).count();
    let deployed = of(ComponentResult::Success).count() - already;
    let counts: Vec<_> = [
        number(ComponentResult::Failed, "failed"),
        number(ComponentResult::Cancelled, "cancelled"),
        number(ComponentResult::Skipped, "skipped"),
        said(deployed, "deployed"),
        said(already, "already deployed"),
        number(ComponentResult::Planned, "planned"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let first = of(ComponentResult::Failed)
        .find_map(|failed| failed.error.as_ref().map(|error| format!("; {}: {error}", failed.component)));
    format!("{}{}", counts.join(", "), first.unwrap_or_default())
}
