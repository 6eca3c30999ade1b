//! Creates refs without a git process, where they are stored in files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::error::GitError;
use super::refs::{Expected, Ref, RefUpdate};
use super::repository::Repository;

impl Repository {
    /// Creates or overwrites refs in this order, without compare-and-swap.
    ///
    /// Invariant: no other process writes these names at the same time.
    ///
    /// # Errors
    ///
    /// Fails where git cannot lock or write a ref. Refs before it in the order may have been
    /// written.
    pub fn make_refs(&self, refs: Vec<Ref>, reason: &str) -> Result<(), GitError> {
        let in_files = self.keeps_refs_in_files() && !self.is_shared();
        let mut left = Vec::new();
        for new in refs {
            // After a failed write git takes over, which knows how to remove empty
            // folders and to name conflicts.
            if !left.is_empty() || !in_files || write(self.common_dir(), &new).is_err() {
                let Ref { name, object } = new;
                left.push(RefUpdate { name, new: Some(object), expected: Expected::Anything });
            }
        }
        self.git().update_refs(&left, reason)
    }
}

/// Writes a ref's file like git: writes its lock file and renames it over the ref.
fn write(folder: &Path, Ref { name, object }: &Ref) -> io::Result<()> {
    let (file, lock) = (folder.join(name), folder.join(format!("{name}.lock")));
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut open = File::options().write(true).create_new(true).open(&lock)?;
    let written = writeln!(open, "{object}").and_then(|()| fs::rename(&lock, &file));
    if written.is_err() {
        // The first error is returned, not that of the clean-up.
        let _ = fs::remove_file(&lock);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    fn made(fixture: &Fixture, names: &[&str]) -> Vec<String> {
        let object = fixture.commits[0].parse::<crate::deployment::ObjectId>().unwrap();
        let new = |name: &&str| Ref { name: (*name).to_owned(), object: object.clone() };
        fixture.repository().make_refs(names.iter().map(new).collect(), "test").unwrap();
        let listed = fixture.git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/x/"], "");
        listed
            .lines()
            .filter_map(|line| line.strip_suffix(object.as_str()))
            .map(|name| name.trim().to_owned())
            .collect()
    }

    #[test]
    fn git_finds_what_was_made_in_every_form_of_repository() {
        for init in
            [&["--ref-format=files"][..], &["--ref-format=reftable"], &["--ref-format=files", "--shared"]]
        {
            let fixture = Fixture::new(init);
            assert_eq!(
                made(&fixture, &["refs/x/b/%records-1", "refs/x/a"]),
                ["refs/x/a", "refs/x/b/%records-1"]
            );
            // Over an existing ref, packed or not.
            fixture.git(&["update-ref", "refs/x/a", "HEAD"], "");
            assert_eq!(made(&fixture, &["refs/x/a"]).len(), 2);
            fixture.git(&["update-ref", "refs/x/a", "HEAD"], "");
            fixture.git(&["pack-refs", "--all"], "");
            assert_eq!(made(&fixture, &["refs/x/a"]).len(), 2);
        }
    }

    #[test]
    fn a_lock_in_the_way_is_an_error_and_stays() {
        let fixture = Fixture::new(&["--ref-format=files"]);
        let lock = fixture.git_dir().join("refs/x/a.lock");
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        fs::write(&lock, "").unwrap();
        let new = Ref { name: "refs/x/a".to_owned(), object: fixture.commits[0].parse().unwrap() };
        let error = fixture.repository().make_refs(vec![new], "test").unwrap_err();
        assert!(error.to_string().contains("a.lock"), "{error}");
        assert!(lock.exists());
    }
}
