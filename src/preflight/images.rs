//! Images to build: their source, build settings and registry.

use super::{Moment, Subject};
use crate::config::{Severity, join_path};
use crate::deployment::ComponentKind;
use crate::error::CommandError;
use crate::image::{BuildSettings, ImageName};
use crate::render::document::validate::Check;

impl Subject<'_> {
    /// Checks the inputs of a build of the component. An image that is already built needs none.
    pub(super) fn check_image(&mut self) -> Result<(), CommandError> {
        let is_built =
            self.facts.moment == Moment::Validation || self.facts.to_build.contains(&self.component.name);
        if self.component.kind != ComponentKind::Nixpack || !is_built {
            return Ok(());
        }
        // Templates that cannot be rendered are reported separately.
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

#[cfg(test)]
mod tests {
    use super::super::testing::Shop;
    use super::*;

    fn told(shop: &Shop) -> Vec<String> {
        shop.told(&[Check::Images, Check::Components])
    }

    #[test]
    fn images_that_cannot_be_built_are_found() {
        const AT_IMAGE: &str = "components.nixpack.web.vars.image: nixpack/web: ";
        let no_registry = || Shop::with("registry: 'r.example.com', ", "");
        let rows: [(Shop, &str, String); 6] = [
            (
                Shop::with("source: services/web", "source: services/wbe"),
                "error",
                "components.nixpack.web.vars.source: nixpack/web: there is no folder services/wbe [did you mean \
                 services/web?]"
                    .to_owned(),
            ),
            (
                Shop::with("name: shop/web", "name: Shop/Web"),
                "error",
                format!("{AT_IMAGE}\"Shop/Web\" cannot be part of an image's name"),
            ),
            (
                Shop::with("name: shop/web", "name: shop/web, tag: '-x'"),
                "error",
                format!("{AT_IMAGE}\"-x\" cannot be an image's tag"),
            ),
            (no_registry(), "error", format!("{AT_IMAGE}it names no registry: ")),
            (no_registry().at(Moment::Validation), "warning", format!("{AT_IMAGE}it names no registry: ")),
            (no_registry().at(Moment::Plan), "warning", format!("{AT_IMAGE}it names no registry: ")),
        ];
        for (shop, severity, expected) in rows {
            let told = told(&shop);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(&format!("{severity} at {expected}")), "{told:?}\n{expected}");
        }
    }

    #[test]
    fn images_that_can_be_built_or_are_built_are_passed_over() {
        let default = || {
            let shop = Shop::with("registry: 'r.example.com', ", "");
            let mut config = shop.config.clone();
            config.registry = Some("r.example.com".to_owned());
            Shop { config, ..shop }
        };
        let kept = "name: shop/web } }, settings: { nixpack: { publish: false } } }";
        for (what, shop) in [
            ("all of it", Shop::new()),
            ("the registry of the project", default()),
            (
                "an image that stays here",
                Shop {
                    text: Shop::new()
                        .text
                        .replace("name: shop/web } } }", kept)
                        .replace("registry: 'r.example.com', ", ""),
                    ..Shop::new()
                },
            ),
            (
                "what is built already",
                Shop { to_build: Vec::new(), ..Shop::with("source: services/web", "source: gone") },
            ),
            ("a template that is said apart", Shop::with("name: shop/web", "name: '{{ git.shaa }}'")),
        ] {
            assert_eq!(told(&shop), [""; 0], "{what}");
        }
    }
}
