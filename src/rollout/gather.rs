//! The inputs of a decided plan: definitions, stacks, images, and the digest of them all.

use std::collections::BTreeMap;

use super::command::RolloutCommand;
use super::decide::Decided;
use super::digest::{ComponentDigest, DigestBasis, Digests};
use super::images::Images;
use super::prepare::Prepared;
use super::stacks::Stacks;
use crate::deployment::approval::Covered;
use crate::deployment::digest::DigestAction;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::rollout_report::RolloutKind;
use crate::deployment::rules::rule_digest;
use crate::deployment::{CommitId, ComponentName, Deployment};
use crate::error::{Code, CommandError};
use crate::execution::{AlreadyDone, RecordedInputs};
use crate::ledger::Snapshot;
use crate::project::vendored::VendoredCommits;
use crate::render::document::error::Hint;

/// The inputs of a plan.
pub(super) struct Gathered {
    pub(super) definitions: BTreeMap<CommitId, Deployment>,
    pub(super) stacks: Stacks,
    pub(super) images: Images,
    pub(super) digests: Digests,
    /// The components that this run has already deployed with the same inputs.
    pub(super) done: BTreeMap<ComponentName, AlreadyDone>,
}

impl Gathered {
    /// The components that an approval of this plan has to cover.
    pub(super) fn to_be_approved(&self, plan: &RolloutPlan) -> Vec<Covered> {
        plan.components
            .iter()
            .filter(|planned| planned.needs_approval && !self.done.contains_key(&planned.component))
            .filter_map(|planned| {
                Some(Covered {
                    component: planned.component.clone(),
                    commit: planned.commit.clone(),
                    digest: self.digests.components.get(&planned.component)?.digest.clone(),
                    replaces: planned.replaces.clone(),
                })
            })
            .collect()
    }
}

impl From<ComponentDigest> for RecordedInputs {
    fn from(digest: ComponentDigest) -> Self {
        let ComponentDigest { digest, sources, context_overrides, workspace, stack, .. } = digest;
        Self { digest: Some(digest.to_string()), sources, context_overrides, workspace, stack }
    }
}

impl RolloutCommand<'_, '_> {
    /// Gathers the inputs of a plan.
    pub(super) fn gather(
        &self,
        decided: &Decided,
        definitions: BTreeMap<CommitId, Deployment>,
        snapshot: &Snapshot,
        run_id: &str,
    ) -> Result<Gathered, CommandError> {
        let plan = &decided.plan;
        let stacks = self.stacks(&definitions)?;
        let images = self.images(plan, &definitions, &stacks, snapshot)?;
        let vendored = self.vendored(plan, &definitions)?;
        let digests = self.digests(decided, &definitions, &images, &vendored)?;
        let done = self.done(plan, &digests, snapshot, run_id)?;
        Ok(Gathered { definitions, stacks, images, digests, done })
    }

    /// The digests of a plan, with the promotion rule that binds.
    fn digests(
        &self,
        decided: &Decided,
        definitions: &BTreeMap<CommitId, Deployment>,
        images: &Images,
        vendored: &VendoredCommits,
    ) -> Result<Digests, CommandError> {
        let Prepared { repository, project, overrides, .. } = self.prepared;
        let plan = &decided.plan;
        let components = plan.components.iter();
        let components: Vec<_> =
            components.map(|planned| (planned.component.clone(), planned.commit.clone())).collect();
        let action = match &plan.kind {
            RolloutKind::Promotion { from } => DigestAction::Promote { from: from.clone() },
            RolloutKind::Deploy | RolloutKind::Rollback { .. } => DigestAction::Commit,
        };
        let redact = &project.config.deployments.ledger.redact;
        let basis = DigestBasis {
            repository,
            config: &project.config,
            deployment: &plan.deployment,
            target: &plan.target,
            definitions,
            components: &components,
            action: &action,
            images: &images.by_component,
            overrides,
            redacted: &|name| redact.iter().any(|redacted| redacted == name),
            promotion: &rule_digest(decided.rule()),
            vendored,
        };
        basis.digests()
    }

    /// Refuses a plan whose digest is not that of `--digest`.
    pub(super) fn insist_on_digest(&self, plan: &RolloutPlan, digests: &Digests) -> Result<(), CommandError> {
        let Some(expected) = &self.prepared.expected else { return Ok(()) };
        check_built(plan, digests)?;
        if *expected == digests.plan {
            return Ok(());
        }
        let components = plan
            .components
            .iter()
            .map(|component| format!("  {} {}", component.component, component.commit.short()));
        let message = format!("What would be rolled out to {} is not what was planned", plan.target);
        let details = [format!("Planned was  {expected}"), format!("Now it is    {}:", digests.plan)];
        let mut command = self.prepared.typed.clone();
        command.plan();
        Err(CommandError::new(Code::Digest, message)
            .details(details.into_iter().chain(components))
            .hint(Hint::command("Look at the new plan, and approve that", command.to_string())))
    }
}

/// Refuses to bind an approval or `--digest` to a plan with unbuilt images, whose digest
/// does not determine what would run.
pub(super) fn check_built(plan: &RolloutPlan, digests: &Digests) -> Result<(), CommandError> {
    if digests.unbuilt.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = digests.unbuilt.iter().map(AsRef::as_ref).collect();
    let message =
        format!("The plan for {} cannot be approved or insisted on: images are not built yet", plan.target);
    let (deployment, target) = (&plan.deployment, &plan.target);
    Err(CommandError::new(Code::Unbuilt, message).details([format!("Not built: {}", names.join(", "))]).hint(
        Hint::command(
            "To build what is checked out",
            format!("atmos deployment build {deployment} --target {target}"),
        ),
    ))
}
