//! `atmos deployment attach`: stores files of other CI steps as notes on their commit.

pub(super) mod notes;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::config::{LoadedAll, load_all};
use crate::context::Context;
use crate::deployment::DeploymentName;
use crate::deployment::names::ComponentReference;
use crate::error::CommandError;
use crate::project::Project;
use crate::project::known::known_component;
use crate::project::ledger::reachable;
use crate::render::document::error::Hint;
use notes::{attach, commit, read, sbom_note, scan_results, test_results};

#[derive(Debug, clap::Args)]
#[command(allow_missing_positional = true)]
#[command(after_help = "Examples:
  atmos deployment attach payment-service sbom --component api --file sbom.cdx.json
  atmos deployment attach payment-service test-results --file junit.xml
  atmos deployment attach payment-service scan-results --component api --file grype.json --git-sha abc123def
  atmos deployment attach sbom --file sbom.cdx.json")]
pub struct Args {
    /// The deployment; need not be named where there is only one
    deployment: Option<DeploymentName>,
    /// What the file is
    #[arg(value_enum)]
    namespace: Namespace,
    /// The file; `-` reads it from standard input. CycloneDX or SPDX 2 as JSON for sbom, JUnit XML for test-results, SARIF or the JSON of
    /// Grype or Trivy for scan-results
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The component that the file is about; the whole deployment where none is named
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentReference>,
    /// The commit that the file is about, instead of the one that is checked out
    #[arg(long, value_name = "COMMIT")]
    pub(super) git_sha: Option<String>,
}

/// What can be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Namespace {
    Sbom,
    TestResults,
    ScanResults,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let name = match &args.deployment {
        Some(name) => name.clone(),
        None => only_deployment(&project)?,
    };
    let deployment = project.deployment(context, &name)?;
    let component =
        args.component.as_ref().map(|reference| known_component(&deployment, reference)).transpose()?;
    let file = read(context, &args.file)?;
    let ledger = context.ledger(&repository, &project.config)?;
    reachable(context, &ledger, "notes")?;
    let commit = commit(context, &repository, &ledger, args.git_sha.as_deref())?;
    let by = context.actor(&repository);
    let attachment = match args.namespace {
        Namespace::Sbom => sbom_note(context, &deployment, component, &commit, &file, &args.file)?,
        Namespace::TestResults => test_results(context, component, &commit, &file, &args.file, by)?,
        Namespace::ScanResults => scan_results(context, component, &commit, &file, &args.file, by)?,
    };
    attach(context, &ledger, &deployment, component, commit, attachment, file.len())
}

/// The only deployment of the project.
fn only_deployment(project: &Project<'_>) -> Result<DeploymentName, CommandError> {
    let LoadedAll { deployments, .. } = load_all(&*project.source, &project.config)?;
    let mut names = deployments.into_keys();
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name),
        (Some(first), Some(second)) => {
            let listed = [first, second].into_iter().chain(names).map(|name| name.to_string());
            Err(CommandError::usage("which deployment? Name one in front of what is attached")
                .hint(Hint::note(format!("There are {}", listed.collect::<Vec<_>>().join(", ")))))
        }
        (None, _) => Err(CommandError::usage("there is no deployment")
            .hint(Hint::note("Describe one in deployments/<name>.yaml"))),
    }
}
