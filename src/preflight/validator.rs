//! Validates deployments for `atmos deployment validate`.

use std::collections::BTreeMap;

use super::{Facts, Finding, Moment};
use crate::component::Environment;
use crate::config::{self, ConfigError, Loaded, MAX_FILE_BYTES, load_all};
use crate::context::Context;
use crate::deployment::definition::Values;
use crate::deployment::resolution::{Resolution, ResolutionError, Resolved};
use crate::deployment::stack_layer::{Deployable, SHARED_STATE_HINT, StackLayer, StackRefusal};
use crate::deployment::stack_order::in_stack_order;
use crate::deployment::{
    CommitId, Component, ComponentKind, ComponentName, Deployment, Target, TargetName, promotion,
};
use crate::error::CommandError;
use crate::git::Repository;
use crate::project::stacks::ImportedStacks;
use crate::project::vendored::{Fetch, Vendored, VendoredTree, pull};
use crate::project::{Project, Tree};
use crate::render::document::validate::{Check, Problem, Severity, ValidatedDeployment};
use crate::vendor::{Declarations, Declared, VendorError};

/// A placeholder for the image of a build.
const ANY_IMAGE: &str = "registry/image@sha256:any";

/// The inputs of the validation.
pub struct Validator<'v> {
    pub context: &'v Context,
    pub project: &'v Project<'v>,
    /// The stacks of the checkout.
    pub stacks: &'v ImportedStacks,
    pub tree: &'v dyn Tree,
    pub commit: CommitId,
    pub environment: Environment,
    pub check_promotions: bool,
    pub repository: &'v Repository,
    /// Whether sources of vendored components are fetched, to check what is in them.
    pub fetch: Fetch,
}

