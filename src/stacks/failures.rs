//! Failures: values of a component that cannot be evaluated, while all others are shown.

use std::cell::RefCell;

use serde_json::{Value as Json, json};

use super::error::StackError;
use super::value::Location;
use crate::text::error_chain;

/// The key of a shown component that holds its failures.
pub(super) const KEY: &str = "failures";

/// A value that cannot be evaluated, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The keys and indexes that lead to the value in the component; empty for the component as a
    /// whole.
    pub path: Vec<String>,
    /// The error and its causes. Begins with the position, if known.
    pub message: String,
    pub at: Option<Location>,
}

impl Failure {
    pub(super) fn new(path: Vec<String>, error: &StackError) -> Self {
        Self { path, message: error_chain(error), at: error.location().cloned() }
    }

    /// The failure as documents show it.
    pub(super) fn to_json(&self) -> Json {
        let mut shown = json!({ "message": self.message });
        if !self.path.is_empty() {
            shown["path"] = self.path.join(".").into();
        }
        if let Some(at) = &self.at {
            shown["file"] = (*at.file).into();
            shown["line"] = at.line.into();
            shown["column"] = at.column.into();
        }
        shown
    }
}

/// Collects the failures of one component.
#[derive(Default)]
pub(super) struct Failures {
    /// The path in the component of the value that is being evaluated.
    path: RefCell<Vec<String>>,
    found: RefCell<Vec<Failure>>,
}

impl Failures {
    /// Records that a value could not be evaluated: the current one, or the one at this key below
    /// it.
    pub(super) fn add(&self, key: Option<&str>, error: &StackError) {
        let path = self.path.borrow().iter().map(String::as_str).chain(key).map(ToOwned::to_owned).collect();
        self.found.borrow_mut().push(Failure::new(path, error));
    }

    /// Evaluates a value below a key.
    pub(super) fn below<T>(&self, key: &str, compute: impl FnOnce() -> T) -> T {
        self.path.borrow_mut().push(key.to_owned());
        let computed = compute();
        self.path.borrow_mut().pop();
        computed
    }

    pub(super) fn into_found(self) -> Vec<Failure> {
        self.found.into_inner()
    }
}
