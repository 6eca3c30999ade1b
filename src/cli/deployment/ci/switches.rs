//! What a job is to report, as its inputs say.

use super::inputs::Inputs;
use super::request::REPORTS;
use crate::cli::deployment::Verb;
use crate::error::CommandError;
use crate::render::document::error::Hint;
use crate::report::Switches;

/// A rollout is reported unless the job says otherwise; how a target stands only where the job
/// says so.
pub(super) fn read(inputs: &Inputs, verb: &Verb, words: &str) -> Result<Switches, CommandError> {
    let (by_default, may) = match verb {
        Verb::Rollout(_) => (true, true),
        Verb::Status(_) => (false, true),
        _ => (false, false),
    };
    let wanted = |name| match inputs.flag(name)? {
        Some(true) if !may => {
            let message = format!("input `{name}` does not apply to command `{words}`");
            let hint = "It applies to `rollout`, and to `status` of one target";
            Err(CommandError::usage(message).hint(Hint::note(hint)))
        }
        given => Ok(given.unwrap_or(by_default)),
    };
    Ok(Switches {
        comment: wanted("comment")?,
        commit_status: wanted("commit-status")?,
        deployment_record: wanted("deployment-record")?,
    })
}

/// Whether the inputs ask for a report by name.
pub(super) fn asked_for(inputs: &Inputs) -> Result<bool, CommandError> {
    for name in REPORTS {
        if inputs.flag(name)? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}
