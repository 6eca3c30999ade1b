//! Approvals of a rollout. Invariant: a method that is not available here fails closed.

use jiff::{SignedDuration, Timestamp};

use super::command::RolloutCommand;
use super::decide::Decided;
use super::gather::Gathered;
use crate::deployment::approval::{Approval, ApprovalOf, Approvals, Covered, Need};
use crate::deployment::definition::ApprovalMethod;
use crate::deployment::record::in_whole_seconds;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::rollout_report::RolloutKind;
use crate::deployment::{CommitId, ComponentName, RecordStatus};
use crate::error::{Code, CommandError};
use crate::ledger::Snapshot;
use crate::project::platform::{self, Platform};
use crate::provider::{PlatformApproval, PlatformApprovals, ProviderSettings};
use crate::render::document::error::Hint;

/// The most prompts for a reason at the terminal.
const QUESTIONS: usize = 3;

/// An approval that was granted.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) approval: Approval,
    pub(super) id: String,
    /// Whether it is new and must be pushed with the locks; otherwise it is in the notes already.
    pub(super) is_new: bool,
}

impl Granted {
    fn new(approval: Approval) -> Self {
        Self { id: approval.id(), approval, is_new: true }
    }

    /// Whether it covers all of these components.
    pub(super) fn covers(&self, wanted: &[Covered]) -> bool {
        wanted.iter().all(|wanted| self.approval.components.contains(wanted))
    }
}

/// A request for an approval.
pub(super) struct Asking<'a, 'u, 'r> {
    pub(super) run: &'a RolloutCommand<'u, 'r>,
    pub(super) decided: &'a Decided,
    pub(super) gathered: &'a Gathered,
    pub(super) snapshot: &'a Snapshot,
    /// The components that it has to cover.
    pub(super) wanted: Vec<Covered>,
    pub(super) method: ApprovalMethod,
    /// Hints for a refusal without a terminal.
    pub(super) elsewhere: Vec<Hint>,
}

