//! Errors of vendoring.

use crate::render::document::error::Hint;
use crate::text::quoted;
use crate::vendor::VendorError;

use super::{Code, CommandError};

impl From<VendorError> for CommandError {
    fn from(error: VendorError) -> Self {
        let message = error.to_string();
        match error {
            VendorError::Declaration { hint, .. } => Self::new(Code::Vendor, message).hint(Hint::note(hint)),
            VendorError::Manifest { .. } => Self::new(Code::Vendor, message),
            VendorError::Source { hint, .. } => Self::new(Code::VendorSource, message).hint(Hint::note(hint)),
            VendorError::Git { .. } | VendorError::Objects { .. } => Self::new(Code::VendorSource, message),
            VendorError::Offline { .. } => Self::new(Code::VendorSource, message)
                .hint(Hint::note("Without --offline, what is missing is fetched")),
            VendorError::Locked { .. } => Self::new(Code::VendorContent, message).hint(Hint::note(
                "Where the change is meant, vendor pull --update --lock moves the lock: look at what it changes, and commit it",
            )),
            VendorError::NotLocked { .. } => Self::new(Code::Vendor, message).hint(Hint::note(
                "atmos deployment vendor pull --lock writes the lock file beside the deployment files: commit it",
            )),
            VendorError::Content { .. } => Self::new(Code::VendorContent, message).hint(Hint::note(
                "Nothing of it was stored; leave the file out by excluded_paths, or correct the source",
            )),
            VendorError::Altered { .. } => Self::new(Code::VendorContent, message).hint(Hint::command(
                "To remove what was altered, so that it is fetched again",
                "atmos deployment vendor clean",
            )),
            VendorError::Files { .. } => Self::new(Code::VendorCache, message),
            VendorError::Index { file, .. } => Self::new(Code::VendorCache, message).hint(Hint::command(
                "The index can be made again: sources are fetched anew",
                format!("rm {}", quoted(&file.display().to_string())),
            )),
        }
    }
}
