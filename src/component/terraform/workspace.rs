//! The files around a module: generated ones, its variables, its local state.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::super::files::{UNFINISHED, write_json};
use super::super::{ComponentError, ComponentRun};
use super::module::Module;
use serde_json::{Value, json};

/// The override that moves the state of a module without a backend. Its content is the same for
/// every component, since they may share the folder; `init` gets the path as an argument.
const BACKEND_OVERRIDE: &str = "atmos_backend_override.tf.json";
const VARIABLES_EXTENSION: &str = ".terraform.tfvars.json";

/// Copies the module's folder to a sibling, so that relative paths stay valid.
///
/// Components may share a folder, and the files generated for one of them do not apply to the
/// others.
pub(super) fn folder_of_its_own(run: ComponentRun<'_>, folder: PathBuf) -> Result<PathBuf, ComponentError> {
    let is_root = run.checkout.canonicalize().is_ok_and(|root| root == folder);
    let (Some(parent), false) = (folder.parent(), is_root) else { return Ok(folder) };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let component = run.component.name.as_str().replace('/', "-");
    let copy = || -> io::Result<PathBuf> {
        // The checkout is removed with all its content.
        let copy =
            tempfile::Builder::new().prefix(&format!("{name}.{component}.")).tempdir_in(parent)?.keep();
        copy_files(&folder, &copy)?;
        Ok(copy)
    };
    copy().map_err(ComponentError::files(format!("copy the module {name}")))
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for entry in from.read_dir()? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            std::fs::create_dir(&target)?;
            copy_files(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, target)?;
        } else if !is_written_by_others(&entry.file_name().to_string_lossy()) {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Whether a file in a module's folder belongs to another component that runs there, or is about
/// to.
fn is_written_by_others(name: &str) -> bool {
    name == BACKEND_OVERRIDE || name.ends_with(VARIABLES_EXTENSION) || name.starts_with(UNFINISHED)
}

/// Writes the generated files into the module's folder.
pub(super) fn write_generated(folder: &Path, files: &BTreeMap<String, Value>) -> Result<(), ComponentError> {
    for (name, content) in files {
        write_json(folder, name, content)?;
    }
    Ok(())
}

/// Writes the variables that the module declares and returns the file. Undeclared ones would be
/// refused.
pub(super) fn write_variables(
    run: ComponentRun<'_>,
    folder: &Path,
    module: &Module,
) -> Result<PathBuf, ComponentError> {
    let declared = run.vars.iter().filter(|(name, _)| module.variables.contains(*name));
    let variables: Value = declared.map(|(name, value)| (name.clone(), value.clone())).collect();
    let component = run.component.name.as_str();
    let name = format!("{}-{component}{VARIABLES_EXTENSION}", run.stack.name).replace('/', "-");
    write_json(folder, &name, &variables)?;
    Ok(folder.join(name))
}

/// Moves the module's state out of the checkout, and returns its file:
/// `<state>/<deployment>/<target>/<component>/terraform.tfstate`.
pub(super) fn keep_state(run: ComponentRun<'_>, folder: &Path) -> Result<PathBuf, ComponentError> {
    let directory =
        run.state.join(run.deployment.as_str()).join(run.target.as_str()).join(run.component.name.as_str());
    let directory = std::fs::create_dir_all(&directory)
        .and_then(|()| directory.canonicalize())
        .map_err(ComponentError::files("make the folder of the local state"))?;
    write_json(folder, BACKEND_OVERRIDE, &json!({"terraform": {"backend": {"local": {}}}}))?;
    Ok(directory.join("terraform.tfstate"))
}
