//! Directed graphs over names: dependency order and cycles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A cycle, as the path that closes it: `a`, `b`, `a`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle<N>(pub Vec<N>);

/// Edges from each node to its dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph<N: Ord + Clone> {
    needs: BTreeMap<N, BTreeSet<N>>,
}

impl<N: Ord + Clone> Default for Graph<N> {
    fn default() -> Self {
        Self { needs: BTreeMap::new() }
    }
}

impl<N: Ord + Clone> Graph<N> {
    /// Adds a node and its dependencies. Dependencies that are never added as nodes are ignored by
    /// every query.
    pub fn insert(&mut self, node: N, needs: impl IntoIterator<Item = N>) {
        self.needs.entry(node).or_default().extend(needs);
    }

    /// The nodes, in their own order.
    pub fn nodes(&self) -> impl Iterator<Item = &N> {
        self.needs.keys()
    }

    /// The direct dependencies of a node, within the graph.
    pub fn needs<'a>(&'a self, node: &N) -> impl Iterator<Item = &'a N> {
        self.needs.get(node).into_iter().flatten().filter(|need| self.needs.contains_key(*need))
    }

    /// The nodes in topological order, dependencies first; independent nodes in their own order.
    pub fn order(&self) -> Result<Vec<N>, Cycle<N>> {
        let mut open: BTreeMap<&N, usize> =
            self.needs.keys().map(|node| (node, self.needs(node).count())).collect();
        let mut dependents: BTreeMap<&N, Vec<&N>> = BTreeMap::new();
        for node in self.needs.keys() {
            for need in self.needs(node) {
                dependents.entry(need).or_default().push(node);
            }
        }
        let mut ready: VecDeque<&N> =
            open.iter().filter(|(_, count)| **count == 0).map(|(node, _)| *node).collect();
        let mut order = Vec::with_capacity(self.needs.len());
        while let Some(node) = ready.pop_front() {
            open.remove(node);
            order.push(node.clone());
            for dependent in dependents.get(node).into_iter().flatten() {
                if let Some(count) = open.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push_back(dependent);
                    }
                }
            }
        }
        match open.keys().next() {
            None => Ok(order),
            Some(stuck) => Err(self.cycle_from(stuck, &open)),
        }
    }

    /// Follows dependencies among the nodes that could not be ordered until one repeats.
    fn cycle_from(&self, start: &N, open: &BTreeMap<&N, usize>) -> Cycle<N> {
        let mut path: Vec<N> = Vec::new();
        let mut node = start;
        loop {
            if let Some(first) = path.iter().position(|seen| seen == node) {
                let mut cycle = path.split_off(first);
                cycle.push(node.clone());
                return Cycle(cycle);
            }
            path.push(node.clone());
            // A node that could not be ordered depends on another such node.
            match self.needs(node).find(|need| open.contains_key(*need)) {
                Some(next) => node = next,
                None => return Cycle(path),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&'static str, &[&'static str])]) -> Graph<&'static str> {
        let mut graph = Graph::default();
        for (node, needs) in edges {
            graph.insert(*node, needs.iter().copied());
        }
        graph
    }

    #[test]
    fn needs_come_first_and_equals_keep_their_order() {
        let graph = graph(&[("api", &["ecr", "vpc"]), ("ecr", &[]), ("vpc", &["ecr"]), ("b", &[])]);
        assert_eq!(graph.order(), Ok(vec!["b", "ecr", "vpc", "api"]));
    }

    #[test]
    fn needs_outside_the_graph_are_ignored() {
        assert_eq!(graph(&[("api", &["elsewhere"])]).order(), Ok(vec!["api"]));
    }

    #[test]
    fn a_cycle_is_shown_as_its_path_without_what_only_leads_to_it() {
        let graph = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
        assert_eq!(graph.order(), Err(Cycle(vec!["b", "c", "b"])));
    }

    #[test]
    fn a_node_that_needs_itself_is_a_cycle() {
        assert_eq!(graph(&[("a", &["a"])]).order(), Err(Cycle(vec!["a", "a"])));
    }
}
