//! Reports of a rollout to the platform: pending, result, deployment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::change_request::Question;
use super::dispatch::Next;
use super::notices::Notices;
use super::outbox::{Message, Outbox};
use super::outcome::{Ending, Outcome};
use super::part_names::part_names;
use super::{Subject, descriptions, requested_commits, staleness};
use crate::ci::comment::Limit;
use crate::ci::{Job, System};
use crate::context::Context;
use crate::deployment::change_request::RequestLookup;
use crate::deployment::fan_in::FanIn;
use crate::deployment::rollout_report::PlannedRollout;
use crate::deployment::{CommitId, TargetName};
use crate::error::CommandError;
use crate::provider::{CommitStatus, CommitStatusState, DeploymentPhase, Platform, StickyComment};

/// The timeout for pending reports at the end.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The timeout after a cancellation: the runner kills the remaining processes within seconds.
const TIMEOUT_WHEN_CANCELLED: Duration = Duration::from_secs(6);

/// The description of a plan that was replaced.
const REPLACED: &str = "Planned anew: what runs has changed in the meantime";

/// The most commits of one rollout that get a status.
const MOST_COMMITS: usize = 20;

/// The reports that the job's inputs enable.
#[derive(Debug, Clone, Copy)]
pub struct Switches {
    pub comment: bool,
    pub commit_status: bool,
    pub deployment_record: bool,
}

impl Switches {
    /// Whether any report is enabled.
    pub const fn any(self) -> bool {
        self.comment || self.commit_status || self.deployment_record
    }
}

/// Reports one rollout, or the state of a target, to the platform.
pub struct Reports {
    pub context: Arc<Context>,
    pub job: Arc<Job>,
    pub subject: Subject,
    pub switches: Switches,
    pub outbox: Outbox,
    /// The components that the rollout is limited to, by their names.
    components: String,
    /// The newest plan that was reported.
    announced: Mutex<Option<PlannedRollout>>,
    change_request: Question,
}

impl Reports {
    /// Creates the reports of a subject; requests the change request where it is needed.
    /// `dispatches` tells whether a workflow is started after the rollout.
    pub fn new(
        context: Arc<Context>,
        job: Arc<Job>,
        subject: Subject,
        switches: Switches,
        dispatches: bool,
        outbox: Outbox,
    ) -> Self {
        // A comment needs the request; the next workflow runs on its base, which a number does not
        // tell.
        let is_needed = |lookup: &&RequestLookup| {
            switches.comment || (dispatches && matches!(lookup, RequestLookup::Number(_)))
        };
        let change_request = match job.request_lookup.as_ref().filter(is_needed) {
            Some(lookup) => {
                let (question, answer) = Question::ask();
                outbox.send(Message::FindChangeRequest { lookup: lookup.clone(), answer });
                question
            }
            None => Question::default(),
        };
        let components = part_names(&context, &subject).join(",");
        Self {
            context,
            job,
            subject,
            switches,
            outbox,
            components,
            announced: Mutex::default(),
            change_request,
        }
    }

    /// Reports the plan of a rollout; called again where the ledger has moved and it was planned
    /// anew.
    pub fn planned(&self, planned: &PlannedRollout) {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        let before = announced.replace(planned.clone());
        let description = descriptions::planned(planned);
        let commits = commits_of(planned);
        if let Some(before) = &before {
            self.status(&planned.target, &left_out(before, &commits), CommitStatusState::Error, REPLACED);
        }
        self.status(&planned.target, &commits, CommitStatusState::Pending, &description);
        let same_record = |before: &PlannedRollout| most_common(before) == most_common(planned);
        if before.as_ref().is_some_and(same_record) {
            return;
        }
        if let Some(before) = &before {
            self.record_ends(before, DeploymentPhase::Error, REPLACED);
        }
        self.record_starts(planned, &description);
    }

    /// Reports the result of a rollout, or that it did not begin.
    pub fn ended(&self, outcome: &Outcome) {
        let mut description = descriptions::ended(outcome);
        // A plan that was made without the remote must not look current.
        if let Some(stale) = staleness::offline(&self.context, &self.subject.deployment) {
            description = format!("{description}; {stale}");
        }
        let (state, phase) = match outcome.ending() {
            Ending::Success | Ending::Findings => (CommitStatusState::Success, DeploymentPhase::Success),
            Ending::Failed => (CommitStatusState::Failure, DeploymentPhase::Failure),
            Ending::Refused | Ending::Locked | Ending::Cancelled => {
                (CommitStatusState::Error, DeploymentPhase::Error)
            }
        };
        if let Some(planned) = &outcome.rollout.planned {
            self.status(&planned.target, &commits_of(planned), state, &description);
            self.record_ends(planned, phase, &description);
        } else if let Some(target) = &self.subject.target {
            self.status_without_a_plan(target, state, &description);
        }
        if outcome.rollout.planned.is_none() && !self.subject.dry_run {
            self.request_ends(phase, &description);
        }
    }

    /// Reports the result of a fan-out's jobs.
    pub fn fan_in(&self, target: &TargetName, found: &FanIn) {
        let (state, phase) = if found.is_complete() {
            (CommitStatusState::Success, DeploymentPhase::Success)
        } else {
            (CommitStatusState::Failure, DeploymentPhase::Failure)
        };
        let description = found.to_string();
        self.status(target, std::slice::from_ref(&found.commit), state, &description);
        self.record_of_fan_in(target, found.commit.clone(), phase, &description);
    }

