//! Where a deployment is after a run, what the run did and what can come next: all that the comment and the summary show.

use std::collections::BTreeMap;

use super::dependencies::Boms;
use super::failure;
use super::outcome::Outcome;
use crate::ci::Job;
use crate::ci::comment::{
    Approved, CommentError, CommentInput, CommentTemplate, DependencyChange, FailureView, Limit, Presence,
    PromotionPreview, Rendered, RolloutOfRun, RunLink,
};
use crate::cli::context::{Context, Project};
use crate::cli::deployment::diff::{RecordedOverrides, Step, of_step};
use crate::cli::error::CommandError;
use crate::cli::standing::standing;
use crate::config::load_deployment;
use crate::deployment::diff::DiffView;
use crate::deployment::promotion_status::{EdgeState, PromotionEdge, PromotionView};
use crate::deployment::rollout_plan::Ancestry;
use crate::deployment::rollout_report::{ComponentResult, RolloutReport};
use crate::deployment::state::{DeploymentState, TargetState};
use crate::deployment::{CommitId, Deployment, DeploymentName, RecordStatus, TargetName};
use crate::git::{ObjectStore, Repository};
use crate::ledger::{Ledger, Scope};

/// The most promotions that are looked at closely: each costs a comparison.
const MOST_PREVIEWS: usize = 8;

/// Everything that is shown of a deployment.
pub(super) struct Picture {
    standing: PromotionView,
    presence: BTreeMap<TargetName, Presence>,
    report: Option<RolloutReport>,
    done: Changes,
    failure: Option<FailureView>,
    /// What each edge of the standing would change, in its order.
    previews: Vec<Changes>,
    approvals: Vec<Approved>,
    run: Option<RunLink>,
    runs: BTreeMap<TargetName, String>,
    commit_address: Option<String>,
    now: jiff::Timestamp,
    /// The text of the template that the project has for its comments; `Err` says why there is none.
    template: Option<Result<String, String>>,
}

/// What a step changes.
#[derive(Default)]
struct Changes {
    diff: Option<DiffView>,
    dependencies: Vec<DependencyChange>,
}

impl Picture {
    /// Looks at the ledger as it is now.
    pub(super) fn take(
        context: &Context,
        job: Option<&Job>,
        deployment: &DeploymentName,
        outcome: &Outcome,
    ) -> Result<Self, CommandError> {
        let repository = context.repository()?;
        let project = context.project(&repository)?;
        let deployment = load_deployment(&*project.source, &project.config, deployment)?.deployment;
        let ledger = context.ledger(&repository, &project.config)?;
        let scope = Scope::Deployment(deployment.name.clone());
        ledger.refresh_for_reports(&scope);
        let state = ledger.read(&scope)?.into_deployment(&deployment.name);
        // They have been said by the verb.
        drop(ledger.take_warnings());
        let view =
            View { repository: &repository, project: &project, ledger: &ledger, deployment: &deployment };
        let mut standing =
            standing(context, &repository, &project, &ledger, &deployment, &state, BTreeMap::new())?;
        let report = outcome.rollout.report.clone();
        let (done, previews) = view.changes(report.as_ref(), &standing, &state)?;
        for (edge, changes) in standing.edges.iter().zip(&previews) {
            let target = standing.targets.iter_mut().find(|target| target.target == edge.to);
            if let (Some(target), Some(diff)) = (target, &changes.diff) {
                target.commits_behind = Some(diff.commits_behind);
            }
        }
        Ok(Self {
            presence: presence(&deployment, &state, &repository.objects()?, &change(job, report.as_ref())),
            done,
            failure: failure::view(outcome),
            approvals: approvals(&state),
            run: job.map(|job| RunLink { name: job.name.clone(), address: job.url.clone() }),
            runs: job.map(|job| runs(job, &state)).unwrap_or_default(),
            commit_address: job.and_then(|job| job.commit_address.clone()),
            now: context.now(),
            template: template(&project),
            report,
            previews,
            standing,
        })
    }

