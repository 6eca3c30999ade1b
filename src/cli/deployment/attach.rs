//! `atmos deployment attach`: files of other CI steps, noted on the commit that they are about.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::config::{LoadedAll, load_all};
use crate::context::Context;
use crate::deployment::names::ComponentReference;
use crate::deployment::{CommitId, Component, Deployment, DeploymentName, NoteNamespace};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::image::sbom_edit;
use crate::ledger::{Ledger, NoteEdit, Publication};
use crate::project::Project;
use crate::project::known::known_component;
use crate::project::ledger::reachable;
use crate::project::revision::resolve_commit;
use crate::render;
use crate::render::document::attach::{AttachResult, Attached};
use crate::render::document::error::Hint;
use crate::results::{self, Recording, ResultsError};
use crate::sbom::{self, Bom};

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

/// A note, and what it says at a glance.
pub(super) struct Attachment {
    pub(super) edit: NoteEdit,
    pub(super) attached: Attached,
}

/// Publishes a note, and says so.
pub(super) fn attach(
    context: &Context,
    ledger: &Ledger<'_>,
    deployment: &Deployment,
    component: Option<&Component>,
    commit: CommitId,
    attachment: Attachment,
    size: usize,
) -> Result<ExitCode, CommandError> {
    let namespace = attachment.edit.namespace;
    ledger.publish(&deployment.name, &Publication { notes: vec![attachment.edit], builds: Vec::new() })?;
    let result = AttachResult {
        deployment: deployment.name.clone(),
        namespace,
        commit,
        component: component.map(|component| component.name.clone()),
        size,
        attached: attachment.attached,
    };
    context.print(&result, render::attach::text)?;
    context.say_warnings(ledger);
    Ok(ExitCode::SUCCESS)
}

fn sbom_note(
    context: &Context,
    deployment: &Deployment,
    component: Option<&Component>,
    commit: &CommitId,
    file: &[u8],
    path: &Path,
) -> Result<Attachment, CommandError> {
    let bom = Bom::parse(file).map_err(|error| unusable(path, &error.to_string()))?;
    let bom = match component {
        Some(component) => {
            sbom::as_component(&bom, &deployment.name, commit, &component.name, component.kind, context.now())
        }
        None => bom,
    };
    let summary = sbom::summarise(&bom);
    Ok(Attachment {
        edit: sbom_edit(deployment, commit.clone(), &bom),
        attached: Attached::Sbom {
            components: summary.components.len(),
            dependencies: summary.dependencies.len(),
        },
    })
}

/// The note that a JUnit report makes.
pub(super) fn test_results(
    context: &Context,
    component: Option<&Component>,
    commit: &CommitId,
    file: &[u8],
    path: &Path,
    by: String,
) -> Result<Attachment, CommandError> {
    let entry = results::test_results(file, &recording(context, component, by));
    let noted = entry.map(|entry| (entry.to_line(), Attached::Tests(entry.summary)));
    line(NoteNamespace::TestResults, commit, path, noted)
}

/// The note that a scanner's file makes.
pub(super) fn scan_results(
    context: &Context,
    component: Option<&Component>,
    commit: &CommitId,
    file: &[u8],
    path: &Path,
    by: String,
) -> Result<Attachment, CommandError> {
    let entry = results::scan_results(file, &recording(context, component, by));
    let noted = entry
        .map(|entry| (entry.to_line(), Attached::Scan { tool: entry.tool, vulnerabilities: entry.summary }));
    line(NoteNamespace::ScanResults, commit, path, noted)
}

/// A note of one line, made of a file.
fn line(
    namespace: NoteNamespace,
    commit: &CommitId,
    path: &Path,
    noted: Result<(String, Attached), ResultsError>,
) -> Result<Attachment, CommandError> {
    let (line, attached) = noted.map_err(|error| refused(path, &error))?;
    Ok(Attachment { edit: NoteEdit::lines(namespace, commit.clone(), &[line]), attached })
}

fn recording(context: &Context, component: Option<&Component>, by: String) -> Recording {
    Recording {
        component: component.map(|component| component.name.clone()),
        recorded_at: context.now(),
        recorded_by: by,
    }
}

fn refused(path: &Path, error: &ResultsError) -> CommandError {
    match error {
        ResultsError::TooLarge(size) => too_large(path, *size),
        error => unusable(path, &error.to_string()),
    }
}

fn unusable(path: &Path, reason: &str) -> CommandError {
    CommandError::new(Code::UnusableFile, format!("{} cannot be attached: {reason}", path.display()))
}

fn too_large(path: &Path, size: usize) -> CommandError {
    let megabytes = size / 1_000_000;
    CommandError::new(
        Code::NoteTooLarge,
        format!("{} has {megabytes} MB; notes of more than 50 MB belong into other storage", path.display()),
    )
    .hint(Hint::note("Keep the file where the CI keeps its artifacts, and attach what matters of it"))
}

/// Reads a file of at most the size of a note.
pub(super) fn read(context: &Context, path: &Path) -> Result<Vec<u8>, CommandError> {
    let unreadable =
        |error: std::io::Error| CommandError::usage(format!("cannot read {}: {error}", path.display()));
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(context.directory().join(path)).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > results::LARGEST as u64 {
            return Err(too_large(path, usize::try_from(size).unwrap_or(usize::MAX)));
        }
        Box::new(file)
    };
    let mut bytes = Vec::new();
    reader.take(results::LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > results::LARGEST {
        return Err(too_large(path, bytes.len()));
    }
    Ok(bytes)
}

/// The commit that is meant: the one that is named, else the one that is checked out.
pub(super) fn commit(
    context: &Context,
    repository: &Repository,
    ledger: &Ledger<'_>,
    named: Option<&str>,
) -> Result<CommitId, CommandError> {
    match named {
        Some(revision) => resolve_commit(context, repository, ledger, revision),
        None => Ok(repository.head()?),
    }
}

/// The one deployment that there is.
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
