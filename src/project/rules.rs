//! The binding promotion rules, read from the default branch, the checked-out commit and the
//! working tree (`deployment::rules`).

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use crate::config::load_deployment;
use crate::context::Context;
use crate::deployment::declarations::{Declarations, Definitions};
use crate::deployment::definition::Labels;
use crate::deployment::rules::{RulesConflict, RulesOrigin, TrustedSide, stricter, stricter_everywhere};
use crate::deployment::{CommitId, ComponentName, Deployment, PromotionRule, TargetName};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::ledger::{Ledger, RulesCommit};
use crate::project::Project;
use crate::project::commit_source::CommitSource;
use crate::project::declared::{CommitReader, Declared};
use crate::project::platform;
use crate::render::document::error::Hint;

/// The required freshness of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// A stale mirror suffices: for a view or an optimistic first decision.
    Provisional,
    /// A rollout depends on them: a stale default branch is refused in CI.
    Binding,
}

/// The trusted rules, which those of the working tree can only tighten.
#[derive(Debug, Clone)]
pub struct TrustedRules {
    /// The rules of the default branch, if there is one.
    default_branch: Option<Side>,
    /// The rules of the checked-out commit, if there is a working tree that may differ.
    committed: Option<Side>,
    /// Whether the working tree differs from its commit in an input of promotions.
    is_dirty: bool,
    pub origin: RulesOrigin,
    /// The reason that only the checkout is known, although there is a remote.
    pub alone: Option<Alone>,
}

/// The reason that only the rules of the checkout are known although there is a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alone {
    /// The remote has no default branch.
    NoDefaultBranch { remote: String },
    /// This branch, or the default one, was never fetched, so that its existence is unknown.
    NeverSeen { remote: String, branch: Option<String> },
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDefaultBranch { remote } => {
                write!(f, "{remote} has no default branch: the rules of this checkout alone hold")
            }
            Self::NeverSeen { remote, branch } => {
                let branch = branch.as_deref().unwrap_or("the default branch");
                write!(
                    f,
                    "{branch} of {remote} has not been read here yet: this goes by the rules of the checkout, and a \
                     rollout obeys both"
                )
            }
        }
    }
}

impl TrustedRules {
    /// Reads the trusted rules.
    ///
    /// # Errors
    ///
    /// Fails where the rules bind and the default branch was never
    /// fetched; in CI also where it is stale.
    pub fn read(
        context: &Context,
        repository: &Repository,
        project: &Project<'_>,
        ledger: &Ledger<'_>,
        checkout: &Deployment,
        certainty: Certainty,
    ) -> Result<Self, CommandError> {
        let reader = CommitReader::new(context, repository, project, &checkout.name);
        let known = ledger.rules_commit()?;
        let has_none = known == RulesCommit::NoDefaultBranch;
        let mut unseen_branch = None;
        let (mut commit, is_stale) = match known {
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
            && let Some(branch) =
                reader.config(default).map_err(|error| of_rules(error, default))?.deployments.rules_from
        {
            let tip = if is_stale {
                ledger.last_seen_branch_tip(&branch)?
            } else {
                ledger.fetch_branch_tip(&branch)?
            };
            commit = match tip {
                // The remote is unreachable, so the existence of a default branch is unknown.
                None if is_stale && certainty == Certainty::Binding => return Err(unreachable(ledger)),
                None if is_stale => {
                    unseen_branch = Some(branch);
                    None
                }
                tip => Some(tip.ok_or_else(|| {
                    let message =
                        format!("`deployments.rules_from` names the branch {branch}, which does not exist");
                    CommandError::new(Code::RulesFrom, message)
                })?),
            };
        }
        let remote = ledger.code_remote().filter(|_| commit.is_none()).map(str::to_owned);
        let alone = remote.map(|remote| {
            if has_none {
                Alone::NoDefaultBranch { remote }
            } else {
                Alone::NeverSeen { remote, branch: unseen_branch }
            }
        });
        let mut default_branch = None;
        let mut origin = match &commit {
            Some(commit) => {
                let declared = reader.declared(commit).map_err(|error| of_rules(error, commit))?;
                default_branch = Some(Side::from(declared));
                if is_stale {
                    RulesOrigin::Stale(commit.clone())
                } else {
                    RulesOrigin::Commit(commit.clone())
                }
            }
            None => RulesOrigin::Commit(repository.head()?),
        };
        let committed = Committed::read(repository, project, &reader, checkout);
        if committed.rules_differ {
            if context.in_ci() && certainty == Certainty::Binding {
                return Err(dirty("the promotion rules of the checkout differ from those of its commit"));
            }
            origin = RulesOrigin::Uncommitted;
        }
        let Committed { declared, differs: is_dirty, .. } = committed;
        Ok(Self { default_branch, committed: declared.map(Side::Declared), is_dirty, origin, alone })
    }

    /// No rules, for operations that change nothing.
    pub const fn of_nothing(origin: RulesOrigin) -> Self {
        Self { default_branch: None, committed: None, is_dirty: false, origin, alone: None }
    }

    /// Refuses a promotion if the working tree differs from its commit in an input of promotions:
    /// in CI, an earlier step has written that.
    ///
    /// # Errors
    ///
    /// If it differs.
    pub fn refuse_uncommitted(&self) -> Result<(), CommandError> {
        if self.is_dirty {
            return Err(dirty(
                "the components or the targets of the checkout differ from those of its commit",
            ));
        }
        Ok(())
    }

    /// The trusted declarations, together with those of these commits.
    pub fn declarations(&self, commits: Definitions) -> Declarations {
        let deployment = |side: &Option<Side>| side.as_ref().and_then(Side::shared);
        Declarations {
            committed: deployment(&self.committed),
            default_branch: deployment(&self.default_branch),
            commits,
        }
    }

    /// The names of a target's environment on the platform, with the side that gives each.
    ///
    /// # Errors
    ///
    /// Fails where a template cannot be rendered.
    pub fn environments(&self, target: &TargetName) -> Result<Vec<(&'static str, String)>, CommandError> {
        let sides = [("the default branch", &self.default_branch), ("its commit", &self.committed)];
        sides
            .into_iter()
            .filter_map(|(whose, side)| Some((whose, side.as_ref()?.declared()?)))
            .filter(|(_, declared)| declared.deployment.targets.contains_key(target))
            .map(|(whose, declared)| {
                Ok((whose, platform::environment(&declared.ci, &declared.deployment, target)?.name))
            })
            .collect()
    }

    /// The checkout's deployment with the rules that bind on a target.
    ///
    /// # Errors
    ///
    /// Fails where rules of two sides contradict each other.
    pub fn policy(&self, checkout: &Deployment, target: &TargetName) -> Result<Deployment, RulesConflict> {
        stricter(checkout, &self.trusted(), target)
    }

    /// The deployment with the rules that bind on every target, and the rules that conflict.
    pub fn everywhere(&self, checkout: &Deployment) -> (Deployment, BTreeMap<TargetName, RulesConflict>) {
        stricter_everywhere(checkout, &self.trusted())
    }

    fn trusted(&self) -> Vec<TrustedSide<'_>> {
        let default_branch =
            self.default_branch.iter().map(|side| TrustedSide::DefaultBranch(side.deployment()));
        let committed = self.committed.iter().filter_map(Side::deployment).map(TrustedSide::Commit);
        default_branch.chain(committed).collect()
    }
}

