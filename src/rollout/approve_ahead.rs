//! An approval that is given ahead of its rollout (`atmos deployment approve`).

use super::approve::Asking;
use super::command::RolloutCommand;
use super::gather::check_built;
use super::prepare::prepare;
use super::{Options, Surroundings};
use crate::context::Context;
use crate::deployment::approval::Approval;
use crate::deployment::definition::ApprovalMethod;
use crate::error::{Code, CommandError};
use crate::project::ledger::reachable;
use crate::project::rules::Certainty;
use crate::render::document::error::Hint;

/// Stores an approval of the rollout that these arguments request; `None` where it needs none.
///
/// # Errors
///
/// Fails where the rollout would be refused permanently, differs from the one that the digest
/// names, or takes no approval of this method.
pub fn approve_ahead(options: &Options, context: &Context) -> Result<Option<Approval>, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let prepared = prepare(options, context, &repository, &project)?;
    reachable(context, &prepared.ledger, "approvals")?;
    let Surroundings { events, cancellation, token } = Surroundings::of_a_command_line(context);
    let run = RolloutCommand::new(options, context, &prepared, events, cancellation, token);
    let approved = run.approve_ahead();
    context.say_warnings(&prepared.ledger);
    approved
}

impl RolloutCommand<'_, '_> {
    fn approve_ahead(&self) -> Result<Option<Approval>, CommandError> {
        let ledger = &self.prepared.ledger;
        let scope = self.prepared.scope();
        ledger.refresh_or_fail(&scope)?;
        let snapshot = ledger.read(&scope)?;
        let decided = self.decide(&snapshot, Certainty::Binding)?;
        let definitions = self.definitions(&decided.plan)?;
        let gathered = self.gather(&decided, definitions, &snapshot, &self.prepared.run.id)?;
        self.insist_on_digest(&decided.plan, &gathered.digests)?;
        let wanted = gathered.to_be_approved(&decided.plan);
        let Some(method) = decided.plan.approval.filter(|_| !wanted.is_empty()) else { return Ok(None) };
        check_built(&decided.plan, &gathered.digests)?;
        if method != ApprovalMethod::Manual {
            let target = &decided.plan.target;
            let message =
                format!("Rollouts to {target} are approved by {}, not by this command", method.as_str());
            return Err(CommandError::new(Code::ApprovalMethod, message).hint(Hint::note(
                "With approval_method: ci, reviewers of the CI's environment approve the job that rolls out",
            )));
        }
        let (decided, gathered, snapshot) = (&decided, &gathered, &snapshot);
        let elsewhere = self.prepared.typed.clone().set("reason", "why").to_string();
        let elsewhere = vec![Hint::command("To approve it without a look at the plan", elsewhere)];
        let asking = Asking { run: self, decided, gathered, snapshot, wanted, method, elsewhere };
        let approval = asking.manual()?;
        ledger.note_approval(&approval)?;
        Ok(Some(approval))
    }
}
