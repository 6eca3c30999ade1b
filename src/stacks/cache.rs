//! A cache of the parsed manifests of one tree of files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::imported::Imported;
use super::source::Source;

/// Parsed manifests of one tree of files under one set of settings, so that each is parsed once.
#[derive(Default)]
pub struct StackCache {
    /// Files by path; `None` is a cached "not found".
    pub(super) sources: Mutex<HashMap<String, Option<Arc<Source>>>>,
    /// Manifests merged with their imports, where the result is the same for all importers.
    pub(super) neutral: Mutex<HashMap<String, Arc<Imported>>>,
    /// Every file below the stacks directory, listed when a glob is first resolved.
    pub(super) listed: Mutex<Option<Arc<Vec<String>>>>,
}
