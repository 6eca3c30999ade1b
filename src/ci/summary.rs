//! The summary of a step: Markdown in the file that `$GITHUB_STEP_SUMMARY` names.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// The maximum size of a step's summary on GitHub, in bytes; a larger one is not shown at all.
pub const SUMMARY_LIMIT: usize = 1024 * 1024;

/// The bytes of the summary limit that are still free.
pub fn room(file: &Path) -> io::Result<usize> {
    let taken = match std::fs::metadata(file) {
        Ok(metadata) => usize::try_from(metadata.len()).unwrap_or(SUMMARY_LIMIT),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(SUMMARY_LIMIT.saturating_sub(taken))
}

/// Appends Markdown to a summary. A text that does not fit into [`room`] is not written, as it
/// would hide the rest; returns whether it was written.
pub fn append(file: &Path, markdown: &str) -> io::Result<bool> {
    // Separated from the output of other steps of the same job.
    let text = format!("{}\n\n", markdown.trim_end());
    if text.len() > room(file)? {
        return Ok(false);
    }
    OpenOptions::new().append(true).create(true).open(file)?.write_all(text.as_bytes())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_grows_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary");
        assert_eq!(room(&file).unwrap(), SUMMARY_LIMIT);
        assert!(append(&file, "# One\n").unwrap());
        assert!(!append(&file, &"x".repeat(SUMMARY_LIMIT - 8)).unwrap());
        assert!(append(&file, "# Two").unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "# One\n\n# Two\n\n");
        assert_eq!(room(&file).unwrap(), SUMMARY_LIMIT - 14);
    }
}
