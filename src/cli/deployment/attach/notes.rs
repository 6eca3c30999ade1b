//! Conversion of files to notes on their commit.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use crate::context::Context;
use crate::deployment::{CommitId, Component, Deployment, NoteNamespace};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::image::sbom_edit;
use crate::ledger::{Ledger, NoteEdit, Publication};
use crate::project::revision::resolve_commit;
use crate::render;
use crate::render::document::attach::{AttachResult, Attached};
use crate::render::document::error::Hint;
use crate::results::{self, Recording, ResultsError};
use crate::sbom::{self, Bom};

/// A note with its summary.
pub(in crate::cli::deployment) struct Attachment {
    pub(in crate::cli::deployment) edit: NoteEdit,
    pub(in crate::cli::deployment) attached: Attached,
}

/// Publishes a note, and prints its summary.
pub(in crate::cli::deployment) fn attach(
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

/// The note of an SBOM.
pub(in crate::cli::deployment) fn sbom_note(
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

/// The note of a JUnit report.
pub(in crate::cli::deployment) fn test_results(
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

/// The note of a scanner's file.
pub(in crate::cli::deployment) fn scan_results(
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

/// A note of one line, from a file.
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

/// Reads a file, up to the maximum size of a note.
pub(in crate::cli::deployment) fn read(context: &Context, path: &Path) -> Result<Vec<u8>, CommandError> {
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

/// The requested commit, by default the checked-out one.
pub(in crate::cli::deployment) fn commit(
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