    /// Reports that the result of the jobs is unknown: that is no success.
    pub fn no_fan_in(&self, target: &TargetName, error: &CommandError) {
        let message = error.shown().map(|error| error.message.as_str()).unwrap_or_default();
        self.status_without_a_plan(target, CommitStatusState::Error, message);
    }

    /// Sets the status of a rollout that ended before its plan, on the requested commits, if the
    /// target exists.
    fn status_without_a_plan(&self, target: &TargetName, state: CommitStatusState, description: &str) {
        if self.switches.commit_status && requested_commits::exists(&self.context, &self.subject, target) {
            let commits = requested_commits::commits(&self.context, &self.subject, self.job.commit.as_ref());
            self.status(target, &commits, state, description);
        }
    }

    /// Starts the next workflow after a successful rollout; none after a dry run.
    pub fn start_next(&self, workflow: &str, outcome: &Outcome) {
        if !self.subject.dry_run {
            let next = Next::new(&self.job, workflow, outcome.rollout.report.as_ref());
            self.outbox.send(Message::Dispatch(next));
        }
    }

    /// Shows the comment, if there is a change request to show it on.
    pub fn comment(&self, markdown: &str) {
        self.outbox.send(Message::Comment(StickyComment::new(&self.subject.deployment, markdown)));
    }

    /// The job, completed by the platform's change request.
    pub fn job(&self) -> Job {
        let mut job = (*self.job).clone();
        if let Some(found) = self.change_request.answer() {
            job.change_request = Some(found);
        }
        job
    }

    /// The maximum length of a comment.
    pub fn comment_limit(&self) -> Limit {
        let platform = match self.job.system {
            System::GitHubActions => Platform::GitHub,
            System::GitLabCi => Platform::GitLab,
        };
        Limit::Characters(platform.comment_limit() - StickyComment::MARKER_ROOM)
    }

    /// Whether a comment can be shown.
    pub fn wants_a_comment(&self) -> bool {
        self.switches.comment && (self.job.change_request.is_some() || self.job.request_lookup.is_some())
    }

    /// Waits until the platform has taken every report, or for the timeout.
    pub fn close(&self, ending: Ending) -> Notices {
        self.outbox.close(if ending == Ending::Cancelled { TIMEOUT_WHEN_CANCELLED } else { TIMEOUT })
    }

    fn status(&self, target: &TargetName, commits: &[CommitId], state: CommitStatusState, description: &str) {
        if !self.switches.commit_status || commits.is_empty() {
            return;
        }
        let Subject { deployment, components, dry_run, .. } = &self.subject;
        let description = self.context.masks().apply(description.to_owned());
        let mut status = CommitStatus::new(deployment, target, state, &description, self.job.url.clone());
        // A partial rollout tells nothing of the other components, and a plan nothing of the
        // running state.
        if !components.is_empty() {
            status = status.of_part(&self.components);
        }
        if *dry_run {
            status = status.of_part("plan");
        }
        let commits: Vec<_> =
            commits.iter().take(MOST_COMMITS).map(|commit| self.job.shown_at(commit).clone()).collect();
        self.outbox.send(Message::Status { commits, status });
    }
}

/// The commits of an earlier plan that are not among these commits of the new one.
fn left_out(before: &PlannedRollout, commits: &[CommitId]) -> Vec<CommitId> {
    commits_of(before).into_iter().filter(|commit| !commits.contains(commit)).collect()
}

/// The commits of a rollout, each once.
fn commits_of(planned: &PlannedRollout) -> Vec<CommitId> {
    let mut commits: Vec<_> = planned.components.iter().map(|component| component.commit.clone()).collect();
    commits.sort();
    commits.dedup();
    commits
}

/// The most common commit of the components.
pub fn most_common(planned: &PlannedRollout) -> Option<CommitId> {
    let mut number: BTreeMap<&CommitId, usize> = BTreeMap::new();
    for component in &planned.components {
        *number.entry(&component.commit).or_default() += 1;
    }
    number.into_iter().max_by_key(|(_, number)| *number).map(|(commit, _)| commit.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::ComponentKind;
    use crate::deployment::fixtures::{commit, component_name, target_name};
    use crate::deployment::rollout_report::{PlannedComponent, RolloutKind};

    fn plan(components: &[(&str, &str)]) -> PlannedRollout {
        let component = |(name, short): &(&str, &str)| PlannedComponent {
            component: component_name(name),
            kind: ComponentKind::Command,
            previous_commit: None,
            commit: commit(short),
            goes_back: false,
            deployed_at: None,
            waits_for: Vec::new(),
            state: None,
        };
        PlannedRollout {
            deployment: "api".parse().unwrap(),
            target: target_name("prod"),
            kind: RolloutKind::Promotion { from: target_name("dev") },
            dry_run: false,
            approval: None,
            digest: String::new(),
            partial: false,
            would_be_refused: Vec::new(),
            components: components.iter().map(component).collect(),
        }
    }

    #[test]
    fn a_commit_that_a_new_plan_leaves_out_is_not_left_pending() {
        let before = plan(&[("api", "1111111"), ("web", "2222222"), ("db", "2222222")]);
        let now = plan(&[("web", "2222222"), ("new", "3333333")]);
        assert_eq!(left_out(&before, &commits_of(&now)), [commit("1111111")]);
        assert_eq!(left_out(&now, &commits_of(&now)), []);
    }
}
