//! Errors of the ledger.

use crate::git::damage::Damage;
use crate::git::rejection::Rejection;
use crate::ledger::LedgerError;
use crate::render::document::error::Hint;

use super::{Code, CommandError, damaged};

impl From<LedgerError> for CommandError {
    fn from(error: LedgerError) -> Self {
        let message = error.to_string();
        let is_of_this_checkout = error.is_of_this_checkout();
        match error {
            LedgerError::Git(error) => error.into(),
            LedgerError::Repository(error) => error.into(),
            LedgerError::Objects(error) => error.into(),
            LedgerError::Refused { reason: Rejection::LacksObjects(_), .. } => {
                damaged(Self::new(Code::Damaged, message), Damage::Remote)
            }
            LedgerError::Refused { reason: Rejection::SymbolicRef(_), .. } => {
                Self::new(Code::RemoteRefused, message).hint(Hint::command(
                    "A ref of the ledger is symbolic there: to see it, and to remove it in the remote's repository",
                    "git for-each-ref --format='%(symref) %(refname)' refs/atmos && git symbolic-ref --delete <refname>",
                ))
            }
            LedgerError::Refused { reason: Rejection::TooManyRefs(_), .. } => {
                Self::new(Code::RemoteRefused, message).hint(Hint::note(
                    "The host limits how many refs one push changes: set deployments.ledger.max_refs_per_push in atmos.yaml \
                     to its number",
                ))
            }
            LedgerError::Refused { .. } if is_of_this_checkout => Self::new(Code::Git, message).hint(
                Hint::note("The files of .git have to be writable, and their disk to have room"),
            ),
            LedgerError::Refused { .. } => Self::new(Code::RemoteRefused, message)
                .hint(Hint::note(
                    "The account needs permission to push refs/atmos/* and tags atmos/*, and the server must be able to change them",
                )),
            LedgerError::OtherHistory { remote, tag, .. } => {
                Self::new(Code::OtherHistory, message)
                    .details([format!("What has run cannot be told apart from what {remote} does not know")])
                    .hint(Hint::command(
                        format!("To take {remote}'s, where the tag here is not the right one"),
                        format!("git tag -d {tag}"),
                    ))
            }
            LedgerError::Contended(_) => Self::new(Code::Contended, message)
                .hint(Hint::note("Others write to the same ledger; run the command again")),
            LedgerError::Moved { by, .. } => {
                let shown = Self::new(Code::Moved, message);
                let Some(by) = by else { return shown };
                let record = &by.record;
                shown.details([format!(
                    "{} by {} at {}, commit {}{}",
                    record.status,
                    record.deployed_by.as_deref().unwrap_or("somebody"),
                    record.timestamp,
                    record.commit.short(),
                    record.run_id.as_ref().map(|run| format!(", run {run}")).unwrap_or_default(),
                )])
            }
            LedgerError::LockLost(_) => Self::new(Code::LockLost, message),
            LedgerError::NotRenewed { .. } => {
                Self::new(Code::LockNotRenewed, message).hint(Hint::note(
                    "It could not be renewed for longer than the lock lives, because the remote was away or this checkout \
                     could not be used, so that others may take it over: what ran was ended, and what had not started was \
                     left",
                ))
            }
            LedgerError::NoteUnreadable { .. } => Self::new(Code::NoteUnreadable, message)
                .hint(Hint::note("Somebody wrote it with other tools; `git notes --ref=… show` prints it")),
            LedgerError::NotSigned(_) => Self::new(Code::NotSigned, message).hint(Hint::command(
                "To see with what git would sign",
                "git config --get-regexp '^(user.signingkey|gpg\\.)'",
            )),
            LedgerError::CommitMissing { .. } => Self::new(Code::Objects, message),
            LedgerError::NoteTooLarge(_) => Self::new(Code::NoteTooLarge, message),
        }
    }
}
