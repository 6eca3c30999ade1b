//! The check that images exist in their registries, before anything is applied.

use std::collections::BTreeMap;

use super::command::RolloutCommand;
use crate::context::runtime;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::error::{Code, CommandError};
use crate::execution::Rollout;
use crate::image::{ImageReference, Presence, Registry};
use crate::render::document::error::Hint;

impl RolloutCommand<'_, '_> {
    /// Refuses a rollout whose images or SBOMs are missing, before anything is applied. Commands
    /// that only read do not need this check.
    pub(super) fn check_artifacts(&self, plan: &RolloutPlan, rollout: &Rollout) -> Result<(), CommandError> {
        self.check_images(plan, &rollout.images)?;
        self.check_sboms(plan, &rollout.definitions)
    }

    /// Checks that the registries have the images. A missing image is an error; a registry that
    /// does not answer is a warning, because a rollout job may lack permission to pull.
    fn check_images(
        &self,
        plan: &RolloutPlan,
        images: &BTreeMap<String, String>,
    ) -> Result<(), CommandError> {
        if images.is_empty() || self.context.global().offline {
            return Ok(());
        }
        let registry =
            Registry::new(&self.environment()).map_err(|error| CommandError::internal(error.to_string()))?;
        let runtime = runtime::on_this_thread()?;
        let mut missing = Vec::new();
        for (component, image) in images {
            let Some(reference) = ImageReference::parse(image) else { continue };
            match runtime.block_on(registry.presence(&reference)) {
                Presence::Present => {}
                Presence::Missing => missing.push(format!("{component}: {image}")),
                Presence::Unknown(reason) => tracing::warn!(image, reason, "the registry does not say"),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let what = if missing.len() == 1 { "an image that is" } else { "images that are" };
        let message = format!("{} to {} needs {what} not in the registry", plan.deployment, plan.target);
        Err(CommandError::new(Code::ImageMissing, message).details(missing).hint(Hint::command(
            "To build what is checked out anew",
            format!("atmos deployment build {} --target {}", plan.deployment, plan.target),
        )))
    }
}
