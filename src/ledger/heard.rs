//! The times of the last successful fetch of each part of the ledger: a command fetches only the
//! parts that it needs.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Ledger, Scope};
use crate::deployment::DeploymentName;

/// A part of the ledger to fetch: paths, each with everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part(Vec<PathBuf>);

impl Part {
    /// States, newest records and locks.
    pub(super) fn states(scope: &Scope) -> Self {
        Self(scope.prefixes().iter().map(|prefix| Path::new("states").join(prefix)).collect())
    }

    /// History tags below these prefixes (`<deployment>/<target>/…/`).
    pub(super) fn history(prefixes: &[String]) -> Self {
        Self(prefixes.iter().map(|prefix| Path::new("history").join(prefix)).collect())
    }

    /// One namespace of a deployment's notes.
    pub(super) fn notes(deployment: &DeploymentName, namespace: &str) -> Self {
        Self(vec![Path::new("notes").join(deployment.as_str()).join(namespace)])
    }
}

impl Ledger<'_> {
    /// The last time that a part was fetched completely; `None` where some of it never was.
    pub(super) fn heard(&self, part: &Part) -> Option<Timestamp> {
        let root = self.heard_folder()?;
        let of_path = |path: &PathBuf| path.ancestors().filter_map(|above| told_at(&root.join(above))).max();
        part.0.iter().map(of_path).min().flatten()
    }

    /// Stores that a part has just been fetched.
    pub(super) fn note_heard(&self, part: &Part) {
        let Some(root) = self.heard_folder() else { return };
        for path in &part.0 {
            let folder = root.join(path);
            let noted =
                std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(MARKER), b""));
            if let Err(error) = noted {
                // Ignored: only the age of a stale mirror in messages depends on it.
                tracing::debug!(%error, "cannot note what the remote has told");
            }
        }
    }

    /// Whether a scope's states were never fetched completely, so that their absence proves
    /// nothing.
    #[must_use]
    pub fn never_heard_of(&self, scope: &Scope) -> bool {
        self.remote().is_some() && !self.answered.get() && self.heard(&Part::states(scope)).is_none()
    }

    fn heard_folder(&self) -> Option<PathBuf> {
        Some(self.repository.common_dir().join("atmos").join("heard").join(self.remote()?))
    }
}

/// The file whose modification time is the time of the fetch. The name is invalid for
/// deployments, targets and namespaces.
const MARKER: &str = "%at";

fn told_at(folder: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(folder.join(MARKER)).ok()?.modified().ok()?;
    Timestamp::try_from(modified).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::fixtures::target_name;
    use crate::ledger::testing::{Workspace, open};

    #[test]
    fn a_part_is_known_where_all_of_it_was_told() {
        let workspace = Workspace::new();
        let (checkout, other) = (workspace.clone(""), workspace.clone(""));
        let (repository, elsewhere) = (checkout.repository(), other.repository());
        let ledger = open(&repository, |options| options.offline = true);
        let shop: DeploymentName = "shop".parse().unwrap();
        let targets = |names: &[&str]| {
            let names = names.iter().map(|name| target_name(name)).collect();
            Part::states(&Scope::Targets(shop.clone(), names))
        };
        let whole = Part::states(&Scope::Deployment(shop.clone()));
        let all = Part::states(&Scope::All);
        let known = |part: &Part| ledger.heard(part).is_some();
        let history = Part::history(&["shop/dev/".to_owned()]);
        assert!(!known(&targets(&["dev"])) && !known(&all));

        ledger.note_heard(&targets(&["dev"]));
        assert!(known(&targets(&["dev"])));
        for part in [&targets(&["dev", "prod"]), &targets(&["de"]), &whole, &all, &history] {
            assert!(!known(part), "{part:?}");
        }
        ledger.note_heard(&whole);
        assert!(known(&targets(&["dev", "prod"])) && known(&whole) && !known(&all));
        ledger.note_heard(&Part::history(&[String::new()]));
        assert!(known(&history) && !known(&all));
        ledger.note_heard(&all);
        let other: DeploymentName = "other".parse().unwrap();
        assert!(known(&Part::states(&Scope::Deployment(other.clone()))));
        assert!(!known(&Part::notes(&other, "sbom")));
        assert!(!ledger.never_heard_of(&Scope::All));
        // Another checkout, and another remote of this one, prove nothing.
        assert!(open(&elsewhere, |options| options.offline = true).never_heard_of(&Scope::All));
        let upstream = open(&repository, |options| options.remote = Some("upstream".to_owned()));
        assert!(upstream.heard(&all).is_none());
    }

    #[test]
    fn a_part_is_as_old_as_its_oldest_path_and_as_new_as_what_includes_it() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("");
        let repository = checkout.repository();
        let ledger = open(&repository, |options| options.offline = true);
        let set = |path: &str, seconds: u64| {
            let folder = ledger.heard_folder().unwrap().join(path);
            std::fs::create_dir_all(&folder).unwrap();
            let file = std::fs::File::create(folder.join(MARKER)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        };
        let age = |prefixes: &[&str]| {
            let prefixes: Vec<_> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
            ledger.heard(&Part::history(&prefixes)).map(Timestamp::as_second)
        };
        set("history/shop/dev", 10);
        set("history/shop/prod", 20);
        assert_eq!(age(&["shop/dev/", "shop/prod/"]), Some(10));
        assert_eq!(age(&["shop/prod/api/"]), Some(20));
        set("history", 15);
        assert_eq!(age(&["shop/dev/", "shop/prod/"]), Some(15));
        assert_eq!(age(&["billing/"]), Some(15));
    }
}
