//! The names of the mirror of the remote's refs.

use std::collections::BTreeMap;

use crate::deployment::ObjectId;
use crate::deployment::ref_names::{LEDGER_PREFIX, MIRROR_PREFIX, NOTES_PREFIX};
use crate::git::refs::Ref;

use super::Ledger;

/// The mirror's name of a ref or prefix of the ledger: `refs/atmos/<x>` or `refs/notes/atmos/<x>`.
pub(super) fn mirror_of(remote: &str, name: &str) -> String {
    match (name.strip_prefix(LEDGER_PREFIX), name.strip_prefix(NOTES_PREFIX)) {
        (Some(rest), _) => format!("{MIRROR_PREFIX}{remote}/{rest}"),
        (None, Some(rest)) => format!("{MIRROR_PREFIX}{remote}/notes/{rest}"),
        (None, None) => format!("{MIRROR_PREFIX}{remote}/other/{name}"),
    }
}

/// The remote's ref that a ref of the mirror stands for.
pub(super) fn mirrored(remote: &str, mirror: &str) -> Option<String> {
    let rest = mirror.strip_prefix(MIRROR_PREFIX)?.strip_prefix(remote)?.strip_prefix('/')?;
    Some(match rest.strip_prefix("notes/") {
        Some(notes) => format!("{NOTES_PREFIX}{notes}"),
        None => format!("{LEDGER_PREFIX}{rest}"),
    })
}

/// Local and mirrored refs, as last read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KnownRefs {
    /// The local `refs/atmos/…` and `refs/notes/atmos/…`.
    pub(super) local: BTreeMap<String, ObjectId>,
    /// The same names with the mirror's values.
    pub(super) remote: BTreeMap<String, ObjectId>,
}

impl KnownRefs {
    /// Splits refs into local and mirrored ones.
    pub(super) fn sort(refs: Vec<Ref>, remote: Option<&str>) -> Self {
        let mut known = Self::default();
        for Ref { name, object } in refs {
            match remote.and_then(|remote| mirrored(remote, &name)) {
                Some(name) => known.remote.insert(name, object),
                None => known.local.insert(name, object),
            };
        }
        known
    }
}

impl Ledger<'_> {
    /// The refs to decide on, whose values are the leases of pushes: the mirror, or
    /// without a remote the local refs.
    pub(super) fn authoritative<'k>(&self, known: &'k KnownRefs) -> &'k BTreeMap<String, ObjectId> {
        if self.remote().is_some() { &known.remote } else { &known.local }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mirror_leads_back_to_its_ref() {
        for name in
            ["refs/atmos/latest/a/b/c", "refs/atmos/locks/a/b/%target", "refs/notes/atmos/a/approvals"]
        {
            assert_eq!(mirrored("origin", &mirror_of("origin", name)).as_deref(), Some(name));
        }
        assert_eq!(mirrored("origin", "refs/atmos-remotes/other/latest/a/b/c"), None);
        assert_eq!(mirrored("origin", "refs/atmos/latest/a/b/c"), None);
    }
}
