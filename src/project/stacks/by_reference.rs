//! Stacks as an input of rollout digests: the same on every machine.

use crate::config::AtmosConfig;
use crate::deployment::stack_layer::{KnownOutputs, StackLayer, StackLayers, StackRefusal, StackRequest};
use crate::stacks::{Processing, StackFiles};

use super::ImportedStacks;

/// The processing of stacks whose functions and templates need values that are unknown here.
const AS_WRITTEN: Processing = Processing { templates: false, functions: false, strict: true };

/// The placeholder of the repository's folder.
const REPOSITORY_ROOT: &str = "!repo-root";

/// The stacks of one tree of files, in which values from the environment, the run, the clock or
/// another system stay as written.
///
/// `!env`, `!repo-root`, outputs and `{{ env }}` evaluate to their own text, and so do values
/// derived from them. If that fails (`{{ env "PORT" | int }}`), or a function is not supported
/// (`!exec`, `!store`, random texts, the clock), the whole component stays as written: merged, but
/// not evaluated.
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
