//! Sparse checkouts.

use std::collections::BTreeSet;

use super::error::GitError;
use super::repository::Repository;

impl Repository {
    /// The files that a sparse checkout leaves out (`git-sparse-checkout`(1)); none where the
    /// checkout is whole.
    ///
    /// # Errors
    ///
    /// Fails where git cannot read its index.
    pub fn left_out(&self) -> Result<BTreeSet<String>, GitError> {
        if !self.git_dir().join("info/sparse-checkout").is_file() {
            return Ok(BTreeSet::new());
        }
        let listed = self.git().verb("ls-files").args(["-t", "-z"]).run()?;
        let listed = String::from_utf8_lossy(&listed);
        // `S` stands for the bit that keeps a file out of the checkout.
        Ok(listed.split('\0').filter_map(|entry| entry.strip_prefix("S ")).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::git::testing::Fixture;

    #[test]
    fn only_what_a_sparse_checkout_leaves_out_is_named() {
        let fixture = Fixture::new(&[]);
        for file in ["a.yaml", "docs/b.yml", "deployments/c.yaml", "deployments/d.txt"] {
            let path = fixture.folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x: 1\n").unwrap();
        }
        fixture.git(&["add", "--all"], "");
        fixture.git(&["commit", "--quiet", "--message", "x"], "");
        let left_out = || fixture.repository().left_out().unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(left_out(), [""; 0]);
        fixture.git(&["sparse-checkout", "set", "--cone", "docs"], "");
        assert_eq!(left_out(), ["deployments/c.yaml", "deployments/d.txt"]);
        std::fs::remove_file(fixture.folder.path().join("a.yaml")).unwrap();
        assert_eq!(
            left_out(),
            ["deployments/c.yaml", "deployments/d.txt"],
            "what was removed by hand is no part of it"
        );
        fixture.git(&["sparse-checkout", "disable"], "");
        assert_eq!(left_out(), [""; 0]);
    }
}
