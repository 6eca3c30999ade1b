//! The overview of a deployment after a run: its state, the changes of the run and the next
//! promotions. The comment and the summary show it.

use std::collections::BTreeMap;

use super::failure;
use super::outcome::Outcome;
use super::presence::{change, presence, unfinished};
use super::staleness::stale;
use super::steps::Changes;
use super::view::View;
use crate::ci::Job;
use crate::ci::comment::{
    Approved, CommentError, CommentInput, CommentTemplate, FailureView, Limit, Presence, Rendered,
    RolloutOfRun, RunLink, Stale, Unfinished,
};
use crate::config::{AtmosConfig, ConfigError, load_deployment};
use crate::context::Context;
use crate::deployment::promotion_status::{PromotionView, standing_of_ledger};
use crate::deployment::rollout_report::RolloutReport;
use crate::deployment::state::DeploymentState;
use crate::deployment::{Deployment, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::{Ledger, Scope};
use crate::project::Project;
use crate::project::standing::standing;

/// The overview of a deployment.
pub struct Overview {
    standing: PromotionView,
    /// Absent where the commits of the change or the deployment's components are unknown.
    presence: Option<BTreeMap<TargetName, Presence>>,
    unfinished: Vec<Unfinished>,
    /// Whether it is of the ledger alone, because the deployment's file cannot be used.
    of_ledger_alone: bool,
    /// The notice that the ledger may be stale.
    stale: Option<Stale>,
    report: Option<RolloutReport>,
    /// The message that a target is complete: nothing is left to roll out.
    complete: Option<String>,
    /// The components that the rollout was limited to.
    only: Vec<String>,
    done: Changes,
    failure: Option<FailureView>,
    /// The changes of each promotion edge, in the order of the standing.
    previews: Vec<Changes>,
    approvals: Vec<Approved>,
    run: Option<RunLink>,
    runs: BTreeMap<TargetName, String>,
    commit_address: Option<String>,
    now: jiff::Timestamp,
    /// The text of the project's template for comments; `Err` is the reason why it cannot be used.
    template: Option<Result<String, String>>,
}

/// The inputs of an overview.
pub struct OverviewSource<'s> {
    pub context: &'s Context,
    pub job: Option<&'s Job>,
    pub outcome: &'s Outcome,
}

