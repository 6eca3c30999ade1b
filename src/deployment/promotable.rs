//! Selects the components that a promotion includes: one decision for rollouts, `promotion-status`,
//! the graph and the comment.

use std::collections::BTreeSet;
use std::fmt;

use super::commit::CommitId;
use super::declarations::Declarations;
use super::definition::Component;
use super::names::{ComponentName, TargetName};
use super::record::RecordStatus;
use super::state::{ComponentState, TargetState};

/// The decision about the chosen components.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Promotable<'c> {
    /// Each at the commit that runs in the source.
    pub promoted: Vec<(&'c Component, CommitId)>,
    pub left_out: Vec<LeftOut>,
}

/// A component that a promotion leaves unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub component: ComponentName,
    pub reason: LeftOutReason,
}

/// The reason that a component is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOutReason {
    /// Never deployed to the source.
    NotDeployed { from: TargetName },
    /// The newest record in the source is not a success.
    Unsuccessful { from: TargetName, status: RecordStatus, commit: CommitId },
    /// The commit of the source's state has no record of its deployment there.
    Unrecorded { from: TargetName, commit: CommitId },
    /// The commit that runs in the source does not declare the target, and has no configuration for
    /// it.
    Undeclared { from: TargetName, to: TargetName, commit: CommitId },
    /// Runs in the source and belongs to the deployment, but is not declared by this checkout.
    Unlisted { from: TargetName },
    /// Runs in the source, but is no longer declared by this checkout or by the promoted commit.
    Removed { from: TargetName },
    /// A dependency is neither promoted nor on the target already.
    Needs { dependency: ComponentName, to: TargetName },
}

impl LeftOutReason {
    /// Whether a promotion without it is partial: part of the source's components stay behind.
    #[must_use]
    pub const fn makes_partial(&self) -> bool {
        !matches!(self, Self::NotDeployed { .. } | Self::Removed { .. })
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDeployed { from } => write!(f, "it is not deployed to {from}"),
            Self::Unsuccessful { from, status: RecordStatus::Cancelled, commit } => {
                write!(f, "its last rollout to {from}, of {}, was cancelled", commit.short())
            }
            Self::Unsuccessful { from, commit, .. } => {
                write!(f, "its last rollout to {from}, of {}, failed", commit.short())
            }
            Self::Unrecorded { from, commit } => {
                write!(f, "no record says that {} was deployed to {from}", commit.short())
            }
            Self::Undeclared { from, to, commit } => {
                write!(f, "commit {}, which runs on {from}, does not declare {to}", commit.short())
            }
            Self::Unlisted { from } => write!(f, "it runs on {from}, and this checkout does not declare it"),
            Self::Removed { from } => {
                write!(f, "it still runs on {from}, and is not part of the deployment any more")
            }
            Self::Needs { dependency, to } => {
                write!(f, "it depends on {dependency}, which is neither promoted nor on {to}")
            }
        }
    }
}

impl Promotable<'_> {
    /// Whether part of the source's components stay behind.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.left_out.iter().any(|left_out| left_out.reason.makes_partial())
    }
}

/// Exceptions for components of a promotion.
#[derive(Debug, Clone, Copy)]
pub struct Exceptions<'a> {
    /// Dependencies that stacks disable on the target: they are ignored.
    pub disabled: &'a BTreeSet<ComponentName>,
    /// The declarations of the source's commits and of the trusted sides.
    pub declarations: &'a Declarations,
    /// Whether all components of the deployment are chosen, so that any other component of the
    /// source stays behind.
    pub all: bool,
    /// Whether states of the source without a record are trusted.
    pub trust_state: bool,
}

