//! Submodules of a checkout: filled from their local repositories, never from addresses that a
//! commit names.

use std::path::{Component, Path};
use std::sync::Arc;

use crate::deployment::CommitId;

use super::error::GitError;
use super::process::Git;
use super::repository::parse_id;

/// The file in which a commit describes its submodules (`gitmodules`(5)).
const GITMODULES: &str = ".gitmodules";

/// A submodule, as a commit has it.
struct Submodule {
    path: String,
    commit: CommitId,
}

impl Git {
    /// Fills the folders of the submodules of a commit that was written into `folder`; one with
    /// `update = none` stays empty. `index` is the path of git's index of that folder.
    ///
    /// # Errors
    ///
    /// [`GitError::SubmoduleMissing`] where the commit of one is not here.
    pub(super) fn fill_submodules(&self, folder: &Path, index: &Path) -> Result<(), GitError> {
        let described = folder.join(GITMODULES);
        // A link could lead to another file.
        if !described.symlink_metadata().is_ok_and(|file| file.is_file()) {
            return Ok(());
        }
        let settings = self.read_gitmodules(&described)?;
        for (number, submodule) in self.submodules(index)?.into_iter().enumerate() {
            let name = settings.iter().find_map(|(name, key, value)| {
                (key == "path" && *value == submodule.path).then_some(name.as_str())
            });
            let is_left_empty = |(of, key, value): &(String, String, String)| {
                Some(of.as_str()) == name && key == "update" && value == "none"
            };
            if settings.iter().any(is_left_empty) {
                continue;
            }
            let Some(module) = self.module(name, &submodule) else {
                let Submodule { path, commit } = submodule;
                return Err(GitError::SubmoduleMissing { path, commit });
            };
            let place = folder.join(&submodule.path);
            std::fs::create_dir_all(&place)?;
            let index = index.with_added_extension(number.to_string());
            let result = module.materialise(&submodule.commit, &place, &index);
            let _ = std::fs::remove_file(&index);
            result?;
        }
        Ok(())
    }

    /// The submodules that an index lists.
    fn submodules(&self, index: &Path) -> Result<Vec<Submodule>, GitError> {
        let listed = self.verb("ls-files").args(["--stage", "-z"]).env("GIT_INDEX_FILE", index).run()?;
        let listed = String::from_utf8_lossy(&listed);
        let links = listed.split('\0').filter_map(|entry| entry.strip_prefix("160000 "));
        let entries = links.filter_map(|entry| {
            let (id, path) = entry.split_once('\t')?;
            Some((id.split(' ').next()?, path))
        });
        entries
            .map(|(id, path)| {
                Ok(Submodule { path: path.to_owned(), commit: CommitId(parse_id("ls-files", id)?) })
            })
            .collect()
    }

