//! The commits that the ledger refers to, for ids that people abbreviate.

use std::collections::BTreeSet;

use crate::deployment::CommitId;
use crate::deployment::ref_names::{LATEST_PREFIX, RECORD_TAG_PREFIX, STATE_PREFIX, TAGS_PREFIX};

use super::refs::mirror_of;
use super::{Ledger, LedgerError};

impl Ledger<'_> {
    /// The deployed commits whose ids start with these hexadecimal digits, as far
    /// as states and records are here.
    ///
    /// # Errors
    ///
    /// Fails where `git for-each-ref` fails.
    pub fn commits_starting_with(&self, digits: &str) -> Result<BTreeSet<CommitId>, LedgerError> {
        let digits = digits.to_ascii_lowercase();
        let mut prefixes = vec![format!("{TAGS_PREFIX}{RECORD_TAG_PREFIX}")];
        for namespace in [STATE_PREFIX, LATEST_PREFIX] {
            prefixes.extend(self.remote().map(|remote| mirror_of(remote, namespace)));
            prefixes.push(namespace.to_owned());
        }
        let objects = self.repository.git().peeled_refs(&prefixes)?;
        Ok(objects.into_iter().filter(|object| object.as_str().starts_with(&digits)).map(CommitId).collect())
    }
}
