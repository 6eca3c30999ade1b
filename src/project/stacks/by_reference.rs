//! Stacks as the digest of a rollout sees them: the same on every machine.

use crate::config::AtmosConfig;
use crate::deployment::stack_layer::{KnownOutputs, StackLayer, StackLayers, StackRefusal, StackRequest};
use crate::stacks::{Processing, StackFiles};

use super::ImportedStacks;

/// How stacks are shown whose functions and templates need what is not known here.
const AS_WRITTEN: Processing = Processing { templates: false, functions: false, strict: true };

/// What stands for the repository's folder.
const REPOSITORY_ROOT: &str = "!repo-root";

/// The stacks of one tree of files, in which everything stays as it is written that comes from the
/// environment, the run, the clock or another system.
///
/// `!env`, `!repo-root`, outputs and `{{ env }}` stand for themselves, and what is made of them is
/// made of these texts. Where that is no use (`{{ env "PORT" | int }}`), or a function is not
/// supported (`!exec`, `!store`, random texts, the clock), the whole component is left as it is
/// written: merged, but nothing of it computed.
pub struct StacksByReference(ImportedStacks);

impl StacksByReference {
    /// The stacks in these files.
    pub fn new(files: impl StackFiles + Send + 'static, config: &AtmosConfig) -> Self {
        Self(ImportedStacks::new(files, config))
    }
}

impl StackLayers for StacksByReference {
    fn layer(&self, request: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal> {
        let request = StackRequest {
            outputs: KnownOutputs::AsWritten,
            repository_root: Some(REPOSITORY_ROOT),
            ..*request
        };
        self.0.processed(&request, Processing::STRICT).or_else(|_| self.0.processed(&request, AS_WRITTEN))
    }
}
