//! The digests of a rollout: of each component's inputs, gathered from its commit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::sensitive::declared_sensitive;
use crate::config::AtmosConfig;
use crate::deployment::digest::{
    Configuration, Digest, DigestAction, DigestInput, UNBUILT, artifacts, component_digest, content_digest,
    plan_digest,
};
use crate::deployment::overrides::{ContextOverrides, OverriddenComponent, Sensitive, SensitiveVariables};
use crate::deployment::resolution::{Resolution, Resolved};
use crate::deployment::stack_layer::{NoStacks, StackLayers};
use crate::deployment::{
    CommitId, Component, ComponentKind, ComponentName, Deployment, DeploymentName, Target, TargetName,
};
use crate::error::CommandError;
use crate::git::objects::{EntryKind, ObjectError};
use crate::git::{CommitTree, Repository};
use crate::project::stacks::{CommitFiles, StacksByReference};
use crate::project::vendored::{Vendored, VendoredCommit, VendoredCommits};

/// The depth to which lock files are searched below a component's folder.
const MAX_DEPTH: usize = 8;

/// The inputs of digests.
#[derive(Clone, Copy)]
pub(super) struct DigestBasis<'a> {
    pub(super) repository: &'a Repository,
    pub(super) config: &'a AtmosConfig,
    pub(super) deployment: &'a DeploymentName,
    pub(super) target: &'a TargetName,
    /// The deployment as each commit of the plan declares it.
    pub(super) definitions: &'a BTreeMap<CommitId, Deployment>,
    /// The components of the rollout with their commits.
    pub(super) components: &'a [(ComponentName, CommitId)],
    pub(super) action: &'a DigestAction,
    /// The known images, by component; independent of the selected components.
    pub(super) images: &'a BTreeMap<String, String>,
    pub(super) overrides: &'a ContextOverrides,
    /// Whether `deployments.ledger.redact` names this variable.
    pub(super) redacted: &'a dyn Fn(&str) -> bool,
    /// The digest of the target's promotion rules.
    pub(super) promotion: &'a str,
    /// The vendored folders of the commits.
    pub(super) vendored: &'a VendoredCommits,
}

/// The digests of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Digests {
    pub(super) components: BTreeMap<ComponentName, ComponentDigest>,
    pub(super) plan: Digest,
    /// The components with unbuilt images. With any, the plan can be neither
    /// approved nor run by its digest.
    pub(super) unbuilt: Vec<ComponentName>,
    /// The terraform components without a lock file for their providers.
    pub(super) without_lock_file: Vec<ComponentName>,
}

/// The digest of a component, and its inputs for the record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ComponentDigest {
    pub(super) digest: Digest,
    pub(super) artifacts: BTreeMap<String, String>,
    pub(super) sources: BTreeMap<String, String>,
    pub(super) context_overrides: BTreeMap<String, String>,
    pub(super) workspace: Option<String>,
    pub(super) stack: Option<String>,
    /// The location of its terraform state.
    pub(super) state: Option<String>,
}

impl Digests {
    /// Empty digests.
    pub(super) fn none() -> Self {
        let components = BTreeMap::new();
        let plan = plan_digest(&BTreeMap::new());
        Self { components, plan, unbuilt: Vec::new(), without_lock_file: Vec::new() }
    }
}

impl DigestBasis<'_> {
    /// Computes the digests. Invariant: they depend on neither the environment, the working tree,
    /// the clock nor any other system.
    pub(super) fn digests(&self) -> Result<Digests, CommandError> {
        let stacks = self.stacks()?;
        let mut digests = BTreeMap::new();
        let (mut unbuilt, mut without_lock_file) = (BTreeSet::new(), Vec::new());
        for (name, commit) in self.components {
            let Some(subject) = self.subject(name, commit) else { continue };
            let stacks = stacks.get(commit).map_or(&NoStacks as &dyn StackLayers, |stacks| stacks);
            let Digested { component, lacks_lock_file } = subject.digested(self, stacks)?;
            if lacks_lock_file {
                without_lock_file.push(name.clone());
            }
            let missing = component.artifacts.iter().filter(|(_, image)| *image == UNBUILT);
            unbuilt.extend(missing.filter_map(|(built, _)| built.parse().ok()));
            digests.insert(name.clone(), component);
        }
        let of_components =
            digests.iter().map(|(name, component)| (name.clone(), component.digest.clone())).collect();
        Ok(Digests {
            plan: plan_digest(&of_components),
            components: digests,
            unbuilt: unbuilt.into_iter().collect(),
            without_lock_file,
        })
    }

    /// The stacks of each commit whose deployment has any.
    fn stacks(&self) -> Result<BTreeMap<&CommitId, StacksByReference>, CommandError> {
        let importing = self.definitions.iter().filter(|(_, deployment)| deployment.has_stacks());
        importing
            .map(|(commit, _)| {
                let files = CommitFiles::new(self.repository, commit.clone())?;
                Ok((commit, StacksByReference::new(files, self.config)))
            })
            .collect()
    }

    fn subject<'s>(&'s self, name: &ComponentName, commit: &'s CommitId) -> Option<Subject<'s>> {
        let deployment = self.definitions.get(commit)?;
        let component = deployment.component(name)?;
        Some(Subject { commit, deployment, component, target: deployment.targets.get(self.target)? })
    }
}

/// A component with its commit's definition.
#[derive(Clone, Copy)]
struct Subject<'a> {
    commit: &'a CommitId,
    deployment: &'a Deployment,
    component: &'a Component,
    target: &'a Target,
}

