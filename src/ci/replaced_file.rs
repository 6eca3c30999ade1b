//! A file of the checkout that a job writes: an existing file or link is replaced, and never
//! written through.

use std::io::{self, Write};
use std::path::Path;

use crate::boundary::Boundary;

/// Writes a file below `root`, in a folder that no link leads out of it. A link in the file's place
/// is replaced.
///
/// # Errors
///
/// Fails where the folder of the file leads elsewhere or is missing, or the file cannot be written.
pub fn replace(root: &Path, file: &Path, text: &str) -> io::Result<()> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = Boundary::new(root).resolve(folder)?.ok_or(io::ErrorKind::NotFound)?;
    let file = folder.join(name);
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // `create_new` does not follow a link that appears in the meantime.
    std::fs::File::options().write(true).create_new(true).open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_written_through_a_link() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("checkout");
        std::fs::create_dir_all(root.join("build")).unwrap();
        let victim = outer.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        symlink(&victim, root.join("link")).unwrap();
        symlink(outer.path().join("new"), root.join("dangling")).unwrap();
        symlink(outer.path(), root.join("out")).unwrap();
        std::fs::hard_link(&victim, root.join("hard")).unwrap();
        let replace = |path: &str| replace(&root, &root.join(path), "text");
        for path in ["plain", "plain", "build/file", "link", "dangling", "hard"] {
            replace(path).unwrap();
            assert!(root.join(path).symlink_metadata().unwrap().is_file(), "{path}");
            assert_eq!(std::fs::read_to_string(root.join(path)).unwrap(), "text", "{path}");
        }
        for path in ["out/file", "out/victim", "../victim", ".git/config", "build"] {
            assert!(replace(path).is_err(), "{path}");
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert!(!outer.path().join("new").exists() && !outer.path().join("file").exists());
    }
}