impl OverviewSource<'_> {
    /// Builds the overview from the ledger's current state, without the deployment's file where
    /// that cannot be used.
    ///
    /// # Errors
    ///
    /// Fails where there is no such deployment, or the ledger cannot be read.
    pub fn overview(self, name: &DeploymentName) -> Result<Overview, CommandError> {
        let context = self.context;
        let repository = context.repository()?;
        let Ok(project) = context.project(&repository) else {
            let ledger = context.ledger(&repository, &AtmosConfig::default())?;
            return Ok(self.of_ledger(look(&ledger, name)?, None));
        };
        let ledger = context.ledger(&repository, &project.config)?;
        match load_deployment(&*project.source, &project.config, name) {
            Ok(loaded) => self.of_deployment(&repository, &project, &ledger, &loaded.deployment),
            Err(error @ ConfigError::NotFound { .. }) => Err(error.into()),
            Err(_) => Ok(self.of_ledger(look(&ledger, name)?, template(&project))),
        }
    }

    fn of_deployment(
        self,
        repository: &Repository,
        project: &Project<'_>,
        ledger: &Ledger<'_>,
        deployment: &Deployment,
    ) -> Result<Overview, CommandError> {
        let Known { state, stale } = look(ledger, &deployment.name)?;
        let view = View { context: self.context, repository, project, ledger, deployment };
        let mut standing =
            standing(self.context, repository, project, ledger, deployment, &state, BTreeMap::new())?;
        if stale.is_some() {
            // Without the rules, the next promotions would be guesses.
            standing.edges.clear();
        }
        let report = self.outcome.rollout.report.as_ref();
        let (done, previews) = view.changes(report, &standing, &state)?;
        for (edge, changes) in standing.edges.iter().zip(&previews) {
            let target = standing.targets.iter_mut().find(|target| target.target == edge.to);
            if let (Some(target), Some(diff)) = (target, &changes.diff) {
                target.commits_behind = Some(diff.commits_behind);
            }
        }
        let objects = repository.objects()?;
        let presence = change(self.job, report).map(|change| {
            let fan_in = self.outcome.rollout.fan_in.as_ref();
            presence(deployment, &state, ledger, &objects, &change, fan_in)
        });
        let unfinished = unfinished(Some(deployment), &state, self.job, report);
        let template = template(project);
        Ok(Overview { presence, unfinished, stale, done, previews, template, ..self.plain(&state, standing) })
    }

    fn of_ledger(self, known: Known, template: Option<Result<String, String>>) -> Overview {
        let Known { state, stale } = known;
        let unfinished = unfinished(None, &state, self.job, self.outcome.rollout.report.as_ref());
        let standing = standing_of_ledger(&state, self.context.now());
        Overview { unfinished, of_ledger_alone: true, stale, template, ..self.plain(&state, standing) }
    }

    /// The overview without the deployment's file.
    fn plain(self, state: &DeploymentState, standing: PromotionView) -> Overview {
        let Self { context, job, outcome } = self;
        Overview {
            standing,
            presence: None,
            unfinished: Vec::new(),
            of_ledger_alone: false,
            stale: None,
            report: outcome.rollout.report.clone(),
            complete: outcome.rollout.complete(),
            only: outcome.only.clone(),
            done: Changes::default(),
            failure: failure::view(outcome),
            previews: Vec::new(),
            approvals: approvals(state),
            run: job.map(|job| RunLink { name: job.name.clone(), address: job.url.clone() }),
            runs: job.map(|job| runs(job, state)).unwrap_or_default(),
            commit_address: job.and_then(|job| job.commit_address.clone()),
            now: context.now(),
            template: None,
        }
    }
}

/// The ledger's state of a deployment, and its freshness.
struct Known {
    state: DeploymentState,
    stale: Option<Stale>,
}

/// Reads the ledger's state of a deployment, current where the remote answers.
fn look(ledger: &Ledger<'_>, name: &DeploymentName) -> Result<Known, CommandError> {
    let scope = Scope::Deployment(name.clone());
    let freshness = ledger.refresh_for_reports(&scope);
    let state = ledger.read(&scope)?.into_deployment(name);
    // The verb has printed them.
    drop(ledger.take_warnings());
    Ok(Known { state, stale: stale(ledger, &freshness) })
}

impl Overview {
    /// The comment by the project's own template. Where that cannot be used: the built-in one, and
    /// the reason.
    pub fn comment(&self, limit: Limit) -> Result<(Rendered, Option<String>), CommentError> {
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

    /// The comment by the built-in template, which contains all that approvers have to see.
    pub fn built_in(&self, limit: Limit) -> Result<Rendered, CommentError> {
        self.render(&CommentTemplate::built_in()?, limit)
    }

    fn render(&self, template: &CommentTemplate, limit: Limit) -> Result<Rendered, CommentError> {
        let edges = self.standing.edges.iter().zip(&self.previews);
        let promotions: Vec<_> = edges.map(|(edge, changes)| changes.of(edge)).collect();
        let input = CommentInput {
            standing: &self.standing,
            presence: self.presence.as_ref(),
            unfinished: &self.unfinished,
            of_ledger_alone: self.of_ledger_alone,
            stale: self.stale.as_ref(),
            rollout: self.report.as_ref().map(|report| RolloutOfRun {
                report,
                diff: self.done.diff.as_ref(),
                dependencies: &self.done.dependencies,
                only: &self.only,
            }),
            complete: self.complete.as_deref(),
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

/// The approvals of the running components.
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

/// The links to the runs that deployed the running commits.
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
        Err(error) => Err(crate::text::error_chain(&error)),
    })
}
