//! What this process has written into a repository, to be written again where it has vanished.
//!
//! Git's clean-up takes what no ref leads to (`git gc --prune=now` at once), and a lock or a record
//! is written before its ref is. Until its ref is there, the copy here is what keeps it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use git2::ObjectType;

use crate::deployment::ObjectId;

use super::objects::{ObjectError, ObjectStore};

/// The largest object that is kept. Records, locks and batches of them are smaller; notes of more
/// than this are their files' to keep.
const MAX_SIZE: usize = 1 << 20;

/// The objects of one repository that this process has written.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<HashMap<ObjectId, (ObjectType, Vec<u8>)>>);

impl Written {
    /// Keeps an object.
    pub(super) fn keep(&self, id: &ObjectId, kind: ObjectType, content: &[u8]) {
        if content.len() <= MAX_SIZE {
            let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            objects.entry(id.clone()).or_insert_with(|| (kind, content.to_vec()));
        }
    }

    /// Writes again what has vanished. Returns whether anything had.
    ///
    /// # Errors
    ///
    /// Where the repository cannot be written.
    pub(super) fn restore(&self, objects: &ObjectStore) -> Result<bool, ObjectError> {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut restored = false;
        for (id, (kind, content)) in &*written {
            if !objects.contains(id) {
                objects.write(*kind, content)?;
                restored = true;
            }
        }
        Ok(restored)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn what_a_clean_up_has_taken_is_written_again() {
        let fixture = Fixture::new(&["--ref-format=files"]);
        let repository = fixture.repository();
        let objects = repository.objects().unwrap();
        let commit = fixture.commits[0].parse().unwrap();
        let tag = objects.write_tag(&commit, "commit", "x", "A <a@b> 1 +0000", "one\n").unwrap();
        let blob = objects.write_blob(b"two").unwrap();
        assert!(!repository.restore_objects().unwrap());
        fixture.git(&["gc", "--quiet", "--prune=now"], "");
        let fresh = || repository.objects().unwrap();
        assert!(!fresh().contains(&tag) && !fresh().contains(&blob));
        assert!(repository.restore_objects().unwrap());
        assert!(fresh().contains(&tag) && fresh().contains(&blob));
        assert_eq!(fixture.git(&["cat-file", "blob", blob.as_str()], ""), "two");
    }
}
