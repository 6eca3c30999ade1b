//! The platform's own deployment records of rollouts: which rollouts have one, its key and its
//! environment.

use super::outbox::Message;
use super::reports::{Reports, most_common};
use crate::ci::System;
use crate::config::load_deployment;
use crate::deployment::rollout_report::PlannedRollout;
use crate::deployment::{CommitId, TargetName};
use crate::project::platform::{self, Environment};
use crate::provider::{DeploymentPhase, DeploymentUpdate, NewDeployment};

impl Reports {
    /// Whether the platform records this job's rollouts: the inputs enable it, and GitLab keeps no
    /// record of the job itself.
    fn has_records(&self) -> bool {
        let of_the_job =
            self.job.system == System::GitLabCi && self.context.variable("CI_ENVIRONMENT_NAME").is_some();
        self.switches.deployment_record && !of_the_job
    }

    /// Whether it records this rollout: not a dry run, and not one that is limited to some
    /// components, which does not tell what runs in the environment.
    pub fn is_recorded(&self, planned: &PlannedRollout) -> bool {
        self.has_records() && !planned.dry_run && self.subject.components.is_empty()
    }

    /// Records the start of a rollout.
    pub fn record_starts(&self, planned: &PlannedRollout, description: &str) {
        if let Some(commit) = most_common(planned).filter(|_| self.is_recorded(planned)) {
            self.start_record(&planned.target, commit, DeploymentPhase::InProgress, description);
        }
    }

    /// Records the end of a rollout.
    pub fn record_ends(&self, planned: &PlannedRollout, phase: DeploymentPhase, description: &str) {
        if most_common(planned).is_some() && self.is_recorded(planned) {
            let environment_url = self.environment(&planned.target).url;
            self.outbox.send(Message::DeploymentIs(self.update(phase, description, environment_url)));
        }
    }

    /// Ends the deployment that requested a rollout which ended before its plan: it would stay
    /// pending.
    pub fn request_ends(&self, phase: DeploymentPhase, description: &str) {
        if self.has_records() && self.job.requested_deployment.is_some() {
            self.outbox.send(Message::RequestIs(self.update(phase, description, None)));
        }
    }

    /// The deployment record of a fan-out's jobs.
    pub fn record_of_fan_in(
        &self,
        target: &TargetName,
        commit: CommitId,
        phase: DeploymentPhase,
        description: &str,
    ) {
        if self.has_records() {
            self.start_record(target, commit, phase, description);
        }
    }

    fn start_record(&self, target: &TargetName, commit: CommitId, phase: DeploymentPhase, description: &str) {
        let Environment { name, url } = self.environment(target);
        let deployment = NewDeployment {
            deployment: self.subject.deployment.clone(),
            target: target.clone(),
            commit,
            reference: self.job.reference.clone(),
            environment: name,
            environment_url: url.clone(),
            run_id: self.job.run_id.clone(),
            key: self.key(),
            description: self.context.masks().apply(description.to_owned()),
        };
        let update = self.update(phase, description, url);
        self.outbox.send(Message::DeploymentStarts { deployment, update });
    }

    fn update(
        &self,
        phase: DeploymentPhase,
        description: &str,
        environment_url: Option<String>,
    ) -> DeploymentUpdate {
        let description = self.context.masks().apply(description.to_owned());
        DeploymentUpdate { phase, description, log_url: self.job.url.clone(), environment_url }
    }

    /// The unique key of this rollout. The jobs of a matrix share their name, and may share a
    /// runner one after the other: then only the time differs.
    fn key(&self) -> String {
        let variables = ["GITHUB_JOB", "RUNNER_NAME"].map(|name| self.context.variable(name).unwrap_or("-"));
        let now = self.context.now();
        format!("{} {} {now}", self.job.run_id, variables.join(" "))
    }

    /// The platform's environment of the target; the target's name where
    /// the configuration is unusable.
    fn environment(&self, target: &TargetName) -> Environment {
        let find = || {
            let repository = self.context.repository()?;
            let project = self.context.project(&repository)?;
            let loaded = load_deployment(&*project.source, &project.config, &self.subject.deployment)?;
            platform::environment(&project.config.ci, &loaded.deployment, target)
        };
        find().unwrap_or_else(|_| Environment { name: target.to_string(), url: None })
    }
}
