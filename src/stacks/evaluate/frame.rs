//! The calls that an evaluation is inside of.

use std::ptr;

use super::super::value::{Call, Map};

/// A call that is being evaluated, within the calls that need it.
pub(in crate::stacks) struct Frame<'f> {
    pub(in crate::stacks) call: &'f Call,
    /// The file's own context for this call, or for one that needs it.
    pub(super) context: Option<&'f Map>,
    pub(super) outer: Option<&'f Self>,
    pub(super) depth: usize,
}

impl<'f> Frame<'f> {
    pub(super) fn inside(outer: Option<&'f Self>, call: &'f Call) -> Self {
        let context = call.context.as_deref().or_else(|| outer.and_then(|outer| outer.context));
        Self { call, context, outer, depth: outer.map_or(0, |outer| outer.depth + 1) }
    }

    /// Whether a call has the position of an outer one, as when a file is parsed again.
    pub(super) fn repeats(outer: Option<&Self>, call: &Call) -> bool {
        std::iter::successors(outer, |frame| frame.outer)
            .any(|frame| frame.call.at == call.at && frame.call.argument == call.argument)
    }

    /// Whether a call depends on itself.
    pub(in crate::stacks) fn is_within(outer: Option<&Self>, call: &Call) -> bool {
        std::iter::successors(outer, |frame| frame.outer).any(|frame| ptr::eq(frame.call, call))
    }
}
