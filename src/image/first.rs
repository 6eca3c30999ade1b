//! Builds images that a rollout lacks, before it takes its locks.

use super::Options;
use super::prepare::prepare;
use super::progress::event_sink;
use super::run::{Acted, run};
use crate::cancellation::Cancellation;
use crate::context::Context;
use crate::deployment::build_report::BuildStatus;
use crate::deployment::names::ComponentReference;
use crate::deployment::{CommitId, ComponentName, DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::project::Project;
use crate::render::document::error::Hint;

/// The images to build of one commit.
pub struct Wanted<'a> {
    pub deployment: &'a DeploymentName,
    pub target: &'a TargetName,
    pub commit: &'a CommitId,
    pub components: Vec<ComponentName>,
}

impl Wanted<'_> {
    /// The command that builds them.
    pub fn command(&self) -> String {
        let Wanted { deployment, target, commit, components } = self;
        let components: String =
            components.iter().flat_map(|name| [" --component ", name.as_str()]).collect();
        format!("atmos deployment build {deployment} --target {target} --git-sha {commit}{components}")
    }
}

/// Builds images and records them, as `atmos deployment build` does; prints progress and no result.
///
/// # Errors
///
/// Fails where any of them could not be built; the built ones are recorded.
pub fn build_first(
    wanted: &Wanted<'_>,
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    cancellation: &Cancellation,
) -> Result<(), CommandError> {
    let options = Options {
        deployment: wanted.deployment.clone(),
        target: Some(wanted.target.clone()),
        component: wanted.components.iter().map(|name| ComponentReference(name.to_string())).collect(),
        git_sha: Some(wanted.commit.to_string()),
        context: Vec::new(),
        tag: None,
        plan: false,
        skip_push: false,
        parallelism: None,
    };
    // Another machine may have the tools that this one lacks.
    let elsewhere =
        |error: CommandError| error.hint(Hint::command("Or build it where that is there", wanted.command()));
    let prepared = prepare(&options, context, repository, project)?;
    let acted = run(&options, context, &prepared, &event_sink(context), cancellation);
    context.say_warnings(&prepared.ledger);
    let Acted { builds, .. } = acted.map_err(elsewhere)?;
    let failed: Vec<_> = builds
        .iter()
        .filter(|build| !matches!(build.status, BuildStatus::Built | BuildStatus::Reused))
        .collect();
    if cancellation.is_cancelled() {
        let message = "The rollout was cancelled before anything was applied";
        return Err(CommandError::new(Code::Cancelled, message));
    }
    if failed.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = failed.iter().map(|build| build.component.as_str()).collect();
    let message = format!(
        "{} could not be built, so that nothing was rolled out to {}",
        names.join(", "),
        wanted.target
    );
    let reasons =
        failed.iter().filter_map(|build| Some(format!("{}: {}", build.component, build.error.as_ref()?)));
    Err(CommandError::new(Code::BuildFailed, message).details(reasons).hint(Hint::command(
        "To build it again, with all that the engine says",
        format!("{} --verbose", wanted.command()),
    )))
}
