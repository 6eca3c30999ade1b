//! Promotion paths: the rules of `target-promotion.md`, and the refusals that follow from them.

use indexmap::IndexMap;

use super::definition::{Deployment, PromotionRule, Target};
use super::graph::{Cycle, Graph};
use super::names::TargetName;

/// A promotion that the paths do not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRefusal {
    pub from: TargetName,
    pub to: TargetName,
    /// The targets that `to` may be promoted from.
    pub allowed: Vec<TargetName>,
    /// The allowed path from `from` to `to`, both ends included, if any.
    pub path: Option<Vec<TargetName>>,
}

/// Whether `to` may be promoted from `from`. Entry points accept any source.
pub fn check_path(deployment: &Deployment, from: &TargetName, to: &TargetName) -> Result<(), PathRefusal> {
    let Some(rule) = deployment.targets.get(to).and_then(|target| target.promotion.as_ref()) else {
        return Ok(());
    };
    if !rule.is_guarded() || rule.sources.contains(from) {
        return Ok(());
    }
    Err(PathRefusal {
        from: from.clone(),
        to: to.clone(),
        allowed: rule.sources.clone(),
        path: path(deployment, from, to),
    })
}

/// The shortest allowed path from one target to another, both ends included.
#[must_use]
pub fn path(deployment: &Deployment, from: &TargetName, to: &TargetName) -> Option<Vec<TargetName>> {
    let mut queue = std::collections::VecDeque::from([vec![to.clone()]]);
    while let Some(path) = queue.pop_front() {
        let last = path.last()?;
        if last == from {
            return Some(path.into_iter().rev().collect());
        }
        for source in sources(deployment, last) {
            if !path.contains(source) {
                let mut longer = path.clone();
                longer.push(source.clone());
                queue.push_back(longer);
            }
        }
    }
    None
}

/// The targets that a target may be promoted from; empty for an entry point.
pub fn sources<'a>(deployment: &'a Deployment, target: &TargetName) -> &'a [TargetName] {
    deployment
        .targets
        .get(target)
        .and_then(|target| target.promotion.as_ref())
        .map_or(&[], |rule| rule.sources.as_slice())
}

/// A circular promotion path (rule 6), if there is one.
#[must_use]
pub fn cycle<'a>(
    rules: impl IntoIterator<Item = (&'a TargetName, Option<&'a PromotionRule>)>,
) -> Option<Cycle<TargetName>> {
    let mut graph = Graph::default();
    for (target, rule) in rules {
        graph.insert(target.clone(), rule.into_iter().flat_map(|rule| rule.sources.iter().cloned()));
    }
    graph.order().err()
}

/// Valid promotion rules that are almost certainly mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oversight {
    /// The default target is only reachable by promotion.
    GuardedDefault { target: TargetName, sources: Vec<TargetName> },
    /// A target without any promotions, in a deployment where other targets have some.
    Isolated { target: TargetName },
}

impl std::fmt::Display for Oversight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GuardedDefault { target, sources } => {
                let sources: Vec<_> = sources.iter().map(TargetName::as_str).collect();
                let sources = sources.join(" or ");
                write!(
                    f,
                    "the default target {target} is promoted from {sources}, so a rollout to it is refused"
                )
            }
            Self::Isolated { target } => {
                write!(f, "target {target} is neither promoted to nor from, so any commit can go there")
            }
        }
    }
}

/// Probable mistakes in the valid promotion rules of a deployment.
#[must_use]
pub fn oversights(deployment: &Deployment) -> Vec<Oversight> {
    let default = deployment.context.default_target.as_ref();
    let guarded =
        default.map(|target| (target, sources(deployment, target))).filter(|(_, from)| !from.is_empty());
    let guarded = guarded
        .map(|(target, from)| Oversight::GuardedDefault { target: target.clone(), sources: from.to_vec() });
    let connected: Vec<_> = edges(&deployment.targets).flat_map(|(from, to)| [from, &to.name]).collect();
    let isolated = deployment
        .targets
        .keys()
        .filter(|target| !connected.is_empty() && !connected.contains(target))
        .map(|target| Oversight::Isolated { target: target.clone() });
    guarded.into_iter().chain(isolated).collect()
}

/// Every edge `(from, to)` of the promotion graph, in the file order of the targets.
pub fn edges(targets: &IndexMap<TargetName, Target>) -> impl Iterator<Item = (&TargetName, &Target)> {
    targets.values().flat_map(|target| {
        target.promotion.iter().flat_map(|rule| &rule.sources).map(move |source| (source, target))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{deployment, target_name};
    use super::*;

    #[test]
    fn rules_that_hold_can_still_be_oversights() {
        let mut deployment = deployment(&["api"], &[("dev", &[]), ("prod", &["dev"]), ("debug", &[])]);
        assert_eq!(oversights(&deployment), [Oversight::Isolated { target: target_name("debug") }]);
        deployment.targets.shift_remove(&target_name("debug"));
        assert_eq!(oversights(&deployment), []);
        deployment.context.default_target = Some(target_name("prod"));
        let guarded =
            Oversight::GuardedDefault { target: target_name("prod"), sources: vec![target_name("dev")] };
        assert_eq!(oversights(&deployment), [guarded]);
    }

    #[test]
    fn without_promotions_no_target_is_isolated() {
        assert_eq!(oversights(&deployment(&["api"], &[("dev", &[]), ("debug", &[])])), []);
    }
}
