//! Promotion paths: the rules of `target-promotion.md`, and why a promotion is refused.

use indexmap::IndexMap;

use super::definition::{Deployment, PromotionRule, Target};
use super::graph::{Cycle, Graph};
use super::names::TargetName;

/// A promotion that the paths do not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRefusal {
    pub from: TargetName,
    pub to: TargetName,
    /// Where `to` may be promoted from.
    pub allowed: Vec<TargetName>,
    /// The allowed way from `from` to `to`, both ends included, where there is one.
    pub path: Option<Vec<TargetName>>,
}

/// Whether `to` may be promoted from `from`. Targets without a rule accept any source.
pub fn check_path(deployment: &Deployment, from: &TargetName, to: &TargetName) -> Result<(), PathRefusal> {
    let Some(rule) = deployment.targets.get(to).and_then(|target| target.promotion.as_ref()) else {
        return Ok(());
    };
    if rule.sources.contains(from) {
        return Ok(());
    }
    Err(PathRefusal {
        from: from.clone(),
        to: to.clone(),
        allowed: rule.sources.clone(),
        path: path(deployment, from, to),
    })
}

/// The shortest allowed way from one target to another, both ends included.
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

/// Where a target may be promoted from; nothing for an entry point.
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

/// Every edge `(from, to)` of the promotion graph, in the order of the targets in the file.
pub fn edges(targets: &IndexMap<TargetName, Target>) -> impl Iterator<Item = (&TargetName, &Target)> {
    targets.values().flat_map(|target| {
        target.promotion.iter().flat_map(|rule| &rule.sources).map(move |source| (source, target))
    })
}
