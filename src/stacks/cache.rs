//! What has been read of a tree of files, to be used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::imported::Imported;
use super::source::Source;

/// What has been read of one tree of files by one set of settings; whoever reads that tree
/// again need not parse it again.
#[derive(Default)]
pub struct StackCache {
    /// Files by their paths; nothing for those that are not there.
    pub(super) sources: Mutex<HashMap<String, Option<Arc<Source>>>>,
    /// Manifests with their imports, where they mean the same to all their importers.
    pub(super) neutral: Mutex<HashMap<String, Arc<Imported>>>,
    /// Every file below the stacks directory, listed when a glob first asks.
    pub(super) listed: Mutex<Option<Arc<Vec<String>>>>,
}
