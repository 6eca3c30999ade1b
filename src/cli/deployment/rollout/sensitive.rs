//! The variables that the Terraform module of a commit declares sensitive.

use std::collections::BTreeSet;

use crate::component::{is_module_file, sensitive_variables};
use crate::deployment::overrides::SensitiveVariables;
use crate::git::CommitTree;
use crate::git::objects::{EntryKind, ObjectError};

/// Reads the module in a folder of a commit. A folder that is not there declares nothing.
pub(super) fn declared_sensitive(
    files: &CommitTree<'_>,
    folder: &str,
) -> Result<SensitiveVariables, ObjectError> {
    let mut names = BTreeSet::new();
    for (name, kind) in files.list_directory(folder)?.into_iter().flatten() {
        if kind != EntryKind::File || !is_module_file(&name) {
            continue;
        }
        let content = files.read_file(&format!("{folder}/{name}"))?.unwrap_or_default();
        match sensitive_variables(&name, &String::from_utf8_lossy(&content)) {
            Some(declared) => names.extend(declared),
            None => return Ok(SensitiveVariables::Any),
        }
    }
    Ok(SensitiveVariables::Named(names))
}
