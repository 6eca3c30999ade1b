//! `atmos deployment scan`: stores a scanner's findings and their counts as a note on the commit.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::attach::notes::{Attachment, attach, commit, read, scan_results};
use crate::context::Context;
use crate::deployment::DeploymentName;
use crate::deployment::names::ComponentReference;
use crate::error::{CommandError, exit};
use crate::project::known::known_component;
use crate::project::ledger::reachable;
use crate::render::document::attach::Attached;
use crate::results::Severity;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment scan payment-service --component api --file grype.json
  atmos deployment scan payment-service --component api --file trivy.json --fail-on high
  atmos deployment scan payment-service --file results.sarif --git-sha abc123def")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The scanner's file: SARIF, or the JSON of Grype or Trivy; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The component that was scanned; the whole deployment where none is named
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentReference>,
    /// The commit that was scanned, instead of the one that is checked out
    #[arg(long, value_name = "COMMIT")]
    pub(super) git_sha: Option<String>,
    /// End with exit code 5 where something at least so bad was found
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
}

/// From which severity on findings are a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Low,
    Medium,
    High,
    Critical,
}

impl From<FailOn> for Severity {
    fn from(fail_on: FailOn) -> Self {
        match fail_on {
            FailOn::Low => Self::Low,
            FailOn::Medium => Self::Medium,
            FailOn::High => Self::High,
            FailOn::Critical => Self::Critical,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let deployment = project.deployment(context, &args.deployment)?;
    let component =
        args.component.as_ref().map(|reference| known_component(&deployment, reference)).transpose()?;
    let file = read(context, &args.file)?;
    let ledger = context.ledger(&repository, &project.config)?;
    reachable(context, &ledger, "notes")?;
    let commit = commit(context, &repository, &ledger, args.git_sha.as_deref())?;
    let by = context.actor(&repository);
    let attachment = scan_results(context, component, &commit, &file, &args.file, by)?;
    let found = match (&attachment, args.fail_on) {
        (Attachment { attached: Attached::Scan { vulnerabilities, .. }, .. }, Some(fail_on)) => {
            vulnerabilities.at_least(fail_on.into())
        }
        _ => 0,
    };
    let code = attach(context, &ledger, &deployment, component, commit, attachment, file.len())?;
    Ok(if found > 0 { ExitCode::from(exit::FINDINGS) } else { code })
}
