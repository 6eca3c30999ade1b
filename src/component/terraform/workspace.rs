//! The files around a module: generated ones, its variables, its local state.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::super::{ComponentError, ComponentRun};
use super::module::Module;

/// The override that moves the state of a module without a backend. Its content is the same for every
/// component, since they may share the folder; the path is given to `init`.
const BACKEND_OVERRIDE: &str = "atmos_backend_override.tf.json";

/// Writes the generated files into the module's folder.
pub(super) fn write_generated(folder: &Path, files: &BTreeMap<String, Value>) -> Result<(), ComponentError> {
    for (name, content) in files {
        write_json(folder, name, content)?;
    }
    Ok(())
}

/// Writes the variables that the module declares and returns the file. Others would be refused.
pub(super) fn write_variables(
    run: ComponentRun<'_>,
    folder: &Path,
    module: &Module,
) -> Result<PathBuf, ComponentError> {
    let declared = run.vars.iter().filter(|(name, _)| module.variables.contains(*name));
    let variables: Value = declared.map(|(name, value)| (name.clone(), value.clone())).collect();
    let component = run.component.name.as_str();
    let name = format!("{}-{component}.terraform.tfvars.json", run.stack.name).replace('/', "-");
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

/// Puts a file in place whole, readable by its owner alone. A link of that name is replaced, not followed.
fn write_json(folder: &Path, name: &str, content: &Value) -> Result<(), ComponentError> {
    let write = || -> io::Result<()> {
        let mut file = NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, content)?;
        file.flush()?;
        file.persist(folder.join(name))?;
        Ok(())
    };
    write().map_err(ComponentError::files(format!("write {name}")))
}
