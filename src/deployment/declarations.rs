//! The declarations of commits that decide which components a promotion includes.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::commit::CommitId;
use super::definition::{Component, Deployment};
use super::names::{ComponentName, TargetName};

/// Deployments as commits declare them.
pub type Definitions = BTreeMap<CommitId, Option<Rc<Deployment>>>;

/// The declarations of one deployment other than the checkout's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declarations {
    /// By the checked-out commit.
    pub committed: Option<Rc<Deployment>>,
    /// By the default branch.
    pub default_branch: Option<Rc<Deployment>>,
    /// By the commits that run on targets, as far as they were read: `None` where a commit does not
    /// declare it.
    pub commits: Definitions,
}

impl Declarations {
    /// Whether a commit was read and does not declare a target.
    #[must_use]
    pub fn lacks(&self, commit: &CommitId, target: &TargetName) -> bool {
        self.commits.get(commit).is_some_and(|declared| {
            !declared.as_ref().is_some_and(|deployment| deployment.targets.contains_key(target))
        })
    }

    /// The dependencies of a component at a promoted commit, declared by the checkout, the
    /// checked-out commit and its own commit.
    ///
    /// None of these declarations alone can let it go ahead of its dependencies.
    #[must_use]
    pub fn needs<'a>(&'a self, component: &'a Component, commit: &CommitId) -> BTreeSet<&'a ComponentName> {
        let own = self.commits.get(commit).and_then(Option::as_ref);
        let elsewhere = [self.committed.as_ref(), own].into_iter().flatten();
        let elsewhere = elsewhere.filter_map(|deployment| deployment.component(&component.name));
        std::iter::once(component).chain(elsewhere).flat_map(|component| &component.depends_on).collect()
    }

    /// Whether a component that the checkout does not declare still belongs to the deployment.
    ///
    /// The default branch, the checked-out commit or a promoted commit
    /// declares it. Otherwise it was removed.
    #[must_use]
    pub fn has<'a>(
        &self,
        component: &ComponentName,
        promoted: impl IntoIterator<Item = &'a CommitId>,
    ) -> bool {
        let promoted = promoted.into_iter().filter_map(|commit| self.commits.get(commit)?.as_ref());
        let mut all = [&self.committed, &self.default_branch].into_iter().flatten().chain(promoted);
        all.any(|deployment| deployment.component(component).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{commit, component_name, deployment, target_name};
    use super::*;

    fn declared(needs: &[&str]) -> Rc<Deployment> {
        let mut deployment = deployment(&["api", "cache", "database"], &[("prod", &[])]);
        deployment.components[0].depends_on = needs.iter().map(|name| component_name(name)).collect();
        Rc::new(deployment)
    }

    #[test]
    fn a_component_needs_what_any_declaration_of_it_says() {
        let promoted = commit("abc123d");
        for (checkout, committed, own, all) in [
            (&["cache"][..], None, None, &["cache"][..]),
            (&[], Some(&["cache"][..]), None, &["cache"]),
            (&[], None, Some(&["cache"][..]), &["cache"]),
            (&["cache"], Some(&["database"]), Some(&["cache"]), &["cache", "database"]),
            (&[], None, None, &[]),
        ] {
            let declarations = Declarations {
                committed: committed.map(declared),
                // Newer dependencies on the default branch do not apply to an older commit.
                default_branch: Some(declared(&["database", "cache"])),
                commits: [
                    (promoted.clone(), own.map(declared)),
                    (commit("0123456"), Some(declared(&["cache"]))),
                ]
                .into(),
            };
            let checkout = declared(checkout);
            let needs = declarations.needs(&checkout.components[0], &promoted);
            assert_eq!(needs.into_iter().map(ComponentName::as_str).collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn of_a_commit_that_was_not_read_nothing_is_known() {
        let (prod, qa) = (target_name("prod"), target_name("qa"));
        let [with, without, unread] = ["abc123d", "0123456", "def456a"].map(commit);
        let commits = [(with.clone(), Some(declared(&[]))), (without.clone(), None)].into();
        let declarations = Declarations { commits, ..Declarations::default() };
        assert!(!declarations.lacks(&with, &prod) && declarations.lacks(&with, &qa));
        assert!(declarations.lacks(&without, &prod) && !declarations.lacks(&unread, &prod));
    }
}