/// Splits the chosen components into those that a promotion includes and those that it leaves out.
#[must_use]
pub fn promotable<'c>(
    chosen: impl IntoIterator<Item = &'c Component>,
    (from, source): (&TargetName, Option<&TargetState>),
    (to, target): (&TargetName, Option<&TargetState>),
    exceptions: Exceptions<'_>,
) -> Promotable<'c> {
    let mut outcome = Promotable::default();
    let mut listed = BTreeSet::new();
    for component in chosen {
        listed.insert(&component.name);
        let state = source.and_then(|source| source.components.get(&component.name));
        let undeclared = |commit: CommitId| {
            if exceptions.declarations.lacks(&commit, to) {
                return Err(LeftOutReason::Undeclared { from: from.clone(), to: to.clone(), commit });
            }
            Ok(commit)
        };
        let recorded = |commit: CommitId| {
            if !exceptions.trust_state && state.is_some_and(ComponentState::is_unrecorded) {
                return Err(LeftOutReason::Unrecorded { from: from.clone(), commit });
            }
            Ok(commit)
        };
        match commit_of(state, from).and_then(undeclared).and_then(recorded) {
            Ok(commit) => outcome.promoted.push((component, commit)),
            Err(reason) => {
                outcome.left_out.push(LeftOut { component: component.name.clone(), reason });
            }
        }
    }
    if exceptions.all {
        let others = source.into_iter().flat_map(|source| &source.components);
        let others = others.filter(|(name, state)| state.commit.is_some() && !listed.contains(name));
        for (component, _) in others {
            let from = from.clone();
            let promoted = outcome.promoted.iter().map(|(_, commit)| commit);
            let reason = if exceptions.declarations.has(component, promoted) {
                LeftOutReason::Unlisted { from }
            } else {
                LeftOutReason::Removed { from }
            };
            outcome.left_out.push(LeftOut { component: component.clone(), reason });
        }
    }
    let is_on_target = |name: &ComponentName| {
        let state = target.and_then(|target| target.components.get(name));
        state.is_some_and(|state| state.commit.is_some())
    };
    // A fixed point: a component that is left out can be a dependency of the next one.
    loop {
        let taken: BTreeSet<_> =
            outcome.promoted.iter().map(|(component, _)| component.name.clone()).collect();
        let lacks = |component: &Component, commit: &CommitId| {
            let mut needs = exceptions.declarations.needs(component, commit).into_iter();
            needs
                .find(|need| {
                    !taken.contains(*need) && !is_on_target(need) && !exceptions.disabled.contains(*need)
                })
                .cloned()
        };
        let mut lacking = outcome.promoted.iter().enumerate();
        let found = lacking.find_map(|(at, (component, commit))| Some((at, lacks(component, commit)?)));
        let Some((at, dependency)) = found else {
            return outcome;
        };
        let (component, _) = outcome.promoted.remove(at);
        let reason = LeftOutReason::Needs { dependency, to: to.clone() };
        outcome.left_out.push(LeftOut { component: component.name.clone(), reason });
    }
}

