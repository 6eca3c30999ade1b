//! Terraform's cache of providers, which `init` fills.
//!
//! Terraform itself does not support concurrent `init` with one cache: they would write the same
//! files. So they are serialised, also across processes, by a lock on the folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::super::process::ProcessError;
use super::super::{ComponentError, ComponentRun};
use crate::cancellation::CancellationLevel;
use crate::component::Environment;

/// The variable that names the folder.
pub(super) const VARIABLE: &str = "TF_PLUGIN_CACHE_DIR";
/// The polling interval for the lock.
const POLL: Duration = Duration::from_millis(50);

/// The folder of the cache. The environment and the user's own configuration of Terraform take
/// precedence; without either, it is one of this checkout.
///
/// `None` if the configuration names a folder: Terraform finds it by itself.
pub(super) fn folder(run: ComponentRun<'_>) -> Result<Option<PathBuf>, ComponentError> {
    if let Some(folder) = run.environment.get(VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(Some(folder.into()));
    }
    if is_configured(run.environment) {
        return Ok(None);
    }
    let folder = run.plugin_cache;
    let made = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
    made.map(Some).map_err(ComponentError::files("make the folder of the provider cache"))
}

/// Whether the user's configuration of Terraform names a cache.
fn is_configured(environment: &Environment) -> bool {
    let named = environment.get("TF_CLI_CONFIG_FILE").map(PathBuf::from);
    let own = || environment.get("HOME").map(|home| Path::new(home).join(".terraformrc"));
    let text = named.or_else(own).and_then(|file| std::fs::read_to_string(file).ok());
    text.is_some_and(|text| {
        text.lines().any(|line| line.trim_start().trim_start_matches('"').starts_with("plugin_cache_dir"))
    })
}

/// Waits for the exclusive lock on the plugin cache; dropping the returned file unlocks it.
///
/// A folder that cannot be locked is used without a lock: Terraform will report the error.
pub(super) async fn turn(run: ComponentRun<'_>, folder: &Path) -> Result<Option<File>, ComponentError> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Ok(None),
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = run.cancellation.above(CancellationLevel::None) => {
                let program = format!("{} init", run.terraform.program);
                return Err(ProcessError::Cancelled { program, tail: Vec::new() }.into());
            }
        }
    }
}
