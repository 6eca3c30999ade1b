//! The source of each component on a target, from all places where one can be declared.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use super::address::{Address, Written};
use super::content::Selection;
use super::declared::{Declared, Origin};
use super::error::VendorError;
use super::lock::{LOCK_FILE, LockFile};
use super::manifest::{entries, filled_in, of_component};
use super::version::Wish;
use crate::config::{AtmosConfig, MAX_FILE_BYTES, Source, join_path};
use crate::deployment::resolution::Resolution;
use crate::deployment::stack_layer::{Deployable, StackLayers};
use crate::deployment::vendoring::{VendorEntry, VendorSection};
use crate::deployment::{Component, ComponentKind, ComponentName, Deployment, Target};

/// The names of the repository's own manifest.
const MANIFESTS: [&str; 2] = ["vendor.yaml", "vendor.yml"];

/// The declarations of a commit, or of the checkout.
pub struct Declarations<'a> {
    pub source: &'a dyn Source,
    pub config: &'a AtmosConfig,
    pub deployment: &'a Deployment,
    pub target: &'a Target,
    pub stacks: &'a dyn StackLayers,
}

/// Entries that are read once.
#[derive(Default)]
pub(super) struct Read {
    manifest: OnceCell<Vec<VendorEntry>>,
    repository: OnceCell<Vec<VendorEntry>>,
    /// The folders of components.
    folders: RefCell<BTreeMap<ComponentName, Option<String>>>,
}

impl Declarations<'_> {
    /// The declared sources of these components, by folder. Components whose code the commit has
    /// are left out, unless the deployment itself names a source for them.
    ///
    /// # Errors
    ///
    /// Fails for declarations that are wrong, contradict each other, or are not acted on.
    pub fn of<'c>(
        &self,
        components: impl IntoIterator<Item = &'c Component>,
    ) -> Result<BTreeMap<String, Declared>, VendorError> {
        let read = Read::default();
        self.check_names(&read)?;
        let mut declared: BTreeMap<String, Declared> = BTreeMap::new();
        for component in components {
            let Some(below) = self.folder(component, &read) else { continue };
            let folder = join_path([self.config.components_directory(component.kind).as_str(), &below]);
            let Some(one) = self.declared(component, &below, &folder, &read)? else { continue };
            if let Some(known) = declared.get_mut(&folder) {
                if !known.is_same_source(&one) {
                    return Err(conflict(&folder, known, &one));
                }
                known.components.push(component.name.clone());
            } else {
                declared.insert(folder, one);
            }
        }
        self.lock(&mut declared)?;
        Ok(declared)
    }

    /// Adds the rows of the lock file.
    fn lock(&self, declared: &mut BTreeMap<String, Declared>) -> Result<(), VendorError> {
        if declared.values().all(|declared| declared.wish.is_none()) {
            return Ok(());
        }
        let file = join_path([self.config.deployments_directory().as_str(), LOCK_FILE]);
        let text = self
            .source
            .read(&file, MAX_FILE_BYTES)
            .map_err(|error| VendorError::Manifest { file: file.clone(), message: error.to_string() })?;
        let Some(text) = text else { return Ok(()) };
        let lock = LockFile::parse(&file, &text)?;
        for declared in declared.values_mut() {
            declared.locked = {
                let rows = (&self.deployment.name, &self.target.name);
                declared
                    .version()
                    .and_then(|version| lock.row(rows, &declared.folder, &declared.key(), version))
                    .cloned()
            };
        }
        Ok(())
    }

    /// The folder of a component below the base path of its kind; `None` for components without a
    /// folder of code, or that are not rolled out.
    pub(super) fn folder(&self, component: &Component, read: &Read) -> Option<String> {
        if !matches!(component.kind, ComponentKind::Terraform | ComponentKind::Helmfile) {
            return None;
        }
        if let Some(known) = read.folders.borrow().get(&component.name) {
            return known.clone();
        }
        let folder = self.resolved_folder(component);
        read.folders.borrow_mut().insert(component.name.clone(), folder.clone());
        folder
    }

    fn resolved_folder(&self, component: &Component) -> Option<String> {
        let resolution = Resolution::as_declared(self.deployment, component, self.target, self.stacks);
        // Stacks that cannot be resolved are refused elsewhere.
        let layer = resolution.resolve().ok().and_then(|resolved| resolved.stack);
        match layer {
            Some(layer) if layer.deployable != Deployable::Yes => None,
            Some(layer) => Some(layer.folder),
            None => Some(component.folder().to_owned()),
        }
    }

    pub(super) fn section(&self) -> VendorSection {
        self.deployment.vendor.clone().unwrap_or_default()
    }

    fn declared(
        &self,
        component: &Component,
        below: &str,
        folder: &str,
        read: &Read,
    ) -> Result<Option<Declared>, VendorError> {
        let section = self.section();
        let chosen = |entries: &[VendorEntry], origin| -> Result<Option<Declared>, VendorError> {
            let mut chosen: Option<Declared> = None;
            let entries = entries.iter();
            for entry in entries.filter(|entry| {
                entry.applies_to(&self.target.name, &self.target.labels)
                    && entry.names(component.kind, &component.name, below, folder)
            }) {
                let one = resolved(entry, origin, component, folder)?;
                match &chosen {
                    Some(known) if !known.is_same_source(&one) => return Err(conflict(folder, known, &one)),
                    _ => chosen = Some(one),
                }
            }
            Ok(chosen)
        };
        if let Some(found) = chosen(&section.components, Origin::Deployment)? {
            return Ok(Some(found));
        }
        if let Some(file) = &section.manifest {
            let entries = once(&read.manifest, || {
                entries(self.source, &join_path([file.as_str()]))?.ok_or_else(|| VendorError::Manifest {
                    file: file.clone(),
                    message: "there is no such file, and `vendor.manifest` names it".to_owned(),
                })
            })?;
            if let Some(found) = chosen(entries, Origin::Manifest)? {
                return Ok(Some(found));
            }
        }
        if !section.auto_discover || self.has_code(folder)? {
            return Ok(None);
        }
        let of_repository = once(&read.repository, || {
            let base = self.config.components_directory(ComponentKind::Command);
            for path in [base.as_str(), ""] {
                for name in MANIFESTS {
                    if let Some(found) = entries(self.source, &join_path([path, name]))? {
                        return Ok(found);
                    }
                }
            }
            Ok(Vec::new())
        })?;
        if let Some(found) = chosen(of_repository, Origin::Repository)? {
            return Ok(Some(found));
        }
        let own = of_component(self.source, folder)?;
        own.map(|entry| resolved(&entry, Origin::Component, component, folder)).transpose()
    }

    /// Whether the commit has files in a folder that could be a component.
    fn has_code(&self, folder: &str) -> Result<bool, VendorError> {
        let names = self
            .source
            .list(folder)
            .map_err(|error| VendorError::Manifest { file: folder.to_owned(), message: error.to_string() })?;
        let is_code = |name: &String| {
            !name.starts_with('.') && name != "component.yaml" && !name.to_lowercase().starts_with("readme")
        };
        Ok(names.iter().any(is_code))
    }
}

