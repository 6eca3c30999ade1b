//! The changes of dependencies in a step of a target, where the SBOMs of both sides are known.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use crate::ci::comment::DependencyChange;
use crate::compare::Step;
use crate::deployment::{CommitId, ComponentName, NoteNamespace};
use crate::image::derived;
use crate::project::declared::CommitReader;
use crate::sbom::{self, Bom, SummaryComponent};

/// Components by their names in SBOMs.
type Components = BTreeMap<String, SummaryComponent>;

/// The SBOM summaries of components, at each commit of the steps: from the commit's note, else, for
/// a component without an image, from the commit's files.
pub struct Boms(BTreeMap<CommitId, Components>);

impl Boms {
    /// Reads the SBOMs of the steps. Read failures are only logged: the comment can do without.
    pub fn of<'s>(view: &View<'_, '_>, steps: impl Iterator<Item = &'s Step<'s>>) -> Self {
        let wanted = moved(steps);
        if wanted.is_empty() {
            return Self(BTreeMap::new());
        }
        let mut known = noted(view, &wanted.keys().cloned().collect());
        for (commit, components) in wanted {
            let here = known.entry(commit.clone()).or_default();
            let open = components.into_iter().filter(|name| !here.contains_key(name.as_str())).collect();
            if !here.contains_key(sbom::WHOLE) {
                here.extend(of_files(view, &commit, &open));
            }
        }
        Self(known)
    }

    /// The changed dependencies of a step. Leaves out a component with an unknown side, which would
    /// look as if everything were new or gone, and one whose sides were read differently.
    pub fn changes(&self, step: &Step<'_>) -> Vec<DependencyChange> {
        let mut changes = Vec::new();
        for (component, commit) in &step.to {
            let before = step.from.get(component).and_then(|before| self.of_component(before, component));
            let (Some(from), Some(to)) = (before, self.of_component(commit, component)) else { continue };
            if from.read_from != to.read_from {
                continue;
            }
            let versions = sbom::version_changes(&from.dependencies, &to.dependencies);
            changes.extend(versions.into_iter().map(|change| DependencyChange {
                component: component.to_string(),
                name: change.name,
                from: change.from,
                to: change.to,
            }));
        }
        changes
    }

    /// A component's dependencies; `None` where they are unknown.
    fn of_component(&self, commit: &CommitId, component: &ComponentName) -> Option<&SummaryComponent> {
        self.0.get(commit)?.get(component.as_str())
    }
}

/// The components that steps move to another commit, by each of their commits.
fn moved<'s>(steps: impl Iterator<Item = &'s Step<'s>>) -> BTreeMap<CommitId, BTreeSet<ComponentName>> {
    let mut wanted: BTreeMap<CommitId, BTreeSet<ComponentName>> = BTreeMap::new();
    for step in steps {
        for (component, to) in &step.to {
            let Some(from) = step.from.get(component).filter(|from| *from != to) else { continue };
            for commit in [from, to] {
                wanted.entry(commit.clone()).or_default().insert(component.clone());
            }
        }
    }
    wanted
}

/// The SBOMs in the notes of commits.
fn noted(view: &View<'_, '_>, commits: &BTreeSet<CommitId>) -> BTreeMap<CommitId, Components> {
    let notes = match view.ledger.notes_of(&view.deployment.name, NoteNamespace::Sbom, commits) {
        Ok((notes, _)) => notes,
        Err(error) => {
            tracing::warn!(%error, "no SBOM is compared");
            BTreeMap::new()
        }
    };
    let parse = |(commit, note): (CommitId, Vec<u8>)| match Bom::parse(&note) {
        Ok(bom) => Some((commit, by_name(&bom))),
        Err(error) => {
            tracing::warn!(%error, %commit, "an SBOM cannot be read");
            None
        }
    };
    notes.into_iter().filter_map(parse).collect()
}

/// The dependencies of these components, from the files of a commit.
fn of_files(view: &View<'_, '_>, commit: &CommitId, names: &BTreeSet<ComponentName>) -> Components {
    let View { context, repository, project, deployment, .. } = view;
    let reader = CommitReader::new(context, repository, project, &deployment.name);
    let Some(declared) = reader.declared(commit).ok().flatten() else { return Components::new() };
    let components = declared.deployment.components.iter();
    let open = components.filter(|component| names.contains(&component.name)).collect();
    let (bom, _) = derived(context, repository, project, deployment, commit, open);
    bom.as_ref().map(by_name).unwrap_or_default()
}

fn by_name(bom: &Bom) -> Components {
    let components = sbom::summarise(bom).components.into_iter();
    components.map(|component| (component.name.clone(), component)).collect()
}
