//! The inputs of a rollout's execution, from the commits, the project and the process.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use super::approve::Granted;
use super::command::RolloutCommand;
use super::decide::Decided;
use super::gather::Gathered;
use super::prepare::{Prepared, ordered_at};
use crate::component::{Environment, HelmfileSettings, Mode, TerraformSettings};
use crate::deployment::health::Probe;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan, RolloutSource};
use crate::deployment::{CommitId, ComponentKind, Deployment};
use crate::error::CommandError;
use crate::execution::{Checkouts, Provenance, Rollout};
use crate::project::declared::definition_at;

impl RolloutCommand<'_, '_> {
    /// The deployment as each commit of the plan declares it. Fetches missing commits.
    pub(super) fn definitions(
        &self,
        plan: &RolloutPlan,
    ) -> Result<BTreeMap<CommitId, Deployment>, CommandError> {
        let Prepared { repository, project, at_commit, request, .. } = self.prepared;
        let mut definitions = BTreeMap::new();
        for commit in distinct_commits(plan) {
            let definition = match (&request.source, at_commit) {
                (RolloutSource::Commit(asked), Some(known)) if asked == commit => known.clone(),
                // A promotion's definitions were read for the decision.
                _ => match self.prepared.definition_at(commit)? {
                    Some(known) if known.targets.contains_key(&plan.target) => (*known).clone(),
                    _ => {
                        let (name, target) = (&plan.deployment, &plan.target);
                        let declared =
                            definition_at(self.context, repository, project, name, commit, target)?;
                        ordered_at(repository, project, declared, commit, target)?
                    }
                },
            };
            definitions.insert(commit.clone(), definition);
        }
        Ok(definitions)
    }

