//! From the ledger to one document: the SBOMs of the commits that components sit at, the part of each that is about
//! these components.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::context::Context;
use crate::cli::error::{CommandError, exit};
use crate::deployment::{CommitId, ComponentName, Deployment, NoteNamespace, TargetName};
use crate::ledger::{Ledger, Scope};
use crate::render::document::error::Hint;
use crate::results::{self, ScanSummary};
use crate::sbom::{self, Bom};

/// What an SBOM is asked of: components, each at its commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::cli) struct Subject {
    pub(in crate::cli) target: Option<TargetName>,
    /// The components that are meant at each commit; all that its SBOM has where none is named.
    components: BTreeMap<CommitId, Option<BTreeSet<ComponentName>>>,
}

impl Subject {
    /// Everything at a commit.
    pub(in crate::cli) fn commit(commit: CommitId) -> Self {
        Self { target: None, components: BTreeMap::from([(commit, None)]) }
    }

    /// The commits, each once.
    pub(in crate::cli) fn commits(&self) -> Vec<CommitId> {
        self.components.keys().cloned().collect()
    }

    /// Only these components, where any are named.
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

/// What runs on a target: each component at its own commit.
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
        let message = format!("nothing of {} runs on {target}", deployment.name);
        return Err(CommandError::new(exit::USAGE, "nothing_deployed", message).hint(Hint::command(
            "To see what runs where",
            format!("atmos deployment status {}", deployment.name),
        )));
    }
    Ok(Subject { target: Some(target.clone()), components })
}

/// The document of a subject. Commits without one are told of; that none has one is an error.
pub(in crate::cli) fn load(
    context: &Context,
    ledger: &Ledger<'_>,
    deployment: &Deployment,
    subject: &Subject,
) -> Result<Bom, CommandError> {
    let commits = subject.components.keys().cloned().collect();
    let (notes, freshness) = ledger.notes_of(&deployment.name, NoteNamespace::Sbom, &commits)?;
    context.say_freshness(ledger, &freshness);
    let mut united: Option<Bom> = None;
    for (commit, wanted) in &subject.components {
        let Some(note) = notes.get(commit) else {
            if !notes.is_empty() {
                context.warn(&format!("commit {} has no SBOM", commit.short()));
            }
            continue;
        };
        let bom = parse(note, commit)?;
        let part = match wanted {
            Some(wanted) => part(deployment, &bom, wanted),
            None => bom,
        };
        united = Some(match united {
            Some(united) => sbom::unite(&united, &part),
            None => part,
        });
    }
    united.ok_or_else(|| no_sbom(deployment, subject))
}

/// Reads the note of a commit.
pub(in crate::cli) fn parse(note: &[u8], commit: &CommitId) -> Result<Bom, CommandError> {
    Bom::parse(note).map_err(|error| {
        let message = format!("the SBOM of commit {} cannot be read: {error}", commit.short());
        CommandError::new(exit::FAILED, "note_unreadable", message)
    })
}

/// The part of a document that is about some components. What is of no component of the deployment is about all.
fn part(deployment: &Deployment, bom: &Bom, wanted: &BTreeSet<ComponentName>) -> Bom {
    sbom::select(bom, |name| {
        let is_component = deployment.components.iter().any(|component| component.name.as_str() == name);
        !is_component || wanted.iter().any(|wanted| wanted.as_str() == name)
    })
}

fn no_sbom(deployment: &Deployment, subject: &Subject) -> CommandError {
    let commits: Vec<_> = subject.components.keys().map(|commit| commit.short().to_owned()).collect();
    let (name, of) = (&deployment.name, commits.join(", "));
    let target = subject.target.as_ref().or(deployment.context.default_target.as_ref());
    let target = target.or_else(|| deployment.targets.keys().next());
    let target = target.map_or_else(|| "<target>".to_owned(), ToString::to_string);
    let message = match commits.len() {
        0 => format!("{name} has no such component there"),
        _ => format!("there is no SBOM of {name} at commit {of}"),
    };
    CommandError::new(exit::FAILED, "no_sbom", message)
        .hint(Hint::command(
            "To build the commit that is checked out, with its SBOM",
            format!("atmos deployment build {name} --target {target}"),
        ))
        .hint(Hint::command(
            "To attach one that another tool wrote",
            format!("atmos deployment attach {name} sbom --file sbom.cdx.json"),
        ))
}

/// What scans have found in a subject; `None` where nothing of it was scanned.
pub(super) fn vulnerabilities(
    context: &Context,
    ledger: &Ledger<'_>,
    deployment: &Deployment,
    subject: &Subject,
) -> Result<Option<ScanSummary>, CommandError> {
    let commits = subject.components.keys().cloned().collect();
    let (notes, freshness) = ledger.notes_of(&deployment.name, NoteNamespace::ScanResults, &commits)?;
    if !matches!(freshness, crate::ledger::Freshness::Current) {
        context.say_warnings(ledger);
    }
    let found = subject.components.iter().filter_map(|(commit, wanted)| {
        results::vulnerabilities(notes.get(commit)?, |component| match (component, wanted) {
            (Some(component), Some(wanted)) => wanted.contains(component),
            // About the deployment as a whole, or everything is wanted.
            (None, _) | (_, None) => true,
        })
    });
    Ok(found.reduce(ScanSummary::and))
}
