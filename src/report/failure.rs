//! The failure of a verb, as it is shown beside the run.

use super::outcome::{Ending, Outcome};
use crate::ci::comment::{FailureView, HintView, of_components};
use crate::deployment::rollout_report::RolloutKind;

/// The error of a verb; `None` where there is none to show.
pub fn view(outcome: &Outcome) -> Option<FailureView> {
    let error = outcome.error()?;
    let (symbol, ending) = match outcome.ending() {
        Ending::Refused => ("⛔", "was refused"),
        Ending::Locked => ("🔒", "could not start"),
        Ending::Cancelled => ("⏹️", "was cancelled"),
        Ending::Findings => ("❌", "ended with findings"),
        Ending::Success | Ending::Failed => ("❌", "failed"),
    };
    let hints = error.hints.iter().map(|hint| HintView {
        text: hint.text.clone(),
        commands: hint.steps.iter().map(|step| step.command.clone()).collect(),
    });
    Some(FailureView {
        symbol,
        title: format!("{} {ending}", subject(outcome)),
        message: error.message.clone(),
        details: error.details.iter().flat_map(|detail| detail.lines()).map(str::to_owned).collect(),
        hints: hints.collect(),
    })
}

/// The attempted operation, in words.
fn subject(outcome: &Outcome) -> String {
    let Some(planned) = &outcome.rollout.planned else {
        return match &outcome.verb {
            Some(verb) => format!("atmos deployment {verb}"),
            None => "The job".to_owned(),
        };
    };
    let (target, of) = (&planned.target, of_components(&outcome.only));
    match &planned.kind {
        RolloutKind::Deploy => format!("Rollout{of} to {target}"),
        RolloutKind::Promotion { from } => format!("Promotion{of} from {from} to {target}"),
        RolloutKind::Rollback { .. } => format!("Rollback{of} on {target}"),
    }
}
