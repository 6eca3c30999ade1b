//! Which dependencies a step of a target changes, as far as both sides have an SBOM.

use std::collections::{BTreeMap, BTreeSet};

use crate::ci::comment::DependencyChange;
use crate::cli::deployment::diff::Step;
use crate::deployment::{CommitId, ComponentName, DeploymentName, NoteNamespace};
use crate::ledger::Ledger;
use crate::sbom::{self, Bom, Dependency};

/// What components are made of, at each of the commits that steps are about.
pub(super) struct Boms(BTreeMap<CommitId, BTreeMap<String, Vec<Dependency>>>);

impl Boms {
    /// Reads what there is. The comment can do without: what cannot be read is only logged.
    pub(super) fn of<'s>(
        ledger: &Ledger<'_>,
        deployment: &DeploymentName,
        steps: impl Iterator<Item = &'s Step<'s>>,
    ) -> Self {
        let commits: BTreeSet<CommitId> =
            steps.flat_map(|step| step.from.values().chain(step.to.values())).cloned().collect();
        if commits.is_empty() {
            return Self(BTreeMap::new());
        }
        let notes = match ledger.notes_of(deployment, NoteNamespace::Sbom, &commits) {
            Ok((notes, _)) => notes,
            Err(error) => {
                tracing::warn!(%error, "no SBOM is compared");
                BTreeMap::new()
            }
        };
        let parse = |(commit, note): (CommitId, Vec<u8>)| match Bom::parse(&note) {
            Ok(bom) => {
                let components = sbom::summarise(&bom).components.into_iter();
                Some((commit, components.map(|one| (one.name, one.dependencies)).collect()))
            }
            Err(error) => {
                tracing::warn!(%error, %commit, "an SBOM cannot be read");
                None
            }
        };
        Self(notes.into_iter().filter_map(parse).collect())
    }

    /// What a step changes. A component without an SBOM of before or of after is left out: it would look as if
    /// everything were new, or gone.
    pub(super) fn changes(&self, step: &Step<'_>) -> Vec<DependencyChange> {
        let mut changes = Vec::new();
        for (component, commit) in &step.to {
            let before = step.from.get(component).and_then(|before| self.of_component(before, component));
            let (Some(from), Some(to)) = (before, self.of_component(commit, component)) else { continue };
            changes.extend(sbom::version_changes(from, to).into_iter().map(|change| DependencyChange {
                component: component.to_string(),
                name: change.name,
                from: change.from,
                to: change.to,
            }));
        }
        changes
    }

    /// What a component is made of; `None` where no SBOM says so.
    fn of_component(&self, commit: &CommitId, component: &ComponentName) -> Option<&[Dependency]> {
        self.0.get(commit)?.get(component.as_str()).map(Vec::as_slice)
    }
}
