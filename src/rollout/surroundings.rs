//! What a rollout has around it, besides what it is asked for.

use super::report::event_sink;
use crate::cancellation::Cancellation;
use crate::context::{Context, signals};
use crate::execution::EventSink;
use crate::provider::Token;

/// Who hears of a rollout, what stops it, and how the platform is asked.
pub struct Surroundings {
    pub events: EventSink,
    pub cancellation: Cancellation,
    /// The token for the platform; without it, one of the environment.
    pub token: Option<Token>,
}

impl Surroundings {
    /// The surroundings of a typed command: progress on stderr, cancellation by Ctrl-C.
    pub fn of_a_command_line(context: &Context) -> Self {
        Self { events: event_sink(context), cancellation: signals::cancellation(context), token: None }
    }
}
