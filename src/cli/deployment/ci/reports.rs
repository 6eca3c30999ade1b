//! What the platform is told of a rollout: pending, how it ended, and where it was deployed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::notices::Notices;
use super::outcome::{Ending, Outcome};
use super::post::{CommentedOn, Post, Report};
use crate::ci::comment::Limit;
use crate::ci::{Job, System};
use crate::cli::context::Context;
use crate::cli::deployment::rollout::Subject;
use crate::cli::platform::{self, Environment};
use crate::config::load_deployment;
use crate::deployment::rollout_report::{ComponentResult, PlannedRollout, RolloutKind, RolloutReport};
use crate::deployment::{CommitId, TargetName};
use crate::provider::{
    CommitStatus, CommitStatusState, DeploymentPhase, DeploymentUpdate, Dispatch, NewDeployment, Platform,
    StickyComment,
};

/// How long is waited for the platform at the end.
const PATIENCE: Duration = Duration::from_mins(2);
/// Likewise after a cancellation: the runner kills what is left within seconds.
const PATIENCE_WHEN_CANCELLED: Duration = Duration::from_secs(6);

/// What tells a pipeline on GitLab what it was started for.
const DISPATCH_VARIABLE: &str = "ATMOS_DISPATCH";

/// The most commits of one rollout that get a status.
const MOST_COMMITS: usize = 20;

/// What the job is to report, by its inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switches {
    pub(super) comment: bool,
    pub(super) commit_status: bool,
    pub(super) deployment_record: bool,
}

/// Tells the platform of one rollout.
pub(super) struct Reports {
    context: Arc<Context>,
    job: Arc<Job>,
    subject: Subject,
    switches: Switches,
    post: Post,
}

impl Reports {
    pub(super) fn new(
        context: Arc<Context>,
        job: Arc<Job>,
        subject: Subject,
        switches: Switches,
        post: Post,
    ) -> Self {
        Self { context, job, subject, switches, post }
    }

    /// The rollout knows what it is going to do.
    pub(super) fn planned(&self, planned: &PlannedRollout) {
        let number = planned.components.len();
        let components = if number == 1 { "1 component".to_owned() } else { format!("{number} components") };
        let description = match &planned.kind {
            _ if planned.dry_run => format!("Planning {components}"),
            RolloutKind::Deploy => format!("Rolling out {components}"),
            RolloutKind::Promotion { from } => format!("Promoting {components} from {from}"),
            RolloutKind::Rollback { to } => format!("Rolling back {components} to {}", to.short()),
        };
        self.status(&planned.target, &commits_of(planned), CommitStatusState::Pending, &description);
        self.deployment_starts(planned, &description);
    }

    /// The rollout has ended, or was not begun.
    pub(super) fn ended(&self, outcome: &Outcome) {
        let ending = outcome.ending();
        let description = describe(outcome);
        let (state, phase) = match ending {
            Ending::Success | Ending::Findings => (CommitStatusState::Success, DeploymentPhase::Success),
            Ending::Failed => (CommitStatusState::Failure, DeploymentPhase::Failure),
            Ending::Refused | Ending::Locked | Ending::Cancelled => {
                (CommitStatusState::Error, DeploymentPhase::Error)
            }
        };
        match (&outcome.rollout.planned, &self.subject.target) {
            (Some(planned), _) => self.status(&planned.target, &commits_of(planned), state, &description),
            // It did not come to a plan: what the job is about is what people look at.
            (None, Some(target)) => self.status(target, self.job.commit.as_slice(), state, &description),
            (None, None) => {}
        }
        let Some(planned) = outcome.rollout.planned.as_ref().filter(|planned| self.is_recorded(planned))
        else {
            return;
        };
        self.post.send(Report::DeploymentIs(DeploymentUpdate {
            phase,
            description,
            log_url: self.job.url.clone(),
            environment_url: self.environment(&planned.target).url,
        }));
    }

    /// Starts what comes after a rollout that has succeeded. A plan has nothing after it.
    pub(super) fn start_next(&self, workflow: &str) {
        let Some(reference) = self.job.reference.clone().filter(|_| !self.subject.dry_run) else { return };
        let inputs = match self.job.system {
            // It is told apart by its file.
            System::GitHubActions => BTreeMap::new(),
            System::GitLabCi => BTreeMap::from([(DISPATCH_VARIABLE.to_owned(), workflow.to_owned())]),
        };
        self.post.send(Report::Dispatch(Dispatch { workflow: workflow.to_owned(), reference, inputs }));
    }

    /// Shows the comment, if it is wanted and there is where to show it.
    pub(super) fn comment(&self, markdown: &str) {
        let on = match (&self.job.change_request, &self.job.push) {
            (Some(change), _) => CommentedOn::ChangeRequest(change.number),
            (None, Some(push)) => CommentedOn::WhatWasMerged(push.clone()),
            (None, None) => return,
        };
        let comment = StickyComment::new(&self.subject.deployment, markdown);
        self.post.send(Report::Comment { on, comment });
    }

