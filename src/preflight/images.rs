//! Images that are to be built: their source, how they are built, where they are pushed.

use super::{Moment, Subject};
use crate::config::{Severity, join_path};
use crate::deployment::ComponentKind;
use crate::error::CommandError;
use crate::image::{BuildSettings, ImageName};
use crate::render::document::validate::Check;

impl Subject<'_> {
    /// Checks what a build of the component needs. What is built already needs nothing of it.
    pub(super) fn check_image(&mut self) -> Result<(), CommandError> {
        let is_built =
            self.facts.moment == Moment::Validation || self.facts.to_build.contains(&self.component.name);
        if self.component.kind != ComponentKind::Nixpack || !is_built {
            return Ok(());
        }
        // Templates that cannot be filled in are said apart.
        let Some(variables) = self.built_with() else { return Ok(()) };
        let keys = self.keys(&["vars"]);
        let settings = match BuildSettings::new(self.component, &variables) {
            Ok(settings) => settings,
            Err(error) => {
                self.add(Check::Images, Severity::Error, keys, error.to_string(), None);
                return Ok(());
            }
        };
        self.is_folder(&join_path([settings.source.as_str()]), self.keys(&["vars", "source"]))?;
        let registry = self.facts.config.registry.as_deref();
        let keys = self.keys(&["vars", "image"]);
        let publish = self.component.settings.nixpack.as_ref().is_none_or(|nixpack| nixpack.publish);
        match ImageName::new(self.component, &variables, None, self.facts.commit, registry) {
            Err(error) => self.add(Check::Images, Severity::Error, keys, error.to_string(), None),
            Ok(name) if name.registry.is_none() && publish => self.add(
                Check::Images,
                self.facts.unless_elsewhere(),
                keys,
                "it names no registry: there is nowhere to push its image to",
                Some(
                    "set vars.image.registry, components.nixpack.registry of atmos.yaml, or ATMOS_REGISTRY; or leave it \
                     where it is built: settings.nixpack.publish: false"
                        .to_owned(),
                ),
            ),
            Ok(_) => {}
        }
        Ok(())
    }
}
