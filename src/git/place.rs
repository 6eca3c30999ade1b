//! The kind of entry that a commit has at a path, without following links and submodules.

use std::path::{Component, Path};

use crate::deployment::CommitId;

use super::objects::{ObjectError, ObjectStore};

/// The mode of a tree's entry that is a symbolic link.
const LINK: i32 = 0o120_000;

/// The kind of entry at a path of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Nothing,
    Folder,
    File {
        executable: bool,
    },
    /// A link or a submodule, or a path behind one, which is not followed.
    Elsewhere,
}

impl ObjectStore {
    /// The kind of entry at a path without `..`.
    pub(super) fn place(&self, commit: &CommitId, path: &str) -> Result<Place, ObjectError> {
        let mut walked = String::new();
        let mut place = Place::Folder;
        for part in Path::new(path).components() {
            let Component::Normal(part) = part else { continue };
            match place {
                Place::Folder => {}
                // A file has nothing below it.
                Place::File { .. } => return Ok(Place::Nothing),
                found => return Ok(found),
            }
            if !walked.is_empty() {
                walked.push('/');
            }
            walked.push_str(&part.to_string_lossy());
            place = match self.entry(commit, &walked)? {
                None => Place::Nothing,
                Some(entry) => match entry.kind() {
                    Some(git2::ObjectType::Tree) => Place::Folder,
                    Some(git2::ObjectType::Blob) if entry.filemode() != LINK => {
                        Place::File { executable: entry.filemode() & 0o111 != 0 }
                    }
                    _ => Place::Elsewhere,
                },
            };
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::CommitTree;
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn links_and_submodules_are_not_looked_behind() {
        let fixture = Fixture::new(&[]);
        let root = fixture.folder.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/run.sh"), "").unwrap();
        std::fs::set_permissions(root.join("a/b/run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(root.join("a/plain"), "").unwrap();
        symlink("a", root.join("link")).unwrap();
        fixture.git(&["add", "."], "");
        let submodule = format!("160000,{},module", "1".repeat(40));
        fixture.git(&["update-index", "--add", "--cacheinfo", &submodule], "");
        fixture.git(&["commit", "--quiet", "--message", "x"], "");
        let commit: CommitId = fixture.git(&["rev-parse", "HEAD"], "").trim().parse().unwrap();
        let tree = CommitTree::new(&fixture.repository(), commit).unwrap();
        for (path, place) in [
            ("", Place::Folder),
            ("./a//b", Place::Folder),
            ("a/b/run.sh", Place::File { executable: true }),
            ("a/plain", Place::File { executable: false }),
            ("a/plain/below", Place::Nothing),
            ("a/c", Place::Nothing),
            ("a/c/d", Place::Nothing),
            ("link", Place::Elsewhere),
            ("link/b", Place::Elsewhere),
            ("module", Place::Elsewhere),
            ("module/x", Place::Elsewhere),
        ] {
            assert_eq!(tree.place(path).unwrap(), place, "{path}");
        }
    }
}
