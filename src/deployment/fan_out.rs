//! Splits a rollout into CI jobs, one for each component.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::Deployment;
use super::dependencies;
use super::graph::Cycle;
use super::names::{ComponentKind, ComponentName};

/// The job of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub component: ComponentName,
    pub kind: ComponentKind,
    /// Counted from 0: a job needs only jobs of earlier waves, so that the jobs of one wave can run
    /// in parallel.
    pub wave: usize,
    /// The jobs that have to succeed first; only jobs of this fan-out.
    pub depends_on: Vec<ComponentName>,
}

/// The jobs of the chosen components, wave by wave. Dependencies through components that are not
/// chosen are kept.
pub fn jobs(
    deployment: &Deployment,
    chosen: &BTreeSet<ComponentName>,
) -> Result<Vec<Job>, Cycle<ComponentName>> {
    let graph = dependencies::among(&deployment.components, chosen);
    let mut waves: BTreeMap<ComponentName, usize> = BTreeMap::new();
    let mut jobs = Vec::new();
    for name in graph.order()? {
        let wave = graph.needs(&name).filter_map(|need| waves.get(need)).max().map_or(0, |last| last + 1);
        if let Some(component) = deployment.component(&name) {
            jobs.push(Job {
                kind: component.kind,
                wave,
                depends_on: graph.needs(&name).cloned().collect(),
                component: name.clone(),
            });
        }
        waves.insert(name, wave);
    }
    // Within a wave, in file order.
    let position = |job: &Job| deployment.components.iter().position(|known| known.name == job.component);
    jobs.sort_by_key(|job| (job.wave, position(job)));
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{component_name, deployment};
    use super::*;

    fn shop() -> Deployment {
        let mut deployment = deployment(&["web", "api", "ecr", "vpc", "docs"], &[("dev", &[])]);
        for (at, needs) in [(0, vec!["api"]), (1, vec!["vpc", "ecr"]), (2, vec!["vpc"])] {
            deployment.components[at].depends_on = needs.into_iter().map(component_name).collect();
        }
        deployment
    }

    fn waves(deployment: &Deployment, chosen: &[&str]) -> Vec<(String, usize, Vec<String>)> {
        let chosen = chosen.iter().copied().map(component_name).collect();
        let jobs = jobs(deployment, &chosen).unwrap().into_iter();
        jobs.map(|job| {
            let needs = job.depends_on.iter().map(ToString::to_string).collect();
            (job.component.to_string(), job.wave, needs)
        })
        .collect()
    }

    fn row(name: &str, wave: usize, needs: &[&str]) -> (String, usize, Vec<String>) {
        (name.to_owned(), wave, needs.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_job_comes_in_the_wave_after_the_last_one_that_it_needs() {
        assert_eq!(
            waves(&shop(), &["web", "api", "ecr", "vpc", "docs"]),
            [
                row("vpc", 0, &[]),
                row("docs", 0, &[]),
                row("ecr", 1, &["vpc"]),
                row("api", 2, &["ecr", "vpc"]),
                row("web", 3, &["api"]),
            ]
        );
    }

    #[test]
    fn what_is_left_out_is_needed_through() {
        assert_eq!(waves(&shop(), &["web", "vpc"]), [row("vpc", 0, &[]), row("web", 1, &["vpc"])]);
        assert_eq!(waves(&shop(), &["web", "docs"]), [row("web", 0, &[]), row("docs", 0, &[])]);
        assert_eq!(waves(&shop(), &[]), []);
    }

    #[test]
    fn a_cycle_has_no_waves() {
        let mut deployment = deployment(&["a", "b"], &[]);
        deployment.components[0].depends_on = vec![component_name("b")];
        deployment.components[1].depends_on = vec![component_name("a")];
        let chosen = ["a", "b"].into_iter().map(component_name).collect();
        assert!(jobs(&deployment, &chosen).is_err());
    }
}
