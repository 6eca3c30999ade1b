//! The packages of components without an image, read from the files of a commit.

use std::path::{Path, PathBuf};

use super::prepare::environment;
use super::{Surroundings, syft_packages};
use crate::cancellation::Cancellation;
use crate::component::checkout::folder as folder_in;
use crate::component::{Environment, Masks, Stream};
use crate::config::AtmosConfig;
use crate::context::{Context, runtime};
use crate::deployment::{CommitId, Component, ComponentKind, ComponentName, Deployment};
use crate::error::CommandError;
use crate::git::Repository;
use crate::project::Project;
use crate::project::vendored::vendored_components;
use crate::sbom::{self, Bill, BilledComponent, Bom, Package, ReadError};

/// The checkout's folder in a temporary one.
const ROOT: &str = "checkout";

/// Reads components in a checkout of one commit.
pub struct Reader<'a> {
    pub context: &'a Context,
    pub config: &'a AtmosConfig,
    /// The root of the checkout.
    pub checkout: &'a Path,
}

/// The packages that were found, and the source that they were read from.
struct Found {
    packages: Vec<Package>,
    problems: Vec<ReadError>,
    read_from: &'static str,
}

impl Reader<'_> {
    /// The packages of a component; `None` where no file of the commit lists any.
    pub fn billed(&self, component: &Component) -> Option<BilledComponent> {
        let Found { packages, problems, read_from } = match component.kind {
            ComponentKind::Terraform => {
                let (packages, problems) =
                    sbom::modules_and_providers(self.checkout, &self.folder(component)?);
                Found { packages, problems, read_from: "its modules and its lock file" }
            }
            ComponentKind::Helmfile => {
                let (packages, problems) = sbom::charts(self.checkout, &self.folder(component)?);
                Found { packages, problems, read_from: "its releases and charts" }
            }
            ComponentKind::Command => self.command(component)?,
            ComponentKind::Nixpack => return None,
        };
        for problem in problems {
            self.context.warn(&format!("{}: {problem}", component.name));
        }
        Some(BilledComponent {
            component: component.name.clone(),
            kind: component.kind,
            image: None,
            packages,
            read_from: Some(read_from.to_owned()),
        })
    }

    fn folder(&self, component: &Component) -> Option<PathBuf> {
        let folder = Path::new(&self.config.components_directory(component.kind)).join(component.folder());
        folder_in(self.checkout, &folder).ok()
    }

    /// The packages of the application in the folder of a command; none are known without a lock
    /// file and a scanner. For a command that runs in the root of the repository, which is the
    /// folder of everything, only the lock files directly in it count.
    fn command(&self, component: &Component) -> Option<Found> {
        let settings = component.settings.command.as_ref()?;
        // A script that is called by its path is expected beside the application that it deploys.
        let script = settings.apply.first().filter(|program| program.contains('/'));
        let beside = script.and_then(|program| Path::new(program).parent());
        let folder = settings.working_directory.as_deref().map(Path::new).or(beside);
        let folder = folder_in(self.checkout, folder.unwrap_or(Path::new("."))).ok()?;
        if self.checkout.canonicalize().is_ok_and(|root| root == folder) {
            let (packages, problems) = sbom::folder_packages(&folder);
            let known = !packages.is_empty() || !problems.is_empty();
            return known.then_some(Found { packages, problems, read_from: "the lock files in the root" });
        }
        let (packages, problems) = sbom::application_packages(self.checkout, &folder);
        match self.scanned(component, &folder) {
            Some(packages) => Some(Found { packages, problems: Vec::new(), read_from: "syft" }),
            None if packages.is_empty() && problems.is_empty() => None,
            None => Some(Found { packages, problems, read_from: "its lock files" }),
        }
    }

    /// The packages that an installed `syft` finds in a folder, if it finds any.
    fn scanned(&self, component: &Component, folder: &Path) -> Option<Vec<Package>> {
        let environment: Environment = environment(self.context);
        let (log, cancellation) = (|_: Stream, _: &str| {}, Cancellation::never());
        let masks: &Masks = self.context.masks();
        let surroundings = Surroundings {
            environment: &environment,
            log: &log,
            masks,
            cancellation: &cancellation,
            on_step: &|_| {},
        };
        let runtime = runtime::on_this_thread().ok()?;
        match runtime.block_on(syft_packages(surroundings, None, folder))? {
            Ok(packages) => Some(packages).filter(|packages| !packages.is_empty()),
            Err(reason) => {
                let name = &component.name;
                self.context
                    .warn(&format!("{name}: lock files are read instead of what syft finds: {reason}"));
                None
            }
        }
    }
}

/// The SBOM of components by the files of a commit, and the components that no file describes.
pub fn derived(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    deployment: &Deployment,
    commit: &CommitId,
    open: Vec<&Component>,
) -> (Option<Bom>, Vec<ComponentName>) {
    let names = |components: Vec<&Component>| components.iter().map(|one| one.name.clone()).collect();
    if open.iter().all(|component| component.kind == ComponentKind::Nixpack) {
        return (None, names(open));
    }
    let checkout = match checked_out(repository, commit) {
        Ok(checkout) => checkout,
        Err(error) => {
            let message = error.shown().map_or_else(String::new, |error| error.message.clone());
            context.warn(&format!("the files of commit {} cannot be read: {message}", commit.short()));
            return (None, names(open));
        }
    };
    let root = checkout.path().join(ROOT);
    let reader = Reader { context, config: &project.config, checkout: &root };
    let (mut components, mut left) = (Vec::new(), Vec::new());
    let elsewhere = vendored_components(repository, &project.config, deployment, commit);
    for component in open {
        if elsewhere.contains(&component.name) {
            say_vendored(context, component);
            left.push(component.name.clone());
            continue;
        }
        match reader.billed(component) {
            Some(billed) => components.push(billed),
            None => left.push(component.name.clone()),
        }
    }
    if components.is_empty() {
        return (None, left);
    }
    let deployment = &deployment.name;
    let bill = Bill { deployment, commit, generated_at: context.now(), components };
    (Some(bill.to_bom()), left)
}

/// Warns that a component's code is not in the commit.
pub fn say_vendored(context: &Context, component: &Component) {
    context.warn(&format!(
        "{}: its code is vendored and is not part of this SBOM; the records of its rollouts say what it was",
        component.name
    ));
}

/// A checkout of the commit in a temporary folder, which is deleted on drop.
fn checked_out(repository: &Repository, commit: &CommitId) -> Result<tempfile::TempDir, CommandError> {
    let failed = |error: std::io::Error| CommandError::internal(format!("cannot make a checkout: {error}"));
    let folder = tempfile::tempdir().map_err(failed)?;
    let (root, index) = (folder.path().join(ROOT), folder.path().join("index"));
    std::fs::create_dir(&root).map_err(failed)?;
    repository.git().materialise(commit, &root, &index)?;
    Ok(folder)
}
