//! Resolves revisions to commits, and finds the checked-out one.

use crate::context::Context;
use crate::deployment::CommitId;
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::git::checkout::{Checkout, CheckoutLook};
use crate::git::repository::RepositoryError;
use crate::ledger::Ledger;
use crate::render::document::error::Hint;

/// The minimum number of digits of an abbreviated id in git.
const FEWEST_DIGITS: usize = 4;

/// Resolves a revision: whatever git resolves locally; else a full id, which is fetched from the
/// remote; else the abbreviated id of exactly one commit in the ledger.
pub fn resolve_commit(
    context: &Context,
    repository: &Repository,
    ledger: &Ledger<'_>,
    text: &str,
) -> Result<CommitId, CommandError> {
    let unclear = match repository.resolve(text) {
        Ok(Some(commit)) => return Ok(commit),
        Ok(None) => RepositoryError::UnknownRevision { revision: text.to_owned() },
        // Of several commits with this prefix, a deployed one is preferred.
        Err(error @ RepositoryError::AmbiguousRevision { .. }) => error,
        Err(error) => return Err(error.into()),
    };
    let wanted = match text.parse::<CommitId>() {
        Ok(id) => Some(id),
        Err(_) => deployed_commit(ledger, text)?,
    };
    let Some(wanted) = wanted else { return Err(unknown(unclear, repository)) };
    if let Some(commit) = repository.resolve(wanted.as_str())? {
        return Ok(commit);
    }
    let fetched = ledger.fetch_commit(&wanted);
    if let Some(commit) = repository.resolve(wanted.as_str())? {
        return Ok(commit);
    }
    let error = unknown(unclear, repository);
    let Some(remote) = ledger.remote() else { return Err(error) };
    Err(match fetched {
        Err(refusal) => error.details([format!("{remote} was asked for it: {refusal}")]),
        Ok(()) if context.global().offline => error.details([format!("{remote} was not asked: --offline")]),
        Ok(()) => error,
    })
}

/// The error for a revision that is unknown locally.
fn unknown(error: RepositoryError, repository: &Repository) -> CommandError {
    let is_unknown = matches!(error, RepositoryError::UnknownRevision { .. });
    let error = CommandError::from(error);
    match (is_unknown, repository.is_shallow()) {
        (false, _) => error,
        (true, true) => error.hint(Hint::command(
            "This is a shallow clone; to get the whole history",
            "git fetch --unshallow",
        )),
        (true, false) => error.hint(Hint::command("To see the newest commits", "git log --oneline -10")),
    }
}

/// The only commit of the ledger whose id starts with these digits.
fn deployed_commit(ledger: &Ledger<'_>, digits: &str) -> Result<Option<CommitId>, CommandError> {
    if digits.len() < FEWEST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let mut commits = ledger.commits_starting_with(digits)?.into_iter();
    let first = commits.next();
    Ok(first.filter(|_| commits.next().is_none()))
}

/// The checked-out commit and its branch. Uncommitted changes are not `done` (built, deployed): in
/// CI, where a checkout should be clean, they are an error.
pub fn checked_out(
    context: &Context,
    look: CheckoutLook<'_>,
    done: &str,
    dry_run: bool,
) -> Result<(CommitId, Option<String>), CommandError> {
    let Checkout { commit, branch, dirty } = look.finish()?;
    if dirty {
        let message = format!("the checkout has changes that are not part of commit {}", commit.short());
        if context.in_ci() && !dry_run {
            let hint = format!("What is {done} is a commit; to see the changes");
            return Err(CommandError::new(Code::Dirty, message).hint(Hint::command(hint, "git status")));
        }
        context.warn(&format!("{message}, and will not be {done}"));
    }
    Ok((commit, branch))
}

/// Fetches the history between commits where the checkout lacks it. Warns if it ends early.
pub fn complete_history(context: &Context, ledger: &Ledger<'_>, commits: &[CommitId]) {
    let early = "history ends early in this shallow checkout, so the commits cannot be counted exactly";
    match ledger.complete_history(commits) {
        Ok(true) => {}
        Ok(false) => context.warn(early),
        Err(error) => context.warn(&format!("{early}: {error}")),
    }
}
