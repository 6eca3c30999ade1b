//! The surroundings of a rollout: its events, cancellation and token.

use super::report::event_sink;
use crate::cancellation::Cancellation;
use crate::context::{Context, signals};
use crate::execution::EventSink;
use crate::provider::Token;

/// The receiver of a rollout's events, its cancellation, and the token for the platform.
pub struct Surroundings {
    pub events: EventSink,
    pub cancellation: Cancellation,
    /// The token for the platform; by default one from the environment.
    pub token: Option<Token>,
}

impl Surroundings {
    /// The surroundings of a typed command: progress on stderr, cancellation by signals.
    pub fn of_a_command_line(context: &Context) -> Self {
        Self { events: event_sink(context), cancellation: signals::cancellation(context), token: None }
    }
}
