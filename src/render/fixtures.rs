//! Fixtures of the renderers' tests: a fixed clock, and a deployment in every state.

use anstream::adapter::strip_str;
use jiff::Timestamp;

use super::document::{self, Document};
use super::{Clock, Form, Presentation};

/// The time of every test: two hours after the specification's deployments.
pub(super) fn now() -> Timestamp {
    "2025-01-22T14:00:00Z".parse().unwrap()
}

pub(super) fn terminal() -> Presentation {
    Presentation { form: Form::Terminal, clock: Clock::utc(now()) }
}

pub(super) fn pipe() -> Presentation {
    Presentation { form: Form::Pipe, clock: Clock::utc(now()) }
}

/// The visible text, without colours.
pub(super) fn plain(text: &str) -> String {
    strip_str(text).to_string()
}

/// The document as JSON, validated by its schema.
pub(super) fn json<D: Document>(document: &D) -> String {
    let text = document::json(document).unwrap();
    let schema = serde_json::to_value(document::schema::<D>()).unwrap();
    let instance = serde_json::from_str(&text).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &instance) {
        panic!("{text}: {error}");
    }
    text
}
