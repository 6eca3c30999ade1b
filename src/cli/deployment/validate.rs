//! `atmos deployment validate`: what is wrong with the configuration.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::cli::context::{Context, Project};
use crate::cli::error::{CommandError, exit};
use crate::cli::stacks::ImportedStacks;
use crate::config::{self, ConfigError, Loaded, load_all, load_deployment};
use crate::deployment::definition::Values;
use crate::deployment::resolution::{Resolution, ResolutionError, Resolved};
use crate::deployment::stack_layer::{Deployable, KnownOutputs, StackRefusal};
use crate::deployment::{Deployment, DeploymentName, promotion};
use crate::render;
use crate::render::document::validate::{Check, Problem, Severity, ValidatedDeployment, ValidationReport};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment validate payment-service
  atmos deployment validate --all
  atmos deployment validate payment-service --check-promotions")]
pub struct Args {
    /// The deployment
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    deployment: Option<DeploymentName>,
    /// Check every deployment
    #[arg(long)]
    all: bool,
    /// Also warn of promotion paths that are allowed and hardly meant: a default target that only takes promotions, a
    /// target outside of every path
    #[arg(long)]
    check_promotions: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let stacks = project.stacks(&repository)?;
    let validator = Validator { stacks: &stacks, check_promotions: args.check_promotions };
    let deployments = match &args.deployment {
        Some(name) => {
            let loaded = load_deployment(&*project.source, &project.config, name);
            vec![validator.validated(name.to_string(), loaded)?]
        }
        None => validator.all(&project)?,
    };
    let report = ValidationReport::new(deployments);
    context.print(&report, render::validate::text)?;
    Ok(if report.valid { ExitCode::SUCCESS } else { ExitCode::from(exit::USAGE) })
}

/// What deployments are checked against.
struct Validator<'v> {
    /// As the checkout has them.
    stacks: &'v ImportedStacks,
    check_promotions: bool,
}

impl Validator<'_> {
    /// Every deployment, and every file among them that cannot be one.
    fn all(&self, project: &Project<'_>) -> Result<Vec<ValidatedDeployment>, CommandError> {
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

    fn validated(
        &self,
        name: String,
        loaded: Result<Loaded, ConfigError>,
    ) -> Result<ValidatedDeployment, CommandError> {
        match loaded {
            Ok(Loaded { deployment, file, warnings }) => {
                let mut problems: Vec<_> = warnings.iter().map(shown).collect();
                problems.extend(self.stack_problems(&deployment, &file));
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

    /// What is wrong with the stacks that the deployment's own components need, each once. What stacks say of other
    /// components does not matter.
    fn stack_problems(&self, deployment: &Deployment, file: &str) -> Vec<Problem> {
        let mut found: Vec<Problem> = Vec::new();
        for target in deployment.targets.values() {
            for component in &deployment.components {
                let resolution = Resolution {
                    deployment,
                    component,
                    target,
                    command_line: &Values::new(),
                    stacks: self.stacks,
                    outputs: KnownOutputs::AsWritten,
                    images: &BTreeMap::new(),
                    repository_root: None,
                    templates: None,
                };
                for (message, hint) in hindrances(resolution.resolve()) {
                    let problem = Problem {
                        severity: Severity::Error,
                        check: Some(Check::Components),
                        message,
                        file: Some(file.to_owned()),
                        line: None,
                        column: None,
                        hint,
                        rendered: None,
                    };
                    if !found.iter().any(|known| known.message == problem.message) {
                        found.push(problem);
                    }
                }
            }
        }
        found
    }
}

/// Why a component could not be rolled out as its stacks are, each with what to do about it.
fn hindrances(resolved: Result<Resolved, ResolutionError>) -> Vec<(String, Option<String>)> {
    match resolved {
        Err(error) => {
            let hint = match &error {
                ResolutionError::Stack(StackRefusal::Invalid { hint, .. }) => hint.clone(),
                _ => None,
            };
            vec![(error.to_string(), hint)]
        }
        // What is not rolled out need not be able to.
        Ok(Resolved { stack: Some(layer), .. }) if layer.deployable == Deployable::Yes => {
            layer.unapplied.into_iter().map(|key| (key.message, Some(key.hint))).collect()
        }
        Ok(_) => Vec::new(),
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

/// A problem as the report shows it.
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

/// What was checked where these keys stand.
fn check(keys: &[String]) -> Check {
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["deployment", "labels", ..]
        | ["deployment", "targets", _, "labels", ..]
        | ["deployment", "components", _, _, "metadata", "labels", ..] => Check::Labels,
        ["deployment", "targets", _, "promotion", ..] => Check::Promotion,
        ["deployment", "targets", _, "components", ..] | ["deployment", "components", ..] => {
            Check::Components
        }
        // A target's key that is none of its own is taken as context.
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
    }
}