impl Validator<'_> {
    /// All deployments, and all files among them that cannot be one.
    ///
    /// # Errors
    ///
    /// If the files cannot be read.
    pub fn all(&self, project: &Project<'_>) -> Result<Vec<ValidatedDeployment>, CommandError> {
        let loaded = load_all(&*project.source, &project.config)?;
        let mut deployments = loaded
            .deployments
            .into_iter()
            .map(|(name, loaded)| self.validated(name.to_string(), loaded))
            .collect::<Result<Vec<_>, _>>()?;
        deployments.extend(loaded.problems.iter().map(|problem| {
            let file_name = problem.file.rsplit('/').next().unwrap_or(&problem.file);
            let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
            ValidatedDeployment::new(stem.to_owned(), None, vec![shown(problem)])
        }));
        Ok(deployments)
    }

    /// One deployment, as loaded.
    ///
    /// # Errors
    ///
    /// If files of the repository cannot be read.
    pub fn validated(
        &self,
        name: String,
        loaded: Result<Loaded, ConfigError>,
    ) -> Result<ValidatedDeployment, CommandError> {
        match loaded {
            Ok(Loaded { deployment, file, warnings }) => {
                let mut problems: Vec<_> = warnings.iter().map(shown).collect();
                problems.extend(self.stack_problems(&deployment, &file));
                problems.extend(self.component_problems(&deployment, &file)?);
                if self.check_promotions {
                    problems.extend(oversights(&deployment, &file));
                }
                Ok(ValidatedDeployment::new(name, Some(&deployment), problems))
            }
            Err(ConfigError::Invalid(problems)) => {
                Ok(ValidatedDeployment::new(name, None, problems.iter().map(shown).collect()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The problems of the components on any target, without duplicates: a rollout is refused by
    /// them.
    fn component_problems(&self, deployment: &Deployment, file: &str) -> Result<Vec<Problem>, CommandError> {
        let config = &self.project.config;
        let together = deployment.components.iter().map(|component| component.name.clone()).collect();
        let built = deployment.components.iter().filter(|component| component.kind == ComponentKind::Nixpack);
        let images = built.map(|built| (built.name.to_string(), ANY_IMAGE.to_owned())).collect();
        let readable = config.deployments.template_env.iter();
        let template_environment = readable
            .map(|name| (name.clone(), self.context.variable(name).unwrap_or("value").to_owned()))
            .collect();
        let mut found: Vec<Finding> = Vec::new();
        let mut wrong: Vec<Problem> = Vec::new();
        for target in deployment.targets.values() {
            let deployment = &in_stack_order(deployment.clone(), &target.name, self.stacks);
            let vendored = match self.declared(deployment, target) {
                Ok(declared) => pull(self.context, self.repository, &self.commit, declared, self.fetch)?,
                Err(error) => {
                    let problem = of_vendoring(&error, file);
                    if !wrong.iter().any(|known| known.message == problem.message) {
                        wrong.push(problem);
                    }
                    Vendored::default()
                }
            };
            let tree = VendoredTree { tree: self.tree, vendored: &vendored };
            let facts = Facts {
                moment: Moment::Validation,
                config,
                deployment,
                target,
                commit: &self.commit,
                branch: Some("branch"),
                stacks: self.stacks,
                tree: &tree,
                command_line: &|_| Values::new(),
                environment: &self.environment,
                template_environment: &template_environment,
                images: &images,
                together: &together,
                of_commit: &together,
                to_build: &together,
            };
            facts.check(deployment.components.iter(), &mut found)?;
        }
        let text = self.project.source.read(file, MAX_FILE_BYTES).map_err(ConfigError::from)?;
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        let problem = |finding: &Finding| {
            let check = Some(finding.check);
            let problems = config::located(file, &text, std::slice::from_ref(&finding.remark));
            problems.into_iter().map(move |problem| Problem { check, ..shown(&problem) })
        };
        wrong.extend(found.iter().flat_map(problem));
        Ok(wrong)
    }

    fn declared(
        &self,
        deployment: &Deployment,
        target: &Target,
    ) -> Result<BTreeMap<String, Declared>, VendorError> {
        let declarations = Declarations {
            source: &*self.project.source,
            config: &self.project.config,
            deployment,
            target,
            stacks: self.stacks,
        };
        declarations.of(&deployment.components)
    }

    /// The problems of the stacks that the deployment's own components need, without duplicates.
    /// Other components of the stacks are irrelevant.
    fn stack_problems(&self, deployment: &Deployment, file: &str) -> Vec<Problem> {
        let mut hindering: Vec<(String, Option<String>)> = Vec::new();
        let mut layers: BTreeMap<&ComponentName, Vec<(&TargetName, StackLayer)>> = BTreeMap::new();
        for target in deployment.targets.values() {
            let ordered = in_stack_order(deployment.clone(), &target.name, self.stacks);
            for (component, declared) in ordered.components.iter().zip(&deployment.components) {
                let resolved = Resolution::as_declared(&ordered, component, target, self.stacks).resolve();
                if let Ok(Resolved { stack: Some(layer), .. }) = &resolved {
                    layers.entry(&declared.name).or_default().push((&target.name, layer.clone()));
                }
                hindering.extend(hindrances(resolved));
            }
        }
        for component in &deployment.components {
            let on_targets = layers.get(&component.name).into_iter().flatten().collect::<Vec<_>>();
            hindering.extend(shared_state(component, &on_targets));
        }
        let mut found: Vec<Problem> = Vec::new();
        let hindering = hindering.into_iter().map(|(message, hint)| (Severity::Error, message, hint));
        let unselected = self.stacks.unselected(deployment).into_iter();
        let unselected = unselected.map(|it| (Severity::Warning, it.message(), Some(it.hint())));
        for (severity, message, hint) in hindering.chain(unselected) {
            if found.iter().any(|known| known.message == message) {
                continue;
            }
            found.push(Problem {
                severity,
                check: Some(Check::Settings),
                message,
                file: Some(file.to_owned()),
                line: None,
                column: None,
                hint,
                rendered: None,
            });
        }
        found
    }
}

/// The targets on which a component has the state of an earlier target.
fn shared_state(
    component: &Component,
    on_targets: &[&(&TargetName, StackLayer)],
) -> Option<(String, Option<String>)> {
    on_targets.iter().enumerate().find_map(|(index, (target, layer))| {
        let mut later = on_targets.iter().skip(index + 1);
        let (other, _) = later.find(|(_, other)| layer.has_the_state_of(other))?;
        let message = layer.shared_state(&component.qualified_name(), [target, other]);
        Some((message, Some(SHARED_STATE_HINT.to_owned())))
    })
}

/// The reasons that a component's stacks prevent its rollout, each with a hint.
fn hindrances(resolved: Result<Resolved, ResolutionError>) -> Vec<(String, Option<String>)> {
    match resolved {
        Err(error) => {
            let hint = match &error {
                ResolutionError::Stack(StackRefusal::Invalid { hint, .. }) => hint.clone(),
                _ => None,
            };
            vec![(error.to_string(), hint)]
        }
        // A component that is not rolled out may have unsupported keys.
        Ok(Resolved { stack: Some(layer), .. }) if layer.deployable == Deployable::Yes => {
            layer.unapplied.into_iter().map(|key| (key.message, Some(key.hint))).collect()
        }
        Ok(_) => Vec::new(),
    }
}

/// The problem of a declaration that cannot be acted on, at its place where that is known.
fn of_vendoring(error: &VendorError, file: &str) -> Problem {
    let (place, hint) = match error {
        VendorError::Declaration { at, hint, .. } => (at.as_str(), Some(hint.clone())),
        _ => (file, None),
    };
    let mut parts = place.rsplitn(3, ':');
    let numbers = [parts.next(), parts.next()].map(|part| part.and_then(|part| part.trim().parse().ok()));
    let (file, line, column) = match (parts.next(), numbers) {
        (Some(file), [Some(column), Some(line)]) => (file, Some(line), Some(column)),
        _ => (file, None, None),
    };
    Problem {
        severity: Severity::Error,
        check: Some(Check::Components),
        message: error.to_string(),
        file: Some(file.to_owned()),
        line,
        column,
        hint,
        rendered: None,
    }
}

fn oversights(deployment: &Deployment, file: &str) -> Vec<Problem> {
    let oversights = promotion::oversights(deployment).into_iter();
    oversights
        .map(|oversight| Problem {
            severity: Severity::Warning,
            check: Some(Check::Promotion),
            message: oversight.to_string(),
            file: Some(file.to_owned()),
            line: None,
            column: None,
            hint: None,
            rendered: None,
        })
        .collect()
}

/// Converts a problem to the report's form.
fn shown(problem: &config::Problem) -> Problem {
    Problem {
        severity: match problem.severity {
            config::Severity::Error => Severity::Error,
            config::Severity::Warning => Severity::Warning,
        },
        check: Some(check(&problem.keys)),
        message: problem.message.clone(),
        file: Some(problem.file.clone()),
        line: Some(problem.line),
        column: Some(problem.column),
        hint: problem.hint.clone(),
        rendered: Some(problem.render(false)),
    }
}

/// The check that the section at these keys belongs to.
fn check(keys: &[String]) -> Check {
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["deployment", "labels", ..]
        | ["deployment", "targets", _, "labels", ..]
        | ["deployment", "components", _, _, "metadata", "labels", ..] => Check::Labels,
        ["deployment", "targets", _, "promotion", ..] => Check::Promotion,
        ["deployment", "components", _, _, "metadata", "depends_on", ..] => Check::Components,
        ["deployment", "components", _, _, _, ..] => Check::Settings,
        ["deployment", "targets", _, "components", ..] | ["deployment", "components", ..] => {
            Check::Components
        }
        // An undeclared key of a target counts as context.
        ["deployment", "targets", _, _, ..] | ["deployment", "context", ..] => Check::Context,
        ["deployment", "targets", ..] => Check::Targets,
        _ => Check::Configuration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_belongs_to_the_innermost_check() {
        let check = |path: &str| check(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(check(""), Check::Configuration);
        assert_eq!(check("deployment.name"), Check::Configuration);
        assert_eq!(check("deployment.targets.prod"), Check::Targets);
        assert_eq!(check("deployment.targets.prod.promotion.from"), Check::Promotion);
        assert_eq!(check("deployment.targets.prod.cpu"), Check::Context);
        assert_eq!(check("deployment.targets.prod.labels.a"), Check::Labels);
        assert_eq!(check("deployment.targets.prod.components.api"), Check::Components);
        assert_eq!(check("deployment.components.nixpack.api.metadata.depends_on"), Check::Components);
        assert_eq!(check("deployment.components.command.api.settings.timeout"), Check::Settings);
    }
}
