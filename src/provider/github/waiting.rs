//! Detection of whether this very job waited for an environment. The approvals of a run name
//! neither job nor attempt.
//!
//! The job's identity names the environment, where the job may request it. The fallback: a job that
//! names an environment has a deployment there, unless the workflow says `deployment: false`, and
//! its log is that of the job.

use super::GitHub;
use super::responses::{DeploymentAnswer, DeploymentStatusAnswer, Job, Jobs};
use crate::deployment::CommitId;
use crate::provider::http::{PAGE_SIZE, Request, segment};
use crate::provider::{Capability, ProviderError};

/// The maximum number of pages of a run's jobs that are read.
const PAGES_OF_JOBS: u32 = 10;

/// The number of polls for the job: it may take a moment until the platform knows which runner has
/// one.
const LOOKS_FOR_THE_JOB: u32 = 3;

/// The maximum number of deployments whose job is looked up. Each costs a request, and a run has
/// few to one environment, unless it has a large matrix.
const MOST_DEPLOYMENTS: usize = 30;

/// The number of a deployment's statuses that are read. Each of them names the job.
const STATUSES: usize = 10;

/// Whether a job waited for an environment.
pub(super) enum Waited {
    Yes,
    /// Only other jobs of the run waited.
    No,
    /// Not determined, with the reason.
    Unknown(String),
}

impl GitHub {
    /// Whether this job of the run waited for the environment. Data that the platform lacks, or
    /// withholds from this token, is no error.
    pub(super) async fn waited(&self, run: u64, environment: &str) -> Result<Waited, ProviderError> {
        if let Some(identity) = &self.identity {
            match identity.waited(run, environment).await {
                Ok(waited) => return Ok(waited),
                Err(error) => tracing::debug!(%error, "the job's deployments have to tell"),
            }
        }
        match self.own_deployment(run, environment).await {
            Err(error @ ProviderError::Refused { status: 403 | 404, .. }) => {
                Ok(Waited::Unknown(error.to_string()))
            }
            answer => answer,
        }
    }

    async fn own_deployment(&self, run: u64, environment: &str) -> Result<Waited, ProviderError> {
        let (Some(runner), Some(attempt)) = (&self.runner_name, self.run_attempt) else {
            let why = "RUNNER_NAME and GITHUB_RUN_ATTEMPT are not set, which say which job this is";
            return Ok(Waited::Unknown(why.to_owned()));
        };
        let Some(job) = self.this_job(run, attempt, runner).await? else {
            let why = format!("GitHub does not say which job of this run is on the runner {runner:?}");
            return Ok(Waited::Unknown(why));
        };
        let (mut others, mut asked) = (false, 0);
        for deployment in self.deployments_of(&job, environment).await? {
            // The program's own records belong to no job.
            if deployment.payload.get("run_id").is_some() {
                continue;
            }
            if asked == MOST_DEPLOYMENTS {
                let why = format!(
                    "none of the {asked} newest deployments to {environment} is known to be this job's"
                );
                return Ok(Waited::Unknown(why));
            }
            asked += 1;
            let path = self.path(&format!("/deployments/{}/statuses?per_page={STATUSES}", deployment.id));
            let statuses: Vec<DeploymentStatusAnswer> = self.client.read(&request(path)).await?;
            for (of_run, of_job) in statuses.iter().filter_map(DeploymentStatusAnswer::job) {
                if (of_run, of_job) == (run, job.id) {
                    return Ok(Waited::Yes);
                }
                others |= of_run == run;
            }
        }
        if others {
            return Ok(Waited::No);
        }
        Ok(Waited::Unknown(format!(
            "GitHub has no deployment of this run to {environment}, and without `id-token: write` it does not say which \
             environment this job has"
        )))
    }

    /// The job that runs here; nothing where none or several may be it.
    async fn this_job(&self, run: u64, attempt: u64, runner: &str) -> Result<Option<Job>, ProviderError> {
        for look in 1..=LOOKS_FOR_THE_JOB {
            let mut found = self.jobs(run, attempt).await?;
            found.retain(|job| job.status == "in_progress" && job.runner_name.as_deref() == Some(runner));
            if found.len() == 1 {
                return Ok(found.pop());
            }
            if look < LOOKS_FOR_THE_JOB {
                tokio::time::sleep(self.pause).await;
            }
        }
        Ok(None)
    }

    async fn jobs(&self, run: u64, attempt: u64) -> Result<Vec<Job>, ProviderError> {
        let mut all = Vec::new();
        for page in 1..=PAGES_OF_JOBS {
            let path = self.path(&format!(
                "/actions/runs/{run}/attempts/{attempt}/jobs?per_page={PAGE_SIZE}&page={page}"
            ));
            let response = self.client.call(&request(path)).await?;
            let Jobs { jobs } = self.client.parse(Capability::Waiting, &response)?;
            let has_next = response.has_next_page(jobs.len());
            all.extend(jobs);
            if !has_next {
                break;
            }
        }
        Ok(all)
    }

    /// The newest deployments of the job's commit to an environment, newest first. For a pull
    /// request, the commit that the run is for may be another than the one that it has checked out.
    async fn deployments_of(
        &self,
        job: &Job,
        environment: &str,
    ) -> Result<Vec<DeploymentAnswer>, ProviderError> {
        let other = self.commit.as_ref().map(CommitId::as_str).filter(|commit| *commit != job.head_sha);
        let mut all: Vec<DeploymentAnswer> = Vec::new();
        for commit in [Some(job.head_sha.as_str()), other].into_iter().flatten() {
            let path = self.path(&format!(
                "/deployments?sha={}&environment={}&per_page={PAGE_SIZE}",
                segment(commit),
                segment(environment)
            ));
            let listed: Vec<DeploymentAnswer> = self.client.read(&request(path)).await?;
            all.extend(listed);
        }
        Ok(all)
    }
}

fn request(path: String) -> Request {
    Request::get(Capability::Waiting, path)
}
