//! The git note with the SBOM of a commit.

use crate::deployment::{CommitId, Deployment, NoteNamespace};
use crate::error::{Code, CommandError};
use crate::ledger::NoteEdit;
use crate::sbom::{self, Bom};

/// The edit that adds an SBOM to the note of a commit; in SPDX as well where the deployment asks
/// for it.
pub fn sbom_edit(deployment: &Deployment, commit: CommitId, bom: &Bom) -> NoteEdit {
    let wants_spdx = deployment.components.iter().any(|component| {
        let settings = component.settings.nixpack.as_ref();
        settings.is_some_and(|nixpack| nixpack.sbom_formats.iter().any(|format| format == "spdx-json"))
    });
    NoteEdit {
        namespace: NoteNamespace::Sbom,
        commit,
        content: bom.to_json().into_bytes(),
        merge: sbom::merge_notes,
        derived: wants_spdx.then_some((NoteNamespace::SbomSpdx, sbom::spdx_note as _)),
    }
}

/// Reads the SBOM in the note of a commit.
///
/// # Errors
///
/// Fails where the note cannot be parsed.
pub fn parse_sbom_note(note: &[u8], commit: &CommitId) -> Result<Bom, CommandError> {
    Bom::parse(note).map_err(|error| {
        let message = format!("the SBOM of commit {} cannot be read: {error}", commit.short());
        CommandError::new(Code::NoteUnreadable, message)
    })
}
