//! A sparse checkout, whose excluded files are read from its commit.

use std::collections::BTreeSet;

use super::source::{Source, SourceError};

/// The files of a checkout, supplemented by those of its commit that the checkout excludes.
pub struct SparseSource<F, C> {
    files: F,
    commit: C,
    left_out: BTreeSet<String>,
}

impl<F: Source, C: Source> SparseSource<F, C> {
    /// The files of the checkout, its commit, and the excluded paths.
    pub const fn new(files: F, commit: C, left_out: BTreeSet<String>) -> Self {
        Self { files, commit, left_out }
    }
}

impl<F: Source, C: Source> Source for SparseSource<F, C> {
    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        if self.left_out.contains(path) {
            self.commit.read(path, limit)
        } else {
            self.files.read(path, limit)
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, SourceError> {
        let mut names = self.files.list(directory)?;
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let inside = self.left_out.iter().filter_map(|path| path.strip_prefix(&prefix));
        names.extend(inside.filter(|name| !name.contains('/')).map(str::to_owned));
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DirectorySource;

    #[test]
    fn what_a_checkout_leaves_out_is_its_commit_s_and_the_rest_is_its_own() {
        let [checkout, commit] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for (folder, file) in
            [(&checkout, "atmos.yaml"), (&commit, "atmos.yaml"), (&commit, "deployments/a.yaml")]
        {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, if folder.path() == commit.path() { "commit" } else { "own" }).unwrap();
        }
        // Deleted from the checkout, or never in it: not excluded by it.
        std::fs::write(commit.path().join("deployments/b.yaml"), "commit").unwrap();
        let source = SparseSource::new(
            DirectorySource::new(checkout.path()),
            DirectorySource::new(commit.path()),
            BTreeSet::from(["deployments/a.yaml".to_owned(), "deployments/deep/c.yaml".to_owned()]),
        );
        let read = |path| source.read(path, 99).unwrap().map(|text| String::from_utf8(text).unwrap());
        assert_eq!(read("atmos.yaml").as_deref(), Some("own"));
        assert_eq!(read("deployments/a.yaml").as_deref(), Some("commit"));
        assert_eq!(read("deployments/b.yaml"), None);
        assert_eq!(source.list("deployments").unwrap(), ["a.yaml"]);
        assert_eq!(source.list("").unwrap(), ["atmos.yaml"]);
    }
}