    /// The comment, by the project's own template where that can be used; otherwise it is said why not.
    pub(super) fn comment(&self, limit: Limit) -> Result<(Rendered, Option<String>), CommentError> {
        let own = match &self.template {
            None => return Ok((self.built_in(limit)?, None)),
            Some(Err(problem)) => Err(problem.clone()),
            Some(Ok(text)) => CommentTemplate::new(text)
                .and_then(|template| self.render(&template, limit))
                .map_err(|error| error.to_string()),
        };
        match own {
            Ok(rendered) => Ok((rendered, None)),
            Err(problem) => Ok((self.built_in(limit)?, Some(problem))),
        }
    }

    /// The same by the built-in template: what approvers have to see is in it.
    pub(super) fn built_in(&self, limit: Limit) -> Result<Rendered, CommentError> {
        self.render(&CommentTemplate::built_in()?, limit)
    }

    fn render(&self, template: &CommentTemplate, limit: Limit) -> Result<Rendered, CommentError> {
        let edges = self.standing.edges.iter().zip(&self.previews);
        let promotions: Vec<_> = edges.map(|(edge, changes)| preview(edge, changes)).collect();
        let input = CommentInput {
            standing: &self.standing,
            presence: &self.presence,
            rollout: self.report.as_ref().map(|report| RolloutOfRun {
                report,
                diff: self.done.diff.as_ref(),
                dependencies: &self.done.dependencies,
            }),
            failure: self.failure.as_ref(),
            promotions: &promotions,
            approvals: &self.approvals,
            run: self.run.as_ref(),
            runs: &self.runs,
            commit_address: self.commit_address.as_deref(),
            now: self.now,
        };
        template.render(&input, limit)
    }
}

fn preview<'p>(edge: &'p PromotionEdge, changes: &'p Changes) -> PromotionPreview<'p> {
    PromotionPreview { edge, diff: changes.diff.as_ref(), dependencies: &changes.dependencies }
}

/// What is looked at.
struct View<'v, 'r> {
    repository: &'r Repository,
    project: &'v Project<'r>,
    ledger: &'v Ledger<'r>,
    deployment: &'v Deployment,
}

impl View<'_, '_> {
    /// What a run has changed, or would, and what each edge would.
    fn changes(
        &self,
        report: Option<&RolloutReport>,
        standing: &PromotionView,
        state: &DeploymentState,
    ) -> Result<(Changes, Vec<Changes>), CommandError> {
        let done = report.map(|report| done(report, state));
        let mut left = MOST_PREVIEWS;
        let ahead: Vec<_> = standing
            .edges
            .iter()
            .map(|edge| {
                let moves = matches!(edge.state, EdgeState::Ready | EdgeState::Blocked);
                let looked_at = moves && left > 0;
                left -= usize::from(looked_at);
                looked_at.then(|| ahead(edge, state))
            })
            .collect();
        let boms = Boms::of(self.ledger, &self.deployment.name, done.iter().chain(ahead.iter().flatten()));
        let of_step = |step: Option<Step<'_>>| -> Result<Changes, CommandError> {
            let Some(step) = step else { return Ok(Changes::default()) };
            let dependencies = boms.changes(&step);
            let diff = of_step(self.repository, self.project, self.ledger, self.deployment, step)?;
            Ok(Changes { diff, dependencies })
        };
        Ok((of_step(done)?, ahead.into_iter().map(of_step).collect::<Result<_, _>>()?))
    }
}

/// What a promotion would change.
fn ahead<'e>(edge: &'e PromotionEdge, state: &DeploymentState) -> Step<'e> {
    let components = || edge.components.iter();
    Step {
        target: &edge.to,
        from: components().filter_map(|c| Some((c.component.clone(), c.target_commit.clone()?))).collect(),
        to: components().filter_map(|c| Some((c.component.clone(), c.commit.clone()?))).collect(),
        // A promotion takes none of them along.
        overrides: (overrides(state, &edge.to), RecordedOverrides::new()),
    }
}

/// What a run has changed, or would.
fn done<'r>(report: &'r RolloutReport, state: &DeploymentState) -> Step<'r> {
    let moved = |status| matches!(status, ComponentResult::Success | ComponentResult::Planned);
    let components = || report.components.iter().filter(|component| moved(component.status));
    Step {
        target: &report.target,
        from: components().filter_map(|c| Some((c.component.clone(), c.previous_commit.clone()?))).collect(),
        to: components().map(|c| (c.component.clone(), c.commit.clone())).collect(),
        overrides: match (report.dry_run, overrides(state, &report.target)) {
            (true, running) => (running, RecordedOverrides::new()),
            (false, running) => (RecordedOverrides::new(), running),
        },
    }
}

