//! The findings of scans in the subject of an SBOM, and their coverage.

use std::collections::BTreeSet;

use super::load::Subject;
use crate::context::Context;
use crate::deployment::{Component, ComponentKind, ComponentName, Deployment, NoteNamespace};
use crate::error::CommandError;
use crate::ledger::{Freshness, Ledger};
use crate::render::document::sbom::{ScanCoverage, Vulnerabilities};
use crate::results::{self, Scanned};

/// The vulnerabilities that scans found in a subject; `None` where none of it was scanned.
pub(super) fn vulnerabilities(
    context: &Context,
    ledger: &Ledger<'_>,
    deployment: &Deployment,
    subject: &Subject,
    components: &[Component],
) -> Result<Option<Vulnerabilities>, CommandError> {
    let commits = subject.components.keys().cloned().collect();
    let (notes, freshness) = ledger.notes_of(&deployment.name, NoteNamespace::ScanResults, &commits)?;
    if !matches!(freshness, Freshness::Current) {
        context.say_warnings(ledger);
    }
    let mut is_whole = true;
    let mut scanned: Option<Scanned> = None;
    for (commit, wanted) in &subject.components {
        let found = notes.get(commit).and_then(|note| {
            results::vulnerabilities(note, |component| match (component, wanted) {
                (Some(component), Some(wanted)) => wanted.contains(component),
                // The scan is of the whole deployment, or all components are selected.
                (None, _) | (_, None) => true,
            })
        });
        is_whole &= found.as_ref().is_some_and(|found| found.whole);
        scanned = match (scanned, found) {
            (Some(scanned), Some(found)) => Some(scanned.and(found)),
            (scanned, found) => scanned.or(found),
        };
    }
    let coverage =
        |scanned: &Scanned| if is_whole { None } else { coverage(components, &scanned.components) };
    Ok(scanned.map(|scanned| Vulnerabilities { coverage: coverage(&scanned), found: scanned.found }))
}

/// The scanned components; `None` where all were scanned. Where there are images, only these count.
fn coverage(components: &[Component], scanned: &BTreeSet<ComponentName>) -> Option<ScanCoverage> {
    let images = components.iter().any(|component| component.kind == ComponentKind::Nixpack);
    let counted = components.iter().filter(|component| !images || component.kind == ComponentKind::Nixpack);
    let names: BTreeSet<_> = counted.map(|component| component.name.clone()).collect();
    let (scanned, unscanned): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| scanned.contains(name));
    (!unscanned.is_empty()).then_some(ScanCoverage { images, scanned, unscanned })
}