/// The commit of a component to promote, or the reason that there is none.
fn commit_of(state: Option<&ComponentState>, from: &TargetName) -> Result<CommitId, LeftOutReason> {
    let newest = state.and_then(|state| state.newest.as_ref()).map(|newest| &newest.record);
    if let Some(record) = newest.filter(|record| record.status != RecordStatus::Success) {
        let (from, status, commit) = (from.clone(), record.status, record.commit.clone());
        return Err(LeftOutReason::Unsuccessful { from, status, commit });
    }
    let commit = state.and_then(|state| state.commit.clone());
    commit.ok_or_else(|| LeftOutReason::NotDeployed { from: from.clone() })
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::definition::Deployment;
    use super::super::fixtures::{commit, component_name, deployment, record, running, target_name};
    use super::*;

    const AT: &str = "2025-01-22T12:00:00Z";

    /// A component that runs `abc123d`, with this status of its last attempt.
    fn attempted(name: &str, status: RecordStatus) -> ComponentState {
        let mut state = running("dev", name, "abc123d", AT);
        state.newest = Some(record("dev", name, "def456a", status, "2025-01-22T13:00:00Z").into());
        state
    }

    /// The decision about `api → worker → database` (each depends on the
    /// next): promoted, left out, partial.
    fn outcome(source: Vec<(&str, ComponentState)>, target: &[&str], disabled: &[&str]) -> String {
        outcome_trusting(Trust::Records, source, target, disabled)
    }

    /// The trust in a component's state on the source.
    #[derive(Clone, Copy, PartialEq)]
    enum Trust {
        Records,
        State,
    }

    fn outcome_trusting(
        trusts: Trust,
        source: Vec<(&str, ComponentState)>,
        target: &[&str],
        disabled: &[&str],
    ) -> String {
        let mut deployment = deployment(&["api", "worker", "database"], &[]);
        deployment.components[0].depends_on.push(component_name("worker"));
        deployment.components[1].depends_on.push(component_name("database"));
        let components = source.into_iter().map(|(name, state)| (component_name(name), state)).collect();
        let source = TargetState { components, locks: Vec::new() };
        let there = |name: &&str| (component_name(name), running("prod", name, "0123456", AT));
        let target = TargetState { components: target.iter().map(there).collect(), locks: Vec::new() };
        let (dev, prod) = (target_name("dev"), target_name("prod"));
        let disabled = disabled.iter().map(|name| component_name(name)).collect();
        let declarations =
            Declarations { commits: [(commit("01d0000"), None)].into(), ..Declarations::default() };
        let (all, trust_state) = (true, trusts == Trust::State);
        let exceptions = Exceptions { disabled: &disabled, declarations: &declarations, all, trust_state };
        let (source, target) = ((&dev, Some(&source)), (&prod, Some(&target)));
        let found = promotable(&deployment.components, source, target, exceptions);
        let names = |names: Vec<&str>| names.join("+");
        let promoted = found.promoted.iter().map(|(component, _)| component.name.as_str()).collect();
        let left_out = found.left_out.iter().map(|left_out| left_out.component.as_str()).collect();
        let partial = if found.is_partial() { " partial" } else { "" };
        format!("{} | {}{partial}", names(promoted), names(left_out))
    }

    fn well(name: &'static str) -> (&'static str, ComponentState) {
        (name, running("dev", name, "abc123d", AT))
    }

    #[test]
    fn what_failed_stays_behind_and_so_does_what_needs_it_and_lacks_it() {
        use RecordStatus::{Cancelled, Failed};
        let failed = |name| (name, attempted(name, Failed));
        let all = || vec![well("api"), well("worker"), well("database")];
        assert_eq!(outcome(all(), &[], &[]), "api+worker+database | ");
        assert_eq!(
            outcome(vec![well("api"), well("worker"), failed("database")], &[], &[]),
            " | database+worker+api partial"
        );
        let one_there = outcome(vec![well("api"), well("worker"), failed("database")], &["database"], &[]);
        assert_eq!(one_there, "api+worker | database partial");
        let in_the_middle = outcome(vec![well("api"), failed("worker"), well("database")], &[], &[]);
        assert_eq!(in_the_middle, "database | worker+api partial");
        let cancelled = vec![well("api"), ("worker", attempted("worker", Cancelled)), well("database")];
        assert_eq!(outcome(cancelled, &["worker"], &[]), "api+database | worker partial");
    }

    #[test]
    fn what_was_never_deployed_makes_nothing_partial_unless_it_is_needed() {
        let without_database = || vec![well("api"), well("worker")];
        assert_eq!(outcome(without_database(), &["database"], &[]), "api+worker | database");
        assert_eq!(outcome(without_database(), &[], &[]), " | database+worker+api partial");
        assert_eq!(outcome(without_database(), &[], &["database"]), "api+worker | database");
        assert_eq!(outcome(vec![well("database")], &[], &[]), "database | api+worker");
    }

    #[test]
    fn a_commit_that_does_not_declare_the_target_stays_behind() {
        let old = ("worker", running("dev", "worker", "01d0000", AT));
        assert_eq!(
            outcome(vec![well("api"), old, well("database")], &[], &[]),
            "database | worker+api partial"
        );
    }

    /// The decision about `api` and `worker` on dev, of which the checkout declares only `api`.
    fn without_worker(declarations: &Declarations, all: bool) -> (Vec<LeftOutReason>, bool) {
        let states =
            ["api", "worker"].map(|name| (component_name(name), running("dev", name, "abc123d", AT)));
        let source = TargetState { components: states.into_iter().collect(), locks: Vec::new() };
        let (dev, prod) = (target_name("dev"), target_name("prod"));
        let disabled = BTreeSet::new();
        let exceptions = Exceptions { disabled: &disabled, declarations, all, trust_state: false };
        let checkout = deployment(&["api"], &[("prod", &[])]);
        let found = promotable(&checkout.components, (&dev, Some(&source)), (&prod, None), exceptions);
        assert_eq!(found.promoted.len(), 1);
        let partial = found.is_partial();
        (found.left_out.into_iter().map(|left_out| left_out.reason).collect(), partial)
    }

    #[test]
    fn what_belongs_to_the_deployment_elsewhere_makes_a_promotion_without_it_partial() {
        let declared = |names: &[&str]| Some(Rc::new(deployment(names, &[("prod", &[])])));
        let with = || declared(&["api", "worker"]);
        let of = |commits: [Option<Rc<Deployment>>; 1]| Declarations {
            commits: commits.into_iter().map(|declared| (commit("abc123d"), declared)).collect(),
            ..Declarations::default()
        };
        let from = target_name("dev");
        let unlisted = (vec![LeftOutReason::Unlisted { from: from.clone() }], true);
        for declarations in [
            Declarations { default_branch: with(), ..of([declared(&["api"])]) },
            Declarations { committed: with(), ..of([declared(&["api"])]) },
            of([with()]),
        ] {
            assert_eq!(without_worker(&declarations, true), unlisted, "{declarations:?}");
            assert_eq!(without_worker(&declarations, false), (Vec::new(), false));
        }
        let removed = (vec![LeftOutReason::Removed { from }], false);
        assert_eq!(without_worker(&of([declared(&["api"])]), true), removed);
    }

    #[test]
    fn a_state_without_a_record_is_promoted_only_where_it_is_trusted() {
        let plain = ComponentState { commit: Some(commit("def456a")), ..ComponentState::default() };
        let moved = ComponentState { running: None, ..running("dev", "database", "abc123d", AT) };
        for state in [plain, moved] {
            let source = || vec![("database", state.clone())];
            assert_eq!(outcome(source(), &[], &[]), " | api+worker+database partial");
            assert_eq!(outcome_trusting(Trust::State, source(), &[], &[]), "database | api+worker");
        }
        // Trust does not turn a failure into a success.
        let failed = ComponentState { running: None, ..attempted("database", RecordStatus::Failed) };
        let source = vec![("database", failed)];
        assert_eq!(outcome_trusting(Trust::State, source, &[], &[]), " | api+worker+database partial");
    }

    #[test]
    fn a_subset_is_not_promoted_ahead_of_what_it_depends_on() {
        let mut deployment = deployment(&["api", "database"], &[]);
        deployment.components[0].depends_on.push(component_name("database"));
        let states =
            ["api", "database"].map(|name| (component_name(name), running("dev", name, "abc123d", AT)));
        let source = TargetState { components: states.into_iter().collect(), locks: Vec::new() };
        let (dev, prod) = (target_name("dev"), target_name("prod"));
        let api = deployment.components.iter().take(1);
        let (disabled, declarations) = (BTreeSet::new(), Declarations::default());
        let (all, trust_state) = (false, false);
        let exceptions = Exceptions { disabled: &disabled, declarations: &declarations, all, trust_state };
        let found = promotable(api, (&dev, Some(&source)), (&prod, None), exceptions);
        assert!(found.promoted.is_empty());
        assert_eq!(
            found.left_out[0].reason.to_string(),
            "it depends on database, which is neither promoted nor on prod"
        );
    }
}
