//! Reads build records: the image that was built of a component at a commit.

use std::collections::BTreeMap;

use crate::deployment::build_record::build_id;
use crate::deployment::ref_names::{BUILD_PREFIX, build_ref};
use crate::deployment::{CommitId, ComponentName, DeploymentName};

use super::codec::{BuildImage, decode_build};
use super::{Ledger, LedgerError};

impl Ledger<'_> {
    /// The images that were built of these components, each at its commit;
    /// components without a build are missing.
    ///
    /// # Errors
    ///
    /// Fails where this repository's refs cannot be read. An unreachable remote and unreadable
    /// records are warnings.
    pub fn built_images(
        &self,
        deployment: &DeploymentName,
        components: &[(ComponentName, CommitId)],
    ) -> Result<BTreeMap<ComponentName, BuildImage>, LedgerError> {
        let names: BTreeMap<String, &ComponentName> = components
            .iter()
            .map(|(component, commit)| (build_ref(&build_id(deployment, commit, component)), component))
            .collect();
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut prefixes: Vec<_> =
            components.iter().map(|(_, commit)| format!("{BUILD_PREFIX}{deployment}.{commit}.")).collect();
        prefixes.sort();
        prefixes.dedup();
        for prefix in &prefixes {
            if let Err(error) = self.fetch_prefix(prefix) {
                self.warn(format!("the build records could not be refreshed: {error}"));
            }
        }
        let mut images = BTreeMap::new();
        let exact: Vec<_> = names.keys().cloned().collect();
        for found in self.repository.refs(&exact)? {
            let Some(component) = names.get(&found.name) else { continue };
            let decoded = self
                .objects
                .read_tag(&found.object)
                .map_err(|error| error.to_string())
                .and_then(|tag| decode_build(&tag.message).map_err(|error| error.to_string()));
            match decoded {
                Ok(image) => {
                    images.insert((*component).clone(), image);
                }
                Err(error) => self.warn(format!("{} is skipped: {error}", found.name)),
            }
        }
        Ok(images)
    }
}