    /// The settings of submodules: name, key, value.
    fn read_gitmodules(&self, file: &Path) -> Result<Vec<(String, String, String)>, GitError> {
        let settings = r"^submodule\..*\.(path|update)$";
        let invocation = self.verb("config").arg("--file").arg(file);
        let listed = match invocation.args(["--null", "--get-regexp", settings]).run() {
            Ok(listed) => listed,
            // There is none.
            Err(GitError::Failed { code: Some(1), .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let listed = String::from_utf8_lossy(&listed);
        let entries = listed.split('\0').filter_map(|entry| {
            let (key, value) = entry.split_once('\n')?;
            let (name, key) = key.strip_prefix("submodule.")?.rsplit_once('.')?;
            Some((name.to_owned(), key.to_owned(), value.to_owned()))
        });
        Ok(entries.collect())
    }

    /// The local repository of a submodule, if it has the submodule's commit.
    fn module(&self, name: Option<&str>, submodule: &Submodule) -> Option<Self> {
        let below_modules = |name: &str| self.configuration().common_dir().join("modules").join(name);
        // A name from a commit must not lead elsewhere.
        let name = name.filter(|name| is_plain(Path::new(name)));
        // A linked worktree has submodules of its own.
        let of_worktree = |name: &str| self.git_dir().join("modules").join(name);
        // Repositories in the checkout are not used: a commit can hold a link there, to any
        // repository.
        let folders = name.into_iter().flat_map(|name| [of_worktree(name), below_modules(name)]);
        folders.filter(|folder| folder.join("HEAD").is_file()).find_map(|folder| {
            let module = Self::new(&folder, None, Arc::clone(self.environment()));
            let wanted = format!("{}^{{commit}}", submodule.commit);
            module.verb("cat-file").args(["-e", &wanted]).run().ok().map(|_| module)
        })
    }
}

/// Whether a path stays below where it starts.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Repository;
    use crate::git::testing::Fixture;

    const ALLOWED: [&str; 2] = ["-c", "protocol.file.allow=always"];

    /// A commit with `file`, in a repository of its own.
    fn library(file: &str) -> Fixture {
        let library = Fixture::new(&[]);
        std::fs::write(library.folder.path().join(file), "text").unwrap();
        library.git(&["add", "--all"], "");
        library.git(&["commit", "--quiet", "--message", "x"], "");
        library
    }

    fn add_submodule(fixture: &Fixture, library: &Fixture, path: &str) {
        let url = library.folder.path().to_str().unwrap();
        fixture.git(&[&ALLOWED[..], &["submodule", "--quiet", "add", url, path]].concat(), "");
        fixture.git(&["commit", "--quiet", "--message", "with a submodule"], "");
    }

    /// Writes the checked-out commit into a folder.
    fn written(fixture: &Fixture) -> (tempfile::TempDir, Result<(), GitError>) {
        let repository = fixture.repository();
        let head = repository.head().unwrap();
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("checkout");
        std::fs::create_dir(&folder).unwrap();
        let result = repository.git().materialise(&head, &folder, &place.path().join("index"));
        (place, result)
    }

    #[test]
    fn submodules_are_filled_from_what_is_here_also_inside_of_others() {
        let (inner, outer) = (library("inner"), library("outer"));
        add_submodule(&outer, &inner, "deep/inner");
        let fixture = library("own");
        add_submodule(&fixture, &outer, "vendor/outer");
        let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
        fixture.git(&[&ALLOWED[..], &update].concat(), "");
        let (place, result) = written(&fixture);
        result.unwrap();
        for file in ["own", "vendor/outer/outer", "vendor/outer/deep/inner/inner"] {
            assert!(place.path().join("checkout").join(file).is_file(), "{file}");
        }
        let left = std::fs::read_dir(place.path()).unwrap().count();
        assert_eq!(left, 2, "the checkout and its index");
    }

    #[test]
    fn a_linked_worktree_has_submodules_of_its_own() {
        let (outer, fixture) = (library("outer"), library("own"));
        add_submodule(&fixture, &outer, "vendor/outer");
        std::fs::remove_dir_all(fixture.git_dir().join("modules")).unwrap();
        let linked = tempfile::tempdir().unwrap();
        let path = linked.path().join("linked");
        fixture.git(&["worktree", "add", "--quiet", "--detach", path.to_str().unwrap()], "");
        let update = ["-C", path.to_str().unwrap(), "submodule", "--quiet", "update", "--init"];
        fixture.git(&[&ALLOWED[..], &update].concat(), "");
        let environment = std::env::vars_os().filter(|(name, _)| name == "PATH");
        let repository = Repository::discover(&path, environment).unwrap();
        let folder = linked.path().join("checkout");
        std::fs::create_dir(&folder).unwrap();
        let head = repository.head().unwrap();
        repository.git().materialise(&head, &folder, &linked.path().join("index")).unwrap();
        assert!(folder.join("vendor/outer/outer").is_file());
    }

    #[test]
    fn a_submodule_that_is_not_here_is_an_error_unless_it_stays_empty() {
        let (outer, fixture) = (library("outer"), library("own"));
        add_submodule(&fixture, &outer, "vendor/outer");
        std::fs::remove_dir_all(fixture.git_dir().join("modules")).unwrap();
        std::fs::remove_dir_all(fixture.folder.path().join("vendor/outer")).unwrap();
        // A repository that lies there is none of this one's.
        let url = outer.folder.path().to_str().unwrap();
        fixture.git(&["clone", "--quiet", url, "vendor/outer"], "");
        let (_place, result) = written(&fixture);
        let error = result.unwrap_err();
        assert!(
            matches!(&error, GitError::SubmoduleMissing { path, .. } if path == "vendor/outer"),
            "{error}"
        );
        fixture.git(&["config", "--file", ".gitmodules", "submodule.vendor/outer.update", "none"], "");
        fixture.git(&["add", ".gitmodules"], "");
        fixture.git(&["commit", "--quiet", "--message", "left empty"], "");
        let (place, result) = written(&fixture);
        result.unwrap();
        assert!(place.path().join("checkout/vendor/outer").is_dir());
    }

    #[test]
    fn a_name_leads_to_no_repository_but_a_submodule_s() {
        for (name, expected) in
            [("vendor/sub", true), ("../x", false), ("/etc", false), ("a/../../b", false), ("./a", false)]
        {
            assert_eq!(is_plain(Path::new(name)), expected, "{name}");
        }
    }
}
