//! Dependencies between selected components of a deployment.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::Component;
use super::graph::Graph;
use super::names::ComponentName;

/// The graph of the chosen components. Dependencies through components that are not chosen become
/// direct, so that the order is kept.
#[must_use]
pub fn among(components: &[Component], chosen: &BTreeSet<ComponentName>) -> Graph<ComponentName> {
    let by_name: BTreeMap<_, _> = components.iter().map(|component| (&component.name, component)).collect();
    let mut graph = Graph::default();
    for component in chosen {
        let mut needs = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![component];
        while let Some(name) = open.pop() {
            for need in by_name.get(name).into_iter().flat_map(|component| &component.depends_on) {
                if chosen.contains(need) {
                    needs.insert(need.clone());
                } else if seen.insert(need) {
                    open.push(need);
                }
            }
        }
        graph.insert(component.clone(), needs);
    }
    graph
}
