//! The promotion rules that hold, read from the default branch and from the checkout (`deployment::rules`).

use std::collections::BTreeMap;

use crate::config::{AtmosConfig, ConfigError, load_deployment};
use crate::deployment::rules::{RulesConflict, RulesOrigin, stricter, stricter_everywhere};
use crate::deployment::{CommitId, Deployment, DeploymentName, TargetName};
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
            && let Some(branch) = reader.config_at(default)?.deployments.rules_from
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
        match reader.committed(checkout)? {
            Committed::Same => {}
            Committed::Differs(_) | Committed::Unusable
                if context.in_ci() && certainty == Certainty::Binding =>
            {
                let message = "the promotion rules of the checkout differ from those of its commit";
                let hint =
                    Hint::command("A pipeline obeys what is committed; to see the changes", "git status");
                return Err(CommandError::new(exit::USAGE, "dirty", message).hint(hint));
            }
            Committed::Differs(committed) => {
                sides.push(Some(*committed));
                origin = RulesOrigin::Uncommitted;
            }
            Committed::Unusable => origin = RulesOrigin::Uncommitted,
        }
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
    let remote = ledger.remote().unwrap_or("the remote");
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
    fn config_at(&self, commit: &CommitId) -> Result<AtmosConfig, CommandError> {
        let source = CommitSource::new(self.repository, commit.clone())?;
        let start = self.context.start(self.repository);
        crate::config::atmos::load(&source, &start).map_err(|error| of_commit(error.into(), commit))
    }

    /// The deployment as a commit declares it: where the commit's own configuration keeps deployments, else where this
    /// command looks for them. Flags and variables alone cannot lead away from what the commit declares.
    fn declared_at(&self, commit: &CommitId) -> Result<Option<Deployment>, CommandError> {
        let source = CommitSource::new(self.repository, commit.clone())?;
        let own = self.config_at(commit)?;
        for config in [&own, &self.project.config] {
            match load_deployment(&source, config, self.name) {
                Ok(loaded) => return Ok(Some(loaded.deployment)),
                Err(ConfigError::NotFound { .. }) => {}
                Err(error) => return Err(of_commit(error.into(), commit)),
            }
        }
        Ok(None)
    }

    /// How the rules of the working tree stand to those of the commit that is checked out.
    fn committed(&self, checkout: &Deployment) -> Result<Committed, CommandError> {
        if self.repository.work_tree().is_none() {
            return Ok(Committed::Same);
        }
        let Ok(head) = self.repository.head() else { return Ok(Committed::Unusable) };
        let source = CommitSource::new(self.repository, head)?;
        let Ok(committed) = load_deployment(&source, &self.project.config, self.name) else {
            return Ok(Committed::Unusable);
        };
        let rules = |deployment: &Deployment| {
            let targets = deployment.targets.iter();
            targets.map(|(name, target)| (name.clone(), target.promotion.clone())).collect::<BTreeMap<_, _>>()
        };
        if rules(&committed.deployment) == rules(checkout) {
            return Ok(Committed::Same);
        }
        Ok(Committed::Differs(Box::new(committed.deployment)))
    }
}

/// The rules of the commit that is checked out.
enum Committed {
    /// Those of the working tree.
    Same,
    /// Others: the deployment as the commit declares it.
    Differs(Box<Deployment>),
    /// The commit has no usable declaration of the deployment.
    Unusable,
}

fn of_commit(error: CommandError, commit: &CommitId) -> CommandError {
    error.details([format!("in commit {} of the default branch, whose rules hold", commit.short())])
}
