//! What has been read of a tree of files, to be used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::imported::Imported;
use super::source::Source;

/// Parsed manifests of one tree of files under one set of settings, so that each is parsed once.
#[derive(Default)]
pub struct StackCache {
    /// Files by their paths; nothing for those that are not there.
    pub(super) sources: Mutex<HashMap<String, Option<Arc<Source>>>>,
    /// Manifests with their imports, where they mean the same to all their importers.
    pub(super) neutral: Mutex<HashMap<String, Arc<Imported>>>,
    /// Every file below the stacks directory, listed when a glob first asks.
    pub(super) listed: Mutex<Option<Arc<Vec<String>>>>,
}
