//! Files that are generated for a component.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::ComponentError;

/// The prefix of temporary files that are still being written.
pub(super) const UNFINISHED: &str = ".atmos-";

/// Writes a file atomically, readable only by its owner. A link of that name is replaced, not
/// followed.
pub(super) fn write_json(folder: &Path, name: &str, content: &Value) -> Result<(), ComponentError> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
        serde_json::to_writer_pretty(&mut file, content)?;
        file.flush()?;
        file.persist(folder.join(name))?;
        Ok(())
    };
    write().map_err(ComponentError::files(format!("write {name}")))
}
