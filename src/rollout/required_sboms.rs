//! Images that must not be deployed without an SBOM (`settings.nixpack.sbom.require`).

use std::collections::{BTreeMap, BTreeSet};

use super::command::RolloutCommand;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::{CommitId, Deployment, NoteNamespace};
use crate::error::{Code, CommandError};
use crate::image::parse_sbom_note;
use crate::render::document::error::Hint;
use crate::sbom::{self, Bom};

impl RolloutCommand<'_, '_> {
    /// Refuses a rollout of images that need an SBOM and have none on their commit.
    pub(super) fn check_sboms(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Result<(), CommandError> {
        let needs_one = |planned: &&ComponentPlan| {
            let deployment = definitions.get(&planned.commit);
            let component = deployment.and_then(|deployment| deployment.component(&planned.component));
            component
                .and_then(|component| component.settings.nixpack.as_ref())
                .is_some_and(|settings| settings.sbom_required)
        };
        let needed: Vec<_> = plan.components.iter().filter(needs_one).collect();
        if needed.is_empty() {
            return Ok(());
        }
        let commits: BTreeSet<_> = needed.iter().map(|planned| planned.commit.clone()).collect();
        let ledger = &self.prepared.ledger;
        let (notes, freshness) = ledger.notes_of(&plan.deployment, NoteNamespace::Sbom, &commits)?;
        self.context.say_freshness(ledger, &freshness);
        let mut missing = Vec::new();
        for planned in needed {
            let is_there = match notes.get(&planned.commit) {
                Some(note) => lists(&parse_sbom_note(note, &planned.commit)?, planned),
                None => false,
            };
            if !is_there {
                missing.push(format!("{} at commit {}", planned.component, planned.commit.short()));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (deployment, target) = (&plan.deployment, &plan.target);
        let message = format!("{deployment} to {target} needs an SBOM of every image that requires one");
        Err(CommandError::new(Code::SbomMissing, message)
            .details(missing)
            .hint(Hint::command(
                "To build what is checked out, with its SBOM",
                format!("atmos deployment build {deployment} --target {target}"),
            ))
            .hint(Hint::command(
                "To attach one that another tool wrote",
                format!(
                    "atmos deployment attach {deployment} sbom --component <component> --file sbom.cdx.json"
                ),
            )))
    }
}

/// Whether a commit's SBOM contains a component.
fn lists(bom: &Bom, planned: &ComponentPlan) -> bool {
    sbom::summarise(bom).components.iter().any(|listed| listed.name == planned.component.as_str())
}
