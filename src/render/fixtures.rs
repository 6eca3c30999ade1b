//! What the tests of the renderers share: a fixed clock, and a deployment in every state.

use anstream::adapter::strip_str;
use jiff::Timestamp;

use super::{Clock, Form, Presentation};

/// The moment of every test: two hours after the specification's deployments.
pub(super) fn now() -> Timestamp {
    "2025-01-22T14:00:00Z".parse().unwrap()
}

pub(super) fn terminal() -> Presentation {
    Presentation { form: Form::Terminal, clock: Clock::utc(now()) }
}

pub(super) fn pipe() -> Presentation {
    Presentation { form: Form::Pipe, clock: Clock::utc(now()) }
}

/// What one sees, without the colours.
pub(super) fn plain(text: &str) -> String {
    strip_str(text).to_string()
}
