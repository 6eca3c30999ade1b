//! Paths inside the checkout of the deployed commit.

use std::io;
use std::path::{Path, PathBuf};

/// A folder of a component that is not usable.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("the folder {folder:?} is not in the deployed commit")]
    Missing { folder: String },
    #[error("{folder:?} is not a folder")]
    NotAFolder { folder: String },
    #[error("the folder {folder:?} leads out of the deployed commit")]
    Outside { folder: String },
    #[error("the folder {folder:?} cannot be read")]
    Unreadable { folder: String, source: io::Error },
}

/// The canonical path of the folder at `relative` under the checkout's root. A path out of the
/// checkout, by `..`, by an absolute path or by a symbolic link, is refused.
pub(crate) fn folder(checkout: &Path, relative: &Path) -> Result<PathBuf, FolderError> {
    let folder = || relative.display().to_string();
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FolderError::Missing { folder: folder() },
        io::ErrorKind::NotADirectory => FolderError::NotAFolder { folder: folder() },
        _ => FolderError::Unreadable { folder: folder(), source },
    };
    let root = checkout.canonicalize().map_err(unreadable)?;
    let path = root.join(relative).canonicalize().map_err(unreadable)?;
    if !path.starts_with(&root) {
        return Err(FolderError::Outside { folder: folder() });
    }
    if !path.is_dir() {
        return Err(FolderError::NotAFolder { folder: folder() });
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_way_out_of_the_checkout_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let checkout = outer.path().join("checkout");
        std::fs::create_dir_all(checkout.join("services/worker")).unwrap();
        std::fs::create_dir(outer.path().join("checkout-2")).unwrap();
        symlink("..", checkout.join("up")).unwrap();
        symlink("services", checkout.join("inside")).unwrap();
        let folder = |relative: &str| folder(&checkout, Path::new(relative));

        for outside in ["..", "up", "../checkout-2", "services/../../checkout-2", "/", "up/checkout-2"] {
            assert!(matches!(folder(outside), Err(FolderError::Outside { .. })), "{outside}");
        }
        let worker = checkout.canonicalize().unwrap().join("services/worker");
        assert_eq!(folder("services/worker").unwrap(), worker);
        assert_eq!(folder("inside/worker").unwrap(), worker);
        assert!(matches!(folder("nowhere"), Err(FolderError::Missing { .. })));
    }
}
