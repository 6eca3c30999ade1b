//! The declared sources of a deployment's components in the checkout.

use super::{Fetch, Vendored, VendoredFolder, cache, pull};
use crate::config::join_path;
use crate::context::Context;
use crate::deployment::names::ComponentReference;
use crate::deployment::{ComponentName, Deployment, DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::project::Project;
use crate::project::known::{known_component, known_target};
use crate::render::document::vendor::{VendorStatus, VendoredSource, VendoredState};
use crate::vendor::{Declarations, Declared, LOCK_FILE, LockFile, LockRow};

/// The sources to show or to pull.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Every target where absent.
    pub target: Option<&'a TargetName>,
    /// Every component where empty.
    pub components: &'a [ComponentReference],
    pub fetch: Fetch,
    pub lock: Locking,
}

/// The use of the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// Its rows count, and it is updated where it exists.
    Obeyed,
    /// It is written where it does not exist.
    Written,
    /// Every version must be in it.
    Required,
}

/// The sources of a deployment's components on its targets.
///
/// # Errors
///
/// Fails for wrong declarations, and where a source cannot be fetched.
pub fn vendored_sources(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    name: &DeploymentName,
    wanted: Wanted<'_>,
) -> Result<VendorStatus, CommandError> {
    let deployment = project.deployment(context, name)?;
    sources_of(context, repository, project, &deployment, wanted)
}

/// The sources of the components of a deployment that was loaded.
///
/// # Errors
///
/// As [`vendored_sources`].
pub fn sources_of(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    deployment: &Deployment,
    wanted: Wanted<'_>,
) -> Result<VendorStatus, CommandError> {
    let name = &deployment.name;
    if let Some(target) = wanted.target {
        known_target(deployment, target)?;
    }
    let chosen = wanted
        .components
        .iter()
        .map(|reference| known_component(deployment, reference).map(|component| component.name.clone()))
        .collect::<Result<Vec<ComponentName>, _>>()?;
    let stacks = project.stacks(repository)?;
    let mut status = VendorStatus { deployment: name.clone(), sources: Vec::new() };
    let is_wanted = |target: &&TargetName| wanted.target.is_none_or(|only| only == *target);
    for target in deployment.targets.keys().filter(is_wanted) {
        let declarations = Declarations {
            source: &*project.source,
            config: &project.config,
            deployment,
            target: &deployment.targets[target],
            stacks: &stacks,
        };
        let components = deployment.components.iter();
        let declared = declarations
            .of(components.filter(|component| chosen.is_empty() || chosen.contains(&component.name)))?;
        if declared.is_empty() {
            continue;
        }
        let commit = repository.head()?;
        if wanted.lock == Locking::Required {
            declared.values().try_for_each(Declared::insist_on_lock)?;
        }
        let vendored = pull(context, repository, &commit, declared, wanted.fetch)?;
        if wanted.fetch != Fetch::Never && wanted.lock != Locking::Required {
            write_lock(context, repository, project, name, target, &vendored, wanted.lock)?;
        }
        status.sources.extend(vendored.folders.into_values().map(|folder| shown(target, folder)));
    }
    Ok(status)
}

/// Writes what was pulled into the lock file of the checkout.
fn write_lock(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    name: &DeploymentName,
    target: &TargetName,
    vendored: &Vendored,
    locking: Locking,
) -> Result<(), CommandError> {
    let Some(root) = repository.work_tree() else { return Ok(()) };
    let file = join_path([project.config.deployments_directory().as_str(), LOCK_FILE]);
    let path = root.join(&file);
    let failed =
        |error: std::io::Error| CommandError::new(Code::Files, format!("cannot write {file}: {error}"));
    let text = cache(context, repository).locked("lock-file", || {
        let known = match std::fs::read(&path) {
            Ok(text) => Some(LockFile::parse(&file, &text)?),
            Err(_) => None,
        };
        if known.is_none() && locking != Locking::Written {
            return Ok(None);
        }
        let mut lock = known.clone().unwrap_or_default();
        let pulled = vendored.folders.iter().filter_map(|(folder, found)| {
            let pulled = found.pulled.as_ref()?;
            let row = LockRow {
                source: found.declared.key(),
                version: found.declared.version()?.to_owned(),
                resolved: pulled.version.clone(),
                commit: pulled.commit.to_string(),
                digest: pulled.object.digest.clone(),
            };
            Some((folder.clone(), row))
        });
        lock.set(name, target, pulled);
        if known.as_ref() == Some(&lock) { Ok(None) } else { lock.text(&file).map(Some) }
    })?;
    let Some(text) = text else { return Ok(()) };
    // Replaced at once: a killed process leaves the old file.
    let folder = path.parent().unwrap_or(root);
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut temporary, text.as_bytes()).map_err(failed)?;
    let plain = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    temporary.as_file().set_permissions(plain).map_err(failed)?;
    temporary.persist(&path).map(|_| ()).map_err(|error| failed(error.error))
}

fn shown(target: &TargetName, folder: VendoredFolder) -> VendoredSource {
    let VendoredFolder { declared, pulled } = folder;
    VendoredSource {
        target: target.clone(),
        source: declared.key(),
        version: declared.version().map(str::to_owned),
        declared_by: declared.origin.as_str().to_owned(),
        locked: declared.locked.is_some(),
        state: match &pulled {
            None => VendoredState::Missing,
            Some(pulled) if pulled.is_new => VendoredState::Fetched,
            Some(_) => VendoredState::Cached,
        },
        resolved: pulled.as_ref().map(|pulled| pulled.version.clone()),
        commit: pulled.as_ref().map(|pulled| pulled.commit.clone()),
        digest: pulled.map(|pulled| pulled.object.digest),
        components: declared.components,
        folder: declared.folder,
        declared_at: declared.at,
    }
}