/// The entries of a cell, which are read once.
fn once(
    cell: &OnceCell<Vec<VendorEntry>>,
    read: impl FnOnce() -> Result<Vec<VendorEntry>, VendorError>,
) -> Result<&[VendorEntry], VendorError> {
    if cell.get().is_none() {
        let _ = cell.set(read()?);
    }
    Ok(cell.get().map(Vec::as_slice).unwrap_or_default())
}

fn resolved(
    entry: &VendorEntry,
    origin: Origin,
    component: &Component,
    folder: &str,
) -> Result<Declared, VendorError> {
    let entry = filled_in(entry.clone(), Some(component.folder()))?;
    let refuse = |message: String, hint: &str| VendorError::Declaration {
        at: entry.at.clone(),
        message,
        hint: hint.to_owned(),
    };
    // A path in a component.yaml is relative to it, any other to the root.
    let base = if origin == Origin::Component { folder } else { "" };
    let Written { address, reference } = Address::read(&entry.source, base, &entry.at)?;
    let wish = match &address {
        Address::Git { .. } => {
            let wish = Wish::read(reference.as_deref(), entry.version.as_deref());
            Some(wish.map_err(|(message, hint)| refuse(message, hint))?)
        }
        Address::Local { folder: from } => {
            if entry.version.is_some() || reference.is_some() {
                let message = format!("{from} is a folder of the same commit, which has no other version");
                return Err(refuse(message, "leave the version out"));
            }
            if from == folder {
                return Err(refuse(format!("{from} is its own source"), "name another folder"));
            }
            None
        }
    };
    Selection::new(&entry.included_paths, &entry.excluded_paths)
        .map_err(|pattern| refuse(format!("{pattern:?} is no pattern"), "write globs such as **/*.tf"))?;
    Ok(Declared {
        folder: folder.to_owned(),
        components: vec![component.name.clone()],
        address,
        wish,
        included_paths: entry.included_paths.clone(),
        excluded_paths: entry.excluded_paths.clone(),
        origin,
        at: entry.at.clone(),
        locked: None,
    })
}

fn conflict(folder: &str, one: &Declared, other: &Declared) -> VendorError {
    let told = |declared: &Declared| match declared.version() {
        Some(version) => format!("{} at {version} ({})", declared.address, declared.at),
        None => format!("{} ({})", declared.address, declared.at),
    };
    VendorError::Declaration {
        at: other.at.clone(),
        message: format!("{folder} has two sources: {} and {}", told(one), told(other)),
        hint: "choose by labels which of them is for which target, or remove one".to_owned(),
    }
}
