//! A rollout command with its dependencies: options, context, events, cancellation.

use std::cell::RefCell;

use super::Options;
use super::prepare::Prepared;
use crate::cancellation::Cancellation;
use crate::context::Context;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::execution::EventSink;
use crate::project::rules::Alone;
use crate::project::vendored::KnownVendored;
use crate::provider::Token;

/// A rollout command in execution.
pub(super) struct RolloutCommand<'u, 'r> {
    pub(super) options: &'u Options,
    pub(super) context: &'u Context,
    pub(super) prepared: &'u Prepared<'r>,
    pub(super) events: EventSink,
    pub(super) cancellation: Cancellation,
    /// The token for requests to the platform.
    pub(super) token: Option<Token>,
    /// The plan that was announced last, to announce only changes.
    pub(super) announced: RefCell<Option<RolloutPlan>>,
    /// The last warning about rules that no default branch limits, to print only changes.
    pub(super) said_alone: RefCell<Option<Alone>>,
    /// The vendored folders that were pulled.
    pub(super) known_vendored: RefCell<KnownVendored>,
}

impl<'u, 'r> RolloutCommand<'u, 'r> {
    pub(super) fn new(
        options: &'u Options,
        context: &'u Context,
        prepared: &'u Prepared<'r>,
        events: EventSink,
        cancellation: Cancellation,
        token: Option<Token>,
    ) -> Self {
        let (announced, said_alone) = (RefCell::default(), RefCell::default());
        let known_vendored = RefCell::default();
        Self {
            options,
            context,
            prepared,
            events,
            cancellation,
            token,
            announced,
            said_alone,
            known_vendored,
        }
    }
}
