//! The promotion rules that hold, read from the default branch and from the checkout (`deployment::rules`).

use std::collections::BTreeMap;

use crate::config::{AtmosConfig, ConfigError, load_deployment};
use crate::deployment::rules::{RulesConflict, RulesOrigin, stricter, stricter_everywhere};
use crate::deployment::{CommitId, Deployment, DeploymentName, PromotionRule, TargetName};
use crate::git::Repository;
use crate::ledger::{Ledger, RulesCommit};
use crate::render::document::error::Hint;

use super::context::{CommitSource, Context, Project};
use super::error::{CommandError, exit};

/// How sure the rules have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// A first look, or a view: what is here will do.
    Provisional,
    /// A rollout is decided by them.
    Binding,
}

/// What bounds the rules of the checkout.
#[derive(Debug, Clone)]
pub struct TrustedRules {
    /// The deployment as the default branch declares it, `None` where it does not; and, where the working tree has other
    /// rules than the commit that is checked out, as that commit does.
    sides: Vec<Option<Deployment>>,
    pub origin: RulesOrigin,
    /// Why nothing but the checkout bounds them, where there is a remote.
    pub alone: Option<String>,
}

impl TrustedRules {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// Where the rules are binding and the default branch cannot be read: in a CI also when it was read before.
    pub fn read(
        context: &Context,
        repository: &Repository,
        project: &Project<'_>,
        ledger: &Ledger<'_>,
        checkout: &Deployment,
        certainty: Certainty,
    ) -> Result<Self, CommandError> {
        let reader = Reader { context, repository, project, name: &checkout.name };
        let (mut commit, is_stale) = match ledger.rules_commit()? {
            RulesCommit::Fetched(commit) => (Some(commit), false),
            RulesCommit::LastSeen(commit) => (Some(commit), true),
            RulesCommit::NeverSeen if certainty == Certainty::Binding => {
                return Err(unreachable(ledger));
            }
            RulesCommit::NoDefaultBranch | RulesCommit::NoRemote | RulesCommit::NeverSeen => (None, false),
        };
        if is_stale && certainty == Certainty::Binding && context.in_ci() {
            return Err(unreachable(ledger));
        }
        if let Some(default) = &commit
            && let Some(branch) = reader.config_at(default, "")?.deployments.rules_from
        {
            let tip = ledger.fetch_branch_tip(&branch)?;
            commit = Some(tip.ok_or_else(|| {
                let message =
                    format!("`deployments.rules_from` names the branch {branch}, which does not exist");
                CommandError::new(exit::USAGE, "rules_from", message)
            })?);
        }
        let remote = ledger.remote().filter(|_| commit.is_none());
        let alone = remote.map(|remote| {
            format!(
                "{remote} has no default branch that is known here: the rules of this checkout alone hold"
            )
        });
        let mut sides = Vec::new();
        let mut origin = match &commit {
            Some(commit) => {
                sides.push(reader.declared_at(commit)?);
                if is_stale {
                    RulesOrigin::Stale(commit.clone())
                } else {
                    RulesOrigin::Commit(commit.clone())
                }
            }
            None => RulesOrigin::Commit(repository.head()?),
        };
        let committed = reader.committed(checkout);
        if committed.differs {
            if context.in_ci() && certainty == Certainty::Binding {
                let message = "the promotion rules of the checkout differ from those of its commit";
                let hint =
                    Hint::command("A pipeline obeys what is committed; to see the changes", "git status");
                return Err(CommandError::new(exit::USAGE, "dirty", message).hint(hint));
            }
            origin = RulesOrigin::Uncommitted;
        }
        sides.extend(committed.declared.map(Some));
        Ok(Self { sides, origin, alone })
    }

    fn sides(&self) -> Vec<Option<&Deployment>> {
        self.sides.iter().map(Option::as_ref).collect()
    }

    /// The checkout's deployment with the rule that holds on a target.
    ///
    /// # Errors
    ///
    /// Rules that cannot be obeyed together.
    pub fn policy(&self, checkout: &Deployment, target: &TargetName) -> Result<Deployment, RulesConflict> {
        stricter(checkout, &self.sides(), target)
    }

    /// Likewise with the rules of every target, and those that cannot be obeyed.
    pub fn everywhere(&self, checkout: &Deployment) -> (Deployment, BTreeMap<TargetName, RulesConflict>) {
        stricter_everywhere(checkout, &self.sides())
    }
}

/// The rules of the checkout alone would be what an attacker loosens.
fn unreachable(ledger: &Ledger<'_>) -> CommandError {
    let remote = ledger.code_remote().unwrap_or("the remote");
    let message = format!("The promotion rules of {remote}'s default branch cannot be read");
    CommandError::new(exit::FAILED, "rules_unreachable", message)
        .hint(Hint::note(format!("A rollout obeys them: try again when {remote} can be reached")))
}

/// Reads a deployment in commits.
struct Reader<'a> {
    context: &'a Context,
    repository: &'a Repository,
    project: &'a Project<'a>,
    name: &'a DeploymentName,
}

impl Reader<'_> {
    fn config_at(&self, commit: &CommitId, start: &str) -> Result<AtmosConfig, CommandError> {
        let source = CommitSource::new(self.repository, commit.clone())?;
        crate::config::atmos::load(&source, start).map_err(|error| of_commit(error.into(), commit))
    }

    /// The deployment as a commit declares it: where the commit's own configuration keeps deployments, at the root
    /// before where this command was started, else where this command looks for them. Folders, flags and variables
    /// alone cannot lead away from what the commit declares.
    fn declared_at(&self, commit: &CommitId) -> Result<Option<Deployment>, CommandError> {
        let source = CommitSource::new(self.repository, commit.clone())?;
        let own = self.config_at(commit, "")?;
        let start = self.context.start(self.repository);
        let nearest = if start.is_empty() { None } else { Some(self.config_at(commit, &start)?) };
        for config in [Some(&own), nearest.as_ref(), Some(&self.project.config)].into_iter().flatten() {
            match load_deployment(&source, config, self.name) {
                Ok(loaded) => return Ok(Some(loaded.deployment)),
                Err(ConfigError::NotFound { .. }) => {}
                Err(error) => return Err(of_commit(error.into(), commit)),
            }
        }
        Ok(None)
    }

    /// What the checked-out commit says, where the working tree may say something else.
    fn committed(&self, checkout: &Deployment) -> Committed {
        if self.repository.work_tree().is_none() {
            return Committed { differs: false, declared: None };
        }
        let same_place = self.repository.head().ok().and_then(|head| {
            let source = CommitSource::new(self.repository, head.clone()).ok()?;
            let here = load_deployment(&source, &self.project.config, self.name).ok()?;
            Some((head, rules(&here.deployment) == rules(checkout)))
        });
        let Some((head, is_same)) = same_place else {
            return Committed { differs: true, declared: None };
        };
        let declared = self.declared_at(&head).ok().flatten();
        Committed { differs: !is_same, declared }
    }
}

/// The rules of the commit that is checked out.
struct Committed {
    /// Whether the working tree has others, or the commit no usable declaration of the deployment.
    differs: bool,
    /// The deployment as the commit declares it.
    declared: Option<Deployment>,
}

fn rules(deployment: &Deployment) -> BTreeMap<&TargetName, Option<&PromotionRule>> {
    deployment.targets.iter().map(|(name, target)| (name, target.promotion.as_ref())).collect()
}

fn of_commit(error: CommandError, commit: &CommitId) -> CommandError {
    error.details([format!("in commit {} of the default branch, whose rules hold", commit.short())])
}
