//! Publishes a build in the ledger: records, the SBOM of the deployment, and the provenance of each
//! image, all in one push.

use std::path::Path;

use super::Options;
use super::finished::Finished;
use super::other_components::{Reader, say_vendored};
use super::prepare::Prepared;
use super::sbom_note::sbom_edit;
use super::{Provenance, statement};
use crate::context::Context;
use crate::deployment::build_report::BuildStatus;
use crate::deployment::{BuildRecord, ComponentKind, NoteNamespace};
use crate::error::{Code, CommandError, exit};
use crate::git::redact::redact_urls;
use crate::ledger::{NoteEdit, Publication};
use crate::project::vendored::vendored_components;
use crate::sbom::{self, Bill, BilledComponent};

/// A summary of the published data.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// The numbers of components and dependencies in the SBOM; absent where none was attached.
    pub sbom: Option<(usize, usize)>,
}

pub fn publish(
    options: &Options,
    context: &Context,
    prepared: &Prepared<'_>,
    finished: &[Finished],
    engine: &str,
    checkout: &Path,
) -> Result<Published, CommandError> {
    let built: Vec<_> =
        finished.iter().filter_map(|done| Some((done, record(prepared, done, engine)?))).collect();
    if built.is_empty() {
        return Ok(Published::default());
    }
    let mut components: Vec<_> = built
        .iter()
        .map(|(done, record)| BilledComponent {
            component: record.component.clone(),
            kind: ComponentKind::Nixpack,
            image: Some(record.image.clone()),
            packages: done.packages.clone(),
            read_from: None,
        })
        .collect();
    // A build of selected images says nothing of other components.
    if options.component.is_empty() {
        let others = prepared.deployment.components.iter();
        let others = others.filter(|component| component.kind != ComponentKind::Nixpack);
        let reader = Reader { context, config: &prepared.project.config, checkout };
        let (deployment, config) = (&prepared.deployment, &prepared.project.config);
        let vendored = vendored_components(prepared.repository, config, deployment, &prepared.commit);
        let (elsewhere, others): (Vec<_>, Vec<_>) =
            others.partition(|component| vendored.contains(&component.name));
        for component in elsewhere {
            say_vendored(context, component);
        }
        components.extend(others.into_iter().filter_map(|component| reader.billed(component)));
    }
    let bill = Bill {
        deployment: &prepared.deployment.name,
        commit: &prepared.commit,
        generated_at: context.now(),
        components,
    };
    let bom = bill.to_bom();
    let summary = sbom::summarise(&bom);
    let repository = remote_address(prepared);
    let statements: Vec<_> = built
        .iter()
        .map(|(done, record)| {
            let job = prepared.jobs.iter().find(|job| job.component == record.component);
            let provenance = Provenance {
                record,
                repository: repository.as_deref(),
                source: job.map_or(".", |job| job.settings.source.as_str()),
                started_at: done.started_at,
            };
            let statement = statement(provenance).to_string();
            match &prepared.key {
                Some(key) => key.envelope(&statement).map(|envelope| envelope.to_string()),
                None => Ok(statement),
            }
        })
        .collect::<Result<_, _>>()
        .map_err(|error| {
            CommandError::new(Code::NotSigned, format!("provenance: {error}")).exits_with(exit::FAILED)
        })?;
    let notes = vec![
        sbom_edit(&prepared.deployment, prepared.commit.clone(), &bom),
        NoteEdit::lines(NoteNamespace::Provenance, prepared.commit.clone(), &statements),
    ];
    let builds = built.into_iter().map(|(_, record)| record).collect();
    prepared.ledger.publish(&prepared.deployment.name, &Publication { notes, builds })?;
    Ok(Published { sbom: Some((summary.components.len(), summary.dependencies.len())) })
}

/// The record of an image that was pushed.
fn record(prepared: &Prepared<'_>, done: &Finished, engine: &str) -> Option<BuildRecord> {
    let build = &done.build;
    let job = prepared.jobs.iter().find(|job| job.component == build.component)?;
    let image = build.image.clone().filter(|_| build.status == BuildStatus::Built)?;
    Some(BuildRecord {
        deployment: prepared.deployment.name.clone(),
        component: build.component.clone(),
        target: prepared.target.clone(),
        commit: prepared.commit.clone(),
        image,
        tag: Some(job.name.tag.clone()),
        inputs: job.inputs.clone(),
        builder: build.builder.clone(),
        engine: engine.to_owned(),
        built_by: prepared.run.actor.clone(),
        // In whole seconds, like all times of the ledger.
        timestamp: jiff::Timestamp::from_second(prepared.ledger.now().as_second()).unwrap_or_default(),
        run_id: prepared.run.id.clone(),
    })
}

/// The address of the repository that the source is in, without credentials.
fn remote_address(prepared: &Prepared<'_>) -> Option<String> {
    let remote = prepared.ledger.remote()?;
    let address = prepared.repository.git().verb("remote").args(["get-url", "--", remote]).run().ok()?;
    let address = redact_urls(String::from_utf8_lossy(&address).trim());
    Some(address.replace("***@", "")).filter(|address| !address.is_empty())
}
