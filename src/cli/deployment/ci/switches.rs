//! The reports that a job's inputs enable.

use super::inputs::Inputs;
use super::request::REPORTS;
use crate::cli::deployment::Verb;
use crate::error::CommandError;
use crate::render::document::error::Hint;
use crate::report::Switches;

/// Reads the switches. Reports of a rollout are enabled by default, those of `status` are not.
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

/// Whether an input explicitly enables a report.
pub(super) fn asked_for(inputs: &Inputs) -> Result<bool, CommandError> {
    for name in REPORTS {
        if inputs.flag(name)? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}
