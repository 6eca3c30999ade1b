//! The variables that the Terraform module of a commit declares sensitive.

use std::collections::BTreeSet;

use crate::component::{is_module_file, sensitive_variables};
use crate::deployment::overrides::SensitiveVariables;
use crate::git::objects::{EntryKind, ObjectError};
use crate::project::vendored::VendoredCommit;

/// Reads the module in a folder of a commit. Where it cannot be read, for example behind a symbolic
/// link, every variable may be sensitive.
pub(super) fn declared_sensitive(
    files: &VendoredCommit<'_>,
    folder: &str,
) -> Result<SensitiveVariables, ObjectError> {
    let mut names = BTreeSet::new();
    let Some(entries) = files.list_directory(folder)? else { return Ok(SensitiveVariables::Any) };
    for (name, kind) in entries {
        if !is_module_file(&name) {
            continue;
        }
        let content = match kind {
            EntryKind::File => files.read_file(&format!("{folder}/{name}"))?,
            EntryKind::Directory => continue,
        };
        let Some(content) = content else { return Ok(SensitiveVariables::Any) };
        match sensitive_variables(&name, &String::from_utf8_lossy(&content)) {
            Some(declared) => names.extend(declared),
            None => return Ok(SensitiveVariables::Any),
        }
    }
    Ok(SensitiveVariables::Named(names))
}
