//! Loads one SBOM document from the ledger: merges the SBOMs of the components' commits, restricted
//! to these components.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Context;
use crate::deployment::names::ComponentReference;
use crate::deployment::{
    CommitId, Component, ComponentKind, ComponentName, Deployment, NoteNamespace, TargetName,
};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::image::{derived, parse_sbom_note};
use crate::ledger::{Ledger, Scope};
use crate::project::Project;
use crate::project::declared::CommitReader;
use crate::project::known::known_target;
use crate::project::ledger::refuse_unheard;
use crate::render::document::error::Hint;
use crate::sbom::{self, Bom};

/// The subject of an SBOM: components, each at its commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::cli) struct Subject {
    pub(in crate::cli) target: Option<TargetName>,
    /// The selected components at each commit; `None` for all that are in its SBOM.
    pub(super) components: BTreeMap<CommitId, Option<BTreeSet<ComponentName>>>,
}

impl Subject {
    /// All components at a commit.
    pub(in crate::cli) fn commit(commit: CommitId) -> Self {
        Self { target: None, components: BTreeMap::from([(commit, None)]) }
    }

    /// The commits, without duplicates.
    pub(in crate::cli) fn commits(&self) -> Vec<CommitId> {
        self.components.keys().cloned().collect()
    }

    /// The running component that a reference names, declared or not.
    pub(super) fn running(&self, reference: &ComponentReference) -> Option<&ComponentName> {
        self.components.values().flatten().flatten().find(|name| name.as_str() == reference.0)
    }

    /// Restricts the subject to these components, if any are named.
    pub(in crate::cli) fn restrict(&mut self, wanted: &[ComponentName]) {
        if wanted.is_empty() {
            return;
        }
        for components in self.components.values_mut() {
            let is_meant = |name: &&ComponentName| components.as_ref().is_none_or(|all| all.contains(*name));
            *components = Some(wanted.iter().filter(is_meant).cloned().collect());
        }
        self.components.retain(|_, components| components.as_ref().is_some_and(|names| !names.is_empty()));
    }
}

/// The running components of a target, each at its own commit.
pub(in crate::cli) fn subject_of_target(
    context: &Context,
    ledger: &Ledger<'_>,
    deployment: &Deployment,
    target: &TargetName,
) -> Result<Subject, CommandError> {
    let scope = Scope::Targets(deployment.name.clone(), vec![target.clone()]);
    let state = context.snapshot(ledger, &scope)?.into_deployment(&deployment.name);
    let mut components: BTreeMap<CommitId, Option<BTreeSet<ComponentName>>> = BTreeMap::new();
    let running = state.targets.get(target).into_iter().flat_map(|target| &target.components);
    for (name, state) in running {
        if let Some(commit) = &state.commit {
            components.entry(commit.clone()).or_default().get_or_insert_default().insert(name.clone());
        }
    }
    if components.is_empty() {
        // Undeclared components may still run.
        known_target(deployment, target)?;
        refuse_unheard(ledger, &scope, &state)?;
        let message = format!("nothing of {} runs on {target}", deployment.name);
        return Err(CommandError::new(Code::NothingDeployed, message).hint(Hint::command(
            "To see what runs where",
            format!("atmos deployment status {}", deployment.name),
        )));
    }
    Ok(Subject { target: Some(target.clone()), components })
}

/// The loaded SBOM of a subject.
pub(in crate::cli) struct Loaded {
    pub(in crate::cli) bom: Bom,
    /// The selected components.
    pub(in crate::cli) components: Vec<Component>,
    /// The components without any SBOM.
    pub(in crate::cli) missing: Vec<ComponentName>,
}