/// A component's configuration and the location of its code.
struct Configured {
    json: Value,
    folder: Option<String>,
}

/// A component's digest, and whether its providers are not locked.
struct Digested {
    component: ComponentDigest,
    lacks_lock_file: bool,
}

impl Subject<'_> {
    fn digested(&self, basis: &DigestBasis<'_>, stacks: &dyn StackLayers) -> Result<Digested, CommandError> {
        let resolved = self.resolved(stacks)?;
        let kind = self.component.kind;
        let Configured { json: configuration, folder } = self.configuration(basis.config, &resolved);
        let typed: Value = basis.overrides.iter().map(|(_, text)| Value::from(text)).collect();
        let artifacts = artifacts(self.deployment, self.component, &[&configuration, &typed], basis.images);
        let nothing = Vendored::default();
        let vendored = basis.vendored.get(self.commit).map_or(&nothing, |vendored| vendored);
        let commit = CommitTree::new(basis.repository, self.commit.clone())?;
        let files = VendoredCommit { commit, vendored };
        let mut sources = match &folder {
            Some(folder) => lock_files(&files, folder, kind)?,
            None => BTreeMap::new(),
        };
        let lacks_lock_file = kind == ComponentKind::Terraform && sources.is_empty();
        sources.extend(folder.iter().flat_map(|folder| vendored.sources(folder)));
        let context_overrides = basis.overrides.recorded(
            OverriddenComponent {
                deployment: basis.deployment,
                target: basis.target,
                component: &self.component.name,
                commit: self.commit,
            },
            Sensitive {
                redacted: basis.redacted,
                variables: &self.sensitive_variables(basis, &files, folder.as_deref())?,
            },
        );
        let input = DigestInput {
            deployment: basis.deployment.clone(),
            target: basis.target.clone(),
            name: self.component.name.clone(),
            kind,
            action: basis.action.clone(),
            commit: self.commit.clone(),
            artifacts,
            sources,
            context_overrides,
            configuration,
            promotion: basis.promotion.to_owned(),
        };
        let digest = component_digest(&input);
        let DigestInput { artifacts, sources, context_overrides, .. } = input;
        let (workspace, stack, state) = resolved.stack.map_or((None, None, None), |layer| {
            (layer.workspace, Some(layer.stack), layer.state.map(|state| state.words()))
        });
        Ok(Digested {
            lacks_lock_file,
            component: ComponentDigest {
                digest,
                artifacts,
                sources,
                context_overrides,
                workspace,
                stack,
                state,
            },
        })
    }

    /// The component with run-time templates left unrendered, and without overrides and images,
    /// which are separate parts of the digest.
    fn resolved(&self, stacks: &dyn StackLayers) -> Result<Resolved, CommandError> {
        let resolution = Resolution::as_declared(self.deployment, self.component, self.target, stacks);
        resolution.resolve().map_err(|error| {
            CommandError::from(error).details([format!("in commit {}", self.commit.short())])
        })
    }

    fn configuration(&self, config: &AtmosConfig, resolved: &Resolved) -> Configured {
        let kind = self.component.kind;
        let stack = resolved.stack.as_ref();
        let has_folder = matches!(kind, ComponentKind::Terraform | ComponentKind::Helmfile);
        let folder = has_folder.then(|| {
            let name = stack.map_or(self.component.folder(), |stack| stack.folder.as_str());
            format!("{}/{name}", config.components_directory(kind))
        });
        let program = stack.and_then(|stack| stack.program.as_deref());
        let configuration = Configuration {
            component: self.component,
            target: self.target,
            vars: &resolved.variables.values,
            folder: folder.as_deref(),
            program: has_folder.then(|| program.unwrap_or(config.command(kind))),
            stack,
        };
        Configured { json: configuration.to_json(), folder }
    }

    /// The variables that the component's module declares sensitive, where anything is overridden.
    fn sensitive_variables(
        &self,
        basis: &DigestBasis<'_>,
        files: &VendoredCommit<'_>,
        folder: Option<&str>,
    ) -> Result<SensitiveVariables, ObjectError> {
        match folder {
            Some(folder)
                if self.component.kind == ComponentKind::Terraform && !basis.overrides.is_empty() =>
            {
                declared_sensitive(files, folder)
            }
            _ => Ok(SensitiveVariables::none()),
        }
    }
}

/// The lock files of a component with the digests of their contents: `.terraform.lock.hcl` in the
/// folder of a terraform component; `helmfile.lock` and those of charts in and below that of a
/// helmfile component.
fn lock_files(
    files: &VendoredCommit<'_>,
    folder: &str,
    kind: ComponentKind,
) -> Result<BTreeMap<String, String>, ObjectError> {
    let (names, depth): (&[&str], _) = match kind {
        ComponentKind::Terraform => (&[".terraform.lock.hcl"], 0),
        ComponentKind::Helmfile => (&["helmfile.lock", "Chart.lock"], MAX_DEPTH),
        ComponentKind::Command | ComponentKind::Nixpack => (&[], 0),
    };
    let mut found = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, level)) = folders.pop() {
        for (name, entry) in files.list_directory(&folder)?.into_iter().flatten() {
            let path = format!("{folder}/{name}");
            match entry {
                EntryKind::Directory if level < depth => folders.push((path, level + 1)),
                EntryKind::File if names.contains(&name.as_str()) => {
                    let content = files.read_file(&path)?.unwrap_or_default();
                    found.insert(path, content_digest(&content));
                }
                EntryKind::Directory | EntryKind::File => {}
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