impl Asking<'_, '_, '_> {
    /// Obtains the approval: an earlier one, else by the target's method.
    pub(super) fn obtain(&self) -> Result<Granted, CommandError> {
        let run = self.run;
        // An environment's reviewers approve every run: notes prove nothing, because every
        // account that may push can write them.
        let may_be_noted = self.method != ApprovalMethod::Ci;
        if may_be_noted
            && run.options.approve.is_none()
            && let Some(granted) = self.given_before()?
        {
            return Ok(granted);
        }
        match self.method {
            ApprovalMethod::Manual => self.manual(),
            ApprovalMethod::Ci => self.of_this_run(),
            ApprovalMethod::Pro => {
                let error = self.needed("by Atmos Pro, which cannot be asked from here");
                Err(error.hint(self.at_a_terminal()))
            }
        }
        .map(Granted::new)
    }

    /// The approval in the commits' notes that covers everything.
    pub(super) fn given_before(&self) -> Result<Option<Granted>, CommandError> {
        let plan = &self.decided.plan;
        let ledger = &self.run.prepared.ledger;
        let commits: Vec<CommitId> = self.wanted.iter().map(|wanted| wanted.commit.clone()).collect();
        let lines = ledger.approval_lines(&plan.deployment, &commits)?;
        let approvals =
            Approvals::of_target(lines.iter().map(String::as_str), &plan.deployment, &plan.target);
        let need = Need { now: ledger.now(), seen: self.requires_digest() };
        let found = approvals.covering(&self.wanted, self.method.as_str(), need);
        Ok(found.map(|(id, approval)| Granted {
            approval: approval.clone(),
            id: id.to_owned(),
            is_new: false,
        }))
    }

    /// The run that reviewers approve: the platform's own id, which
    /// `ATMOS_RUN_ID` must not replace.
    fn run_id(&self) -> &str {
        let run = &self.run.prepared.run;
        if self.method == ApprovalMethod::Ci { &run.platform_id } else { &run.id }
    }

    fn requires_digest(&self) -> bool {
        self.decided.rule().is_some_and(|rule| rule.require_digest)
    }

    /// A manual approval, at the terminal or by `--approve`.
    pub(super) fn manual(&self) -> Result<Approval, CommandError> {
        let run = self.run;
        let (reason, of) = match &run.options.approve {
            Some(reason) => (reason.clone(), self.of_expected()),
            None => (self.ask()?, ApprovalOf::Seen),
        };
        if self.requires_digest() && of == ApprovalOf::Unseen {
            return Err(self.unseen());
        }
        Ok(Approval {
            approved_by: run.prepared.run.actor.clone(),
            reason: Some(reason),
            of: Some(of),
            ..self.unsigned(run.prepared.ledger.now())
        })
    }

    /// Shows the plan and prompts; the answer is the reason.
    fn ask(&self) -> Result<String, CommandError> {
        let plan = &self.decided.plan;
        let is_ahead = self.run.options.is_approval;
        let streams = self.run.context.streams();
        let ask = |question: &str| {
            let answer = streams.ask(question, || self.run.cancellation.is_cancelled());
            self.run.not_cancelled().map(|()| answer)
        };
        let Some(answer) = ask(&self.question())? else {
            let error = if is_ahead {
                CommandError::usage("--reason is required where there is no terminal")
            } else {
                self.needed("and there is no terminal to ask at")
            };
            return Err(self.elsewhere.iter().cloned().fold(error, CommandError::hint));
        };
        let is_end = |answer: &str| !answer.ends_with(['\n', '\r']);
        if is_end(&answer) {
            // End of input: the cursor is still behind the prompt.
            streams.warn("\n");
        }
        let not_approved = || {
            let message = format!("the rollout to {} was not approved", plan.target);
            CommandError::new(Code::NotApproved, message)
        };
        if !matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Err(not_approved());
        }
        for _ in 0..QUESTIONS {
            let reason = ask("  Why? ")?.ok_or_else(not_approved)?;
            if !reason.trim().is_empty() {
                return Ok(reason.trim().to_owned());
            }
            if is_end(&reason) {
                streams.warn("\n");
                break;
            }
            streams.warn("  An approval needs a reason\n");
        }
        Err(not_approved().details(["An approval needs a reason".to_owned()]))
    }

    /// The approval of the platform's environment for this run. Reviewers saw the plan of an
    /// earlier job; `--digest` makes sure that it is this one.
    fn of_this_run(&self) -> Result<Approval, CommandError> {
        let (run, plan) = (self.run, &self.decided.plan);
        if self.requires_digest() && run.prepared.expected.is_none() {
            return Err(self.unseen());
        }
        let settings = platform::settings(run.context, run.token.clone());
        let settings =
            settings.map_err(|error| self.needed("by the CI platform").details([error.to_string()]))?;
        if matches!(settings, ProviderSettings::None) {
            let error = self.needed("by the CI platform, which cannot be asked from here");
            return Err(error
                .hint(Hint::note(
                    "Run it in a job on GitHub Actions or GitLab CI, behind the environment's approval",
                ))
                .hint(self.at_a_terminal()));
        }
        let environment =
            platform::environment(&run.prepared.project.config.ci, &self.decided.policy, &plan.target)?;
        self.same_environment(&environment.name)?;
        let platform = Platform::new(settings)?;
        let answer = platform.approvals(&environment.name).map_err(|error| {
            self.needed("and the platform does not tell who approved this run").details([error.to_string()])
        })?;
        let PlatformApprovals { approvals, of_other_jobs, unchecked } = answer;
        if approvals.is_empty() {
            let name = &environment.name;
            let how = if of_other_jobs {
                format!(
                    "and this job has no `environment: {name}`: what was approved are other jobs of this run"
                )
            } else {
                format!("and nobody has approved this run for the environment {name}")
            };
            let setting = platform.approval_setting(&environment.name);
            return Err(setting
                .into_iter()
                .fold(self.needed(&how), |error, setting| error.hint(Hint::note(setting))));
        }
        if let Some(why) = unchecked {
            run.context.warn(&format!(
                "it could not be checked whether this job waited for the approval of the environment {}, or another one \
                 of this run: {why}",
                environment.name
            ));
        }
        self.check_unused(approvals.len())?;
        let given_at = approvals.iter().filter_map(|approval| approval.approved_at).max();
        let approval = self.unsigned(given_at.unwrap_or_else(|| run.prepared.ledger.now()));
        if approval.expires_at.is_some_and(|expiry| expiry <= run.prepared.ledger.now()) {
            return Err(self.needed("and the one that this run has is too old"));
        }
        if run.prepared.expected.is_none() {
            run.context
                .warn("the approval is of this run, not of a plan: --digest binds it to what was looked at");
        }
        let joined = |of: fn(&PlatformApproval) -> Option<&str>| {
            let mut texts: Vec<_> = approvals.iter().filter_map(of).collect();
            texts.dedup();
            texts.join(", ")
        };
        Ok(Approval {
            approved_by: joined(|approval| Some(approval.approved_by.as_str())),
            reason: Some(joined(|approval| approval.comment.as_deref())).filter(|reason| !reason.is_empty()),
            of: Some(self.of_expected()),
            ..approval
        })
    }

    /// Refuses an environment that differs from that of the default branch and the checked-out
    /// commit: the environment decides whose reviews count, so it is part of the rules.
    fn same_environment(&self, name: &str) -> Result<(), CommandError> {
        let target = &self.decided.plan.target;
        let others = self.decided.trusted.environments(target)?;
        let Some((whose, other)) = others.iter().find(|(_, other)| other != name) else { return Ok(()) };
        let message = format!(
            "The rules for {target} contradict each other: {whose} calls its environment {other}, this checkout {name}"
        );
        let hint = "Whose reviewers approve is part of the rules: merge `ci.environment` and the target's labels into the \
                    default branch first";
        Err(CommandError::new(Code::Rules, message).hint(Hint::note(hint)))
    }

    /// Refuses approvals that this run has already used (a replay). The platform gives neither
    /// their time nor their job, so they are counted: each permits every component once.
    fn check_unused(&self, given: usize) -> Result<(), CommandError> {
        let prepared = self.run.prepared;
        let state = self.snapshot.deployment(&self.decided.plan.deployment);
        let names: Vec<ComponentName> = self.wanted.iter().map(|wanted| wanted.component.clone()).collect();
        for (component, records) in prepared.histories(&state, &names)? {
            let used = records
                .iter()
                .map(|found| &found.record)
                .filter(|record| record.status == RecordStatus::Success)
                .filter(|record| !record.details.approvals.is_empty())
                .filter(|record| prepared.run.shares_approvals_with(record))
                .count();
            if used >= given {
                let how = format!("and this run has used the one that it had for {component}");
                return Err(self
                    .needed(&how)
                    .hint(Hint::note("Start the run again, and have that approved")));
            }
        }
        Ok(())
    }

    /// Whether the approver has seen this plan, which only `--digest` proves.
    fn of_expected(&self) -> ApprovalOf {
        if self.run.prepared.expected.is_some() { ApprovalOf::Seen } else { ApprovalOf::Unseen }
    }

    /// An approval of the plan, without an approver yet.
    fn unsigned(&self, approved_at: Timestamp) -> Approval {
        let plan = &self.decided.plan;
        let approved_at = in_whole_seconds(approved_at);
        let lasts = self.decided.rule().map(|rule| rule.approval_expires);
        let lasts = lasts.and_then(|lasts| SignedDuration::try_from(lasts).ok());
        Approval {
            approved_by: String::new(),
            approved_at,
            approver_role: None,
            method: self.method.as_str().to_owned(),
            deployment: plan.deployment.clone(),
            target: plan.target.clone(),
            promoted_from: match &plan.kind {
                RolloutKind::Promotion { from } => Some(from.clone()),
                RolloutKind::Deploy | RolloutKind::Rollback { .. } => None,
            },
            reason: None,
            digest: Some(self.gathered.digests.plan.to_string()),
            components: self.wanted.clone(),
            context_overrides: self.recorded_overrides(),
            of: None,
            expires_at: lasts.and_then(|lasts| approved_at.checked_add(lasts).ok()),
            run_id: Some(self.run_id().to_owned()),
        }
    }

    fn at_a_terminal(&self) -> Hint {
        let RolloutPlan { target, deployment, .. } = &self.decided.plan;
        Hint::note(format!(
            "For approvals at a terminal, set approval_method: manual on {target} in deployments/{deployment}.yaml"
        ))
    }

    fn unseen(&self) -> CommandError {
        let mut command = self.run.prepared.typed.clone();
        command.plan();
        self.needed("of a plan that was seen (promotion.require_digest)")
            .hint(Hint::command("To see the plan; pass its digest with --digest", command.to_string()))
    }

    fn needed(&self, how: &str) -> CommandError {
        CommandError::new(
            Code::ApprovalRequired,
            format!("The rollout to {} requires an approval, {how}", self.decided.plan.target),
        )
        .details([format!("Approved would be {}", self.gathered.digests.plan)])
    }
}
