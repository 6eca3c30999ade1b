//! `atmos deployment sbom`: the SBOMs of deployed components.

mod diff;
mod load;
mod scans;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::context::Context;
use crate::context::flags::any_format;
use crate::deployment::names::ComponentReference;
use crate::deployment::{Deployment, DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::ledger::{Ledger, Scope};
use crate::project::Project;
use crate::project::known::known_component;
use crate::project::subjects::Subjects;
use crate::render;
use crate::render::document;
use crate::render::document::Format;
use crate::render::document::sbom::SbomSummary;
use crate::sbom;

use load::Loaded;
pub(in crate::cli) use load::{Subject, load, subject_of_target};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  atmos deployment sbom payment-service --target prod
  atmos deployment sbom payment-service --git-sha abc123def
  atmos deployment sbom payment-service --target prod --output sbom.json
  atmos deployment sbom payment-service --target prod --summary
  atmos deployment sbom payment-service --target prod --format spdx-json
  atmos deployment sbom diff payment-service prod staging")]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// The deployment
    #[arg(required = true)]
    deployment: Option<DeploymentName>,
    /// What runs on this target
    #[arg(long, value_name = "TARGET", conflicts_with = "git_sha")]
    target: Option<TargetName>,
    /// What is noted on this commit
    #[arg(long, value_name = "COMMIT")]
    git_sha: Option<String>,
    /// Only this component; may be given several times
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// The essentials alone, and how many vulnerabilities scans have found
    #[arg(long)]
    summary: bool,
    /// Write the SBOM to this file
    #[arg(long, value_name = "FILE", conflicts_with = "summary")]
    output: Option<PathBuf>,
    /// How it is printed; json is CycloneDX, as cyclonedx-json
    #[arg(short, long, global = true, env = "ATMOS_FORMAT", value_parser = any_format(), default_value = "table", value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Action {
    Diff(diff::Args),
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let Some(name) = &args.deployment else {
        return match &args.action {
            Some(Action::Diff(diff)) => diff::run(diff, context),
            None => Err(CommandError::usage("which deployment?")),
        };
    };
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let ledger = context.ledger(&repository, &project.config)?;
    let deployment = deployment(context, &project, &ledger, name)?;
    let mut subject = match (&args.git_sha, target(args, &deployment)) {
        (Some(revision), _) => {
            let commit = crate::project::revision::resolve_commit(context, &repository, &ledger, revision)?;
            Subject::commit(commit)
        }
        (None, Some(target)) => subject_of_target(context, &ledger, &deployment, target)?,
        (None, None) => Subject::commit(repository.head()?),
    };
    let mut wanted = Vec::new();
    for reference in &args.component {
        let running = subject.running(reference);
        wanted.push(match running {
            Some(name) => name.clone(),
            None => known_component(&deployment, reference)?.name.clone(),
        });
    }
    subject.restrict(&wanted);
    let loaded = load(context, &repository, &project, &ledger, &deployment, &subject)?;
    let result = show(args, context, &ledger, &deployment, &subject, loaded);
    context.say_warnings(&ledger);
    result
}

/// The requested target; the default one where neither a target nor a commit is requested.
fn target<'a>(args: &'a Args, deployment: &'a Deployment) -> Option<&'a TargetName> {
    match (&args.target, &args.git_sha) {
        (Some(target), _) => Some(target),
        (None, Some(_)) => None,
        (None, None) => deployment.context.default_target.as_ref(),
    }
}

/// The deployment as its file declares it; one without a file must be known to the ledger.
fn deployment(
    context: &Context,
    project: &Project<'_>,
    ledger: &Ledger<'_>,
    name: &DeploymentName,
) -> Result<Deployment, CommandError> {
    let subjects = Subjects::read(context, project, Some(name))?;
    if subjects.lacks(name) {
        let snapshot = context.snapshot(ledger, &Scope::Deployment(name.clone()))?;
        subjects.has_file_or_state(&snapshot.into_deployment(name))?;
    }
    Ok(subjects.one(name))
}

fn show(
    args: &Args,
    context: &Context,
    ledger: &Ledger<'_>,
    deployment: &Deployment,
    subject: &Subject,
    loaded: Loaded,
) -> Result<ExitCode, CommandError> {
    let Loaded { bom, components, missing } = loaded;
    if args.summary {
        let vulnerabilities = scans::vulnerabilities(context, ledger, deployment, subject, &components)?;
        let summary = SbomSummary::new(
            &deployment.name,
            subject.target.as_ref(),
            subject.commits(),
            sbom::summarise(&bom),
            vulnerabilities,
            missing,
        );
        context.print(&summary, render::sbom::summary)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(AsRef::as_ref).collect();
        context.warn(&format!("no SBOM says what these are made of: {}", names.join(", ")));
    }
    let text = match (args.format, &args.output) {
        (Format::Table, None) => render::sbom::tree(&sbom::summarise(&bom), &context.presentation()),
        (Format::Table | Format::Json | Format::CyclonedxJson, _) => bom.to_json(),
        (Format::Yaml, _) => document::plain_yaml(&bom.into_value())?,
        (Format::SpdxJson, _) => document::plain_json(&sbom::to_spdx(&bom))?,
    };
    let Some(file) = &args.output else {
        context.streams().data(&text)?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::write(context.directory().join(file), &text).map_err(|error| {
        CommandError::new(Code::Files, format!("cannot write {}: {error}", file.display()))
    })?;
    context.streams().note(&format!("Wrote {} ({})\n", file.display(), render::sbom::size(text.len())));
    Ok(ExitCode::SUCCESS)
}
