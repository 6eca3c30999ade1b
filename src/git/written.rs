//! What this process has written into a repository, to be written again where it has vanished.
//!
//! Git's clean-up takes what no ref leads to (`git gc --prune=now` at once), and a lock or a record
//! is written before its ref is. Until its ref is there, the copy here is what keeps it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use git2::ObjectType;

use crate::deployment::ObjectId;

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

    /// Calls `visit` with each of them, up to the first error.
    pub(super) fn visit<E>(
        &self,
        mut visit: impl FnMut(&ObjectId, ObjectType, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        objects.iter().try_for_each(|(id, (kind, content))| visit(id, *kind, content))
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