/// `--context` that runs on a target.
fn overrides(state: &DeploymentState, target: &TargetName) -> RecordedOverrides {
    state.targets.get(target).map(TargetState::overrides).unwrap_or_default()
}

/// The commits that stand for the change that the run is about: a pull request's, else what was rolled out.
fn change(job: Option<&Job>, report: Option<&RolloutReport>) -> Vec<CommitId> {
    let of_request = job.and_then(|job| job.change_request.as_ref());
    if let Some(change) = of_request {
        let commits: Vec<_> = change.commits().cloned().collect();
        if !commits.is_empty() {
            return commits;
        }
    }
    let rolled_out = report.into_iter().flat_map(|report| &report.components);
    let mut commits: Vec<_> = rolled_out.map(|component| component.commit.clone()).collect();
    commits.sort();
    commits.dedup();
    if commits.is_empty() { job.and_then(|job| job.commit.clone()).into_iter().collect() } else { commits }
}

/// How much of the change runs where.
fn presence(
    deployment: &Deployment,
    state: &DeploymentState,
    objects: &ObjectStore,
    change: &[CommitId],
) -> BTreeMap<TargetName, Presence> {
    let mut known: BTreeMap<CommitId, bool> = BTreeMap::new();
    let mut has = |commit: &CommitId| {
        *known.entry(commit.clone()).or_insert_with(|| {
            let reached = |part| objects.ancestry(part, commit).unwrap_or(Ancestry::Unrelated);
            change.iter().any(|part| matches!(reached(part), Ancestry::Same | Ancestry::Ancestor))
        })
    };
    let mut presence = BTreeMap::new();
    for target in deployment.targets.keys() {
        let components: Vec<_> =
            deployment.components.iter().map(|component| state.component(target, &component.name)).collect();
        let there = components.iter().flatten().filter_map(|state| state.commit.as_ref());
        let there = there.filter(|commit| has(commit)).count();
        let failed = components
            .iter()
            .flatten()
            .filter_map(|state| state.newest.as_ref())
            .any(|newest| newest.record.status == RecordStatus::Failed && has(&newest.record.commit));
        let found = match there {
            _ if failed => Presence::Failed,
            0 => Presence::Absent,
            all if all == components.len() => Presence::Deployed,
            some => Presence::Partly { components: some, of: components.len() },
        };
        presence.insert(target.clone(), found);
    }
    presence
}

/// Who has approved what runs.
fn approvals(state: &DeploymentState) -> Vec<Approved> {
    let mut approvals: Vec<Approved> = Vec::new();
    for (target, state) in &state.targets {
        for record in state.components.values().filter_map(|component| component.running.as_ref()) {
            let metadata = &record.record.metadata;
            let Some(by) = metadata.get("approver") else { continue };
            let at = metadata.get("approval_timestamp").and_then(|at| at.parse().ok());
            let approved = Approved { target: target.clone(), by: by.clone(), at };
            if !approvals.contains(&approved) {
                approvals.push(approved);
            }
        }
    }
    approvals.sort_by_key(|approved| approved.at);
    approvals
}

/// The runs that brought what runs.
fn runs(job: &Job, state: &DeploymentState) -> BTreeMap<TargetName, String> {
    let newest = |target: &TargetName| {
        let components = state.targets.get(target)?.components.values();
        let newest =
            components.filter_map(|component| component.running.as_ref()).max_by(|a, b| a.compare_age(b))?;
        job.address_of_run(newest.record.run_id.as_deref()?)
    };
    state.targets.keys().filter_map(|target| Some((target.clone(), newest(target)?))).collect()
}

/// The project's own template, as the checkout has it.
fn template(project: &Project<'_>) -> Option<Result<String, String>> {
    const LARGEST: u64 = 256 * 1024;
    let file = project.config.comment_template()?;
    Some(match project.source.read(&file, LARGEST) {
        Ok(Some(bytes)) => String::from_utf8(bytes).map_err(|_| format!("{file} is not text")),
        Ok(None) => Err(format!("there is no {file}")),
        Err(error) => Err(crate::cli::error::chain(&error)),
    })
}