/// The document of a subject: the notes on its commits, and for components without an image and
/// without a note, an SBOM derived from their files. Fails where neither exists.
pub(in crate::cli) fn load(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    ledger: &Ledger<'_>,
    deployment: &Deployment,
    subject: &Subject,
) -> Result<Loaded, CommandError> {
    let commits = subject.components.keys().cloned().collect();
    let (notes, freshness) = ledger.notes_of(&deployment.name, NoteNamespace::Sbom, &commits)?;
    context.say_freshness(ledger, &freshness);
    let declared = CommitReader::new(context, repository, project, &deployment.name);
    let mut merged: Option<Bom> = None;
    let mut loaded_components = Vec::new();
    let mut missing = Vec::new();
    for (commit, wanted) in &subject.components {
        // The fallback for a deployment that its commit does not declare is the declaration here.
        let at_commit = declared.declared(commit).ok().flatten();
        let at_commit = at_commit.as_ref().map_or(deployment, |declared| &*declared.deployment);
        let is_wanted =
            |component: &&Component| wanted.as_ref().is_none_or(|names| names.contains(&component.name));
        let components: Vec<_> = at_commit.components.iter().filter(is_wanted).collect();
        let attached =
            notes.get(commit).map(|note| parse_sbom_note(note, commit)).transpose()?.map(
                |bom| match wanted {
                    Some(wanted) => part([deployment, at_commit], &bom, wanted),
                    None => bom,
                },
            );
        let listed: BTreeSet<String> = attached
            .iter()
            .flat_map(|bom| sbom::summarise(bom).components)
            .map(|component| component.name)
            .collect();
        let is_listed = |component: &&&Component| {
            listed.contains(component.name.as_str()) || listed.contains(sbom::WHOLE)
        };
        let open: Vec<_> = components.iter().filter(|component| !is_listed(component)).copied().collect();
        let (derived, left) = derived(context, repository, project, at_commit, commit, open);
        loaded_components.extend(components.into_iter().cloned());
        missing.extend(left);
        for part in attached.into_iter().chain(derived) {
            merged = Some(match merged {
                Some(merged) => sbom::merge(&merged, &part),
                None => part,
            });
        }
    }
    missing.sort();
    missing.dedup();
    let bom = merged.ok_or_else(|| no_sbom(deployment, subject, &loaded_components))?;
    Ok(Loaded { bom, components: loaded_components, missing })
}

/// The part of a document that is about some components. Entries of no declared component are about
/// all.
fn part(declared: [&Deployment; 2], bom: &Bom, wanted: &BTreeSet<ComponentName>) -> Bom {
    sbom::select(bom, |name| {
        let mut components = declared.into_iter().flat_map(|deployment| &deployment.components);
        let is_component = components.any(|component| component.name.as_str() == name);
        !is_component || wanted.iter().any(|wanted| wanted.as_str() == name)
    })
}

fn no_sbom(deployment: &Deployment, subject: &Subject, components: &[Component]) -> CommandError {
    let commits: Vec<_> = subject.components.keys().map(|commit| commit.short().to_owned()).collect();
    let (name, of) = (&deployment.name, commits.join(", "));
    let target = subject.target.as_ref().or(deployment.context.default_target.as_ref());
    let target = target.or_else(|| deployment.targets.keys().next());
    let target = target.map_or_else(|| "<target>".to_owned(), ToString::to_string);
    let message = match commits.len() {
        0 => format!("{name} has no such component there"),
        1 => format!("there is no SBOM of {name} at commit {of}"),
        _ => format!("there is no SBOM of {name} at the commits {of}"),
    };
    let error = CommandError::new(Code::NoSbom, message);
    let has_images = components.iter().any(|component| component.kind == ComponentKind::Nixpack);
    if deployment.targets.is_empty() && deployment.components.is_empty() {
        let status = format!("atmos deployment status {name}");
        let note = if subject.target.is_some() {
            format!("{name} has no file any more, and nothing was noted of its components")
        } else {
            format!("{name} has no file any more: name a target on which it runs")
        };
        return error.hint(Hint::note(note)).hint(Hint::command("To see what runs where", status));
    }
    let error = if has_images {
        error.hint(Hint::command(
            "To build the commit that is checked out, with its SBOM",
            format!("atmos deployment build {name} --target {target}"),
        ))
    } else {
        error.hint(Hint::note("Its components have no images, and no lock files that are known"))
    };
    error.hint(Hint::command(
        "To attach one that another tool wrote",
        format!("atmos deployment attach {name} sbom --file sbom.cdx.json"),
    ))
}