    /// How long the comment may be.
    pub(super) fn comment_limit(&self) -> Limit {
        let platform = match self.job.system {
            System::GitHubActions => Platform::GitHub,
            System::GitLabCi => Platform::GitLab,
        };
        Limit::Characters(platform.comment_limit() - StickyComment::MARKER_ROOM)
    }

    /// Whether a comment may be shown.
    pub(super) fn wants_a_comment(&self) -> bool {
        self.switches.comment && (self.job.change_request.is_some() || self.job.push.is_some())
    }

    /// Waits until the platform has taken everything.
    pub(super) fn close(&self, ending: Ending) -> Notices {
        self.post.close(if ending == Ending::Cancelled { PATIENCE_WHEN_CANCELLED } else { PATIENCE })
    }

    fn status(&self, target: &TargetName, commits: &[CommitId], state: CommitStatusState, description: &str) {
        if !self.switches.commit_status {
            return;
        }
        let Subject { deployment, components, dry_run, .. } = &self.subject;
        let description = self.context.masks().apply(description.to_owned());
        let mut status = CommitStatus::new(deployment, target, state, &description, self.job.url.clone());
        // A part of a rollout says nothing of the others, and a plan nothing of what runs.
        if !components.is_empty() {
            status = status.of_part(&components.join(","));
        }
        if *dry_run {
            status = status.of_part("plan");
        }
        let commits: Vec<_> = commits.iter().take(MOST_COMMITS).map(|commit| self.shown_at(commit)).collect();
        self.post.send(Report::Status { commits, status });
    }

    /// Where people see the status of a commit: that of a pull request's trial merge is nowhere to be seen, that of its
    /// newest commit is. A pipeline on GitLab belongs to the commit that it runs on.
    fn shown_at(&self, commit: &CommitId) -> CommitId {
        let change = self.job.change_request.as_ref().filter(|_| self.job.system == System::GitHubActions);
        let head = change
            .filter(|change| change.merge.as_ref() == Some(commit))
            .and_then(|change| change.head.clone());
        head.unwrap_or_else(|| commit.clone())
    }

    /// Whether the platform has a record of a rollout: of a real one, unless GitLab keeps that of the job itself.
    fn is_recorded(&self, planned: &PlannedRollout) -> bool {
        let of_the_job =
            self.job.system == System::GitLabCi && self.context.variable("CI_ENVIRONMENT_NAME").is_some();
        self.switches.deployment_record && !planned.dry_run && !of_the_job
    }

    fn deployment_starts(&self, planned: &PlannedRollout, description: &str) {
        let Some(commit) = most_common(planned).filter(|_| self.is_recorded(planned)) else { return };
        let Environment { name, url } = self.environment(&planned.target);
        let deployment = NewDeployment {
            deployment: planned.deployment.clone(),
            target: planned.target.clone(),
            commit,
            reference: self.job.reference.clone(),
            environment: name,
            environment_url: url.clone(),
            run_id: self.job.run_id.clone(),
            description: description.to_owned(),
        };
        let update = DeploymentUpdate {
            phase: DeploymentPhase::InProgress,
            description: description.to_owned(),
            log_url: self.job.url.clone(),
            environment_url: url,
        };
        self.post.send(Report::DeploymentStarts { deployment, update });
    }

    /// What the platform calls the target; the target's own name where the configuration cannot be used.
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

/// The commits of a rollout, each once.
fn commits_of(planned: &PlannedRollout) -> Vec<CommitId> {
    let mut commits: Vec<_> = planned.components.iter().map(|component| component.commit.clone()).collect();
    commits.sort();
    commits.dedup();
    commits
}

/// The commit that most of the components get.
fn most_common(planned: &PlannedRollout) -> Option<CommitId> {
    let mut number: BTreeMap<&CommitId, usize> = BTreeMap::new();
    for component in &planned.components {
        *number.entry(&component.commit).or_default() += 1;
    }
    number.into_iter().max_by_key(|(_, number)| *number).map(|(commit, _)| commit.clone())
}

/// How it ended, in one line.
fn describe(outcome: &Outcome) -> String {
    let report = outcome.rollout.report.as_ref();
    match (outcome.error(), report) {
        (Some(error), _) => error.message.clone(),
        (None, Some(report)) => described(report),
        (None, None) => "Ended without a result".to_owned(),
    }
}

fn described(report: &RolloutReport) -> String {
    let of = |status| report.components.iter().filter(move |component| component.status == status);
    let number = |status, word: &str| {
        let number = of(status).count();
        (number > 0).then(|| format!("{number} {word}"))
    };
    let counts: Vec<_> = [
        number(ComponentResult::Failed, "failed"),
        number(ComponentResult::Cancelled, "cancelled"),
        number(ComponentResult::Skipped, "skipped"),
        number(ComponentResult::Success, "deployed"),
        number(ComponentResult::Planned, "planned"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let first = of(ComponentResult::Failed)
        .find_map(|failed| failed.error.as_ref().map(|error| format!("; {}: {error}", failed.component)));
    format!("{}{}", counts.join(", "), first.unwrap_or_default())
}
