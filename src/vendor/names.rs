//! The components that entries of the deployment name.

use super::declare::{Declarations, Read};
use super::error::VendorError;
use crate::config::join_path;
use crate::deployment::nearest::nearest;
use crate::deployment::vendoring::VendorEntry;
use crate::deployment::{Component, ComponentKind};

impl Declarations<'_> {
    /// Refuses entries of the deployment that name none of its components.
    pub(super) fn check_names(&self, read: &Read) -> Result<(), VendorError> {
        let section = self.section();
        for entry in &section.components {
            for written in &entry.components {
                let alone = VendorEntry { components: vec![written.clone()], ..VendorEntry::default() };
                let is_named = |component: &&Component| {
                    let base = self.config.components_directory(component.kind);
                    let folders = [self.folder(component, read), Some(component.folder().to_owned())];
                    folders.into_iter().flatten().any(|below| {
                        alone.names(
                            component.kind,
                            &component.name,
                            &below,
                            &join_path([base.as_str(), &below]),
                        )
                    })
                };
                let refuse = |message: String, hint: String| VendorError::Declaration {
                    at: entry.at.clone(),
                    message,
                    hint,
                };
                match self.deployment.components.iter().find(is_named) {
                    Some(component)
                        if !matches!(component.kind, ComponentKind::Terraform | ComponentKind::Helmfile) =>
                    {
                        let message = format!("{} has no folder to vendor", component.qualified_name());
                        return Err(refuse(message, "name a terraform or helmfile component".to_owned()));
                    }
                    Some(_) => {}
                    None => {
                        let names =
                            self.deployment.components.iter().map(|component| component.name.as_str());
                        let is_target =
                            self.deployment.targets.keys().any(|target| target.as_str() == written);
                        let hint = if is_target {
                            format!(
                                "`targets` are components here; to choose targets, write labels: {{environment: [{written}]}}"
                            )
                        } else {
                            nearest(written, names).map_or_else(
                                || "name components of the deployment in `targets`".to_owned(),
                                |near| format!("did you mean {near}?"),
                            )
                        };
                        return Err(refuse(format!("there is no component {written} to vendor"), hint));
                    }
                }
            }
        }
        Ok(())
    }
}
