//! Reads refs from git's files, without a git process.
//!
//! A ref is a file of its own ("loose") or a line of `packed-refs`; the loose one wins. Only
//! the plain case is handled: symbolic and broken refs, links, odd names, an unsorted
//! `packed-refs` and everything else are [`Unusual`] and left to git. (`git2` reads all of
//! `packed-refs` to list one prefix.)

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use crate::deployment::ObjectId;

use super::packed_refs::PackedRefs;
use super::plain::{Unusual, plain_id, plain_name};

/// The refs below these prefixes (which end in `/`) or of exactly these names, by name. `folder` is
/// the common folder of all worktrees.
pub(super) fn read<S: AsRef<str>>(
    folder: &Path,
    prefixes: &[S],
) -> Result<BTreeMap<String, ObjectId>, Unusual> {
    let mut loose = BTreeMap::new();
    for prefix in prefixes.iter().map(AsRef::as_ref) {
        if prefix.ends_with('/') {
            read_folder(&folder.join(prefix), prefix, &mut loose)?;
        } else {
            read_name(&folder.join(prefix), prefix, &mut loose)?;
        }
    }
    // Race: packed refs must be read after the loose ones, because `git pack-refs` writes a ref to
    // `packed-refs` before it removes its file.
    let mut refs = BTreeMap::new();
    if let Some(mut packed) = PackedRefs::open(folder)? {
        for prefix in prefixes {
            packed.read(prefix.as_ref(), &mut refs)?;
        }
    }
    refs.append(&mut loose);
    Ok(refs)
}

/// Reads a loose ref, or all refs of a folder.
fn read_name(path: &Path, name: &str, refs: &mut BTreeMap<String, ObjectId>) -> Result<(), Unusual> {
    let kind = match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        metadata => metadata?.file_type(),
    };
    read_entry(kind, path, name, refs)
}

/// The entries of a folder of loose refs; none where there is no such folder.
pub(super) fn entries_of(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<DirEntry>>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        entries => Some(entries?),
    };
    Ok(entries.into_iter().flatten())
}

/// Reads the loose refs of a folder and of those in it.
fn read_folder(folder: &Path, prefix: &str, refs: &mut BTreeMap<String, ObjectId>) -> Result<(), Unusual> {
    for entry in entries_of(folder)? {
        let entry = entry?;
        let file_name = entry.file_name().into_string().map_err(|_| Unusual)?;
        // Git ignores these as well.
        if file_name.starts_with('.') || file_name.ends_with(".lock") {
            continue;
        }
        read_entry(entry.file_type()?, &entry.path(), &format!("{prefix}{file_name}"), refs)?;
    }
    Ok(())
}