    /// Checks out the commits of a plan.
    pub(super) fn check_out(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Result<Checkouts, CommandError> {
        self.check_out_during(plan, definitions, |_| Ok(())).map(|(checkouts, ())| checkouts)
    }

    /// Checks out the commits of a plan while `other` runs, from when it signals or has succeeded.
    /// An error of `other` takes precedence.
    pub(super) fn check_out_during<T>(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
        other: impl FnOnce(&mut dyn FnMut()) -> Result<T, CommandError>,
    ) -> Result<(Checkouts, T), CommandError> {
        let root = self.private_folder().join("workdir");
        let repository = self.prepared.repository;
        let name = format!("{}-{}", plan.deployment, plan.target);
        let vendored = self.vendored(plan, definitions)?;
        let check_out = || -> Result<Checkouts, CommandError> {
            let commits = commits_with_files(plan, definitions);
            let checkouts = Checkouts::create(repository, &root, &name, commits)?;
            for (commit, vendored) in &vendored {
                if let Some(folder) = checkouts.folder(commit) {
                    vendored.place_into(folder)?;
                }
            }
            Ok(checkouts)
        };
        let (checkouts, other) = thread::scope(|scope| {
            let mut begun = None;
            let other = other(&mut || {
                begun.get_or_insert_with(|| scope.spawn(check_out));
            });
            let checkouts =
                begun.map(|running| running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            (checkouts, other)
        });
        let other = other?;
        let checkouts = checkouts.unwrap_or_else(check_out);
        Ok((checkouts?, other))
    }

    /// `.atmos` in the checkout; in a bare repository, beside its objects.
    fn private_folder(&self) -> PathBuf {
        let repository = self.prepared.repository;
        repository
            .work_tree()
            .map_or_else(|| repository.common_dir().join("atmos"), |root| root.join(".atmos"))
    }

    pub(super) fn environment(&self) -> Environment {
        crate::image::environment(self.context)
    }

    pub(super) fn terraform(&self) -> TerraformSettings {
        let config = &self.prepared.project.config;
        TerraformSettings {
            program: config.command(ComponentKind::Terraform).to_owned(),
            base_path: PathBuf::from(config.components_directory(ComponentKind::Terraform)),
            ..TerraformSettings::default()
        }
    }

    pub(super) fn helmfile(&self) -> HelmfileSettings {
        let config = &self.prepared.project.config;
        HelmfileSettings {
            program: config.command(ComponentKind::Helmfile).to_owned(),
            base_path: PathBuf::from(config.components_directory(ComponentKind::Helmfile)),
        }
    }

    /// All inputs of the execution.
    pub(super) fn rollout(
        &self,
        decided: &Decided,
        gathered: Gathered,
        mode: Mode,
        run_id: &str,
        granted: Option<&Granted>,
    ) -> Result<Rollout, CommandError> {
        let plan = &decided.plan;
        let Gathered { definitions, stacks, images, digests, done } = gathered;
        let disabled = self.disabled(plan, &definitions, &stacks)?;
        let mut metadata = self.prepared.metadata.clone();
        if plan.promotion_check_skipped {
            metadata.insert("promotion_check".to_owned(), "skipped".to_owned());
        }
        let provenance = Provenance {
            run_url: self.prepared.run.url.clone(),
            rules: Some(decided.trusted.origin.to_string()),
            reason: self.options.reason.clone(),
            approval: granted.map(|granted| (granted.id.clone(), granted.approval.clone())),
        };
        let ledger = &self.prepared.project.config.deployments.ledger;
        let overrides = plan.components.iter().map(|planned| planned.component.clone());
        let overrides = overrides.map(|name| (name, self.prepared.overrides.clone())).collect();
        Ok(Rollout {
            dependencies: plan.needs.clone(),
            plan: plan.clone(),
            definitions,
            stacks,
            disabled,
            mode,
            run_id: run_id.to_owned(),
            deployed_by: self.prepared.run.actor.clone(),
            metadata,
            provenance,
            recorded: digests.components.into_iter().map(|(name, digest)| (name, digest.into())).collect(),
            overrides,
            branch: self.prepared.branch.clone(),
            images: images.by_component,
            build_ids: images.build_ids,
            done,
            environment: self.environment(),
            template_environment: self.template_environment(),
            masks: self.context.masks().clone(),
            keeps_errors: ledger.errors,
            redacted: ledger.redact.clone(),
            in_ci: self.context.in_ci(),
            terraform: self.terraform(),
            helmfile: self.helmfile(),
            state: self.private_folder().join("state"),
            plugin_cache: self.private_folder().join("plugin-cache"),
            parallelism: self
                .options
                .parallelism
                .unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
            fail_fast: self.options.fail_fast,
            keep_checkouts: self.options.keep_workdir,
        })
    }

    /// The variables that templates may read, by the project's list.
    pub(super) fn template_environment(&self) -> BTreeMap<String, String> {
        let allowed = &self.prepared.project.config.deployments.template_env;
        let value = |name: &String| Some((name.clone(), self.context.variable(name)?.to_owned()));
        allowed.iter().filter_map(value).collect()
    }
}

/// The commits of a plan that need a checkout. A built image needs none, unless a
/// health command runs among the files.
fn commits_with_files<'p>(
    plan: &'p RolloutPlan,
    definitions: &BTreeMap<CommitId, Deployment>,
) -> Vec<&'p CommitId> {
    let needs_files = |planned: &&ComponentPlan| {
        planned.kind != ComponentKind::Nixpack || {
            let component = definitions.get(&planned.commit).and_then(|at| at.component(&planned.component));
            let health = component.and_then(|component| component.settings.health.as_ref());
            health.is_some_and(|health| matches!(health.probe, Probe::Command(_)))
        }
    };
    plan.components.iter().filter(needs_files).map(|planned| &planned.commit).collect()
}

/// The commits of a plan, each once.
pub(super) fn distinct_commits(plan: &RolloutPlan) -> Vec<&CommitId> {
    let mut commits: Vec<_> = plan.components.iter().map(|component| &component.commit).collect();
    commits.sort();
    commits.dedup();
    commits
}
