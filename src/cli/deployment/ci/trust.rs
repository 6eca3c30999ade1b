//! Whose commits may run with the project's secrets.

use crate::ci::{ForeignHead, Job};
use crate::cli::context::Context;
use crate::cli::error::{CommandError, exit};
use crate::deployment::CommitId;
use crate::deployment::rollout_plan::Ancestry;
use crate::git::Repository;
use crate::render::document::error::Hint;

/// The verbs that run nothing of what is checked out and write nothing.
const READING: [&str; 13] = [
    "describe",
    "diff",
    "history",
    "list",
    "locks",
    "matrix",
    "promotion-graph",
    "promotion-status",
    "sbom",
    "status",
    "validate",
    "verify",
    "where",
];

/// Refuses to run a fork's commit, or to follow its rules, where the job has the project's secrets. Trusted is what the
/// event's own commit, which is the project's, leads to. `revision` is the commit that is asked for.
pub(super) fn check(
    context: &Context,
    job: &Job,
    verb: &str,
    revision: Option<&str>,
) -> Result<(), CommandError> {
    let Some(foreign) = &job.foreign_head else { return Ok(()) };
    let first = verb.split(' ').next().unwrap_or_default();
    if READING.contains(&first) {
        return Ok(());
    }
    let repository = context.repository()?;
    let trusted = |commit: Option<&CommitId>| is_trusted(&repository, job, commit);
    if !trusted(Some(&repository.head()?))? {
        return Err(refusal(foreign, verb, "the checkout is"));
    }
    match revision {
        Some(revision) if !trusted(repository.resolve(revision)?.as_ref())? => {
            Err(refusal(foreign, verb, &format!("{revision} is")))
        }
        _ => Ok(()),
    }
}

/// Whether a commit is part of the project's history; one that is not here, or whose history is not, may be anybody's.
fn is_trusted(repository: &Repository, job: &Job, commit: Option<&CommitId>) -> Result<bool, CommandError> {
    let (Some(commit), Some(own)) = (commit, &job.commit) else { return Ok(false) };
    let ancestry = repository.objects()?.ancestry(commit, own)?;
    Ok(matches!(ancestry, Ancestry::Same | Ancestry::Ancestor))
}

fn refusal(foreign: &ForeignHead, verb: &str, what: &str) -> CommandError {
    let event = &foreign.event;
    let whose = foreign.repository.as_deref().unwrap_or("a fork");
    let message =
        format!("Refused to {verb} under {event}: {what} not part of this repository's own history");
    CommandError::new(exit::REFUSED, "foreign_head", message)
        .details([format!("{event} has this repository's secrets, and the change comes from {whose}")])
        .hint(Hint::note("Plan changes from forks under `on: pull_request`, which has no secrets"))
}
