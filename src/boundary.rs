//! Reads files below a folder that links cannot lead out of: a checkout may hold links to anywhere.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Git's own folder, in which there may be credentials.
const GIT_FOLDER: &str = ".git";

/// A path that leads out of the files that may be read, by a link or into git's own folder.
#[derive(Debug, thiserror::Error)]
#[error("it leads out of the files of the repository")]
pub struct LeadsOut;

/// The boundary of a folder: only its files are read. Links between its files are followed.
#[derive(Debug, Clone)]
pub struct Boundary {
    /// The canonical path, without links.
    folder: PathBuf,
}

impl Boundary {
    /// Creates the boundary of a folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.canonicalize().unwrap_or_else(|_| folder.to_owned()) }
    }

    /// Resolves the links of a path; `None` where nothing exists.
    ///
    /// # Errors
    ///
    /// [`LeadsOut`], in an [`io::Error`], where the resolved path is not below the folder.
    pub fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        // Most candidates are absent: one call tells that, `canonicalize` needs one per folder.
        let resolved = match path.symlink_metadata().and_then(|_| path.canonicalize()) {
            Ok(resolved) => resolved,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_inside = resolved.strip_prefix(&self.folder).is_ok_and(|below| {
            !below.components().any(|part| part.as_os_str().eq_ignore_ascii_case(GIT_FOLDER))
        });
        if is_inside {
            return Ok(Some(resolved));
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, LeadsOut))
    }

    /// Opens a regular file; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`Boundary::resolve`], and where the file cannot be opened.
    pub fn open(&self, path: &Path) -> io::Result<Option<File>> {
        let Some(resolved) = self.resolve(path)? else { return Ok(None) };
        // Checked before opening, because opening a device may have an effect.
        if !resolved.symlink_metadata()?.is_file() {
            return Ok(None);
        }
        // Race: a file put in its place in the meantime is neither followed nor waited for.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = File::options().read(true).custom_flags(flags).open(resolved)?;
        Ok(Some(file).filter(|file| file.metadata().is_ok_and(|opened| opened.is_file())))
    }

    /// The text of a regular file; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`Boundary::open`], and where it is not text.
    pub fn read_to_string(&self, path: &Path) -> io::Result<Option<String>> {
        let Some(mut file) = self.open(path)? else { return Ok(None) };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(Some(text))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_is_read_and_links_inside_are_followed() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("checkout");
        for folder in ["stacks", ".git", "module/.git"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["checkout/stacks/a", "checkout/.git/config", "checkout/module/.git/config", "secret"] {
            std::fs::write(outer.path().join(file), "text").unwrap();
        }
        let stacks = root.join("stacks");
        for (link, to) in [
            ("relative", PathBuf::from("../stacks/a")),
            ("absolute", stacks.join("a")),
            ("chain", PathBuf::from("relative")),
            ("out", outer.path().join("secret")),
            ("up", PathBuf::from("../../secret")),
            ("chain-out", PathBuf::from("up")),
            ("git", PathBuf::from("../.git/config")),
            ("folder", outer.path().to_owned()),
            ("device", PathBuf::from("/dev/zero")),
            ("environment", PathBuf::from("/proc/self/environ")),
            ("dangling", PathBuf::from("/nowhere/at-all")),
        ] {
            symlink(to, stacks.join(link)).unwrap();
        }
        let boundary = Boundary::new(&root);
        let read = |path: &str| boundary.read_to_string(&root.join(path));
        for inside in ["stacks/a", "stacks/relative", "stacks/absolute", "stacks/chain", "stacks/../stacks/a"]
        {
            assert_eq!(read(inside).unwrap().as_deref(), Some("text"), "{inside}");
        }
        for absent in ["stacks", "stacks/none", "stacks/a/b", "stacks/dangling"] {
            assert_eq!(read(absent).unwrap(), None, "{absent}");
        }
        for outside in ["out", "up", "chain-out", "git", "folder/secret", "folder", "device", "environment"] {
            let error = read(&format!("stacks/{outside}")).unwrap_err();
            let is_told = error.get_ref().and_then(|error| error.downcast_ref::<LeadsOut>()).is_some();
            assert!(is_told, "{outside}: {error}");
        }
        for outside in ["../secret", ".git/config", "module/.git/config", "/etc/passwd"] {
            assert!(read(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_pipe_is_no_file_and_nothing_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(Boundary::new(folder.path()).open(&pipe).unwrap().is_none());
    }
}