/// Reads an entry of a folder: a ref or a folder of refs.
fn read_entry(
    kind: fs::FileType,
    path: &Path,
    name: &str,
    refs: &mut BTreeMap<String, ObjectId>,
) -> Result<(), Unusual> {
    if kind.is_dir() {
        return read_folder(path, &format!("{name}/"), refs);
    }
    if !kind.is_file() {
        return Err(Unusual);
    }
    match fs::read(path) {
        Ok(content) => {
            refs.insert(plain_name(name)?.to_owned(), plain_id(content.trim_ascii_end())?);
            Ok(())
        }
        // Race: packed or deleted meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::repository::Repository;
    use super::super::testing::Fixture;
    use super::*;

    impl Fixture {
        /// Asserts that both ways of reading agree, and returns whether the files sufficed.
        fn agrees(&self, prefixes: &[&str]) -> bool {
            let by_git = self.repository().git().refs(prefixes).unwrap();
            assert_eq!(self.repository().refs(prefixes).unwrap(), by_git);
            match read(&self.git_dir(), prefixes) {
                Ok(refs) => {
                    let by_git: Vec<_> = by_git.into_iter().map(|found| (found.name, found.object)).collect();
                    assert_eq!(refs.into_iter().collect::<Vec<_>>(), by_git, "{prefixes:?}");
                    true
                }
                Err(Unusual) => false,
            }
        }
    }

    /// A change of a repository's refs.
    #[derive(Debug, Clone)]
    enum Change {
        Set(String, bool),
        Delete(prop::sample::Index),
        Pack(&'static str),
    }

    fn name() -> impl Strategy<Value = String> {
        let segment = prop_oneof!["[a-c]", "[a-c]-[a-c]", "[a-c]%2F[a-c]", "[a-c]\\.[0-9]", "[A-Cé]"];
        prop::collection::vec(segment, 1..4).prop_map(|segments| format!("refs/x/{}", segments.join("/")))
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            12 => (name(), any::<bool>()).prop_map(|(name, first)| Change::Set(name, first)),
            3 => any::<prop::sample::Index>().prop_map(Change::Delete),
            1 => prop::sample::select(vec!["--prune", "--no-prune"]).prop_map(Change::Pack),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn files_say_what_git_says(changes in prop::collection::vec(change(), 1..60)) {
            let fixture = Fixture::new(&["--ref-format=files"]);
            let mut names: BTreeMap<String, String> = BTreeMap::new();
            let flush = |names: &mut BTreeMap<String, String>| {
                let input: String = std::mem::take(names).into_values().collect();
                fixture.git(&["update-ref", "--stdin"], &input);
            };
            let mut known: Vec<String> = Vec::new();
            for change in changes {
                match change {
                    Change::Set(name, first) => {
                        // Git cannot hold a ref and another one below it.
                        let is_below = |one: &str, other: &str| one.starts_with(&format!("{other}/"));
                        let collides = |other: &String| is_below(other, &name) || is_below(&name, other);
                        if !known.iter().any(collides) {
                            let id = &fixture.commits[usize::from(first)];
                            names.insert(name.clone(), format!("update {name} {id}\n"));
                            known.push(name);
                        }
                    }
                    Change::Delete(which) => {
                        if !known.is_empty() {
                            let name = which.get(&known);
                            names.insert(name.clone(), format!("delete {name}\n"));
                        }
                    }
                    Change::Pack(prune) => {
                        flush(&mut names);
                        fixture.git(&["pack-refs", "--all", prune], "");
                    }
                }
            }
            flush(&mut names);
            for prefixes in [
                &["refs/x/"][..],
                &["refs/x/a/", "refs/x/c/", "refs/x/b/"],
                &["refs/x/a-b/", "refs/x/a/b/", "refs/x/a/"],
                &["refs/none/", "refs/heads/"],
                &["refs/x/a", "refs/x/b-c", "refs/x/c/a", "refs/x/a/b/c", "refs/none"],
            ] {
                prop_assert!(fixture.agrees(prefixes), "{prefixes:?}");
            }
        }
    }

    #[test]
    fn every_prefix_of_a_large_file_is_found() {
        let fixture = Fixture::new(&["--ref-format=files"]);
        let [first, second] = &fixture.commits;
        fixture.git(&["tag", "-a", "-m", "x", "annotated"], "");
        let tag = fixture.git(&["rev-parse", "annotated"], "");
        let input: Vec<_> = (0..3_000)
            .map(|number| {
                let object = [first.as_str(), second.as_str(), tag.trim()][number % 3];
                format!("create refs/x/{}/{}/{number} {object}\n", number % 7, number % 50)
            })
            .collect();
        fixture.git(&["update-ref", "--stdin"], &input.concat());
        fixture.git(&["pack-refs", "--all"], "");
        for group in (0..50).step_by(4) {
            assert!(fixture.agrees(&[&format!("refs/x/{}/{group}/", group % 7)]));
        }
        assert!(fixture.agrees(&["refs/"]));
        assert!(fixture.agrees(&["refs/a/", "refs/x/3/", "refs/z/"]));
        assert!(fixture.agrees(&["refs/x/3/10", "refs/x/2/2", "refs/x/1/1/1", "refs/x/1"]));
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_left_to_git() {
        let unusual = |what: &str, change: &dyn Fn(&Fixture)| {
            let fixture = Fixture::new(&["--ref-format=files"]);
            fixture.git(&["update-ref", "refs/x/a/b", "HEAD"], "");
            change(&fixture);
            assert!(!fixture.agrees(&["refs/x/"]), "{what}");
        };
        unusual("a symbolic ref", &|fixture| {
            fixture.git(&["symbolic-ref", "refs/x/link", "refs/heads/main"], "");
        });
        unusual("a symbolic link", &|fixture| {
            std::os::unix::fs::symlink("a/b", fixture.git_dir().join("refs/x/link")).unwrap();
        });
        unusual("a broken ref", &|fixture| {
            fs::write(fixture.git_dir().join("refs/x/broken"), "").unwrap();
        });
        unusual("no object", &|fixture| {
            fs::write(fixture.git_dir().join("refs/x/zero"), "0".repeat(40)).unwrap();
        });
        unusual("a name that is not allowed", &|fixture| {
            fs::copy(fixture.git_dir().join("refs/x/a/b"), fixture.git_dir().join("refs/x/a b")).unwrap();
        });
        unusual("packed refs in no order", &|fixture| {
            let [first, second] = &fixture.commits;
            let text = format!("# pack-refs with: peeled \n{first} refs/x/z\n{second} refs/x/y\n");
            fs::write(fixture.git_dir().join("packed-refs"), text).unwrap();
        });
        unusual("packed refs without a first line", &|fixture| {
            let text = format!("{} refs/x/z\n", fixture.commits[0]);
            fs::write(fixture.git_dir().join("packed-refs"), text).unwrap();
        });
    }

    #[test]
    fn other_forms_of_repositories_read_alike() {
        let changes = |fixture: &Fixture| {
            fixture.git(&["update-ref", "refs/x/a", "HEAD"], "");
            fixture.git(&["pack-refs", "--all"], "");
            fixture.git(&["update-ref", "refs/x/b", "HEAD~"], "");
        };
        let sha256 = Fixture::new(&["--ref-format=files", "--object-format=sha256"]);
        changes(&sha256);
        assert!(sha256.agrees(&["refs/x/"]));
        // Its files hold no refs, although the repository has some.
        let reftable = Fixture::new(&["--ref-format=reftable"]);
        changes(&reftable);
        let refs = reftable.repository().refs(&["refs/x/"]).unwrap();
        assert_eq!(refs.len(), 2);
        // A worktree has the refs of its repository.
        let main = Fixture::new(&["--ref-format=files"]);
        changes(&main);
        main.git(&["worktree", "add", "--quiet", "--detach", "other"], "");
        let environment = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("GIT_"));
        let other = Repository::discover(&main.folder.path().join("other"), environment).unwrap();
        assert_eq!(other.refs(&["refs/x/"]).unwrap(), main.repository().refs(&["refs/x/"]).unwrap());
    }
}
