//! Copies of objects that this process has written, to restore those that `git gc` prunes.
//!
//! Race: `git gc --prune=now` removes unreachable objects at once, and a lock or a record is
//! written before its ref. Until the ref exists, this copy protects the object.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use git2::ObjectType;

use crate::deployment::ObjectId;

/// The largest object that is copied. Records, locks and batches are smaller; larger notes
/// can be rebuilt from their files.
const MAX_SIZE: usize = 1 << 20;

/// The objects of one repository that this process has written.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<HashMap<ObjectId, (ObjectType, Vec<u8>)>>);

impl Written {
    /// Keeps a copy of an object.
    pub(super) fn keep(&self, id: &ObjectId, kind: ObjectType, content: &[u8]) {
        if content.len() <= MAX_SIZE {
            let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            objects.entry(id.clone()).or_insert_with(|| (kind, content.to_vec()));
        }
    }

    /// Calls `visit` with each object, until the first error.
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
