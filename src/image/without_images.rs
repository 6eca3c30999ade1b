//! The build of a deployment without images: nothing is built, and the SBOM of its components is
//! noted all the same.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Options;
use super::other_components::derived;
use super::prepare::Prepared;
use super::publish::Published;
use super::run::Acted;
use super::sbom_note::sbom_edit;
use crate::context::Context;
use crate::deployment::NoteNamespace;
use crate::error::CommandError;
use crate::ledger::Publication;
use crate::sbom::{self, Bom};

/// Reports that there is nothing to build. This is no failure, so that a pipeline can build every
/// deployment by one command.
pub fn note_components(
    options: &Options,
    context: &Context,
    prepared: &Prepared<'_>,
) -> Result<Acted, CommandError> {
    let began = Instant::now();
    let name = &prepared.deployment.name;
    context.streams().note(&format!("{name} has no nixpack components: there is nothing to build\n"));
    let published =
        if options.plan || options.skip_push { Published::default() } else { note_sbom(context, prepared)? };
    Ok(Acted { builds: Vec::new(), published, duration: began.elapsed() })
}

/// Notes the SBOM that the commit's files give. An SBOM that is noted already is not added again.
fn note_sbom(context: &Context, prepared: &Prepared<'_>) -> Result<Published, CommandError> {
    let Prepared { repository, project, ledger, deployment, commit, .. } = prepared;
    let components = deployment.components.iter().collect();
    let (bom, left) = derived(context, repository, project, deployment, commit, components);
    if !left.is_empty() {
        let names: Vec<_> = left.iter().map(AsRef::as_ref).collect();
        context.streams().note(&format!("Nothing says what these are made of: {}\n", names.join(", ")));
    }
    let Some(bom) = bom else { return Ok(Published::default()) };
    let summary = sbom::summarise(&bom);
    if !is_noted(prepared, &bom)? {
        let notes = vec![sbom_edit(deployment, commit.clone(), &bom)];
        ledger.publish(&deployment.name, &Publication { notes, builds: Vec::new() })?;
    }
    Ok(Published { sbom: Some((summary.components.len(), summary.dependencies.len())) })
}

/// Whether the note of the commit has the same SBOM of these components. False for a note that
/// cannot be parsed.
fn is_noted(prepared: &Prepared<'_>, bom: &Bom) -> Result<bool, CommandError> {
    let Prepared { ledger, deployment, commit, .. } = prepared;
    let commits = BTreeSet::from([commit.clone()]);
    let (found, _) = ledger.notes_of(&deployment.name, NoteNamespace::Sbom, &commits)?;
    let Some(Ok(before)) = found.get(commit).map(|note| Bom::parse(note)) else { return Ok(false) };
    let known = sbom::summarise(&before).components;
    Ok(sbom::summarise(bom).components.iter().all(|component| known.contains(component)))
}
