//! The jobs of a rollout in a CI's own format: GitHub's matrix, GitLab's child pipeline.

mod github;
mod gitlab;

use crate::deployment::fan_out::Job;
use crate::deployment::{DeploymentName, TargetName};

pub use github::github;
pub use gitlab::{Template, gitlab};

/// One rollout, split into jobs.
#[derive(Debug, Clone, Copy)]
pub struct FanOut<'a> {
    pub deployment: &'a DeploymentName,
    pub target: &'a TargetName,
    pub jobs: &'a [Job],
}

/// More jobs than a CI accepts.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    #[error("there are {jobs} jobs, and GitHub takes {limit} in one matrix")]
    TooManyJobs { jobs: usize, limit: usize },
    #[error("the job of {component} needs {needs} others, and GitLab takes {limit}")]
    TooManyNeeds { component: String, needs: usize, limit: usize },
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Yaml(#[from] serde_yaml::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::ComponentKind;

    fn job(name: &str, wave: usize, depends_on: &[&str]) -> Job {
        Job {
            component: name.parse().unwrap(),
            kind: ComponentKind::Terraform,
            wave,
            depends_on: depends_on.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    fn fan_out<T>(jobs: &[Job], show: impl FnOnce(&FanOut<'_>) -> T) -> T {
        let (deployment, target) = ("shop".parse().unwrap(), "dev".parse().unwrap());
        show(&FanOut { deployment: &deployment, target: &target, jobs })
    }

    #[test]
    fn github_gets_one_line() {
        let jobs = [job("vpc", 0, &[]), job("ecs/api", 1, &["vpc"])];
        let text = fan_out(&jobs, |fan_out| github(fan_out).unwrap());
        assert_eq!(
            text,
            "{\"include\":[{\"component\":\"vpc\",\"type\":\"terraform\",\"wave\":0,\"depends_on\":[]},\
             {\"component\":\"ecs/api\",\"type\":\"terraform\",\"wave\":1,\"depends_on\":[\"vpc\"]}]}\n"
        );
        assert_eq!(fan_out(&[], |fan_out| github(fan_out).unwrap()), "{\"include\":[]}\n");
    }

    #[test]
    fn github_takes_256_jobs() {
        let jobs: Vec<_> = (0..257).map(|at| job(&format!("c{at}"), 0, &[])).collect();
        assert!(fan_out(&jobs[..256], github).is_ok());
        let error = fan_out(&jobs, github).unwrap_err();
        assert_eq!(error.to_string(), "there are 257 jobs, and GitHub takes 256 in one matrix");
    }

    #[test]
    fn gitlab_gets_a_pipeline() {
        let jobs = [job("vpc", 0, &[]), job("ecs/a $b", 1, &["vpc"])];
        let template = Template::parse("ci/atmos.yml");
        insta::assert_snapshot!(fan_out(&jobs, |fan_out| gitlab(fan_out, &template).unwrap()));
    }

    #[test]
    fn a_pipeline_has_a_job_even_where_there_is_nothing_to_do() {
        let template = Template::parse("https://example.com/atmos.yml");
        insta::assert_snapshot!(fan_out(&[], |fan_out| gitlab(fan_out, &template).unwrap()));
    }

    #[test]
    fn gitlab_takes_50_needs() {
        let names: Vec<_> = (0..51).map(|at| format!("c{at}")).collect();
        let needs: Vec<_> = names.iter().map(String::as_str).collect();
        let template = Template::parse("x.yml");
        assert!(fan_out(&[job("a", 1, &needs[1..])], |fan_out| gitlab(fan_out, &template)).is_ok());
        let error = fan_out(&[job("a", 1, &needs)], |fan_out| gitlab(fan_out, &template)).unwrap_err();
        assert_eq!(error.to_string(), "the job of a needs 51 others, and GitLab takes 50");
    }
}
