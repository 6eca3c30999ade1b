//! A working tree that is verified against its commit.

use std::path::Path;

use super::path;
use super::source::{DirectorySource, MAX_FILE_BYTES, Source, SourceError};

/// The maximum number of symbolic links that are followed in one path.
const MOST_LINKS: usize = 16;

/// A working tree whose files, and the links to them, must equal those of its commit.
pub struct CommittedSource<C> {
    files: DirectorySource,
    commit: C,
}

impl<C: Source> CommittedSource<C> {
    /// The working tree and the commit that it is verified against.
    pub const fn new(files: DirectorySource, commit: C) -> Self {
        Self { files, commit }
    }

    /// Resolves the symbolic links of a path, each of which must equal the commit's.
    fn follow(&self, written: &str) -> Result<String, SourceError> {
        let mut file = path::join([written]);
        for _ in 0..MOST_LINKS {
            let Some((link, target, rest)) = self.first_link(&file) else { return Ok(file) };
            if self.commit.read(link, MAX_FILE_BYTES)?.as_deref() != Some(target.as_bytes()) {
                return Err(SourceError::Uncommitted { path: link.to_owned() });
            }
            let of_root = Path::new(&target).strip_prefix(self.files.root()).ok().and_then(Path::to_str);
            let folder = path::parent(link).unwrap_or_default();
            file = match of_root {
                Some(of_root) => path::join([of_root, rest]),
                None => path::join([folder, &target, rest]),
            };
        }
        Err(SourceError::Outside { path: written.to_owned() })
    }

    /// The first symbolic link in a path, its target, and the rest of the path.
    fn first_link<'f>(&self, file: &'f str) -> Option<(&'f str, String, &'f str)> {
        let ends = file.match_indices('/').map(|(at, _)| at).chain([file.len()]);
        ends.filter(|end| *end > 0).find_map(|end| {
            let target = self.files.root().join(&file[..end]).read_link().ok()?;
            let rest = file[end..].trim_start_matches('/');
            Some((&file[..end], target.to_string_lossy().into_owned(), rest))
        })
    }
}

impl<C: Source> Source for CommittedSource<C> {
    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let found = self.files.read(path, limit)?;
        let committed = self.commit.read(&self.follow(path)?, limit)?;
        let is_same = match (&found, &committed) {
            (Some(found), Some(committed)) => found == committed || lines(found).eq(lines(committed)),
            (found, committed) => found.is_none() && committed.is_none(),
        };
        if is_same { Ok(found) } else { Err(SourceError::Uncommitted { path: path.to_owned() }) }
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, SourceError> {
        self.files.list(directory)
    }
}

/// The lines of a text without their ends, which git may have converted.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A fake commit, with links stored as files that contain their target.
    struct Commit(Vec<(&'static str, &'static str)>);

    impl Source for Commit {
        fn read(&self, path: &str, _limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
            let found = self.0.iter().find(|(name, _)| *name == path);
            Ok(found.map(|(_, content)| content.as_bytes().to_vec()))
        }

        fn list(&self, _directory: &str) -> Result<Vec<String>, SourceError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_file_and_the_links_to_it_are_the_commit_s() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("infra")).unwrap();
        for (name, text) in
            [("same", "a\r\nb"), ("other", "evil"), ("untracked", "x"), ("infra/atmos.yaml", "y")]
        {
            std::fs::write(root.join(name), text).unwrap();
        }
        for (name, target) in [
            ("link", "infra/atmos.yaml"),
            ("folder", "infra"),
            ("untracked-link", "infra/atmos.yaml"),
            ("moved-link", "infra/atmos.yaml"),
            ("link-to-untracked", "untracked"),
            ("circle", "circle"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        let commit = Commit(vec![
            ("same", "a\nb"),
            ("other", "good"),
            ("gone", "z"),
            ("infra/atmos.yaml", "y"),
            ("link", "infra/atmos.yaml"),
            ("folder", "infra"),
            ("moved-link", "same"),
            ("link-to-untracked", "untracked"),
        ]);
        let source = CommittedSource::new(DirectorySource::new(&root), commit);
        let read = |path: &str| source.read(path, 99);
        for (path, content) in
            [("same", Some("a\r\nb")), ("link", Some("y")), ("folder/atmos.yaml", Some("y")), ("none", None)]
        {
            assert_eq!(read(path).unwrap().as_deref(), content.map(str::as_bytes), "{path}");
        }
        for (path, named) in [
            ("other", "other"),
            ("untracked", "untracked"),
            ("gone", "gone"),
            ("untracked-link", "untracked-link"),
            ("moved-link", "moved-link"),
            ("link-to-untracked", "link-to-untracked"),
        ] {
            let error = read(path).unwrap_err();
            assert!(matches!(&error, SourceError::Uncommitted { path } if path == named), "{path}: {error}");
        }
        assert!(read("circle").is_err());
    }
}