/// The refusal without the default branch: an attacker could loosen the rules of the checkout.
fn unreachable(ledger: &Ledger<'_>) -> CommandError {
    let remote = ledger.code_remote().unwrap_or("the remote");
    let message = format!("The promotion rules of {remote}'s default branch cannot be read");
    CommandError::new(Code::RulesUnreachable, message)
        .hint(Hint::note(format!("A rollout obeys them: try again when {remote} can be reached")))
}

/// The declaration of the deployment at a commit.
#[derive(Debug, Clone)]
enum Side {
    Declared(Declared),
    /// The commit does not declare it.
    Undeclared,
}

impl From<Option<Declared>> for Side {
    fn from(declared: Option<Declared>) -> Self {
        declared.map_or(Self::Undeclared, Self::Declared)
    }
}

impl Side {
    fn deployment(&self) -> Option<&Deployment> {
        self.declared().map(|declared| &*declared.deployment)
    }

    const fn declared(&self) -> Option<&Declared> {
        match self {
            Self::Declared(declared) => Some(declared),
            Self::Undeclared => None,
        }
    }

    fn shared(&self) -> Option<Rc<Deployment>> {
        self.declared().map(|declared| Rc::clone(&declared.deployment))
    }
}

/// The checked-out commit, compared with the working tree.
struct Committed {
    /// Whether the rules differ, or the commit has no valid declaration of the deployment.
    rules_differ: bool,
    /// Whether any input of promotions differs.
    differs: bool,
    /// The declaration at the commit.
    declared: Option<Declared>,
}

impl Committed {
    /// Reads the checked-out commit, if there is a working tree that may differ.
    fn read(
        repository: &Repository,
        project: &Project<'_>,
        reader: &CommitReader<'_>,
        checkout: &Deployment,
    ) -> Self {
        if repository.work_tree().is_none() {
            return Self { rules_differ: false, differs: false, declared: None };
        }
        let Ok(head) = repository.head() else {
            return Self { rules_differ: true, differs: true, declared: None };
        };
        let here = CommitSource::new(repository, head.clone()).ok();
        let here = here.and_then(|source| load_deployment(&source, &project.config, &checkout.name).ok());
        let here = here.as_ref().map(|loaded| &loaded.deployment);
        let rules_differ = here.is_none_or(|here| rules(here) != rules(checkout));
        let differs = rules_differ || here.is_none_or(|here| deciding(here) != deciding(checkout));
        Self { rules_differ, differs, declared: reader.declared(&head).ok().flatten() }
    }
}

fn rules(deployment: &Deployment) -> BTreeMap<&TargetName, Option<&PromotionRule>> {
    deployment.targets.iter().map(|(name, target)| (name, target.promotion.as_ref())).collect()
}

/// The other inputs of promotions: the components, their dependencies, and the targets'
/// environments.
type Deciding<'a> = (BTreeMap<&'a ComponentName, &'a [ComponentName]>, BTreeMap<&'a TargetName, &'a Labels>);

fn deciding(deployment: &Deployment) -> Deciding<'_> {
    let components = deployment.components.iter();
    (
        components.map(|component| (&component.name, component.depends_on.as_slice())).collect(),
        deployment.targets.iter().map(|(name, target)| (name, &target.labels)).collect(),
    )
}

fn dirty(message: &str) -> CommandError {
    let hint = Hint::command("A pipeline obeys what is committed; to see the changes", "git status");
    CommandError::new(Code::Dirty, message).hint(hint)
}

fn of_rules(error: CommandError, commit: &CommitId) -> CommandError {
    error.details([format!("in commit {} of the default branch, whose rules hold", commit.short())])
}
